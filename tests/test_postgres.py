"""What is PostgreSQL's alone: its URL and schema, its locks, the order of its log, its refusals."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors as said

from intentstore import IntentGraph, Postgres, open_graph
from intentstore.cli import main
from intentstore.graph.traverse import refuse_cycles
from intentstore.ground.change import Change, Commit, Define, Drop, Link, Note, Put, Unlink
from intentstore.ground.errors import (
    Busy,
    Closed,
    Conflict,
    Corrupt,
    CycleRefused,
    FieldInvalid,
    Full,
    IntentMissing,
    ReadOnly,
    StorageError,
    TooNew,
    Unavailable,
    Unsupported,
)
from intentstore.ground.protocol import Reader
from intentstore.ground.query import EVERYTHING, IntentFilter, Page, Sort, Walk
from intentstore.ground.search import parse
from intentstore.ground.types import Edge, EdgeType
from intentstore.ground.values import Map
from intentstore.storage.choose import choose, shown
from intentstore.storage.memory import MemoryStorage
from intentstore.storage.postgres import PostgresStorage, bell, exchange, feed, schema, statements, storage, writing
from intentstore.storage.postgres.errors import Outrun
from intentstore.storage.postgres.place import read_place
from intentstore.storage.postgres.rows import array
from intentstore.storage.postgres.state import State
from intentstore.testing.samples import HOSTILE, NOON, a_batch, an_intent, copy_log, edges, ids, link, one, put, state
from intentstore.testing.writing import at_once
from tests.postgres_server import Places, new_database

PLACES = Places()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return PLACES.url(tmp_path)


@pytest.fixture
def storage_(url: str) -> Iterator[PostgresStorage]:
    storage = PostgresStorage(url, timeout_s=5)
    storage.open()
    yield storage
    storage.close()


@pytest.fixture
def admin(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def other(url: str) -> Iterator[PostgresStorage]:
    storage = PostgresStorage(url, timeout_s=5)
    storage.open()
    yield storage
    storage.close()


class Held:
    """A write that stops inside its transaction, in a thread of its own, until it is told to go on."""

    def __init__(self, storage: PostgresStorage, *changes: Change, id: str = "held") -> None:
        self.inside, self.on = threading.Event(), threading.Event()
        self.result: Commit | BaseException | None = None
        self._work = storage, a_batch(*changes, id=id)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self.inside.wait(10), self.result

    def _run(self) -> None:
        storage, batch = self._work
        try:
            self.result = storage.apply(batch, guard=self._guard)
        except BaseException as error:  # noqa: BLE001  looked at by the test
            self.result = error
            self.inside.set()

    def _guard(self, _before: Reader, _after: Reader, _changes: Sequence[Change]) -> None:
        self.inside.set()
        assert self.on.wait(20)

    def finish(self) -> Commit | BaseException | None:
        self.on.set()
        self._thread.join(20)
        return self.result


# --- where it is ------------------------------------------------------------------------------------


def test_our_options_are_taken_out_of_the_url_and_the_rest_is_libpqs() -> None:
    place = read_place(
        "postgresql://planner:geheim@one,two:6432/goals?pooler=transaction&timeout_s=2.5&pool_size=3&sslmode=disable",
        read_only=False, timeout_s=None, pool_size=None, pooler=None,
    )  # fmt: skip
    assert (place.pooler, place.timeout_s, place.pool_size) == ("transaction", 2.5, 3)
    assert "pooler" not in place.conninfo
    assert "sslmode=disable" in place.conninfo
    assert "target_session_attrs=read-write" in place.conninfo
    assert place.shown == "postgresql://planner@one:5432,two:6432/goals" or "two:6432" in place.shown
    assert "geheim" not in repr(place) + str(place.__rich_repr__())
    reading = read_place("host=a,b dbname=g", read_only=True, timeout_s=1, pool_size=2, pooler="session")
    assert "target_session_attrs=prefer-standby" in reading.conninfo
    assert (reading.timeout_s, reading.pool_size, reading.shown) == (1, 2, "postgresql://a,b/g")


@pytest.mark.parametrize(
    "bad",
    [
        "postgresql://planner:ge%zzheim@db/goals",
        "postgresql://planner:geheim@db/goals?geheim=geheim",
        "host=db geheim",
        "postgresql://planner:x@geheim@db/goals",
        "postgresql://planner:12/geheim@db/goals",
        "postgresql://planner:geheim@db:geheim/goals?x=1",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_a_piece_of_it(bad: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        PostgresStorage(bad)
    assert refused.value.hint
    assert "geheim" not in f"{refused.value} {refused.value.hint} {refused.value.fields}"
    assert refused.value.__cause__ is None is refused.value.__context__


@pytest.mark.parametrize("bad", ["pooler=statement", "timeout_s=soon", "timeout_s=0", "pool_size=-1"])
def test_an_option_of_ours_that_makes_no_sense_is_refused(bad: str) -> None:
    with pytest.raises(FieldInvalid, match=bad.partition("=")[0]):
        PostgresStorage(f"postgresql://db/goals?{bad}")


def test_no_password_is_printed() -> None:
    config = Postgres("postgresql://planner:geheim@db/goals?sslpassword=geheim")
    assert repr(config) == "Postgres('postgresql://planner:***@db/goals?sslpassword=***')"
    assert "heim" not in str(config.__rich_repr__())
    assert shown("host=db password='a b' user=x") == "host=db password=*** user=x"
    assert shown("postgresql://planner:ge@h/eim@db/goals") == "postgresql://planner:***@db/goals"
    assert shown("sqlite:goals.db") == "sqlite:goals.db"
    assert "heim" not in repr(choose(config, graph="g", read_only=False, create=True, durability="full"))


def test_without_its_driver_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("intentstore.storage.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Unsupported) as refused:
        open_graph("postgresql://db/goals")
    assert "pip install 'intentstore[postgres]'" in refused.value.hint


def test_another_failing_import_is_not_taken_for_a_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("intentstore.storage.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "intentstore.storage.sql_query", None)
    with pytest.raises(ImportError, match="sql_query"):
        open_graph("postgresql://db/goals")


# --- the schema -------------------------------------------------------------------------------------


def test_a_new_database_gets_the_schema_once(url: str, admin: psycopg.Connection[Any]) -> None:
    admin.execute("DROP SCHEMA IF EXISTS intentstore CASCADE")
    with pytest.raises(Unavailable, match="no schema"):
        PostgresStorage(url, create=False).open()
    with pytest.raises(Unavailable, match="no schema"):
        PostgresStorage(url, read_only=True).open()
    at_once(lambda _: open_graph(url).close(), 6)
    rows = admin.execute("SELECT version FROM intentstore.about").fetchall()
    assert rows == [(version,) for version in range(1, schema.VERSION + 1)] or rows == [(schema.VERSION,)]


def test_a_schema_that_its_owner_made_empty_is_filled(url: str, admin: psycopg.Connection[Any]) -> None:
    admin.execute("DROP SCHEMA IF EXISTS intentstore CASCADE")
    admin.execute("CREATE SCHEMA intentstore")
    with open_graph(url) as graph:
        assert graph.revision == 0


def test_a_newer_schema_is_not_touched(url: str, admin: psycopg.Connection[Any]) -> None:
    open_graph(url).close()
    admin.execute("INSERT INTO intentstore.about (version) VALUES (999)")
    try:
        with pytest.raises(TooNew, match="999"):
            open_graph(url)
    finally:
        admin.execute("DELETE FROM intentstore.about WHERE version = 999")


def test_a_schema_that_is_half_made_is_named(url: str, admin: psycopg.Connection[Any]) -> None:
    open_graph(url).close()
    admin.execute("DELETE FROM intentstore.about")
    with pytest.raises(Corrupt, match="version"):
        open_graph(url)
    admin.execute("DROP TABLE intentstore.about")
    with pytest.raises(Corrupt, match="tables but no version"):
        open_graph(url)
    admin.execute("DROP SCHEMA intentstore CASCADE")
    open_graph(url).close()
    admin.execute("ALTER TABLE intentstore.commits RENAME TO gone")
    try:
        with open_graph(url) as graph, pytest.raises(Corrupt, match=r"commits") as refused:
            assert graph.revision
        assert "not whole" in refused.value.hint
    finally:
        admin.execute("DROP SCHEMA intentstore CASCADE")


def test_a_schema_that_cannot_be_made_is_left_as_it_was(
    url: str, admin: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    admin.execute("DROP SCHEMA IF EXISTS intentstore CASCADE")
    monkeypatch.setattr(schema, "steps", lambda *_: ["CREATE SCHEMA intentstore", "SELECT 1/0"])
    with pytest.raises(StorageError, match="division by zero"):
        open_graph(url)
    assert admin.execute("SELECT to_regnamespace('intentstore')").fetchone() == (None,)


def test_an_older_schema_is_brought_forward_once_or_named(
    url: str, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_graph(url).close()
    (tmp_path / "migrations").mkdir()
    number = schema.VERSION + 1
    (tmp_path / "migrations" / f"{number:03}.sql").write_text(
        f"CREATE TABLE intentstore.later (n int); INSERT INTO intentstore.about (version) VALUES ({number});"
    )
    monkeypatch.setattr(schema, "VERSION", number)
    monkeypatch.setattr(schema, "_HERE", tmp_path)
    with pytest.raises(Unavailable, match="older"):
        open_graph(url, read_only=True)
    at_once(lambda _: open_graph(url).close(), 4)
    assert admin.execute("SELECT max(version) FROM intentstore.about").fetchone() == (number,)
    admin.execute("DROP SCHEMA intentstore CASCADE")


def test_a_migrated_schema_is_the_same_as_a_fresh_one(url: str, admin: psycopg.Connection[Any]) -> None:
    here = Path(schema.__file__).parent
    admin.execute("DROP SCHEMA IF EXISTS intentstore CASCADE")
    open_graph(url).close()
    fresh = _catalogue(admin)
    admin.execute("DROP SCHEMA intentstore CASCADE")
    admin.execute("CREATE SCHEMA intentstore")
    admin.execute((Path(__file__).parent / "golden" / "postgres-1.sql").read_text())
    with open_graph(url) as graph:
        assert graph.verify().ok
        assert len(graph.history("a")) == 13
        assert len(graph.storage.trail("b")) == 7
        assert next(graph.entries()).id == "first"
        put(graph.storage, an_intent("a", "Goes on"))
        assert graph.verify().ok
    assert _catalogue(admin) == fresh
    assert sorted(path.name for path in (here / "migrations").iterdir()) == [
        f"{number:03}.sql" for number in range(2, schema.VERSION + 1)
    ]


def _catalogue(admin: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Returns every relation, column, index and constraint of the schema, as PostgreSQL writes them."""
    return admin.execute(
        """
        SELECT 'relation', c.relname, c.relkind::text, c.reloptions::text, '' FROM pg_class c
        WHERE c.relnamespace = 'intentstore'::regnamespace AND c.relkind IN ('r', 'v', 'S')
        UNION ALL
        SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
            concat_ws(' ', a.attnotnull, a.attcollation::regcollation, a.attstorage, a.attcompression, a.attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'intentstore'::regnamespace AND a.attnum > 0 AND c.relkind IN ('r', 'v')
        UNION ALL SELECT 'index', tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'intentstore'
        UNION ALL SELECT 'view', viewname, definition, '', '' FROM pg_views WHERE schemaname = 'intentstore'
        UNION ALL
        SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '' FROM pg_constraint
        WHERE connamespace = 'intentstore'::regnamespace
        ORDER BY 1, 2, 3, 4, 5
        """
    ).fetchall()


