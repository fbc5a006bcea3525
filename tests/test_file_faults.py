"""The file storage on a disk that fails, dies, forgets, flips; and on directories that are not what they should be.

Whatever happens, it is *safe*: it opens without help, what was acknowledged is there and whole, and a write made
afterwards survives - or it is *refused* with its place, and nothing is changed. It is never silently wrong.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from intentstore.ground.change import Put
from intentstore.ground.errors import (
    Busy,
    Closed,
    Corrupt,
    Full,
    IntentStoreError,
    Locked,
    ReadOnly,
    StorageError,
    TooNew,
    Unavailable,
)
from intentstore.storage import hold as hold_module
from intentstore.storage import upkeep as upkeep_module
from intentstore.storage.disk import Disk, network_kind, storage_error
from intentstore.storage.file import FileStorage
from intentstore.storage.home import Home
from intentstore.storage.journal import ZERO, write_frame
from intentstore.storage.segments import Place
from intentstore.testing import LossyDisk, a_batch, an_intent, put
from intentstore.testing.samples import LINE_BREAKERS, link


@pytest.fixture(autouse=True)
def no_mountinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_module, "network_kind", lambda _: None)  # reads a long file at each opening


class Killed(BaseException):
    """The process is gone: `kill -9` as seen from within."""


CALLS = [
    "make_directory", "names", "is_there", "open_append", "open_write", "open_read", "close", "size", "read", "append",
    "sync", "write", "truncate", "sync_directory", "rename", "remove", "lock", "unlock",
]  # fmt: skip


class Quick(Disk):
    """A disk for claims in which no power is cut: it does not wait for stable storage."""

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


class Counting(Quick):
    """Counts its calls, and at the N-th of those watched does something else first, or instead."""

    def __init__(self, *watched: str) -> None:
        self.watched = frozenset(watched or CALLS)
        self.at: int | None = None
        self.calls = 0
        self.act: Callable[[str, tuple[Any, ...]], None] = lambda name, given: None
        self.fds: set[int] = set()

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name not in CALLS or name not in self.watched:
            return found

        def call(*given: Any, **named: Any) -> Any:
            self.calls += 1
            if self.at is not None and self.calls > self.at:
                self.act(name, given)
            return found(*given, **named)

        return call

    def open_append(self, path: Path, *, create: bool) -> int:
        self.fds.add(fd := super().open_append(path, create=create))
        return fd

    def open_write(self, path: Path, *, create: bool) -> int:
        self.fds.add(fd := super().open_write(path, create=create))
        return fd

    def open_read(self, path: Path) -> int:
        self.fds.add(fd := super().open_read(path))
        return fd

    def close(self, fd: int) -> None:
        self.fds.discard(fd)
        super().close(fd)

    def die(self) -> None:
        """Closes what the process had open, as the system does for the dead."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


def failing(number: int, *, once: bool = True) -> Callable[[str, tuple[Any, ...]], None]:
    done: list[str] = []

    def act(name: str, given: tuple[Any, ...]) -> None:
        if not (once and done):
            done.append(name)
            raise OSError(number, os.strerror(number))

    return act


