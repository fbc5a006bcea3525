"""The first hundred of one status by time, out of N; the floor is an index made for just this question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import cycle

from intentstore import IntentFilter, open_graph

from .. import floors
from ..measure import Pair, Row, Target, timed
from ..samples import STATUSES
from ..setting import KINDS, Kind, Setting

_CALLS = 12


@contextmanager
def _prepare(setting: Setting, kind: Kind) -> Iterator[Pair]:
    with (
        closing(floors.open_database(setting.floor_database(setting.n))) as connection,
        open_graph(setting.store(kind, setting.n)) as graph,
    ):
        words, statuses = cycle(status.value for status in STATUSES), cycle(STATUSES)

        def floor() -> object:
            return [floors.decode(body) for (body,) in connection.execute(floors.LIST, (next(words),))]

        def ours() -> object:
            return graph.list(IntentFilter(status=next(statuses)), limit=100)  # type: ignore[arg-type]  # made a set

        yield Pair(timed(floor, calls=_CALLS), timed(ours, calls=_CALLS))


ROWS = tuple(
    Row(
        name=f"list/{kind}",
        floor="SQLite select through an index on (status, time, id), decode of plain structs",
        ours="`list` of 100 by status, by time, with the cursor of the next page",
        target=Target(1.3),
        prepare=partial(_prepare, kind=kind),
        rounds=100,
    )
    for kind in KINDS
)