def test_a_server_that_is_too_old_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "OLDEST", 10**7)
    with pytest.raises(Unavailable, match="PostgreSQL"):
        open_graph(url)


def test_two_names_with_one_key_are_told_apart(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "number", lambda purpose, name: 77)
    open_graph(url, graph="a").close()
    with pytest.raises(StorageError, match="share a key"):
        open_graph(url, graph="b")


# --- rights -----------------------------------------------------------------------------------------


@pytest.fixture
def role(url: str, admin: psycopg.Connection[Any]) -> Iterator[Callable[[str], str]]:
    """Makes a role of this name that may connect and nothing else; returns its URL."""
    made: list[str] = []

    def make(name: str) -> str:
        whole = f"{name}_{admin.info.dbname}"
        admin.execute(f"CREATE ROLE {whole} LOGIN")
        made.append(whole)
        return re.sub(r"user=\w+", f"user={whole}", url)

    yield make
    admin.execute("DROP SCHEMA IF EXISTS intentstore CASCADE")
    for name in made:
        admin.execute(f"DROP OWNED BY {name}")
        admin.execute(f"DROP ROLE {name}")


def test_a_role_that_owns_nothing_but_its_schema_is_enough(
    url: str, admin: psycopg.Connection[Any], role: Callable[[str], str]
) -> None:
    admin.execute("DROP SCHEMA IF EXISTS intentstore CASCADE")
    mine = role("owner")
    with pytest.raises(ReadOnly, match="denied") as refused:
        open_graph(mine)
    assert "grant" in refused.value.hint
    admin.execute(f"CREATE SCHEMA intentstore AUTHORIZATION owner_{admin.info.dbname}")
    with open_graph(mine) as graph:
        put(graph.storage, "a")
        assert graph.verify().ok
        assert graph.health()["status"] == "ok"


