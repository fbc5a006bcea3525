"""How a row is measured: floor and ours in turn, A B A B, in one run; medians, and quartiles of the ratio.

Knows clocks and numbers. Has never heard of a store.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import msgspec

from .setting import Setting

Side = Callable[[], float]
"""Does the work once and returns the seconds that one operation of it took."""


_FEWEST = 3


class Absent(Exception):
    """Raised by a row whose peer is not there."""


class Pair(msgspec.Struct, frozen=True):
    """The two sides of a row, made ready."""

    floor: Side
    ours: Side
    each: list[float] = []
    """Where our side puts the seconds of single calls, when one measurement is of many at once."""


class Target(msgspec.Struct, frozen=True):
    """What a row must not exceed: the median ratio (to a floor or a peer), our median or 99th percentile in seconds."""

    most: float
    of: Literal["ratio", "peer", "median", "p99"] = "ratio"

    def __str__(self) -> str:
        match self.of:
            case "ratio":
                return f"≤ {self.most:g} x floor"
            case "peer":
                return f"≤ {self.most:g} x peer"
            case "median":
                return f"≤ {seconds(self.most)}"
            case "p99":
                return f"99 % ≤ {seconds(self.most)}"


class Row(msgspec.Struct, frozen=True):
    """One line of the table: what is compared, how often, and what was promised."""

    name: str
    floor: str
    ours: str
    target: Target
    prepare: Callable[[Setting], AbstractContextManager[Pair]]
    rounds: int = 200
    """The most rounds; a setting may ask for fewer, or have less time."""


class Figure(msgspec.Struct, frozen=True):
    """What a row measured; seconds for one operation. Without figures, ``error`` says why."""

    name: str
    target: str
    rounds: int = 0
    floor: float = 0.0
    ours: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    ratio: float = 0.0
    ratio_low: float = 0.0
    ratio_high: float = 0.0
    met: bool = False
    error: str = ""
    absent: bool = False
    """The row was not run because a peer is not installed."""


def measure(row: Row, setting: Setting) -> Figure:
    """Returns what the row measured. What goes wrong on the way is the figure's ``error``."""
    try:
        with row.prepare(setting) as pair:
            floor, ours = _alternate(pair, min(row.rounds, setting.rounds), setting.seconds)
    except Absent as error:
        return Figure(row.name, str(row.target), error=f"not run: {error}", absent=True)
    except Exception as error:  # noqa: BLE001  one broken row leaves the others
        return Figure(row.name, str(row.target), error=f"{type(error).__name__}: {error}")
    return _figure(row, floor, ours, pair.each)


def _alternate(pair: Pair, rounds: int, most: float) -> tuple[list[float], list[float]]:
    pair.floor()
    pair.ours()
    pair.each.clear()
    gc.collect()
    floor, ours = [], []
    begun = time.perf_counter()
    for done in range(rounds):
        if done >= _FEWEST and time.perf_counter() - begun > most:
            break
        floor.append(pair.floor())
        ours.append(pair.ours())
    return floor, ours


def _figure(row: Row, floor: list[float], ours: list[float], each: list[float]) -> Figure:
    ratios = [mine / least for least, mine in zip(floor, ours, strict=True)]
    low, ratio, high = _quartiles(ratios)
    single = sorted(each or ours)
    median, p99 = statistics.median(ours), single[int(0.99 * (len(single) - 1))]
    judged = {"ratio": ratio, "peer": ratio, "median": median, "p99": p99}[row.target.of]
    return Figure(
        name=row.name,
        target=str(row.target),
        rounds=len(ours),
        floor=statistics.median(floor),
        ours=median,
        p50=statistics.median(single),
        p99=p99,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        met=judged <= row.target.most,
    )


def _quartiles(numbers: Sequence[float]) -> tuple[float, float, float]:
    if len(numbers) == 1:
        return (numbers[0],) * 3
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return low, middle, high


def timed(work: Callable[[], object], *, calls: int = 1) -> Side:
    """Returns a side that does the work ``calls`` times in a row and tells the seconds of one."""

    def side() -> float:
        again = range(calls)
        begun = time.perf_counter()
        for _ in again:
            work()
        return (time.perf_counter() - begun) / calls

    return side


class Watch:
    """Holds the seconds that the last `watching` block took."""

    seconds = 0.0


@contextmanager
def watching() -> Iterator[Watch]:
    """Times the block, so that a side can do its making ready and clearing away outside of it."""
    watch = Watch()
    begun = time.perf_counter()
    yield watch
    watch.seconds = time.perf_counter() - begun


def seconds(length: float) -> str:
    """Returns a length of time as a person reads it.

    >>> seconds(0.0000123), seconds(0.5)
    ('12.3 µs', '500 ms')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if length >= size:
            return f"{length / size:.3g} {unit}"
    return f"{length * 1e9:.3g} ns"
