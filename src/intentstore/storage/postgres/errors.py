"""Which error of the driver means what here: the one border where PostgreSQL's errors become ours.

Knows SQLSTATEs; has never seen a connection or a statement. What it says of a place is its user, hosts and database.
"""

from __future__ import annotations

from typing import Any

import psycopg
import psycopg_pool
from psycopg import errors as said

from ...ground.errors import Busy, Corrupt, Full, IntentStoreError, ReadOnly, StorageError, Unavailable


class Late(psycopg.OperationalError):
    """The deadline passed while the server was to answer; the connection was given up."""


class Outrun(psycopg.OperationalError):
    """Something that this transaction reads was written by one with a later id; it must be tried anew."""


AGAIN = (said.SerializationFailure, said.DeadlockDetected, said.UniqueViolation, Outrun)
"""What a transaction that is begun anew may be spared."""

_LATER = ("57P03", "53300", "53400", "08001", "08004", "08006")
_NEVER = ("28", "3D", "42", "0A", "22")


def is_lost(error: psycopg.Error, connection: psycopg.Connection[object]) -> bool:
    """True when the connection is of no more use; what the server did last is then unknown."""
    return connection.closed or connection.broken or isinstance(error, Late | said.AdminShutdown | said.CrashShutdown)


def is_hopeless(error: psycopg.Error) -> bool:
    """True when connecting again would be refused again: a password, a database, a right that is not there."""
    state = state_of(error)
    return state.startswith(_NEVER) and state not in _LATER


def state_of(error: psycopg.Error) -> str:
    """Returns the SQLSTATE, also of a refused connection, whose error carries it only in its text."""
    if error.sqlstate:
        return error.sqlstate
    text = str(error)
    for state, words in _WORDS.items():
        if any(word in text for word in words):
            return state
    return ""


_WORDS = {
    "53300": ("too many clients", "too many connections", "remaining connection slots"),
    "57P03": ("the database system is", "is starting up", "shutting down", "not accepting connections"),
    "28P01": ("password authentication failed", "no password supplied", "authentication failed", "no pg_hba.conf"),
    "28000": ('role "', "is not permitted to log in"),
    "3D000": ('database "',),
}


def storage_error(
    error: psycopg.Error | psycopg_pool.PoolTimeout, shown: str, doing: str, *, unknown: bool = False
) -> IntentStoreError:
    """Returns what a driver's error means here. ``unknown``: a commit was on its way when it came."""
    what = f"{shown}: {doing} failed: {_plain(error)}"
    facts: dict[str, Any] = {"place": shown, **({"outcome": "unknown"} if unknown else {})}
    if unknown:
        hint = "it may have happened: repeat it with the same commit id, or ask commit(id)"
        return Unavailable(what, hint=hint, **facts)
    state = "40" if isinstance(error, Outrun) else state_of(error)
    if state[:2] in _NO_OUTAGE:
        facts["outage"] = False
    kind, hint = _MEANINGS.get(state) or _MEANINGS.get(state[:2]) or (StorageError, "see the server's log")
    if kind is Corrupt:
        return Corrupt(shown, f"{doing} failed: {_plain(error)}", hint=hint)
    if not state and isinstance(error, psycopg.OperationalError | psycopg_pool.PoolTimeout):
        kind, hint = Unavailable, "see that the server runs and can be reached from here"
    return kind(what, hint=hint, **facts)


def _plain(error: Exception) -> str:
    """Returns the first line of what was said, without the driver's words around it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = lines[0]
    for sign in ("FATAL:  ", "ERROR:  "):
        if sign in text:
            text = text.rpartition(sign)[2]
    return text.removeprefix("connection failed: ").removeprefix("connection is bad: ")


_NO_OUTAGE = frozenset({"28", "3D", "3F"})
"""Waiting does not cure a wrong password or a missing database: no fallback hides it."""
_MEANINGS: dict[str, tuple[type[StorageError], str]] = {
    "28": (Unavailable, "see user and password, and the server's pg_hba.conf"),
    "3D": (Unavailable, "create the database first: createdb NAME"),
    "3F": (Unavailable, "open the graph once for writing, which makes the schema"),
    "42P01": (Corrupt, "the schema intentstore is not whole: restore it, or drop it and open anew"),
    "42703": (Corrupt, "the schema intentstore is not whole: restore it, or drop it and open anew"),
    "42501": (ReadOnly, "grant the role its rights on schema intentstore (docs/postgres.md), or open read_only=True"),
    "25006": (ReadOnly, "connect to the primary (target_session_attrs=read-write), or open with read_only=True"),
    "53100": (Full, "free some space on the server; nothing of this was kept"),
    "53300": (Busy, "the server takes no more connections: raise max_connections, or use a pooler"),
    "53": (Busy, "the server is short of something: try again later"),
    "55": (Busy, "another transaction held what this one needs: try again, or see pg_locks"),
    "57014": (Busy, "it took longer than the deadline: try again, or raise timeout_s"),
    "57": (Unavailable, "the server stops or starts: try again"),
    "40": (Busy, "others write the same: try again"),
    "23": (Busy, "others write the same: try again"),
    "08": (Unavailable, "see that the server runs and can be reached from here"),
    "58": (Unavailable, "the server's disk fails: see its log"),
    "XX": (Corrupt, "the server found damage: see its log, and restore a backup"),
    "25": (StorageError, "the server did not want this transaction: see its settings"),
}
