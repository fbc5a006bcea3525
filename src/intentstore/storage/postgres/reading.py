"""Questions to one graph's tables, each on a connection that is given back at once; asked anew when one had died.

Knows statements and what rows mean; changes nothing. How far the log may be read is `feed`'s to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg

from ...codec import decode_commit, decode_edge, decode_intent
from ...ground.change import Commit, Entry, Subject
from ...ground.errors import Corrupt
from ...ground.query import (
    EVERYTHING,
    Direction,
    Found,
    Hit,
    IntentFilter,
    Page,
    Sort,
    Walk,
    microseconds,
    write_cursor,
)
from ...ground.search import Query, meets, parse
from ...ground.types import Edge, EdgeKey, EdgeType, Intent, IntentId, IntentStatus, Revision
from ...ground.values import Map
from ..ledger import entries_of
from ..sql_query import counting, neighbours, selecting
from .connections import Connection, Lender
from .dialect import Asked, candidates, counting_word, descending, is_native
from .errors import is_lost, storage_error
from .exchange import Cells, Value, text
from .rows import array
from .state import definition
from .statements import Statements

T = TypeVar("T")
_DOWNWARD = Walk(types=frozenset({EdgeType.IS_SUBGOAL_OF}), direction=Direction.IN)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEST = Sort("relevance", descending=True)
_KEYS: dict[str, Callable[[str], float | str]] = {"goal": str, "id": str, "relevance": float}
"""How the key of a sort is read, if it is no integer."""
_PAUSE_S = 0.01


class Reader:
    """Answers questions about one graph."""

    def __init__(self, lender: Lender, sql: Statements) -> None:
        self._lender, self._sql = lender, sql

    def ask(self, work: Callable[[Connection], T], doing: str = "reading") -> T:
        """Returns what the work gives on a connection; begun anew on another where one was lost before the deadline."""
        until = self._lender.deadline()
        while True:
            connection = self._lender.take(until)
            try:
                return work(connection)
            except psycopg.Error as error:
                if not (is_lost(error, connection) and time.monotonic() + _PAUSE_S < until):
                    raise storage_error(error, self._lender.place.shown, doing) from error
            finally:
                self._lender.give(connection)
            time.sleep(_PAUSE_S)

    def answers(self, question: str, asked: Asked) -> list[Cells]:
        """Returns every row of the answer to a question."""
        return self.ask(lambda connection: connection.question(question, asked.given))

    # --- by id ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        if len(ids) == 1 and is_text(ids[0]):
            body = self._cell(self._sql.fetch, ids[0])
            return [None if body is None else decode_intent(body)]
        wanted = array([id for id in dict.fromkeys(ids) if is_text(id)])
        found = self.cells(self._sql.fetch_many, wanted)
        there = {text(id): decode_intent(text(body)) for id, body in found}
        return [there.get(id) for id in ids]

    def cells(self, asked: str, *values: Value) -> list[Cells]:
        """Returns every row of the answer to a statement of ours."""
        return self.ask(lambda connection: connection.one(asked, *values))

    def _cell(self, asked: str, *values: Value) -> bytes | None:
        """Returns the first cell of the answer to a statement of ours; None if there is no row."""
        found = self.cells(asked, *values)
        return found[0][0] if found else None

    def neighbours(self, ids: Iterable[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at any of the ids that the walk takes."""
        asked = Asked(self._sql.graph_key)
        question = neighbours(filter(is_text, ids), walk, asked)
        return [decode_edge(text(body)) for _, _, _, body in self.answers(question, asked)]

    def descend(self, ids: Iterable[IntentId], walk: Walk) -> list[EdgeKey]:
        """Returns the keys of all edges that the walk takes from these ids on, in their order."""
        asked = Asked(self._sql.graph_key)
        rows = self.answers(descending(list(filter(is_text, ids)), walk, asked), asked)
        return [(text(source), EdgeType(text(type)), text(target)) for source, type, target in rows]

    def definitions(self, prefix: str) -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix, in the order of names."""
        found = self.cells(self._sql.definitions, prefix) if is_text(prefix) else []
        return dict(definition(text(body)) for body, _ in found if body is not None)

    # --- questions ---

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents the filter means."""
        asked, query = Asked(self._sql.graph_key), None
        if page.sort.field == "relevance" and where.text is not None:
            query = parse(where.text).bare
        rows = self.answers(selecting(self._answered(where), page, asked, query=query), asked)
        intents = tuple([decode_intent(body) for body, _, _ in rows[: page.limit]])  # type: ignore[arg-type]  # not NULL
        if len(rows) <= page.limit:
            return Found(intents)
        _, key, id = map(text, rows[page.limit - 1])
        return Found(intents, write_cursor(page.sort, _KEYS.get(page.sort.field, int)(key), id))

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status."""
        asked = Asked(self._sql.graph_key)
        rows = self.answers(counting(self._answered(where), asked), asked)
        found = {text(status): int(text(number)) for status, number in rows}
        return {status: found[status] for status in IntentStatus if status in found}

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Returns the intents that the query means, best first; none if it looks for nothing."""
        if not query.terms:
            return []
        asked, page = Asked(self._sql.graph_key), Page(sort=_BEST, limit=limit)
        where = EVERYTHING if is_native(query) else IntentFilter(ids=self._meant(query))
        asks = query if is_native(query) else query.bare
        rows = self.answers(selecting(where, page, asked, query=asks), asked)
        return [Hit(intent=decode_intent(text(body)), score=float(text(score))) for body, score, _ in rows[:limit]]

    def frequencies(self, words: Iterable[str], most: int) -> dict[str, int]:
        """Returns in how many intents each of the words stands, counted no further than ``most``."""
        return {word: self._frequency(word, most) for word in words}

    def _frequency(self, word: str, most: int) -> int:
        asked = Asked(self._sql.graph_key)
        return int(text(self.answers(counting_word(word, most, asked), asked)[0][0]))

    def _answered(self, where: IntentFilter) -> IntentFilter:
        """Returns the filter with the searches in it that tokens alone do not decide answered by ids."""
        changes: dict[str, Any] = {}
        if where.text is not None and not is_native(query := parse(where.text)):
            meant = self._meant(query)
            changes = {"text": None, "ids": meant if where.ids is None else meant & where.ids}
        if where.any_of:
            changes["any_of"] = tuple(map(self._answered, where.any_of))
        if where.not_ is not None:
            changes["not_"] = self._answered(where.not_)
        return where.replace(**changes) if changes else where

    def _meant(self, query: Query) -> frozenset[IntentId]:
        asked = Asked(self._sql.graph_key)
        found = self.answers(candidates(query, asked), asked)
        return frozenset(text(id) for id, body in found if meets(decode_intent(text(body)), query))

    def next_free(self, after: Intent | None, *, limit: int, leaves_only: bool) -> list[Intent]:
        """Returns the next active intents that wait for nothing by themselves, most urgent first."""
        place = (None, None, None) if after is None else (after.priority, microseconds(after.created_at), after.id)
        rows = self.cells(self._sql.free, *place, "f" if leaves_only else "t", limit)
        return [decode_intent(text(body)) for (body,) in rows]

    def below(self, id: IntentId, depth: int | None) -> list[Intent]:
        """Returns everything below an intent: nearest first, then as their parents came, then by id."""
        children: dict[IntentId, list[IntentId]] = {}
        for child, _, parent in self.descend([id], _DOWNWARD):  # in the order of the children's ids
            children.setdefault(parent, []).append(child)
        seen, level, ids = {id}, [id], list[IntentId]()
        while level and (depth is None or depth > 0):
            reached = dict.fromkeys(child for parent in level for child in children.get(parent, ()))
            level = [child for child in reached if child not in seen]
            seen.update(level)
            ids += level
            depth = None if depth is None else depth - 1
        return [intent for intent in self.fetch(ids) if intent is not None]

    def now(self) -> datetime:
        """Returns the present moment by the server's clock."""
        return _EPOCH + timedelta(microseconds=int(text(self._cell(self._sql.now))))

    # --- the log ---

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None."""
        body = self._cell(self._sql.commit_by_id, id) if is_text(id) else None
        return None if body is None else decode_commit(body)

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, oldest first, by following the chains back."""
        if not is_text(id):
            return []
        rows = self.cells(self._sql.subjects_at, id)
        subjects = {_subject(*map(text, row[:3])) for row in rows}
        todo = {int(text(row[3])) for row in rows}
        found: dict[Revision, list[Entry]] = {}
        while todo:
            wanted = array([str(revision) for revision in todo])
            for revision, body in self.cells(self._sql.commits_at, wanted):
                found[int(text(revision))] = list(entries_of(decode_commit(text(body)), subjects))
            lost = todo - found.keys()
            if lost:
                raise Corrupt(self._lender.place.shown, f"commit {min(lost)} is not in the log")
            todo = {entry.change.before for revision in todo for entry in found[revision]} - {0} - found.keys()
        return [entry for revision in sorted(found) for entry in found[revision]]

    @property
    def revision(self) -> Revision:
        """The revision of the last commit."""
        return int(text(self._cell(self._sql.revision)))


def _subject(source: str, type: str, target: str) -> Subject:
    return (source, EdgeType(type), target) if type else source


def is_text(id: object) -> bool:
    """True for what may be bound: what holds NUL or a lone surrogate is no text to PostgreSQL, so is never there."""
    if not isinstance(id, str) or "\0" in id:
        return False
    try:
        id.encode()
    except UnicodeEncodeError:
        return False
    return True
