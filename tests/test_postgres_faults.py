"""A PostgreSQL server that dies, fills up, refuses, falls silent or loses its last word: nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from intentstore import IntentGraph, open_graph
from intentstore.ground.change import Link, Put
from intentstore.ground.errors import Busy, Closed, Full, ReadOnly, StorageError, Unavailable
from intentstore.ground.protocol import IntentStorage
from intentstore.ground.types import Edge, EdgeType
from intentstore.storage.postgres import PostgresStorage
from intentstore.storage.postgres import connections as border
from intentstore.testing import break_driver
from intentstore.testing.samples import a_batch, an_intent, ids, one, put
from intentstore.testing.writing import at_once
from tests.loopback_proxy import Proxy
from tests.postgres_server import FAST, Server, new_database
from tests.process_writer import names

SECONDS = float(os.environ.get("INTENTSTORE_KILL_SECONDS", "5"))
WRITER = Path(__file__).with_name("process_writer.py")
SECRET = "geheim-4711"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of this module's own, which may be killed; roles ``guarded`` (with a password) and ``narrow``."""
    server = Server((*FAST, "max_connections=30", "max_wal_senders=4"), listen=True).start()
    hba = server.data / "pg_hba.conf"
    hba.write_text("local all guarded scram-sha-256\nhost all guarded 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    with server.connect() as admin:
        admin.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'")
        admin.execute("CREATE ROLE narrow LOGIN CONNECTION LIMIT 2")
        admin.execute("SELECT pg_reload_conf()")
    yield server
    server.remove()


@pytest.fixture
def database(server: Server) -> str:
    """A new database on it."""
    name = f"d{time.monotonic_ns()}"
    with server.connect() as admin:
        admin.execute(f"CREATE DATABASE {name}")
        admin.execute(f"GRANT ALL ON DATABASE {name} TO PUBLIC")
    return name


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def through(proxy: Proxy, database: str, **options: str) -> str:
    more = "".join(f"&{name}={value}" for name, value in options.items())
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}?sslmode=disable{more}"


@pytest.fixture
def storage(proxy: Proxy, database: str) -> Iterator[PostgresStorage]:
    """A storage whose connections go through the proxy."""
    storage = PostgresStorage(through(proxy, database), timeout_s=5)
    storage.open()
    yield storage
    storage.close()


def within(seconds: float, work: Callable[[], object], *kinds: type[StorageError]) -> StorageError:
    """Returns the error that the work must end in before the time is over."""
    begun = time.monotonic()
    with pytest.raises(kinds or StorageError) as caught:
        work()
    assert time.monotonic() - begun < seconds
    assert SECRET not in f"{caught.value!r} {caught.value.hint} {caught.value.fields} {caught.value.__cause__!r}"
    assert caught.value.hint
    return caught.value


def works(act: Callable[[], object]) -> bool:
    try:
        act()
    except StorageError:
        return False
    return True


# --- a reply that never comes -----------------------------------------------------------------------


def test_twenty_commits_whose_reply_is_lost_are_twenty_commits(storage: PostgresStorage, proxy: Proxy) -> None:
    made = []
    for n in range(20):
        proxy.cut_commits = 1
        batch = a_batch(Put(intent=an_intent(f"i{n}"), expected=0), id=f"c{n}")
        made.append(storage.apply(batch))
        assert proxy.cut == n + 1
        assert storage.apply(batch) == made[-1]
    assert len(ids(storage)) == 20
    assert list(storage.entries()) == made
    assert all(len(commit.changes) == 1 for commit in made)
    assert list(storage.verify()) == []


def test_what_cannot_be_known_is_said_to_be_unknown_and_repeating_it_is_harmless(proxy: Proxy, database: str) -> None:
    storage = PostgresStorage(through(proxy, database), timeout_s=1.5, pool_size=1)
    storage.open()
    for n in range(3):
        batch = a_batch(Put(intent=an_intent(f"i{n}"), expected=0), id=f"c{n}")
        if n == 0:
            proxy.swallow_commits = 1  # and nobody is told: only the deadline ends it
        else:
            proxy.refuse, proxy.cut_commits = True, 1
        error = within(8, lambda batch=batch: storage.apply(batch), Unavailable)  # type: ignore[misc]
        assert error.outcome == "unknown"
        assert error.retry
        proxy.refuse = False
        commit = storage.apply(batch)
        assert storage.apply(batch) == commit
    assert len(ids(storage)) == 3 == len(list(storage.entries()))
    storage.close()


