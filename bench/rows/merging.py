"""Merging: two copies of a large graph that differ in a thousand commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from intentstore import open_graph

from ..measure import Pair, Row, Target, timed
from ..setting import KINDS, Kind, Setting, fill
from .past import work

_APART = 500


@contextmanager
def _merging(setting: Setting, kind: Kind) -> Iterator[Pair]:
    here, there = (setting.url(kind, setting.fresh(f"merge-{kind}-{side}")) for side in ("here", "there"))
    with open_graph(here) as graph, open_graph(there) as copy:
        fill(graph, setting.n)
        graph.copy(copy)
        shared, apart = graph.revision, min(_APART, setting.n)
        for each in (graph, copy):
            work(each, apart, apart)

        def read() -> None:
            for each in (graph, copy):
                list(each.entries(shared))

        yield Pair(timed(read), timed(lambda: graph.merge(copy, dry_run=True)))


ROWS = tuple(
    Row(
        name=f"merge/{kind}",
        floor="reading the 500 commits that each of two copies of N goals made since",
        ours="what merging one into the other would do",
        target=Target(2.0, "median"),
        prepare=partial(_merging, kind=kind),
        rounds=10,
    )
    for kind in KINDS
)
