"""Where two copies of a graph were last the same, and what each has become since.

Copies share the beginning of their logs, commit for commit. What one took over from the other later it says itself, in
a definition whose name begins with `MERGED`: up to which commit. Reads both logs; decides nothing about what stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..ground.change import Commit, Define, Note, Subject
from ..ground.protocol import IntentStorage, Reader
from ..ground.query import Direction, Walk
from ..ground.types import Edge, IntentId, Revision
from ..ground.values import Map
from .log import Value, is_edge, span_of, up_to
from .past import Past
from .proposed import APPROVAL

MERGED = "merged/"
_OUT = Walk(direction=Direction.OUT)
Values = dict[Subject, Value]


class Point(NamedTuple):
    """A state that both copies know: what this log held at one revision."""

    log: IntentStorage
    revision: Revision


class Apart:
    """Two copies, as they were when this was made; ``theirs`` stays so though others write to it meanwhile."""

    def __init__(self, ours: IntentStorage, theirs: IntentStorage) -> None:
        self.ours, self.theirs = ours, theirs
        self.our_end, self.their_end = ours.revision, theirs.revision
        self.shared = last_shared(ours, theirs)
        """The last revision up to which both logs are the same; 0 if they have nothing in common."""
        self.they = Past(theirs, self.their_end)
        """The other copy, as it was."""
        self.notes: list[Note] = []
        """The remarks that the other copy has of its own."""
        changed = span_of(ours, self.shared, self.our_end)
        changed.take(self._noting(up_to(theirs.entries(self.shared), self.their_end)))
        self.subjects = [subject for subject in changed.after if not _is_ours_alone(subject)]

    def _noting(self, commits: Iterator[Commit]) -> Iterator[Commit]:
        for commit in commits:
            self.notes.extend(change for change in commit.changes if type(change) is Note)
            yield commit

    def bases(self) -> list[Point]:
        """Returns the latest state that both know: one point, or two where each took over the other's work."""
        known_of_them = self._known(self.ours, self.theirs)
        known_of_us = self._known(self.theirs, self.ours)
        mine, other = Point(self.ours, known_of_us), Point(self.theirs, known_of_them)
        if (known_of_us, known_of_them) == (self.shared, self.shared):
            return [mine]
        if self._known(Past(*mine), self.theirs) >= known_of_them:
            return [mine]
        if self._known(Past(*other), self.ours) >= known_of_us:
            return [other]
        return [mine, other]

    def _known(self, state: Reader, log: IntentStorage) -> Revision:
        """Returns the last revision of a log whose work is in a state, by what the state says."""
        named = [revision for _, commit, revision in records(state) if is_in(log, commit, revision)]
        return max([self.shared, *named])

    def latest(self) -> Commit | None:
        """Returns the other copy's last commit."""
        return next(iter(self.theirs.entries(self.their_end - 1)), None) if self.their_end else None

    def new_records(self, latest: Commit) -> list[Define]:
        """Returns what says from now on what is known of the other copy and, through it, of others."""
        fresh, held = _record(latest), records(self.ours)
        made = [Define(name=name) for name, commit, revision in held if is_in(self.theirs, commit, revision)]
        names = {name for name, _, _ in held}
        for name, commit, revision in records(self.they):
            strange = not is_in(self.ours, commit, revision) and not is_in(self.theirs, commit, revision)
            if strange and name not in names:
                made.append(Define(name=name, value=Map({"commit": commit, "revision": revision})))
        return [*(each for each in made if each.name != fresh.name), fresh]


def _record(commit: Commit) -> Define:
    return Define(name=MERGED + commit.hash[:32], value=Map({"commit": commit.id, "revision": commit.revision}))


def _is_ours_alone(subject: Subject) -> bool:
    if isinstance(subject, str) or len(subject) > 1:
        return False
    return subject[0] == APPROVAL or subject[0].startswith(MERGED)


def records(state: Reader) -> list[tuple[str, str, Revision]]:
    """Returns (name, commit id, revision) of what a state says it took over."""
    found = []
    for name, value in state.definitions(MERGED).items():
        commit, revision = value.get("commit"), value.get("revision")
        if isinstance(commit, str) and isinstance(revision, int):
            found.append((name, commit, revision))
    return found


def is_in(log: IntentStorage, commit: str, revision: Revision) -> bool:
    """True if the log has this commit at this revision."""
    there = next(iter(log.entries(revision - 1)), None)
    return there is not None and (there.id, there.revision) == (commit, revision)


def last_shared(ours: IntentStorage, theirs: IntentStorage) -> Revision:
    """Returns the last revision up to which two logs are the same, found by bisection."""
    low, high = 0, ours.revision
    while low < high:
        middle = (low + high) // 2
        commit = next(iter(ours.entries(middle)), None)
        other = None if commit is None else next(iter(theirs.entries(commit.revision - 1)), None)
        if commit is not None and other is not None and _same(commit, other):
            low = commit.revision
        else:
            high = middle
    return low


def _same(one: Commit, other: Commit) -> bool:
    return (one.revision, one.id, one.hash) == (other.revision, other.id, other.hash)


def values_in(state: Reader, subjects: Iterable[Subject]) -> Values:
    """Returns what each subject is in a state; None where it is not there."""
    subjects = list(subjects)
    intents = [subject for subject in subjects if isinstance(subject, str)]
    ends: list[IntentId] = sorted({subject[0] for subject in subjects if is_edge(subject)})
    edges: dict[Subject, Edge] = {edge.key: edge for edge in state.neighbours(ends, _OUT)} if ends else {}
    defined: Mapping[str, Map] = state.definitions()
    found: Values = dict(zip(intents, state.fetch(intents), strict=True))
    for subject in subjects:
        if is_edge(subject):
            found[subject] = edges.get(subject)
        elif not isinstance(subject, str):
            value = defined.get(subject[0])
            found[subject] = None if value is None else Define(name=subject[0], value=value)
    return found
