"""Every verb of `IntentGraph` as a coroutine. Owns the lanes; what a verb means is the sync face's to say."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from copy import copy
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..graph.graph import IntentGraph
from ..graph.transaction import Transaction
from ..ground.change import Commit
from ..ground.errors import Closed, FieldInvalid
from ..ground.protocol import Degraded, IntentStorage, Peeks
from ..ground.types import Intent, IntentId, Revision
from .bridge import Bridge, Work
from .lanes import PACE, Lanes
from .news import News
from .verb import AT_ONCE, like, reading, streaming, writing

if TYPE_CHECKING:
    from ..graph import transfer
    from ..graph.merge import Merged
    from ..graph.watch import Watch

T = TypeVar("T")
READERS, WRITERS = 2, 8
"""Threads of a graph: as many readers as pay under one interpreter lock; as many writers as then share one sync."""
_INLINE_S = 0.0005
"""How long gets may be answered without a hop before the other tasks get their turn."""


class Recording:
    """A block whose changes become one commit: recorded as they come, applied in one call when the block ends.

    ``async with`` gives the `Transaction` to record with. Nothing is held open while the block awaits.
    """

    def __init__(self, write: Callable[[Work[None]], Coroutine[Any, Any, None]], tx: Transaction) -> None:
        self._write, self._tx = write, tx

    async def __aenter__(self) -> Transaction:
        return self._tx.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and len(self._tx):
            await self._write(lambda: self._tx.__exit__(None, None, None))
        else:
            self._tx.__exit__(kind, error, trace)


class AsyncIntentGraph:
    """An `IntentGraph` for asyncio and trio: the same verbs, awaited. `open_graph_async` makes one.

    Work runs on threads of the graph's own. A cancelled await leaves all of a write or nothing of it: what had not
    begun never does, what had begun goes on to its end; to repeat it under the same commit id is harmless.
    """

    def __init__(
        self, graph: IntentGraph, bridge: Bridge, lanes: Lanes, *, beside: AsyncIntentGraph | None = None
    ) -> None:
        self.sync = graph
        self._bridge = bridge
        self._beside = beside
        """Whose lanes these are, where they are not this graph's own: the graph of which this one is the past."""
        self._readers: Lanes = Lanes("read", most=READERS) if beside is None else beside._readers  # noqa: SLF001  its own kind
        self._writers = lanes
        self._peek = graph.storage.peek if isinstance(graph.storage, Peeks) else None
        self._news = News(graph.storage)
        self._turn_at = 0.0
        self._closed = False
        if beside is None:
            PACE.hasten()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def storage(self) -> IntentStorage:
        """The storage beneath; its methods block."""
        return self.sync.storage

    @property
    def name(self) -> str:
        """The graph's name in its store."""
        return self.sync.name

    @property
    def actor(self) -> str | None:
        """Who writes through this face, as the history tells it."""
        return self.sync.actor

    def _read(self, work: Work[T]) -> Coroutine[Any, Any, T]:
        self._check_open()
        return self._bridge.run(self._readers, work)

    def _write(self, work: Work[T]) -> Coroutine[Any, Any, T]:
        self._check_open()
        return self._bridge.run(self._writers, work)

    def _check_open(self) -> None:
        if self._closed:
            _ = self.storage.revision  # it says best that it is closed
            raise Closed("the graph is closed", hint="open it again")
        if self._beside is not None:
            self._beside._check_open()  # noqa: SLF001  one of its own kind

    async def close(self) -> None:
        """Lets go of the storage. Closing twice is harmless."""
        if not self._closed:
            self._closed = True
            if self._beside is None:
                PACE.relax()
                await self._bridge.end(self._writers, self._end)
            elif not self._beside._closed:  # noqa: SLF001  its own kind
                await self._bridge.run(self._readers, self._news.stop)

    def _end(self) -> None:
        self._news.stop()
        for lanes in (self._readers, self._writers):
            lanes.stop()
        self.sync.close()

    @like(IntentGraph.acting)
    def acting(
        self, *, actor: str | None = None, approver: str | None = None, token: int | None = None
    ) -> AsyncIntentGraph:
        other = copy(self)
        other.sync = self.sync.acting(actor=actor, approver=approver, token=token)
        return other

    # --- reading by id ---

    @like(IntentGraph.get)
    async def get(self, id: IntentId) -> Intent | None:
        found = None if self._peek is None else self._peek((id,))
        if found is None:
            return await self._read(lambda: self.sync.get(id))
        if time.monotonic() - self._turn_at > _INLINE_S:  # a task that only gets would keep the others waiting
            await self._bridge.checkpoint()
            self._turn_at = time.monotonic()
        return found[0]

    intent = reading(IntentGraph.intent)
    fetch = reading(IntentGraph.fetch)
    intents = reading(IntentGraph.intents)

    # --- writing ---

    @like(IntentGraph.transaction)
    def transaction(self, *, reason: str | None = None, commit_id: str | None = None) -> Recording:
        return Recording(self._write, self.sync.transaction(reason=reason, commit_id=commit_id))

    async def transact(
        self, work: Callable[[Transaction], T], *, reason: str | None = None, commit_id: str | None = None
    ) -> T:
        """Runs a plain function inside a transaction on a lane, and returns what it returned once that is durable.

        What the function records becomes one commit; if it raises, nothing is stored. It must not await.
        """

        def whole() -> T:
            with self.sync.transaction(reason=reason, commit_id=commit_id) as tx:
                return _plain(work(tx))

        return await self._write(whole)

    async def run(self, work: Callable[[IntentGraph], T]) -> T:
        """Runs a plain function with the sync graph on a lane, and returns what it returned: many verbs, one hop."""
        return await self._write(lambda: _plain(work(self.sync)))

    apply = writing(IntentGraph.apply)
    store = writing(IntentGraph.store)
    update = writing(IntentGraph.update)
    delete = writing(IntentGraph.delete)
    note = writing(IntentGraph.note)
    define = writing(IntentGraph.define)
    definitions = reading(IntentGraph.definitions)

    # --- edges ---

    link = writing(IntentGraph.link)
    unlink = writing(IntentGraph.unlink)
    edges = reading(IntentGraph.edges)
    edges_of = reading(IntentGraph.edges_of)
    parents = reading(IntentGraph.parents)
    children = reading(IntentGraph.children)
    ancestors = reading(IntentGraph.ancestors)
    descendants = reading(IntentGraph.descendants)
    path = reading(IntentGraph.path)
    tree = reading(IntentGraph.tree)
    common_ancestor = reading(IntentGraph.common_ancestor)
    impact = reading(IntentGraph.impact)
    critical_path = reading(IntentGraph.critical_path)
    cycles = reading(IntentGraph.cycles)
    components = reading(IntentGraph.components)
    conflicts = reading(IntentGraph.conflicts)
    infer = writing(IntentGraph.infer)

    # --- questions ---

    list = reading(IntentGraph.list)
    each = streaming(IntentGraph.each)
    count = reading(IntentGraph.count)
    ready = reading(IntentGraph.ready)
    blocked = reading(IntentGraph.blocked)
    stale = reading(IntentGraph.stale)
    search = reading(IntentGraph.search)
    context = reading(IntentGraph.context)
    summary = reading(IntentGraph.summary)

    # --- lifecycle ---

    start = writing(IntentGraph.start)
    complete = writing(IntentGraph.complete)
    fail = writing(IntentGraph.fail)
    suspend = writing(IntentGraph.suspend)
    archive = writing(IntentGraph.archive)
    reopen = writing(IntentGraph.reopen)
    defer = writing(IntentGraph.defer)
    sweep = writing(IntentGraph.sweep)

    # --- claims ---

    claim = writing(IntentGraph.claim)
    renew = writing(IntentGraph.renew)
    release = writing(IntentGraph.release)
    recover = writing(IntentGraph.recover)

    # --- governance ---

    policies = reading(IntentGraph.policies)
    define_policy = writing(IntentGraph.define_policy)
    guard = writing(IntentGraph.guard)

    # --- the log ---

    @property
    async def revision(self) -> Revision:
        """The sequence number of the last commit; 0 when there is none."""
        return await self._read(lambda: self.sync.revision)

    history = reading(IntentGraph.history)
    outcomes = reading(IntentGraph.outcomes)
    entries = streaming(IntentGraph.entries)
    wait_for = reading(IntentGraph.wait_for)
    commit = reading(IntentGraph.commit)

    @like(IntentGraph.watch)
    async def watch(
        self, since: Revision | None = None, *, timeout_s: float | None = None, patience_s: float = 60.0
    ) -> AsyncGenerator[Commit, None]:
        watch = await self._read(lambda: self.sync.watch(since, timeout_s=timeout_s, patience_s=patience_s))
        async with aclosing(self._follow(watch)) as commits:
            async for commit in commits:
                yield commit

    @like(IntentGraph.subscribe)
    async def subscribe(
        self, name: str, since: Revision = 0, *, timeout_s: float | None = None, patience_s: float = 60.0
    ) -> AsyncGenerator[Commit, None]:
        subscription = await self._write(
            lambda: self.sync.subscribe(name, since, timeout_s=timeout_s, patience_s=patience_s)
        )
        try:
            async with aclosing(self._follow(subscription)) as commits:
                async for commit in commits:
                    yield commit
                    subscription.dealt_with(commit.revision)
        finally:
            await self._write(subscription.keep)

    async def _follow(self, watch: Watch) -> AsyncGenerator[Commit, None]:
        parking = self._news.after(watch)
        while True:
            block = await self._read(lambda: watch.take(AT_ONCE))
            if not block and parking.is_over:
                return
            for commit in block:
                yield commit
            if block:
                parking = self._news.after(watch)
            else:
                await self._bridge.run(parking, _nothing)

    subscriptions = reading(IntentGraph.subscriptions)
    unsubscribe = writing(IntentGraph.unsubscribe)

    # --- time ---

    @like(IntentGraph.at)
    async def at(self, when: Revision | datetime) -> AsyncIntentGraph:
        past = await self._read(lambda: self.sync.at(when))
        return AsyncIntentGraph(past, self._bridge, self._writers, beside=self)

    diff = reading(IntentGraph.diff)
    undo = writing(IntentGraph.undo)

    @like(IntentGraph.merge)
    async def merge(
        self, other: AsyncIntentGraph | IntentGraph, *, unrelated: bool = False, dry_run: bool = False
    ) -> Merged:
        source = other.sync if isinstance(other, AsyncIntentGraph) else other
        return await self._write(lambda: self.sync.merge(source, unrelated=unrelated, dry_run=dry_run))

    blame = reading(IntentGraph.blame)
    timeline = reading(IntentGraph.timeline)

    # --- care ---

    backup = reading(IntentGraph.backup)
    restore = writing(IntentGraph.restore)

    @like(IntentGraph.copy)
    async def copy(
        self, to: AsyncIntentGraph | IntentGraph, *, progress: transfer.Progress | None = None
    ) -> transfer.Receipt:
        target = to.sync if isinstance(to, AsyncIntentGraph) else to
        return await self._read(lambda: self.sync.copy(target, progress=progress))

    receipt = reading(IntentGraph.receipt)
    seal = reading(IntentGraph.seal)
    prove = reading(IntentGraph.prove)
    verify = reading(IntentGraph.verify)
    compact = writing(IntentGraph.compact)
    health = reading(IntentGraph.health)
    doctor = reading(IntentGraph.doctor)

    @property
    async def degraded(self) -> Degraded | None:
        """How the graph does while its store cannot be reached and a fallback goes on; None when all is well."""
        return await self._read(lambda: self.sync.degraded)

    replay = writing(IntentGraph.replay)
    stats = reading(IntentGraph.stats)
    graphs = reading(IntentGraph.graphs)


def _nothing() -> None:
    """The work of a job that only waits."""


def _plain(result: T) -> T:
    if inspect.iscoroutine(result):
        result.close()
        raise FieldInvalid("work", "is a coroutine function", hint="give a plain function; await before or after it")
    return result
