"""Processes that do the same work at once: ``python -m bench.workers WHAT WHERE`` obeys lines of its standard input.

A line is a number of calls; the answer is one line of JSON, the seconds of each call. Knows how to start and stop them.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Self

from intentstore import open_graph
from intentstore.codec import encode_intent

from . import floors
from .measure import watching
from .samples import intents

_ROOT = Path(__file__).parent.parent
_FURTHER = 60_000_000


class Workers:
    """Processes at the same work, ready when entered and gone when left."""

    def __init__(self, what: str, where: str, many: int) -> None:
        self._words = [sys.executable, "-m", "bench.workers", what, where]
        self._many = many
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(_ROOT / "src"), str(_ROOT)))}
        for _ in range(self._many):
            pipe = subprocess.PIPE
            self._processes.append(
                subprocess.Popen(self._words, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=_ROOT)
            )
        for process in self._processes:
            _line(process)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.communicate()

    def work(self, calls: int, each: list[float]) -> float:
        """Returns the seconds for each call when all do ``calls`` of them at once; ``each`` gets the single times."""
        with watching() as watch:
            for process in self._processes:
                assert process.stdin is not None
                process.stdin.write(f"{calls}\n")
                process.stdin.flush()
            told = [_line(process) for process in self._processes]
        for line in told:
            each.extend(json.loads(line))
        return watch.seconds / (calls * self._many)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process at work left with {process.wait()}")
    return line


# --- the work ---


def _append(where: str, stack: ExitStack) -> Callable[[], object]:
    fd = floors.open_append(Path(where))
    stack.callback(os.close, fd)
    lines = cycle([encode_intent(intent) + b"\n" for intent in intents(100)])

    def append() -> None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        floors.append(fd, next(lines))
        fcntl.flock(fd, fcntl.LOCK_UN)

    return append


def _insert(where: str, stack: ExitStack) -> Callable[[], object]:
    connection = floors.open_database(Path(where))
    stack.callback(connection.close)
    connection.set_busy_timeout(60_000)
    rows = (
        (f"{os.getpid()}-{at}-{intent.id}", *floors.row(intent)[1:]) for at, intent in enumerate(cycle(intents(100)))
    )

    def insert() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(floors.INSERT, next(rows))
        connection.execute("COMMIT")

    return insert


def _store(where: str, stack: ExitStack) -> Callable[[], object]:
    graph = stack.enter_context(open_graph(where))
    given = cycle([intent.replace(id="") for intent in intents(100, begin=_FURTHER)])
    return lambda: graph.store(next(given))


_WORK = {"append": _append, "insert": _insert, "store": _store}


def main(what: str, where: str) -> None:
    """Does the work as often as each line of standard input says."""
    with ExitStack() as stack:
        work = _WORK[what](where, stack)
        print("ready", flush=True)
        for line in sys.stdin:
            each = []
            for _ in range(int(line)):
                with watching() as watch:
                    work()
                each.append(watch.seconds)
            print(json.dumps(each), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
