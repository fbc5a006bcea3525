"""What is wrong with one graph: the log from its first commit, and the tables against the log.

All is read in one snapshot, so that writers neither wait nor confuse it, and by cursors, so that memory holds a digest
for each subject and no more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec
import psycopg

from ...codec import decode_commit, decode_edge, decode_intent, encode_change, encode_edge, encode_intent
from ...ground.change import NO_HEAD, Define, Head, Link, Note, Put, Subject
from ...ground.errors import Corrupt
from ...ground.protocol import Problem
from ...ground.types import EdgeType
from ..ledger import ChainCheck
from .connections import Connection
from .rows import array, empty_row, intent_row
from .state import definition
from .statements import Statements

_TOGETHER = 500


def problems(connection: Connection, sql: Statements) -> Iterator[Problem]:
    """Yields everything that is wrong; what cannot be read is a problem too."""
    connection.tell("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield from _Check(connection, sql).all()
    except Corrupt as error:
        yield Problem(str(error.where), str(error.what))
    finally:
        with contextlib.suppress(psycopg.Error):
            connection.tell("ROLLBACK")


def _name(subject: Subject) -> str:
    if isinstance(subject, str):
        return f"intent {subject}"
    return f"definition {subject[0]}" if len(subject) == 1 else f"edge {' '.join(subject)}"


def _digest(body: bytes) -> bytes:
    return sha256(body).digest()


class _Check:
    def __init__(self, connection: Connection, sql: Statements) -> None:
        self._connection, self._sql = connection, sql
        self._chains = ChainCheck()
        self._standing: dict[Subject, bytes] = {}

    def _each(self, text: str) -> Iterator[tuple[Any, ...]]:
        with psycopg.RawServerCursor(self._connection, "checked") as cursor:
            cursor.itersize = _TOGETHER
            cursor.execute(text)
            yield from cursor

    def all(self) -> Iterator[Problem]:
        yield from self._log()
        yield from self._intents()
        yield from self._edges()
        yield from self._definitions()
        for subject in self._standing:
            yield Problem(_name(subject), "is in the log but not in the tables")

    def _log(self) -> Iterator[Problem]:
        for revision, id, body in self._each(self._sql.all_commits):
            commit = decode_commit(body)
            if (commit.revision, commit.id) != (revision, id):
                yield Problem(f"commit {revision}", f"is kept as {id!r}, but says {commit.revision} {commit.id!r}")
            yield from self._chains.follow(commit)
            for change in commit.changes:
                if type(change) is Put:
                    self._standing[change.intent.id] = _digest(encode_intent(change.intent))
                elif type(change) is Link:
                    self._standing[change.edge.key] = _digest(encode_edge(change.edge))
                elif type(change) is Define and change.value is not None:
                    self._standing[change.subject] = _digest(_definition(change))
                elif type(change) is not Note:
                    self._standing.pop(change.subject, None)

    def _compare(self, subject: Subject, body: str | None, head: Head) -> Iterator[Problem]:
        if self._chains.ends.get(subject, NO_HEAD) != head:
            yield Problem(_name(subject), "its chain ends elsewhere than the log says")
        if body is None:
            return
        expected = self._standing.pop(subject, None)
        if expected is None:
            yield Problem(_name(subject), "is in the tables but not in the log")
        elif expected != _digest(body.encode()):
            yield Problem(_name(subject), "differs from what the log says")

    def _intents(self) -> Iterator[Problem]:
        for row in self._each(self._sql.all_intents):
            id, head, body = row[0], Head(*row[5:7]), row[-1]
            yield from self._compare(id, body, head)
            expected = empty_row(id, head) if body is None else intent_row(decode_intent(body), head, body)
            if _plain(row) != _plain(expected):
                yield Problem(_name(id), "its columns differ from its body")

    def _edges(self) -> Iterator[Problem]:
        for source, type, target, head, hash, body, *there in self._each(self._sql.all_edges):
            key = (source, EdgeType(type), target)
            yield from self._compare(key, body, Head(head, hash))
            if body is None:
                continue
            if decode_edge(body).key != key:
                yield Problem(_name(key), "its columns differ from its body")
            for end, is_there in zip((source, target), there, strict=True):
                if not is_there:
                    yield Problem(_name(key), f"has no intent {end}")

    def _definitions(self) -> Iterator[Problem]:
        for name, head, hash, body in self._each(self._sql.all_definitions):
            yield from self._compare((name,), body, Head(head, hash))
            if body is not None and definition(body)[0] != name:
                yield Problem(_name((name,)), "its columns differ from its body")


def _definition(change: Define) -> bytes:
    return encode_change(Define(name=change.name, value=change.value))


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the columns such that equal ones compare equal, read or to be written."""
    *columns, again, tokens, body = row
    return (
        *columns,
        None if again is None else msgspec.json.decode(again),
        array(tokens) if isinstance(tokens, list) else tokens,
        body,
    )
