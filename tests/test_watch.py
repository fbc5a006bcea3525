"""Claims about `watch`: every commit of every process, in order, none missed, from wherever one begins."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from docs.examples.dict_storage import DictStorage
from intentstore import Closed, Commit, FieldInvalid, Intent, IntentGraph, Unavailable, open_graph, open_graph_async
from intentstore.ground.types import Revision
from intentstore.storage.memory import MemoryStorage

PATIENT = 600.0
"""Seconds that no test takes: a wait that long was not woken."""


@pytest.fixture(params=["memory", "file", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory:{tmp_path}" if request.param == "memory" else f"{request.param}:{tmp_path}/goals"


def store(graph: IntentGraph, *ids: str) -> None:
    for id in ids:
        graph.store(Intent(id=id, goal=id))


def what(commits: Iterator[Commit]) -> list[str]:
    return [commit.changes[0].intent.id for commit in commits]  # type: ignore[union-attr]  # only puts


def test_a_watch_begins_where_it_is_told_and_ends_when_nothing_came(url: str) -> None:
    with open_graph(url) as graph:
        store(graph, "a", "b", "c")
        assert what(graph.watch(0, timeout_s=0)) == ["a", "b", "c"]
        assert what(graph.watch(2, timeout_s=0)) == ["c"]
        assert what(graph.watch(timeout_s=0.01)) == []


def test_from_now_on_means_from_the_call_on(url: str) -> None:
    with open_graph(url) as graph:
        store(graph, "a")
        watch = graph.watch(timeout_s=0)
        store(graph, "b")
        assert what(watch) == ["b"]
        store(graph, "c")
        assert what(watch) == ["c"]  # it goes on where it stood
        assert watch.at == 3


def test_a_place_before_the_beginning_is_refused(url: str) -> None:
    with open_graph(url) as graph, pytest.raises(FieldInvalid, match="since"):
        graph.watch(-1)


def test_a_waiting_watch_is_woken_by_a_commit_of_the_same_store_and_of_another(url: str) -> None:
    with open_graph(url) as graph, open_graph(url) as other:
        watch = graph.watch(timeout_s=PATIENT)
        for writer, id in ((graph, "a"), (other, "b"), (graph, "c")):
            later = threading.Timer(0.05, partial(store, writer, id))
            later.start()
            assert what(iter([next(watch)])) == [id]
            later.join()


def test_a_watch_of_a_store_that_is_closed_says_so(url: str) -> None:
    graph = open_graph(url)
    watch = graph.watch(timeout_s=PATIENT)
    later = threading.Timer(0.05, graph.close)
    later.start()
    with pytest.raises(Closed):
        next(watch)
    later.join()


def test_a_storage_that_cannot_wait_is_looked_at_now_and_then() -> None:
    kept: dict[str, bytes] = {}
    storage = DictStorage(kept)
    storage.open()
    graph = IntentGraph(storage)
    watch = graph.watch(timeout_s=PATIENT)
    later = threading.Timer(0.05, partial(store, graph, "a"))
    later.start()
    assert what(iter([next(watch)])) == ["a"]
    later.join()
    assert what(graph.watch(timeout_s=0.05)) == []
    graph.close()


WRITER = """
import sys
from intentstore import Intent, open_graph
url, name, n = sys.argv[1:]
with open_graph(url) as graph:
    for at in range(int(n)):
        graph.store(Intent(id=f"{name}-{at}", goal="from another process"))
