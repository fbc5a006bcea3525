"""Stores of objects by key: ZODB, diskcache, and one JSON file written anew at every change."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..setting import Setting
from . import Record, gathered, module, oldest, urgent


class _Zodb:
    """Persistent trees by id and by (status, time); the rest is sorted by its user."""

    def __init__(self, root: Any) -> None:
        tree = module("BTrees.OOBTree").OOBTree
        self._commit = module("transaction").commit
        self._all, self._status, self._below = tree(), tree(), tree()
        root.all, root.status, root.below = self._all, self._status, self._below
        self._persistent = module("persistent.mapping").PersistentMapping

    def fill(self, records: Sequence[Record]) -> None:
        for record in records:
            self._hold(record)
        self._commit()

    def put(self, record: Record) -> None:
        self._hold(record)
        self._commit()

    def _hold(self, record: Record) -> None:
        held = self._persistent(record)
        self._all[record["id"]] = held
        self._status[record["status"], record["created_at"], record["id"]] = held
        if record["parent"]:
            self._below[record["parent"], record["id"]] = held

    def get(self, id: str) -> object:
        return dict(self._all[id])

    def by_status(self, status: str) -> list[object]:
        found = self._status.values((status,), (status, "~"))
        return [dict(held) for _, held in zip(range(100), found, strict=False)]

    def urgent(self, status: str) -> list[Record]:
        return sorted(map(dict, self._status.values((status,), (status, "~"))), key=urgent)[:100]

    def below(self, id: str) -> list[Record]:
        found, level = list[Record](), [id]
        while level:
            fresh = [dict(held) for above in level for held in self._below.values((above,), (above, "~"))]
            found += fresh
            level = [child["id"] for child in fresh]
        return found


@contextmanager
def zodb(setting: Setting) -> Iterator[_Zodb]:
    """Opens a FileStorage as shipped: a sync at every commit."""
    database = module("ZODB").DB(str(setting.fresh("zodb.fs")))
    connection = database.open()
    try:
        yield _Zodb(connection.root)
    finally:
        module("transaction").abort()
        connection.close()
        database.close()


class _Scanned:
    """What has keys only: a question goes over everything."""

    def _values(self) -> Iterable[Record]:
        raise NotImplementedError

    def by_status(self, status: str) -> list[Record]:
        return sorted((each for each in self._values() if each["status"] == status), key=oldest)[:100]

    def urgent(self, status: str) -> list[Record]:
        return sorted((each for each in self._values() if each["status"] == status), key=urgent)[:100]

    def below(self, id: str) -> list[Record]:
        return gathered(self._values(), id)


class _Cache(_Scanned):
    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def fill(self, records: Sequence[Record]) -> None:
        with self._cache.transact():
            for record in records:
                self._cache[record["id"]] = record

    def put(self, record: Record) -> None:
        self._cache[record["id"]] = record

    def get(self, id: str) -> object:
        return self._cache[id]

    def _values(self) -> Iterable[Record]:
        return [self._cache[id] for id in self._cache]


@contextmanager
def diskcache(setting: Setting) -> Iterator[_Cache]:
    """Opens a cache that syncs every write and drops nothing."""
    cache = module("diskcache").Cache(str(setting.fresh("cache")), sqlite_synchronous=2, eviction_policy="none")
    try:
        yield _Cache(cache)
    finally:
        cache.close()


class _Whole(_Scanned):
    """All records in one document: held in memory, and written whole at every change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, Record] = {}

    def fill(self, records: Sequence[Record]) -> None:
        self._held.update((record["id"], record) for record in records)

    def put(self, record: Record) -> None:
        self._held[record["id"]] = record
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(self._held, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def get(self, id: str) -> object:
        return self._held[id]

    def _values(self) -> Iterable[Record]:
        return self._held.values()


@contextmanager
def whole_file(setting: Setting) -> Iterator[_Whole]:
    """Opens the document."""
    yield _Whole(setting.fresh("whole.json"))
