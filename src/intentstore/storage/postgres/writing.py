"""One group of batches in one transaction: begun, settled, laid down, committed; and what became of it when it broke.

A commit whose end was not heard of is asked for by its id before anything is done again, so that it is one commit
whatever the network does. Knows the driver's errors only through `errors`.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg

from ...codec import encode_change, encode_commit
from ...ground.change import Batch, Define, Drop, Guard, Head, Link, Put, Subject, Unlink
from ...ground.errors import Busy, IntentStoreError, Unavailable
from ...ground.types import Edge, EdgeKey, IntentId, Revision
from ...ground.values import Map
from ..group import Ticket
from ..ledger import Draft, Settled
from ..settling import Group, settle_group
from .connections import Connection, Lender
from .errors import AGAIN, Outrun, is_lost, storage_error
from .exchange import Asked, text
from .rows import empty_row, intent_row
from .state import State, Wanted
from .statements import COPIES, PARTS, STRIDE, Statements, copying, values, writing

_TRIES = 12
_ALONE_AFTER = 4
"""Tries after which a group that is always outrun takes the graph for itself."""
_COPY_FROM = 100
"""Rows of one kind from which COPY is quicker than arrays."""
_MANY = 1000
"""With more changes the server is not to limit a statement: their deadline is longer, and the client keeps it."""
_MOST_FORESEEN = 8
"""A guard may ask for a prefix of its own in every commit: more than these are read when they are asked for."""
_UNLIMITED: Asked = ("SET LOCAL statement_timeout = 0", ())
_Rows = tuple[str, list[tuple[Any, ...]]]
"""What is done, and to which rows."""
_UNSURE = frozenset({"01000", "57P01", "57014"})
"""Warnings with which a commit is acknowledged that a standby may not have."""


_STRUCTURAL = frozenset({Link, Unlink, Drop, Define})


class Wish(Ticket):
    """A ticket with a deadline."""

    __slots__ = ("until",)

    def __init__(self, batch: Batch, guard: Guard | None, until: float) -> None:
        super().__init__(batch, guard)
        self.until = until


def is_structural(batch: Batch) -> bool:
    """True for a batch that changes edges or definitions, or deletes intents: two of those never run at once."""
    return batch.revision is not None or any(type(change) in _STRUCTURAL for change in batch.changes)


class Writer:
    """Runs groups of wishes for one graph."""

    def __init__(self, lender: Lender, sql: Statements, new_id: Callable[[], str]) -> None:
        self._lender, self._sql, self._new_id = lender, sql, new_id
        self._foreseen: set[str] = set()
        """The prefixes of definitions that guards have asked for, and will ask for again."""

    def wish(self, batch: Batch, guard: Guard | None) -> Wish:
        """Returns the ticket for a batch, which has an id from now on: trying again is then one commit."""
        if batch.id is None:
            batch = msgspec.structs.replace(batch, id=self._new_id())
        return Wish(batch, guard, self._lender.deadline(len(batch.changes)))

    def run(self, group: list[Ticket], *, stop: bool = False) -> None:
        """Makes the group's commits, all durable, or gives each ticket its error; raises what is the whole group's."""
        wishes = [ticket for ticket in group if isinstance(ticket, Wish) and not self._is_late(ticket)]
        if not wishes:
            return
        attempt = _Attempt(self._lender, self._sql, self._new_id, wishes, self._foreseen, stop=stop)
        while not attempt.succeeded():
            pass

    def _is_late(self, wish: Wish) -> bool:
        if time.monotonic() < wish.until:
            return False
        wish.error = Busy(
            f"{self._lender.place.shown}: other writes of this process took longer than the deadline",
            hint="try again, or raise timeout_s",
            timeout_s=self._lender.place.timeout_s,
        )
        return True


class _Attempt:
    """A group on its way, from its first try to its last."""

    def __init__(
        self,
        lender: Lender,
        sql: Statements,
        new_id: Callable[[], str],
        wishes: list[Wish],
        foreseen: set[str],
        *,
        stop: bool,
    ) -> None:
        self._foreseen = foreseen
        self._lender, self._sql, self._new_id, self._wishes, self._stop = lender, sql, new_id, wishes, stop
        self._until = max(wish.until for wish in wishes)
        self._structural = any(is_structural(wish.batch) for wish in wishes)
        self._copying = any(wish.batch.revision is not None for wish in wishes)
        self._tries = 0
        self._unknown = False
        """A COMMIT was sent whose end was not heard of."""
        self._committing = False

    def succeeded(self) -> bool:
        """Tries once; False when it may be tried again. Raises what ends it."""
        self._tries += 1
        for wish in self._wishes:
            wish.commit = wish.error = None
        try:
            connection = self._lender.take(self._until)
        except IntentStoreError as error:
            raise self._unsure(error) from error.__cause__
        self._committing = False
        try:
            self._transact(connection).acknowledge()
        except psycopg.Error as error:
            self._again_or_raise(connection, error)
            return False
        except BaseException:
            connection.roll_back()
            raise
        finally:
            self._lender.give(connection)
        return True

    def _unsure(self, error: IntentStoreError) -> IntentStoreError:
        if not self._unknown:
            return error
        hint = "it may have happened: repeat it with the same commit id, or ask commit(id)"
        return Unavailable(error.message, hint=hint, **{**error.fields, "outcome": "unknown"})

    def _again_or_raise(self, connection: Connection, error: psycopg.Error) -> None:
        lost = is_lost(error, connection)
        if not lost:
            connection.roll_back()
        self._unknown = self._unknown or (self._committing and lost)
        if (lost or isinstance(error, AGAIN)) and self._tries < _TRIES and self._pause():
            return
        raise storage_error(error, self._lender.place.shown, "writing", unknown=self._unknown) from error

    def _pause(self) -> bool:
        """Waits a little, longer each time; False if the deadline would pass meanwhile."""
        length = random.uniform(0.5, 1.0) * min(0.002 * 2**self._tries, 0.5)  # noqa: S311  no secret
        if time.monotonic() + length >= self._until:
            return False
        time.sleep(length)
        return True

    # --- one transaction ---

    def _transact(self, connection: Connection) -> Group:
        alone = self._copying or self._tries > _ALONE_AFTER
        structural = alone or self._structural
        wanted = Wanted.by(self._wishes)
        changes = sum(len(wish.batch.changes) for wish in self._wishes)
        begin = [
            (self._sql.begin, ()),
            *connection.begin,
            *([_UNLIMITED] if changes > _MANY else []),
            (self._sql.write_alone if alone else self._sql.write_among_others, ()),
            *([(self._sql.hold_structure, ())] if structural else []),
            *([(self._sql.hold_definitions, ())] if wanted.definitions else []),
        ]
        state = State(connection, self._sql, structural=structural, defining=bool(wanted.definitions))
        guarded = any(wish.guard is not None for wish in self._wishes)
        state.enter(begin, wanted, self._foreseen if guarded else ())  # who asks nothing waits for nobody
        if alone or state.cluster != connection.about.cluster:
            self._move_base(connection, state, alone=alone)
        state.check_entered()
        last = self._last(connection) if self._copying else state.revision - 1
        group = settle_group(
            list(self._wishes),
            state,
            last=last,
            known=state.known.get,
            new_id=self._new_id,
            stop=self._stop,
            fatal=psycopg.Error,
        )
        self._foresee(state.prefixes.difference(wanted.definitions))
        if not group.new:
            connection.tell("ROLLBACK")
            return group
        laying = _Laying(connection, self._sql, state)
        laying.lay(group.new, group.draft)
        if self._copying:
            self._follow(connection, state, group.new[-1].commit.revision)
        connection.said.clear()
        self._committing = True
        laying.commit()
        self._committed(connection, state)
        return group

    def _foresee(self, asked: frozenset[str]) -> None:
        if len(self._foreseen | asked) <= _MOST_FORESEEN:
            self._foreseen |= asked

    def _last(self, connection: Connection) -> Revision:
        return int(text(connection.one(self._sql.revision)[0][0]))

    def _move_base(self, connection: Connection, state: State, *, alone: bool) -> None:
        """Makes sure that this transaction's revision lies beyond all others, though its id may be of another server.

        So it is after a restore from a dump. Only one that has the graph for itself may move the base.
        """
        if not alone:
            self._tries = max(self._tries, _ALONE_AFTER)
            raise Outrun("the transaction ids are another server's")
        last = self._last(connection)
        base = max(state.base, last + 1 - STRIDE * state.transaction)
        if base != state.base or state.cluster != connection.about.cluster:
            connection.one(self._sql.graph_base, base, connection.about.cluster)
            state.base = base

    def _follow(self, connection: Connection, state: State, last: Revision) -> None:
        """Moves the base, if need be, so that the next transaction's revision lies beyond the last that was copied."""
        base = last + 1 - STRIDE * (state.transaction + 1)
        if base > state.base:
            connection.one(self._sql.graph_base, base, connection.about.cluster)

    def _committed(self, connection: Connection, state: State) -> None:
        """Tells who watches; raises `Unavailable` if the commit was acknowledged with a warning."""
        if state.watched:  # by itself: a NOTIFY within the transaction would make all commits of the server queue up
            with contextlib.suppress(psycopg.Error):
                connection.tell(self._sql.notify)
        if not _UNSURE.isdisjoint(connection.said):
            raise Unavailable(
                f"{self._lender.place.shown}: committed here, but no standby has confirmed it",
                hint="it may be lost if this server is: repeat it with the same commit id once a standby follows",
                outcome="unknown",
            )