"""


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_what_several_processes_write_is_seen_once_each_and_in_order(tmp_path: Path, kind: str) -> None:
    url = f"{kind}:{tmp_path}/goals"
    with open_graph(url) as graph:
        writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, name, "40"]) for name in "xyz"]
        seen: list[Commit] = []
        watch = graph.watch(0, timeout_s=PATIENT)
        while len(seen) < 60:
            seen.append(next(watch))
        # The watcher dies and another goes on where it stood.
        again = graph.watch(seen[-1].revision, timeout_s=PATIENT)
        while len(seen) < 120:
            seen.append(next(again))
        assert [writer.wait(60) for writer in writers] == [0, 0, 0]
        assert [commit.revision for commit in seen] == list(range(1, 121))
        assert seen == list(graph.entries())


class Flaky(MemoryStorage):
    """Fails every other time it is asked for the log, also in the midst of it."""

    asked = 0
    away = False

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        self.asked += 1
        if self.away or self.asked % 3 == 1:
            raise Unavailable("the connection is lost")
        return self._broken(since) if self.asked % 3 == 2 else super().entries(since)

    def _broken(self, since: Revision) -> Iterator[Commit]:
        for number, commit in enumerate(super().entries(since)):
            if number == 5:
                raise Unavailable("the connection was lost")
            yield commit

    def wait(self, since: Revision, timeout_s: float) -> bool:
        if self.away:
            raise Unavailable("the connection is lost")
        return super().wait(since, timeout_s)


def flaky() -> tuple[Flaky, IntentGraph]:
    storage = Flaky()
    storage.open()
    return storage, IntentGraph(storage)


def test_nothing_is_missed_or_told_twice_over_lost_connections() -> None:
    _, graph = flaky()
    store(graph, *(f"{n:03}" for n in range(200)))
    assert what(graph.watch(0, timeout_s=1.0)) == [f"{n:03}" for n in range(200)]


def test_patience_ends() -> None:
    storage, graph = flaky()
    watch = graph.watch(0, patience_s=0.05)
    storage.away = True
    with pytest.raises(Unavailable):
        next(watch)


def test_an_error_that_waiting_does_not_cure_comes_out_at_once(url: str) -> None:
    graph = open_graph(url)
    watch = graph.watch(0)
    graph.close()
    with pytest.raises(Closed):
        next(watch)


def test_a_storage_that_wakes_too_early_is_waited_for_again() -> None:
    class Early(MemoryStorage):
        woken = 0

        def wait(self, since: Revision, timeout_s: float) -> bool:
            self.woken += 1
            return self.woken < 5 or super().wait(since, timeout_s)

    storage = Early()
    storage.open()
    graph = IntentGraph(storage)
    watch = graph.watch(timeout_s=PATIENT)
    later = threading.Timer(0.1, partial(store, graph, "a"))
    later.start()
    assert what(iter([next(watch)])) == ["a"]
    later.join()
    assert storage.woken >= 5


# --- awaited ---


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.anyio
async def test_many_tasks_watch_through_one_thread(url: str) -> None:
    async with open_graph_async(url) as graph:
        await graph.store(Intent(id="before", goal="x"))
        told: list[list[str]] = [[] for _ in range(20)]

        async def follow(mine: list[str]) -> None:
            async with contextlib.aclosing(graph.watch(0)) as watch:
                async for commit in watch:
                    mine.extend(what(iter([commit])))
                    if len(mine) == 11:
                        return

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for mine in told:
                    tasks.start_soon(follow, mine)
                for n in range(10):
                    await graph.store(Intent(id=str(n), goal="x"))
                    await anyio.sleep(0.01 * (n % 3))
                watching = [each.name for each in threading.enumerate() if each.name == "intentstore-watch"]
                assert len(watching) <= 1
        assert told == [["before", *map(str, range(10))]] * 20


@pytest.mark.anyio
async def test_an_awaited_watch_ends_when_nothing_came(url: str) -> None:
    async with open_graph_async(url) as graph:
        with anyio.fail_after(60):
            assert [commit async for commit in graph.watch(timeout_s=0.05)] == []
            await graph.store(Intent(id="a", goal="x"))
            assert [commit.revision async for commit in graph.watch(0, timeout_s=0)] == [1]


@pytest.mark.anyio
async def test_closing_ends_every_watch(url: str) -> None:
    graph = await open_graph_async(url)
    ended: list[str] = []

    async def follow() -> None:
        try:
            async for _ in graph.watch():
                pass
        except Closed:
            ended.append("closed")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(follow)
            await anyio.sleep(0.05)
            await graph.close()
    assert ended == ["closed"] * 3


@pytest.mark.anyio
async def test_an_awaited_watch_outlasts_lost_connections_and_then_loses_patience() -> None:
    async with open_graph_async("memory:") as graph:
        storage, sync = flaky()
        graph.sync.storage = graph._news._storage = storage
        store(sync, *(f"{n:03}" for n in range(20)))
        with anyio.fail_after(60):
            seen: list[str] = []
            async with contextlib.aclosing(graph.watch(0)) as watch:
                async for commit in watch:
                    seen.extend(what(iter([commit])))
                    if len(seen) == 20:
                        break
            assert seen == [f"{n:03}" for n in range(20)]
            storage.away = True
            with pytest.raises(Unavailable):
                async for _ in graph.watch(20, patience_s=0.05):
                    pass


# --- the command ---


@contextlib.contextmanager
def command(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Runs ``intent`` so that it can be interrupted, though this process ignores interrupts; leaves none behind."""
    starter = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    words = (sys.executable, "-c", starter, sys.executable, "-m", "intentstore", *words)
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    late = threading.Timer(60, running.kill)
    late.start()
    try:
        yield running
    finally:
        late.cancel()
        running.kill()
        running.communicate()


def test_the_command_tells_a_commit_a_line_until_it_is_interrupted(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/goals.db"
    with open_graph(url, actor="planner") as graph:
        store(graph, "a", "b")
        with command("watch", "--since", "1", "--store", url) as watching:
            assert watching.stdout is not None
            first = json.loads(watching.stdout.readline())
            assert (first["revision"], first["actor"]) == (2, "planner")
            assert first["changes"][0]["intent"]["id"] == "b"
            store(graph, "c")
            assert json.loads(watching.stdout.readline())["revision"] == 3
            watching.send_signal(signal.SIGINT)
            _, said = watching.communicate()
            assert (watching.returncode, "interrupted" in said) == (130, True)


def test_the_command_ends_quietly_when_nobody_listens(tmp_path: Path) -> None:
    url = f"file:{tmp_path}/goals"
    with open_graph(url) as graph:
        store(graph, "a")
        with command("watch", "--json", "--since", "0", "--store", url) as watching:
            assert watching.stdout is not None
            assert watching.stderr is not None
            watching.stdout.readline()
            watching.stdout.close()
            store(graph, "b")
            assert watching.wait() == 0
            assert watching.stderr.read() == ""
            watching.stdout = None


def test_the_command_refuses_a_place_before_the_beginning(tmp_path: Path) -> None:
    url = f"file:{tmp_path}/goals"
    open_graph(url).close()
    with command("watch", "--since", "-1", "--json", "--store", url) as refused:
        _, said = refused.communicate()
    assert refused.returncode == 5
    assert json.loads(said)["error"]["kind"] == "QueryInvalid"