def killing(name: str, given: tuple[Any, ...]) -> None:
    """Dies; a write gets half of its bytes out first."""
    if name == "append":
        os.write(given[0], given[1][: len(given[1]) // 2])
    if name == "write":
        os.pwrite(given[0], given[2][: len(given[2]) // 2], given[1])
    raise Killed


def session(storage: FileStorage, done: list[str]) -> None:
    """A store from its making to its closing; names each commit once it was acknowledged."""
    storage.open()
    put(storage, "a", "b", id="c1")
    done.append("c1")
    link(storage, ("a", "blocks", "b"))
    storage.compact()
    put(storage, an_intent("a", LINE_BREAKERS), "c", id="c2")
    done.append("c2")
    storage.apply_all([a_batch(*put_of(f"d{n}"), id=f"d{n}") for n in range(3)])
    done.extend(["d0", "d1", "d2"])
    storage.compact()
    put(storage, "e", id="c3")
    done.append("c3")
    storage.close()


def put_of(*ids: str) -> list[Any]:
    return [Put(intent=an_intent(id)) for id in ids]


WHOLE = {"c1": {"a", "b"}, "c2": {"a", "c"}, "d0": {"d0"}, "d1": {"d1"}, "d2": {"d2"}, "c3": {"e"}}


def check_safe(place: Path, done: list[str]) -> None:
    again = FileStorage(place, disk=Quick())
    again.open()
    log = [commit.id for commit in again.entries()]
    assert [id for id in log if id in WHOLE][: len(done)] == done
    for id in log:
        if id in WHOLE:
            assert None not in again.fetch(sorted(WHOLE[id])), f"{id} is not whole"
    assert list(again.verify()) == []
    put(again, "after", id="after")
    again.close()
    twice = FileStorage(place, disk=Quick())
    twice.open()
    assert [commit.id for commit in twice.entries()] == [*log, "after"]
    assert list(twice.verify()) == []
    twice.close()


def count_calls(place: Path, *watched: str) -> int:
    disk = Counting(*watched)
    session(FileStorage(place, disk=disk), [])
    return disk.calls


# --- killed ---


def test_killed_at_any_call_it_loses_nothing_acknowledged(tmp_path: Path) -> None:
    bad = []
    number = count_calls(tmp_path / "whole")
    assert number > 150
    for at in range(number):
        disk, done = Counting(), list[str]()
        disk.at, disk.act = at, killing
        with pytest.raises(Killed):
            session(FileStorage(tmp_path / f"{at}", disk=disk), done)
        disk.die()
        try:
            check_safe(tmp_path / f"{at}", done)
        except (IntentStoreError, AssertionError) as error:
            bad.append(f"killed at call {at}, {len(done)} acknowledged: {type(error).__name__}: {error}")
        shutil.rmtree(tmp_path / f"{at}", ignore_errors=True)
    assert bad == []


def test_another_process_that_goes_on_after_a_kill_loses_nothing_either(tmp_path: Path) -> None:
    """It has the store open already, so nothing but its next lock tells it what the dead one left."""
    bad = []
    for at in range(1000):
        place, done = tmp_path / f"{at}", ["c0"]
        other = FileStorage(place, disk=Quick())
        other.open()
        put(other, "z", id="c0")
        disk = Counting()
        mine = FileStorage(place, disk=disk)
        mine.open()
        disk.at, disk.act = disk.calls + at, killing
        try:
            put(mine, "a", "b", id="c1")
            done.append("c1")
            mine.compact()
            put(mine, "c", id="c2")
            done.append("c2")
            mine.compact()
            mine.close()
            break
        except Killed:
            disk.die()
        try:
            put(other, "d", id="c3")
            done.append("c3")
            other.compact()
            put(other, "e", id="c4")
            done.append("c4")
            assert list(other.verify()) == []
            other.close()
            log = [commit.id for commit in reopened(place).entries()]
            assert [id for id in log if id in done] == done
        except (IntentStoreError, AssertionError) as error:
            bad.append(f"killed at call {at}, {done}: {type(error).__name__}: {error}")
    assert at > 30
    assert bad == []


@contextlib.contextmanager
def opened(place: Path, **options: Any) -> Iterator[FileStorage]:
    storage = FileStorage(place, **{"disk": Quick(), **options})
    storage.open()
    try:
        yield storage
    finally:
        storage.close()


def reopened(place: Path) -> FileStorage:
    """Opens the store, reads all of it, and returns it closed for writing but with its log read."""
    storage = FileStorage(place, disk=Quick())
    storage.open()
    log = list(storage.entries())
    assert list(storage.verify()) == []
    storage.close()
    storage.entries = lambda since=0: iter(log)  # type: ignore[method-assign]
    return storage


def test_what_a_dead_writer_did_not_sync_is_synced_before_it_is_vouched_for(tmp_path: Path) -> None:
    """Killed between write and sync; the same commit id again, at another process; then the power goes."""
    for reopen in (True, False):
        place = tmp_path / f"{reopen}"
        lossy = LossyDisk()
        other = FileStorage(place, disk=lossy)
        other.open()
        disk = Counting("sync")
        mine = FileStorage(place, disk=disk)
        mine.open()
        disk.at, disk.act = disk.calls, killing
        with pytest.raises(Killed):
            put(mine, "a", id="c1")
        disk.die()
        if reopen:
            other.close()
            other = FileStorage(place, disk=lossy)
            other.open()
        assert put(other, "a", id="c1").revision == 1
        lossy.crash()
        with opened(place) as again:
            assert again.fetch(["a"]) != [None]


# --- failing ---


@pytest.mark.parametrize(
    "call", ["append", "write", "sync", "truncate", "rename", "sync_directory", "open_append", "open_write", "remove"]
)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("once", [True, False], ids=["once", "for good"])
def test_a_call_that_fails_acknowledges_nothing_and_reopening_is_safe(
    tmp_path: Path, call: str, number: int, once: bool
) -> None:
    for at in range(count_calls(tmp_path / "whole", call)):
        disk, done = Counting(call), list[str]()
        disk.at, disk.act = at, failing(number, once=once)
        causes: list[BaseException | None] = []
        storage = FileStorage(tmp_path / f"{at}", disk=disk)
        try:
            session(storage, done)
        except StorageError as error:
            causes.append(error.__cause__)
        assert all(isinstance(cause, OSError) for cause in causes)
        disk.at = None
        with contextlib.suppress(StorageError):
            storage.close()
        assert disk.fds == set(), "left open"
        check_safe(tmp_path / f"{at}", done)


@pytest.mark.parametrize("call", ["append", "write", "sync", "rename", "sync_directory", "open_append", "open_write"])
def test_a_full_disk_is_said_and_the_same_handle_goes_on_when_there_is_space(tmp_path: Path, call: str) -> None:
    """Every commit and every compaction is tried until it works; after each failure the disk has space again."""
    number = count_calls(tmp_path / "whole", call)
    for at in range(number):
        place, disk = tmp_path / f"{at}", Counting(call)
        disk.at, disk.act = at, failing(errno.ENOSPC)

        def tried(act: Callable[[], object], seen: list[bool]) -> None:
            try:
                act()
            except Full as error:
                seen.append(error.retry)
                act()

        failed: list[bool] = []
        storage = FileStorage(place, disk=disk)
        tried(storage.open, failed)
        tried(lambda storage=storage: put(storage, "x", id="f1"), failed)  # type: ignore[misc]
        tried(storage.compact, failed)
        tried(lambda storage=storage: put(storage, "y", id="f2"), failed)  # type: ignore[misc]
        tried(storage.compact, failed)
        assert storage.facts()["failed"] is None
        storage.close()
        assert len(failed) <= 1
        assert not list(place.rglob("*.tmp"))
        check_safe(place, [])


def test_a_full_disk_that_cannot_be_rolled_back_ends_writing(tmp_path: Path) -> None:
    disk = Counting("write", "truncate")
    with opened(tmp_path / "store", disk=disk) as storage:
        put(storage, "a")
        disk.at, disk.act = disk.calls, failing(errno.ENOSPC, once=False)
        with pytest.raises(Unavailable):
            put(storage, "b")
        disk.at = None
        with pytest.raises(ReadOnly, match="refuses writes since one failed"):
            put(storage, "c")
        assert [each and each.id for each in storage.fetch(["a", "b"])] == ["a", None]
        assert "cannot be taken back" in storage.facts()["failed"]


def test_a_compaction_that_fails_beyond_a_full_disk_ends_writing(tmp_path: Path) -> None:
    for at in range(4):
        disk = Counting("sync")
        with opened(tmp_path / f"{at}", disk=disk) as storage:
            put(storage, "a")
            disk.at, disk.act = disk.calls + at, failing(errno.EIO)
            with pytest.raises(Unavailable):
                storage.compact()
            with pytest.raises(ReadOnly):
                put(storage, "b")
        with opened(tmp_path / f"{at}") as storage:
            assert storage.revision == 1
            put(storage, "b")


def test_a_head_that_cannot_be_written_does_not_undo_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "HEAD_EVERY", 1)
    for number, dead in ((errno.EIO, True), (errno.ENOSPC, False)):
        disk = Counting("rename")
        with opened(tmp_path / f"{number}", disk=disk) as storage:
            disk.at, disk.act = disk.calls, failing(number)
            assert put(storage, "a").revision == 1
            assert (storage.facts()["failed"] is not None) is dead
        with opened(tmp_path / f"{number}") as storage:
            assert storage.fetch(["a"]) != [None]


def test_short_writes_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, pwrite = os.write, os.pwrite
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:7])))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, bytes(data[:7]), offset))
    session(FileStorage(tmp_path / "store"), [])
    monkeypatch.undo()
    check_safe(tmp_path / "store", list(WHOLE))


