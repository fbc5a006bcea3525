"""Claims about `AsyncIntentGraph`: the sync face awaited, on asyncio and trio; nothing half done, whoever cancels."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from intentstore import (
    AsyncIntentGraph,
    Closed,
    FieldInvalid,
    Health,
    Intent,
    IntentFilter,
    IntentGraph,
    IntentStoreError,
    RevisionMissing,
    StaleRevision,
    Transaction,
    Unsupported,
    open_graph,
    open_graph_async,
)
from intentstore.aio.lanes import Lanes
from intentstore.ground.change import Note
from intentstore.ground.protocol import Peeks
from intentstore.storage.file import FileStorage
from intentstore.testing import FailingDisk, FrozenClock, put

ONLY_ASYNC = {"transact", "run", "sync"}
"""What the async face has besides: shipping a function, and the graph it ships it to."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=["memory", "file", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory:{tmp_path}" if request.param == "memory" else f"{request.param}:{tmp_path}/goals"


def names(face: type) -> set[str]:
    return {name for name in dir(face) if not name.startswith("_")}


# --- the two faces are one ---


def test_every_name_of_the_sync_face_is_there_and_none_besides() -> None:
    attributes = {"storage", "name", "actor"}  # set by the sync face's constructor
    missing = names(IntentGraph) - names(AsyncIntentGraph)
    lines = [f"{name} = reading(IntentGraph.{name})  # or writing(…)" for name in sorted(missing)]
    assert not missing, f"aio/graph.py lacks: {lines}"
    assert names(AsyncIntentGraph) - names(IntentGraph) == ONLY_ASYNC - {"sync"} | attributes


@pytest.mark.parametrize("name", sorted(names(IntentGraph)))
def test_a_verb_has_the_same_words_and_takes_the_same(name: str) -> None:
    theirs, ours = inspect.getattr_static(IntentGraph, name), inspect.getattr_static(AsyncIntentGraph, name)
    assert ours.__doc__ == theirs.__doc__
    if isinstance(theirs, property):
        assert isinstance(ours, property)
        assert inspect.iscoroutinefunction(ours.fget)
        return
    mine, wanted = inspect.signature(ours), inspect.signature(theirs)
    assert [(each.name, each.kind, each.default) for each in mine.parameters.values()] == [
        (each.name, each.kind, each.default) for each in wanted.parameters.values()
    ]
    if name not in ("transaction", "acting"):  # they do nothing yet
        assert inspect.iscoroutinefunction(ours) or inspect.isasyncgenfunction(ours)


def test_opening_takes_the_same() -> None:
    assert inspect.signature(open_graph_async) == inspect.signature(open_graph)
    assert open_graph_async.__name__ == "open_graph_async"


Asked = tuple[str, tuple[Any, ...], dict[str, Any]]


def script(tmp_path: Path) -> list[Asked]:
    """What is asked of both faces, one after the other, also what is refused; verbs not named here without a word."""
    asked = written(tmp_path)
    return asked + [(name, (), {}) for name in sorted(names(IntentGraph) - {each[0] for each in asked} - ODD)]


