"""Every storage against the public suite, five lines each; and what only a fault can show."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from docs.examples.dict_storage import DictStorage
from intentstore.ground.change import Put
from intentstore.ground.errors import Corrupt, Full, IntentStoreError, ReadOnly, StorageError, TooNew, Unavailable
from intentstore.ground.protocol import IntentStorage
from intentstore.storage.fallback import FallbackStorage
from intentstore.storage.file import FileStorage
from intentstore.storage.memory import MemoryStorage
from intentstore.storage.postgres import PostgresStorage
from intentstore.storage.spool import Spool
from intentstore.storage.sqlite import SqliteStorage
from intentstore.testing import FailingDisk, LossyDisk, PowerCut, StorageSuite, a_batch, an_intent, break_driver, put
from tests.postgres_server import Places

POSTGRES = Places()
DICTS: dict[Path, dict[str, bytes]] = {}


class TestMemory(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return MemoryStorage(str(tmp_path), graph)


class TestFile(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return FileStorage(tmp_path / "store", graph)


class TestRtfsFile(StorageSuite):
    """The same journal, its records written as RTFS."""

    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return FileStorage(tmp_path / "store", graph, encoding="rtfs")


class TestSqlite(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return SqliteStorage(tmp_path / "goals.db", graph)


class TestPostgres(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return PostgresStorage(POSTGRES.url(tmp_path), graph)


class TestFallback(StorageSuite):
    """With its primary there, a storage with a fallback is what its primary is."""

    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        spool = Spool(MemoryStorage(), store="here", where="memory")
        return FallbackStorage(FileStorage(tmp_path / "store", graph), spool)


class TestTheExample(StorageSuite):
    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        return DictStorage(DICTS.setdefault(tmp_path, {}), graph)


# --- power cuts: the file storage on a disk that keeps only what was synced ---


def acts(storage: FileStorage, done: list[str]) -> None:
    """Opens, writes, compacts, writes, closes; names each act in ``done`` once it was acknowledged."""
    storage.open()
    for n in range(4):
        put(storage, f"a{n}", an_intent("b", f"Round {n}"), id=f"c{n}")
        done.append(f"c{n}")
    storage.compact()
    storage.apply_all([a_batch(Put(intent=an_intent(f"d{n}")), id=f"d{n}") for n in range(3)])
    done.extend(["d0", "d1", "d2"])
    storage.close()


def recover(place: Path, done: list[str]) -> None:
    """Opens what a power cut left: all acknowledged is there, whole, and a write after it survives as well."""
    again = FileStorage(place)
    again.open()
    there = [commit.id for commit in again.entries()]
    assert there[: len(done)] == done
    assert list(again.verify()) == []
    put(again, "after", id="after")
    again.close()
    twice = FileStorage(place)
    twice.open()
    assert [commit.id for commit in twice.entries()] == [*there, "after"]
    twice.close()


def bad_cuts(tmp_path: Path, luck: Random | None, *, again: bool = False, encoding: str = "json") -> list[str]:
    """Cuts the power at every call of `acts` (and, ``again``, once more while it recovers); tells what was not safe."""
    whole = LossyDisk()
    acts(FileStorage(tmp_path / "whole", disk=whole, encoding=encoding), [])
    assert whole.calls > 40
    bad = []
    for cut in range(whole.calls):
        place, done, disk = tmp_path / f"cut{cut}", list[str](), LossyDisk(cut_at=cut)
        with pytest.raises(PowerCut):
            acts(FileStorage(place, disk=disk, encoding=encoding), done)
        disk.crash(luck)
        try:
            if again:
                disk = LossyDisk(cut_at=cut % 7)
                with contextlib.suppress(PowerCut):
                    acts(FileStorage(place, disk=disk), [])
                disk.crash(luck)
            recover(place, done)
        except (IntentStoreError, AssertionError) as error:
            bad.append(f"cut at call {cut}, {len(done)} acknowledged: {type(error).__name__}: {error}")
    return bad


@pytest.mark.parametrize("seed", [None, 1, 2], ids=["all lost", "some kept", "others kept"])
def test_a_power_cut_at_any_call_loses_nothing_acknowledged(tmp_path: Path, seed: int | None) -> None:
    assert bad_cuts(tmp_path, Random(seed) if seed is not None else None) == []


def test_a_power_cut_loses_nothing_acknowledged_of_a_store_in_rtfs(tmp_path: Path) -> None:
    assert bad_cuts(tmp_path, Random(4), encoding="rtfs") == []


def test_a_power_cut_while_recovering_from_one_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert bad_cuts(tmp_path, Random(3), again=True) == []


def test_the_lossy_disk_does_lose_what_was_not_synced(tmp_path: Path) -> None:
    disk = LossyDisk()
    careless = FileStorage(tmp_path / "store", durability="relaxed", disk=disk)
    careless.open()
    put(careless, "a")
    disk.crash()
    again = FileStorage(tmp_path / "store")
    again.open()
    assert again.revision == 0
    again.close()


class NeverSyncsNames(LossyDisk):
    """The mistake of renaming without syncing the directory."""

    def sync_directory(self, path: Path) -> None:
        self._alive()


def test_the_lossy_disk_notices_a_directory_that_was_not_synced(tmp_path: Path) -> None:
    disk = NeverSyncsNames()
    careless = FileStorage(tmp_path / "store", disk=disk)
    careless.open()
    put(careless, "a")
    disk.crash()
    again = FileStorage(tmp_path / "store")
    again.open()
    assert again.revision == 0
    again.close()


# --- damage ---


def test_a_flipped_bit_or_a_missing_end_is_noticed(tmp_path: Path) -> None:
    whole = FileStorage(tmp_path / "whole")
    acts(whole, [])
    log = [f"c{n}" for n in range(4)] + [f"d{n}" for n in range(3)]
    for file in sorted(path for path in (tmp_path / "whole").rglob("*") if path.is_file()):
        data = file.read_bytes()
        for at in range(0, len(data), 31):
            for damaged in (data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :], data[:at]):
                place = tmp_path / "damaged"
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(tmp_path / "whole", place)
                (place / file.relative_to(tmp_path / "whole")).write_bytes(damaged)
                assert _noticed(place, log), f"{file.name} at byte {at}"


def _noticed(place: Path, log: list[str]) -> bool:
    """True when the store refuses, names a problem, or still gives every commit."""
    storage = FileStorage(place)
    try:
        storage.open()
        return bool(list(storage.verify())) or [commit.id for commit in storage.entries()] == log
    except (Corrupt, TooNew):
        return True
    finally:
        storage.close()


# --- a driver that fails ---


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOENT, errno.EMFILE], ids=errno.errorcode.get)
def test_a_file_storage_whose_disk_fails_says_so_with_the_cause(tmp_path: Path, number: int) -> None:
    disks: list[FailingDisk] = []

    def make() -> FileStorage:
        disks.append(FailingDisk())
        return FileStorage(tmp_path / "store", disk=disks[-1])

    def breaks(_: IntentStorage) -> None:
        disks[-1].error = number

    break_driver(make, breaks)


class FailingDict(dict[str, bytes]):
    broken = False

    def _refuse(self) -> None:
        if self.broken:
            raise ConnectionError("gone")

    def __iter__(self) -> Iterator[str]:
        self._refuse()
        return super().__iter__()

    def __contains__(self, key: object) -> bool:
        self._refuse()
        return super().__contains__(key)

    def __getitem__(self, key: str) -> bytes:
        self._refuse()
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: bytes) -> None:
        self._refuse()
        super().__setitem__(key, value)


def test_the_example_says_with_the_cause_that_its_mapping_fails() -> None:
    kept = FailingDict()

    def make() -> DictStorage:
        kept.broken = False
        return DictStorage(kept)

    def breaks(_: IntentStorage) -> None:
        kept.broken = True

    errors = break_driver(make, breaks)
    assert {type(error.__cause__) for error in errors.values()} == {ConnectionError}


@pytest.mark.parametrize("kind", [apsw.IOError, apsw.CorruptError, apsw.FullError, apsw.CantOpenError, apsw.SQLError])
def test_an_sqlite_storage_whose_driver_fails_says_so_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[apsw.Error]
) -> None:
    broken = False

    class Failing(apsw.Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            if broken:
                raise kind("planted")
            super().__init__(*args, **options)

        def execute(self, *args: Any, **options: Any) -> apsw.Cursor:
            if broken:
                raise kind("planted")
            return super().execute(*args, **options)

    monkeypatch.setattr(apsw, "Connection", Failing)

    def make() -> SqliteStorage:
        nonlocal broken
        broken = False
        return SqliteStorage(tmp_path / "goals.db")

    def breaks(_: IntentStorage) -> None:
        nonlocal broken
        broken = True

    errors = break_driver(make, breaks)
    assert {type(error.__cause__) for error in errors.values()} <= {kind, Unavailable, Full, Corrupt, StorageError}


def test_the_driver_breaker_notices_a_storage_that_answers_all_the_same() -> None:
    with pytest.raises(AssertionError, match="fetch: answered"):
        break_driver(lambda: MemoryStorage("answers"), lambda _: None)


@pytest.mark.parametrize("call", ["write", "sync"])
def test_after_a_failed_write_nothing_is_acknowledged_until_reopened(tmp_path: Path, call: str) -> None:
    disk = FailingDisk(call)
    storage = FileStorage(tmp_path / "store", disk=disk)
    storage.open()
    put(storage, "a")
    disk.error = errno.EIO
    with pytest.raises(StorageError):
        put(storage, "b")
    disk.error = None
    with pytest.raises(ReadOnly) as refused:
        put(storage, "c")
    assert refused.value.__cause__ is not None
    assert [each and each.id for each in storage.fetch(["a", "b", "c"])] == ["a", None, None]
    assert storage.facts()["read_only"] is True
    storage.close()
    storage.open()
    put(storage, "c")
    assert storage.fetch(["c"]) != [None]
    assert list(storage.verify()) == []
    storage.close()


@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_full_disk_is_rolled_back_and_writes_go_on_when_there_is_space(tmp_path: Path, call: str) -> None:
    class Filling(LossyDisk):
        full = False

        def write(self, fd: int, offset: int, data: bytes) -> None:
            if self.full:
                super().write(fd, offset, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(fd, offset, data)

        def sync(self, fd: int) -> None:
            if self.full and call == "sync":
                self.full = False
                raise OSError(errno.ENOSPC, "No space left on device")
            super().sync(fd)

    class FillsAtSync(Filling):
        def write(self, fd: int, offset: int, data: bytes) -> None:
            LossyDisk.write(self, fd, offset, data)

    disk = Filling() if call == "write" else FillsAtSync()
    storage = FileStorage(tmp_path / "store", disk=disk)
    storage.open()
    put(storage, "a")
    disk.full = True
    with pytest.raises(Full):
        put(storage, "b")
    assert [each and each.id for each in storage.fetch(["a", "b"])] == ["a", None]
    disk.full = False
    put(storage, "c")
    disk.crash()
    again = FileStorage(tmp_path / "store")
    again.open()
    assert [each and each.id for each in again.fetch(["a", "b", "c"])] == ["a", None, "c"]
    assert list(again.verify()) == []
    again.close()