def test_a_server_that_falls_silent_is_given_up_at_the_deadline(proxy: Proxy, database: str) -> None:
    storage = PostgresStorage(through(proxy, database), timeout_s=0.7)
    storage.open()
    put(storage, "a")
    proxy.blackhole()
    for work in (
        lambda: storage.fetch(["a"]),
        lambda: put(storage, "b", id="silent"),
        lambda: storage.revision,
        lambda: list(storage.entries()),
    ):
        error = within(5, work, Unavailable)
        assert "outcome" not in error.fields  # no COMMIT was sent
    within(5, lambda: PostgresStorage(through(proxy, database), timeout_s=0.7).open(), Unavailable)
    proxy.silent = False
    proxy.reset()
    wait_for(lambda: works(lambda: storage.fetch(["a"])), "it does not come back")
    assert storage.commit("silent") is None
    put(storage, "b", id="silent")
    storage.close()


def test_a_group_whose_reply_is_lost_is_told_one_by_one(storage: PostgresStorage, proxy: Proxy) -> None:
    proxy.cut_commits = 3
    made = at_once(lambda at: put(storage, f"i{at}", id=f"c{at}"), 12)
    assert len({commit.revision for commit in made}) == 12
    assert len(ids(storage)) == 12 == len(list(storage.entries()))
    assert proxy.cut >= 1


# --- connections that die ---------------------------------------------------------------------------


def test_reset_and_ended_connections_are_replaced(
    storage: PostgresStorage, proxy: Proxy, server: Server, database: str
) -> None:
    for round in range(4):
        put(storage, f"i{round}")
        if round % 2:
            proxy.reset()
        else:
            with server.connect() as admin:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
        assert one(storage, f"i{round}").goal
        proxy.reset()
        put(storage, f"j{round}")
    assert len(ids(storage)) == 8
    assert list(storage.verify()) == []


def test_a_writer_that_stands_still_is_put_out_by_the_server(server: Server, database: str) -> None:
    url = server.url(database)
    slow, quick = PostgresStorage(url, timeout_s=0.5), PostgresStorage(url, timeout_s=10)
    slow.open()
    quick.open()
    put(quick, "a", "b")
    inside, on = threading.Event(), threading.Event()

    def guard(*_: object) -> None:
        inside.set()
        assert on.wait(20)

    told: list[BaseException] = []

    def stand() -> None:
        try:
            slow.apply(a_batch(Put(intent=an_intent("a", "Slowly")), id="slow"), guard=guard)
        except StorageError as error:
            told.append(error)

    thread = threading.Thread(target=stand)
    thread.start()
    assert inside.wait(10)
    put(quick, an_intent("a", "Quickly"))  # waits until the server has had enough of the other
    on.set()
    thread.join(20)
    assert [type(each) for each in told] == [Unavailable]
    assert one(quick, "a").goal == "Quickly"
    assert quick.commit("slow") is None
    slow.close()
    quick.close()


# --- a server that dies -----------------------------------------------------------------------------


Process = subprocess.Popen[bytes]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[str, str, str], Process]]:
    """Starts `process_writer` in a role, on a store, with a file; whatever still runs at the end is killed."""
    begun: list[Process] = []

    def start(role: str, url: str, name: str) -> Process:
        with (tmp_path / f"{name}.err").open("ab") as errors:
            begun.append(subprocess.Popen([sys.executable, WRITER, role, url, tmp_path / name], stderr=errors))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def lines(path: Path) -> list[tuple[int, str]]:
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(int(revision), id) for revision, id in (line.split() for line in whole)]


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_server_killed_twice_under_load_loses_nothing_acknowledged(
    tmp_path: Path, begin: Callable[[str, str, str], Process]
) -> None:
    luck = random.Random(2542)
    server = Server().start()
    url = server.url("postgres")
    try:
        open_graph(url).close()
        writers = [begin("write", url, f"write{n}") for n in range(4)]
        follower = begin("follow", url, "follow")
        wait_for(lambda: all(lines(tmp_path / f"write{n}") for n in range(4)), "no writer has begun")
        for _ in range(2):
            time.sleep(luck.uniform(0.2, 0.4) * SECONDS)
            server.kill()
            server.start()
        counts = [len(lines(tmp_path / f"write{n}")) for n in range(4)]
        wait_for(lambda: all(len(lines(tmp_path / f"write{n}")) > counts[n] for n in range(4)), "none goes on")
        for writer in writers:
            assert writer.poll() is None, [(tmp_path / f"write{n}.err").read_text() for n in range(4)]
            writer.kill()
            writer.wait()
        follower.terminate()
        assert follower.wait(60) == 0, (tmp_path / "follow.err").read_text()
        acknowledged = [line for n in range(4) for line in lines(tmp_path / f"write{n}")]
        with open_graph(url) as graph:
            log = [(commit.revision, commit.id) for commit in graph.entries()]
            assert set(acknowledged) <= set(log)
            assert len({id for _, id in log}) == len(log)
            for _, commit_id in log:
                whole = names(commit_id)
                assert all(graph.fetch(whole)), f"{commit_id} is not whole"
                ties = {(after, "depends_on", before) for before, after in pairwise(whole)}
                assert {edge.key for edge in graph.edges_of(whole)} == ties
            assert graph.verify().ok
            seen = lines(tmp_path / "follow")
            assert seen == log[: len(seen)]
            assert len(seen) >= len(log) - 4  # one that its killed writer never heard of may have come since
    finally:
        server.remove()


