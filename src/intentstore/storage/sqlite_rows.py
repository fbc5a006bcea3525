"""What the SQLite tables hold, and how a group of commits is laid into them.

Owns the statements of ``sqlite.sql``, what each row says, and the state a group is settled against. Works on a
connection inside a transaction; begins none, and knows no file and no lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import apsw
import msgspec

from ..codec import decode_change, decode_edge, decode_intent, encode_change, encode_commit
from ..ground.change import NO_HEAD, Define, Head, Link, Put, Subject
from ..ground.query import Direction, Walk, microseconds, searchable, words
from ..ground.types import SYMMETRIC, Edge, EdgeKey, Intent, IntentId
from ..ground.values import Map
from .ledger import Draft, Settled


@cache
def texts() -> dict[str, str]:
    """Returns the statements of ``sqlite.sql`` by name."""
    parts = Path(__file__).with_name("sqlite.sql").read_text(encoding="utf-8").split("-- name: ")[1:]
    return {name: text.strip() for name, _, text in (part.partition("\n") for part in parts)}


class Statements:
    """The statements of ``sqlite.sql`` with one graph's key in them, each an attribute, made when first asked for."""

    def __init__(self, graph: int) -> None:
        self.graph = graph

    def __getattr__(self, name: str) -> str:
        if name not in texts():
            raise AttributeError(f"sqlite.sql has no statement {name!r}")
        text = self.__dict__[name] = texts()[name].replace("{g}", str(self.graph))
        return text


class Row(msgspec.Struct):
    """What the tables hold of a subject: its row if it is there, and the end of its chain."""

    key: int | None = None
    thing: Any = None
    head: Head = NO_HEAD


_ABSENT = Row()
_AS_INTENT: Callable[[str], Any] = decode_intent
_AS_EDGE: Callable[[str], Any] = decode_edge
_NOTHING: Callable[[str], Any] = lambda _: None  # noqa: E731  a definition's value is asked for by name


def rows(connection: apsw.Connection, text: str, values: Any = ()) -> list[Any]:
    """Returns every row; the statement, and with it its snapshot, has ended."""
    return connection.execute(text, values).fetchall()


def is_text(id: object) -> bool:
    """True for what may be bound: an id with a lone surrogate is no text, so it is never there."""
    try:
        return isinstance(id, str) and id.encode() is not None
    except UnicodeEncodeError:
        return False


class Base:
    """The state that a group of batches is settled against: the tables, inside the writing transaction."""

    def __init__(self, connection: apsw.Connection, sql: Statements) -> None:
        self._connection, self._sql = connection, sql
        self._rows: dict[Subject, Row] = {}

    def row(self, subject: Subject) -> Row:
        """Returns what the tables hold of the subject, asked once."""
        found = self._rows.get(subject)
        if found is None:
            found = self._rows[subject] = self._read(subject)
        return found

    def _read(self, subject: Subject) -> Row:
        values: tuple[str, ...] = subject if isinstance(subject, tuple) else (subject,)
        if isinstance(subject, str):
            text, decode = self._sql.intent_row, _AS_INTENT
        elif len(subject) == 1:
            text, decode = self._sql.definition_row, _NOTHING
        else:
            text, decode = self._sql.edge_row, _AS_EDGE
        for key, body, head, hash in rows(self._connection, text, values):
            return Row(key, None if key is None else decode(body), Head(head, hash))
        return _ABSENT

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        return [self.row(id).thing for id in ids]

    def linked(self, keys: Sequence[EdgeKey]) -> list[Edge | None]:
        return [self.row(key).thing for key in keys]

    def heads(self, subjects: Sequence[Subject]) -> list[Head]:
        return [self.row(subject).head for subject in subjects]

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        return edges_at(self._connection, self._sql, ids, walk)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        return definitions(self._connection, self._sql, prefix)