def test_an_interrupt_between_journal_and_state_leaves_no_gap_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "store") as storage:
        put(storage, "a")
        lay = storage._at.index.lay

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(storage._at.index, "lay", interrupted)
        with pytest.raises(KeyboardInterrupt):
            put(storage, "b")
        monkeypatch.setattr(storage._at.index, "lay", lay)
        put(storage, "c")
        assert None not in storage.fetch(["a", "b", "c"])
        assert list(storage.verify()) == []
    check_safe(tmp_path / "store", [])


# --- damaged ---


def small(place: Path, *, head: bool = True, compacted: bool = False) -> dict[str, bytes]:
    """Makes a store of three commits; returns every file of its graph. Without ``head``, that of its making stays."""
    storage = FileStorage(place, disk=Quick())
    storage.open()
    put(storage, "a", id="c1")
    if compacted:
        storage.compact()
    put(storage, "b", id="c2")
    put(storage, "c", id="c3")
    if not head:
        storage._at.head = storage._at.segments.place  # as if it had written it: closing leaves the older one
    storage.close()
    folder = place / "graphs" / "default"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def outcome(place: Path) -> str | list[str]:
    """Returns the commit ids of the log after opening, whole and verified; or the error, which changed nothing."""
    folder = place / "graphs" / "default"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    try:
        with opened(place) as storage:
            log = [commit.id for commit in storage.entries()]
            wrong = list(storage.verify())
            assert [each and each.id for each in storage.fetch(["a", "b", "c"])][: len(log)] == ["a", "b", "c"][
                : len(log)
            ]
            return log if not wrong else f"verify: {wrong[0].where}"
    except (Corrupt, TooNew) as error:
        refusal = error
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "refused, yet changed"
    assert str(place) in str(refusal)
    return type(refusal).__name__


