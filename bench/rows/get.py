"""One intent by its id, ids in no order, out of N."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import cycle

from intentstore import open_graph

from .. import floors
from ..measure import Pair, Row, Target, timed
from ..samples import SEED, intents
from ..setting import Kind, Setting

_CALLS = 1000


@contextmanager
def _in_memory(setting: Setting, kind: Kind) -> Iterator[Pair]:
    held = {intent.id: intent for intent in intents(setting.n)}
    ids = _ids(list(held))
    with open_graph(setting.store(kind, setting.n)) as graph:
        for id in held:  # the file store keeps an intent as bytes until its first reading
            graph.get(id)
        yield Pair(_each(held.get, ids), _each(graph.get, ids))


@contextmanager
def _sqlite(setting: Setting) -> Iterator[Pair]:
    ids = _ids([intent.id for intent in intents(setting.n)])
    with (
        closing(floors.open_database(setting.floor_database(setting.n))) as connection,
        open_graph(setting.store("sqlite", setting.n)) as graph,
    ):
        execute, decode = connection.execute, floors.decode
        yield Pair(_each(lambda wanted: decode(execute(floors.GET, (wanted,)).get), ids), _each(graph.get, ids))


def _ids(ids: list[str]) -> list[str]:
    return random.Random(SEED).choices(ids, k=_CALLS)


def _each(get: Callable[[str], object], ids: list[str]) -> Callable[[], float]:
    endless = cycle(ids)
    return timed(lambda: get(next(endless)), calls=_CALLS)


ROWS = (
    *(
        Row(
            name=f"get/{kind}",
            floor="a look into a dict",
            ours="`get` of an intent read before",
            target=Target(3e-6, "median"),
            prepare=partial(_in_memory, kind=kind),
        )
        for kind in ("memory", "file")
    ),
    Row(
        name="get/sqlite",
        floor="select by unique id, msgspec decode of a plain struct",
        ours="`get`",
        target=Target(1.6),
        prepare=_sqlite,
    ),
)