class Laying:
    """Writes what a group of commits leaves behind: log, rows, labels, words, graves, definitions."""

    def __init__(self, connection: apsw.Connection, sql: Statements, base: Base) -> None:
        self._execute, self._sql, self._base, self._connection = connection.execute, sql, base, connection

    def lay(self, settled: list[Settled], upper: Draft) -> None:
        """Writes the log of these commits, and the state that stands after the last of them."""
        bodies: dict[Subject, str] = {}
        for each in settled:
            commit = each.commit
            whole = encode_commit(commit, each.bodies).decode()
            self._execute(self._sql.commit_insert, (commit.revision, commit.id, whole))
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

    def _lay_intent(self, id: IntentId, head: Head, upper: Draft, bodies: dict[Subject, str]) -> None:
        row = self._base.row(id)
        if id not in upper.intents:  # only notes were taken
            self._execute(self._sql.intent_head, (row.key, head.revision, head.hash))
            return
        intent = upper.intents[id]
        if intent is None:
            self._drop_intent(id, row, head)
            return
        columns = columns_of(intent, head, bodies[id])
        if row.key is None:
            self._execute(self._sql.intent_insert, columns)
            key = self._connection.last_insert_rowid()
            self._execute(self._sql.words_add, (key, words_of(intent)))
            if row.head.revision:
                self._execute(self._sql.grave_drop, (id, "", ""))
        else:
            key = row.key
            self._execute(self._sql.intent_update, columns)
            text = words_of(intent)
            if text != words_of(row.thing):
                self._execute(self._sql.words_change, (key, text))
        self._label(key, row.thing.labels if row.thing is not None else (), intent.labels)

    def _label(self, key: int, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        if old != new:
            for label in set(old) - set(new):
                self._execute(self._sql.label_drop, (label, key))
            for label in sorted(set(new) - set(old)):
                self._execute(self._sql.label_add, (label, key))

    def _drop_intent(self, id: IntentId, row: Row, head: Head) -> None:
        if row.key is not None:
            self._label(row.key, row.thing.labels, ())
            self._execute(self._sql.words_drop, (row.key,))
            self._execute(self._sql.intent_delete, (row.key,))
        self._execute(self._sql.grave_put, (id, "", "", head.revision, head.hash))

    def _lay_edge(self, key: EdgeKey, head: Head, edge: Edge | None, bodies: dict[Subject, str]) -> None:
        row = self._base.row(key)
        ends = tuple(map(str, key))
        if edge is not None:
            self._execute(self._sql.edge_put, (*ends, head.revision, head.hash, bodies[key]))
            if row.key is None and row.head.revision:
                self._execute(self._sql.grave_drop, ends)
            return
        if row.key is not None:
            self._execute(self._sql.edge_delete, (row.key,))
        self._execute(self._sql.grave_put, (*ends, head.revision, head.hash))

    def _define(self, name: str, head: Head, value: Map | None) -> None:
        body = None if value is None else encode_change(Define(name=name, value=value)).decode()
        self._execute(self._sql.definition_put, (name, head.revision, head.hash, body))


def definitions(connection: apsw.Connection, sql: Statements, prefix: str) -> dict[str, Map]:
    """Returns the graph's definitions whose names begin with the prefix."""
    return dict(_defined(body) for (body,) in rows(connection, sql.definitions, (prefix,)))


@lru_cache(maxsize=512)
def _defined(body: str) -> tuple[str, Map]:
    """Returns the name and value that a definition's row holds; policies are asked for at every commit."""
    change = decode_change(body)
    assert type(change) is Define
    assert change.value is not None
    return change.name, change.value


def columns_of(intent: Intent, head: Head, body: str) -> tuple[Any, ...]:
    """Returns what an intent's row holds, in the order of `intent_insert`."""
    return (
        intent.id,
        intent.status.value,
        intent.priority,
        microseconds(intent.created_at),
        microseconds(intent.updated_at),
        head.revision,
        head.hash,
        intent.session_id,
        intent.triggered_by,
        None if intent.claim is None else intent.claim.owner,
        intent.name,
        intent.goal,
        body,
    )


def words_of(intent: Intent) -> str:
    """Returns the text that the word index takes; where it is ASCII, FTS5 finds the same words by itself."""
    text = searchable(intent)
    return text if text.isascii() else " ".join(words(text))


def edges_at(connection: apsw.Connection, sql: Statements, ids: Iterable[IntentId], walk: Walk) -> list[Edge]:
    """Returns the edges at the ids that the walk takes, ordered by key.

    Each end is asked by its own index: left to itself, SQLite reads all edges of the graph to spare itself the order.
    """
    given = _json.encode(list(ids)).decode()
    found: dict[tuple[str, str, str], str] = {}
    for text, end in ((sql.edges_out, Direction.OUT), (sql.edges_in, Direction.IN)):
        taken = walk.direction in (end, Direction.BOTH)
        types = walk.types if taken else (walk.types & SYMMETRIC if walk.types else SYMMETRIC)
        if types or taken:
            named = _json.encode(list(map(str, types))).decode() if types else None
            found.update((row[:3], row[3]) for row in connection.execute(text, (given, named)))
    return [decode_edge(found[key]) for key in sorted(found)]


_json = msgspec.json.Encoder()
