"""How long after another process was told that its commit is durable a watch yields it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from random import Random

from intentstore import Closed, open_graph

from ..measure import Pair, Row, Target
from ..samples import SEED
from ..setting import Setting, fill

_LONGEST_PAUSE_S = 0.05

_WRITER = """
import sys, time
from intentstore import Intent, open_graph
with open_graph(sys.argv[1]) as graph:
    for line in sys.stdin:
        if line == "store\\n":
            graph.store(Intent(goal="news"))
        print(time.monotonic_ns(), flush=True)
"""


@contextmanager
def _watch(setting: Setting, place: Callable[[Setting], str]) -> Iterator[Pair]:
    url, came, pauses = place(setting), SimpleQueue[int](), Random(SEED)
    with (
        open_graph(url) as graph,
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as writer,
    ):
        watch = graph.watch()

        def follow() -> None:
            with suppress(Closed):
                for _ in watch:
                    came.put(time.monotonic_ns())

        watching = threading.Thread(target=follow, daemon=True)

        def asked(word: str) -> int:
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdin.write(word + "\n")
            writer.stdin.flush()
            return int(writer.stdout.readline())

        def floor() -> float:
            said = asked("say")
            return (time.monotonic_ns() - said) / 1e9

        def ours() -> float:
            time.sleep(pauses.random() * _LONGEST_PAUSE_S)
            return max(-asked("store") + came.get(), 1) / 1e9

        watching.start()
        try:
            yield Pair(floor, ours)
        finally:
            assert writer.stdin is not None
            writer.stdin.close()
            writer.wait()
    watching.join()


def _database(setting: Setting) -> str:
    url = setting.database()
    with open_graph(url) as graph:
        fill(graph, setting.few)
    return url


_PLACES: dict[str, tuple[Callable[[Setting], str], float]] = {
    "file": (lambda setting: setting.store("file", setting.few), 0.05),
    "sqlite": (lambda setting: setting.store("sqlite", setting.few), 0.05),
    "postgresql": (_database, 0.02),
}

ROWS = tuple(
    Row(
        name=f"watch/{kind}",
        floor="a line through a pipe from that process",
        ours="from the writer's acknowledgement to the watch in this process",
        target=Target(within, "p99"),
        prepare=partial(_watch, place=place),
    )
    for kind, (place, within) in _PLACES.items()
)
