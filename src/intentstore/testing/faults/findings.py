"""What was tried and what came of it, as data: the report, and the tables that are made from it."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, kw_only=True):
    """One experiment on one storage: how many trials of which kind, how many of them bad, and how to repeat it.

    ``row``: its number in the fault table. ``counts``: what else was counted (acknowledged, lost, unknown, …).
    ``missing``: why it was not run; then ``tried`` is 0.
    """

    row: int
    what: str
    storage: str
    unit: str = "images"
    tried: int = 0
    bad: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    examples: list[str] = msgspec.field(default_factory=list)
    repeat: str = ""
    missing: str | None = None
    seconds: float = 0.0

    def fault(self, text: str) -> None:
        """Counts a bad trial; the first few are kept in words."""
        self.bad += 1
        if len(self.examples) < 5:
            self.examples.append(text)

    def count(self, name: str, number: int = 1) -> None:
        """Adds to one of the counts."""
        self.counts[name] = self.counts.get(name, 0) + number


class Report(msgspec.Struct, kw_only=True):
    """All findings of one run, and where it ran."""

    seed: int
    profile: str
    machine: str
    findings: list[Finding]
