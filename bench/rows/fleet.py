"""A fleet at work: what is ready among N intents and 2 N edges, a claim after one change, a commit under policies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle

from intentstore import (
    Batch,
    Cascade,
    Edge,
    EdgeType,
    Forbid,
    HistoryFilter,
    Intent,
    IntentFilter,
    IntentGraph,
    IntentStatus,
    Link,
    Put,
    Require,
    When,
    open_graph,
)

from .. import floors
from ..measure import Pair, Row, Side, Target, timed, watching
from ..samples import SEED, STATUSES, intents
from ..setting import KINDS, Kind, Setting

_BLOCK, _TOGETHER = 50, 1000
_FURTHER = 40_000_000
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_Place = tuple[Kind, int]


def _work(setting: Setting, kind: Kind, n: int) -> str:
    """Returns the URL of a store of ``n`` intents in blocks of fifty, each waiting for two before it in its block."""
    url = setting.url(kind, setting.fresh(f"work-{kind}-{n}"))
    lot = random.Random(SEED)
    graph = open_graph(url)
    for start in range(0, n, _BLOCK):
        ids = [f"work-{at:08}" for at in range(start, min(start + _BLOCK, n))]
        changes: list[Put | Link] = []
        for at, id in enumerate(ids):
            status = IntentStatus.ACTIVE if lot.random() < 0.7 else IntentStatus.COMPLETED
            goal = Intent(id=id, goal=f"Do {id}", status=status, priority=lot.randrange(10))
            changes.append(Put(intent=goal.stamped(id=id, created_at=_WHEN, updated_at=_WHEN)))
            before = lot.sample(ids[:at], min(at, 2))
            changes += [Link(edge=Edge(source=id, type=EdgeType.DEPENDS_ON, target=each)) for each in before]
        graph.storage.apply(Batch(changes=tuple(changes), at=_WHEN))
    if kind == "memory":
        setting.kept.callback(graph.close)
    else:
        graph.close()
    return url


@contextmanager
def _ready(setting: Setting, kind: Kind) -> Iterator[Pair]:
    with (
        closing(floors.open_database(setting.floor_database(setting.n))) as connection,
        open_graph(_work(setting, kind, setting.n)) as graph,
    ):
        words = cycle(status.value for status in STATUSES)

        def floor() -> object:
            return [floors.decode(body) for (body,) in connection.execute(floors.LIST, (next(words),))]

        def ours() -> float:
            graph.complete(graph.ready(limit=1)[0].id)  # one change
            with watching() as watch:
                graph.ready(limit=100)
            return watch.seconds

        yield Pair(timed(floor), ours)


@contextmanager
def _claim(setting: Setting, kind: Kind, *, large: bool) -> Iterator[Pair]:
    given = iter([intent.replace(id="", status="archived") for intent in intents(setting.rounds + 1, begin=_FURTHER)])
    with open_graph(_work(setting, kind, setting.n if large else setting.few), actor="worker") as graph:

        def ours() -> float:
            graph.store(Intent(goal="One change", priority=20))
            with watching() as watch:
                claimed = graph.claim(lease_s=600)
            assert claimed is not None
            graph.complete(claimed.id)
            return watch.seconds

        yield Pair(timed(lambda: graph.store(next(given))), ours)


@contextmanager
def _guarded(setting: Setting, kind: Kind) -> Iterator[Pair]:
    with (
        open_graph(setting.url(kind, setting.fresh(f"free-{kind}"))) as free,
        open_graph(setting.url(kind, setting.fresh(f"ruled-{kind}")), actor="planner") as ruled,
    ):
        ruled.define_policy("urgent", Require(needs={"approver"}, when=When(where=IntentFilter(priority_min=90))))  # type: ignore[arg-type]  # made sets
        ruled.define_policy("why", Require(needs={"reason", "actor"}, when=When(acts={"store"})))  # type: ignore[arg-type]
        ruled.define_policy("kept", Forbid(when=When(acts={"delete"})))  # type: ignore[arg-type]
        ruled.define_policy("reached", Cascade(what="complete_parents"))
        yield Pair(_store(free, setting), _store(ruled, setting))


@contextmanager
def _history(setting: Setting, kind: Kind) -> Iterator[Pair]:
    lot = random.Random(SEED)
    url = setting.url(kind, setting.fresh(f"log-{kind}"))
    with (
        closing(floors.open_database(setting.floor_database(setting.few))) as connection,
        open_graph(url) as graph,
    ):
        for start in range(0, setting.n, _TOGETHER):
            graph.storage.apply_all([_commit(at, lot) for at in range(start, min(start + _TOGETHER, setting.n))])
        words = cycle(status.value for status in STATUSES)

        def floor() -> object:
            return [floors.decode(body) for (body,) in connection.execute(floors.LIST, (next(words),))]

        def ours() -> object:
            begin = _WHEN + timedelta(seconds=lot.randrange(setting.n))
            where = HistoryFilter(actor=f"agent-{lot.randrange(50)}", since=begin, until=begin + timedelta(days=1))
            return graph.history(where, limit=50)

        ours()  # reads the log once
        yield Pair(timed(floor), timed(ours))


def _commit(at: int, lot: random.Random) -> Batch:
    when = _WHEN + timedelta(seconds=at)
    goal = Intent(id=f"g{at % 1000}", goal=f"Goal {at % 1000}", priority=at % 7)
    put = Put(intent=goal.stamped(id=goal.id, created_at=_WHEN, updated_at=when))
    return Batch(changes=(put,), at=when, actor=f"agent-{lot.randrange(50)}", reason="measured")


def _store(graph: IntentGraph, setting: Setting) -> Side:
    given = iter([intent.replace(id="") for intent in intents(setting.rounds + 1, begin=_FURTHER)])
    return timed(lambda: graph.store(next(given), reason="planned"))


ROWS = (
    *(
        Row(
            name=f"ready/{kind}",
            floor="SQLite select of a hundred through an index on (status, time, id)",
            ours="`ready` of a hundred after one change, among N intents and 2 N edges",
            target=Target(0.01, "median"),
            prepare=partial(_ready, kind=kind),
            rounds=100,
        )
        for kind in KINDS
    ),
    *(
        Row(
            name=f"claim/{kind}/{'large' if large else 'small'}",
            floor="`store` of one intent beside them",
            ours=f"`claim` of the best ready one after one change, among {'N' if large else 'N/100'} intents",
            target=Target(2.0),
            prepare=partial(_claim, kind=kind, large=large),
        )
        for kind in KINDS
        if kind != "memory"
        for large in (False, True)
    ),
    *(
        Row(
            name=f"guarded/{kind}",
            floor="`store` into a graph without policies",
            ours="`store` into a graph with four policies",
            target=Target(1.2),
            prepare=partial(_guarded, kind=kind),
        )
        for kind in KINDS
    ),
    *(
        Row(
            name=f"history/{kind}",
            floor="SQLite select of a hundred through an index",
            ours="`history` of fifty changes by actor and time, among N commits",
            target=Target(0.01, "median"),
            prepare=partial(_history, kind=kind),
            rounds=100,
        )
        for kind in KINDS
    ),
)
