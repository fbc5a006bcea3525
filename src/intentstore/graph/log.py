"""Reads a storage's log: the commit of a revision, the revision of a moment, what subjects were before and after.

Knows commits and how chains run back; keeps nothing. Costs what it reads: never the whole log to answer about a part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeGuard

from ..ground.change import Change, Commit, Define, Link, Note, Put, Subject
from ..ground.errors import FieldInvalid, RevisionMissing, Unsupported
from ..ground.protocol import IntentStorage
from ..ground.types import Edge, EdgeKey, Intent, IntentId, Revision
from ..ground.values import freeze_time

Value = Intent | Edge | Define | None
"""What a subject is at some revision, a definition as what would give it; None where it is not there."""

_NEAR = 64
"""Commits of so small a gap are read through: asking anew costs as much as decoding about so many."""


def left_by(change: Change) -> Value:
    """Returns what the change leaves of its subject. A `Note` leaves it as it was: ask no note."""
    if type(change) is Put:
        return change.intent
    if type(change) is Define:
        return None if change.value is None else Define(name=change.name, value=change.value)
    return change.edge if type(change) is Link else None


def ids_in(subject: Subject) -> tuple[IntentId, ...]:
    """Returns the ids of the intents that a subject is about: itself, both ends of an edge, none of a definition."""
    if isinstance(subject, str):
        return (subject,)
    return (subject[0], subject[2]) if len(subject) == 3 else ()


def is_edge(subject: Subject) -> TypeGuard[EdgeKey]:
    """True for the subject of an edge: its key."""
    return isinstance(subject, tuple) and len(subject) == 3


def name_of(subject: Subject) -> str:
    """Returns the subject in words."""
    if isinstance(subject, str):
        return f"intent {subject}"
    return f"definition {subject[0]}" if len(subject) == 1 else f"edge {' '.join(subject)}"


def as_revision(storage: IntentStorage, when: Revision | datetime) -> Revision:
    """Returns the revision that is meant: itself, or that of the last commit at or before a moment.

    A revision beyond the last is `RevisionMissing`; a moment beyond the last commit means the present.
    """
    if isinstance(when, datetime):
        return _not_folded(storage, revision_at(storage, freeze_time(when, "when")))
    if type(when) is not int or when < 0:
        raise FieldInvalid("revision", f"is {when!r}", hint="give a revision, 0 or more, or a time")
    last = storage.revision
    if when > last:
        raise RevisionMissing(when, last)
    return _not_folded(storage, when)


def _not_folded(storage: IntentStorage, revision: Revision) -> Revision:
    """Returns the revision, unless what the graph held then was folded away."""
    following = next(iter(storage.entries(revision)), None)
    if following is not None and following.folded:
        raise Unsupported(
            f"what the graph held at revision {revision} was folded away", hint="name a later one", revision=revision
        )
    return revision


def revision_at(storage: IntentStorage, moment: datetime) -> Revision:
    """Returns the revision behind which the moment lies, found by bisection over the log.

    The commit of that revision is at or before the moment, the next one after it. Where a clock was set back several
    revisions are so; it is then always the same one of them.
    """
    low, high = 0, storage.revision
    while low < high:
        middle = (low + high) // 2
        commit = next(iter(storage.entries(middle)), None)
        if commit is not None and commit.at <= moment:
            low = commit.revision
        else:
            high = middle
    return low


def commits_at(storage: IntentStorage, revisions: Sequence[Revision]) -> Iterator[Commit]:
    """Yields the commits of these revisions, which must be in order and there."""
    at = 0
    while at < len(revisions):
        begun = at
        for commit in storage.entries(revisions[at] - 1):
            if commit.revision == revisions[at]:
                yield commit
                at += 1
            if at == len(revisions) or not 0 < revisions[at] - commit.revision <= _NEAR:
                break
        if at == begun:
            raise RevisionMissing(revisions[at], storage.revision)


def commit_of(storage: IntentStorage, revision: Revision) -> Commit:
    """Returns the commit of a revision."""
    return next(commits_at(storage, [revision]))


def values_at(storage: IntentStorage, ends: Mapping[Subject, Revision]) -> dict[Subject, Value]:
    """Returns what each subject was after its change of the given revision; after none (0) it was not there."""
    found: dict[Subject, Value] = {subject: None for subject, revision in ends.items() if revision == 0}
    wanted = _by_revision((subject, revision) for subject, revision in ends.items() if revision)
    while wanted:
        further: list[tuple[Subject, Revision]] = []
        for commit in commits_at(storage, sorted(wanted)):
            asked = wanted[commit.revision]
            passed: dict[Subject, Revision] = {}
            for change in commit.changes:
                if change.subject in asked:
                    if type(change) is Note:
                        passed.setdefault(change.subject, change.before)
                    else:
                        found[change.subject] = left_by(change)
            further.extend((subject, revision) for subject, revision in passed.items() if subject not in found)
        wanted = _by_revision(further)
    return found


def _by_revision(ends: Iterable[tuple[Subject, Revision]]) -> dict[Revision, set[Subject]]:
    found: dict[Revision, set[Subject]] = {}
    for subject, revision in ends:
        found.setdefault(revision, set()).add(subject)
    return found


class Span:
    """What a stretch of the log did, as far as it was read."""

    def __init__(self, since: Revision) -> None:
        self.last = since
        self.before: dict[Subject, Revision] = {}
        """Every subject it touched, and the revision where the chain of each ended before."""
        self.after: dict[Subject, Value] = {}
        """What became of those that it changed; a note changes nothing."""

    def take(self, commits: Iterable[Commit]) -> None:
        """Reads these commits too, which follow the last one."""
        for commit in commits:
            self.last = commit.revision
            for change in commit.changes:
                self.before.setdefault(change.subject, change.before)
                if type(change) is not Note:
                    self.after[change.subject] = left_by(change)

    def ends_of(self, subjects: Iterable[Subject]) -> dict[Subject, Revision]:
        """Returns these subjects, each with the revision where its chain ended before."""
        return {subject: self.before[subject] for subject in subjects}


def span_of(storage: IntentStorage, since: Revision, until: Revision) -> Span:
    """Returns what the commits with ``since < revision <= until`` did."""
    span = Span(since)
    span.take(up_to(storage.entries(since), until))
    return span


def up_to(commits: Iterable[Commit], until: Revision) -> Iterator[Commit]:
    """Yields the commits up to this revision."""
    for commit in commits:
        if commit.revision > until:
            return
        yield commit
