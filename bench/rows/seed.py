"""The limits the project began with: retrieval below 10 ms, persistence below 50 ms, at N stored and always."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle

from intentstore import open_graph
from intentstore.codec import encode_intent

from .. import floors
from ..measure import Pair, Row, Target, timed
from ..samples import SEED, intents
from ..setting import KINDS, Kind, Setting

_FURTHER = 20_000_000


@contextmanager
def _retrieve(setting: Setting, kind: Kind) -> Iterator[Pair]:
    held = {intent.id: intent for intent in intents(setting.n)}
    ids = random.Random(SEED).choices(list(held), k=1000)
    mine, least = cycle(ids), cycle(ids)
    with open_graph(setting.store(kind, setting.n)) as graph:
        yield Pair(timed(lambda: held[next(least)]), timed(lambda: graph.get(next(mine))))


@contextmanager
def _persist(setting: Setting, kind: Kind) -> Iterator[Pair]:
    given = [intent.replace(id="") for intent in intents(setting.rounds + 1, begin=_FURTHER)]
    mine, least = iter(given), iter([encode_intent(intent) + b"\n" for intent in given])
    fd = floors.open_append(setting.fresh("floor.jsonl"))
    try:
        with open_graph(setting.store(kind, setting.n)) as graph:
            yield Pair(timed(lambda: floors.append(fd, next(least))), timed(lambda: graph.store(next(mine))))
    finally:
        os.close(fd)


ROWS = (
    *(
        Row(
            name=f"seed/retrieve/{kind}",
            floor="a look into a dict",
            ours="one `get`, each timed by itself",
            target=Target(0.01, "p99"),
            prepare=partial(_retrieve, kind=kind),
        )
        for kind in KINDS
    ),
    *(
        Row(
            name=f"seed/persist/{kind}",
            floor="append of 1 KB and fdatasync",
            ours="one `store`, each timed by itself",
            target=Target(0.05, "p99"),
            prepare=partial(_persist, kind=kind),
        )
        for kind in KINDS
        if kind != "memory"
    ),
)
