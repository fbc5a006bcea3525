"""Which store is meant when none is named: the environment, then the nearest `.intents/`; oddities are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from intentstore import open_graph
from intentstore.cli import main
from intentstore.ground.errors import AlreadyThere, Corrupt, FieldInvalid, Missing, StorageError, Unavailable
from intentstore.locate import Located, establish, locate, located


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("INTENTSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def config(home: Path, text: str) -> None:
    (home / ".intents").mkdir()
    (home / ".intents" / "config.json").write_text(text)


def test_what_is_named_goes_before_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    establish(None, home=tmp_path)
    assert locate() == f"sqlite:{tmp_path}/.intents/goals.db"
    monkeypatch.setenv("INTENTSTORE_URL", "memory:env")
    assert locate() == "memory:env"
    assert locate("memory:named") == "memory:named"


def test_the_nearest_one_upward_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    establish("file:outer", home=tmp_path)
    assert locate(None, below) == f"file:{tmp_path}/outer"
    establish("sqlite:inner.db", graph="team", home=tmp_path / "a")
    assert located(None, below) == Located(f"sqlite:{tmp_path}/a/inner.db", "team")


def test_none_at_all_is_missing_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"no \.intents/") as refused:
        locate(None, tmp_path)
    assert "intent init" in refused.value.hint
    assert main(["list"]) == 3


def test_a_project_can_be_moved_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    establish("sqlite:goals.db", home=tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert locate(None, tmp_path / "new") == f"sqlite:{tmp_path}/new/goals.db"


def test_a_store_outside_keeps_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    establish(f"file:{tmp_path}/out?encoding=json", home=tmp_path / "in")
    assert locate(None, tmp_path / "in") == f"file:{tmp_path}/out?encoding=json"


def test_a_servers_url_is_kept_private(tmp_path: Path) -> None:
    establish("postgresql://ana:secret@db/goals", home=tmp_path)
    assert (tmp_path / ".intents" / "config.json").stat().st_mode & 0o077 == 0
    assert locate() == "postgresql://ana:secret@db/goals"


def test_init_twice_is_the_same_and_another_store_is_refused(tmp_path: Path) -> None:
    first = establish(None, home=tmp_path)
    assert establish(None, home=tmp_path) == first
    assert establish(first.store, graph="default", home=tmp_path) == first
    with pytest.raises(AlreadyThere):
        establish("file:other", home=tmp_path)
    with pytest.raises(AlreadyThere):
        establish(None, graph="other", home=tmp_path)


@pytest.mark.parametrize("url", ["memory:", "memory:x", "goals", "sqlite:", "file:"])
def test_init_refuses_what_no_later_command_could_open(tmp_path: Path, url: str) -> None:
    with pytest.raises(FieldInvalid):
        establish(url, home=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"store":1}',
        '{"store":""}',
        '{"graph":"g"}',
        '{"store":"memory:","stroe":"x"}',
        '{"store":"memory:","store":"file:x"}',
        '{"store":"memory:' + "x" * 70_000 + '"}',
    ],
)
def test_an_odd_config_is_refused(tmp_path: Path, text: str) -> None:
    config(tmp_path, text)
    with pytest.raises(Corrupt) as refused:
        locate()
    assert refused.value.hint
    assert main(["list"]) == 9


def _file(home: Path) -> None:
    (home / ".intents").write_text("")


def _dangling(home: Path) -> None:
    (home / ".intents").symlink_to("nowhere")


def _empty(home: Path) -> None:
    (home / ".intents").mkdir()


def _directory(home: Path) -> None:
    (home / ".intents" / "config.json").mkdir(parents=True)


def _loop(home: Path) -> None:
    (home / ".intents").symlink_to(".intents")


@pytest.mark.parametrize("odd", [_file, _dangling, _empty, _directory, _loop])
def test_an_odd_directory_is_refused_not_passed_by(tmp_path: Path, odd: Callable[[Path], None]) -> None:
    establish("memory-like:elsewhere", home=tmp_path)
    below = tmp_path / "below"
    below.mkdir()
    odd(below)
    with pytest.raises(StorageError) as refused:
        locate(None, below)
    assert refused.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_a_config_that_cannot_be_read_or_written_is_unavailable(tmp_path: Path) -> None:
    establish(None, home=tmp_path)
    (tmp_path / ".intents" / "config.json").chmod(0)
    with pytest.raises(Unavailable):
        locate()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(Unavailable):
        establish(None, home=closed)


def test_init_makes_a_store_that_open_graph_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--json", "--graph", "team"]) == 0
    url = f"sqlite:{tmp_path}/.intents/goals.db"
    assert json.loads(capsys.readouterr().out) == {"store": url, "graph": "team"}
    assert main(["add", "G", "--id", "g"]) == 0
    with open_graph(url, graph="team", create=False) as graph:
        assert graph.get("g") is not None
    with open_graph(create=False) as graph:
        assert graph.storage.facts()["kind"] == "sqlite"
    assert main(["init", "file:other"]) == 4
