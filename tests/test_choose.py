"""Claims about URLs, configs and third-party storages."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from intentstore import File, InMemory, Intent, Postgres, Sqlite, open_graph
from intentstore.ground.errors import FieldInvalid, Unsupported
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
    with pytest.raises(Unsupported, match="encoding"):
        open_graph(File(tmp_path / "goals", encoding="rtfs"))


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
