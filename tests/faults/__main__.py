"""Runs the experiments: ``python -m tests.faults [ROW …] [--long] [--seed N] [--json FILE] [--list]``.

Exit status 1 when any trial was bad. Rows run in processes of their own, ``--jobs`` at a time.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from intentstore.testing.faults import Finding, Report

from . import data_rows, life_rows, machine_rows, mistake_rows, paper, peer_rows, use_rows  # noqa: F401  they register their rows
from .rows import ROWS, Run


def run_row(name: str, *, seed: int, long: bool) -> list[Finding]:
    """Runs one row in this process."""
    row = ROWS[name]
    return row.run(Run(name, row.subject, seed, long))


def _apart(name: str, arguments: argparse.Namespace) -> list[Finding]:
    with tempfile.NamedTemporaryFile(prefix="is-row-") as file:
        command = [
            sys.executable,
            "-m",
            "tests.faults",
            name,
            "--json",
            file.name,
            "--seed",
            str(arguments.seed),
            "--here",
        ]
        done = subprocess.run(
            [*command, *(["--long"] if arguments.long else [])], check=False, capture_output=True, text=True
        )
        if done.returncode not in (0, 1) or not Path(file.name).stat().st_size:
            return [
                Finding(
                    row=0, what=f"{name} broke down", storage="", bad=1, examples=[done.stderr[-2000:]],
                    repeat=f"python -m tests.faults {name} --seed {arguments.seed}",
                )
            ]  # fmt: skip
        return msgspec.json.decode(Path(file.name).read_bytes(), type=Report).findings


def told(finding: Finding) -> str:
    """Returns a finding as a line, its bad trials below it."""
    state = f"not run: {finding.missing}" if finding.missing else f"{finding.tried} {finding.unit}, {finding.bad} bad"
    counts = "".join(f", {number} {name}" for name, number in finding.counts.items())
    lines = [f"{finding.row:>3} {finding.storage:8} {finding.what}: {state}{counts} ({finding.seconds:.1f} s)"]
    lines += [f"      {example}" for example in finding.examples]
    return "\n".join([*lines, *([f"      again: {finding.repeat}"] if finding.bad else [])])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("rows", nargs="*", help="names or beginnings of names; all of them when left out")
    parser.add_argument("--long", action="store_true", help="the long profile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the report")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="name the rows and leave")
    parser.add_argument("--here", action="store_true", help="in this process, one after another")
    parser.add_argument("--write-docs", action="store_true", help="renew docs/durability.md")
    arguments = parser.parse_args()
    chosen = [name for name in ROWS if not arguments.rows or any(name.startswith(each) for each in arguments.rows)]
    if arguments.list:
        print("\n".join(chosen))
        return 0
    findings: list[Finding] = []
    with ThreadPoolExecutor(1 if arguments.here else arguments.jobs) as pool:
        done: Iterator[list[Finding]]
        if arguments.here:
            done = (run_row(name, seed=arguments.seed, long=arguments.long) for name in chosen)
        else:
            done = pool.map(lambda name: _apart(name, arguments), chosen)
        for found in done:
            findings += found
            print("\n".join(map(told, found)), flush=True)
    kernel = f"{platform.system()} {platform.release().split('-')[0]}"
    machine = f"{platform.machine()}, {kernel}, Python {platform.python_version()}"
    report = Report(
        seed=arguments.seed, profile="long" if arguments.long else "short", machine=machine, findings=findings
    )
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    if arguments.write_docs:
        paper.write(report)
    bad, skipped = sum(each.bad for each in findings), sum(each.missing is not None for each in findings)
    print(f"{sum(each.tried for each in findings)} trials, {bad} bad, {skipped} of {len(findings)} experiments not run")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
