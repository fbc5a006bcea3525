"""Claims about the file store's far corners: long records, odd files behind its back, races told step by step."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from intentstore import Drop, Intent, Put
from intentstore.codec import decode_intent
from intentstore.ground.change import Head
from intentstore.ground.errors import Corrupt, Unavailable
from intentstore.storage import index as index_module
from intentstore.storage import upkeep as upkeep_module
from intentstore.storage.disk import Disk
from intentstore.storage.file import FileStorage
from intentstore.storage.index import Index
from intentstore.storage.journal import write_frame
from intentstore.storage.scan import lines
from intentstore.storage.segments import Place, Segments
from intentstore.testing.samples import a_batch, put


def opened(path: Path, graph: str = "default") -> FileStorage:
    storage = FileStorage(path, graph)
    storage.open()
    return storage


def test_opening_twice_is_opening_once(tmp_path: Path) -> None:
    storage = opened(tmp_path / "store")
    put(storage, "a")
    storage.open()
    assert storage.revision == 1
    storage.close()


def test_of_two_threads_that_close_one_does(tmp_path: Path) -> None:
    storage = opened(tmp_path / "store")
    storage.close()
    storage._close()  # as the second thread finds it when its turn comes
    assert opened(tmp_path / "store").revision == 0


def test_records_longer_than_any_read_are_found(tmp_path: Path) -> None:
    storage = opened(tmp_path / "store")
    long = "word " * 60_000
    for number in range(4):
        storage.apply(a_batch(Put(intent=Intent(id=f"i{number}", goal="long", original_request=long))))
    for since in range(5):
        assert [commit.revision for commit in storage.entries(since)] == list(range(since + 1, 5))
    storage.close()


def test_the_pad_behind_lines_that_fill_a_read_ends_them(tmp_path: Path) -> None:
    disk, path = Disk(), tmp_path / "lines"
    path.write_bytes((b"x" * 63 + b"\n") * ((1 << 16) // 64) + b"\n" * 8)
    fd = disk.open_read(path)
    assert len(list(lines(disk, fd, 0))) == (1 << 16) // 64
    disk.close(fd)


class Narrow(Disk):
    """A disk with room for what is written, and for no pad behind it; or with another error there."""

    def __init__(self, number: int = errno.ENOSPC) -> None:
        super().__init__()
        self.number = number

    def write(self, fd: int, offset: int, data: bytes) -> None:
        if data.endswith(b"\n\n"):
            raise OSError(self.number, os.strerror(self.number))
        super().write(fd, offset, data)


def test_where_there_is_no_room_for_a_pad_there_is_for_what_is_written(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "store", disk=Narrow())
    storage.open()
    for number in range(20):
        put(storage, f"i{number}")
    storage.close()
    again = opened(tmp_path / "store")
    assert again.revision == 20
    assert list(again.verify()) == []
    again.close()


def test_another_error_at_the_pad_is_no_want_of_room(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "store", disk=Narrow(errno.EIO))
    storage.open()
    with pytest.raises(Unavailable):
        for number in range(20):
            put(storage, f"i{number}")
    storage.close()


def test_a_snapshot_is_written_while_open_when_the_journal_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "SNAPSHOT_WHILE_OPEN", 2000)
    storage = opened(tmp_path / "store")
    other = FileStorage(tmp_path / "store", read_only=True)
    other.open()
    for number in range(60):
        put(storage, f"i{number}")
        assert other.fetch([f"i{number}"]) != [None]
    folder = tmp_path / "store/graphs/default"
    assert len(list(folder.glob("snapshot-*"))) == 1
    assert len(list(folder.glob("journal-*"))) > 2
    assert list(storage.verify()) == []
    assert len(list(storage.entries())) == 60
    storage.close()
    other.close()


def test_a_reader_that_waited_for_a_writer_reads_nothing_of_it_yet(tmp_path: Path) -> None:
    storage = opened(tmp_path / "store")
    put(storage, "a")

    class Turn:
        """The state's lock, handed over by a writer that has begun."""

        def __enter__(self) -> None:
            storage._at.still = True

        def __exit__(self, *_: object) -> None:
            storage._at.still = False

    storage._at.lock, kept = Turn(), storage._at.lock  # type: ignore[assignment]  # stands in for the lock
    storage._catch_up()
    storage._at.lock = kept
    assert storage.revision == 1
    storage.close()


