"""Stores of older formats: brought up to date in steps, a copy kept first; what is newer is left alone."""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import apsw
import pytest

from intentstore import Intent, Unavailable, Unsupported, migrate_store, open_graph
from intentstore.ground.errors import Corrupt
from intentstore.storage.older import STEPS, copy_path
from intentstore.storage.sqlite_connections import VERSION
from intentstore.testing import copy_log, state
from tests.test_golden import VERSIONS, log_of, unpacked


def schema(path: Path) -> set[tuple[str, str, str]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return set(connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_schema"))
    finally:
        connection.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_brought_up_to_date_is_as_one_made_anew(tmp_path: Path, version: str) -> None:
    url = unpacked(version, "goals.db", tmp_path)
    with open_graph(url) as old, open_graph(f"sqlite:{tmp_path / 'new.db'}") as new:
        copy_log(old.entries(), new.storage)
        assert state(old.storage) == state(new.storage)
        names = [old.storage.graphs(), ["default"]]  # type: ignore[attr-defined]  # it lists them
        assert set(names[1]) <= set(names[0])
    words = {name for _, name, _ in schema(tmp_path / "goals.db") if name.startswith("fts_")}
    fresh = {each for each in schema(tmp_path / "new.db") if not each[1].startswith("fts_")}
    assert {each for each in schema(tmp_path / "goals.db") if each[1] not in words} == fresh


@pytest.mark.parametrize("name", ["goals.db", "killed.db"])
def test_a_copy_of_the_store_as_it_was_is_kept_first(tmp_path: Path, name: str) -> None:
    url = unpacked("v1", name, tmp_path)
    plan = migrate_store(url, dry_run=True)
    assert (plan.found, plan.wanted, len(plan.steps)) == (1, VERSION, VERSION - 1)
    assert not (tmp_path / f"{name}.format-1").exists()
    assert migrate_store(url) == plan
    assert plan.copy == str(tmp_path / f"{name}.format-1")
    assert (migrate_store(url).steps, migrate_store(url).copy) == ((), None)
    kept = tmp_path / "kept.db"
    shutil.copyfile(plan.copy, kept)
    assert migrate_store(f"sqlite:{kept}", dry_run=True).found == 1
    with open_graph(f"sqlite:{kept}") as graph:
        assert list(graph.entries()) == log_of("v1")
    assert [path.name for path in tmp_path.glob("*.tmp")] == []
    assert (Path(plan.copy).stat().st_mode & 0o077) == 0


def test_an_upgrade_that_was_killed_makes_its_copy_anew(tmp_path: Path) -> None:
    url = unpacked("v1", "goals.db", tmp_path)
    (tmp_path / "goals.db.format-1.tmp").write_bytes(b"half of it")
    (tmp_path / "goals.db.format-1").write_bytes(b"an older one")
    migrate_store(url)
    assert (tmp_path / "goals.db.format-1").read_bytes()[:6] == b"SQLite"


def test_an_older_process_that_has_it_open_meanwhile_writes_nothing(tmp_path: Path) -> None:
    url = unpacked("v1", "goals.db", tmp_path)
    older = apsw.Connection(str(tmp_path / "goals.db"))
    older.set_busy_timeout(10_000)
    older.execute("SELECT revision, id, body FROM commits WHERE graph = 1 LIMIT 1").fetchall()
    with open_graph(url) as graph:
        graph.store(Intent(id="new", goal="Be written by the newer"))
        before = graph.revision
        with pytest.raises(apsw.SQLError, match="no column named revision"):
            older.execute("INSERT INTO commits (graph, revision, id, body) VALUES (1, 99, 'old', '{}')")
        assert graph.revision == before
        assert graph.verify().ok
    older.close()


def test_what_is_no_store_has_nothing_to_be_brought_up_to_date(tmp_path: Path) -> None:
    for missing in (f"file:{tmp_path / 'none'}", f"sqlite:{tmp_path / 'none.db'}"):
        with pytest.raises(Unavailable):
            migrate_store(missing)
    (tmp_path / "text.db").write_bytes(b"no database" * 100)
    with pytest.raises(Corrupt):
        migrate_store(f"sqlite:{tmp_path / 'text.db'}")
    with pytest.raises(Unsupported):
        migrate_store("memory:")
    open_graph(f"file:{tmp_path / 'store'}").close()
    assert migrate_store(f"file:{tmp_path / 'store'}").steps == ()


def test_every_step_is_said_in_words() -> None:
    assert set(STEPS["sqlite"]) >= set(range(1, VERSION))
    assert copy_path(Path("/a/b.db"), 3) == Path("/a/b.db.format-3")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from intentstore.cli import main

    url = unpacked("v1", "goals.db", tmp_path)
    for words, done in ((["--dry-run"], False), ([], True)):
        assert main(["--store", url, "migrate", "--json", *words]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["found"], told["wanted"], told["done"]) == (1, VERSION, done)


def test_one_that_finds_another_quicker_takes_what_that_one_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from intentstore.storage import sqlite_connections

    transaction, begun = sqlite_connections.transaction, list[str]()

    def another_first(url: str, kind: str, times: int) -> None:
        def patched(connection: apsw.Connection, asked: str) -> AbstractContextManager[None]:
            begun.append(asked)
            if begun.count(kind) == times and asked == kind:
                monkeypatch.setattr(sqlite_connections, "transaction", transaction)
                open_graph(url).close()
            return transaction(connection, asked)

        begun.clear()
        monkeypatch.setattr(sqlite_connections, "transaction", patched)
        with open_graph(url) as graph:
            graph.store(Intent(goal="Be stored"))
            assert graph.verify().ok

    another_first(f"sqlite:{tmp_path / 'new.db'}", "EXCLUSIVE", 1)
    another_first(unpacked("v1", "goals.db", tmp_path), "IMMEDIATE", 2)
