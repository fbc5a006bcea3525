"""Claims about URLs, configs and third-party storages."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest

from intentstore import File, InMemory, Intent, Postgres, Servers, Sqlite, open_graph
from intentstore.ground.errors import FieldInvalid, Unavailable
from intentstore.storage.choose import parse_url
from intentstore.storage.file import FileStorage
from intentstore.storage.memory import MemoryStorage


@pytest.mark.parametrize(
    ("url", "config"),
    [
        ("memory:", InMemory()),
        ("memory:shared", InMemory("shared")),
        ("file:goals", File("goals")),
        ("file:///srv/goals", File("/srv/goals")),
        ("file:goals?encoding=rtfs", File("goals", "rtfs")),
        ("sqlite:goals.db", Sqlite("goals.db")),
        ("sqlite:/srv/goals.db", Sqlite("/srv/goals.db")),
        ("postgresql://a@b/c", Postgres("postgresql://a@b/c")),
        ("redis:6379", ("redis", "6379")),
    ],
)
def test_a_url_names_a_config(url: str, config: object) -> None:
    assert parse_url(url) == config


def test_a_config_opens_what_its_url_opens(tmp_path: Path) -> None:
    with open_graph(File(tmp_path / "goals")) as graph:
        graph.store(Intent(id="a", goal="A"))
    with open_graph(f"file:{tmp_path}/goals", read_only=True) as graph:
        assert graph.intent("a").goal == "A"
        assert isinstance(graph.storage, FileStorage)
    with open_graph(InMemory("here")) as one, open_graph("memory:here") as other:
        one.store(Intent(id="a", goal="A"))
        assert other.intent("a").goal == "A"
    with pytest.raises(FieldInvalid, match="written in json"):
        open_graph(File(tmp_path / "goals", encoding="rtfs"))


def test_graphs_are_spread_over_places_by_their_names(tmp_path: Path) -> None:
    everywhere = Servers({"team-a-*": f"sqlite:{tmp_path}/a.db", "team-b": Sqlite(tmp_path / "b.db"), "*": "memory:c"})
    for name, goal in (("team-a-x", "A"), ("team-b", "B"), ("team-c", "C")):
        with open_graph(everywhere, graph=name) as graph:
            graph.store(Intent(id="a", goal=goal))
    with open_graph(f"sqlite:{tmp_path}/a.db", graph="team-a-x") as graph:
        assert graph.intent("a").goal == "A"
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"team-a-?": f"sqlite:{tmp_path}/a.db"}))
    with open_graph(f"servers:{file}", graph="team-a-x") as graph:
        assert graph.intent("a").goal == "A"
    with pytest.raises(FieldInvalid, match="none of the servers"):
        open_graph(f"servers:{file}", graph="team-a-xy")
    assert repr(everywhere) == "Servers(['team-a-*', 'team-b', '*'])"
    assert everywhere.__rich_repr__() == [("patterns", ["team-a-*", "team-b", "*"])]


def test_a_file_of_servers_that_is_odd_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"servers\.json"):
        open_graph(f"servers:{tmp_path}/servers.json")
    for text in ('["sqlite:a.db"]', '{"*": 7}'):
        (tmp_path / "servers.json").write_text(text)
        with pytest.raises(FieldInvalid, match="object of URLs"):
            open_graph(f"servers:{tmp_path}/servers.json")


def test_a_third_party_registers_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Theirs(MemoryStorage):
        def __init__(self, rest: str, **options: Any) -> None:
            asked.append({"rest": rest, **options})
            super().__init__(None, options["graph"])

    class Entry:
        def load(self) -> type[Theirs]:
            return Theirs

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group, name: [Entry()] if name == "their" else [])
    with open_graph("their:place?x=1", graph="g") as graph:
        graph.store(Intent(goal="A"))
    assert asked == [{"rest": "place?x=1", "graph": "g", "read_only": False, "create": True, "durability": "full"}]
    with pytest.raises(FieldInvalid, match="unknown scheme"):
        open_graph("nobody:here")
