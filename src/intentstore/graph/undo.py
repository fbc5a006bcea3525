"""Taking one commit back by another one: what it changed becomes what it was, if nobody changed it since.

Decides which changes do that and when they would overwrite a later commit's; writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NoReturn

from ..ground.change import Change, Commit, Define, Drop, Entry, Link, Put, Subject, Unlink
from ..ground.errors import Conflict, StaleRevision, Unsupported
from ..ground.protocol import IntentStorage, Reader
from ..ground.query import Walk
from ..ground.types import Edge, Intent, IntentId, Revision
from ..storage.ledger import entries_of
from .log import Span, Value, commit_of, ids_in, name_of, values_at
from .proposed import APPROVAL
from .traverse import refuse_cycles

_ANY = Walk()


class Undoing:
    """What it takes to take a commit back. ``guard`` is for the write: it refuses what came between."""

    def __init__(self, storage: IntentStorage, commit: Commit, *, now: datetime) -> None:
        self._storage, self._commit, self._now = storage, commit, now
        if commit.folded:
            raise Unsupported(f"what commit {commit.id} changed was folded away", hint="change it anew", id=commit.id)
        span = Span(commit.revision - 1)
        span.take([commit])
        self._left = {subject: value for subject, value in span.after.items() if subject != (APPROVAL,)}
        self._before = values_at(storage, span.ends_of(self._left))

    def changes(self) -> list[Change]:
        """Returns the changes that restore what was there; raises `Conflict` naming the commit that stands in the way.

        Edges go before intents and come after them. A claim is never brought back: its holder may be long gone; nor is
        an approval: it was of that commit.
        """
        if not self._left:
            raise Conflict(
                f"commit {self._commit.id} holds only notes, and what was remembered stays",
                hint="add another note",
                commit=self._commit.id,
            )
        self._check()
        gone: list[Change] = []
        come: list[Change] = []
        for subject, was in self._before.items():
            left = self._left[subject]
            if isinstance(was, Intent):
                come.insert(0, self._put(was, left))
            elif isinstance(was, Edge):
                come.append(Link(edge=was, expected=0 if left is None else None))
            elif isinstance(was, Define):
                come.append(was)
            elif isinstance(left, Define):
                gone.append(Define(name=left.name))
            elif left is not None and isinstance(subject, str):
                gone.append(Drop(id=subject, expected=self._commit.revision))
            elif isinstance(left, Edge):
                gone.insert(0, Unlink(source=left.source, type=left.type, target=left.target))
        return [*gone, *come]

    def guard(self, before: Reader, after: Reader, changes: Sequence[Change]) -> None:
        """Refuses inside the write, with `StaleRevision`, what changed since `changes` looked; and a cycle."""
        for subject, there in self._in_the_way(_Present(before, self._left)):
            actual = there.revision if isinstance(there, Intent | Edge) else 0
            raise StaleRevision(name_of(subject), expected=self._commit.revision, actual=actual)
        refuse_cycles(before, after, changes)

    def _put(self, was: Intent, left: Value) -> Put:
        claim = left.claim if isinstance(left, Intent) else None
        return Put(
            intent=was.replace(updated_at=self._now, claim=claim),
            expected=0 if left is None else self._commit.revision,
        )

    # --- what may stand in the way ---

    def _in_the_way(self, present: _Present) -> Iterator[tuple[Subject, Value]]:
        """Yields what is not as the commit left it, or hangs on what would go, with what is there now."""
        for subject, left in self._left.items():
            there = present.value(subject)
            if isinstance(there, Intent | Edge) and isinstance(left, Intent | Edge):
                stands = there.revision == self._commit.revision
            else:
                stands = there == left
            if not stands:
                yield subject, there
        for subject, was in self._before.items():
            if was is None and isinstance(subject, str):
                yield from ((edge.key, edge) for edge in present.edges_at(subject) if edge.key not in self._left)
            elif isinstance(was, Edge):
                for end in (was.source, was.target):
                    if present.value(end) is None and not isinstance(self._before.get(end), Intent):
                        yield end, None

    def _check(self) -> None:
        for subject, there in self._in_the_way(_Present(self._storage, self._left)):
            if isinstance(there, Intent | Edge):
                self._refuse_later(subject, commit_of(self._storage, there.revision).id)
            self._refuse_later(subject, self._later(subject)[-1])
        for subject, was in self._before.items():
            later = self._later(subject) if self._left[subject] is None and was is not None else []
            if later:
                self._refuse_later(subject, later[-1])

    def _later(self, subject: Subject) -> list[str]:
        """Returns the ids of the later commits that changed the subject."""
        return [
            entry.commit
            for entry in _entries_of(self._storage, subject, self._commit.revision)
            if entry.revision > self._commit.revision and entry.change.subject == subject
        ]

    def _refuse_later(self, subject: Subject, by: str) -> NoReturn:
        raise Conflict(
            f"commit {self._commit.id} cannot be undone: {name_of(subject)} was changed since, by commit {by}",
            hint=f"undo {by} first, or change what you want by hand",
            commit=self._commit.id,
            subject=name_of(subject),
            by=by,
        )


class _Present:
    """What is there now of the subjects asked about, read together."""

    def __init__(self, reader: Reader, subjects: Iterable[Subject]) -> None:
        ids = sorted({id for subject in subjects for id in ids_in(subject)})
        self._intents = dict(zip(ids, reader.fetch(ids), strict=True))
        self._edges = {edge.key: edge for edge in reader.neighbours(ids, _ANY)}
        self._defined = reader.definitions()

    def value(self, subject: Subject) -> Value:
        if isinstance(subject, str):
            return self._intents.get(subject)
        if len(subject) == 1:
            value = self._defined.get(subject[0])
            return None if value is None else Define(name=subject[0], value=value)
        return self._edges.get(subject)

    def edges_at(self, id: IntentId) -> list[Edge]:
        return [edge for edge in self._edges.values() if id in (edge.source, edge.target)]


def _entries_of(storage: IntentStorage, subject: Subject, since: Revision) -> Iterator[Entry]:
    """Yields what happened to the subject, and to others, after a revision at least."""
    if ids := ids_in(subject):
        yield from storage.trail(ids[0])
    else:
        for commit in storage.entries(since):
            yield from entries_of(commit, {subject})