def test_a_role_that_may_only_read_reads(url: str, admin: psycopg.Connection[Any], role: Callable[[str], str]) -> None:
    with open_graph(url) as graph:
        made = put(graph.storage, "a")
    mine = role("reader")
    with pytest.raises(StorageError, match="denied"):
        open_graph(mine, read_only=True)
    name = f"reader_{admin.info.dbname}"
    admin.execute(
        f"GRANT USAGE ON SCHEMA intentstore TO {name}; GRANT SELECT ON ALL TABLES IN SCHEMA intentstore TO {name}"
    )
    with open_graph(mine, read_only=True) as graph:
        assert graph.get("a") is not None
        assert list(graph.entries()) == [made]
        assert graph.verify().ok
        with pytest.raises(ReadOnly):
            put(graph.storage, "b")
        with pytest.raises(ReadOnly):
            graph.compact()
        assert isinstance(graph.storage, PostgresStorage)
        assert graph.storage.wait(0, 1)
        assert not graph.storage.wait(made.revision, 0.03)
    with open_graph(mine) as graph, pytest.raises(ReadOnly, match="denied"):
        put(graph.storage, "b")
    with pytest.raises(Unavailable, match="no graph 'nowhere'"):
        open_graph(mine, graph="nowhere", read_only=True)


# --- who waits for whom -----------------------------------------------------------------------------


def test_commits_that_touch_no_edge_never_wait_for_each_other(
    storage_: PostgresStorage, other: PostgresStorage
) -> None:
    put(storage_, "a", "b")
    held = Held(storage_, Put(intent=an_intent("a", "Slowly")))
    made = put(other, an_intent("b", "Meanwhile"), "c")
    assert held.result is None
    slow = held.finish()
    assert isinstance(slow, Commit)
    assert slow.revision < made.revision
    assert list(other.verify()) == []


def test_commits_that_touch_no_edge_do_not_wait_for_one_that_does(
    storage_: PostgresStorage, other: PostgresStorage
) -> None:
    put(storage_, "a", "b")
    held = Held(storage_, Link(edge=Edge(source="a", type=EdgeType.BLOCKS, target="b")))
    put(storage_, "c")
    put(other, an_intent("a", "Meanwhile"))
    assert held.result is None
    assert isinstance(held.finish(), Commit)
    assert [edge.key for edge in edges(storage_)] == [("a", "blocks", "b")]
    assert list(other.verify()) == []


def test_of_two_that_together_would_close_a_cycle_one_is_refused(
    storage_: PostgresStorage, other: PostgresStorage
) -> None:
    for round in range(6):
        names = [f"{round}{name}" for name in "abcd"]
        put(storage_, *names)
        ties = [(names[0], names[1], storage_), (names[1], names[2], other), (names[2], names[0], storage_)]

        def tie(at: int, ties: Any = ties) -> str:
            source, target, where = ties[at]
            try:
                edge = Edge(source=source, type=EdgeType.DEPENDS_ON, target=target)
                where.apply(a_batch(Link(edge=edge)), guard=refuse_cycles)
            except CycleRefused:
                return "refused"
            return "linked"

        assert sorted(at_once(tie, 3)) == ["linked", "linked", "refused"]
    assert list(storage_.verify()) == []


def test_an_edge_and_the_deletion_of_its_end_do_not_both_happen(
    storage_: PostgresStorage, other: PostgresStorage
) -> None:
    for round in range(8):
        a, b = f"a{round}", f"b{round}"
        put(storage_, a, b)

        def act(at: int, a: str = a, b: str = b) -> bool:
            change = Drop(id=b) if at else Link(edge=Edge(source=a, type=EdgeType.ENABLES, target=b))
            try:
                (other if at else storage_).apply(a_batch(change))
            except IntentMissing:
                return False
            return True

        linked, dropped = at_once(act, 2)
        assert dropped
        assert storage_.fetch([b]) == [None]
        assert storage_.neighbours([a, b], Walk()) == []
        kinds = [type(entry.change) for entry in storage_.trail(b)]
        assert kinds == ([Put, Link, Unlink, Drop] if linked else [Put, Drop])
    assert list(storage_.verify()) == []


def test_a_guard_may_rely_on_what_it_read(storage_: PostgresStorage, other: PostgresStorage) -> None:
    put(storage_, "a", "b", "c")
    link(storage_, ("b", "blocks", "c"))
    read = threading.Event()
    on = threading.Event()

    def guard(before: Reader, _after: Reader, _changes: Sequence[Change]) -> None:
        assert [each and each.goal for each in before.fetch(["b", "c"])] == ["Reach b", "Reach c"]
        assert [edge.key for edge in before.neighbours(["b"], Walk())] == [("b", "blocks", "c")]
        assert before.fetch(["b"]) != [None]
        read.set()
        assert on.wait(20)

    told: list[str] = []

    def careful() -> None:
        storage_.apply(a_batch(Put(intent=an_intent("a", "Because of b"))), guard=guard)
        told.append("careful")

    def change() -> None:
        put(other, an_intent("b", "Changed"))
        told.append("changed")

    def unlink() -> None:
        other.apply(a_batch(Unlink(source="b", type=EdgeType.BLOCKS, target="c")))
        told.append("unlinked")

    first = threading.Thread(target=careful)
    first.start()
    assert read.wait(10)
    others = [threading.Thread(target=change), threading.Thread(target=unlink)]
    for thread in others:
        thread.start()
    time.sleep(0.1)
    assert told == []
    on.set()
    for thread in (first, *others):
        thread.join(20)
    assert sorted(told) == ["careful", "changed", "unlinked"]
    assert list(storage_.verify()) == []


