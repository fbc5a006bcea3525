"""From what was asked to what happened: settles a batch against the state before it.

Checks expectations, adds the edges a deletion takes with it, gives every change its revision, its predecessor and
its hash. Pure: knows no file and no table, only a `Base` to ask. The same for every storage, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, assert_never

import msgspec

from ..codec import change_hash, commit_hash, encode_change, header_bytes
from ..ground.change import (
    NO_HEAD,
    Batch,
    Change,
    Commit,
    Define,
    Drop,
    Entry,
    Guard,
    Head,
    Link,
    Note,
    Put,
    Subject,
    Unlink,
)
from ..ground.errors import (
    AlreadyThere,
    Conflict,
    DefinitionMissing,
    EdgeMissing,
    FieldInvalid,
    IntentMissing,
    StaleRevision,
)
from ..ground.protocol import Problem, Reader
from ..ground.query import Walk
from ..ground.types import MAX_INTENT_BYTES, SYMMETRIC, Edge, EdgeKey, Intent, IntentId, Revision, check_id
from ..ground.values import Map

replace = msgspec.structs.replace
_EVERY_EDGE = Walk()
_SIZED: dict[type[Change], str] = {Put: "intent", Link: "edge", Define: "definition"}
"""The changes that carry what their caller made, and so may be too large."""


class Base(Reader, Protocol):
    """The state a batch is settled against."""

    def linked(self, keys: Sequence[EdgeKey]) -> list[Edge | None]:
        """Returns the edges with these keys, None for each that is not there."""
        ...

    def heads(self, subjects: Sequence[Subject]) -> list[Head]:
        """Returns the end of each subject's chain, `NO_HEAD` for one never written; deleted ones keep theirs."""
        ...


class Draft:
    """A `Base` with changes laid over it, not yet stored. What it holds is what will be stored if it is kept."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.intents: dict[IntentId, Intent | None] = {}
        self.edges: dict[EdgeKey, Edge | None] = {}
        self.defined: dict[str, Map | None] = {}
        self.ends: dict[Subject, Head] = {}
        self._at: dict[IntentId, set[EdgeKey]] = {}

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents as they will be."""
        if self.intents.keys().isdisjoint(ids):
            return self.base.fetch(ids)
        below = iter(self.base.fetch([id for id in ids if id not in self.intents]))
        return [self.intents[id] if id in self.intents else next(below) for id in ids]

    def linked(self, keys: Sequence[EdgeKey]) -> list[Edge | None]:
        """Returns the edges as they will be."""
        below = iter(self.base.linked([key for key in keys if key not in self.edges]))
        return [self.edges[key] if key in self.edges else next(below) for key in keys]

    def heads(self, subjects: Sequence[Subject]) -> list[Head]:
        """Returns the chain ends as they will be."""
        if self.ends.keys().isdisjoint(subjects):
            return self.base.heads(subjects)
        below = iter(self.base.heads([subject for subject in subjects if subject not in self.ends]))
        return [self.ends[subject] if subject in self.ends else next(below) for subject in subjects]

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at the ids as they will be."""
        below = self.base.neighbours(ids, walk)
        if not self.edges:
            return below
        found = {edge.key: edge for edge in below if edge.key not in self.edges}
        wanted = frozenset(ids)
        for key in {key for id in wanted for key in self._at.get(id, ())}:
            edge = self.edges[key]
            if edge is not None and stands_at(edge, wanted, walk):
                found[key] = edge
        return [found[key] for key in sorted(found)]

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions as they will be."""
        below = self.base.definitions(prefix)
        if not self.defined:
            return below
        found = {**below, **{name: value for name, value in self.defined.items() if name.startswith(prefix)}}
        return {name: value for name, value in sorted(found.items()) if value is not None}

    def lay_edge(self, key: EdgeKey, edge: Edge | None) -> None:
        """Lays an edge, or its deletion, over the state beneath."""
        self.edges[key] = edge
        self._at.setdefault(key[0], set()).add(key)
        self._at.setdefault(key[2], set()).add(key)

    def absorb(self, upper: Draft) -> None:
        """Takes over what a draft on top of this one holds."""
        self.intents.update(upper.intents)
        for key, edge in upper.edges.items():
            self.lay_edge(key, edge)
        self.defined.update(upper.defined)
        self.ends.update(upper.ends)


def stands_at(edge: Edge, ids: frozenset[IntentId], walk: Walk) -> bool:
    """True when the walk, starting at any of the ids, takes this edge."""
    if walk.types and edge.type not in walk.types:
        return False
    both = walk.direction == "both" or edge.type in SYMMETRIC
    return ((both or walk.direction == "out") and edge.source in ids) or (
        (both or walk.direction == "in") and edge.target in ids
    )


