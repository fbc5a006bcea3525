"""Many at once: threads on one graph and processes on one store, durable commits each its own; readers beside writers.

The file's floor is a group commit: who finds nobody syncing syncs for all that have written. Times are for one commit
of all callers together, so that their inverse is commits per second; the 99th percentile is of single calls.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle

from intentstore import IntentGraph, open_graph
from intentstore.codec import encode_intent

from .. import floors, workers
from ..measure import Pair, Row, Side, Target, timed, watching
from ..samples import SEED, intents
from ..setting import Kind, Setting

_CALLS = 10
_FURTHER = 50_000_000
_WRITERS = 4


def _new(setting: Setting, many: int) -> list[floors.Sample]:
    """Returns intents without ids, enough for every round of ``many`` callers."""
    return [intent.replace(id="") for intent in intents(many * _CALLS * (setting.rounds + 1), begin=_FURTHER)]


def together(work: Sequence[Callable[[], object]], each: list[float], calls: int = _CALLS) -> Side:
    """Returns a side in which every caller does its work ``calls`` times at once; ``each`` gets the single times."""

    def side() -> float:
        start, wrong = threading.Barrier(len(work) + 1), list[BaseException]()
        threads = [threading.Thread(target=_again, args=(act, start, each, calls, wrong)) for act in work]
        for thread in threads:
            thread.start()
        start.wait()
        with watching() as watch:
            for thread in threads:
                thread.join()
        if wrong:
            raise wrong[0]
        return watch.seconds / (len(work) * calls)

    return side


def _again(
    act: Callable[[], object], start: threading.Barrier, each: list[float], calls: int, wrong: list[BaseException]
) -> None:
    start.wait()
    try:
        for _ in range(calls):
            with watching() as watch:
                act()
            each.append(watch.seconds)
    except Exception as error:  # noqa: BLE001  told by who waits for the thread
        wrong.append(error)


# --- threads ---


@contextmanager
def _file(setting: Setting, threads: int) -> Iterator[Pair]:
    fd = floors.open_append(setting.fresh("floor.jsonl"))
    group, each = floors.GroupCommit(fd), list[float]()
    lines = cycle([encode_intent(intent) + b"\n" for intent in intents(1000)])
    ours = iter(_new(setting, threads))
    try:
        with open_graph(setting.store("file", setting.few)) as graph:
            floor = together([lambda: group.append(next(lines))] * threads, [])
            yield Pair(floor, together([lambda: graph.store(next(ours))] * threads, each), each)
    finally:
        os.close(fd)


@contextmanager
def _sqlite(setting: Setting, threads: int) -> Iterator[Pair]:
    each, ours = list[float](), iter(_new(setting, threads + 1))
    with open_graph(setting.store("sqlite", setting.few)) as graph:
        one = timed(lambda: graph.store(next(ours)), calls=_CALLS)
        yield Pair(one, together([lambda: graph.store(next(ours))] * threads, each), each)


# --- processes ---


@contextmanager
def _processes(setting: Setting, kind: Kind, processes: int) -> Iterator[Pair]:
    least = setting.fresh("floor.jsonl") if kind == "file" else setting.floor_database(setting.few)
    each: list[float] = []
    with (
        workers.Workers("append" if kind == "file" else "insert", str(least), processes) as floor,
        workers.Workers("store", setting.store(kind, setting.few), processes) as ours,
    ):
        yield Pair(lambda: floor.work(_CALLS, []), lambda: ours.work(_CALLS, each), each)


# --- readers beside writers ---


@contextmanager
def _beside(setting: Setting, kind: Kind) -> Iterator[Pair]:
    chosen = random.Random(SEED).choices([intent.id for intent in intents(setting.few)], k=1000)
    ids, each = cycle(chosen), list[float]()
    with open_graph(setting.store(kind, setting.few)) as graph:
        for id in chosen:  # the file store keeps an intent as bytes until its first reading
            graph.get(id)

        def ours() -> float:
            with _writing(graph):
                return together([lambda: graph.get(next(ids))] * 2, each, 200)()

        yield Pair(together([lambda: graph.get(next(ids))] * 2, [], 200), ours, each)


@contextmanager
def _writing(graph: IntentGraph) -> Iterator[None]:
    done, begun = threading.Event(), threading.Barrier(_WRITERS + 1)
    threads = [threading.Thread(target=_keep_writing, args=(graph, begun, done)) for _ in range(_WRITERS)]
    for thread in threads:
        thread.start()
    begun.wait()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _keep_writing(graph: IntentGraph, begun: threading.Barrier, done: threading.Event) -> None:
    given = [intent.replace(id="") for intent in intents(50, begin=_FURTHER)]
    begun.wait()
    for intent in cycle(given):
        if done.is_set():
            return
        graph.store(intent)


def _threads(kind: str, threads: int, prepare: Callable[..., object], floor: str, most: float) -> Row:
    return Row(
        name=f"threads/{kind}/{threads}",
        floor=floor,
        ours=f"{threads} threads on one graph, each `store` its own durable commit",
        target=Target(most),
        prepare=partial(prepare, threads=threads),  # type: ignore[arg-type]  # a context manager
        rounds=20,
    )


ROWS = (
    *(
        _threads(
            "file", many, _file, f"group commit of {many} threads: append of 1 KB, one fdatasync for all there", 1.43
        )
        for many in (1, 8, 32)
    ),
    *(
        _threads("sqlite", many, _sqlite, "`store` by one thread on the same graph", most)
        for many, most in ((8, 0.5), (32, 0.2))
    ),
    *(
        Row(
            name=f"processes/{kind}/{many}",
            floor=f"{many} processes: {floor}",
            ours=f"{many} processes on one store, each `store` its own durable commit",
            target=Target(most),
            prepare=partial(_processes, kind=kind, processes=many),  # type: ignore[arg-type]  # a kind
            rounds=10,
        )
        for kind, floor, most in (
            ("file", "lock, append of 1 KB, fdatasync, unlock", 1.5),
            ("sqlite", "BEGIN IMMEDIATE, insert, commit, synchronous=FULL", 1.35),
        )
        for many in (1, 2, 4, 8)
    ),
    *(
        Row(
            name=f"beside/{kind}",
            floor="`get` by two threads, nobody writing",
            ours=f"`get` by two threads while {_WRITERS} others store durably",
            target=Target(0.01, "p99"),
            prepare=partial(_beside, kind=kind),
            rounds=10,
        )
        for kind in ("memory", "file", "sqlite")
    ),
)
