"""Questions about a log of N commits on N/10 goals: the state a five-hundredth of them ago, and what changed since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from random import Random

from intentstore import IntentFilter, IntentGraph, open_graph
from intentstore.ground.change import Batch, Put

from ..measure import Pair, Row, Target, timed
from ..samples import SEED, STATUSES, intents
from ..setting import KINDS, Kind, Setting, fill

_TOGETHER = 500
_SHARE = 500
"""A log of 500 days, looked at as it was a day ago."""


def work(graph: IntentGraph, commits: int, goals: int) -> None:
    """Moves and edits goals at random, one commit each."""
    luck, whole = Random(SEED), list(intents(goals))
    batches: list[Batch] = []
    for at in range(commits):
        which = luck.randrange(len(whole))
        old = whole[which]
        whole[which] = new = old.replace(status=luck.choice(STATUSES), priority=at % 10, updated_at=old.updated_at)
        batches.append(Batch(changes=(Put(intent=new),), at=new.updated_at, actor="worker"))
        if len(batches) == _TOGETHER:
            graph.storage.apply_all(batches)
            batches = []
    graph.storage.apply_all(batches)


@contextmanager
def _worked_on(setting: Setting, kind: Kind, commits: int) -> Iterator[tuple[IntentGraph, int]]:
    """Gives a graph with such a log, and how many commits make a day of it."""
    with open_graph(setting.url(kind, setting.fresh(f"past-{kind}"))) as graph:
        goals = max(2, commits // 10)
        fill(graph, goals)
        work(graph, commits, goals)
        yield graph, max(1, commits // _SHARE)


@contextmanager
def _listing(setting: Setting, kind: Kind) -> Iterator[Pair]:
    with _worked_on(setting, kind, setting.n) as (graph, day):
        past = graph.at(graph.revision - day)
        words = cycle(STATUSES)

        def ask(asked: IntentGraph) -> object:
            return asked.list(IntentFilter(status=next(words)), limit=100)  # type: ignore[arg-type]  # made a set

        yield Pair(timed(partial(ask, graph), calls=6), timed(partial(ask, past), calls=6))


@contextmanager
def _opening(setting: Setting, kind: Kind) -> Iterator[Pair]:
    with _worked_on(setting, kind, setting.n) as (graph, day):
        since = graph.revision - day
        yield Pair(timed(lambda: list(graph.entries(since))), timed(lambda: graph.at(since).list(limit=100)))


@contextmanager
def _difference(setting: Setting, kind: Kind) -> Iterator[Pair]:
    many = setting.n
    few = max(2, many // 10)
    with _worked_on(setting, kind, few) as (small, _), _worked_on(setting, kind, many) as (large, day):
        ends = [(graph.revision // 2, graph.revision // 2 + min(day, few // 4)) for graph in (small, large)]
        yield Pair(timed(lambda: small.diff(*ends[0])), timed(lambda: large.diff(*ends[1])))


ROWS = tuple(
    row
    for kind in KINDS
    for row in (
        Row(
            name=f"past/list/{kind}",
            floor="`list` of 100 by status, of the present, after N commits",
            ours="the same at a revision N/500 commits ago, the view open",
            target=Target(5.0),
            prepare=partial(_listing, kind=kind),
            rounds=100,
        ),
        Row(
            name=f"past/open/{kind}",
            floor="reading the last N/500 commits",
            ours="`at` a revision before them, and the first `list` of 100",
            target=Target(4.0),
            prepare=partial(_opening, kind=kind),
            rounds=20,
        ),
        Row(
            name=f"past/diff/{kind}",
            floor="`diff` over a stretch of N/500 commits in a log of N/10",
            ours="`diff` over as many in a log of N",
            target=Target(1.5),
            prepare=partial(_difference, kind=kind),
            rounds=20,
        ),
    )
)
