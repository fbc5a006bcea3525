"""The floors: the least work that does the same and keeps the same promise, written as fast as we know how.

A file that is appended to and synced; an SQLite table with two indexes; a plain struct decoded by msgspec. No
history, no validation, no chain of digests: that is what the ratio shows the price of.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec
import psycopg

from intentstore import Intent
from intentstore.codec import encode_intent

Sample = Intent
Postgres = psycopg.Connection[tuple[Any, ...]]

_SCHEMA = """
CREATE TABLE intents (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, status TEXT NOT NULL, created_at INTEGER NOT NULL, body BLOB
);
CREATE INDEX by_status ON intents (status, created_at, id);
"""
INSERT = "INSERT INTO intents (id, status, created_at, body) VALUES (?, ?, ?, ?)"
GET = "SELECT body FROM intents WHERE id = ?"
LIST = "SELECT body FROM intents WHERE status = ? ORDER BY created_at, id LIMIT 100"


class Plain(msgspec.Struct):
    """An intent as msgspec decodes it by itself: builtins, no check but the types."""

    id: str
    goal: str
    created_at: datetime
    updated_at: datetime
    status: str = "active"
    name: str | None = None
    priority: int = 0
    original_request: str | None = None
    constraints: dict[str, Any] = {}
    preferences: dict[str, Any] = {}
    session_id: str | None = None
    generation_context: dict[str, Any] = {}
    labels: list[str] = []
    metadata: dict[str, Any] = {}
    revision: int = 0


decode = msgspec.json.Decoder(Plain).decode


def open_database(path: Path) -> apsw.Connection:
    """Opens the SQLite floor: WAL, every commit synced, the same room before a checkpoint as ours has."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.wal_autocheckpoint(2000)
    if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
        connection.execute(_SCHEMA)
    return connection


def row(intent: Intent) -> tuple[str, str, int, bytes]:
    """Returns what the floor's table holds of an intent."""
    created = int(intent.created_at.timestamp() * 1_000_000)
    return intent.id, intent.status.value, created, encode_intent(intent)


def insert_all(connection: apsw.Connection, samples: Sequence[Intent]) -> None:
    """Inserts all in one transaction, encoding each."""
    with connection:
        connection.executemany(INSERT, map(row, samples))


# --- PostgreSQL ---

_POSTGRES = """
CREATE TABLE IF NOT EXISTS floor (id text PRIMARY KEY, status text, created_at bigint, body text);
CREATE INDEX IF NOT EXISTS floor_by_status ON floor (status, created_at, id);
"""
POSTGRES_INSERT = "INSERT INTO floor (id, status, created_at, body) VALUES (%s, %s, %s, %s)"
POSTGRES_GET = "SELECT body FROM floor WHERE id = %s"
POSTGRES_LIST = "SELECT body FROM floor WHERE status = %s ORDER BY created_at, id LIMIT 100"


def open_postgres(url: str, *, autocommit: bool = True) -> Postgres:
    """Opens the PostgreSQL floor: psycopg, every statement prepared when it comes again."""
    connection = psycopg.connect(url, autocommit=autocommit, prepare_threshold=1)
    connection.execute(_POSTGRES)
    if not autocommit:
        connection.commit()
    return connection


def postgres_row(intent: Intent) -> tuple[str, str, int, str]:
    """Returns what the floor's table holds of an intent."""
    id, status, created, body = row(intent)
    return id, status, created, body.decode()


def copy_all(connection: Postgres, samples: Sequence[Intent]) -> None:
    """Copies all in one transaction, encoding each."""
    with connection.transaction(), connection.cursor().copy("COPY floor FROM STDIN") as copy:
        for intent in samples:
            copy.write_row(postgres_row(intent))


# --- a file ---


def open_append(path: Path) -> int:
    """Opens the file floor."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def append(fd: int, line: bytes) -> None:
    """Appends one record and syncs it."""
    os.write(fd, line)
    os.fdatasync(fd)


def write_all(path: Path, samples: Sequence[Intent]) -> None:
    """Writes all as JSON lines and syncs once, encoding each."""
    with path.open("wb", buffering=1 << 20) as file:
        for intent in samples:
            file.write(encode_intent(intent))
            file.write(b"\n")
        file.flush()
        os.fdatasync(file.fileno())


class GroupCommit:
    """Appends by many threads, one sync for all that have written: who finds nobody syncing syncs for the others."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._turn, self._count = threading.Condition(), threading.Lock()
        self._written = self._synced = 0
        self._syncing = False

    def append(self, line: bytes) -> None:
        """Returns when the line is durable."""
        with self._count:
            os.write(self._fd, line)
            self._written += 1
            mine = self._written
        with self._turn:
            while self._synced < mine and self._syncing:
                self._turn.wait()
            if self._synced >= mine:
                return
            self._syncing = True
        upto = self._written
        os.fdatasync(self._fd)
        with self._turn:
            self._synced, self._syncing = upto, False
            self._turn.notify_all()