def test_a_guard_may_rely_on_definitions(storage_: PostgresStorage, other: PostgresStorage) -> None:
    put(storage_, "a")
    other.apply(a_batch(Define(name="policy", value=Map({"n": 1}))))
    held = Held(storage_, Put(intent=an_intent("a", "As the policy allows")))
    held.on.set()
    assert isinstance(held.finish(), Commit)
    read, on, told = threading.Event(), threading.Event(), list[str]()

    def guard(before: Reader, _after: Reader, _changes: Sequence[Change]) -> None:
        assert before.definitions("pol") == {"policy": {"n": 1}} == before.definitions()
        read.set()
        assert on.wait(20)

    def careful() -> None:
        storage_.apply(a_batch(Put(intent=an_intent("a", "Still allowed"))), guard=guard)
        told.append("careful")

    def redefine() -> None:
        other.apply(a_batch(Define(name="policy", value=Map({"n": 2}))))
        told.append("redefined")

    threads = [threading.Thread(target=careful), threading.Thread(target=redefine)]
    threads[0].start()
    assert read.wait(10)
    threads[1].start()
    put(other, "b")  # which asks nothing of definitions, waits for nobody
    time.sleep(0.05)
    assert told == []
    on.set()
    for thread in threads:
        thread.join(20)
    assert sorted(told) == ["careful", "redefined"]
    assert list(storage_.verify()) == []


def test_what_is_kept_aside_survives_a_connection_that_dies(
    storage_: PostgresStorage, admin: psycopg.Connection[Any]
) -> None:
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    storage_.keep("s", {"a": b"1"})
    admin.execute(end)
    storage_.keep("s", {"a": b"2", "b": b"3"})
    admin.execute(end)
    assert storage_.kept("s") == {"a": b"2", "b": b"3"}
    assert storage_.kept("\ud800") == {}