def written(tmp_path: Path) -> list[Asked]:
    backup = str(tmp_path / "b")
    a, b, c = "a", "b", "c"
    return [
        ("store", (Intent(id=a, goal="A"),), {"reason": "why"}),
        ("store", (Intent(id=a, goal="A again"),), {}),
        ("store", (Intent(id=b, goal="B words", priority=3),), {}),
        ("store", ("no intent",), {}),
        ("link", (a, "depends_on", b), {"weight": 0.5}),
        ("link", (b, "depends_on", a), {}),
        ("link", (b, "depends_on", "nope"), {}),
        ("get", (a,), {}),
        ("get", ("nope",), {}),
        ("get", (a, "too many"), {}),
        ("intent", ("nope",), {}),
        ("fetch", ([a, "nope"],), {}),
        ("intents", ([a, "nope"],), {}),
        ("apply", ([Note(id=a, text="said")],), {"commit_id": "once"}),
        ("apply", ([Note(id=a, text="said")],), {"commit_id": "once"}),
        ("update", (Intent(id=a, goal="A2", revision=1),), {}),
        ("update", (Intent(id=a, goal="A3", revision=1),), {}),
        ("update", (Intent(goal="never stored"),), {}),
        ("note", (a, "remark"), {}),
        ("note", ("nope", "remark"), {}),
        *((name, (a,), {}) for name in ("edges", "parents", "children", "ancestors", "descendants", "history")),
        ("edges_of", ([a, b],), {}),
        ("path", (a, b), {}),
        ("path", (a, "nope"), {}),
        ("tree", (), {}),
        ("list", (IntentFilter(goal_contains="words"),), {"sort": "-priority"}),
        ("list", (), {"sort": "nonsense"}),
        ("count", (), {}),
        ("ready", (), {"limit": 5}),
        ("blocked", (), {}),
        ("search", ("words",), {}),
        *((name, (b,), {"reason": "r"}) for name in ("start", "suspend", "reopen", "fail", "complete", "archive")),
        ("history", ("nope",), {}),
        ("commit", ("once",), {}),
        ("diff", (1,), {}),
        ("diff", (99,), {}),
        ("blame", (a,), {}),
        ("timeline", (b,), {}),
        ("undo", ("nope",), {}),
        ("undo", ("once",), {}),
        ("unlink", (a, "depends_on", b), {}),
        ("unlink", (a, "depends_on", b), {}),
        ("delete", (b, c), {}),
        ("delete", (b,), {}),
        ("backup", (backup,), {}),
        ("restore", (backup,), {}),
        *((name, (), {}) for name in ("receipt", "verify", "graphs")),
    ]


ODD = {
    "acting",
    "at",
    "close",
    "compact",
    "copy",
    "degraded",
    "each",
    "entries",
    "health",
    "merge",
    "revision",
    "stats",
    "subscribe",
    "transaction",
    "watch",
}
"""Verbs that claims of their own show to be the same: they are no plain calls, or tell of their store's place."""


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  the error is what is compared
        return type(error), str(error), getattr(error, "fields", None)


