"""Opening a store of N and being ready to answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from intentstore import open_graph

from .. import floors
from ..measure import Pair, Row, Side, Target, watching
from ..samples import intents
from ..setting import Setting


def _ours(url: str) -> Side:
    def side() -> float:
        with watching() as watch:
            graph = open_graph(url)
        graph.close()
        return watch.seconds

    return side


@contextmanager
def _file(setting: Setting) -> Iterator[Pair]:
    path = setting.fresh("floor.jsonl")
    floors.write_all(path, list(intents(setting.n)))

    def floor() -> float:
        with watching() as watch:
            lines = path.read_bytes().split(b"\n")
        del lines
        return watch.seconds

    url = setting.store("file", setting.n)
    with open_graph(url) as graph:
        graph.compact()  # other rows may have written behind its snapshot
    yield Pair(floor, _ours(url))


@contextmanager
def _sqlite(setting: Setting) -> Iterator[Pair]:
    path: Path = setting.floor_database(setting.n)

    def floor() -> float:
        with watching() as watch:
            connection = floors.open_database(path)
        connection.close()
        return watch.seconds

    yield Pair(floor, _ours(setting.store("sqlite", setting.n)))


ROWS = (
    Row(
        name="open/file",
        floor="reading the records' bytes and finding their lines",
        ours="`open_graph`: snapshot checked and loaded",
        target=Target(0.6, "median"),
        prepare=_file,
        rounds=7,
    ),
    Row(
        name="open/sqlite",
        floor="opening the database, WAL set, schema read",
        ours="`open_graph`",
        target=Target(0.01, "median"),
        prepare=_sqlite,
        rounds=50,
    ),
)