def test_definitions_that_guards_ask_for_are_read_with_the_rest(
    storage_: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage_.apply(a_batch(Define(name="policy", value=Map({"n": 1}))))
    seen: list[object] = []

    def guard(before: Reader, after: Reader, _changes: Sequence[Change]) -> None:
        seen.append((before.definitions("pol"), after.definitions("pol"), before.definitions("none")))

    for n in range(3):
        storage_.apply(a_batch(Put(intent=an_intent(f"i{n}"))), guard=guard)
    assert seen == [({"policy": {"n": 1}}, {"policy": {"n": 1}}, {})] * 3
    assert storage_._writer._foreseen == {"pol", "none"}
    change = a_batch(Define(name="policy", value=Map({"n": 2})), Put(intent=an_intent("last")))
    storage_.apply(change, guard=guard)
    assert seen[-1] == ({"policy": {"n": 1}}, {"policy": {"n": 2}}, {})


def test_who_has_no_guard_waits_for_no_definition(storage_: PostgresStorage, other: PostgresStorage) -> None:
    def guard(before: Reader, _after: Reader, _changes: Sequence[Change]) -> None:
        before.definitions("policy")

    storage_.apply(a_batch(Put(intent=an_intent("a"))), guard=guard)
    assert storage_._writer._foreseen == {"policy"}
    held = Held(other, Define(name="policy", value=Map({"n": 1})))
    try:
        put(storage_, "b")
        assert held.result is None
    finally:
        assert isinstance(held.finish(), Commit)


def test_prefixes_without_end_are_not_all_foreseen(storage_: PostgresStorage) -> None:
    seen: list[object] = []

    def guard(before: Reader, _after: Reader, _changes: Sequence[Change]) -> None:
        seen.append(before.definitions(f"policy/{len(seen)}"))

    for n in range(20):
        storage_.apply(a_batch(Put(intent=an_intent(f"i{n}"))), guard=guard)
    assert seen == [{}] * 20
    assert len(storage_._writer._foreseen) == 8


def test_who_is_judged_without_a_definition_comes_after_its_end(
    storage_: PostgresStorage, other: PostgresStorage
) -> None:
    other.apply(a_batch(Define(name="policy", value=Map({"n": 1}))))
    inside, on, seen = threading.Event(), threading.Event(), list[object]()
    made: list[Commit] = []

    def guard(before: Reader, _after: Reader, _changes: Sequence[Change]) -> None:
        inside.set()
        assert on.wait(20)
        seen.append(before.definitions("policy"))

    slow = threading.Thread(
        target=lambda: made.append(storage_.apply(a_batch(Put(intent=an_intent("a"))), guard=guard))
    )
    slow.start()
    assert inside.wait(10)
    gone = other.apply(a_batch(Define(name="policy", value=None)))
    on.set()
    slow.join(20)
    assert seen == [{}]
    assert made[0].revision > gone.revision


def test_time_is_the_servers(storage_: PostgresStorage) -> None:
    assert abs(storage_.now() - datetime.now(UTC)) < timedelta(minutes=10)


def test_a_writer_kept_waiting_beyond_the_deadline_is_told(storage_: PostgresStorage, url: str) -> None:
    put(storage_, "a", "b")
    hurried = PostgresStorage(url, timeout_s=0.4)
    hurried.open()
    held = Held(storage_, Put(intent=an_intent("a", "Slowly")), Drop(id="b"))
    for change in (Put(intent=an_intent("a", "Quickly")), Drop(id="b")):
        begun = time.monotonic()
        with pytest.raises((Busy, Unavailable)) as refused:
            hurried.apply(a_batch(change))
        assert refused.value.retry
        assert time.monotonic() - begun < 5
        assert "outcome" not in refused.value.fields
    assert put(hurried, "c").revision
    assert isinstance(held.finish(), Commit)
    hurried.close()
    assert list(storage_.verify()) == []


def test_one_that_is_outrun_begins_anew(storage_: PostgresStorage, other: PostgresStorage, monkeypatch: Any) -> None:
    put(storage_, "a", "b")
    held = Held(other, Put(intent=an_intent("b", "Held")))
    # This one takes its id with its lock on `a`, waits for `b`, and finds there what a later id wrote.
    told: list[Commit] = []
    slow = threading.Thread(target=lambda: told.append(put(storage_, an_intent("a", "Both"), an_intent("b", "Both"))))
    slow.start()
    with psycopg.connect(storage_._place.conninfo, autocommit=True) as watcher:
        wait_for(lambda: watcher.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())
    late = held.finish()
    slow.join(20)
    assert isinstance(late, Commit)
    assert told[0].revision > late.revision
    assert [one(storage_, id).goal for id in "ab"] == ["Both", "Both"]
    assert list(storage_.verify()) == []


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_group_that_is_always_outrun_takes_the_graph_for_itself(
    storage_: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage_, "a")
    tries: list[bool] = []
    entered = State.check_entered

    def outrun(self: Any) -> None:
        tries.append(self._structural)
        if len(tries) <= writing._ALONE_AFTER:
            raise Outrun("planted")
        entered(self)

    monkeypatch.setattr(State, "check_entered", outrun)
    put(storage_, an_intent("a", "At last"))
    assert tries == [False] * writing._ALONE_AFTER + [True]


@pytest.mark.parametrize("kind", [said.SerializationFailure, said.DeadlockDetected, said.UniqueViolation])
def test_a_conflict_of_transactions_is_tried_again_within_bounds(
    storage_: PostgresStorage, monkeypatch: pytest.MonkeyPatch, kind: type[psycopg.Error]
) -> None:
    monkeypatch.setattr(writing._Attempt, "_pause", lambda self: True)
    left = [3]
    commit = writing._Laying.commit

    def fails(self: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise kind("planted")
        commit(self)

    monkeypatch.setattr(writing._Laying, "commit", fails)
    put(storage_, "a")
    assert left == [0]
    left[0] = 10**6
    with pytest.raises(Busy) as refused:
        put(storage_, "b")
    assert "outcome" not in refused.value.fields
    assert 10**6 - left[0] == writing._TRIES
    left[0] = 0
    assert ids(storage_) == ["a"]


def test_a_deadlock_is_resolved(storage_: PostgresStorage, other: PostgresStorage) -> None:
    put(storage_, "a", "b")
    ready = threading.Barrier(2, timeout=10)

    def act(at: int) -> Commit:
        mine, theirs = ("a", "b") if at else ("b", "a")
        passed: list[int] = []

        def guard(before: Reader, _after: Reader, _changes: Sequence[Change]) -> None:
            if not passed:
                passed.append(1)
                ready.wait()
            before.fetch([theirs])

        return (other if at else storage_).apply(a_batch(Put(intent=an_intent(mine, "Changed"))), guard=guard)

    at_once(act, 2)
    assert [one(storage_, id).goal for id in "ab"] == ["Changed", "Changed"]
    assert list(storage_.verify()) == []


# --- exactly once -----------------------------------------------------------------------------------


def test_two_processes_that_apply_one_commit_id_make_one_commit(
    storage_: PostgresStorage, other: PostgresStorage
) -> None:
    for round in range(5):
        batch = a_batch(Put(intent=an_intent(f"i{round}"), expected=0), id=f"c{round}")
        made = at_once(lambda at, batch=batch: (other if at % 2 else storage_).apply(batch), 6)  # type: ignore[misc]
        assert len({commit.revision for commit in made}) == 1
    assert len(list(storage_.entries())) == 5


def test_two_processes_that_create_one_id_agree(storage_: PostgresStorage, other: PostgresStorage) -> None:
    for round in range(8):

        def act(at: int, round: int = round) -> str:
            try:
                put(other if at else storage_, an_intent(f"i{round}", f"By {at}"))
            except Conflict:
                return "refused"
            return "stored"

        assert at_once(act, 2) == ["stored", "stored"]
        assert len(storage_.trail(f"i{round}")) == 2
    assert list(storage_.verify()) == []


# --- the order of the log ---------------------------------------------------------------------------


def test_a_follower_misses_nothing_though_commits_appear_out_of_order(
    storage_: PostgresStorage, other: PostgresStorage
) -> None:
    first = put(storage_, "a", "b")
    held = Held(storage_, Put(intent=an_intent("a", "Slowly")), id="slow")
    late = put(other, an_intent("b", "Quickly"), id="quick")
    assert other.revision == late.revision
    assert one(other, "b").goal == "Quickly"
    followed = list(other.entries())
    assert followed == [first]  # the quick one is there, but the slow one will come before it
    assert not other.wait(first.revision, 0.05)
    assert not other.arrived(late.revision + 1)
    assert other.arrived(late.revision)
    slow = held.finish()
    assert isinstance(slow, Commit)
    assert slow.revision < late.revision
    assert other.wait(first.revision, 5)
    assert list(other.entries(first.revision)) == [slow, late]
    assert list(other.verify()) == []


def test_who_writes_elsewhere_holds_back_nothing(
    storage_: PostgresStorage, url: str, admin: psycopg.Connection[Any]
) -> None:
    elsewhere = PostgresStorage(url, "another")
    elsewhere.open()
    put(elsewhere, "a")
    admin.execute("CREATE TABLE IF NOT EXISTS public.theirs (n int)")
    with psycopg.connect(url) as foreign:
        foreign.execute("INSERT INTO public.theirs VALUES (1)")  # has an id now, and keeps it
        held = Held(elsewhere, Put(intent=an_intent("a", "Slowly")))
        made = [put(storage_, "a"), put(storage_, "b")]
        assert list(storage_.entries()) == made
        assert storage_.arrived(made[1].revision - 1)
        assert len(list(elsewhere.entries())) == 1
        held.finish()
        assert len(list(elsewhere.entries())) == 2
    elsewhere.close()


def test_a_writer_without_an_id_is_waited_for_by_the_general_rule(
    storage_: PostgresStorage, url: str, admin: psycopg.Connection[Any]
) -> None:
    with psycopg.connect(url) as foreign, psycopg.connect(url) as starting:
        before = put(storage_, "a")
        foreign.execute("SELECT pg_current_xact_id()")
        made = put(storage_, "b")
        assert list(storage_.entries()) == [before, made]
        starting.execute(storage_._sql.write_among_others)  # as one that is about to take its id
        assert list(storage_.entries()) in ([before], [])  # other tests' transactions hold it back as well
        starting.rollback()
        assert list(storage_.entries()) == [before, made]


def test_transaction_ids_beyond_32_bits_are_put_together() -> None:
    epoch = 1 << 32
    assert feed._whole(700, 3 * epoch + 900) == 3 * epoch + 700
    assert feed._whole(epoch - 5, 3 * epoch + 900) == 3 * epoch - 5
    assert feed._whole(905, 3 * epoch + 900) == 3 * epoch + 905


def test_revisions_go_on_after_a_restore_on_another_server(url: str, admin: psycopg.Connection[Any]) -> None:
    with open_graph(url) as graph:
        made = [put(graph.storage, f"i{n}") for n in range(3)]
    # As a dump restored there: the rows as they are, the transaction ids of a server that has only begun.
    admin.execute("UPDATE intentstore.graphs SET cluster = 'another', base = base - 10 * 1000 * 1000")
    with open_graph(url) as graph:
        assert list(graph.entries()) == made
        after = put(graph.storage, "after")
        assert after.revision > made[-1].revision
        assert list(graph.entries(made[-1].revision)) == [after]
        assert put(graph.storage, "and on").revision > after.revision
        assert graph.verify().ok
    assert admin.execute("SELECT cluster FROM intentstore.graphs").fetchone() != ("another",)


def test_a_base_that_is_wrong_is_put_right_by_one_that_is_alone(url: str, admin: psycopg.Connection[Any]) -> None:
    with open_graph(url) as graph:
        made = put(graph.storage, "a", "b")
        admin.execute("UPDATE intentstore.graphs SET base = base - 10 * 1000 * 1000")
        after = put(graph.storage, an_intent("a", "Changed"))
        assert after.revision > made.revision
        assert graph.verify().ok


def test_a_copy_of_a_log_goes_on_with_revisions_beyond_it(storage_: PostgresStorage) -> None:
    source = MemoryStorage()
    source.open()
    for n in range(700):
        put(source, f"i{n % 40}")
    log = list(source.entries())
    assert copy_log(log, storage_) == log
    assert list(storage_.entries()) == log
    after = put(storage_, "after")
    assert after.revision > 700
    copied = storage_.apply(a_batch(Put(intent=an_intent("far")), revision=2**47))
    assert storage_.revision == copied.revision == 2**47
    assert put(storage_, "further").revision > 2**47
    assert list(storage_.verify()) == []


# --- large things -----------------------------------------------------------------------------------


def test_many_rows_of_every_kind_in_one_commit(storage_: PostgresStorage) -> None:
    names = [f"i{n:04}" for n in range(400)]
    put(storage_, *names)
    ring = list(zip(names, [*names[1:], names[0]], strict=True))
    link(storage_, *((a, "enables", b) for a, b in ring))
    again: list[Change] = [
        *(Link(edge=Edge(source=a, type=EdgeType.ENABLES, target=b, weight=2.0)) for a, b in ring[:120]),
        *(Put(intent=an_intent(name, f"Changed {name}")) for name in names[:120]),
        *(Note(id=name, text="seen") for name in names[120:200]),
        *(Put(intent=an_intent(f"new{n}", '"quoted" \\ back\\slashed', labels=['a"b', "c\\d"])) for n in range(60)),
        *(Drop(id=name) for name in names[300:]),
    ]
    storage_.apply(a_batch(*again))
    assert len(ids(storage_)) == 360
    assert ids(storage_, IntentFilter(labels_all=frozenset({'a"b', "c\\d"}))) == sorted(f"new{n}" for n in range(60))
    assert len([edge for edge in edges(storage_) if edge.weight == 2.0]) == 120
    assert list(storage_.verify()) == []


def test_words_of_any_length_are_found(storage_: PostgresStorage) -> None:
    long = "x" * 5000
    many = " ".join(f"word{n}" for n in range(40_000))
    put(storage_, an_intent("long", f"a {long} word"), an_intent("many", "Many words", original_request=many))
    assert [hit.intent.id for hit in storage_.search(parse(long), 10)] == ["long"]
    assert [hit.intent.id for hit in storage_.search(parse("word39999 many"), 10)] == ["many"]
    assert storage_.search(parse("x" * 4999), 10) == []
    assert [hit.intent.id for hit in storage_.search(parse(f"{'x' * 4999}* word"), 10)] == ["long"]
    assert list(storage_.verify()) == []


def test_what_is_no_text_is_never_there(storage_: PostgresStorage) -> None:
    put(storage_, "a")
    for odd in ("\ud800", "a\0b"):
        assert storage_.fetch([odd, "a"])[0] is None
        assert storage_.fetch([odd]) == [None]
        assert storage_.trail(odd) == []
        assert storage_.commit(odd) is None
        assert storage_.neighbours([odd], Walk()) == []
    assert storage_.fetch([7]) == [None]  # type: ignore[list-item]  # not even text
    assert array([]) == "{}"


def test_scores_are_those_of_the_other_storages(storage_: PostgresStorage) -> None:
    memory = MemoryStorage()
    memory.open()
    texts = ["needle hay needle", "hay hay hay needle", "some hay", "needle", *HOSTILE, "nothing at all " * 9]
    for each in (storage_, memory):
        put(each, *(an_intent(f"i{n:02}", text) for n, text in enumerate(texts)))
    for sought in ("needle", "hay needle", "all", "a", "hay"):
        mine, theirs = storage_.search(parse(sought), 50), memory.search(parse(sought), 50)
        assert [hit.intent.id for hit in mine] == [hit.intent.id for hit in theirs]
        assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in theirs], abs=1e-8)
    wordless = IntentFilter(text="!?")
    assert ids(storage_, wordless, "relevance") == ids(memory, wordless, "relevance") == ids(memory, sort="id")


