"""Awaited gets against aiosqlite, and how long the event loop is kept from its other tasks while verbs run."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle

import aiosqlite

from intentstore import AsyncIntentGraph, Intent, IntentFilter, open_graph_async

from .. import floors
from ..measure import Pair, Row, Side, Target
from ..samples import SEED, intents
from ..setting import Kind, Setting

_CALLS = 300
_TICK_S = 0.001

Verb = Callable[[AsyncIntentGraph], Awaitable[object]]


@contextmanager
def _get(setting: Setting, kind: Kind) -> Iterator[Pair]:
    ids = random.Random(SEED).choices([intent.id for intent in intents(setting.n)], k=_CALLS)
    with asyncio.Runner() as runner:
        graph = runner.run(_opened(setting.store(kind, setting.n)))
        peer = runner.run(_peer(setting))

        async def select(id: str) -> object:
            ((body,),) = await peer.execute_fetchall(floors.GET, (id,))
            return floors.decode(body)

        for id in ids:
            graph.sync.get(id)
        try:
            yield Pair(_each(runner, select, ids), _each(runner, graph.get, ids))
        finally:
            runner.run(peer.close())
            runner.run(graph.close())


async def _opened(url: str) -> AsyncIntentGraph:
    return await open_graph_async(url)


async def _peer(setting: Setting) -> aiosqlite.Connection:
    return await aiosqlite.connect(setting.floor_database(setting.n))


def _each(runner: asyncio.Runner, get: Callable[[str], Awaitable[object]], ids: list[str]) -> Side:
    async def whole() -> float:
        begun = time.perf_counter()
        for id in ids:
            await get(id)
        return (time.perf_counter() - begun) / len(ids)

    return lambda: runner.run(whole())


# --- the longest that another task had to wait ---

_VERBS: tuple[Verb, ...] = (
    lambda graph: graph.list(IntentFilter(status="active"), limit=100),  # type: ignore[arg-type]  # as callers write
    lambda graph: graph.list(sort="-updated_at", limit=100),
    lambda graph: graph.list(IntentFilter(goal_contains="no such words"), limit=100),
    lambda graph: graph.store(Intent(goal="One more")),
    lambda graph: graph.count(),
)


@contextmanager
def _lag(setting: Setting, kind: Kind) -> Iterator[Pair]:
    with asyncio.Runner() as runner:
        graph = runner.run(_opened(setting.store(kind, setting.n)))
        verbs = cycle(_VERBS)
        try:
            yield Pair(
                lambda: runner.run(_longest(partial(asyncio.sleep, 0.02))),
                lambda: runner.run(_longest(partial(next(verbs), graph))),
            )
        finally:
            runner.run(graph.close())


async def _longest(work: Callable[[], Awaitable[object]]) -> float:
    """Returns the longest that the loop kept a task waiting which was ready to go on, while the work ran."""
    longest = 1e-9

    async def tick() -> None:
        nonlocal longest
        while True:
            ready = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - ready)
            await asyncio.sleep(_TICK_S)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await work()
    ticking.cancel()
    return longest


_PEER = "aiosqlite: select by unique id, msgspec decode of a plain struct"
ROWS = (
    *(
        Row(
            name=f"async/get/{kind}",
            floor=_PEER,
            ours="awaited `get`",
            target=Target(60e-6, "median"),
            prepare=partial(_get, kind=kind),
        )
        for kind in ("file", "sqlite")
    ),
    Row(
        name="async/peer/sqlite",
        floor=_PEER,
        ours="awaited `get`",
        target=Target(1.0),
        prepare=partial(_get, kind="sqlite"),
    ),
    *(
        Row(
            name=f"async/lag/{kind}",
            floor="the longest wait of a ready task, nothing else running",
            ours="the same while `list`, `store` or `count` is awaited",
            target=Target(1e-3, "median"),
            prepare=partial(_lag, kind=kind),
        )
        for kind in ("memory", "file", "sqlite")
    ),
)
