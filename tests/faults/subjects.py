"""The storages that faults are tried on, each made in a directory of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from intentstore.ground.protocol import IntentStorage
from intentstore.storage.file import FileStorage
from intentstore.storage.sqlite import SqliteStorage
from intentstore.testing.faults import Subject


def a_file(place: Path, **options: Any) -> IntentStorage:
    return FileStorage(place / "store", **options)


def an_sqlite(place: Path, **options: Any) -> IntentStorage:
    return SqliteStorage(place / "goals.db", **options)


SUBJECTS = {"file": Subject("file", a_file, takes_disk=True), "sqlite": Subject("sqlite", an_sqlite)}
URLS = {"file": "file:{}/store", "sqlite": "sqlite:{}/goals.db"}
