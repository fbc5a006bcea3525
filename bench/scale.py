"""``python -m bench.scale``: what 1,000 to 1,000,000 intents with two edges each cost on every storage.

Each size of each storage is built by one process and measured by another, which starts with nothing in memory. Times
are medians of a process of its own and no ratios: what counts is how a cost grows, its exponent in the size.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from . import plots, report
from .measure import seconds
from .scaled import Scaled
from .setting import Setting

_ROOT = Path(__file__).parent.parent
FIGURES = _ROOT / "docs" / "scale.json"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
STORAGES = ("memory", "file", "sqlite", "postgresql")
FLAT = ("store", "get", "list", "claim")
FLAT_MOST = 1.3


def main(words: Sequence[str] | None = None) -> int:
    """Measures every size of every storage asked for, prints the table and writes what is wanted."""
    asked = _parser().parse_args(words)
    storages = [word.strip() for word in asked.storages.split(",")]
    found: list[Scaled] = []
    for storage in storages:
        for n in (size for size in SIZES if size <= asked.n):
            print(f"{storage} {n:,}", file=sys.stderr, flush=True)
            found.append(scaled(storage, n, asked.dir))
    print(table(found))
    if asked.json:
        Path(asked.json).write_bytes(_json(found, asked.dir))
    if asked.write_docs:
        write(found, asked.dir, asked.docs)
    return 1 if any(each.error for each in found) else 0


def scaled(storage: str, n: int, folder: str | None) -> Scaled:
    """Returns what one size of one storage costs; what goes wrong is its ``error``."""
    with tempfile.TemporaryDirectory(prefix="scale-", dir=folder, ignore_cleanup_errors=True) as name:
        setting = Setting(Path(name), n=n)
        with setting.kept:
            url = setting.database() if storage == "postgresql" else f"{storage}:{name}/store"
            try:
                built = {} if storage == "memory" else _process("build", url, n, name)
                return msgspec.convert({**built, **_process("measure", url, n, name), "storage": storage}, Scaled)
            except (RuntimeError, subprocess.SubprocessError) as error:
                return Scaled(storage, n, error=str(error))


def _process(act: str, url: str, n: int, folder: str) -> dict[str, object]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(_ROOT / "src"), str(_ROOT)))}
    words = [sys.executable, "-m", "bench.scaled", act, url, str(n), folder]
    done = subprocess.run(words, env=environment, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{act} left with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    told: dict[str, object] = json.loads(done.stdout)
    return told


# --- the figures as text ---

_TIMES = ("store", "get", "list", "sort", "below", "search", "ready", "claim", "context", "open")
_WHOLE = ("build", "verify", "backup", "compact", "import_")


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Returns b of cost = a x size^b, by least squares on logarithms: 0 is flat, 1 grows with the size.

    >>> round(exponent([10, 100, 1000], [2.0, 20.0, 200.0]), 3)
    1.0
    """
    across, up = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    middle, height = sum(across) / len(across), sum(up) / len(up)
    spread = sum((x - middle) ** 2 for x in across)
    return sum((x - middle) * (y - height) for x, y in zip(across, up, strict=True)) / spread if spread else 0.0


def _lines(found: Sequence[Scaled]) -> Iterator[tuple[str, ...]]:
    """Yields a line for each operation of each storage: its cost at each size, and how it grows."""
    for storage in dict.fromkeys(each.storage for each in found):
        these = [each for each in found if each.storage == storage and not each.error]
        for name in _TIMES:
            costs = [getattr(each, name) for each in these]
            known = [(each.n, cost) for each, cost in zip(these, costs, strict=True) if cost > 0]
            if not known:
                continue
            growth = known[-1][1] / known[0][1]
            power = f"{exponent(*zip(*known, strict=True)):+.2f}" if len(known) > 1 else ""
            flat = ("met" if growth <= FLAT_MOST else "missed") if name in FLAT and len(known) > 1 else ""
            yield (storage, name, *_padded([seconds(cost) for cost in costs]), power, f"{growth:.2f}", flat)


def _padded(cells: list[str]) -> list[str]:
    return cells + [""] * (len(SIZES) - len(cells))


_HEADER = ("storage", "operation", *(f"{size:,}" for size in SIZES), "exponent", "last / first", f"≤ {FLAT_MOST}")
_AMOUNTS = (
    *("storage", "intents", "edges", "bytes an intent", "at rest", "peak", "build /s", "verify /s", "backup /s"),
    *("compact /s", "import /s"),
)


def _amounts(found: Sequence[Scaled]) -> Iterator[tuple[str, ...]]:
    for each in found:
        if each.error:
            yield (each.storage, f"{each.n:,}", "not measured", *[""] * 8)
            continue
        speeds = [f"{each.n / cost:,.0f}" if (cost := getattr(each, name)) else "" for name in _WHOLE]
        size = f"{each.bytes / each.n:,.0f}" if each.bytes else ""
        yield (
            *(each.storage, f"{each.n:,}", f"{each.edges:,}", size),
            *(f"{each.rest / 2**20:.0f} MiB", f"{each.peak / 2**20:.0f} MiB", *speeds),
        )


def table(found: Sequence[Scaled]) -> str:
    """Returns both tables for the terminal."""
    both = ((_HEADER, list(_lines(found))), (_AMOUNTS, list(_amounts(found))))
    wrong = [f"{each.storage} {each.n:,}: {each.error}" for each in found if each.error]
    return "\n\n".join([*(report.columns([header, *lines]) for header, lines in both), *wrong])


def _json(found: Sequence[Scaled], folder: str | None) -> bytes:
    told = {"machine": report.machine(Path(folder or tempfile.gettempdir())), "figures": list(found)}
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def section(found: Sequence[Scaled], folder: Path) -> str:
    """Returns what stands between the marks of docs/performance.md."""
    drawn = "\n".join(f"![{name}, cost against size](plots/{name}.svg)" for name in plots.DRAWN)
    right = range(2, 11)
    return "\n\n".join(
        (
            f"Machine: {report.described(folder)}.",
            report.markdown(_HEADER, list(_lines(found)), right=right),
            report.markdown(_AMOUNTS, list(_amounts(found)), right=right),
            drawn,
        )
    )


def write(found: Sequence[Scaled], folder: str | None, docs: Path) -> None:
    """Writes the section of the page, the figures beside it and the plots."""
    place = Path(folder or tempfile.gettempdir())
    docs.write_text(
        report.put_between(docs.read_text(encoding="utf-8"), "scale", section(found, place)), encoding="utf-8"
    )
    docs.with_name(FIGURES.name).write_bytes(_json(found, folder))
    (docs.parent / "plots").mkdir(exist_ok=True)
    for name in plots.DRAWN:
        lines = {
            storage: [(each.n, getattr(each, name)) for each in found if each.storage == storage and not each.error]
            for storage in dict.fromkeys(each.storage for each in found)
        }
        (docs.parent / "plots" / f"{name}.svg").write_text(plots.loglog(name, lines), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="Measures how costs grow with the size.")
    parser.add_argument("--n", type=int, default=os.environ.get("N") or "1000000", help="the most intents")
    parser.add_argument("--storages", default=os.environ.get("STORAGES") or ",".join(STORAGES))
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--write-docs", action="store_true", help="write docs/performance.md, docs/scale.json, docs/plots"
    )
    parser.add_argument("--docs", type=Path, default=report.DOCS, help=argparse.SUPPRESS)
    parser.add_argument("--dir", help="the folder to measure in; the system's for temporary files if not given")
    return parser


if __name__ == "__main__":
    sys.exit(main())