# --- what is wrong is named -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("poke", "said"),
    [
        ("UPDATE intentstore.intent_rows SET goal = 'x' WHERE id = 'a'", "columns differ"),
        ("UPDATE intentstore.intent_rows SET tokens = '{x}' WHERE id = 'a'", "columns differ"),
        ("UPDATE intentstore.intent_rows SET body = replace(body, 'each', 'eech') WHERE id = 'a'", "differs from what"),
        ("UPDATE intentstore.intent_rows SET head = 3 WHERE id = 'a'", "chain ends elsewhere"),
        ("UPDATE intentstore.intent_rows SET goal = 'x' WHERE id = 'gone'", "columns differ"),
        ("DELETE FROM intentstore.intent_rows WHERE id = 'a'", "not in the tables"),
        ("DELETE FROM intentstore.intent_rows WHERE id = 'b'", "has no intent b"),
        ("UPDATE intentstore.edge_rows SET source = 'b', target = 'a' WHERE source = 'a'", "columns differ"),
        ("DELETE FROM intentstore.edge_rows WHERE source = 'a'", "not in the tables"),
        ("DELETE FROM intentstore.commits WHERE id = 'c1'", "in the tables but not in the log"),
        ("UPDATE intentstore.commits SET id = 'x' WHERE id = 'c1'", "is kept as"),
        ("UPDATE intentstore.commits SET body = replace(body, 'noon', 'moon') WHERE id = 'c1'", "match its hash"),
        ("UPDATE intentstore.commits SET body = 'junk' WHERE id = 'c1'", "cannot be read"),
        ("UPDATE intentstore.definitions SET body = replace(body, '1', '2')", "differs from what"),
        ("UPDATE intentstore.definitions SET name = 'other'", "columns differ"),
        ("DELETE FROM intentstore.definitions", "not in the tables"),
    ],
)  # fmt: skip
def test_what_was_changed_behind_its_back_is_named(
    storage_: PostgresStorage, admin: psycopg.Connection[Any], poke: str, said: str
) -> None:
    put(storage_, "a", "b", "gone", id="c1", reason="at noon")
    link(storage_, ("a", "blocks", "b"), ("b", "enables", "a"))
    storage_.apply(a_batch(Drop(id="gone"), Unlink(source="b", type=EdgeType.ENABLES, target="a")))
    storage_.apply(a_batch(Define(name="rule", value=Map({"n": 1}))))
    assert list(storage_.verify()) == []
    admin.execute(poke)
    assert said in " | ".join(problem.what for problem in storage_.verify())


