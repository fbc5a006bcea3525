"""Every storage against the public suite, five lines each; and what only a fault can show."""

from __future__ import annotations

from pathlib import Path

from docs.examples.dict_storage import DictStorage
from intentstore.ground.protocol import IntentStorage
from intentstore.storage.file import FileStorage
from intentstore.storage.memory import MemoryStorage
from intentstore.testing import StorageSuite


DICTS: dict[Path, dict[str, bytes]] = {}


class TestMemory(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return MemoryStorage(str(tmp_path), graph)


class TestFile(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return FileStorage(tmp_path / "store", graph)


class TestTheExample(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return DictStorage(DICTS.setdefault(tmp_path, {}), graph)