@pytest.mark.parametrize(("head", "compacted"), [(True, True), (False, False)], ids=["snapshot", "not closed"])
def test_one_flipped_bit_anywhere_is_refused_or_harmless(tmp_path: Path, head: bool, compacted: bool) -> None:
    place = tmp_path / "store"
    files = small(place, head=head, compacted=compacted)
    folder = place / "graphs" / "default"
    wrong, refused = [], 0
    for name, content in files.items():
        last = content.removesuffix(b"\n").rfind(b"\n") + 1 if name.startswith("journal-") else len(content)
        for at in range(len(content)):
            flipped = content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :]
            (folder / name).write_bytes(flipped)
            found = outcome(place)
            refused += isinstance(found, str)
            in_last = name == max(each for each in files if each.startswith("journal-")) and at >= last
            allowed = [["c1", "c2"]] if in_last and not head else []
            if not isinstance(found, str) and found != ["c1", "c2", "c3"] and found not in allowed:
                wrong.append(f"{name} at byte {at} of {len(content)}: {found}")
            for each, whole in files.items() if not isinstance(found, str) else [(name, content)]:
                (folder / each).write_bytes(whole)
    assert wrong == []
    assert refused > 300


@pytest.mark.parametrize("head", [True, False], ids=["closed", "not closed"])
def test_a_journal_cut_at_any_byte_is_refused_before_the_head_and_settled_behind_it(tmp_path: Path, head: bool) -> None:
    place = tmp_path / "store"
    files = small(place, head=head)
    journal = place / "graphs" / "default" / "journal-0000000000000001.jsonl"
    content = files[journal.name]
    ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
    for at in range(len(content)):
        journal.write_bytes(content[:at])
        found = outcome(place)
        if head or at < ends[0]:
            assert found == "Corrupt", at
        else:
            assert found == ["c1", "c2", "c3"][: sum(end <= at for end in ends) - 1], at
        for each, whole in files.items() if not isinstance(found, str) else [(journal.name, content)]:
            (journal.parent / each).write_bytes(whole)
    assert outcome(place) == ["c1", "c2", "c3"]


def test_after_a_torn_tail_was_cut_a_write_is_there_to_stay(tmp_path: Path) -> None:
    place = tmp_path / "store"
    small(place, head=False)
    journal = place / "graphs" / "default" / "journal-0000000000000001.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    with opened(place) as storage:
        assert storage.facts()["recovered"]["after_revision"] == 2
        assert storage.facts()["recovered"]["cut_bytes"] > 9
        put(storage, "d", id="c4")
    assert [commit.id for commit in reopened(place).entries()] == ["c1", "c2", "c4"]


@pytest.mark.parametrize("junk", [b"junk", b"\0" * 5000, b"\n\n", b"1" * 5000 + b" 1 1 a b c\n", b"9 9 9 9 9\n"])
def test_junk_behind_the_head_is_cut(tmp_path: Path, junk: bytes) -> None:
    small(tmp_path / "store")
    with (tmp_path / "store/graphs/default/journal-0000000000000001.jsonl").open("ab") as journal:
        journal.write(junk)
    assert outcome(tmp_path / "store") == ["c1", "c2", "c3"]


