"""What is SQLite's alone: its file, its refusals, its faults."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from intentstore import Intent, open_graph
from intentstore.ground.change import Define, Drop, Link, Note, Put, Unlink
from intentstore.ground.errors import (
    Busy,
    Closed,
    Corrupt,
    Full,
    IntentMissing,
    ReadOnly,
    StorageError,
    TooNew,
    Unavailable,
)
from intentstore.ground.query import EVERYTHING, Direction, HasEdge, IntentFilter, Page, Sort, Walk
from intentstore.ground.types import Edge, EdgeType
from intentstore.ground.values import Map
from intentstore.storage.sqlite import SqliteStorage
from intentstore.storage.sqlite_connections import APPLICATION_ID, PAGE_BYTES, Connections
from intentstore.storage.sqlite_query import Asked, neighbours, selecting
from intentstore.storage.sqlite_rows import Statements, rows
from intentstore.storage.sqlite_wal import write_again
from intentstore.testing.driver import break_driver
from intentstore.testing.samples import a_batch, an_intent, ids, link, one, put, state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "goals.db"


@pytest.fixture
def storage(path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage(path, timeout_s=0.05)
    storage.open()
    yield storage
    storage.close()


def poke(path: Path, *statements: str) -> None:
    """Changes the file behind the storage's back."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def writer(storage: SqliteStorage) -> apsw.Connection:
    assert storage._at._writer is not None
    return storage._at._writer


class Failing:
    """A connection whose chosen statement fails, as a disk would make it fail."""

    def __init__(self, connection: apsw.Connection, statement: str, error: Exception) -> None:
        self.connection, self.statement, self.error = connection, statement, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, text: str, *values: Any) -> Any:
        if text.startswith(self.statement):
            raise self.error
        return self.connection.execute(text, *values)


def fail(storage: SqliteStorage, statement: str, error: Exception) -> None:
    storage._at._writer = Failing(writer(storage), statement, error)  # type: ignore[assignment]  # stands in for it


def mend(storage: SqliteStorage) -> None:
    storage._at._writer = storage._at._writer.connection  # type: ignore[union-attr]  # undoes `fail`


# --- the file --------------------------------------------------------------------------------------


def test_a_new_file_is_ours_alone_and_in_wal_mode(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "deep" / "er" / "goals.db")
    before = os.umask(0)
    try:
        storage.open()
        put(storage, "a")
    finally:
        os.umask(before)
    for file in (tmp_path / "deep" / "er").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    facts = storage.facts()
    assert (facts["journal_mode"], facts["synchronous"], facts["durable"]) == ("wal", "full", True)
    assert (facts["kind"], facts["graph"], facts["revision"], facts["failed"]) == ("sqlite", "default", 1, None)
    storage.open()  # open already: harmless
    storage.close()


def test_relaxed_durability_says_so(path: Path) -> None:
    storage = SqliteStorage(path, durability="relaxed")
    storage.open()
    assert (storage.facts()["synchronous"], storage.facts()["durable"]) == ("normal", False)
    storage.close()


def test_a_missing_file_is_made_only_if_asked(path: Path) -> None:
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(Unavailable) as refused:
            SqliteStorage(path, **options).open()  # type: ignore[arg-type]  # both are flags
        assert "intent init" in refused.value.hint
        assert not path.exists()


def test_an_empty_file_is_filled_only_if_asked(path: Path) -> None:
    path.touch()
    with pytest.raises(Corrupt):
        SqliteStorage(path, create=False).open()
    assert path.read_bytes() == b""
    storage = SqliteStorage(path)
    storage.open()
    storage.close()
    assert path.stat().st_size > 0


