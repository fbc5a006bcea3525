"""N goals in one transaction, all or nothing; the floor writes them at once and syncs once.

``bulk`` stores intents that are in memory already; ``import`` reads them from a file, which its floor does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from intentstore import IntentGraph, open_graph
from intentstore.codec import encode_intent
from intentstore.formats import import_into

from .. import floors
from ..measure import Pair, Row, Target, watching
from ..samples import intents
from ..setting import KINDS, Kind, Setting

Work = Callable[[IntentGraph], object]


@contextmanager
def _bulk(setting: Setting, kind: Kind) -> Iterator[Pair]:
    given = list(intents(setting.n))

    def work(graph: IntentGraph) -> None:
        with graph.transaction() as tx:
            for intent in given:
                tx.store(intent)

    yield _pair(setting, kind, given, work)


@contextmanager
def _import(setting: Setting, kind: Kind) -> Iterator[Pair]:
    given = list(intents(setting.n))
    path = setting.fresh("goals.jsonl")
    with path.open("wb") as file:
        file.write(b'{"intentstore":1,"graph":"default"}\n')
        file.writelines(b'{"intent":%b}\n' % encode_intent(intent) for intent in given)
    yield _pair(setting, kind, given, lambda graph: import_into(graph, path, format="jsonl"))


def _pair(setting: Setting, kind: Kind, given: list[floors.Sample], work: Work) -> Pair:
    def floor() -> float:
        path = setting.fresh("floor")
        return _database(path, given) if kind == "sqlite" else _file(path, given)

    def ours() -> float:
        with open_graph("memory:" if kind == "memory" else setting.url(kind, setting.fresh(kind))) as graph:
            with watching() as watch:
                work(graph)
            return watch.seconds

    return Pair(floor, ours)


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
        name=f"{family}/{kind}",
        floor="encode and insert in one transaction, row and 2 indexes"
        if kind == "sqlite"
        else "encode and write to a file, one fdatasync",
        ours=said,
        target=Target(3.0),
        prepare=partial(prepare, kind=kind),
        rounds=3,
    )
    for family, prepare, said in (
        ("bulk", _bulk, "`store` of N goals in one transaction"),
        ("import", _import, "import of N goals from JSON lines, read strictly, in one transaction"),
    )
    for kind in KINDS
)