async def outcome_of(call: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await call()
    except Exception as error:  # noqa: BLE001  as above
        return type(error), str(error), getattr(error, "fields", None)


def numbered() -> Callable[[], str]:
    numbers = iter(range(1000))
    return lambda: f"id-{next(numbers)}"


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_both_faces_give_the_same_results_and_errors(tmp_path: Path, kind: str) -> None:
    told: list[list[Any]] = []
    for face in ("sync", "async"):
        place = tmp_path / face
        place.mkdir()
        opening = partial(
            open_graph_async,
            "memory:" if kind == "memory" else f"sqlite:{place}/goals.db",
            actor="me",
            clock=FrozenClock(),
        )
        async with opening() as graph:
            graph.sync.storage._new_id = numbered()  # type: ignore[attr-defined]  # commit ids, else drawn by lot
            asked = script(place)
            if face == "sync":
                told.append([outcome(partial(getattr(graph.sync, name), *args, **how)) for name, args, how in asked])
            else:
                told.append(
                    [await outcome_of(partial(getattr(graph, name), *args, **how)) for name, args, how in asked]
                )
    for (name, args, _), sync, awaited in zip(script(tmp_path), *told, strict=True):
        assert _placeless(awaited) == _placeless(sync), (name, args)


def _placeless(told: Any) -> Any:
    if isinstance(told, Health):  # how much space is free changes from moment to moment
        return [(check.check, check.ok) for check in told.checks]
    return (
        str(told).replace("/sync/", "/async/").replace("AsyncIntentGraph", "IntentGraph")
        if isinstance(told, tuple) and isinstance(told[0], type)
        else told
    )


@pytest.mark.anyio
async def test_what_is_no_plain_call_is_the_same_too(url: str, tmp_path: Path) -> None:
    async with open_graph_async(url, actor="me") as graph:
        assert (graph.name, graph.actor, graph.storage) == ("default", "me", graph.sync.storage)
        first = await graph.store(Intent(goal="A"))
        async with graph.transaction(reason="two", commit_id="c2") as tx:
            tx.store(Intent(goal="B"))
            tx.store(Intent(goal="C"))
        assert tx.commit is not None
        assert await graph.revision == tx.commit.revision == graph.sync.revision == 2
        async with await graph.at(1) as past:
            assert [intent.goal async for intent in past.each()] == ["A"]
        with pytest.raises(Closed):
            await past.count()
        with pytest.raises(RevisionMissing):
            await graph.at(99)
        left_open = await graph.at(1)
        assert [each.goal async for each in graph.each()] == [each.goal for each in graph.sync.each()]
        assert [each async for each in graph.entries(1)] == [tx.commit]
        assert (await graph.health())["status"] == "ok"
        assert (await graph.stats())["intents"] == 3
        with pytest.raises(Unsupported) if url.startswith("memory") else contextlib.nullcontext():
            await graph.compact()
        async with open_graph_async(f"file:{tmp_path}/copy") as other:
            assert (await graph.copy(other)) == await other.receipt()
            assert await other.intent(first.id) == first
    with pytest.raises(Closed):
        await left_open.count()


# --- transactions ---


@pytest.mark.anyio
async def test_a_block_that_raises_stores_nothing(url: str) -> None:
    async with open_graph_async(url) as graph:
        with pytest.raises(KeyError):
            async with graph.transaction() as tx:
                tx.store(Intent(goal="A"))
                raise KeyError
        async with graph.transaction() as tx:
            pass
        assert tx.commit is None
        assert await graph.revision == 0


@pytest.mark.anyio
async def test_a_shipped_function_is_one_commit_and_its_result_comes_back(url: str) -> None:
    async with open_graph_async(url) as graph:

        def work(tx: Transaction) -> str:
            tx.store(Intent(id="a", goal="A"))
            tx.store(Intent(id="b", goal="B"))
            return threading.current_thread().name

        for _ in range(2):  # repeated under its commit id it is the same commit
            assert (await graph.transact(work, reason="both", commit_id="c")).startswith("intentstore-write")
        assert await graph.revision == 1
        with pytest.raises(StaleRevision):
            await graph.transact(lambda tx: tx.update(Intent(id="a", goal="A2", revision=7)))
        assert await graph.run(lambda sync: [each.id for each in sync.each()]) == ["a", "b"]


@pytest.mark.anyio
async def test_a_coroutine_function_is_not_taken_for_work(url: str) -> None:
    async with open_graph_async(url) as graph:

        async def work(tx: Transaction) -> None:
            tx.store(Intent(goal="A"))

        with pytest.raises(FieldInvalid, match="work is a coroutine function"):
            await graph.transact(work)  # type: ignore[unused-coroutine]  # the very mistake
        assert await graph.revision == 0


# --- cancellation ---


class Held:
    """Holds a lane inside a guard's place, so that a test can cancel exactly there."""

    def __init__(self, graph: AsyncIntentGraph, *, after: bool) -> None:
        self.inside, self.go = threading.Event(), threading.Event()
        self._apply, self._after = graph.storage.apply, after
        graph.storage.apply = self._hold  # type: ignore[method-assign]  # a storage that takes its time

    def _hold(self, *args: Any, **how: Any) -> Any:
        if self._after:
            done = self._apply(*args, **how)
        self.inside.set()
        assert self.go.wait(60)
        return done if self._after else self._apply(*args, **how)


async def until(holds: Callable[[], object]) -> None:
    """Waits for what a thread does, which no event of the loop can tell."""
    with anyio.fail_after(60):
        while not holds():  # noqa: ASYNC110  see above
            await anyio.sleep(0.001)


def threads(kind: str = "") -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith(f"intentstore-{kind}")]


@pytest.mark.anyio
@pytest.mark.parametrize("after", [False, True], ids=["before it is applied", "after it is applied"])
async def test_a_cancelled_write_is_whole_and_repeating_it_is_harmless(url: str, *, after: bool) -> None:
    graph = await open_graph_async(url)
    held = Held(graph, after=after)

    def work(tx: Transaction) -> None:
        for id in "abc":
            tx.store(Intent(id=id, goal=id))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(graph.transact, work, commit_id="once"))
        await until(held.inside.is_set)
        tasks.cancel_scope.cancel()
    # The task is gone at once; the write goes on.
    held.go.set()
    await graph.transact(work, commit_id="once")
    assert [len(each.changes) async for each in graph.entries()] == [3]
    await graph.close()
    with open_graph(url) as again:
        assert again.revision == (1 if not url.startswith("memory:/") or again.revision else 0)


