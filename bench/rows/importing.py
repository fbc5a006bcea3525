"""N goals in one transaction, all or nothing; the floor writes them at once and syncs once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from intentstore import open_graph

from .. import floors
from ..measure import Pair, Row, Target, watching
from ..samples import intents
from ..setting import KINDS, Kind, Setting


@contextmanager
def _prepare(setting: Setting, kind: Kind) -> Iterator[Pair]:
    given = list(intents(setting.n))

    def floor() -> float:
        path = setting.fresh("floor")
        return _database(path, given) if kind == "sqlite" else _file(path, given)

    def ours() -> float:
        url = setting.url(kind, setting.fresh(kind)) if kind != "memory" else "memory:"
        with open_graph(url) as graph, watching() as watch, graph.transaction() as tx:
            for intent in given:
                tx.store(intent)
        return watch.seconds

    yield Pair(floor, ours)


def _database(path: Path, given: list[floors.Sample]) -> float:
    connection = floors.open_database(path)
    with watching() as watch:
        floors.insert_all(connection, given)
    connection.close()
    return watch.seconds


def _file(path: Path, given: list[floors.Sample]) -> float:
    with watching() as watch:
        floors.write_all(path, given)
    return watch.seconds


ROWS = tuple(
    Row(
        name=f"import/{kind}",
        floor="encode and insert in one transaction, row and 2 indexes"
        if kind == "sqlite"
        else "encode and write to a file, one fdatasync",
        ours="`store` of N goals in one transaction",
        target=Target(3.0),
        prepare=partial(_prepare, kind=kind),
        rounds=3,
    )
    for kind in KINDS
)