class _Laying:
    """Writes what a group of commits leaves behind: the log, the rows of intents and edges."""

    def __init__(self, connection: Connection, sql: Statements, state: State) -> None:
        self._connection, self._sql, self._state = connection, sql, state
        self._parts: dict[str, list[tuple[Any, ...]]] = {}
        self._last: list[_Rows] = []

    def _add(self, kind: str, row: tuple[Any, ...]) -> None:
        self._parts.setdefault(kind, []).append(row)

    def lay(self, settled: list[Settled], upper: Draft) -> None:
        """Writes it, but for the last and smallest part, which goes with `commit`."""
        bodies: dict[Subject, str] = {}
        for each in settled:
            commit = each.commit
            self._add("commits", (commit.revision, commit.id, encode_commit(commit, each.bodies).decode()))
            for change, body in zip(commit.changes, each.bodies, strict=True):
                if type(change) is Put:
                    bodies[change.intent.id] = body[body.index(b'"intent":') + 9 : -1].decode()
                elif type(change) is Link:
                    bodies[change.edge.key] = body[body.index(b'"edge":') + 7 : -1].decode()
        for subject, head in upper.ends.items():
            if isinstance(subject, str):
                self._lay_intent(subject, head, upper, bodies)
            elif len(subject) == 1:
                self._define(subject[0], head, upper.defined[subject[0]])
            else:
                self._lay_edge(subject, head, upper.edges[subject], bodies)
        self._write()

    def _lay_intent(self, id: IntentId, head: Head, upper: Draft, bodies: dict[Subject, str]) -> None:
        there = self._state.row(id).there
        if id not in upper.intents:  # only notes were taken
            self._add("heads", (id, head.revision, head.hash))
            return
        intent = upper.intents[id]
        row = empty_row(id, head) if intent is None else intent_row(intent, head, bodies[id])
        self._add("intents" if there else "new_intents", row)

    def _lay_edge(self, key: EdgeKey, head: Head, edge: Edge | None, bodies: dict[Subject, str]) -> None:
        body = None if edge is None else bodies[key]
        ends = tuple(map(str.__str__, key))
        self._add("edges" if self._state.row(key).there else "new_edges", (*ends, head.revision, head.hash, body))

    def _define(self, name: str, head: Head, value: Map | None) -> None:
        body = None if value is None else encode_change(Define(name=name, value=value)).decode()
        self._add("definitions", (name, head.revision, head.hash, body))

    def _write(self) -> None:
        chunks: list[_Rows] = []
        for kind, rows in self._parts.items():
            if kind in COPIES and len(rows) >= _COPY_FROM:
                self._copy(kind, rows)
            else:
                chunks += [(kind, rows[at : at + _COPY_FROM]) for at in range(0, len(rows), _COPY_FROM)]
        self._last = chunks[-len(PARTS) :]
        for chunk in chunks[: -len(PARTS)]:
            text, given = _asked(self._sql.graph_key, [chunk])
            self._connection.one(text, *given)

    def commit(self) -> None:
        """Writes what is left, and ends the transaction with it."""
        rest = [_asked(self._sql.graph_key, self._last)] if self._last else []
        self._connection.together([*rest, ("COMMIT", ())])

    def _copy(self, kind: str, rows: list[tuple[Any, ...]]) -> None:
        graph = self._sql.graph_key
        with self._connection.asks.copy(copying(kind)) as copy:
            for row in rows:
                copy.write_row((graph, *row))


def _asked(graph: int, parts: list[_Rows]) -> Asked:
    shape = tuple((kind, len(rows) > 1) for kind, rows in parts)
    return writing(graph, shape), [value for _, rows in parts for value in values(rows)]