@pytest.mark.anyio
async def test_what_was_cancelled_before_it_began_never_begins(url: str) -> None:
    async with open_graph_async(url) as graph:
        held = Held(graph, after=False)
        async with anyio.create_task_group() as tasks:
            for n in range(20):  # more than there are lanes
                tasks.start_soon(partial(graph.store, Intent(id=f"i{n}", goal="waits")))
            await until(held.inside.is_set)
            await until(lambda: len(threads("write")) == 8)
            tasks.cancel_scope.cancel()
        held.go.set()
    with open_graph(url) as again:
        assert again.revision <= 8


@pytest.mark.anyio
async def test_closing_waits_for_what_a_cancelled_await_left_running(url: str) -> None:
    graph = await open_graph_async(url)
    held = Held(graph, after=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(graph.store, Intent(id="a", goal="A")))
        await until(held.inside.is_set)
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(graph.close)
        await anyio.sleep(0.01)
        held.go.set()
    with open_graph(url) as again:
        assert again.get("a") is not None


@pytest.mark.anyio
async def test_an_opening_that_is_cancelled_leaves_nothing_open(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go, closed = threading.Event(), threading.Event(), threading.Event()

    def slowly(*args: Any, **how: Any) -> IntentGraph:
        inside.set()
        assert go.wait(60)
        graph = open_graph(*args, **how)
        close = graph.storage.close

        def seen() -> None:
            close()
            closed.set()

        graph.storage.close = seen  # type: ignore[method-assign]  # seen from outside
        return graph

    from intentstore.aio.opening import Opening

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Opening(partial(slowly, url))._open)
        await until(inside.is_set)
        tasks.cancel_scope.cancel()
        go.set()
    await until(closed.is_set)


# --- streams ---


@pytest.mark.anyio
async def test_a_stream_is_pulled_no_further_than_it_is_taken(url: str) -> None:
    async with open_graph_async(url) as graph:
        for n in range(300):
            graph.sync.store(Intent(id=f"{n:03}", goal="x"))
        pulled = 0
        entries = graph.storage.entries

        def counted(since: int = 0) -> Iterator[Any]:
            nonlocal pulled
            for each in entries(since):
                pulled += 1
                yield each

        graph.storage.entries = counted  # type: ignore[method-assign]  # counts
        async with contextlib.aclosing(graph.entries()) as stream:
            async for commit in stream:
                if commit.revision == 10:
                    break
        assert pulled == 64
        assert [each.revision async for each in graph.entries(290)] == list(range(291, 301))


# --- borders ---


@pytest.mark.anyio
async def test_a_closed_graph_says_so_and_closing_twice_is_harmless(url: str) -> None:
    graph = await open_graph_async(url)
    await graph.store(Intent(goal="A"))
    await graph.close()
    await graph.close()
    for ask in (partial(graph.get, "a"), graph.list, partial(graph.store, Intent(goal="B")), graph.health):
        with pytest.raises(Closed):
            await ask()
    with pytest.raises(Closed):
        async for _ in graph.each():
            pass


@pytest.mark.anyio
async def test_threads_are_few_and_end_with_the_graph(url: str) -> None:
    async with open_graph_async(url) as graph:
        async with anyio.create_task_group() as tasks:
            for n in range(100):
                tasks.start_soon(partial(graph.store, Intent(id=str(n), goal="x")))
                tasks.start_soon(graph.count)
        assert 1 <= len(threads()) <= 10
        assert await graph.revision == 100
    await until(lambda: not threads())


@pytest.mark.anyio
async def test_an_opening_that_fails_raises_and_leaves_no_thread(tmp_path: Path) -> None:
    with pytest.raises(IntentStoreError):
        await open_graph_async(f"sqlite:{tmp_path}/none.db", create=False)
    await until(lambda: not threads())


