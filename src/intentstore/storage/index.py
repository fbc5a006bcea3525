"""One graph's present state in memory: the whole of the memory storage, and what the file storage reads from.

Owns the intents, edges, chain heads, and the sorted views and word lists that questions need, each built when first
asked for and kept from then on. Holds an intent as its bytes until somebody reads it. Knows no disk and no lock:
its owner lets one thread change it at a time.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from itertools import islice
from typing import Any

from ..codec import decode_intent, encode_intent
from ..ground.change import NO_HEAD, Head, Subject
from ..ground.errors import QueryInvalid
from ..ground.protocol import Problem
from ..ground.query import (
    Direction,
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
from ..ground.search import Query, meets, parse
from ..ground.types import SYMMETRIC, Edge, EdgeKey, EdgeType, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map
from .agenda import Agenda, place
from .ledger import Draft
from .match import matches
from .views import Views
from .words import WordIndex

_SORTS = ("created_at", "updated_at", "priority", "goal", "id")
_PEEK_BYTES = 16 << 10
"""Of intents not yet decoded: 16 KiB take 0.2 ms."""
_ALL: tuple[IntentStatus, ...] = tuple(IntentStatus)


class Index:
    """The state after some commit, ready for every question a storage must answer."""

    def __init__(self) -> None:
        self._intents: dict[IntentId, Intent | bytes] = {}
        self._packed = False  # true as soon as any is held as bytes
        self._swap = threading.Lock()
        self._edges: dict[EdgeKey, Edge] = {}
        self._defined: dict[str, Map] = {}
        self._heads: dict[Subject, Head] = {}
        self._at: dict[IntentId, dict[EdgeKey, Edge]] = {}
        self._dead_at: dict[IntentId, set[EdgeKey]] = {}
        self._views = Views()
        self._words: WordIndex | None = None
        self._agenda: Agenda | None = None
        self._below: dict[IntentId, list[IntentId]] | None = None
        self.revision: Revision = 0

    # --- reading by id ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        return [self.get(id) for id in ids]

    def get(self, id: IntentId) -> Intent | None:
        """Returns one intent, or None."""
        found = self._intents.get(id)
        if type(found) is bytes:
            intent = decode_intent(found)
            with self._swap:  # a writer may have put another in its place, or none
                if self._intents.get(id) is found:
                    self._intents[id] = intent
            return intent
        return found  # type: ignore[return-value]  # bytes went the other way

    def peek(self, ids: Sequence[IntentId]) -> list[Intent | None] | None:
        """Returns what `fetch` would, unless so much is to be decoded that it might take a millisecond."""
        size = 0
        for id in ids:
            held = self._intents.get(id)
            size += len(held) if type(held) is bytes else 32
        return self.fetch(ids) if size <= _PEEK_BYTES else None

    def linked(self, keys: Sequence[EdgeKey]) -> list[Edge | None]:
        """Returns the edges with these keys, None for each that is not there."""
        return [self._edges.get(key) for key in keys]

    def heads(self, subjects: Sequence[Subject]) -> list[Head]:
        """Returns the end of each subject's chain."""
        return [self._heads.get(subject, NO_HEAD) for subject in subjects]

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at any of the ids that the walk takes, each once, ordered by key."""
        found: dict[EdgeKey, Edge] = {}
        for id in ids:
            found.update(
                (key, edge)
                for key, edge in self._at.get(id, {}).items()
                if (not walk.types or edge.type in walk.types) and _seen(edge, id, walk.direction)
            )
        return [found[key] for key in sorted(found)]

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix, in the order of names."""
        return {name: self._defined[name] for name in sorted(self._defined) if name.startswith(prefix)}

    def degree(self, id: IntentId) -> int:
        """Returns how many edges stand at the intent."""
        return len(self._at.get(id, ()))

    def subjects_at(self, id: IntentId) -> list[Subject]:
        """Returns the intent and every edge, live or deleted, that ever stood at it."""
        return [id, *self._at.get(id, {}), *self._dead_at.get(id, ())]

    def intents(self) -> Iterator[Intent]:
        """Yields every intent."""
        yield from filter(None, map(self.get, list(self._intents)))

    def bodies(self) -> Iterator[tuple[IntentId, bytes]]:
        """Yields every intent's id and canonical JSON."""
        for id, held in self._intents.items():
            yield id, held if type(held) is bytes else encode_intent(held)  # type: ignore[arg-type]  # not bytes

    def edges(self) -> list[Edge]:
        """Returns every edge."""
        return list(self._edges.values())

    def graves(self) -> Iterator[tuple[Subject, Head]]:
        """Yields the chain ends of the intents and edges that were deleted."""
        for subject, head in self._heads.items():
            if len(subject) == 1 and not isinstance(subject, str):
                continue
            if subject not in (self._intents if isinstance(subject, str) else self._edges):
                yield subject, head

    def defined(self) -> Iterator[tuple[str, Map | None, Head]]:
        """Yields every definition that ever was, None for one taken away, with its chain end."""
        for subject, head in self._heads.items():
            if len(subject) == 1 and not isinstance(subject, str):
                yield subject[0], self._defined.get(subject[0]), head

    def head(self, subject: Subject) -> Head:
        """Returns the end of one subject's chain."""
        return self._heads.get(subject, NO_HEAD)

    def differences(self, truth: Index, ends: dict[Subject, Head]) -> Iterator[Problem]:
        """Yields where this state is not the one the log gives, and the edges that lack an end."""
        expected = dict(truth.bodies())
        for id, body in self.bodies():
            if expected.pop(id, None) != body:
                yield Problem(f"intent {id}", "differs from what the log says")
        for id in expected:
            yield Problem(f"intent {id}", "is in the log but not in the state")
        if {edge.key: edge for edge in self.edges()} != {edge.key: edge for edge in truth.edges()}:
            yield Problem("edges", "differ from what the log says")
        if self._defined != truth.definitions():
            yield Problem("definitions", "differ from what the log says")
        if self._heads != ends:
            yield Problem("chains", "end elsewhere than the log says")
        for edge in self.edges():
            for end in (edge.source, edge.target):
                if end not in self._intents:
                    yield Problem(f"edge {edge.source} {edge.type} {edge.target}", f"has no intent {end}")

    # --- writing ---

    def lay(self, draft: Draft, revision: Revision) -> None:
        """Makes what the draft holds the present state."""
        if self._agenda is not None:
            self._agenda.follow(draft, self._edges)
        for id, intent in draft.intents.items():
            self._lay_intent(id, intent)
        for key, edge in draft.edges.items():
            self._lay_edge(key, edge)
        for name, value in draft.defined.items():
            self._define(name, value)
        self._heads.update(draft.ends)
        self.revision = revision

    def load_intent(self, id: IntentId, body: bytes, head: Head) -> None:
        """Takes an intent from a snapshot as its bytes; they are decoded when somebody reads it."""
        self._packed = True
        self._intents[id] = body
        self._heads[id] = head

    def load_edge(self, edge: Edge, head: Head) -> None:
        """Takes an edge from a snapshot."""
        self._lay_edge(edge.key, edge)
        self._heads[edge.key] = head

    def load_definition(self, name: str, value: Map | None, head: Head) -> None:
        """Takes a definition, or the place of one taken away, from a snapshot."""
        self._define(name, value)
        self._heads[name,] = head

    def load_grave(self, subject: Subject, head: Head) -> None:
        """Takes the chain end of a deleted subject from a snapshot."""
        self._heads[subject] = head
        if len(subject) == 3 and not isinstance(subject, str):
            self._bury(subject)

    def _define(self, name: str, value: Map | None) -> None:
        if value is None:
            self._defined.pop(name, None)
        else:
            self._defined[name] = value

    def _lay_intent(self, id: IntentId, intent: Intent | None) -> None:
        if self._views or self._words is not None:
            before = self.get(id)
            if before is not None:
                self._views.discard(before)
                if self._words is not None:
                    self._words.discard(before)
            if intent is not None:
                self._views.add(intent)
                if self._words is not None:
                    self._words.add(intent)
        with self._swap:
            if intent is None:
                self._intents.pop(id, None)
            else:
                self._intents[id] = intent

    def _lay_edge(self, key: EdgeKey, edge: Edge | None) -> None:
        source, kind, target = key
        if self._below is not None and kind == EdgeType.IS_SUBGOAL_OF:
            children = self._below.setdefault(target, [])
            at = bisect_left(children, source)
            there = children[at : at + 1] == [source]
            if edge is None and there:
                del children[at]
            elif edge is not None and not there:
                children.insert(at, source)
        if edge is None:
            if self._edges.pop(key, None) is not None:
                self._bury(key)
            return
        self._edges[key] = edge
        for end in (source, target):
            self._at.setdefault(end, {})[key] = edge
            if end in self._dead_at:
                self._dead_at[end].discard(key)

    def _bury(self, key: EdgeKey) -> None:
        for end in (key[0], key[2]):
            at = self._at.get(end)
            if at is not None:
                at.pop(key, None)
                if not at:
                    del self._at[end]
            self._dead_at.setdefault(end, set()).add(key)

    # --- questions ---

    def words(self) -> WordIndex:
        """Returns the word lists, built at the first call."""
        if self._words is None:
            self._words = WordIndex(self.intents())
        return self._words

    def candidates(self, where: IntentFilter) -> Iterable[IntentId] | None:
        """Returns a superset of the ids the filter means, where an id or a word narrows it; else None."""
        if where.ids is not None:
            return where.ids
        if where.text is not None:
            return self.words().candidates(parse(where.text))
        return None

    def matching(self, where: IntentFilter) -> Iterator[Intent]:
        """Yields the intents the filter means, in no order."""
        ids = self.candidates(where)
        for intent in self.intents() if ids is None else filter(None, map(self.get, list(ids))):
            if matches(intent, where, self):
                yield intent

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status."""
        where.refuse_graph_questions()
        found: dict[IntentStatus, int] = {}
        for intent in self.matching(where):
            found[intent.status] = found.get(intent.status, 0) + 1
        return {status: found[status] for status in _ALL if status in found}

    def next_free(self, after: Intent | None, limit: int, *, leaves_only: bool) -> list[Intent]:
        """Returns the next active intents that wait for nothing by themselves, most urgent first."""
        if self._agenda is None:
            self._agenda = Agenda(self.get, self._at, self.intents(), self._edges.values())
        behind = self._agenda.behind(None if after is None else place(after), leaves_only=leaves_only)
        found = map(self.get, islice(behind, limit))
        return [intent for intent in found if intent is not None]

    def below(self, id: IntentId, depth: int | None) -> list[Intent]:
        """Returns everything below an intent: nearest first, then in the order of their parents, then by id."""
        if self._below is None:
            self._below = {}
            same = {id: id for id in self._intents}  # the very strings: a look into a dict is then no comparison
            for source, kind, target in sorted(self._edges):
                if kind == EdgeType.IS_SUBGOAL_OF:
                    self._below.setdefault(target, []).append(same[source])
        below, held = self._below, self._intents
        seen, level, ids = {id}, [id], list[IntentId]()
        while level and (depth is None or depth > 0):
            reached: list[IntentId] = []
            for children in [below[each] for each in level if each in below]:
                # A set takes in many at once faster than a loop looks at each.
                reached += children if seen.isdisjoint(children) else [c for c in children if c not in seen]
                seen.update(children)
            ids += reached
            level = reached
            depth = None if depth is None else depth - 1
        found = [held[each] for each in ids]  # an edge has its ends
        if self._packed and bytes in map(type, found):
            return [each for each in map(self.get, ids) if each is not None]
        return found  # type: ignore[return-value]  # no bytes among them

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        """Returns in how many intents each of the words stands, counted no further than ``most``."""
        lists = self.words()
        return {word: min(most, lists.frequency(word)) for word in words}

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Returns the best ``limit`` intents that the query means; none if it looks for nothing."""
        if not query.terms:
            return []
        ids: Iterable[IntentId] = self.words().candidates(query)
        if not query.plain:
            ids = [intent.id for intent in filter(None, map(self.get, ids)) if meets(intent, query)]
        best = _best(self.words().scores(query, ids), limit)
        found = zip(best, self.fetch([id for id, _ in best]), strict=True)
        return [Hit(intent=intent, score=score) for (_, score), intent in found if intent is not None]

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents the filter means."""
        where.refuse_graph_questions()
        if page.sort.field in _SORTS and self.candidates(where) is None:
            found = self._walk_views(where, page)
        else:
            found = self._sort_all(where, page)
        if len(found) <= page.limit:
            return Found(tuple(intent for _, intent in found))
        kept = found[: page.limit]
        key, last = kept[-1]
        return Found(tuple(intent for _, intent in kept), write_cursor(page.sort, key, last.id))

    def _walk_views(self, where: IntentFilter, page: Page) -> list[tuple[Any, Intent]]:
        after = read_cursor(page.after, page.sort) if page.after is not None else None
        found: list[tuple[Any, Intent]] = []
        statuses = _ALL if where.status is None else sorted(where.status)
        for key, id in self._views.walk(page.sort, statuses, after, self.intents):
            intent = self.get(id)
            if intent is not None and matches(intent, where, self):
                found.append((key, intent))
                if len(found) > page.limit:
                    break
        return found

    def _sort_all(self, where: IntentFilter, page: Page) -> list[tuple[Any, Intent]]:
        key_of = self._key(where, page.sort)
        pairs = [(key_of(intent), intent) for intent in self.matching(where)]
        pairs.sort(key=lambda pair: pair[1].id)
        pairs.sort(key=lambda pair: pair[0], reverse=page.sort.descending)
        if page.after is None:
            return pairs[: page.limit + 1]
        cursor = read_cursor(page.after, page.sort)
        behind = [pair for pair in pairs if stands_behind(pair[0], pair[1].id, cursor, page.sort)]
        return behind[: page.limit + 1]

    def _key(self, where: IntentFilter, sort: Sort) -> Any:
        if sort.field == "connections":
            return lambda intent: self.degree(intent.id)
        if sort.field == "relevance":
            if where.text is None:
                raise QueryInvalid("relevance needs a text to be relevant to", hint="give the filter a text")
            query = parse(where.text)
            scores = self.words().scores(query, self.words().candidates(query))
            return lambda intent: round(scores.get(intent.id, 0.0), 9)
        return lambda intent: sort_key(intent, sort)


def _best(scores: dict[IntentId, float], most: int) -> list[tuple[IntentId, float]]:
    """Returns the highest scores, ids breaking ties; only what can be among them is sorted by both."""
    least = nlargest(most, scores.values())[-1:]
    worthy = [pair for pair in scores.items() if pair[1] >= least[0]] if least else []
    return sorted(worthy, key=lambda pair: (-pair[1], pair[0]))[:most]


def _seen(edge: Edge, id: IntentId, direction: Direction) -> bool:
    if direction == "both" or edge.type in SYMMETRIC:
        return True
    return edge.source == id if direction == "out" else edge.target == id
