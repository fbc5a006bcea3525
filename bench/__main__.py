"""``python -m bench [--rows a,b] [--n N] [--json FILE] [--write-docs]``; ``$ROWS`` and ``$N`` are the defaults."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import report
from .measure import Figure, measure
from .rows import ROWS, chosen
from .setting import Setting


def main(words: Sequence[str] | None = None) -> int:
    """Measures the rows asked for and prints their table; 2 for a row that does not exist, 1 for one that broke."""
    asked = _parser().parse_args(words)
    try:
        rows = chosen(asked.rows)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.dir, ignore_cleanup_errors=True) as name:
        setting = Setting(Path(name), n=asked.n, rounds=asked.rounds, seconds=asked.seconds)
        with setting.kept:
            for row in rows:
                if sys.stderr.isatty():
                    print(f"\r\x1b[K{row.name}", end="", file=sys.stderr, flush=True)
                figures.append(measure(row, setting))
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)
        print(report.table(figures))
        if asked.json:
            Path(asked.json).write_bytes(report.as_json(figures, n=asked.n, folder=setting.folder))
        if asked.write_docs:
            if len(rows) < len(ROWS):
                print("The page holds every row: --write-docs goes without --rows.", file=sys.stderr)
                return 2
            told = report.section(figures, rows, n=asked.n, folder=setting.folder)
            page = report.put_between(asked.docs.read_text(encoding="utf-8"), "rows", told)
            asked.docs.write_text(page, encoding="utf-8")
    return 1 if any(figure.error and not figure.absent for figure in figures) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures intentstore against floors.")
    parser.add_argument("--rows", default=os.environ.get("ROWS", ""), help="names or families, with commas between")
    parser.add_argument("--n", type=_positive, default=os.environ.get("N") or "100000", help="intents in a large store")
    parser.add_argument("--rounds", type=_positive, default="200", help="the most rounds of a row")
    parser.add_argument("--seconds", type=float, default=4.0, help="the most seconds of a row's rounds")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    parser.add_argument("--docs", type=Path, default=report.DOCS, help=argparse.SUPPRESS)
    parser.add_argument("--dir", help="the folder to measure in; the system's for temporary files if not given")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