@pytest.mark.anyio
async def test_a_task_that_only_gets_lets_the_others_have_their_turn() -> None:
    async with open_graph_async("memory:") as graph:
        await graph.store(Intent(id="a", goal="A"))
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            await anyio.lowlevel.checkpoint()
            with anyio.fail_after(60):
                while turns < 10:
                    await graph.get("a")
            tasks.cancel_scope.cancel()


def test_without_an_event_loop_it_says_what_is_missing() -> None:
    opening = open_graph_async("memory:")._open()
    with pytest.raises(Unsupported, match="no event loop runs here"):
        opening.send(None)


@pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
def test_a_graph_belongs_to_the_loop_that_opened_it(run: Any) -> None:
    kept: list[AsyncIntentGraph] = []

    async def opens() -> None:
        kept.append(await open_graph_async("memory:"))

    async def asks() -> None:
        with pytest.raises(Unsupported, match="another event loop"):
            await kept[0].list()

    if run is asyncio.run:
        with asyncio.Runner() as first:
            first.run(opens())
            thread = threading.Thread(target=lambda: asyncio.run(asks()))
            thread.start()
            thread.join()
            first.run(kept[0].close())
    else:
        run(opens)
        run(asks)
        kept[0]._end()


def test_the_switch_interval_is_short_while_a_graph_is_open_and_then_as_before() -> None:
    before = sys.getswitchinterval()

    async def opens() -> None:
        async with open_graph_async("memory:"), open_graph_async("memory:"):
            assert sys.getswitchinterval() <= 0.0006
        assert sys.getswitchinterval() == before

    asyncio.run(opens())


def test_a_switch_interval_that_the_program_sets_meanwhile_is_left_alone() -> None:
    before = sys.getswitchinterval()

    async def opens() -> None:
        async with open_graph_async("memory:"):
            sys.setswitchinterval(0.002)

    try:
        asyncio.run(opens())
        assert round(sys.getswitchinterval(), 4) == 0.002
    finally:
        sys.setswitchinterval(before)


def test_lanes_run_every_job_though_their_pipe_is_full() -> None:
    done: list[int] = []
    go = threading.Event()

    class Counts:
        def __init__(self, n: int) -> None:
            self.n = n

        def run(self) -> None:
            go.wait(60)
            done.append(self.n)

    lanes = Lanes("test", most=2)
    for n in range(1000):
        lanes.post(Counts(n))
    go.set()
    lanes.stop()
    assert sorted(done) == list(range(1000))


# --- a peek ---


def test_a_peek_gives_what_a_fetch_gives_or_says_that_it_would_take_longer(tmp_path: Path) -> None:
    for place in (f"memory:{tmp_path}", f"file:{tmp_path}/goals"):
        with open_graph(place) as graph, open_graph(place) as other:
            storage, long = graph.storage, Intent(id="long", goal="x", original_request="x" * 100_000)
            assert isinstance(storage, Peeks)
            for intent in (Intent(id="a", goal="A"), long):
                graph.store(intent)
            assert storage.peek(["a", "nope", "long"]) == storage.fetch(["a", "nope", "long"])
            other.store(Intent(id="b", goal="B"))
            assert storage.peek(["b"]) in (None, storage.fetch(["b"]))
            graph.compact() if storage.capabilities.compacts else None
    with open_graph(f"file:{tmp_path}/goals") as graph:  # bytes, not yet decoded
        storage = graph.storage
        assert isinstance(storage, Peeks)
        assert storage.peek(["long"]) is None
        assert storage.fetch(["long"]) == storage.peek(["long"])


def test_a_peek_at_a_file_that_cannot_be_asked_leaves_it_to_fetch(tmp_path: Path) -> None:
    disk = FailingDisk("read")
    storage = FileStorage(tmp_path / "goals", disk=disk)
    storage.open()
    put(storage, "a")
    assert storage.peek(["a"]) == storage.fetch(["a"])
    disk.error = errno.EIO
    assert storage.peek(["a"]) is None
    disk.error = None
    storage.close()
    with pytest.raises(Closed):
        storage.peek(["a"])