@pytest.mark.parametrize("content", [b"not a database, but long enough for its header " * 4, b"SQLite format 3\0short"])
def test_a_file_that_is_no_database_is_refused_untouched(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        SqliteStorage(path).open()
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_another_programs_database_is_refused_untouched(path: Path, mode: str) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", mode)
    connection.execute("CREATE TABLE theirs (x)")
    if mode == "delete":
        connection.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(Corrupt, match="another program"):
            SqliteStorage(path, read_only=read_only).open()
    assert path.read_bytes() == before
    connection.close()


def test_a_newer_version_is_refused_untouched(storage: SqliteStorage, path: Path) -> None:
    storage.close()
    poke(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(TooNew):
        SqliteStorage(path).open()
    assert path.read_bytes() == before


def test_a_link_or_a_directory_is_refused(storage: SqliteStorage, path: Path) -> None:
    (path.parent / "link.db").symlink_to(path)
    for name in (path.parent / "link.db", path.parent):
        with pytest.raises(Unavailable):
            SqliteStorage(name).open()


def test_a_path_through_a_file_is_refused_in_our_words(storage: SqliteStorage, path: Path) -> None:
    with pytest.raises(StorageError) as refused:
        SqliteStorage(path / "below.db").open()
    assert refused.value.__cause__ is not None


def test_a_file_that_was_never_finished_is_refused_without_a_trace(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intentstore.storage.sqlite_connections.VERSION", object())
    with pytest.raises(BaseException):  # noqa: B017, PT011  whatever it is, nothing of it stays
        SqliteStorage(path).open()
    assert path.read_bytes() == b""
    monkeypatch.undo()
    storage = SqliteStorage(path)
    storage.open()
    assert storage.revision == 0
    storage.close()


def test_a_pragma_that_does_not_take_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Connections._set

    def deaf(self: Connections, connection: apsw.Connection, name: str, value: Any, *, wanted: Any) -> None:
        original(self, connection, name, "off" if name == "journal_mode" else value, wanted=wanted)

    monkeypatch.setattr(Connections, "_set", deaf)
    with pytest.raises(Unavailable, match="journal_mode"):
        SqliteStorage(path).open()


def test_two_that_make_the_same_file_wait_for_each_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, busy = Connections._set, [2]

    def contended(self: Connections, connection: apsw.Connection, name: str, value: Any, *, wanted: Any) -> None:
        if name == "journal_mode" and busy[0]:
            busy[0] -= 1
            raise apsw.BusyError("database is locked")
        original(self, connection, name, value, wanted=wanted)

    monkeypatch.setattr(Connections, "_set", contended)
    storage = SqliteStorage(path)
    storage.open()
    storage.close()
    busy[0] = 10**9
    with pytest.raises(Busy):
        SqliteStorage(path, timeout_s=0.02).open()


def test_a_file_that_another_fills_first_is_taken_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = SqliteStorage(path)
    first.open()
    put(first, "a")
    first.close()
    monkeypatch.setattr(Connections, "_enter", lambda _: True)  # what it saw before the other came
    second = SqliteStorage(path)
    second.open()
    assert ids(second) == ["a"]
    second.close()


def test_an_older_file_is_not_read_before_it_was_brought_up_to_date(storage: SqliteStorage, path: Path) -> None:
    storage.close()
    poke(path, "PRAGMA user_version = 1")
    reader = SqliteStorage(path, read_only=True)
    with pytest.raises(Unavailable, match="has format 1, read here as 2"):
        reader.open()
    reader.close()


def test_tables_that_another_process_made_meanwhile_are_not_made_again(path: Path) -> None:
    first, second = SqliteStorage(path), SqliteStorage(path)
    second.open()

    class Late:
        """A connection that saw an empty file before the other process made its tables."""

        def __init__(self, connection: apsw.Connection) -> None:
            self.connection, self.first = connection, True

        def __getattr__(self, name: str) -> Any:
            return getattr(self.connection, name)

        def execute(self, text: str, *values: Any) -> Any:
            if self.first and "sqlite_schema" in text:
                self.first = False
                return self.connection.execute("SELECT 0")
            return self.connection.execute(text, *values)

    late = Late(first._at._connect(apsw.SQLITE_OPEN_READWRITE))
    second.close()
    first._at._prepare(late)  # type: ignore[arg-type]  # stands in for it
    first._at.close(forked=False, dead=False)
    second.open()
    assert second.revision == 0
    second.close()


def test_an_upgrade_that_another_process_made_meanwhile_is_not_made_again(storage: SqliteStorage) -> None:
    class Slow:
        """A connection whose first look at the version comes before the other process, and its second one after."""

        asked = 0

        def pragma(self, name: str) -> int:
            self.asked += 1
            return 1 if self.asked == 1 else 2

        def execute(self, text: str) -> None:
            assert text in ("BEGIN IMMEDIATE", "COMMIT")

    storage._at._upgrade(Slow())  # type: ignore[arg-type]  # stands in for it


def test_of_two_threads_that_close_one_does(path: Path) -> None:
    storage = SqliteStorage(path)
    storage.open()
    put(storage, "a")
    storage.close()
    storage._close()  # as the second thread finds it when its turn comes
    with pytest.raises(Closed):
        _ = storage._at.writer


@pytest.mark.parametrize("transactions", [1, 2, 5])
def test_the_last_transaction_of_a_log_is_written_again_as_it_was(
    storage: SqliteStorage, path: Path, transactions: int
) -> None:
    wal = Path(f"{path}-wal")
    put(storage, "a")
    storage.compact()
    assert write_again(wal) == 0
    for n in range(transactions):
        put(storage, f"i{n}")
    before = wal.read_bytes()
    frames = (len(before) - 32) // (PAGE_BYTES + 24)
    assert 0 < write_again(wal) <= frames / transactions + 3
    assert wal.read_bytes() == before
    writer(storage).wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    put(storage, "over the older frames")
    before = wal.read_bytes()
    assert len(before) >= 32 + frames * (PAGE_BYTES + 24)
    assert write_again(wal) > 0
    assert wal.read_bytes() == before
    storage.close()
    assert write_again(wal) == 0
    storage.open()
    assert list(storage.verify()) == []


def test_many_that_open_a_new_file_at_once_all_start(path: Path) -> None:
    several = [SqliteStorage(path, f"graph {n % 2}") for n in range(8)]
    errors: list[BaseException] = []

    def start(storage: SqliteStorage) -> None:
        try:
            storage.open()
            put(storage, "a")
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=start, args=(storage,)) for storage in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert several[0].graphs() == ["graph 0", "graph 1"]
    assert {storage.revision for storage in several} == {4}
    for storage in several:
        storage.close()


# --- read-only, closed, forked ---------------------------------------------------------------------


def test_read_only_reads_and_refuses_to_write(storage: SqliteStorage, path: Path) -> None:
    put(storage, "a")
    reader = SqliteStorage(path, read_only=True)
    reader.open()
    assert (ids(reader), reader.facts()["read_only"]) == (["a"], True)
    put(storage, "b")
    assert ids(reader) == ["a", "b"]
    for write in (lambda: put(reader, "c"), lambda: reader.apply_all([a_batch()]), reader.compact):
        with pytest.raises(ReadOnly):
            write()
    assert list(reader.verify()) == []
    reader.close()
    with pytest.raises(Unavailable, match="no graph"):
        SqliteStorage(path, "absent", read_only=True).open()
    assert storage.graphs() == ["default"]


def test_a_forked_child_must_open_it_again(storage: SqliteStorage, path: Path) -> None:
    put(storage, "a")
    child = os.fork()
    if child == 0:  # pragma: no cover  (another process; its exit status tells)
        code = 1
        try:
            storage.fetch(["a"])
        except Closed as error:
            storage.close()
            again = SqliteStorage(path)
            again.open()
            put(again, "b")
            again.close()
            code = 0 if "open the store again" in error.hint else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ids(storage) == ["a", "b"]
    put(storage, "c")


def test_a_store_marked_as_forked_lets_nothing_go(path: Path) -> None:
    storage = SqliteStorage(path)
    storage.open()
    put(storage, "a")
    kept = list(storage._at._all)
    storage.forked()
    for call in (lambda: storage.fetch(["a"]), lambda: put(storage, "b"), lambda: storage.revision):
        with pytest.raises(Closed):
            call()
    storage.close()
    assert kept[0].execute("SELECT 1").get == 1
    for connection in kept:
        connection.close()


def test_closing_while_another_thread_reads_is_said_plainly(storage: SqliteStorage) -> None:
    put(storage, "a")
    with pytest.raises(Closed), storage._reading() as connection:
        storage.close()
        connection.execute("SELECT 1")


# --- faults ----------------------------------------------------------------------------------------


def test_every_member_says_in_our_words_that_the_driver_failed(path: Path) -> None:
    def broken(flags: int) -> apsw.Connection:
        raise apsw.IOError("disk I/O error")

    def breaks(storage: Any) -> None:
        for connection in storage._at._all:
            connection.close()
        storage._at.idle.clear()
        storage._at._connect = broken

    found = break_driver(lambda: SqliteStorage(path), breaks)
    assert isinstance(found["fetch"], Unavailable)


def test_a_held_write_lock_is_busy_and_reads_go_on(storage: SqliteStorage, path: Path) -> None:
    put(storage, "a")
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy) as refused:
        put(storage, "b")
    assert refused.value.retry
    assert ids(storage) == ["a"]
    holder.execute("ROLLBACK")
    holder.close()
    put(storage, "b")


def test_a_full_disk_takes_nothing_and_writing_resumes(storage: SqliteStorage) -> None:
    put(storage, "a")
    pages = writer(storage).pragma("page_count")
    writer(storage).pragma("max_page_count", pages)
    with pytest.raises(Full):
        put(storage, an_intent("b", original_request="x" * 100_000))
    assert (ids(storage), storage.revision) == (["a"], 1)
    writer(storage).pragma("max_page_count", 10**9)
    put(storage, "b")
    assert list(storage.verify()) == []


def test_after_a_failed_commit_nothing_is_acknowledged_until_reopened(storage: SqliteStorage) -> None:
    put(storage, "a")
    fail(storage, "COMMIT", apsw.IOError("disk I/O error"))
    with pytest.raises(Unavailable) as failed:
        put(storage, "b")
    assert failed.value.outcome == "unknown"
    mend(storage)
    for write in (lambda: put(storage, "c"), lambda: storage.apply_all([a_batch()]), storage.compact):
        with pytest.raises(ReadOnly) as refused:
            write()
        assert isinstance(refused.value.__cause__, Unavailable)
    assert ids(storage) == ["a"]
    assert storage.facts()["read_only"] is True
    assert "disk I/O" in storage.facts()["failed"]
    storage.close()
    storage.open()
    put(storage, "c")
    assert ids(storage) == ["a", "c"]


def test_a_driver_error_while_settling_fails_the_whole_group(storage: SqliteStorage) -> None:
    fail(storage, "SELECT key, body", apsw.CorruptError("database disk image is malformed"))
    with pytest.raises(Corrupt):
        put(storage, "a")
    mend(storage)
    with pytest.raises(ReadOnly):
        put(storage, "a")


def test_a_roll_back_that_fails_kills_the_handle(storage: SqliteStorage) -> None:
    class Sulking(Failing):
        def execute(self, text: str, *values: Any) -> Any:
            if text == "ROLLBACK":
                raise apsw.IOError("disk I/O error")
            return super().execute(text, *values)

    storage._at._writer = Sulking(writer(storage), "COMMIT", apsw.FullError("full"))  # type: ignore[assignment]
    with pytest.raises(Full):
        put(storage, "a")
    mend(storage)
    with pytest.raises(ReadOnly):
        put(storage, "a")


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (apsw.NotADBError, Corrupt),
        (apsw.LockedError, Busy),
        (apsw.ReadOnlyError, ReadOnly),
        (apsw.CantOpenError, Unavailable),
        (apsw.MisuseError, StorageError),
        (apsw.ConnectionClosedError, StorageError),
    ],
)
def test_each_driver_error_has_its_word(storage: SqliteStorage, error: type[apsw.Error], ours: type) -> None:
    found = storage._at.storage_error(error("so it is"), "reading")
    assert type(found) is ours
    assert found.hint


