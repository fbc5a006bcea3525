"""What SQLite counts of each intent, so that what is ready is found without looking at the rest; and the way down.

Keeps two columns: for how many an intent waits (``waits``), how many subgoals of it are open (``below``). They change
with the statements that change a status or an edge, in the same transaction; an index holds the active intents that
wait for none. Knows rows; what ready means in full is the graph's to say.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import msgspec

from ..codec import decode_intent
from ..ground.query import microseconds
from ..ground.types import OPEN, ORDERING, SETTLED, EdgeKey, EdgeType, Intent, IntentId, IntentStatus
from .ledger import Draft
from .sqlite_rows import Base, Statements, is_text, rows

_SUBGOAL = EdgeType.IS_SUBGOAL_OF


class Counting:
    """Keeps the two columns up while a group of commits is laid: `before` it the tables are old, `after` it new."""

    def __init__(self, connection: apsw.Connection, sql: Statements, base: Base, upper: Draft) -> None:
        self._execute, self._sql, self._base, self._upper = connection.execute, sql, base, upper
        self._come: list[EdgeKey] = []

    def before(self) -> None:
        """Counts what the new statuses mean over the edges as they are, then the edges that go."""
        for id, intent in self._upper.intents.items():
            was = self._base.row(id).thing
            if was is not None and intent is not None and was.status is not intent.status:
                self._shift(id, was.status, intent.status)
        for key, edge in self._upper.edges.items():
            there = self._base.row(key).key is not None
            if edge is None and there:
                self._count(key, -1)
            elif edge is not None and not there:
                self._come.append(key)

    def after(self) -> None:
        """Counts the edges that came."""
        for key in self._come:
            self._count(key, 1)

    def _shift(self, id: IntentId, was: IntentStatus, now: IntentStatus) -> None:
        waiting = (now not in SETTLED) - (was not in SETTLED)
        opened = (now in OPEN) - (was in OPEN)
        if waiting:
            self._execute(self._sql.waits_of_dependants, (id, waiting))
            self._execute(self._sql.waits_of_blocked, (id, waiting))
        if opened:
            self._execute(self._sql.below_of_parents, (id, opened))

    def _count(self, key: EdgeKey, step: int) -> None:
        source, type, target = key
        if type == _SUBGOAL:
            if self._status(source) in OPEN:
                self._execute(self._sql.below_step, (target, step))
        elif type in ORDERING:
            who, whom = (target, source) if type == EdgeType.BLOCKS else (source, target)
            if self._status(whom) not in SETTLED:
                self._execute(self._sql.waits_step, (who, step))

    def _status(self, id: IntentId) -> IntentStatus | None:
        """Returns the status that counts: the new one, or the last of an intent that goes."""
        intent = self._upper.intents.get(id) or self._base.row(id).thing
        return None if intent is None else intent.status


def next_free(
    connection: apsw.Connection, sql: Statements, after: Intent | None, *, limit: int, leaves_only: bool
) -> list[Intent]:
    """Returns the next active intents that wait for nothing by themselves, most urgent first."""
    every = not leaves_only
    if after is None:
        found = rows(connection, sql.free, (every, limit))
    else:
        place = (after.priority, microseconds(after.created_at), after.id)
        found = rows(connection, sql.free_behind, (every, limit, *place))
    return [decode_intent(body) for (body,) in found]


def below(connection: apsw.Connection, sql: Statements, id: IntentId, depth: int | None) -> list[Intent]:
    """Returns everything below an intent: nearest first, then as their parents came, then by id."""
    ids: list[IntentId] = []
    for level in _levels(connection, sql, id, depth):
        ids += level
    asked = msgspec.json.encode(ids).decode()
    found = {key: decode_intent(body) for key, body in connection.execute(sql.fetch_many, (asked,))}
    return [found[key] for key in ids]


def _levels(connection: apsw.Connection, sql: Statements, id: IntentId, depth: int | None) -> Iterator[list[IntentId]]:
    seen, level = {id}, [id] if is_text(id) else []
    while level and (depth is None or depth > 0):
        below: dict[IntentId, list[IntentId]] = {}
        for target, source in connection.execute(sql.children, (msgspec.json.encode(level).decode(),)):
            below.setdefault(target, []).append(source)
        reached = dict.fromkeys(child for each in level if each in below for child in sorted(below[each]))
        level = [child for child in reached if child not in seen]
        seen.update(level)
        yield level
        depth = None if depth is None else depth - 1


def miscounted(connection: apsw.Connection, sql: Statements) -> list[IntentId]:
    """Returns the ids of the intents whose columns are not what the edges and statuses give."""
    return [id for (id,) in rows(connection, sql.miscounted)]