def test_a_server_that_is_away_is_a_clear_error_within_the_deadline(database: str) -> None:
    server = Server().start()
    url = server.url("postgres", timeout_s="1", password=SECRET)
    graph = open_graph(url)
    put(graph.storage, "a")
    server.stop()
    within(10, lambda: open_graph(url), Unavailable)
    within(10, lambda: graph.get("a"), Unavailable)
    error = within(10, lambda: put(graph.storage, "b", id="c"), Unavailable)
    assert "outcome" not in error.fields
    within(10, graph.health, Unavailable)
    server.start()
    assert graph.get("a") is not None
    put(graph.storage, "b", id="c")
    assert graph.health()["status"] == "ok"
    graph.close()
    server.remove()


# --- a server that refuses --------------------------------------------------------------------------


def test_what_is_wrong_with_the_connection_is_said(server: Server, database: str, tmp_path: Path) -> None:
    place = f"127.0.0.1:{server.port}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()[1]
    for url, what, hint in (
        (f"postgresql://guarded:x{SECRET}@{place}/{database}", "password authentication failed", "password"),
        (f"postgresql://guarded@{place}/{database}", "no password supplied", "password"),
        (f"postgresql://nobody:{SECRET}@{place}/{database}", 'role "nobody" does not exist', "user"),
        (f"postgresql://postgres:{SECRET}@{place}/nowhere", 'database "nowhere" does not exist', "createdb"),
        (f"postgresql://postgres:{SECRET}@127.0.0.1:{nobody}/{database}", "refused", "reached"),
        (f"postgresql://postgres:{SECRET}@no.such.host.invalid/{database}", "resolve", "reached"),
        (f"postgresql://postgres:{SECRET}@/{database}?host={tmp_path}", "No such file", "reached"),
        (f"postgresql://postgres:{SECRET}@{place}/{database}?sslmode=require", "SSL", "reached"),
    ):
        error = within(20, lambda url=url: open_graph(url), Unavailable)  # type: ignore[misc]
        assert what in str(error)
        assert hint in error.hint
    with open_graph(f"postgresql://guarded:{SECRET}@{place}/{database}") as graph:
        put(graph.storage, "a")
        assert SECRET not in str(graph.health()) + repr(graph.storage)
        assert graph.health()["place"] == f"postgresql://guarded@{place}/{database}"


def test_a_server_that_takes_no_more_connections_is_busy(server: Server, database: str) -> None:
    url = server.url(database).replace("user=postgres", "user=narrow")
    with psycopg.connect(url), psycopg.connect(url):
        error = within(10, lambda: open_graph(f"{url}&timeout_s=1"), Busy)
        assert error.retry
        assert "too many" in str(error)
    open_graph(url, graph="later").close()


def test_a_role_whose_password_was_changed_is_refused_at_once(server: Server, database: str) -> None:
    graph = open_graph(f"postgresql://guarded:{SECRET}@127.0.0.1:{server.port}/{database}")
    put(graph.storage, "a")
    with server.connect() as admin:
        admin.execute("ALTER ROLE guarded PASSWORD 'another'")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guarded'")
    try:
        error = within(10, lambda: graph.get("a"), Unavailable)
        assert "password" in str(error)
    finally:
        with server.connect() as admin:
            admin.execute(f"ALTER ROLE guarded PASSWORD '{SECRET}'")
    graph.close()


