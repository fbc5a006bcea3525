"""The state that a group of batches is settled against: the tables as they are inside the writing transaction.

Reads ahead what the group will ask, locking what it will change; what is asked besides is read, and held, when it is
asked. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, assert_never

import msgspec

from ...codec import decode_change, decode_commit, decode_edge, decode_intent
from ...ground.change import NO_HEAD, Commit, Define, Drop, Head, Link, Note, Put, Subject, Unlink
from ...ground.query import Walk
from ...ground.types import Edge, EdgeKey, EdgeType, Intent, IntentId, Revision
from ...ground.values import Map
from ..group import Ticket
from ..sql_query import neighbours
from .connections import Connection
from .dialect import Asked
from .errors import Outrun
from .exchange import Asked as Statement
from .exchange import Cells, text
from .rows import array
from .statements import STRIDE, Statements


class Row(msgspec.Struct):
    """What the tables hold of a subject: what it is if it is there, and the end of its chain."""

    thing: Any = None
    head: Head = NO_HEAD
    there: bool = False
    """There is a row, be it of one that was deleted."""


_ABSENT = Row()


class Wanted(msgspec.Struct):
    """What a group of tickets will write or read for certain."""

    intents: set[IntentId] = msgspec.field(default_factory=set)
    ends: set[IntentId] = msgspec.field(default_factory=set)
    edges: set[EdgeKey] = msgspec.field(default_factory=set)
    definitions: set[str] = msgspec.field(default_factory=set)
    commits: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def by(cls, tickets: Iterable[Ticket]) -> Wanted:
        """Returns what these tickets want."""
        wanted = cls()
        for ticket in tickets:
            assert ticket.batch.id is not None  # every wish has one
            wanted.commits.append(ticket.batch.id)
            for change in ticket.batch.changes:
                match change:
                    case Put():
                        wanted.intents.add(change.intent.id)
                    case Drop() | Note():
                        wanted.intents.add(change.id)
                    case Link():
                        wanted.edges.add(change.edge.key)
                        wanted.ends.update((change.edge.source, change.edge.target))
                    case Unlink():
                        wanted.edges.add(change.key)
                    case Define():
                        wanted.definitions.add(change.name)
                    case _:
                        assert_never(change)
        wanted.ends -= wanted.intents
        return wanted


class State:
    """A `ledger.Base` over the tables. `enter` first; then `revision` is that of the group's first commit."""

    def __init__(
        self, connection: Connection, sql: Statements, *, structural: bool = False, defining: bool = False
    ) -> None:
        self._connection, self._sql, self._structural, self._defining = connection, sql, structural, defining
        self._rows: dict[Subject, Row] = {}
        self.known: dict[str, Commit] = {}
        self.base = 0
        self.transaction = 0
        self.cluster = ""
        self.watched = False
        self._entered = False
        self._defined: dict[str, dict[str, Map]] = {}
        self._latest: Revision = 0
        """The revision of the latest definition that was read, be it one that was taken away."""

    @property
    def revision(self) -> Revision:
        """The revision of the first commit that this transaction may make."""
        return self.base + STRIDE * self.transaction

    @property
    def prefixes(self) -> frozenset[str]:
        """What definitions were asked for."""
        return frozenset(self._defined)

    def enter(self, begin: Sequence[Statement], wanted: Wanted, prefixes: Collection[str] = ()) -> None:
        """Begins the transaction, locks the intents to be written, reads what is wanted, takes its id last.

        ``prefixes``: definitions that its guards will ask for, as those before them have.
        """
        prefixes = tuple(prefixes)
        asked = [*begin, *self._about_definitions(prefixes)] if prefixes else list(begin)
        first = len(asked)
        if wanted.ends:
            asked.append((self._sql.intent_rows, (array(wanted.ends),)))
        if wanted.edges:
            asked.append(self._about_edges(wanted.edges))
        if wanted.definitions:
            asked.append((self._sql.definition_rows, (array(wanted.definitions),)))
        asked.append((self._sql.enter, (array(wanted.intents), array(wanted.commits))))
        whole = self._connection.together(asked)
        for prefix, found in zip(prefixes, whole[first - len(prefixes) : first], strict=True):
            self._take_defined(prefix, found)
        answers = whole[first:]
        if wanted.ends:
            self._take_intents(answers.pop(0), wanted.ends)
        if wanted.edges:
            self._take_edges(answers.pop(0), wanted.edges)
        if wanted.definitions:
            self._take_definitions(answers.pop(0), wanted.definitions)
        self._take_entered(answers[0], wanted.intents)

    def _take_entered(self, rows: Iterable[Cells], ids: Iterable[IntentId]) -> None:
        found = []
        for kind, name, transaction, watched, number, hash, body in rows:
            if kind == b"intent":
                found.append((name, number, hash, body))
            elif kind == b"commit":
                self.known[text(name)] = decode_commit(text(body))
            else:
                self.cluster, self.transaction = text(name), int(text(transaction))
                self.base, self.watched = int(text(number)), watched == b"true"
        self._take_intents(found, ids)

    def _take_intents(self, rows: Iterable[Cells], ids: Iterable[IntentId]) -> None:
        self._rows.update((id, _ABSENT) for id in ids)
        for id, head, hash, body in rows:
            thing = None if body is None else decode_intent(body)
            self._rows[text(id)] = self._row(Row(thing, Head(int(text(head)), text(hash)), there=True))

    def _about_edges(self, keys: Collection[EdgeKey]) -> Statement:
        given = [tuple(map(str.__str__, key)) for key in keys]
        return self._sql.edge_rows, [array(each) for each in zip(*given, strict=True)]

    def _take_edges(self, rows: Iterable[Cells], keys: Iterable[EdgeKey]) -> None:
        self._rows.update((key, _ABSENT) for key in keys)
        for source, type, target, head, hash, body in rows:
            thing = None if body is None else decode_edge(body)
            key = (text(source), EdgeType(text(type)), text(target))
            self._rows[key] = self._row(Row(thing, Head(int(text(head)), text(hash)), there=True))

    def _take_definitions(self, rows: Iterable[Cells], names: Iterable[str]) -> None:
        self._rows.update(((name,), _ABSENT) for name in names)
        for name, head, hash, _ in rows:
            self._rows[text(name),] = self._row(Row(None, Head(int(text(head)), text(hash)), there=True))

    def _row(self, row: Row) -> Row:
        if self._entered and row.head.revision >= self.revision:
            raise Outrun(f"revision {row.head.revision} was written before {self.revision}")
        return row

    def row(self, subject: Subject) -> Row:
        """Returns what the tables hold of the subject; an intent not foreseen is read now and held to the end."""
        found = self._rows.get(subject)
        if found is None:
            assert isinstance(subject, str)  # others are foreseen, or were found by `neighbours`
            self._hold((subject,))
            found = self._rows[subject]
        return found

    def _hold(self, ids: Collection[IntentId]) -> None:
        """Reads intents that nobody may change until this transaction ends."""
        self._take_intents(self._connection.one(self._sql.intent_rows_shared, array(ids)), ids)

    def _hold_structure(self) -> None:
        """Keeps edges as they are until this transaction ends; one that changes edges itself holds them already."""
        if not self._structural:
            self._connection.one(self._sql.share_structure)
            self._structural = True

    def check_entered(self) -> None:
        """Raises `Outrun` if a transaction with a later id wrote what was read; so does reading from now on."""
        self._entered = True
        for row in (*self._rows.values(), Row(None, Head(self._latest, ""))):
            self._row(row)

    # --- what a ledger asks ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        missing = [id for id in ids if id not in self._rows]
        if len(missing) > 1:
            self._hold(missing)
        return [self.row(id).thing for id in ids]

    def linked(self, keys: Sequence[EdgeKey]) -> list[Edge | None]:
        return [self.row(key).thing for key in keys]

    def heads(self, subjects: Sequence[Subject]) -> list[Head]:
        return [self.row(subject).head for subject in subjects]

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        self._hold_structure()
        asked = Asked(self._sql.graph_key)
        question = neighbours(ids, walk, asked, columns="e.body, e.head, e.hash")
        edges = []
        for _, _, _, body, head, hash in self._connection.question(question, asked.given):
            edge = decode_edge(text(body))
            edges.append(edge)
            self._rows.setdefault(edge.key, self._row(Row(edge, Head(int(text(head)), text(hash)), there=True)))
        return edges

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        if prefix not in self._defined:
            self._take_defined(prefix, self._connection.together(self._about_definitions([prefix]))[-1])
        return dict(self._defined[prefix])

    def _about_definitions(self, prefixes: Collection[str]) -> list[Statement]:
        held: list[Statement] = [] if self._defining else [(self._sql.share_definitions, ())]
        self._defining = True
        return [*held, *((self._sql.definitions, (prefix,)) for prefix in prefixes)]

    def _take_defined(self, prefix: str, rows: Iterable[Cells]) -> None:
        found: dict[str, Map] = {}
        for body, head in rows:
            self._latest = max(self._latest, self._row(Row(None, Head(int(text(head)), ""))).head.revision)
            if body is not None:
                found.update([definition(text(body))])
        self._defined[prefix] = found


def definition(body: str) -> tuple[str, Map]:
    """Returns the name and the value of a definition that is there."""
    change = decode_change(body)
    assert type(change) is Define
    assert change.value is not None
    return change.name, change.value
