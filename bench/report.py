"""The figures as a table for the terminal, as JSON, and as docs/performance.md; the machine in general terms."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from .measure import Figure, Row, seconds
from .samples import SEED

DOCS = Path(__file__).parent.parent / "docs" / "performance.md"
_HEADER = ("row", "floor", "ours", "ratio", "quartiles", "target", "")


def cells(figure: Figure) -> tuple[str, ...]:
    """Returns a line of the table."""
    if figure.error:
        return (figure.name, "", "", "", "", figure.target, "not measured")
    return (
        figure.name,
        seconds(figure.floor),
        seconds(figure.ours),
        _ratio(figure.ratio),
        f"{_ratio(figure.ratio_low)} - {_ratio(figure.ratio_high)}",
        figure.target,
        "met" if figure.met else "missed",
    )


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def table(figures: Sequence[Figure]) -> str:
    """Returns the aligned table, and below it why a row was not measured."""
    lines = [_HEADER, *map(cells, figures)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEADER))]
    text = [aligned(line, widths) for line in lines]
    return "\n".join([*text, *(f"{figure.name}: {figure.error}" for figure in figures if figure.error)])


def aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """Returns the cells padded, the numbers to the right."""
    padded = [
        cell.rjust(width) if 0 < at < 5 else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def machine(folder: Path) -> dict[str, Any]:
    """Returns what a ratio may depend on, in general terms: no names, no paths."""
    return {
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "file_system": file_system(folder),
    }


def file_system(folder: Path) -> str:
    """Returns the type of the file system the folder is on, where the system tells."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown"
    here = f"{folder.resolve()}/"
    kinds = {mount[1]: mount[2] for mount in mounts if here.startswith(mount[1].rstrip("/") + "/")}
    return kinds[max(kinds, key=len)] if kinds else "unknown"


def as_json(figures: Sequence[Figure], *, n: int, folder: Path) -> bytes:
    """Returns everything measured, times in seconds."""
    found = {"n": n, "seed": SEED, "machine": machine(folder), "rows": list(figures)}
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def page(figures: Sequence[Figure], rows: Sequence[Row], *, n: int, folder: Path) -> str:
    """Returns docs/performance.md."""
    facts = machine(folder)
    met = sum(figure.met for figure in figures)
    return _PAGE.format(
        n=n,
        met=met,
        all=len(figures),
        machine=f"{facts['cores']} cores ({facts['processor']}, {facts['system']}), Python {facts['python']}, "
        f"SQLite {facts['sqlite']}, {facts['file_system']}",
        table=_markdown(_HEADER, [cells(figure) for figure in figures], right=range(1, 5)),
        compared=_markdown(("row", "floor", "ours"), [(row.name, row.floor, row.ours) for row in rows]),
    )


def _markdown(header: Sequence[str], lines: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    rule = ["--:" if at in right else "---" for at in range(len(header))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])


_PAGE = """\
# Performance

Written by `python -m bench --write-docs`; do not edit. Each row does the same work twice: once as the *floor*, the
least that keeps the same promise, and once through intentstore with history, validation and indexes. Both take turns
(A B A B) in one run, because a machine's speed changes from minute to minute; so the ratio is what counts, and the
times beside it only say what it is a ratio of. Medians; the quartiles are the ratio's. A target is a ratio, or a
time for our side: its median, or its 99th percentile where it says so.

N = {n:,} intents of about 1 KB, seeded. Machine: {machine}. {met} of {all} targets met.

{table}

What is compared:

{compared}

`make bench` measures again; `ROWS=store,get/sqlite N=10000` chooses rows and size.
"""
