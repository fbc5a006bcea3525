"""What is known of a graph whose store cannot be reached: what passed by before, and what was written since.

It never says that something is not there because it is not known: that is `Unavailable`. Pure memory; the meaning of
a change is `ledger`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

import msgspec

from ..ground.change import Batch, Change, Commit, Define, Drop, Guard, Link, Note, Put, Unlink
from ..ground.errors import Unavailable
from ..ground.query import Found, Hit, IntentFilter, Page, Walk
from ..ground.search import Query
from ..ground.types import Edge, EdgeKey, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map
from .index import Index
from .ledger import Draft, settle

MOST = 10_000
"""Intents, and as many edges and small commits, of those that passed by last."""
_SMALL = 10


class PassedBy:
    """Remembers the last intents and edges that a store gave or took, at the cost of a dict's entry."""

    def __init__(self) -> None:
        self.intents: dict[IntentId, Intent] = {}
        self.edges: dict[EdgeKey, Edge] = {}
        self.commits: dict[str, Commit] = {}
        self.revision: Revision = 0
        self.defined: dict[str, Map] | None = None
        """Every definition of the graph, once they were read."""

    def saw(self, intents: Iterable[Intent | None]) -> None:
        """Remembers intents that were read."""
        held = self.intents
        for intent in intents:
            if intent is not None:
                held.pop(intent.id, None)
                held[intent.id] = intent
        _shorten(held)

    def saw_edges(self, edges: Iterable[Edge]) -> None:
        """Remembers edges that were read."""
        self.edges.update((edge.key, edge) for edge in edges)
        _shorten(self.edges)

    def happened(self, commit: Commit) -> None:
        """Remembers what a commit left behind."""
        self.revision = max(self.revision, commit.revision)
        if len(commit.changes) <= _SMALL:
            self.commits[commit.id] = commit
            _shorten(self.commits)
        for change in commit.changes:
            match change:
                case Put():
                    self.saw((change.intent,))
                case Drop():
                    self.intents.pop(change.id, None)
                case Link():
                    self.saw_edges((change.edge,))
                case Unlink():
                    self.edges.pop(change.key, None)
                case Define():
                    self._define(change)
                case Note():
                    pass
                case _:
                    assert_never(change)

    def knows(self, definitions: dict[str, Map]) -> None:
        """Remembers all the definitions of the graph."""
        self.defined = definitions

    def _define(self, change: Define) -> None:
        if self.defined is not None:
            rest = {name: value for name, value in self.defined.items() if name != change.name}
            self.defined = rest if change.value is None else {**rest, change.name: change.value}


def _shorten(held: dict[Any, Any]) -> None:
    try:
        while len(held) > MOST:
            held.pop(next(iter(held)), None)
    except (RuntimeError, StopIteration):  # another thread does the same
        pass