def test_a_lock_that_does_not_exclude_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", lambda fd, how: None)
    assert not Disk().lock_excludes(tmp_path / "lock")


def test_a_long_graph_name_whose_header_is_damaged_is_named(tmp_path: Path) -> None:
    name = "x" * 250
    storage = opened(tmp_path / "store", name)
    put(storage, "a")
    assert storage.graphs() == [name]
    (journal,) = (tmp_path / "store/graphs").glob("*/journal-*")
    data = journal.read_bytes()
    journal.write_bytes(data.replace(b"xxx", b"xxy", 1))
    with pytest.raises(Corrupt, match="header"):
        storage.graphs()
    storage.close()


def segments(tmp_path: Path) -> Segments:
    found = Segments(Disk(), tmp_path, "default")
    found.create(Place(0))
    found.append([(1, b'{"revision":1}'), (2, b'{"revision":2}')])
    return found


def written(found: Segments, revision: int, body: bytes) -> None:
    line, _ = write_frame(body, revision=revision, group=revision, prev=found.place.sum)
    found.disk.write(found.fd, found.place.offset, line)


def test_a_revision_that_comes_again_is_refused(tmp_path: Path) -> None:
    found = segments(tmp_path)
    written(found, 2, b'{"revision":2}')
    with pytest.raises(Corrupt, match="comes after 2"):
        list(found.read_on(writable=True))
    found.leave()


def test_what_was_taken_back_is_no_longer_there(tmp_path: Path) -> None:
    found = segments(tmp_path)
    assert found.still_there()
    found.disk.truncate(found.fd, found.place.offset - 10)
    assert not found.still_there()
    found.leave()


def test_a_header_that_changed_since_it_was_read_is_refused(tmp_path: Path) -> None:
    found = Segments(Disk(), tmp_path, "default")
    found.create(Place(0))
    path = found.path(1)
    path.write_bytes(path.read_bytes().replace(b"default", b"defamed"))
    with pytest.raises(Corrupt, match="header"):
        found.began_behind()
    found.leave()


def test_a_log_that_lacks_what_was_asked_for_is_refused(tmp_path: Path) -> None:
    found = segments(tmp_path)
    with pytest.raises(Corrupt, match="revision 5 is missing"):
        list(found.frames(0, 5))
    written(found, 9, b'{"revision":9}')
    assert [frame.revision for frame in found.frames(0, 2)] == [1, 2]
    with suppress(Corrupt):
        assert [frame.revision for frame in found.frames(1, 5)] == [2]
    found.leave()


def test_a_search_in_a_file_cut_short_ends_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "journal-0000000000000001.jsonl"
    path.write_bytes(b"7" * 200_000)
    found = Segments(Disk(), tmp_path, "default")
    with pytest.raises(Corrupt):
        list(found.frames(3, 5))


def test_a_reader_that_decodes_slowly_does_not_undo_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index()
    body = msgspec.json.encode({"id": "a", "goal": "old"})
    index.load_intent("a", body, Head(1, "00"))

    def slow(data: bytes | str) -> Intent:
        thread = threading.Thread(target=lambda: index.load_intent("a", body.replace(b"old", b"new"), Head(2, "01")))
        thread.start()
        thread.join()
        return decode_intent(data)

    monkeypatch.setattr(index_module, "decode_intent", slow)
    first = index.get("a")
    assert first is not None
    assert first.goal == "old"  # what was there when the question was asked
    monkeypatch.setattr(index_module, "decode_intent", decode_intent)
    (kept,) = index.fetch(["a"])
    assert kept is not None
    assert kept.goal == "new"


def test_a_deleted_intents_chain_outlives_its_snapshot(tmp_path: Path) -> None:
    storage = opened(tmp_path / "store")
    put(storage, "a")
    storage.apply(a_batch(Drop(id="a")))
    storage.compact()
    storage.close()
    again = opened(tmp_path / "store")
    put(again, "a")
    assert [entry.change.before for entry in again.trail("a")] == [0, 1, 2]
    assert list(again.verify()) == []
    again.close()