Edit = Callable[[list[bytes]], list[bytes]]
EDITS: dict[str, Edit] = {
    "dropped first": lambda lines: lines[1:],
    "dropped": lambda lines: [lines[0], *lines[2:]],
    "doubled": lambda lines: [*lines[:2], *lines[1:]],
    "swapped": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "doubled at the end": lambda lines: [*lines, lines[-1]],
    "all again": lambda lines: [*lines, *lines],
    "dropped last": lambda lines: lines[:-1],
    "emptied": lambda lines: [],
}


@pytest.mark.parametrize("compacted", [False, True], ids=["journal", "with snapshot"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_lines_moved_about_in_the_journal_are_refused(tmp_path: Path, edit: Edit, compacted: bool) -> None:
    files = small(tmp_path / "store", compacted=compacted)
    name = max(name for name in files if name.startswith("journal-"))
    path = tmp_path / "store/graphs/default" / name
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))
    assert outcome(tmp_path / "store") == "Corrupt"


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_lines_moved_about_before_the_snapshot_are_found_by_verify(tmp_path: Path, edit: Edit) -> None:
    small(tmp_path / "store", compacted=True)
    path = tmp_path / "store/graphs/default/journal-0000000000000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(edit(lines)))
    with opened(tmp_path / "store") as storage:
        if edit(lines)[:-1] != lines[:-1] and edit(lines) != lines:
            assert list(storage.verify()) != []


def test_a_line_from_another_store_is_refused(tmp_path: Path) -> None:
    small(tmp_path / "store", head=False)
    small(tmp_path / "other")
    path = tmp_path / "store/graphs/default/journal-0000000000000001.jsonl"
    with opened(tmp_path / "other") as other:
        put(other, "d")
    stranger = (tmp_path / "other/graphs/default" / path.name).read_bytes().splitlines(keepends=True)[-1]
    with opened(tmp_path / "store") as storage:
        put(storage, "x")
    path.write_bytes(path.read_bytes() + stranger)
    assert outcome(tmp_path / "store") == "Corrupt"


def test_a_journal_of_another_graph_is_refused(tmp_path: Path) -> None:
    small(tmp_path / "store")
    with opened(tmp_path / "store", graph="other") as storage:
        put(storage, "a")
    name = "journal-0000000000000001.jsonl"
    shutil.copy(tmp_path / "store/graphs/other" / name, tmp_path / "store/graphs/default" / name)
    assert outcome(tmp_path / "store") == "Corrupt"


# --- snapshot and head ---


def many(place: Path) -> tuple[Path, list[Path], list[Path]]:
    """Makes a store with two snapshots' worth of journal files; returns its folder, journals and snapshots."""
    with opened(place) as storage:
        for n in range(3):
            put(storage, f"a{n}")
            storage.compact()
        put(storage, "last")
    folder = place / "graphs" / "default"
    return folder, sorted(folder.glob("journal-*")), sorted(folder.glob("snapshot-*"))


def test_a_missing_snapshot_is_made_up_for_by_the_journal(tmp_path: Path) -> None:
    _folder, journals, snaps = many(tmp_path / "store")
    assert (len(journals), len(snaps)) == (4, 1)
    snaps[0].unlink()
    with opened(tmp_path / "store") as storage:
        assert storage.revision == 4
        assert list(storage.verify()) == []
        storage.compact()
        put(storage, "after")
    check_safe(tmp_path / "store", [])


