"""A PostgreSQL server of its own that syncs, and psycopg as the floor: what a careful program would do by hand."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import cycle

from intentstore import Intent, IntentFilter, IntentGraph, open_graph
from intentstore.graph.traverse import DOWNWARD, reachable
from intentstore.ground.identity import uuid7
from intentstore.ground.protocol import IntentStorage

from .. import floors
from ..measure import Pair, Row, Target, timed, watching
from ..samples import SEED, STATUSES, intents
from ..setting import Setting

_CALLS = 10
_FURTHER = 30_000_000


@contextmanager
def _store(setting: Setting, *, large: bool) -> Iterator[Pair]:
    url = setting.filled_database(setting.n if large else setting.few)
    with closing(floors.open_postgres(url, autocommit=False)) as connection, open_graph(url) as graph:
        rows = iter([floors.postgres_row(intent.replace(id=uuid7())) for intent in _new(setting, 1)])
        ours = iter(_new(setting, 1))

        def insert() -> None:
            connection.execute(floors.POSTGRES_INSERT, next(rows))
            connection.commit()

        yield Pair(timed(insert, calls=_CALLS), timed(lambda: graph.store(next(ours)), calls=_CALLS))


def _new(setting: Setting, many: int) -> list[floors.Sample]:
    """Returns intents without ids, enough for every round of ``many`` callers."""
    return [intent.replace(id="") for intent in intents(many * _CALLS * (setting.rounds + 1), begin=_FURTHER)]


@contextmanager
def _get(setting: Setting) -> Iterator[Pair]:
    url = setting.filled_database(setting.n)
    ids = random.Random(SEED).choices([intent.id for intent in intents(setting.n)], k=1000)
    mine, least = cycle(ids), cycle(ids)
    with closing(floors.open_postgres(url)) as connection, open_graph(url) as graph:

        def select() -> object:
            ((body,),) = connection.execute(floors.POSTGRES_GET, (next(least),)).fetchall()
            return floors.decode(body)

        yield Pair(timed(select, calls=200), timed(lambda: graph.get(next(mine)), calls=200))


@contextmanager
def _list(setting: Setting) -> Iterator[Pair]:
    url = setting.filled_database(setting.n)
    words, statuses = cycle(status.value for status in STATUSES), cycle(STATUSES)
    with closing(floors.open_postgres(url)) as connection, open_graph(url) as graph:

        def floor() -> object:
            rows = connection.execute(floors.POSTGRES_LIST, (next(words),)).fetchall()
            return [floors.decode(body) for (body,) in rows]

        def ours() -> object:
            return graph.list(IntentFilter(status=next(statuses)), limit=100)  # type: ignore[arg-type]  # made a set

        yield Pair(timed(floor, calls=12), timed(ours, calls=12))


@contextmanager
def _bulk(setting: Setting) -> Iterator[Pair]:
    given = list(intents(min(setting.n, 10_000)))

    def floor() -> float:
        with closing(floors.open_postgres(setting.database())) as connection, watching() as watch:
            floors.copy_all(connection, given)
        return watch.seconds

    def ours() -> float:
        with open_graph(setting.database()) as graph:
            with watching() as watch, graph.transaction() as tx:
                for intent in given:
                    tx.store(intent)
            return watch.seconds

    yield Pair(floor, ours)


@contextmanager
def _concurrent(setting: Setting, writers: int) -> Iterator[Pair]:
    url = setting.filled_database(setting.few)
    connections = [floors.open_postgres(url, autocommit=False) for _ in range(writers)]
    rows = iter([floors.postgres_row(intent.replace(id=uuid7())) for intent in _new(setting, writers)])
    ours = iter(_new(setting, writers))
    try:
        with open_graph(url) as graph:
            yield Pair(
                lambda: _together(writers, [partial(_insert, connection, rows) for connection in connections]),
                lambda: _together(writers, [partial(_put, graph, ours) for _ in range(writers)]),
            )
    finally:
        for connection in connections:
            connection.close()


def _insert(connection: floors.Postgres, rows: Iterator[tuple[str, str, int, str]]) -> None:
    connection.execute(floors.POSTGRES_INSERT, next(rows))
    connection.commit()


def _put(graph: IntentGraph, ours: Iterator[floors.Sample]) -> None:
    graph.store(next(ours))


def _together(writers: int, work: Sequence[Callable[[], None]]) -> float:
    """Returns the seconds for each write when all do `_CALLS` of them at once."""
    start = threading.Barrier(writers + 1)

    def run(act: Callable[[], None]) -> None:
        start.wait()
        for _ in range(_CALLS):
            act()

    threads = [threading.Thread(target=run, args=(act,)) for act in work]
    for thread in threads:
        thread.start()
    start.wait()
    with watching() as watch:
        for thread in threads:
            thread.join()
    return watch.seconds / (writers * _CALLS)


class _StepByStep:
    """The storage as one that takes a step of a walk at a time."""

    def __init__(self, storage: IntentStorage) -> None:
        self.fetch, self.neighbours, self.definitions = storage.fetch, storage.neighbours, storage.definitions


@contextmanager
def _descend(setting: Setting) -> Iterator[Pair]:
    with open_graph(setting.database()) as graph:
        names = [f"i{n}" for n in range(min(setting.n, 1000))]
        with graph.transaction() as tx:
            for name in names:
                tx.store(Intent(id=name, goal=name))
            for at, name in enumerate(names[1:], 1):
                tx.link(name, "is_subgoal_of", names[(at - 1) // 4])
        step_by_step = _StepByStep(graph.storage)
        yield Pair(
            timed(lambda: reachable(step_by_step, ["i0"], DOWNWARD)),
            timed(lambda: reachable(graph.storage, ["i0"], DOWNWARD)),
        )


ROWS = (
    *(
        Row(
            name=f"store/postgresql/{'large' if large else 'small'}",
            floor="BEGIN, INSERT, COMMIT through psycopg, prepared; row and 2 indexes",
            ours=f"`store` of one intent, durable, into {'N' if large else 'N/100'} stored",
            target=Target(1.5),
            prepare=partial(_store, large=large),
        )
        for large in (False, True)
    ),
    Row(
        name="get/postgresql",
        floor="prepared select by unique id through psycopg, msgspec decode of a plain struct",
        ours="`get`",
        target=Target(1.3),
        prepare=_get,
    ),
    Row(
        name="list/postgresql",
        floor="prepared select through an index on (status, time, id), decode of plain structs",
        ours="`list` of 100 by status, by time, with the cursor of the next page",
        target=Target(1.3),
        prepare=_list,
        rounds=100,
    ),
    Row(
        name="bulk/postgresql",
        floor="encode and COPY at most 10,000 in one transaction, row and 2 indexes",
        ours="`store` of as many goals in one transaction",
        target=Target(1.5),
        prepare=_bulk,
        rounds=5,
    ),
    Row(
        name="descend/postgresql",
        floor="a subtree of 1,000, a question for each of its levels",
        ours="the same in one question",
        target=Target(1.0),
        prepare=_descend,
        rounds=30,
    ),
    *(
        Row(
            name=f"concurrent/postgresql/{writers}",
            floor=f"{writers} threads, a connection each, one INSERT a transaction",
            ours=f"{writers} threads on one graph, each `store` its own commit",
            target=Target(1.0),
            prepare=partial(_concurrent, writers=writers),
            rounds=20,
        )
        for writers in (8, 32)
    ),
)
