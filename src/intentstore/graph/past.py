"""The graph as it was after one revision: a storage to read from, made of the present one and its log.

The present state with what changed since laid over it; or, where that is nearer, the log read from its beginning.
Nothing is read before somebody asks. Others may write meanwhile: after every look at the present the log is read on,
and what was changed since is answered from it, so no answer mixes two moments.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from ..codec import encode_edge, encode_intent
from ..ground.change import Batch, Commit, Define, Entry, Guard, Note, Subject
from ..ground.errors import ReadOnly
from ..ground.protocol import Capabilities, IntentStorage, Problem, SearchesText
from ..ground.query import (
    EVERYTHING,
    Found,
    Hit,
    IntentFilter,
    Page,
    Sort,
    Walk,
    read_cursor,
    sort_key,
    stands_behind,
    write_cursor,
)
from ..ground.search import Query
from ..ground.types import Edge, EdgeKey, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map
from ..storage.index import Index
from ..storage.ledger import ChainCheck, Draft, replayed, stands_at
from .log import Span, Value, ids_in, left_by, up_to, values_at
from .traverse import every_edge, every_intent

_ALL = Walk()
_PAGE = 10_000
_FEW = 8
_FAR = 256
"""Commits since, from which on a question about `_FEW` intents is answered by their own chains alone."""
_TRIES = 3


class Past:
    """A read-only `IntentStorage`: what the other storage held after a revision."""

    def __init__(self, storage: IntentStorage, revision: Revision) -> None:
        self._storage, self._revision = storage, revision
        declared = storage.capabilities
        self.capabilities = Capabilities(
            persistent=declared.persistent, multi_process=declared.multi_process, searches_text=declared.searches_text
        )
        self._lock = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._span = Span(self._revision)
        self._laid = Index()
        """The intents that differ from the present or have an edge that does, and every edge at them, as they were."""
        self._touched: set[IntentId] = set()
        """Their ids, and those of what is there now and was not then."""
        self._whole = False
        """`_laid` holds the graph of that revision whole; the present is not looked at."""
        self._near: dict[IntentId, tuple[Intent | None, list[Edge]]] = {}

    def open(self) -> None:
        """Does nothing: the storage beneath is open."""

    def close(self) -> None:
        """Forgets what was read of the log; the storage beneath stays open."""
        with self._lock:
            self._forget()

    @property
    def revision(self) -> Revision:
        """The revision whose past this is."""
        return self._revision

    def moment(self) -> datetime | None:
        """Returns the time of the last commit in it; None when it is empty."""
        commit = next(iter(self._storage.entries(self._revision - 1)), None) if self._revision else None
        return None if commit is None else commit.at

    # --- what differs from the present ---

    def _advance(self) -> None:
        """Reads the log on to its present end, so that `_laid` has all that differs from what was read before."""
        if self._whole:
            return
        while self._storage.revision != (last := self._span.last):
            if not self._span.after and self._is_nearer_from_the_beginning():
                self._lay_whole()
                return
            known = set(self._span.after)
            self._span.take(self._storage.entries(last))
            if self._span.last == last:  # what is stored is not in the log yet, so nobody can know of it
                return
            self._lay(values_at(self._storage, self._span.ends_of(self._span.after.keys() - known)))

    def _is_nearer_from_the_beginning(self) -> bool:
        # A commit since costs two readings: itself, and the one that tells what was before it.
        return self._revision < 2 * (self._storage.revision - self._revision)

    def _lay_whole(self) -> None:
        span = Span(0)
        span.take(up_to(self._storage.entries(0), self._revision))
        self._put_down(span.after)
        self._whole = True

    def _lay(self, values: dict[Subject, Value]) -> None:
        """Lays what was; around a changed edge also its two ends and all edges there, as they are."""
        ends = {id for subject in values for id in ids_in(subject)}
        fresh = sorted(ends - self._touched)
        there: dict[Subject, Value] = {
            id: intent
            for id, intent in zip(fresh, self._storage.fetch(fresh), strict=True)
            if id not in self._span.after
        }
        edges = self._storage.neighbours(fresh, _ALL)
        there.update((edge.key, edge) for edge in edges if edge.key not in self._span.after)
        self._put_down({**there, **values})
        self._touched |= ends

    def _put_down(self, values: Mapping[Subject, Value]) -> None:
        draft = Draft(self._laid)
        for subject, value in values.items():
            if isinstance(subject, str):
                draft.intents[subject] = value if type(value) is Intent else None
            elif len(subject) == 1:
                draft.defined[subject[0]] = value.value if type(value) is Define else None
            else:
                draft.lay_edge(subject, value if type(value) is Edge else None)
        self._laid.lay(draft, self._revision)

    # --- reading by id ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that was not there."""
        with self._lock:
            if self._by_chains(ids):
                return [self._beside(id)[0] for id in ids]
            found = [] if self._whole else self._storage.fetch(ids)
            self._advance()
            if self._whole:
                return self._laid.fetch(ids)
            return [
                self._laid.get(id) if id in self._touched else intent for id, intent in zip(ids, found, strict=True)
            ]

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges that stood at any of the ids and that the walk takes."""
        with self._lock:
            if self._by_chains(ids):
                here = frozenset(ids)
                near = {edge.key: edge for id in ids for edge in self._beside(id)[1] if stands_at(edge, here, walk)}
                return [near[key] for key in sorted(near)]
            asked = [] if self._whole else [id for id in ids if id not in self._touched]
            edges = self._storage.neighbours(asked, walk) if asked else []
            self._advance()
            if self._whole:
                return self._laid.neighbours(ids, walk)
            plain = frozenset(ids) - self._touched
            found = {edge.key: edge for edge in edges if stands_at(edge, plain, walk)}
            found.update((edge.key, edge) for edge in self._laid.neighbours(ids, walk) if edge.key not in found)
            return [found[key] for key in sorted(found)]

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the definitions the graph had whose names begin with the prefix."""
        with self._lock:
            found = {} if self._whole else self._storage.definitions(prefix)
            self._advance()
            if self._whole:
                return self._laid.definitions(prefix)
            changed = {subject for subject in self._span.after if not isinstance(subject, str) and len(subject) == 1}
            found = {name: value for name, value in found.items() if (name,) not in changed}
            return dict(sorted({**found, **self._laid.definitions(prefix)}.items()))

    def _by_chains(self, ids: Sequence[IntentId]) -> bool:
        """True where the chains of the intents asked for are shorter to read than all that happened since."""
        if self._whole or self._span.after or len(ids) > _FEW:
            return False
        return all(id in self._near for id in ids) or self._storage.revision - self._revision > _FAR

    def _beside(self, id: IntentId) -> tuple[Intent | None, list[Edge]]:
        """Returns the intent and the edges at it, read from their chains alone."""
        if id not in self._near:
            intent: Intent | None = None
            edges: dict[EdgeKey, Edge | None] = {}
            for entry in self.trail(id):
                value = left_by(entry.change)
                if type(entry.change) is Note:
                    continue
                subject = entry.change.subject
                if isinstance(subject, str):
                    intent = value if type(value) is Intent else None
                elif len(subject) == 3:
                    edges[subject] = value if type(value) is Edge else None
            self._near[id] = intent, [edge for edge in edges.values() if edge is not None]
        return self._near[id]

    # --- questions ---

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents that the filter meant."""
        where.refuse_graph_questions()
        with self._lock:
            if page.sort.field == "relevance":
                return self._by_relevance(where, page)
            return self._page(where, page)

    def _page(self, where: IntentFilter, page: Page) -> Found:
        """Puts what is as it was and what is not into one order, reading on until the page is full."""
        kept: list[Intent] = []
        asks, part = where, page
        while True:
            found = None if self._whole else self._storage.select(asks, part)
            self._advance()
            if found is None or self._whole:
                return self._laid.select(where, page)
            kept = [intent for intent in (*kept, *found.intents) if intent.id not in self._touched]
            laid = self._laid.select(where, page)
            pairs = self._in_order([*kept, *laid.intents], page.sort)
            if found.next is None:
                return _page(pairs, page, more=laid.next is not None)
            bound = read_cursor(found.next, page.sort)
            sure = [(key, intent) for key, intent in pairs if not stands_behind(key, intent.id, bound, page.sort)]
            if len(sure) >= page.limit and (len(pairs) > page.limit or not self._touched):
                return _page(sure, page, more=True)
            missing = max(1, page.limit + 1 - len(sure))
            asks, part = self._besides(where), msgspec.structs.replace(page, limit=missing, after=found.next)

    def _in_order(self, intents: list[Intent], sort: Sort) -> list[tuple[Any, Intent]]:
        key_of = self._keys(intents, sort)
        pairs = sorted(((key_of(intent), intent) for intent in intents), key=lambda pair: pair[1].id)
        pairs.sort(key=lambda pair: pair[0], reverse=sort.descending)
        return pairs

    def _besides(self, where: IntentFilter) -> IntentFilter:
        """Returns the filter without what differs from the present."""
        touched = IntentFilter(ids=frozenset(self._touched))
        return where.replace(not_=touched if where.not_ is None else IntentFilter(any_of=(where.not_, touched)))

    def _keys(self, intents: Iterable[Intent], sort: Sort) -> Any:
        if sort.field != "connections":
            return lambda intent: sort_key(intent, sort)
        degrees = {intent.id: 0 for intent in intents}
        for edge in self.neighbours(list(degrees), _ALL):
            for end in (edge.source, edge.target):
                if end in degrees:
                    degrees[end] += 1
        return lambda intent: degrees[intent.id]

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter meant, by status."""
        where.refuse_graph_questions()
        with self._lock:
            self._advance()
            if self._whole:
                return self._laid.count(where)
            for _ in range(_TRIES):
                last = self._span.last
                found = self._storage.count(self._besides(where))
                self._advance()
                if self._span.last == last:
                    for status, number in self._laid.count(where).items():
                        found[status] = found.get(status, 0) + number
                    return _in_order(found)
            # Others write without a pause.
            return _in_order(Counter(intent.status for intent in every_intent(self, where)))

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Returns the intents that the query meant, best first, by the word statistics of those found."""
        if not query.terms:
            return []
        parts = tuple(IntentFilter(text=str(term)) for term in query.terms)
        none = IntentFilter(any_of=tuple(IntentFilter(text=str(term)) for term in query.excluded))
        where = IntentFilter(any_of=parts) if query.any else IntentFilter(text=" ".join(map(str, query.terms)))
        with self._lock:
            return self._index_of(where.replace(not_=none) if query.excluded else where).search(query, limit)

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        """Returns in how many intents each word stands or stood, counted no further than ``most``: rather too many."""
        with self._lock:
            self._advance()
            found = self._laid.frequencies(words, most)
            if not self._whole and isinstance(self._storage, SearchesText):
                for word, number in self._storage.frequencies(words, most).items():
                    found[word] = min(most, found[word] + number)
            return found

    def _by_relevance(self, where: IntentFilter, page: Page) -> Found:
        return self._index_of(where).select(IntentFilter(text=where.text), page)

    def _index_of(self, where: IntentFilter) -> Index:
        """Returns the intents that the filter meant, by themselves."""
        index = Index()
        draft = Draft(index)
        draft.intents.update((intent.id, intent) for intent in every_intent(self, where))
        index.lay(draft, self._revision)
        return index

    # --- the log ---

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order, up to the revision."""
        return up_to(self._storage.entries(since), self._revision)

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it up to the revision, oldest first."""
        return [entry for entry in self._storage.trail(id) if entry.revision <= self._revision]

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None if there was none yet."""
        found = self._storage.commit(id)
        return found if found is not None and found.revision <= self._revision else None

    def verify(self) -> Iterator[Problem]:
        """Yields what is wrong with the log up to the revision, and where this view of it disagrees with it."""
        check, truth = ChainCheck(), Index()
        for commit in self.entries():
            yield from check.follow(commit)
            truth.lay(replayed(commit, truth), commit.revision)
        expected = dict(truth.bodies())
        for intent in every_intent(self, EVERYTHING):
            if expected.pop(intent.id, None) != encode_intent(intent):
                yield Problem(f"intent {intent.id}", f"is not what the log says of revision {self._revision}")
        for id in expected:
            yield Problem(f"intent {id}", f"is in the log of revision {self._revision} but not seen")
        seen = {edge.key: encode_edge(edge) for edge in every_edge(self)}
        if seen != {edge.key: encode_edge(edge) for edge in truth.edges()}:
            yield Problem("edges", f"are not what the log says of revision {self._revision}")

    def facts(self) -> Mapping[str, Any]:
        """Returns the facts of the place, with the revision looked at."""
        return {**self._storage.facts(), "revision": self._revision, "read_only": True}

    # --- writing is refused ---

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        """Raises `ReadOnly`."""
        del batch, guard
        self._refuse()

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        """Raises `ReadOnly`."""
        del batches
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ReadOnly(
            f"the graph at revision {self._revision} is the past, which cannot be changed",
            hint="write to the graph itself; to take a commit back, undo it",
        )


def _page(pairs: list[tuple[Any, Intent]], page: Page, *, more: bool) -> Found:
    kept = pairs[: page.limit]
    intents = tuple(intent for _, intent in kept)
    more = more or len(pairs) > len(kept)
    return Found(intents, write_cursor(page.sort, kept[-1][0], intents[-1].id) if more and kept else None)


def _in_order(found: Mapping[IntentStatus, int]) -> dict[IntentStatus, int]:
    return {status: found[status] for status in IntentStatus if status in found}