class Known:
    """The state as far as it is known; one thread at a time may write."""

    def __init__(self, passed: PassedBy) -> None:
        self.index = Index()
        self.commits = passed.commits
        """Those that the store acknowledged: asked for again they are the same commits."""
        self._gone: set[IntentId] = set()
        self._unlinked: set[EdgeKey] = set()
        self.defined = passed.defined
        draft = Draft(self.index)
        draft.defined.update(passed.defined or {})
        draft.intents.update(passed.intents.copy())
        for key, edge in passed.edges.copy().items():
            if key[0] in draft.intents and key[2] in draft.intents:
                draft.lay_edge(key, edge)
        self.index.lay(draft, passed.revision)

    @property
    def is_nothing(self) -> bool:
        """True when nothing at all is known."""
        return not self._gone and next(self.index.intents(), None) is None

    # --- reading ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents; one of which nothing is known is `Unavailable`, never None."""
        found = self.index.fetch(ids)
        for id, intent in zip(ids, found, strict=True):
            if intent is None and id not in self._gone:
                raise _unknown(f"intent {id!r}")
        return found

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges that are known, both of whose ends are."""
        return self.index.neighbours(ids, walk)

    def definitions(self, prefix: str) -> dict[str, Map]:
        """Returns the definitions as they were last read."""
        if self.defined is None:
            raise _unknown("the graph's definitions")
        return {name: value for name, value in sorted(self.defined.items()) if name.startswith(prefix)}

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns a page of the intents that are known."""
        self._check_something()
        return msgspec.structs.replace(self.index.select(where, page), partial=True)

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Counts the intents that are known."""
        self._check_something()
        return self.index.count(where)

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Searches the intents that are known."""
        self._check_something()
        return self.index.search(query, limit)

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        """Returns in how many of the known intents each of the words stands."""
        self._check_something()
        return self.index.frequencies(words, most)

    def _check_something(self) -> None:
        if self.is_nothing:
            raise _unknown("the graph")

    # --- writing ---

    def settle(self, batch: Batch, guard: Guard | None) -> None:
        """Raises where the batch does not fit what is known, or is about what is not known."""
        self._check_known(batch)
        settle(batch, self.index, last=self.index.revision, new_id=str, guard=guard)

    def _check_known(self, batch: Batch) -> None:
        made: set[IntentId | EdgeKey] = set()

        def need(*ids: IntentId) -> None:
            for id in ids:
                if id not in made:
                    self.fetch((id,))

        for change in batch.changes:
            match change:
                case Put():
                    if change.expected:
                        need(change.intent.id)
                    self._check_claim(change)
                    made.add(change.intent.id)
                case Drop() | Note():
                    need(change.id)
                case Link():
                    need(change.edge.source, change.edge.target)
                    made.add(change.edge.key)
                case Unlink():
                    if change.key not in made | self._unlinked and self.index.linked((change.key,)) == [None]:
                        raise _unknown(f"edge {' '.join(change.key)}")
                case Define():
                    raise Unavailable(
                        f"{change.name} belongs to the whole graph and cannot be changed while its store is away",
                        hint="define it when the store is back",
                    )
                case _:
                    assert_never(change)

    def _check_claim(self, change: Put) -> None:
        """Refuses a new claim: that nobody else holds the intent can only be promised by the store itself."""
        before = self.index.get(change.intent.id)
        if change.intent.claim is not None and (before is None or before.claim != change.intent.claim):
            raise Unavailable(
                f"intent {change.intent.id} cannot be claimed while its store is away",
                hint="claim it when the store is back; others may hold it",
                id=change.intent.id,
            )

    def lay(self, batch: Batch, revision: Revision) -> Commit:
        """Makes the batch part of what is known, whether it fits or not, and returns its provisional commit."""
        asked = tuple(msgspec.structs.replace(change, expected=None) for change in batch.changes)
        lenient = msgspec.structs.replace(batch, changes=asked)
        settled = settle(lenient, _Assumed(self.index), last=revision - 1, new_id=str, guard=None)
        changes = tuple(msgspec.structs.replace(each, before=0, prev="") for each in settled.commit.changes)
        self.index.lay(settled.draft, revision)
        for change in changes:
            self._mark(change)
        return msgspec.structs.replace(settled.commit, changes=changes, hash="")

    def _mark(self, change: Change) -> None:
        match change:
            case Put():
                self._gone.discard(change.intent.id)
            case Drop():
                self._gone.add(change.id)
            case Unlink():
                self._unlinked.add(change.key)
            case Link():
                self._unlinked.discard(change.edge.key)
            case Note() | Define():
                pass
            case _:
                assert_never(change)


class _Assumed:
    """An index that takes what it does not know for given: whether a change fits was decided when it was asked for."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.neighbours, self.heads, self.definitions = index.neighbours, index.heads, index.definitions

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        return [found or Intent(id=id, goal="not known") for id, found in zip(ids, self._index.fetch(ids), strict=True)]

    def linked(self, keys: Sequence[EdgeKey]) -> list[Edge | None]:
        found = zip(keys, self._index.linked(keys), strict=True)
        return [edge or Edge(source=key[0], type=key[1], target=key[2]) for key, edge in found]


def _unknown(what: str) -> Unavailable:
    return Unavailable(
        f"nothing is known here of {what}, and its store cannot be reached",
        hint="ask again when the store is back; health() says since when it is away",
    )
