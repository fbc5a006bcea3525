"""Whether an SQLite store holds what its log says: SQLite's own check, the log from its first commit, the tables.

Reads through one connection inside one transaction of the caller's; keeps a digest a subject, not its body.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import apsw

from ..codec import decode_commit, decode_edge, decode_intent, encode_change, encode_edge, encode_intent
from ..ground.change import MAX_REVISION, NO_HEAD, Define, Head, Link, Note, Put, Subject
from ..ground.errors import Corrupt
from ..ground.protocol import Problem
from ..ground.types import EdgeType
from ..ground.values import Map
from .ledger import ChainCheck
from .sqlite_ready import miscounted
from .sqlite_rows import Statements, columns_of, rows


def subject_of(source: str, type: str, target: str) -> Subject:
    """Returns the intent or the edge that these columns name: an intent has a type of ""."""
    return (source, EdgeType(type), target) if type else source


def problems(connection: apsw.Connection, sql: Statements) -> Iterator[Problem]:
    """Yields everything that is wrong with one graph; what cannot be read is a problem too."""
    try:
        for (said,) in connection.execute("PRAGMA integrity_check"):
            if said != "ok":
                yield Problem("sqlite", said)
        check = ChainCheck()
        standing: dict[Subject, bytes] = {}
        defined: dict[str, Map | None] = {}
        yield from _log_problems(connection, sql, check, standing, defined)
        yield from _intent_problems(connection, sql, check, standing)
        yield from _edge_problems(connection, sql, check, standing)
        for subject in standing:
            yield Problem(_name(subject), "is in the log but not in the tables")
        for id in miscounted(connection, sql):
            yield Problem(f"intent {id}", "what it waits for, or its open subgoals, are miscounted")
        yield from _grave_problems(connection, sql, check)
        yield from _definition_problems(connection, sql, check, defined)
    except (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError) as error:
        yield Problem("sqlite", str(error))
    except (TypeError, AttributeError) as error:  # a column that is never NULL reads so
        yield Problem("sqlite", f"a row cannot be read: {error}")
    except Corrupt as error:
        yield Problem(str(error.where), str(error.what))


def _name(subject: Subject) -> str:
    if isinstance(subject, str):
        return f"intent {subject}"
    return f"definition {subject[0]}" if len(subject) == 1 else f"edge {' '.join(subject)}"


def _digest(body: bytes) -> bytes:
    return sha256(body).digest()  # a digest for each subject, not its body: 32 bytes instead of a kilobyte


def _log_problems(
    connection: apsw.Connection,
    sql: Statements,
    check: ChainCheck,
    standing: dict[Subject, bytes],
    defined: dict[str, Map | None],
) -> Iterator[Problem]:
    since, until = 0, MAX_REVISION
    while some := rows(connection, sql.commits_after, (since, until)):
        for revision, id, body in some:
            commit = decode_commit(body)
            if (commit.revision, commit.id) != (revision, id):
                yield Problem(f"commit {revision}", f"is kept as {id!r}, but says {commit.revision} {commit.id!r}")
            yield from check.follow(commit)
            for change in commit.changes:
                if type(change) is Put:
                    standing[change.intent.id] = _digest(encode_intent(change.intent))
                elif type(change) is Link:
                    standing[change.edge.key] = _digest(encode_edge(change.edge))
                elif type(change) is Define:
                    defined[change.name] = change.value
                elif type(change) is not Note:
                    standing.pop(change.subject, None)
        if some[-1][0] <= since:
            raise Corrupt("sqlite", f"the log goes back from revision {since} to {some[-1][0]}")
        since = some[-1][0]


def _compare(
    subject: Subject, body: str, head: Head, check: ChainCheck, standing: dict[Subject, bytes]
) -> Iterator[Problem]:
    expected = standing.pop(subject, None)
    if expected is None:
        yield Problem(_name(subject), "is in the tables but not in the log")
    elif expected != _digest(body.encode()):
        yield Problem(_name(subject), "differs from what the log says")
    if check.ends.get(subject, NO_HEAD) != head:
        yield Problem(_name(subject), "its chain ends elsewhere than the log says")


def _intent_problems(
    connection: apsw.Connection, sql: Statements, check: ChainCheck, standing: dict[Subject, bytes]
) -> Iterator[Problem]:
    labels, number = 0, 0
    for row in connection.execute(sql.all_intents):
        columns, key = row[:-1], row[-1]
        id, head, body = columns[0], Head(*columns[5:7]), columns[-1]
        number += 1
        yield from _compare(id, body, head, check, standing)
        intent = decode_intent(body)
        if columns_of(intent, head, body) != columns:
            yield Problem(_name(id), "its columns differ from its body")
        labels += len(intent.labels)
        if intent.labels and {label for (label,) in connection.execute(sql.labels_of, (key,))} != set(intent.labels):
            yield Problem(_name(id), "its labels differ from its body")
    if len(connection.execute(sql.all_labels).fetchall()) != labels:
        yield Problem("labels", "there are some that belong to no intent")
    indexed = connection.execute(sql.words_count).get
    if indexed != number:
        yield Problem("words", f"{indexed} intents are in the word index, {number} in the table")


def _edge_problems(
    connection: apsw.Connection, sql: Statements, check: ChainCheck, standing: dict[Subject, bytes]
) -> Iterator[Problem]:
    for source, type, target, head, hash, body, *there in connection.execute(sql.all_edges):
        key = (source, EdgeType(type), target)
        yield from _compare(key, body, Head(head, hash), check, standing)
        if decode_edge(body).key != key:
            yield Problem(_name(key), "its columns differ from its body")
        for end, is_there in zip((source, target), there, strict=True):
            if not is_there:
                yield Problem(_name(key), f"has no intent {end}")


def _grave_problems(connection: apsw.Connection, sql: Statements, check: ChainCheck) -> Iterator[Problem]:
    for source, type, target, head, hash in connection.execute(sql.all_graves):
        subject = subject_of(source, type, target)
        if check.ends.get(subject, NO_HEAD) != Head(head, hash):
            yield Problem(_name(subject), "its chain ends elsewhere than the log says")


def _definition_problems(
    connection: apsw.Connection, sql: Statements, check: ChainCheck, defined: dict[str, Map | None]
) -> Iterator[Problem]:
    for name, head, hash, body in connection.execute(sql.all_definitions):
        expected = defined.pop(name, None)
        if body != (None if expected is None else encode_change(Define(name=name, value=expected)).decode()):
            yield Problem(_name((name,)), "differs from what the log says")
        if check.ends.get((name,), NO_HEAD) != Head(head, hash):
            yield Problem(_name((name,)), "its chain ends elsewhere than the log says")
    for name in defined:
        yield Problem(_name((name,)), "is in the log but not in the tables")
