"""One durable store of one intent: history, chain and indexes on our side, bare bytes on the floor's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial

from intentstore import open_graph
from intentstore.codec import encode_intent
from intentstore.ground.identity import uuid7

from .. import floors
from ..measure import Pair, Row, Target, timed
from ..samples import intents
from ..setting import Setting

_CALLS = 10
_FURTHER = 10_000_000


def _size(setting: Setting, *, large: bool) -> int:
    return setting.n if large else setting.few


@contextmanager
def _file(setting: Setting, *, large: bool) -> Iterator[Pair]:
    n = _size(setting, large=large)
    fd = floors.open_append(setting.fresh("floor.jsonl"))
    try:
        lines = iter([encode_intent(intent) + b"\n" for intent in _new(setting)])
        ours = iter(_new(setting))
        with open_graph(setting.store("file", n)) as graph:
            yield Pair(
                timed(lambda: floors.append(fd, next(lines)), calls=_CALLS),
                timed(lambda: graph.store(next(ours)), calls=_CALLS),
            )
    finally:
        os.close(fd)


@contextmanager
def _sqlite(setting: Setting, *, large: bool) -> Iterator[Pair]:
    n = _size(setting, large=large)
    with closing(floors.open_database(setting.floor_database(n))) as connection:
        rows = iter([floors.row(intent.replace(id=uuid7())) for intent in _new(setting)])
        ours = iter(_new(setting))
        with open_graph(setting.store("sqlite", n)) as graph:
            yield Pair(
                timed(lambda: connection.execute(floors.INSERT, next(rows)), calls=_CALLS),
                timed(lambda: graph.store(next(ours)), calls=_CALLS),
            )


@contextmanager
def _rtfs(setting: Setting) -> Iterator[Pair]:
    fd = floors.open_append(setting.fresh("floor.jsonl"))
    try:
        lines = iter([encode_intent(intent) + b"\n" for intent in _new(setting)])
        ours = iter(_new(setting))
        with open_graph(f"file:{setting.fresh('rtfs-store')}?encoding=rtfs") as graph:
            yield Pair(
                timed(lambda: floors.append(fd, next(lines)), calls=_CALLS),
                timed(lambda: graph.store(next(ours)), calls=_CALLS),
            )
    finally:
        os.close(fd)


def _new(setting: Setting) -> list[floors.Sample]:
    """Returns intents without ids, enough for every round."""
    return [intent.replace(id="") for intent in intents(_CALLS * (setting.rounds + 1), begin=_FURTHER)]


def _prepare(kind: str, *, large: bool) -> Callable[[Setting], AbstractContextManager[Pair]]:
    return partial(_file if kind == "file" else _sqlite, large=large)


ROWS = (
    *(
        Row(
            name=f"store/{kind}/{'large' if large else 'small'}",
            floor=floor,
            ours=f"`store` of one intent, durable, into {'N' if large else 'N/100'} stored",
            target=Target(most),
            prepare=_prepare(kind, large=large),
        )
        for kind, floor, most in (
            ("file", "append of 1 KB and fdatasync", 1.5),
            ("sqlite", "insert and commit, WAL, synchronous=FULL, row and 2 indexes", 1.35),
        )
        for large in (False, True)
    ),
    Row(
        name="store/rtfs",
        floor="append of 1 KB and fdatasync",
        ours="`store` of one intent, durable, into a file store that is written as RTFS",
        target=Target(1.6),
        prepare=_rtfs,
    ),
)