class Settled(msgspec.Struct, frozen=True):
    """A commit ready to be stored: itself, the encoding of each change, and the state it leaves."""

    commit: Commit
    bodies: list[bytes]
    draft: Draft


def settle(batch: Batch, base: Base, *, last: Revision, new_id: Callable[[], str], guard: Guard | None) -> Settled:
    """Returns the commit this batch makes after revision ``last``; raises without a trace where it does not fit."""
    revision = last + 1 if batch.revision is None else batch.revision
    if revision <= last:
        raise Conflict(
            f"revision {revision} is not beyond {last}, the last one",
            hint="copy from the revision after the last",
            revision=revision,
            last=last,
        )
    if batch.whole is not None:
        return _taken_over(batch.whole, base)
    commit = Commit(revision=revision, id=batch.id or new_id(), at=batch.at, actor=batch.actor, reason=batch.reason)
    draft = Draft(base)
    header = header_bytes(commit)
    kept: list[Change] = []
    bodies: list[bytes] = []
    hashes: list[str] = []
    for change in _expand(batch.changes, draft):
        settled = _settled(change, draft, revision)
        body = encode_change(settled)
        if len(body) > MAX_INTENT_BYTES and type(settled) in _SIZED:
            _refuse_size(_SIZED[type(settled)], len(body))
        digest = change_hash(header, body)
        _lay(settled, draft, Head(revision, digest))
        kept.append(settled)
        bodies.append(body)
        hashes.append(digest)
    if guard is not None:
        guard(base, draft, kept)
    whole = replace(commit, changes=tuple(kept), hash=commit_hash(header, hashes))
    return Settled(whole, bodies, draft)


def _taken_over(commit: Commit, base: Base) -> Settled:
    """Returns a folded commit as it is, if its hash proves it."""
    if not is_whole(commit):
        raise Conflict(f"commit {commit.revision} does not match its hash", hint="verify the source")
    return Settled(commit, [encode_change(change) for change in commit.changes], replayed(commit, base))


def is_whole(commit: Commit) -> bool:
    """True when a commit's hash is that of its content; of a folded one, that what is left is part of it."""
    header = header_bytes(commit)
    hashes = [change_hash(header, encode_change(change)) for change in commit.changes]
    if commit.folded:
        whole = iter(commit.folded)
        if not all(each in whole for each in hashes):  # in their order
            return False
    return commit_hash(header, commit.folded or hashes) == commit.hash


def _expand(changes: Sequence[Change], draft: Draft) -> Iterator[Change]:
    """Yields the changes, before each `Drop` an `Unlink` for every edge then at the intent."""
    for change in changes:
        if type(change) is Drop:
            for edge in draft.neighbours([change.id], _EVERY_EDGE):
                yield Unlink(source=edge.source, type=edge.type, target=edge.target)
        yield change


def _settled(change: Change, draft: Draft, revision: Revision) -> Change:
    """Returns the change with its revision and its place in its chain; raises if what it expects is not so."""
    (head,) = draft.heads((change.subject,))
    match change:
        case Put():
            id = check_id(change.intent.id, "id")
            (there,) = draft.fetch((id,))
            _expect(id, there, change.expected)
            return Put(intent=change.intent.at_revision(revision), before=head.revision, prev=head.hash)
        case Drop() | Note():
            (there,) = draft.fetch((change.id,))
            if there is None:
                raise IntentMissing(change.id)
            _expect(change.id, there, change.expected)
        case Link():
            _check_link(change, draft)
            edge = replace(change.edge, revision=revision)
            return Link(edge=edge, before=head.revision, prev=head.hash)
        case Unlink():
            if draft.linked((change.key,)) == [None]:
                raise EdgeMissing(change.source, change.type, change.target)
        case Define():
            _check_definition(change, draft, head)
        case _:
            assert_never(change)
    return replace(change, expected=None, before=head.revision, prev=head.hash)


def _check_link(change: Link, draft: Draft) -> None:
    edge = change.edge
    ends = (edge.source, edge.target)
    for end, there in zip(ends, draft.fetch(ends), strict=True):
        if there is None:
            raise IntentMissing(end, hint="store both intents before linking them")
    if change.expected == 0 and draft.linked((edge.key,)) != [None]:
        raise AlreadyThere(
            f"the edge {edge.source} {edge.type} {edge.target} exists already",
            hint="unlink it first to change it",
            source=edge.source,
            type=str(edge.type),
            target=edge.target,
        )