def test_eight_workers_that_start_on_an_empty_database_all_start(server: Server, database: str) -> None:
    url = server.url(database)
    script = (
        "import sys\nfrom intentstore import Intent, open_graph\n"
        "with open_graph(sys.argv[1]) as graph:\n    graph.store(Intent(id=sys.argv[2], goal='Start'))\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, url, f"w{n}"], stderr=subprocess.PIPE) for n in range(8)]
    said = [worker.communicate(timeout=120)[1].decode() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8, said
    with open_graph(url) as graph:
        assert len(list(graph.each())) == 8
        assert graph.verify().ok


# --- standbys ---------------------------------------------------------------------------------------


def test_a_commit_that_no_standby_has_confirmed_is_unknown(server: Server, database: str) -> None:
    storage = PostgresStorage(server.url(database), timeout_s=30)
    storage.open()
    put(storage, "a")
    told: list[BaseException] = []
    batch = a_batch(Put(intent=an_intent("b")), id="unsure")

    def write() -> None:
        try:
            storage.apply(batch)
        except StorageError as error:
            told.append(error)

    thread = threading.Thread(target=write)
    # The server's own workers wait for the standby too: only the writer is let go.
    waiting = f"wait_event = 'SyncRep' AND backend_type = 'client backend' AND datname = '{database}'"
    with server.connect() as admin:
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try:
            admin.execute("SELECT pg_reload_conf()")
            in_force = "SELECT 1 FROM pg_settings WHERE name = 'synchronous_standby_names' AND setting = 'nobody'"
            wait_for(lambda: admin.execute(in_force).fetchone(), "the setting is not in force")
            admin.execute("CHECKPOINT")  # who makes it is who tells the writers of the standby
            thread.start()
            writer = f"SELECT pid FROM pg_stat_activity WHERE {waiting}"
            wait_for(lambda: admin.execute(writer).fetchone(), "nobody waits for the standby")
            admin.execute(f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {waiting}")
            thread.join(30)
        finally:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")
    (error,) = told
    assert isinstance(error, Unavailable)
    assert error.outcome == "unknown"
    assert "standby" in str(error)
    assert storage.apply(batch).id == "unsure"
    assert len(list(storage.entries())) == 2
    storage.close()


def test_reads_from_a_standby_see_what_was_written_and_writing_goes_on_after_promotion(
    server: Server, database: str
) -> None:
    standby = Server(server.settings, listen=True)
    primary = open_graph(server.url(database))  # its schema is there before the standby is
    try:
        standby.run("pg_basebackup", "-h", server.host, "-p", str(server.port), "-U", "postgres", "-D",
                    str(standby.data), "-R", "-X", "stream", "-c", "fast")  # fmt: skip
        first = put(primary.storage, "a")
        standby.start()
        both = f"postgresql://postgres@127.0.0.1:{server.port},127.0.0.1:{standby.port}/{database}?timeout_s=20"
        with open_graph(standby.url(database), read_only=True, min_revision=first.revision) as reading:
            assert reading.get("a") is not None
            assert reading.health()["standby"] is True
            for n in range(5):  # its own writes, read elsewhere
                made = put(primary.storage, f"i{n}")
                reading.wait_for(made.revision, timeout_s=20)
                assert reading.get(f"i{n}") is not None
            assert list(reading.entries()) == list(primary.entries())
            assert isinstance(reading.storage, PostgresStorage)
            last = made.revision
            assert not reading.storage.wait(last, 0.05)
            made = put(primary.storage, "woken")
            assert reading.storage.wait(last, 20)
            within(20, lambda: reading.wait_for(2**40, timeout_s=0.1), Unavailable, Busy)
            assert reading.verify().ok
        within(20, lambda: open_graph(standby.url(database, timeout_s="2")), ReadOnly)
        writer = open_graph(both)
        put(writer.storage, "before")
        wait_for(lambda: _caught_up(standby, database, writer.revision), "the standby does not follow")
        log = list(writer.entries())
        server.kill()
        with standby.connect() as admin:
            admin.execute("SELECT pg_promote()")
        made = put(writer.storage, "after", id="after")
        assert made.revision > log[-1].revision
        assert list(writer.entries())[:-1] == log
        assert writer.verify().ok
        writer.close()
        primary.close()
    finally:
        standby.remove()
        if server.is_down:
            server.start()


def test_a_dump_restored_on_another_server_goes_on_where_it_was(server: Server, database: str) -> None:
    with open_graph(server.url(database)) as graph:
        for n in range(40):
            put(graph.storage, f"i{n}")
        log = list(graph.entries())
    dump = server.run("pg_dump", "-h", server.host, "-p", str(server.port), "-U", "postgres", database).stdout
    other = Server().start()
    try:
        other.run("psql", "-h", other.host, "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1", "postgres", input=dump)
        with open_graph(other.url(), read_only=True) as graph:
            assert list(graph.entries()) == log
        with open_graph(other.url()) as graph:
            made = at_once(lambda at: put(graph.storage, f"after{at}"), 4)
            assert min(commit.revision for commit in made) > log[-1].revision
            assert len(list(graph.entries(log[-1].revision))) == 4
            assert graph.verify().ok
    finally:
        other.remove()


def _caught_up(standby: Server, database: str, revision: int) -> bool:
    with open_graph(standby.url(database), read_only=True) as reading:
        return reading.revision >= revision


# --- full -------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_stops_writes_only_until_there_is_space(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("not run: mounting a small disk needs root")
    server = Server().start()
    small = server.base / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", str(small)], check=False)
    if mounted.returncode != 0:
        server.remove()
        pytest.skip("not run: mounting is not allowed here")
    try:
        with server.connect() as admin:
            place = small / "space"
            place.mkdir()
            shutil.chown(place, "nobody")
            admin.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
            admin.execute("CREATE DATABASE tight TABLESPACE small")
        graph = open_graph(server.url("tight"))
        put(graph.storage, "a")
        filler = small / "filler"
        with filler.open("wb") as file, pytest.raises(OSError, match="space"):
            while True:
                file.write(b"x" * 65536)
                file.flush()
        big = "y" * 200_000
        error = None
        for n in range(60):
            try:
                put(graph.storage, an_intent(f"i{n}", original_request=big + str(n)), id=f"c{n}")
            except Full as full:
                error = full
                break
        assert error is not None
        assert error.retry
        assert "outcome" not in error.fields
        assert graph.get("a") is not None
        filler.unlink()
        put(graph.storage, an_intent(f"i{n}"), id=f"c{n}")
        assert graph.verify().ok
        graph.close()
    finally:
        server.stop()
        subprocess.run(["umount", str(small)], check=False)
        server.remove()


# --- a pooler ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_pgbouncer_carries_it(server: Server, database: str, mode: str) -> None:
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("not run: there is no pgbouncer")
    config = server.base / f"{mode}.ini"
    config.write_text(
        f"[databases]\n* = host={server.host} port={server.port} user=postgres\n"
        "[pgbouncer]\nlisten_addr =\nauth_type = any\n"
        f"unix_socket_dir = {server.base}\nlisten_port = 6432\npool_mode = {mode}\nadmin_users = postgres\n"
        "default_pool_size = 4\nignore_startup_parameters = extra_float_digits\n"
    )
    pooler = server.spawn(program, "-q", str(config))
    try:
        option = "&pooler=transaction" if mode == "transaction" else ""
        url = f"postgresql:///{database}?host={server.host}&port=6432&user=postgres{option}"
        wait_for((server.base / ".s.PGSQL.6432").exists, "pgbouncer does not start")
        storages: list[IntentStorage] = [PostgresStorage(url) for _ in range(3)]
        for each in storages:
            each.open()
        made = at_once(lambda at: [put(storages[at % 3], f"{mode}{at}-{n}") for n in range(10)], 6)
        assert len({commit.revision for each in made for commit in each}) == 60
        edge = Edge(source=f"{mode}0-0", type=EdgeType.BLOCKS, target=f"{mode}1-0")
        storages[0].apply(a_batch(Link(edge=edge)))
        for each in storages:
            assert len(list(each.entries())) == 61
            assert list(each.verify()) == []
            each.close()
    finally:
        pooler.terminate()
        pooler.wait(20)


# --- a driver that fails ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [psycopg.OperationalError, psycopg.InternalError, psycopg.errors.DiskFull, psycopg.errors.DataCorrupted]
)
def test_a_postgres_storage_whose_driver_fails_says_so_with_the_cause(
    monkeypatch: pytest.MonkeyPatch, kind: type[psycopg.Error]
) -> None:
    url = new_database()
    broken = False
    wait = border.Connection.wait

    def fails(self: Any, *words: Any, **options: Any) -> Any:
        if broken:
            raise kind("planted")
        return wait(self, *words, **options)

    monkeypatch.setattr(border.Connection, "wait", fails)

    def make() -> PostgresStorage:
        nonlocal broken
        broken = False
        return PostgresStorage(url, timeout_s=0.5)

    def breaks(_: IntentStorage) -> None:
        nonlocal broken
        broken = True

    errors = break_driver(make, breaks)
    assert {type(error.__cause__) for error in errors.values()} <= {kind, Unavailable, Full, StorageError}


def test_a_graph_that_was_closed_meanwhile_says_so() -> None:
    graph: IntentGraph = open_graph(new_database())
    graph.close()
    with pytest.raises(Closed):
        graph.get("a")
