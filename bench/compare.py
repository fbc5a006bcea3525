"""``python -m bench.compare``: rows at another revision ($BASE) and here, in turn, each run a process; 1 when slower.

A change counts when the quartiles of the two do not meet and the medians are further apart than a twentieth.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from . import report

_ROOT = Path(__file__).parent.parent
_LEAST = 1.05
Row = Mapping[str, float]
Verdict = Literal["same", "slower", "faster"]


def main(words: Sequence[str] | None = None) -> int:
    """Prints both ratios of every row that both revisions have, and what changed by more than the noise."""
    asked = _parser().parse_args(words)
    if not asked.base:
        print("Name the revision to compare with: make bench-compare BASE=main", file=sys.stderr)
        return 2
    with (
        tempfile.TemporaryDirectory(prefix="compare-", ignore_cleanup_errors=True) as name,
        _checked_out(asked.base, Path(name) / "base") as base,
    ):
        runs = [(run(base, asked, name), run(_ROOT, asked, name)) for _ in range(asked.runs)]
    lines = list(_compared(runs))
    print(report.columns([("row", "base", "here", "here / base", ""), *lines]))
    return 1 if any(line[-1] == "slower" for line in lines) else 0


@contextmanager
def _checked_out(revision: str, place: Path) -> Iterator[Path]:
    git = ["git", "-C", str(_ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(place), revision], check=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


def run(root: Path, asked: argparse.Namespace, folder: str) -> dict[str, Row]:
    """Returns the rows that the benchmarks of a checkout measure, by name."""
    told = Path(folder) / "figures.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    words = ["--rows", asked.rows, "--n", str(asked.n), "--rounds", str(asked.rounds), "--json", str(told)]
    subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=root, env=environment, stdout=subprocess.DEVNULL, check=False
    )
    rows = json.loads(told.read_bytes())["rows"]
    told.unlink()
    return {row["name"]: row for row in rows if not row["error"]}


def judged(base: Sequence[Row], here: Sequence[Row]) -> tuple[float, float, Verdict]:
    """Returns the medians of both, and whether what is here is slower or faster than the noise explains.

    >>> quick, slow = (
    ...     {"ratio": 1.0, "ratio_low": 0.9, "ratio_high": 1.1},
    ...     {"ratio": 2.0, "ratio_low": 1.9, "ratio_high": 2.1},
    ... )
    >>> judged([quick], [slow])[2], judged([slow], [quick])[2], judged([quick], [quick])[2]
    ('slower', 'faster', 'same')
    """
    was, now = (statistics.median(row["ratio"] for row in side) for side in (base, here))
    (was_low, was_high), (low, high) = (
        (min(row["ratio_low"] for row in side), max(row["ratio_high"] for row in side)) for side in (base, here)
    )
    if low > was_high and now > was * _LEAST:
        return was, now, "slower"
    if high < was_low and was > now * _LEAST:
        return was, now, "faster"
    return was, now, "same"


def _compared(runs: Sequence[tuple[Mapping[str, Row], Mapping[str, Row]]]) -> Iterator[tuple[str, ...]]:
    for name in runs[0][1]:
        if all(name in side for both in runs for side in both):
            was, now, verdict = judged([base[name] for base, _ in runs], [here[name] for _, here in runs])
            yield (name, f"{was:.2f}", f"{now:.2f}", f"{now / was:.2f}", "" if verdict == "same" else verdict)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description="Compares two revisions.")
    parser.add_argument("--base", default=os.environ.get("BASE", ""), help="the other revision")
    parser.add_argument("--rows", default=os.environ.get("ROWS", ""), help="names or families, with commas between")
    parser.add_argument("--n", type=int, default=os.environ.get("N") or "10000", help="intents in a large store")
    parser.add_argument("--rounds", type=int, default=100, help="the most rounds of a row in a run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each revision")
    return parser


if __name__ == "__main__":
    sys.exit(main())
