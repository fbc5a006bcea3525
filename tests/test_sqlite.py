"""SQLite against the public suite, and what is SQLite's alone: its file, its refusals, its faults."""

from __future__ import annotations

from pathlib import Path

from intentstore.storage.sqlite import SqliteStorage
from intentstore.testing import StorageSuite


class TestSqlite(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> SqliteStorage:
        return SqliteStorage(tmp_path / "goals.db", graph, timeout_s=10)
