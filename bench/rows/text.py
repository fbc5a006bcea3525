"""RTFS read and printed, against JSON of the same data; a long stream of forms, which may take no more memory.

``read`` and ``print`` are of values, ``snapshot`` is of N/10 intents with every rule of theirs asked.
"""

from __future__ import annotations

import io
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from intentstore import Intent, Keyword, Map
from intentstore.codec import jsonable
from intentstore.ground.values import freeze
from intentstore.rtfs import forms, parse, print, read, write_intent  # noqa: A004

from ..measure import Pair, Row, Target, timed
from ..samples import intents
from ..setting import Setting

_SPEED = 8_000_000
_MOST_GROWTH = 16 * 1024 * 1024


def _few(setting: Setting) -> list[Intent]:
    return list(intents(max(1, setting.n // 10)))


def _keyed(value: Any) -> Any:
    """Returns the value with keywords for the keys of its maps, as RTFS has them."""
    if type(value) is Map:
        return Map({Keyword(key): _keyed(item) for key, item in value.items()})
    return tuple(map(_keyed, value)) if type(value) is tuple else value


@contextmanager
def _read(setting: Setting) -> Iterator[Pair]:
    data = [jsonable(intent) for intent in _few(setting)]
    said, text = json.dumps(data), print(_keyed(freeze(data, "data")))
    yield Pair(timed(lambda: json.loads(said)), timed(lambda: read(text)))


@contextmanager
def _print(setting: Setting) -> Iterator[Pair]:
    data = [jsonable(intent) for intent in _few(setting)]
    values = _keyed(freeze(data, "data"))
    yield Pair(timed(lambda: json.dumps(data)), timed(lambda: print(values)))


@contextmanager
def _snapshot(setting: Setting) -> Iterator[Pair]:
    given = _few(setting)
    said = json.dumps([jsonable(intent) for intent in given])
    written = "\n".join(write_intent(intent, width=None) for intent in given)
    text = f"(intent-graph (intents\n{written}))"
    yield Pair(timed(lambda: json.loads(said)), timed(lambda: parse(text)))


@contextmanager
def _eight_megabytes(setting: Setting) -> Iterator[Pair]:
    """Both sides tell the seconds that 8 MB take, measured on what there is."""
    data = [jsonable(intent) for intent in _few(setting)]
    said, text = json.dumps(data), print(_keyed(freeze(data, "data")))
    values = read(text)

    def scaled(work: Callable[[], object], size: int) -> Callable[[], float]:
        side = timed(work)
        return lambda: side() * _SPEED / size

    yield Pair(scaled(lambda: json.loads(said), len(said)), scaled(lambda: print(read(text)) and values, 2 * len(text)))


class _Forms(io.RawIOBase):
    """Forms without end that nobody holds: the same one again and again."""

    def __init__(self, form: bytes, times: int) -> None:
        self._form, self._left = form, times

    def read(self, size: int = -1) -> bytes:
        some = min(self._left, max(1, size // len(self._form)))
        self._left -= some
        return self._form * some


@contextmanager
def _stream(setting: Setting) -> Iterator[Pair]:
    """1 GB at N = 100,000; breaks when the memory of this process grows by more than 16 MiB over it."""
    form = b"\n".join(write_intent(intent).encode() for intent in intents(10)) + b"\n"

    def stream() -> BinaryIO:
        return cast("BinaryIO", _Forms(form, setting.n))

    def passed_over() -> None:
        source = stream()
        while source.read(64 * 1024):
            pass

    def ours() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        count = sum(1 for _ in forms(stream()))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if count != 10 * setting.n or grown > _MOST_GROWTH:
            raise RuntimeError(f"{count} forms, and {grown} bytes more of memory")

    yield Pair(timed(passed_over), timed(ours))


ROWS = (
    Row(
        "rtfs/read",
        "`json.loads` of N/10 intents as JSON",
        "`rtfs.read` of the same data as RTFS",
        Target(12.0),
        _read,
        5,
    ),
    Row("rtfs/print", "`json.dumps` of the same data", "`rtfs.print`", Target(12.0), _print, 5),
    Row(
        "rtfs/snapshot",
        "`json.loads` of N/10 intents as JSON",
        "`rtfs.parse` of them as an RTFS snapshot, every rule of an intent asked",
        Target(12.0),
        _snapshot,
        5,
    ),
    Row(
        "rtfs/8mb",
        "`json.loads` of 8 MB",
        "`rtfs.read` and `rtfs.print`, half of 8 MB each",
        Target(1.0, of="median"),
        _eight_megabytes,
        5,
    ),
    Row(
        "rtfs/stream",
        "reading the bytes of a stream of 10 N intents (1 GB for N = 100,000)",
        "`rtfs.forms` over it; breaks if memory grows by 16 MiB",
        Target(60.0, of="median"),
        _stream,
        2,
    ),
)
