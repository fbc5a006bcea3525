"""A backup restored over a graph: old or new, wherever it is killed; who else has the graph open is told."""

from __future__ import annotations

import contextlib
import errno
import shutil
from pathlib import Path

import pytest

from intentstore import AlreadyThere, Corrupt, Intent, Unsupported, open_graph
from intentstore.graph import transfer
from intentstore.ground.errors import IntentStoreError
from intentstore.storage.disk import Disk
from intentstore.storage.file import FileStorage
from intentstore.storage.memory import MemoryStorage
from intentstore.testing import put
from tests.test_file_faults import Counting, Killed, killing

URLS = {"file": "file:{}/store", "sqlite": "sqlite:{}/goals.db"}


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return URLS[request.param].format(tmp_path)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    with open_graph("memory:") as graph:
        for n in range(600):
            graph.store(Intent(id=f"new{n}", goal="Be restored"))
        graph.backup(tmp_path / "new.backup")
    return tmp_path / "new.backup"


def test_a_backup_takes_the_place_of_a_graph_and_leaves_its_neighbours(url: str, backup: Path) -> None:
    with open_graph(url, graph="other") as other, open_graph(url) as graph:
        other.store(Intent(id="there", goal="Stay"))
        graph.store(Intent(id="old", goal="Give way"))
        with pytest.raises(AlreadyThere):
            graph.restore(backup)
        receipt = graph.restore(backup, replace=True)
        assert receipt == graph.receipt()
        assert (graph.get("old"), graph.intent("new7").goal) == (None, "Be restored")
        graph.store(Intent(id="after", goal="Be written afterwards"))
        assert graph.verify().ok
        assert other.intent("there").goal == "Stay"
    with open_graph(url) as again:
        assert again.get("after") is not None
        assert again.verify().ok


def test_a_damaged_or_partial_backup_replaces_nothing(url: str, backup: Path, tmp_path: Path) -> None:
    with open_graph(url) as graph:
        graph.store(Intent(id="old", goal="Stay"))
        with open_graph("memory:") as source:
            source.restore(backup)
            seal = source.seal()
            source.store(Intent(goal="More"))
            source.backup(tmp_path / "more.backup", since=seal)
        with pytest.raises(AlreadyThere, match="goes on from a seal"):
            graph.restore(tmp_path / "more.backup", replace=True)
        backup.write_bytes(backup.read_bytes()[:-20])
        with pytest.raises(Corrupt):
            graph.restore(backup, replace=True)
        assert graph.intent("old").goal == "Stay"
        assert graph.revision == 1


def test_a_storage_that_cannot_says_so(backup: Path) -> None:
    class Plain(MemoryStorage):
        capabilities = MemoryStorage.capabilities.__class__()

    storage = Plain()
    storage.open()
    with pytest.raises(Unsupported, match="one step"):
        transfer.restore(backup, storage, replace=True)


def test_who_else_has_it_open_goes_on_in_the_new_one(tmp_path: Path, backup: Path) -> None:
    url = f"file:{tmp_path}/store"
    with open_graph(url) as one, open_graph(url) as other, open_graph(url, read_only=True) as reader:
        one.store(Intent(id="old", goal="Give way"))
        assert other.get("old") is not None
        assert reader.get("old") is not None
        one.restore(backup, replace=True)
        assert reader.get("old") is None
        assert reader.get("new3") is not None
        other.store(Intent(id="kept", goal="Be there"))
        assert one.get("kept") is not None
        assert reader.get("kept") is not None
        one.restore(backup, replace=True)
        assert other.get("kept") is None
        one.restore(backup, replace=True)
        other.store(Intent(id="again", goal="Be there after two of them"))
    with open_graph(url) as again:
        assert again.get("again") is not None
        assert again.verify().ok


def test_killed_at_any_call_the_old_or_the_new_graph_is_there(tmp_path: Path) -> None:
    made = FileStorage(tmp_path / "first")
    made.open()
    put(made, "old", id="old")
    made.close()
    source = MemoryStorage()
    source.open()
    put(source, "new", id="new")
    log = list(source.entries())
    seen = set()
    for at in range(10_000):
        place = tmp_path / f"{at}"
        shutil.copytree(tmp_path / "first", place)
        disk = Counting()
        storage = FileStorage(place, disk=disk)
        storage.open()
        disk.at, disk.act = disk.calls + at, killing
        try:
            storage.replace(log)
        except Killed:
            disk.die()
        else:
            break
        again = FileStorage(place)
        again.open()
        ids = [commit.id for commit in again.entries()]
        assert ids in (["old"], ["new"]), at
        assert list(again.verify()) == []
        again.replace(log)
        assert [commit.id for commit in again.entries()] == ["new"]
        again.close()
        seen.add(ids[0])
        shutil.rmtree(place)
    assert at > 30
    assert seen == {"old", "new"}


def test_where_folders_cannot_be_exchanged_nothing_changes(
    tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_graph(f"file:{tmp_path}/store") as graph:
        graph.store(Intent(id="old", goal="Stay"))

        def refused(*_: object) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(Disk, "exchange", refused)
        with pytest.raises(IntentStoreError):
            graph.restore(backup, replace=True)
        monkeypatch.undo()
        assert graph.intent("old").goal == "Stay"
        graph.restore(backup, replace=True)
        assert graph.get("old") is None


def test_an_exchange_that_fails_says_what_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    with pytest.raises(FileNotFoundError):
        disk.exchange(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").mkdir()
    disk.exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a"
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    with pytest.raises(OSError, match="not implemented") as refused:
        disk.exchange(tmp_path / "a", tmp_path / "b")
    assert refused.value.errno == errno.ENOSYS


def test_a_file_that_was_removed_is_not_in_place(tmp_path: Path) -> None:
    disk = Disk()
    fd = disk.open_append(tmp_path / "lock", create=True)
    assert disk.is_still(fd, tmp_path / "lock")
    (tmp_path / "lock").unlink()
    assert not disk.is_still(fd, tmp_path / "lock")
    with contextlib.closing(open(tmp_path / "lock", "w")):  # noqa: PTH123  another file of the same name
        assert not disk.is_still(fd, tmp_path / "lock")
    disk.close(fd)
