"""Makes the golden files of the format that this tree writes: ``python -m tests.golden.make tests/golden/vN``.

Run once, when a format is released, and never again: what is here must open for ever. Ids, times and order are fixed,
so that two runs give the same logs. Compressed only where the files are binary.
"""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from intentstore import Intent, Map, open_graph
from intentstore.codec import encode_commit
from intentstore.graph.graph import IntentGraph
from intentstore.testing.samples import HOSTILE, LINE_BREAKERS, VALUES

GRAPHS = ("default", "an other/graph.~", "x" * 240)


def clock() -> Callable[[], datetime]:
    """Returns a clock that moves on by a second and a microsecond each time it is read."""
    ticks = itertools.count()
    return lambda: datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC) + timedelta(seconds=(n := next(ticks)), microseconds=n)


def counter() -> Callable[[], str]:
    """Returns a source of ids that are the same each time."""
    numbers = itertools.count(1)
    return lambda: f"made-{next(numbers):04d}"


def opened(url: str, graph: str) -> IntentGraph:
    """Opens a graph whose ids and times are fixed."""
    made = open_graph(url, graph=graph, actor="golden maker", clock=clock(), new_id=counter())
    made.storage._new_id = counter()  # type: ignore[attr-defined]  # each storage of ours has it: ids of commits
    return made


def first_half(graph: IntentGraph) -> None:
    """Everything an early life holds: every kind of value, hostile texts, edges, moves, a deletion, notes."""
    whole = graph.store(
        Intent(
            id="whole",
            goal=f"Hold every field: {LINE_BREAKERS} \u2028 λ 日本語 🧭",
            name="the whole",
            priority=9,
            original_request='"say \\ it"',
            rtfs_source='(intent "whole" :goal "x")',
            constraints=Map({"max-cost": 10.0, "deadline": "2026-12-31T00:00:00Z"}),
            preferences=Map({"style": "calm"}),
            success_criteria=VALUES[-1],
            session_id="s-1",
            triggered_by="someone",
            generation_context=Map({"model": "none"}),
            labels=("a", "ß", "two words"),
            metadata=Map({"values": VALUES}),
        ),
        reason="because",
    )
    with graph.transaction(reason="many at once", commit_id="bulk") as tx:
        for n, text in enumerate(HOSTILE):
            tx.store(Intent(id=text if len(text.encode()) <= 256 else f"hostile-{n}", goal=text, labels=(text,)))
    for n in range(4):
        graph.store(Intent(id=f"g{n}", goal=f"Goal number {n}", priority=n))
    graph.link("g1", "is_subgoal_of", "g0", weight=0.5)
    graph.link("g2", "depends_on", "g1", metadata={"why": "order"})
    graph.link("g3", "conflicts_with", "g2")
    graph.link("g3", "discovered_from", "whole")
    graph.note("g0", "a remark\nin two lines")
    graph.start("g3", reason="begun")
    graph.complete("g3", reason="done")
    graph.update(whole.replace(priority=10), reason="more")


def second_half(graph: IntentGraph) -> None:
    """What follows: an edge gone, an intent deleted with its edges and made again, a commit id used twice."""
    graph.unlink("g3", "conflicts_with", "g2")
    graph.delete("g2", reason="given up")
    graph.store(Intent(id="g2", goal="Again"))
    for _ in range(2):
        with graph.transaction(commit_id="twice") as tx:
            tx.store(Intent(id="once", goal="Be stored once"))
    graph.suspend("g1")


def make_file(place: Path) -> None:
    """A file store of three graphs: two snapshots' worth of history, one closed cleanly, one never compacted."""
    for name in GRAPHS:
        with opened(f"file:{place}", name) as graph:
            first_half(graph)
            if name == GRAPHS[0]:
                graph.compact()
            second_half(graph)


def make_sqlite(place: Path) -> None:
    """An SQLite file of the same three graphs."""
    for name in GRAPHS:
        with opened(f"sqlite:{place}", name) as graph:
            first_half(graph)
            second_half(graph)


def killed(kind: str, place: Path) -> None:
    """A store whose writer was killed: nothing was closed."""
    if os.environ.get("GOLDEN_CHILD") != kind:
        environment = {**os.environ, "GOLDEN_CHILD": kind}
        subprocess.run([sys.executable, "-m", "tests.golden.make", kind, place], check=False, env=environment)
        return
    graph = opened(f"{kind}:{place}", "default")
    first_half(graph)
    if kind == "file":
        graph.compact()
    second_half(graph)
    os.kill(os.getpid(), 9)


def main(target: Path) -> None:
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        make_file(target / "file")
        killed("file", target / "file-killed")
        with next((target / "file-killed/graphs/default").glob("journal-*5.jsonl")).open("ab") as journal:
            journal.write(b"371 36 36 0123456789abcdef01234567")  # the write it died in
        make_sqlite(work / "goals.db")
        killed("sqlite", work / "killed.db")
        for path in work.iterdir():
            (target / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        with opened("memory:", "default") as graph:
            first_half(graph)
            second_half(graph)
            (target / "log.jsonl").write_bytes(b"".join(encode_commit(each) + b"\n" for each in graph.entries()))
            graph.backup(target / "whole.backup")


if __name__ == "__main__":
    if os.environ.get("GOLDEN_CHILD"):
        killed(sys.argv[1], Path(sys.argv[2]))
    main(Path(sys.argv[1]))