def test_a_trail_that_leads_nowhere_is_damage(storage_: PostgresStorage, admin: psycopg.Connection[Any]) -> None:
    put(storage_, "a", id="c1")
    put(storage_, an_intent("a", "Changed"))
    admin.execute("DELETE FROM intentstore.commits WHERE id = 'c1'")
    with pytest.raises(Corrupt, match="not in the log"):
        storage_.trail("a")


# --- what the server says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("53100", Full),
        ("53200", Busy),
        ("55P03", Busy),
        ("57014", Busy),
        ("25006", ReadOnly),
        ("42501", ReadOnly),
        ("58030", Unavailable),
        ("XX001", Corrupt),
        ("P0001", StorageError),
        ("25P03", StorageError),
    ],
)
def test_an_error_of_the_server_is_one_of_ours_and_leaves_no_trace(
    storage_: PostgresStorage, admin: psycopg.Connection[Any], state: str, kind: type[StorageError]
) -> None:
    put(storage_, "a")
    admin.execute(
        "CREATE OR REPLACE FUNCTION intentstore.fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{state}'; END $$"
    )
    admin.execute("CREATE TRIGGER fail BEFORE INSERT ON intentstore.commits EXECUTE FUNCTION intentstore.fail()")
    try:
        with pytest.raises(kind, match="planted") as refused:
            put(storage_, "b", id="refused")
        assert refused.value.__cause__ is not None
        assert refused.value.hint
        assert "outcome" not in refused.value.fields
    finally:
        admin.execute("DROP TRIGGER fail ON intentstore.commits")
    assert (ids(storage_), storage_.commit("refused")) == (["a"], None)
    put(storage_, "b")


def test_relaxed_durability_says_so(url: str) -> None:
    with open_graph(url, durability="relaxed") as graph:
        put(graph.storage, "a")
        facts = graph.storage.facts()
        assert (facts["durable"], facts["synchronous_commit"]) == (False, "off")


def test_a_server_that_does_not_wait_for_its_disk_is_told_to(url: str, admin: psycopg.Connection[Any]) -> None:
    admin.execute(f"ALTER DATABASE {admin.info.dbname} SET synchronous_commit = off")
    try:
        with open_graph(url) as graph:
            assert isinstance(graph.storage, PostgresStorage)
            told: list[str] = []

            def guard(*_: object) -> None:
                rows = admin.execute(
                    "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
                ).fetchall()
                told.extend(row[0] for row in rows)

            graph.storage.apply(a_batch(Put(intent=an_intent("a"))), guard=guard)
            connection = graph.storage._lender.take(time.monotonic() + 5)
            assert connection.begin == [("SET LOCAL synchronous_commit = 'on'", ())]
            graph.storage._lender.give(connection)
            assert told
    finally:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} RESET synchronous_commit")


# --- interrupts, closing, waiting -------------------------------------------------------------------


def test_an_interrupt_within_a_write_leaves_no_trace(storage_: PostgresStorage) -> None:
    def guard(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage_.apply(a_batch(Put(intent=an_intent("a")), id="c"), guard=guard)
    assert (ids(storage_), storage_.commit("c")) == ([], None)
    put(storage_, "a")


def test_a_wish_that_waited_too_long_for_its_turn_is_told(storage_: PostgresStorage) -> None:
    wish = storage_._writer.wish(a_batch(Put(intent=an_intent("a"))), None)
    wish.until = time.monotonic() - 1
    storage_._writer.run([wish])
    with pytest.raises(Busy, match="longer than the deadline"):
        wish.result()


def test_all_connections_in_use_beyond_the_deadline_is_busy(url: str) -> None:
    narrow = PostgresStorage(url, pool_size=1, timeout_s=0.3)
    narrow.open()
    connection = narrow._lender.take(time.monotonic() + 5)
    with pytest.raises(Busy, match="in use"):
        narrow.fetch(["a"])
    with pytest.raises(Busy, match="in use"):
        put(narrow, "a")
    narrow._lender.give(connection)
    assert narrow.fetch(["a"]) == [None]
    narrow.close()
    with pytest.raises(Closed):
        narrow._lender.take(time.monotonic() + 5)


def test_closing_while_another_waits_for_a_connection_says_so(url: str) -> None:
    narrow = PostgresStorage(url, pool_size=1, timeout_s=10)
    narrow.open()
    connection = narrow._lender.take(time.monotonic() + 5)
    told: list[BaseException] = []

    def ask() -> None:
        try:
            narrow.fetch(["a"])
        except StorageError as error:
            told.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.15)
    narrow.close()
    thread.join(10)
    narrow._lender.give(connection)
    assert [type(each) for each in told] == [Closed]


