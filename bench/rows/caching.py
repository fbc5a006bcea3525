"""What a cache of reads could save: before it may answer, it has to ask whether another process wrote."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle

from intentstore import open_graph

from ..measure import Pair, Row, Target, timed
from ..samples import SEED, intents
from ..setting import Setting

_CALLS = 200


@contextmanager
def _ask(setting: Setting, place: Callable[[Setting], str]) -> Iterator[Pair]:
    ids = cycle(random.Random(SEED).choices([intent.id for intent in intents(setting.n)], k=1000))
    with open_graph(place(setting)) as graph:
        yield Pair(
            timed(lambda: graph.revision, calls=_CALLS),
            timed(lambda: graph.get(next(ids)), calls=_CALLS),
        )


_PLACES: dict[str, Callable[[Setting], str]] = {
    "sqlite": lambda setting: setting.store("sqlite", setting.n),
    "postgresql": lambda setting: setting.filled_database(setting.n),
}

ROWS = tuple(
    Row(
        name=f"cache/{kind}",
        floor="`revision`: has anybody written since?",
        ours="`get`, which asks for the intent itself",
        target=Target(2.0),
        prepare=partial(_ask, place=place),
    )
    for kind, place in _PLACES.items()
)