def test_an_interrupted_guard_leaves_no_trace(storage: SqliteStorage) -> None:
    def guard(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.apply(a_batch(Put(intent=an_intent("a"))), guard=guard)
    assert ids(storage) == []
    put(storage, "b")


# --- rows and log ----------------------------------------------------------------------------------


def test_an_intent_made_and_dropped_in_one_batch_leaves_a_grave(storage: SqliteStorage) -> None:
    put(storage, "z")
    edge = Edge(source="a", type=EdgeType.BLOCKS, target="z")
    storage.apply(a_batch(Put(intent=an_intent("a", labels=["x"])), Link(edge=edge), Drop(id="a")))
    assert [type(entry.change) for entry in storage.trail("a")] == [Put, Link, Unlink, Drop]
    put(storage, an_intent("a", labels=["y"]))
    link(storage, ("a", "blocks", "z"))
    put(storage, an_intent("a", labels=["y", "w"]))
    storage.apply(a_batch(Note(id="a", text="seen")))
    storage.apply(a_batch(Drop(id="a")))
    assert list(storage.verify()) == []


def test_text_that_cannot_be_stored_is_never_there(storage: SqliteStorage) -> None:
    put(storage, "a")
    bad = "\ud800"
    assert storage.fetch([bad]) == [None]
    assert storage.fetch([bad, "a", "a"]) == [None, one(storage, "a"), one(storage, "a")]
    assert (storage.commit(bad), storage.trail(bad), storage.neighbours([bad], Walk())) == (None, [], [])


def test_log_reading_holds_no_snapshot_while_suspended(storage: SqliteStorage) -> None:
    for n in range(70):
        put(storage, f"i{n}")
    reading = storage.entries()
    assert next(reading).revision == 1
    put(storage, "more")
    storage.compact()  # VACUUM and the WAL's truncation need everyone's snapshot gone
    assert not Path(f"{storage._path}-wal").stat().st_size
    assert [commit.revision for commit in reading] == list(range(2, 71))


def test_a_log_that_lost_its_end_stops(storage: SqliteStorage) -> None:
    put(storage, "a")
    assert list(storage._commits(0, 5)) == list(storage.entries())


def test_a_trail_with_a_hole_is_corrupt(storage: SqliteStorage, path: Path) -> None:
    put(storage, "a")
    poke(path, "DELETE FROM commits")
    with pytest.raises(Corrupt):
        storage.trail("a")


def test_an_unknown_statement_is_a_programming_mistake() -> None:
    with pytest.raises(AttributeError, match="nonesuch"):
        _ = Statements(1).nonesuch


def test_lists_by_status_use_their_index(storage: SqliteStorage) -> None:
    for sort in ("created_at", "-created_at", "updated_at", "-updated_at", "-priority"):
        asked = Asked(1)
        text = selecting(IntentFilter(status=frozenset({"active"})), Page(sort=Sort.parse(sort)), asked)  # type: ignore[arg-type]
        plan = " ".join(row[3] for row in rows(writer(storage), f"EXPLAIN QUERY PLAN {text}", asked.values))
        assert f"intents_by_{sort.lstrip('-').removesuffix('_at')}" in plan
        assert "TEMP B-TREE" not in plan.replace("USE TEMP B-TREE FOR LAST TERM", ""), plan


def test_relevance_to_no_word_is_the_same_for_all(storage: SqliteStorage) -> None:
    put(storage, "b", "a")
    for sort in ("relevance", "-relevance"):
        assert ids(storage, IntentFilter(text="?!"), sort) == ["a", "b"]


def test_compacting_beside_a_reader_is_harmless(storage: SqliteStorage, path: Path) -> None:
    put(storage, "a")
    other = apsw.Connection(str(path))
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM intents")
    assert storage.compact()["bytes_before"] > 0
    other.close()
    assert ids(storage) == ["a"]


# --- verify ----------------------------------------------------------------------------------------

DAMAGE = {
    "UPDATE intents SET body = replace(body, 'Reach a', 'Reach z') WHERE id = 'a'": "differs from what the log says",
    "UPDATE intents SET priority = 7 WHERE id = 'a'": "columns differ",
    "UPDATE intents SET hash = 'x' WHERE id = 'a'": "chain ends elsewhere",
    "UPDATE intents SET body = 'x' WHERE id = 'a'": "cannot be read",
    "DELETE FROM intents WHERE id = 'a'": "is in the log but not in the tables",
    "INSERT INTO intents SELECT 99, graph, 'q', status, 1, 1, 1, 1, 'h', NULL, NULL, NULL, NULL, goal, body, 0, 0"
    " FROM intents"
    " WHERE id = 'a'": "is in the tables but not in the log",
    "UPDATE intents SET body = CAST(x'ff41' AS TEXT) WHERE id = 'a'": "'utf-8' codec can't decode",
    "UPDATE intents SET waits = waits + 1 WHERE id = 'a'": "are miscounted",
    "UPDATE intents SET below = below - 1 WHERE id = 'a'": "are miscounted",
    "DELETE FROM labels": "its labels differ",
    "INSERT INTO labels VALUES (1, 'more', 99)": "belong to no intent",
    "DELETE FROM fts_1 WHERE rowid = 1": "word index",
    "UPDATE edges SET type = 'enables' WHERE source = 'a'": "columns differ",
    "DELETE FROM intents WHERE id = 'b'": "has no intent b",
    "UPDATE graves SET head = 9": "chain ends elsewhere",
    "UPDATE commits SET body = replace(body, 'Reach b', 'Reach y') WHERE key & 0xff = 1": "does not match its hash",
    "UPDATE commits SET id = 'other' WHERE key & 0xff = 1": "is kept as",
    "DELETE FROM commits WHERE key & 0xff = 2": "continues revision",
    """UPDATE definitions SET body = replace(body, '1', '2')""": "differs from what the log says",
    "UPDATE definitions SET head = 9": "chain ends elsewhere",
    "DELETE FROM definitions": "in the log but not in the tables",
    "INSERT INTO definitions VALUES (1, 'forged', 1, '', '')": "differs from what the log says",
    "UPDATE commits SET body = 'x' WHERE key & 0xff = 1": "cannot be read",
}


@pytest.mark.parametrize(("statement", "said"), DAMAGE.items(), ids=range(len(DAMAGE)))
def test_verify_names_what_was_changed_behind_its_back(
    storage: SqliteStorage, path: Path, statement: str, said: str
) -> None:
    put(storage, an_intent("a", labels=["x"]), "b", "c")
    link(storage, ("a", "blocks", "b"), ("b", "related_to", "c"))
    storage.apply(a_batch(Note(id="a", text="seen"), Drop(id="c"), Define(name="p", value=Map({"n": 1}))))
    assert list(storage.verify()) == []
    poke(path, statement)
    assert any(said in problem.what for problem in storage.verify())


def test_verify_reports_a_damaged_page(storage: SqliteStorage, path: Path) -> None:
    put(storage, *(f"i{n}" for n in range(200)))
    storage.compact()
    storage.close()
    root = _root(path, "intents_by_id")
    data = bytearray(path.read_bytes())
    data[(root - 1) * PAGE_BYTES : root * PAGE_BYTES] = bytes(PAGE_BYTES)
    path.write_bytes(data)
    storage.open()
    assert list(storage.verify())
    storage.close()


def test_verify_reports_what_cannot_be_read_at_all(storage: SqliteStorage, path: Path) -> None:
    put(storage, "a")
    storage.compact()
    storage.close()
    root = _root(path, "commits")
    data = bytearray(path.read_bytes())
    data[(root - 1) * PAGE_BYTES : root * PAGE_BYTES] = b"\xff" * PAGE_BYTES
    path.write_bytes(data)
    storage.open()
    assert "sqlite" in {problem.where for problem in storage.verify()}
    storage.close()


def _root(path: Path, name: str) -> int:
    connection = apsw.Connection(str(path))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).get
    connection.close()
    return int(root)


