"""Every experiment, by name: what it does, on which storages, how much of it in the short profile and in the long.

A row is a function of a `Run` that returns findings. The numbers are those of the table in docs/durability.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from intentstore.testing.faults import Finding, Subject

from .subjects import SUBJECTS


class Run(NamedTuple):
    """One run of one row: on which storage, how long, from which seed."""

    name: str
    subject: Subject
    seed: int
    long: bool

    def choose(self, short: int, long: int) -> int:
        """Returns the amount of this profile."""
        return long if self.long else short

    def finding(self, row: int, what: str, *, unit: str, missing: str | None = None) -> Finding:
        """Returns an empty finding that says how to repeat it."""
        profile = " --long" if self.long else ""
        repeat = f"python -m tests.faults {self.name}{profile} --seed {self.seed}"
        return Finding(row=row, what=what, storage=self.subject.name, unit=unit, repeat=repeat, missing=missing)


class Row(NamedTuple):
    """A row and what it is called."""

    name: str
    subject: Subject
    run: Callable[[Run], list[Finding]]


ROWS: dict[str, Row] = {}


def row(name: str, *storages: str) -> Callable[[Callable[[Run], list[Finding]]], Callable[[Run], list[Finding]]]:
    """Registers a row for each of the storages (file and sqlite, if none is named)."""

    def register(act: Callable[[Run], list[Finding]]) -> Callable[[Run], list[Finding]]:
        for storage in storages or ("file", "sqlite"):
            full = f"{name}/{storage}"
            ROWS[full] = Row(full, SUBJECTS.get(storage, Subject(storage, SUBJECTS["file"].make)), act)
        return act

    return register