def test_a_missing_snapshot_right_after_compacting_is_made_up_for(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as storage:
        put(storage, "a")
        storage.compact()
    next((tmp_path / "store").rglob("snapshot-*")).unlink()
    with opened(tmp_path / "store") as storage:
        storage.compact()
        put(storage, "b")
    check_safe(tmp_path / "store", [])


def test_an_older_snapshot_beside_or_instead_of_the_newest_is_as_good(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as storage:
        put(storage, "a")
        storage.compact()
        old = next((tmp_path / "store").rglob("snapshot-*"))
        content = old.read_bytes()
        put(storage, "b")
        storage.compact()
        put(storage, "c")
    new = next((tmp_path / "store").rglob("snapshot-*"))
    old.write_bytes(content)
    assert len(reopened_ids(tmp_path / "store")) == 3
    new.unlink()
    assert len(reopened_ids(tmp_path / "store")) == 3


def reopened_ids(place: Path) -> list[str]:
    return [commit.id for commit in reopened(place).entries()]


def test_a_snapshot_from_elsewhere_or_of_the_future_is_refused_or_passed_over(tmp_path: Path) -> None:
    folder, _journals, snaps = many(tmp_path / "store")
    future = folder / "snapshot-0000000000000099.tsv"
    shutil.copy(snaps[0], future)
    assert len(reopened_ids(tmp_path / "store")) == 4  # no journal file follows it
    future.rename(folder / "snapshot-0000000000000002.tsv")
    snaps[0].unlink()
    with pytest.raises(Corrupt, match="is the snapshot of 'default' at revision 3"):
        FileStorage(tmp_path / "store").open()


def resealed(path: Path, old: bytes, new: bytes) -> None:
    """Changes a snapshot and gives it the digest that fits."""
    from hashlib import sha256

    content = path.read_bytes()
    body = content[: content.rfind(b"\nend\t") + 1].replace(old, new)
    path.write_bytes(body + b"end\t" + sha256(body).hexdigest().encode() + b"\n")


def test_a_snapshot_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    _, _, snaps = many(tmp_path / "store")
    whole = snaps[0].read_bytes()
    for old, new, kind in (
        (b'"snapshot":1', b'"snapshot":2', TooNew),
        (b'"graph"', b'"gr@ph"', Corrupt),
        (b'"default"', b'"other"', Corrupt),
        (b"i\t", b"i ", Corrupt),
    ):
        snaps[0].write_bytes(whole)
        resealed(snaps[0], old, new)
        with pytest.raises(kind) as refused:
            FileStorage(tmp_path / "store").open()
        assert str(snaps[0]) in str(refused.value)


def test_a_missing_journal_file_is_refused_or_named_by_verify(tmp_path: Path) -> None:
    for at in range(4):
        place = tmp_path / f"{at}"
        _, journals, snaps = many(place)
        journals[at].unlink()
        if at == 3:
            with pytest.raises(Corrupt):
                FileStorage(place).open()
            continue
        with opened(place) as storage:
            assert list(storage.verify()) != []
            with pytest.raises(Corrupt):
                list(storage.entries())
        snaps[0].unlink()
        with pytest.raises(Corrupt):
            FileStorage(place).open()


def test_a_journal_without_its_end_is_refused_where_a_later_file_goes_on(tmp_path: Path) -> None:
    folder, journals, snaps = many(tmp_path / "store")
    snaps[0].unlink()
    lines = journals[1].read_bytes().splitlines(keepends=True)
    journals[1].write_bytes(b"".join(lines[:-1]))
    (folder / "head").write_bytes(head_line(Place()))
    with pytest.raises(Corrupt, match="a later file goes on"):
        FileStorage(tmp_path / "store").open()


def head_line(place: Place) -> bytes:
    import msgspec

    line, _ = write_frame(msgspec.json.encode(place), revision=place.revision, group=place.revision, prev=ZERO)
    return line


def test_a_head_that_is_missing_or_names_another_journal_is_refused(tmp_path: Path) -> None:
    files = small(tmp_path / "store")
    head = tmp_path / "store/graphs/default/head"
    end = len(files["journal-0000000000000001.jsonl"])
    for place in (
        Place(1, end + 100, 4, "1" * 32),
        Place(1, end, 3, "1" * 32),
        Place(1, end - 5, 3, "1" * 32),
        Place(2, 0, 3, "1" * 32),
    ):
        head.write_bytes(head_line(place))
        for read_only in (False, True):
            with pytest.raises(Corrupt):
                FileStorage(tmp_path / "store", read_only=read_only).open()
    head.write_bytes(write_frame(b'{"segment":"x"}', revision=0, group=0, prev=ZERO)[0])
    with pytest.raises(TooNew):
        FileStorage(tmp_path / "store").open()
    head.unlink()
    with pytest.raises(Corrupt, match="the head is missing"):
        FileStorage(tmp_path / "store").open()
    with pytest.raises(Unavailable, match="no graph"):
        FileStorage(tmp_path / "store", read_only=True).open()
    assert (head.parent / "journal-0000000000000001.jsonl").read_bytes() == files["journal-0000000000000001.jsonl"]


# --- places ---


def test_a_directory_that_is_not_what_it_should_be_is_refused(tmp_path: Path) -> None:
    small(tmp_path / "store")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    (tmp_path / "plain").write_text("a file")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("mine")
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide").chmod(0o777)
    for name, words in (
        ("link", "symbolic link"),
        ("plain", "not a directory|Not a directory"),
        ("foreign", "holds other files"),
        ("wide", "written by anyone"),
    ):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(Unavailable, match=words) as refused:
            FileStorage(tmp_path / name).open()
        assert refused.value.hint
        assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(Unavailable, match="no file store"):
        FileStorage(tmp_path / "absent", create=False).open()
    with pytest.raises(Unavailable, match="no file store"):
        FileStorage(tmp_path / "absent", read_only=True).open()
    assert not (tmp_path / "absent").exists()


def test_a_file_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    small(tmp_path / "store")
    journal = tmp_path / "store/graphs/default/journal-0000000000000001.jsonl"
    journal.rename(tmp_path / "elsewhere")
    journal.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable) as refused:
        FileStorage(tmp_path / "store").open()
    assert "symbolic link" in refused.value.hint


def test_what_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        session(FileStorage(tmp_path / "store"), [])
    finally:
        os.umask(old)
    for path in (tmp_path / "store", *(tmp_path / "store").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


MARKERS = {
    b'{"intentstore":99,"encoding":"json"}\n': TooNew,
    b'{"intentstore":2,"encoding":"xml"}\n': TooNew,
    b'{"intentstore":1e999,"encoding":"json"}\n': Corrupt,
    b'{"intentstore":"1","encoding":"json"}\n': Corrupt,
    b"[]": Corrupt,
    b"{}": Corrupt,
    b"": Corrupt,
    b"\xff": Corrupt,
    b"[" * 100_000: Corrupt,
}


@pytest.mark.parametrize(("content", "kind"), MARKERS.items(), ids=range(len(MARKERS)))
def test_a_marker_of_another_format_is_refused(tmp_path: Path, content: bytes, kind: type[Exception]) -> None:
    small(tmp_path / "store")
    (tmp_path / "store" / "format.json").write_bytes(content)
    with pytest.raises(kind):
        FileStorage(tmp_path / "store").open()


@pytest.mark.parametrize("body", [b'{"journal":99,"graph":"default"}', b'{"novel":1}'])
def test_a_journal_record_of_a_newer_format_is_refused(tmp_path: Path, body: bytes) -> None:
    files = small(tmp_path / "store")
    name = "journal-0000000000000001.jsonl"
    *_, digest, _ = files[name].splitlines()[-1].split(b" ", 5)
    line, _ = write_frame(body, revision=3, group=3, prev=digest.decode())
    path = tmp_path / "store/graphs/default" / name
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(TooNew):
        FileStorage(tmp_path / "store").open()


def test_a_lock_held_beyond_the_deadline_is_busy(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as holder:
        with holder._hold.held(), pytest.raises(Busy, match=r"for 0.02 s"):
            FileStorage(tmp_path / "store", timeout_s=0.02).open()
        with opened(tmp_path / "store", timeout_s=0.02) as late:
            put(late, "a")


def test_locks_that_do_not_exclude_are_refused_and_network_disks_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Disk, "lock_excludes", lambda *_: False)
        with pytest.raises(Locked):
            FileStorage(tmp_path / "store").open()
    monkeypatch.setattr(hold_module, "network_kind", lambda _: "nfs4")
    with pytest.warns(UserWarning, match="nfs4"), opened(tmp_path / "store"):
        pass


def test_reading_only_needs_no_permission_to_write_and_changes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "store"
    small(place, head=False, compacted=True)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for path in sorted(place.rglob("*"), reverse=True):
        path.chmod(0o500 if path.is_dir() else 0o400)
    with opened(place, read_only=True) as storage:
        assert storage.revision == 3
        assert list(storage.verify()) == []
        with pytest.raises(ReadOnly):
            put(storage, "d")
        with pytest.raises(ReadOnly):
            storage.compact()
    with pytest.raises(Closed):
        storage.fetch(["a"])
    assert {path: path.read_bytes() for path in before} == before
    for path in place.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def test_line_breaks_other_than_the_newline_are_part_of_a_goal(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as storage:
        put(storage, an_intent("a", LINE_BREAKERS))
        storage.compact()
        put(storage, an_intent("b", LINE_BREAKERS))
    with opened(tmp_path / "store") as storage:
        assert [each and each.goal for each in storage.fetch(["a", "b"])] == [LINE_BREAKERS] * 2


# --- what others do meanwhile ---


@pytest.mark.parametrize("longer", [False, True])
def test_a_record_that_another_process_took_back_is_forgotten(tmp_path: Path, longer: bool) -> None:
    """A full disk, found out at the sync; in between others have read the record, whole but not durable."""
    place, seen = tmp_path / "store", []
    with opened(place) as reader, opened(place) as writer:
        disk = Counting("sync")
        with opened(place, disk=disk) as mine:
            put(mine, "z")

            def peek_and_fail(name: str, given: tuple[Any, ...]) -> None:
                disk.at = None
                seen.extend([reader.revision, writer.revision, reader.commit("lost") is not None])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            disk.at, disk.act = disk.calls, peek_and_fail
            with pytest.raises(Full):
                put(mine, "a", id="lost")
            assert seen == [2, 2, True]
            put(mine, an_intent("b", "x" * 300 if longer else "Reach b"), id="kept")
            if longer:
                assert [each and each.id for each in reader.fetch(["a", "b"])] == [None, "b"]
            put(writer, "c", id="next")
            assert [each and each.id for each in reader.fetch(["a", "b", "c"])] == [None, "b", "c"]
            assert reader.commit("lost") is None
            assert list(reader.verify()) == []
    assert [commit.id for commit in reopened(place).entries()][1:] == ["kept", "next"]


def test_a_reader_between_two_journal_files_finds_the_second(tmp_path: Path) -> None:
    disk = Counting("open_append")
    with opened(tmp_path / "store", disk=disk) as writer, opened(tmp_path / "store", read_only=True) as reader:
        put(writer, "a")
        disk.at, disk.act = disk.calls, lambda *_: seen.append(reader.revision)
        seen: list[int] = []
        writer.compact()
        disk.at = None
        put(writer, "b")
        assert seen
        assert reader.fetch(["b"]) != [None]


def test_a_head_never_names_what_a_power_cut_can_take_in_a_relaxed_store(tmp_path: Path) -> None:
    disk = LossyDisk()
    storage = FileStorage(tmp_path / "store", durability="relaxed", disk=disk)
    storage.open()
    put(storage, "a")
    storage.close()
    disk.crash()
    with opened(tmp_path / "store") as again:
        assert again.fetch(["a"]) != [None]


def test_the_sizes_of_files_that_go_away_meanwhile_are_left_out(tmp_path: Path) -> None:
    small(tmp_path / "store")
    (tmp_path / "store/graphs/default/gone").symlink_to(tmp_path / "nowhere")
    assert Home(Disk(), tmp_path / "store").size("default") > 0


# --- the system's own words ---


@pytest.mark.parametrize(
    ("number", "doing", "kind"),
    [
        (errno.ENOSPC, "writing", Full),
        (errno.EDQUOT, "writing", Full),
        (errno.EFBIG, "writing", Full),
        (errno.EROFS, "opening", ReadOnly),
        (errno.EACCES, "opening", ReadOnly),
        (errno.ELOOP, "opening", Unavailable),
        (errno.EIO, "reading", Corrupt),
        (errno.EIO, "writing", Unavailable),
        (errno.ENOLCK, "opening", Locked),
        (errno.EMFILE, "opening", Unavailable),
    ],
)
def test_each_system_error_has_one_meaning(number: int, doing: str, kind: type[Exception]) -> None:
    error = storage_error(OSError(number, os.strerror(number)), Path("store"), doing)
    assert type(error) is kind
    assert error.hint


def test_a_machine_without_mountinfo_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise OSError(errno.ENOENT, "no /proc")

    monkeypatch.setattr(Path, "read_text", fail)
    assert network_kind(Path("/")) is None


def test_a_lock_that_fails_otherwise_than_by_being_held_says_so(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Disk().lock(fd, timeout_s=0)


def test_who_may_not_read_the_directory_above_still_makes_a_store(tmp_path: Path) -> None:
    class Above(Disk):
        def sync_directory(self, path: Path) -> None:
            if path == tmp_path.parent:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            super().sync_directory(path)

    with opened(tmp_path / "store", disk=Above()) as storage:
        put(storage, "a")


def test_a_journal_file_in_the_way_of_a_new_one_is_never_overwritten(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "store")
    storage.open()
    put(storage, "a")
    folder = tmp_path / "store/graphs/default"
    stranger = folder / "journal-0000000000000002.jsonl"
    stranger.write_bytes((folder / "journal-0000000000000001.jsonl").read_bytes())
    with pytest.raises(Corrupt, match="belongs to another log"):
        storage.compact()
    assert stranger.read_bytes() != b""
    with pytest.raises(Corrupt):
        storage.close()
