"""The schema ``intentstore``: found, made, brought to this version; by one of many that start at once.

Knows versions and the files beside it. All of a change is one transaction under one lock, so that it is there whole or
not at all, and the others find it made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg

from ...ground.errors import Corrupt, StorageError, TooNew, Unavailable
from .connections import Connection
from .statements import number, texts

VERSION = 2
_LOCK = number("schema", "")
_HERE = Path(__file__).parent


def ensure(connection: Connection, shown: str, *, create: bool) -> None:
    """Makes sure that the schema is there in this version. ``create``: it may be made or brought forward.

    Raises `TooNew`, untouched, where a newer intentstore made it, `Corrupt` where it is not whole, `Unavailable` where
    it is missing and may not be made.
    """
    found = version(connection, shown)
    if found == VERSION:
        return
    if not create:
        what = "has no schema intentstore" if found == 0 else f"has the schema in version {found}, older than {VERSION}"
        raise Unavailable(f"{shown} {what}", hint="open it for writing once, with a role that may make it")
    connection.together([("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", ()), *connection.begin])
    try:
        connection.tell(f"SELECT pg_advisory_xact_lock({_LOCK})")
        for text in steps(version(connection, shown), schema_there(connection)):
            connection.tell(text)
        connection.tell("COMMIT")
    except (psycopg.Error, StorageError):
        with contextlib.suppress(psycopg.Error):
            connection.tell("ROLLBACK")
        raise


def schema_there(connection: Connection) -> bool:
    """True when a schema of the name is there, be it empty: its owner may have made it for us."""
    return bool(connection.rows(texts()["version"])[0][0])


def version(connection: Connection, shown: str) -> int:
    """Returns the version that is there; 0 where none is."""
    _, about, tables = connection.rows(texts()["version"])[0]
    if not about:
        if tables:
            raise Corrupt(shown, "the schema intentstore holds tables but no version", hint="restore it, or drop it")
        return 0
    found = connection.rows(texts()["version_known"])[0][0]
    if found is None:
        raise Corrupt(shown, "the schema intentstore does not say its version", hint="restore it, or drop it")
    if found > VERSION:
        raise TooNew(f"{shown}: the schema is version {found}, this intentstore knows {VERSION}", hint="upgrade it")
    return int(found)


def steps(found: int, there: bool) -> Iterator[str]:  # noqa: FBT001  two facts about what is there
    """Yields the texts that lead from the version found to this one."""
    if found == 0:
        if not there:
            yield "CREATE SCHEMA intentstore"
        yield (_HERE / "schema.sql").read_text(encoding="utf-8")
    else:
        for number in range(found + 1, VERSION + 1):
            yield (_HERE / "migrations" / f"{number:03}.sql").read_text(encoding="utf-8")
