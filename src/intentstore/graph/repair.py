"""From what is provably whole in a damaged store to a new one, and a list of the rest.

Replays whole commits in their order; where some are lost between, goes on with those whose changes still fit. What a
whole snapshot says later than the last whole commit is taken from there. Guesses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec

from ..ground.change import Batch, Change, Commit, Define, Drop, Link, Note, Put, Subject, Unlink
from ..ground.protocol import IntentStorage, Problem
from ..ground.types import Revision
from ..storage.ledger import as_batch
from ..storage.salvage import Remnant, Whole

_TOGETHER = 500
FOUND = "found whole in the snapshot; the commit that made it is lost"


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """What was brought over, and what was not: ``ok`` when nothing was wrong at all."""

    ok: bool
    store: str
    intents: int
    edges: int
    commits: int
    problems: tuple[Problem, ...]


class _There:
    """What stands in the new store so far, by subject: enough to see whether a change fits."""

    def __init__(self) -> None:
        self.heads: dict[Subject, Revision] = {}
        self.living: set[Subject] = set()
        self._at: dict[str, set[Subject]] = {}

    def why_not(self, change: Change) -> str | None:
        """Returns why a change does not fit what is there; None when it does."""
        subject = change.subject
        if (_removes(change) or isinstance(change, Note)) and subject not in self.living:
            return f"{_name(subject)} is not there"
        if isinstance(change, Link):
            for end in (change.edge.source, change.edge.target):
                if end not in self.living:
                    return f"{_name(subject)} has no intent {end}"
        return None

    def take(self, change: Change, revision: Revision) -> None:
        """Notes what a change leaves."""
        subject = change.subject
        self.heads[subject] = revision
        if isinstance(change, Drop):
            self.living -= {subject, *self._at.pop(change.id, ())}
        elif _removes(change):
            self.living.discard(subject)
        elif not isinstance(change, Note):
            self.living.add(subject)
            if isinstance(change, Link):
                for end in (change.edge.source, change.edge.target):
                    self._at.setdefault(end, set()).add(subject)

    def counts(self) -> tuple[int, int]:
        """Returns how many intents and edges live."""
        intents = sum(isinstance(each, str) for each in self.living)
        return intents, sum(isinstance(each, tuple) and len(each) == 3 for each in self.living)


def _removes(change: Change) -> bool:
    return isinstance(change, Drop | Unlink) or (isinstance(change, Define) and change.value is None)


def _name(subject: Subject) -> str:
    if isinstance(subject, str):
        return f"intent {subject}"
    return f"{'edge' if len(subject) == 3 else 'definition'} {' '.join(map(str, subject))}"


def repair(found: Iterable[Whole], target: IntentStorage, store: str, *, now: Callable[[], datetime]) -> Repaired:
    """Fills an empty storage with what was found whole; returns what that was and everything that was not."""
    there, problems, remnants = _There(), list[Problem](), list[Remnant]()
    commits, last, waiting = 0, 0, list[Batch]()
    for each in found:
        match each:
            case Problem():
                problems.append(each)
            case Remnant():
                remnants.append(each)
            case Commit():
                if each.revision != last + 1:
                    problems.append(_lost(last + 1, each.revision - 1))
                last, commits = each.revision, commits + 1
                waiting.append(_fitting(each, there, problems))
                if len(waiting) == _TOGETHER:
                    target.apply_all(waiting)
                    waiting = []
    target.apply_all(waiting)
    newest = max((remnant.head.revision for remnant in remnants), default=0)
    if newest > last:
        problems.append(_lost(last + 1, newest))
    for batch in _from_snapshot(remnants, there, problems, now):
        target.apply(batch)
    intents, edges = there.counts()
    return Repaired(
        ok=not problems, store=store, intents=intents, edges=edges, commits=commits, problems=tuple(problems)
    )


def _lost(first: Revision, last: Revision) -> Problem:
    which = f"commit {first}" if first == last else f"commits {first} to {last}"
    return Problem(which, "lost; what only they changed is as it was before them")


def _fitting(commit: Commit, there: _There, problems: list[Problem]) -> Batch:
    if commit.folded:  # what it continues is not there any more; its hash proves it
        for change in commit.changes:
            there.take(change, commit.revision)
        return as_batch(commit)
    kept: list[Change] = []
    for change in commit.changes:
        why = there.why_not(change)
        if why is not None:
            problems.append(Problem(f"commit {commit.revision}", f"a change was left out: {why}"))
            continue
        there.take(change, commit.revision)
        kept.append(msgspec.structs.replace(change, before=0, prev="", expected=None))
    return Batch(
        changes=tuple(kept),
        at=commit.at,
        id=commit.id,
        actor=commit.actor,
        reason=commit.reason,
        revision=commit.revision,
    )


def _from_snapshot(
    remnants: list[Remnant], there: _There, problems: list[Problem], now: Callable[[], datetime]
) -> Iterator[Batch]:
    """Yields batches of what the snapshot has later than the commits: intents, then edges, then what was deleted."""
    for kinds in (Put, Link | Define, Unlink | Drop):
        changes: list[Change] = []
        for remnant in remnants:
            change = remnant.change
            if not isinstance(change, kinds) or remnant.head.revision <= there.heads.get(change.subject, 0):
                continue
            if _removes(change) and change.subject not in there.living:
                continue
            why = there.why_not(change)
            if why is not None:
                problems.append(Problem(_name(change.subject), f"is whole in the snapshot but was left out: {why}"))
                continue
            there.take(change, remnant.head.revision)
            changes.append(change)
        for at in range(0, len(changes), _TOGETHER):
            yield Batch(changes=tuple(changes[at : at + _TOGETHER]), at=now(), reason=FOUND)