# --- threads ---------------------------------------------------------------------------------------


def test_readers_and_writers_share_it(storage: SqliteStorage) -> None:
    put(storage, "a")
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(200):
                assert one(storage, "a").id == "a"
                assert storage.count(EVERYTHING)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(30):
        put(storage, f"w{n}")
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(storage._at._all) <= 7


def test_a_group_with_nothing_to_write_writes_nothing(storage: SqliteStorage) -> None:
    with pytest.raises(IntentMissing):
        storage.apply_all([a_batch(Drop(id="x"))])
    assert state(storage) == ({}, {})
    assert ids(storage, IntentFilter(has_edge=HasEdge(types=frozenset({"blocks"})))) == []


def test_the_header_bears_our_mark(storage: SqliteStorage, path: Path) -> None:
    storage.close()
    assert int.from_bytes(path.read_bytes()[68:72], "big") == APPLICATION_ID


def test_a_log_whose_keys_go_back_is_named_and_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = SqliteStorage(tmp_path / "goals.db")
    storage.open()
    for n in range(3):
        put(storage, f"a{n}")
    monkeypatch.setattr(
        storage._sql, "commits_after", "SELECT key & 1, id, body FROM commits WHERE ?1 >= 0 AND ?2 > 0 ORDER BY key"
    )
    with pytest.raises(Corrupt, match="goes back"):
        list(storage.entries())
    assert any("goes back" in problem.what for problem in storage.verify())
    storage.close()