def _check_definition(change: Define, draft: Draft, head: Head) -> None:
    there = change.name in draft.definitions(change.name)
    if not there and (change.value is None or change.expected):
        raise DefinitionMissing(change.name)
    if there and change.expected == 0:
        raise AlreadyThere(
            f"the definition {change.name} exists already", hint="give the revision it has now", name=change.name
        )
    if change.expected and change.expected != head.revision:
        raise StaleRevision(change.name, expected=change.expected, actual=head.revision, noun="definition")


def _expect(id: IntentId, there: Intent | None, expected: Revision | None) -> None:
    if expected is None:
        return
    if expected == 0:
        if there is not None:
            raise AlreadyThere(f"intent {id} exists already", hint="update it, or store under another id", id=id)
    elif there is None:
        raise IntentMissing(id)
    elif there.revision != expected:
        raise StaleRevision(id, expected=expected, actual=there.revision)


def _lay(change: Change, draft: Draft, head: Head) -> None:
    draft.ends[change.subject] = head
    match change:
        case Put():
            draft.intents[change.intent.id] = change.intent
        case Drop():
            draft.intents[change.id] = None
        case Link():
            draft.lay_edge(change.edge.key, change.edge)
        case Unlink():
            draft.lay_edge(change.key, None)
        case Note():
            pass
        case Define():
            draft.defined[change.name] = change.value
        case _:
            assert_never(change)


def _refuse_size(field: str, size: int) -> None:
    raise FieldInvalid(
        field, f"is {size} bytes encoded, over {MAX_INTENT_BYTES}", hint="keep large content elsewhere and name it here"
    )


def replayed(commit: Commit, base: Base) -> Draft:
    """Returns what a commit read back from the log lays over the state before it, chain ends included."""
    draft = Draft(base)
    header = header_bytes(commit)
    for change in commit.changes:
        _lay(change, draft, Head(commit.revision, change_hash(header, encode_change(change))))
    return draft


def entries_of(commit: Commit, subjects: set[Subject]) -> Iterator[Entry]:
    """Yields the commit's changes of these subjects, each with the commit's header."""
    for change in commit.changes:
        if change.subject in subjects:
            yield Entry(
                revision=commit.revision,
                commit=commit.id,
                at=commit.at,
                actor=commit.actor,
                reason=commit.reason,
                change=change,
            )


def as_batch(commit: Commit) -> Batch:
    """Returns the batch that makes the same commit again, in another place, at its own revision."""
    return Batch(
        whole=commit if commit.folded else None,
        changes=tuple([replace(change, before=0, prev="", expected=None) for change in commit.changes]),
        at=commit.at,
        id=commit.id,
        actor=commit.actor,
        reason=commit.reason,
        revision=commit.revision,
    )


def check_same(commit: Commit, copy: Commit) -> None:
    """Raises `Conflict` unless the copy of a commit came out with its hash."""
    if commit.hash != copy.hash:
        raise Conflict(f"revision {commit.revision} came out different in the copy", hint="verify the source")


# --- Verification ----------------------------------------------------------------------------------


class ChainCheck:
    """Follows a log commit by commit and tells what does not chain. Remembers one head per subject."""

    def __init__(self) -> None:
        self.ends: dict[Subject, Head] = {}
        self.last: Revision = 0
        self._folded = True
        """Every commit so far was folded: what its changes continue is not there any more."""

    def follow(self, commit: Commit) -> Iterator[Problem]:
        """Yields what is wrong with the next commit of the log."""
        where = f"commit {commit.revision}"
        if commit.revision <= self.last:
            yield Problem(where, f"comes after revision {self.last}")
        self.last = max(self.last, commit.revision)
        header = header_bytes(commit)
        if commit.folded:
            yield from self._follow_folded(commit, header, where)
            return
        self._folded = False
        hashes = []
        for change in commit.changes:
            head = self.ends.get(change.subject, NO_HEAD)
            if (change.before, change.prev) != (head.revision, head.hash):
                yield Problem(
                    where,
                    f"{change.subject!r} continues revision {change.before}, but its chain ended at {head.revision}",
                )
            digest = change_hash(header, encode_change(change))
            hashes.append(digest)
            self.ends[change.subject] = Head(commit.revision, digest)
        if commit_hash(header, hashes) != commit.hash:
            yield Problem(where, "its content does not match its hash")

    def _follow_folded(self, commit: Commit, header: bytes, where: str) -> Iterator[Problem]:
        if not self._folded:
            yield Problem(where, "is folded, though a commit before it is not")
        if not is_whole(commit):
            yield Problem(where, "its content does not match its hash")
        for change in commit.changes:
            self.ends[change.subject] = Head(commit.revision, change_hash(header, encode_change(change)))
