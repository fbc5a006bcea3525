"""The figures as a table for the terminal, as JSON, and as docs/performance.md; the machine in general terms."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
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
        return (figure.name, "", "", "", "", figure.target, "not run" if figure.absent else "not measured")
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
    text = columns([_HEADER, *map(cells, figures)])
    return "\n".join([text, *(f"{figure.name}: {figure.error}" for figure in figures if figure.error)])


def columns(lines: Sequence[Sequence[str]]) -> str:
    """Returns the lines with their cells below one another."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(aligned(line, widths) for line in lines)


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
        "kernel": ".".join(platform.release().split("-")[0].split(".")[:2]),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "file_system": file_system(folder),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


_LIBRARIES = (
    *("apsw", "msgspec", "psycopg", "aiosqlite", "diskcache", "kuzu", "langgraph-checkpoint-sqlite"),
    *("langgraph-checkpoint-postgres", "sqlite-utils", "zodb"),
)


def _version(name: str) -> str:
    try:
        return metadata.version(name)  # noqa: TID251  no command starts here
    except metadata.PackageNotFoundError:
        return ""


def file_system(folder: Path) -> str:
    """Returns the type of the file system the folder is on, where the system tells."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown"
    here = f"{folder.resolve()}/"
    kinds = {mount[1]: mount[2] for mount in mounts if here.startswith(mount[1].rstrip("/") + "/")}
    return kinds[max(kinds, key=len)] if kinds else "unknown"


def described(folder: Path) -> str:
    """Returns the machine in a line."""
    facts = machine(folder)
    versions = ", ".join(f"{name} {version}" for name, version in facts["libraries"].items())
    return (
        f"{facts['cores']} cores ({facts['processor']}, {facts['system']} {facts['kernel']}), "
        f"Python {facts['python']}, SQLite {facts['sqlite']}, {facts['file_system']}; {versions}"
    )


def as_json(figures: Sequence[Figure], *, n: int, folder: Path) -> bytes:
    """Returns everything measured, times in seconds."""
    found = {"n": n, "seed": SEED, "machine": machine(folder), "rows": list(figures)}
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def put_between(page: str, name: str, text: str) -> str:
    """Returns the page with the text between the marks of this name; the rest of the page is written by people."""
    begin, end = f"<!-- {name}: generated -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    if not found or end not in rest:
        raise LookupError(f"the page has no marks `{begin}` and `{end}`")
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


def section(figures: Sequence[Figure], rows: Sequence[Row], *, n: int, folder: Path) -> str:
    """Returns what stands between the marks of docs/performance.md."""
    own = [figure for figure in figures if not figure.name.startswith("peer/")]
    peers = [figure for figure in figures if figure.name.startswith("peer/")]
    run = [figure for figure in own if not figure.error]
    lines = [
        f"N = {n:,} intents of about 1 KB, seeded. Machine: {described(folder)}.",
        f"{sum(figure.met for figure in own)} of {len(own)} targets met.",
        markdown(_HEADER, [cells(figure) for figure in own], right=range(1, 5)),
        "Callers at once: commits a second of all together, and what a single call of ours takes.",
        markdown(_MANY, [_many(figure) for figure in run if figure.name.startswith(_AT_ONCE)], right=range(1, 5)),
        "Peers, where elsewhere the floor stands; at most 10,000 records.",
        markdown(("row", "peer", *_HEADER[2:]), [cells(figure) for figure in peers], right=range(1, 5)),
        *(f"`{figure.name}`: {figure.error}." for figure in figures if figure.error),
        "What is compared:",
        markdown(("row", "floor or peer", "ours"), [(row.name, row.floor, row.ours) for row in rows]),
    ]
    return "\n\n".join(lines)


_AT_ONCE = ("threads/", "processes/", "agents/", "concurrent/")
_MANY = ("row", "floor /s", "ours /s", "50 %", "99 %")


def _many(figure: Figure) -> tuple[str, ...]:
    pace = (f"{1 / figure.floor:,.0f}", f"{1 / figure.ours:,.0f}")
    return (figure.name, *pace, seconds(figure.p50), seconds(figure.p99))


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Returns a table, the columns named in ``right`` to the right."""
    rule = ["--:" if at in right else "---" for at in range(len(header))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])
