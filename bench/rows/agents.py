"""A hundred agents on one graph, each claiming, updating, linking, completing, asking what is ready and for context."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from intentstore import Intent, IntentGraph, open_graph
from intentstore.codec import encode_intent

from .. import floors
from ..measure import Pair, Row, Target
from ..samples import intents
from ..setting import Kind, Setting
from .concurrent import together

_AGENTS, _COMMITS = 100, 5


@contextmanager
def _prepare(setting: Setting, kind: Kind) -> Iterator[Pair]:
    agents = min(_AGENTS, 5 * setting.rounds)  # few in a test
    fd = floors.open_append(setting.fresh("floor.jsonl"))
    group, each = floors.GroupCommit(fd), list[float]()
    line = next(encode_intent(intent) + b"\n" for intent in intents(1))

    def write() -> None:
        for _ in range(_COMMITS):
            group.append(line)

    try:
        with open_graph(_filled(setting, kind)) as graph:
            top = graph.store(Intent(goal="What all work for"))
            work = [partial(_turn, graph, top.id, f"agent-{at}") for at in range(agents)]
            yield Pair(together([write] * agents, [], 1), together(work, each, 1), each)
    finally:
        os.close(fd)


def _filled(setting: Setting, kind: Kind) -> str:
    url = setting.url(kind, setting.fresh(f"agents-{kind}"))
    with open_graph(url) as graph, graph.transaction() as tx:
        for intent in intents(min(setting.n, 10_000)):
            tx.store(intent)
    return url


def _turn(graph: IntentGraph, top: str, agent: str) -> None:
    """One piece of work, five commits: a goal is told, claimed, changed, linked and completed; and two questions."""
    told = graph.store(Intent(goal=f"A piece of work for {agent}"))
    claimed = graph.claim(told.id, owner=agent, lease_s=600)
    assert claimed is not None
    assert claimed.claim is not None
    holder = graph.acting(actor=agent, token=claimed.claim.token)
    holder.update(claimed.replace(priority=7))
    holder.link(told.id, "related_to", top)
    holder.ready(limit=5)
    holder.context(focus=[told.id], budget_tokens=1000)
    holder.complete(told.id)


ROWS = tuple(
    Row(
        name=f"agents/{kind}",
        floor=f"{_AGENTS} threads, {_COMMITS} group commits of 1 KB each",
        ours=f"{_AGENTS} threads, each store, claim, update, link, ready, context, complete, among at most 10,000",
        target=Target(1.0, "p99"),
        prepare=partial(_prepare, kind=kind),
        rounds=10,
    )
    for kind in ("file", "sqlite")
)
