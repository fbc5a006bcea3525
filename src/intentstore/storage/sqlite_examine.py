"""What an SQLite store stands on: the library's version, the settings in force, the log beside the file."""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from ..ground.protocol import Diagnosis

_SOUND = (3, 51, 3)
"""Before this, restarting the write-ahead log could lose what was just written to it."""
_LONG_LOG = 64 << 20


def examine_settings(connection: apsw.Connection, *, synchronous: str, log_bytes: int) -> Iterator[Diagnosis]:
    """Yields what an open connection tells, and how long the write-ahead log is."""
    version = apsw.sqlite_lib_version()
    numbers = tuple(int(part) for part in version.split("."))
    yield Diagnosis(
        "sqlite",
        numbers >= _SOUND,
        version,
        "has no known fault that loses a write" if numbers >= _SOUND else "may lose writes: upgrade apsw",
    )
    mode = str(connection.pragma("journal_mode"))
    yield Diagnosis(
        "journal_mode",
        mode == "wal",
        mode,
        "readers and the writer do not wait for each other" if mode == "wal" else "odd",
    )
    yield Diagnosis(
        "synchronous",
        synchronous == "full",
        synchronous,
        "each commit waits for the disk; read back when it was set"
        if synchronous == "full"
        else "the last commits may be lost when the power goes: open it with durability='full'",
    )
    yield Diagnosis(
        "write-ahead log",
        log_bytes < _LONG_LOG,
        f"{log_bytes >> 10} KiB",
        "is moved into the file as commits come"
        if log_bytes < _LONG_LOG
        else "grows: some reader has been open for long",
    )