@pytest.mark.parametrize("value", ["NULL", "CAST(x'ff22' AS TEXT)", "CAST(x'7b22ff227d' AS TEXT)"])
@pytest.mark.parametrize("table", ["intents", "commits", "edges"])
def test_a_text_that_is_none_is_damage_with_its_place(tmp_path: Path, value: str, table: str) -> None:
    path = tmp_path / "goals.db"
    storage = SqliteStorage(path)
    storage.open()
    put(storage, "a", "b")
    link(storage, ("a", "blocks", "b"))
    storage.close()
    connection = apsw.Connection(str(path))
    connection.pragma("writable_schema", 1)
    connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'body TEXT NOT NULL', 'body TEXT')")
    connection.close()
    connection = apsw.Connection(str(path))
    connection.execute(f"UPDATE {table} SET body = {value}")
    connection.close()
    storage.open()
    assert list(storage.verify())
    with pytest.raises(Corrupt):
        for ask in (storage.entries, lambda: storage.fetch(["a"]), lambda: storage.neighbours(["a"], Walk())):
            list(ask())
    storage.close()


def test_the_statement_for_any_database_gives_the_same_edges(tmp_path: Path) -> None:
    with open_graph(f"sqlite:{tmp_path / 'goals.db'}") as graph:
        for id in "abcd":
            graph.store(Intent(id=id, goal=id))
        for source, type, target in (("a", "blocks", "b"), ("c", "related_to", "a"), ("b", "depends_on", "c")):
            graph.link(source, type, target)
        storage: Any = graph.storage
        connection = storage._at.reader()
        for direction in Direction:
            for types in ((), ("blocks", "related_to"), ("depends_on",)):
                walk, asked = Walk(types=frozenset(types), direction=direction), Asked(1)
                found = connection.execute(neighbours(["a", "b"], walk, asked), asked.values).fetchall()
                assert [row[:3] for row in found] == [edge.key for edge in graph.edges_of(["a", "b"], walk)]
        storage._at.give_back(connection)


def test_text_that_is_no_text_is_damage(tmp_path: Path) -> None:
    with open_graph(f"sqlite:{tmp_path / 'goals.db'}") as graph:
        graph.store(Intent(id="a", goal="a"))
    connection = apsw.Connection(str(tmp_path / "goals.db"))
    connection.execute("UPDATE intents SET body = CAST(x'ff41' AS TEXT)")
    connection.close()
    with open_graph(f"sqlite:{tmp_path / 'goals.db'}") as graph, pytest.raises(Corrupt, match="is no text"):
        graph.fetch(["a", "b"])
