"""docs/durability.md, made from a report: what was tried, how often, and what happened."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from intentstore.testing.faults import Finding, Report

PAGE = Path(__file__).parents[2] / "docs" / "durability.md"
MARK = "<!-- from here on written by `make faults`; do not edit -->\n"


def totals(findings: list[Finding]) -> Counter[str]:
    """Returns the sums that the promise is judged by."""
    found: Counter[str] = Counter()
    for finding in findings:
        mistake = finding.row == 0
        found["not run"] += finding.missing is not None
        found["experiments"] += 1
        if mistake:
            found["mistakes planted"] += finding.missing is None
            found["mistakes caught"] += finding.counts.get("caught", 0)
            continue
        found[f"{finding.unit}: tried"] += finding.tried
        found[f"{finding.unit}: bad"] += finding.bad
        for name in ("acknowledged", "lost", "not known to be"):
            found[name] += finding.counts.get(name, 0)
    return found


def write(report: Report) -> None:
    """Renews the generated part of the page."""
    kept = PAGE.read_text(encoding="utf-8").split(MARK)[0] if PAGE.exists() else ""
    PAGE.write_text(kept + MARK + page(report), encoding="utf-8")
    data = msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
    PAGE.with_suffix(".json").write_bytes(data)


def page(report: Report) -> str:
    """Returns the generated part of the page."""
    seconds = sum(finding.seconds for finding in report.findings)
    rows = sorted((each for each in report.findings if each.row), key=_order)
    return INTRODUCTION.format(
        seed=report.seed,
        profile=report.profile,
        minutes=round(seconds / 60),
        machine=report.machine,
        sums=_sums(totals(report.findings)),
        rows="\n".join(map(_row, rows)),
        mistakes="\n".join(_mistake(each) for each in report.findings if not each.row),
    )


INTRODUCTION = """
## The last run

Seed {seed}, {profile} profile, {minutes} minutes of trials. Machine: {machine}. The same as data:
[durability.json](durability.json).

{sums}

### Row by row

The numbers are those of the fault table above. *Refused* means an error that names the place.

| row | storage | what | tried | bad | of which |
| --: | --- | --- | --: | --: | --- |
{rows}

### Planted mistakes

Each is a piece of the storage replaced by a wrong one, and must be caught by the row that is there for it; the same
experiment without it finds nothing.

| storage | mistake | caught | bad trials of it |
| --- | --- | --- | --: |
{mistakes}
"""


def _order(finding: Finding) -> tuple[int, str, str]:
    return finding.row, finding.what, finding.storage


def _sums(found: Counter[str]) -> str:
    units = sorted(name.removesuffix(": tried") for name in found if name.endswith(": tried"))
    lines = ["| figure | tried | bad |", "| --- | --: | --: |"]
    lines += [f"| {unit} | {found[f'{unit}: tried']:,} | {found[f'{unit}: bad']:,} |" for unit in units]
    told = (
        "\n\nAcknowledged commits looked for afterwards: {acknowledged:,}; lost: {lost:,}; written but never"
        "\nacknowledged, as a killed writer may leave them: {unknown:,}."
        "\nPlanted mistakes caught: {caught} of {planted}. Experiments not run on this machine: {missed} of {all}."
    )
    return "\n".join(lines) + told.format(
        acknowledged=found["acknowledged"],
        lost=found["lost"],
        unknown=found["not known to be"],
        caught=found["mistakes caught"],
        planted=found["mistakes planted"],
        missed=found["not run"],
        all=found["experiments"],
    )


def _row(finding: Finding) -> str:
    if finding.missing:
        return f"| {finding.row} | {finding.storage} | {finding.what} | not run | | {finding.missing} |"
    counts = ", ".join(f"{number:,} {name}" for name, number in finding.counts.items())
    tried = f"{finding.tried:,} {finding.unit}"
    return f"| {finding.row} | {finding.storage} | {finding.what} | {tried} | {finding.bad} | {counts} |"


def _mistake(finding: Finding) -> str:
    caught = "not run" if finding.missing else "yes" if finding.counts.get("caught") else "**no**"
    name = finding.what.removeprefix("mistake: ")
    return f"| {finding.storage} | {name} | {caught} | {finding.counts.get('bad trials of it', 0):,} |"
