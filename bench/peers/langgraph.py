"""LangGraph's long-term stores: a namespace, a key, a JSON value; filters look into the JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..setting import Setting
from . import Record, gathered, module, oldest, urgent

_SPACE = ("intents",)


class _Store:
    def __init__(self, store: Any) -> None:
        self._store = store
        self._put: Any = module("langgraph.store.base").PutOp

    def fill(self, records: Sequence[Record]) -> None:
        for start in range(0, len(records), 500):
            self._store.batch([self._put(_SPACE, each["id"], each) for each in records[start : start + 500]])

    def put(self, record: Record) -> None:
        self._store.put(_SPACE, record["id"], record)

    def get(self, id: str) -> object:
        return self._store.get(_SPACE, id)

    def by_status(self, status: str) -> list[Record]:
        return sorted(self._all({"status": status}), key=oldest)[:100]

    def urgent(self, status: str) -> list[Record]:
        return sorted(self._all({"status": status}), key=urgent)[:100]

    def below(self, id: str) -> list[Record]:
        return gathered(self._all({}), id)

    def _all(self, wanted: dict[str, str]) -> list[Record]:
        """It sorts by the time of writing only; for any other order its user takes all."""
        return [item.value for item in self._store.search(_SPACE, filter=wanted or None, limit=1_000_000)]


@contextmanager
def sqlite(setting: Setting) -> Iterator[_Store]:
    """Opens its SQLite store as shipped."""
    with module("langgraph.store.sqlite").SqliteStore.from_conn_string(str(setting.fresh("langgraph.db"))) as store:
        store.setup()
        yield _Store(store)


@contextmanager
def postgres(setting: Setting) -> Iterator[_Store]:
    """Opens its PostgreSQL store as shipped, on a server that syncs."""
    kind = module("langgraph.store.postgres").PostgresStore
    with kind.from_conn_string(setting.database()) as store:
        store.setup()
        yield _Store(store)