def test_a_transaction_pooler_is_served_without_anything_that_stays(url: str) -> None:
    pooled = PostgresStorage(url, pooler="transaction")
    pooled.open()
    made = put(pooled, "a")
    for _ in range(4):
        assert one(pooled, "a").revision == made.revision
    assert pooled.wait(0, 1)
    assert not pooled.wait(made.revision, 0.02)
    with psycopg.connect(url) as watcher:
        connection = pooled._lender.take(time.monotonic() + 5)
        assert connection.rows("SELECT count(*) FROM pg_prepared_statements") == [(0,)]
        assert [text for text, _ in connection.begin][:1] == ["SET LOCAL lock_timeout = '27000ms'"]
        pooled._lender.give(connection)
        watcher.rollback()
    pooled.close()


def test_a_bell_that_nobody_listens_to_any_more_is_put_away(
    storage_: PostgresStorage, other: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "_IDLE_S", 0.3)
    last = put(other, "a").revision
    assert not storage_.wait(last, 0.05)
    wait_for(lambda: storage_._feed._bell is not None and storage_._feed._bell._thread is None)
    put(other, "b")
    assert storage_.wait(last, 5)


def test_a_bell_whose_connection_dies_listens_anew(
    storage_: PostgresStorage, other: PostgresStorage, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "_PAUSE_S", 0.01)
    last = put(other, "a").revision
    assert not storage_.wait(last, 0.05)
    listening = (
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND (query LIKE 'LISTEN%' OR query LIKE '%SET watched%')"
    )
    (pid,) = admin.execute(listening).fetchone() or (0,)
    admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(storage_.wait(last, 20)))
    thread.start()
    wait_for(lambda: (admin.execute(listening).fetchone() or (pid,))[0] != pid)
    put(other, "b")
    thread.join(20)
    assert woken == [True]


def test_a_notification_that_cannot_be_sent_fails_no_commit(
    storage_: PostgresStorage, other: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = put(other, "a").revision
    assert not storage_.wait(last, 0.05)
    monkeypatch.setattr(other._sql, "notify", "NOTIFY")
    made = put(other, "b")
    assert storage_.wait(last, 20)  # it looks by itself after a while
    assert list(storage_.entries(last)) == [made]


def test_a_question_is_prepared_when_it_comes_again_and_names_are_never_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_MOST_SEEN", 2)
    names = exchange.Names(3)
    assert [names.again(text) for text in "abca"] == [False, False, False, False]
    assert names.again("a")
    given = [names.new(text) for text in "xyz"]
    assert names.new("w") is None
    names.forget("y")
    assert names.new("w") not in given
    assert names.again("w")
    assert exchange.Names(None).new("x") is None


def test_statements_are_found_by_name_only() -> None:
    with pytest.raises(AttributeError, match="no statement 'nope'"):
        assert statements.Statements("g").nope


def test_the_graph_over_it_answers_as_over_memory(url: str) -> None:
    with open_graph(url) as graph, open_graph("memory:") as memory:
        for each in (graph, memory):
            _story(each)
        assert [intent.id for intent in graph.ready()] == [intent.id for intent in memory.ready()]
        assert graph.count() == memory.count()
        assert [each.intent.id for each in graph.blocked()] == [each.intent.id for each in memory.blocked()]
        assert isinstance(graph.storage, PostgresStorage)
        assert graph.storage.facts()["connections"] >= 1
        assert "geheim" not in repr(graph.storage)


def _story(graph: IntentGraph) -> None:
    for n in range(12):
        put(graph.storage, an_intent(f"i{n:02}", priority=n % 3, created_at=NOON))
    for n in range(0, 10, 2):
        graph.link(f"i{n:02}", "depends_on", f"i{n + 1:02}")
    graph.start("i01")
    graph.complete("i01")


def test_a_page_may_begin_anywhere_in_any_sort(storage_: PostgresStorage) -> None:
    put(storage_, *(an_intent(f"i{n:03}", f"goal {n % 7}", priority=n % 5) for n in range(60)))
    for sort in ("priority", "-priority", "goal", "-created_at", "connections"):
        whole = ids(storage_, EVERYTHING, sort)
        after: str | None = None
        found: list[str] = []
        while True:
            page = storage_.select(EVERYTHING, Page(sort=Sort.parse(sort), limit=7, after=after))
            found += [intent.id for intent in page.intents]
            after = page.next
            if after is None:
                break
        assert found == whole


def test_a_new_database_is_a_new_place() -> None:
    with open_graph(new_database()) as graph:
        graph.storage.open()  # open already: harmless
        graph.wait_for(0)
        assert graph.revision == 0
        assert state(graph.storage) == ({}, {})


def test_the_command_works_on_it_and_shows_no_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("INTENTSTORE_URL", "INTENTSTORE_GRAPH", "INTENTSTORE_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    secret = f"{url}&password=geheim"
    assert main(["init", secret, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["store"].endswith("password=***")
    assert (tmp_path / ".intents" / "config.json").stat().st_mode & 0o077 == 0
    assert main(["init", "sqlite:other.db"]) == 4
    assert main(["add", "Ship 1.0", "--id", "ship"]) == 0
    assert main(["add", "Pass the suite", "--parent", "ship", "--priority", "8"]) == 0
    assert main(["--store", f"postgresql://u:geheim@127.0.0.1:1/x?timeout_s=1&host={tmp_path}", "list"]) == 8
    for verb in ("ready", "tree", "stats", "doctor", "log", "verify", "compact"):
        assert main([verb, "--json"]) in (0, 9)  # doctor: a test server does not sync
    told = capsys.readouterr()
    assert "geheim" not in told.out + told.err
    assert "Pass the suite" in told.out


def test_the_driver_prints_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_graph(f"postgresql:///nowhere?host={tmp_path}&user=x&password=geheim&timeout_s=1")
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")
    assert logging.getLogger("psycopg").handlers
