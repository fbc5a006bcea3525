"""The journal of one graph as a row of files, read and appended frame by frame.

Owns where the log ends, and what may be cut there. ``journal-N.jsonl`` begins with a header frame and holds the
commits from revision N on; an end frame says that the next file goes on. Behind the last frame may lie a pad of empty
lines, into which the next ones are written: a sync of bytes that have their place on the disk takes 0.7 of the time of
one that makes the file longer. Knows frames, not what a commit changes.
"""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..ground.errors import Corrupt, TooNew
from .bodies import is_commit
from .disk import Disk
from .journal import ZERO, Frame, is_damage, read_frame, write_frame
from .scan import frames_of, lines, refuse_marks

VERSION = 2
PAD_BYTES = 256 << 10
"""A multiple of this is how long a padded file becomes."""
PAD_AFTER = 8
"""Sync groups that an opener has written before it pads: who writes once and leaves need not."""
_MARK = 160
"""Of a frame, enough to hold its sum: by these bytes the last one read is known again."""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Place(msgspec.Struct, frozen=True):
    """Where the log has been read to: the file's first revision, the offset in it, the last revision and sum."""

    segment: int = 1
    offset: int = 0
    revision: int = 0
    sum: str = ZERO


class Segments:
    """The journal files of one graph directory, and how far they have been read."""

    def __init__(self, disk: Disk, folder: Path, graph: str, *, durable: bool = True) -> None:
        self.disk, self.folder, self.graph, self.durable = disk, folder, graph, durable
        self.place = Place()
        self.fd = -1
        self.at_end = False
        """The open file has its end frame; the next commit belongs into a new file."""
        self.head = Place()
        """What the stored head names; the frame that ends there must be the one it names."""
        self.unsynced = False
        """The last sync group was read: whoever wrote it may not have lived to sync it, or its sync may have failed."""
        self.version = VERSION
        """The version that the header of the open file names."""
        self._group = 0
        self._group_offset = 0
        self._last = 0
        self._mark = b""
        self._written = 0
        self._left = -1
        self._name = ""

    # --- files ---

    def path(self, first: int) -> Path:
        """Returns the path of the journal file that begins with this revision."""
        return self.folder / f"journal-{first:016d}.jsonl"

    def firsts(self) -> list[int]:
        """Returns the first revisions of the journal files there are, in order."""
        cores = [name[8:-6] for name in self.disk.names(self.folder) if _is_journal(name)]
        return sorted(int(core) for core in cores if core.isdigit())

    def enter(self, place: Place, *, writable: bool) -> None:
        """Opens the file a place lies in, ready to read on from there."""
        path = self.path(place.segment)
        try:
            fd = self.disk.open_write(path, create=False) if writable else self.disk.open_read(path)
        except FileNotFoundError:
            raise Corrupt(str(path), "the journal file is missing", hint="restore it, or a backup") from None
        # Another thread may be about to ask for the size of the file left, so that one stays open until the next.
        left, self._left, self.fd, self._name = self._left, self.fd, fd, str(path)
        self.place, self.at_end = place, False
        self._group = self._group_offset = self._last = 0
        self._mark = b""
        if left >= 0:
            self.disk.close(left)

    def in_place(self) -> bool:
        """True unless another folder was put in the place of the one whose journal is open. 3 us."""
        return self.disk.is_still(self.fd, self._name)

    def leave(self) -> None:
        """Closes the open file."""
        fds, self.fd, self._left = [fd for fd in (self.fd, self._left) if fd >= 0], -1, -1
        try:
            for fd in fds[:1]:
                self.disk.close(fd)
        finally:  # one that failed to close is closed all the same
            for fd in fds[1:]:
                self.disk.close(fd)

    def create(self, place: Place) -> None:
        """Makes a journal file that goes on behind a place, durable with its name; what a crash left of it goes."""
        path = self.path(place.revision + 1)
        line = self.first_line(place)
        digest = line.split(b" ", 5)[4].decode()
        fd = self.disk.open_write(path, create=True)
        try:
            if self.disk.size(fd) > len(line):  # no longer than its header, it never held a commit
                raise Corrupt(str(path), "holds what belongs to another log")
            self.disk.truncate(fd, 0)
            self.disk.write(fd, 0, line)
            self.disk.sync(fd)
        finally:
            self.disk.close(fd)
        self.disk.sync_directory(self.folder)
        self.enter(Place(place.revision + 1, len(line), place.revision, digest), writable=True)
        self.version, self._mark = VERSION, line

    def is_longer_than_new(self) -> bool:
        """True when the first journal file holds more than its header may take: there were commits in it."""
        fd = self.disk.open_read(self.path(1))
        try:
            return self.disk.size(fd) > len(self.first_line(Place(0)))
        finally:
            self.disk.close(fd)

    def first_line(self, place: Place) -> bytes:
        """Returns the header of the journal file that goes on behind a place."""
        body = msgspec.json.encode({"journal": VERSION, "graph": self.graph})
        line, _ = write_frame(body, revision=place.revision, group=place.revision, prev=place.sum)
        return line

    # --- reading on ---

    def read_on(self, *, writable: bool) -> Iterator[Frame]:
        """Yields the whole commit frames behind the place, moving it; stops at the first that is not whole.

        A frame that is whole but does not continue the one before is `Corrupt`: no crash makes one.
        """
        while True:
            for offset, line in lines(self.disk, self.fd, self.place.offset):
                frame = read_frame(line)
                if frame is None:
                    refuse_marks(f"{self.path(self.place.segment)} at byte {offset}", line)
                    return
                self._check(frame)
                place = Place(self.place.segment, offset + len(line) + 1, frame.revision, frame.sum)
                if place.segment == self.head.segment and offset < self.head.offset <= place.offset:
                    self._check_head(place)
                if frame.group != self._group or offset == 0:
                    self._group, self._group_offset = frame.group, offset
                self.place, self._last, self._mark, self.unsynced = place, offset, line[:_MARK], True
                self.at_end = frame.body.startswith(b'{"end"')
                if is_commit(frame.body):
                    yield frame
            if not self.at_end or not self.disk.is_there(self.path(self.place.revision + 1)) or not self.in_place():
                return  # where the folder was put by for another, the next file is another log's
            following = Place(self.place.revision + 1, 0, self.place.revision, self.place.sum)
            self.enter(following, writable=writable)

    def _check(self, frame: Frame) -> None:
        where = f"{self.path(self.place.segment)} at byte {self.place.offset}"
        if frame.prev != self.place.sum:
            raise Corrupt(where, f"revision {frame.revision} does not continue revision {self.place.revision}")
        if frame.body.startswith(b'{"journal"'):
            found = msgspec.json.decode(frame.body)
            if found["journal"] > VERSION:
                raise TooNew(f"{where}: written by a newer intentstore", hint="upgrade intentstore")
            if found["graph"] != self.graph:
                raise Corrupt(where, f"belongs to the graph {found['graph']!r}, not {self.graph!r}")
            self.version = found["journal"]
        elif frame.body.startswith(b'{"end"'):
            return
        elif not is_commit(frame.body):
            raise TooNew(f"{where}: a record of an unknown kind", hint="upgrade intentstore")
        elif frame.revision <= self.place.revision:
            raise Corrupt(where, f"revision {frame.revision} comes after {self.place.revision}")

    def _check_head(self, place: Place) -> None:
        if place != self.head:
            raise Corrupt(
                f"{self.path(place.segment)} at byte {place.offset}",
                f"revision {place.revision} is not the one the head names",
            )

    def still_there(self) -> bool:
        """True when the last frame read is still where it was: nobody has taken it back and put another there."""
        return self.disk.read(self.fd, self._last, len(self._mark)) == self._mark

    def is_behind(self) -> bool:
        """True when something stands behind the place, whole or not."""
        return self.disk.read(self.fd, self.place.offset, 1) not in (b"", b"\n")

    def is_current(self) -> bool:
        """True when the journal is as it was read: it ends at the place, and what was read last is still there."""
        return not self.at_end and self.still_there() and not self.is_behind()

    def check_reached(self, head: Place) -> None:
        """Raises `Corrupt` if what could be read ends before the place the stored head names."""
        if (self.place.segment, self.place.offset) < (head.segment, head.offset):
            raise Corrupt(
                f"{self.path(self.place.segment)} at byte {self.place.offset}",
                f"the journal is whole up to revision {self.place.revision}, but the head names {head.revision}",
            )

    def make_safe(self) -> None:
        """Puts what was read on stable storage, names included: those who wrote it may have died before.

        The last group is written again first: had its sync failed, Linux would take it for written, and no sync
        would reach it. The groups before it are safe, for nobody builds on one without this or its own sync.
        """
        self._put(b"")
        self.disk.sync(self.fd)
        self.disk.sync_directory(self.folder)
        self.unsynced = False

    def settle_tail(self, head: Place) -> int:
        """Cuts what a crash left behind the last whole frame and returns its length; the caller holds the lock.

        Damage before the stored head, with a later sync group behind it, or with a later file, is `Corrupt` and
        nothing is cut. When it returns, the whole journal is on stable storage and ready for the next commit.
        """
        size = self.disk.size(self.fd)
        rest = self.disk.read(self.fd, self.place.offset, size - self.place.offset)
        where = f"{self.path(self.place.segment)} at byte {self.place.offset}"
        self.check_reached(head)
        if is_damage(rest):
            raise Corrupt(where, f"what follows revision {self.place.revision} is damaged and later records are whole")
        if self.firsts()[-1] > self.place.segment:
            raise Corrupt(where, "the journal stops here, but a later file goes on")
        torn = rest.rstrip(b"\n")
        if torn:
            self.disk.truncate(self.fd, self.place.offset)
        self.make_safe()
        if self.place.offset == 0:
            before = Place(0, 0, self.place.revision, self.place.sum)
            self.create(before)
        elif self.at_end:
            self.create(self.place)
        return len(torn)

    # --- appending ---

    def append(self, bodies: list[tuple[int, bytes]]) -> None:
        """Appends these (revision, body) records as one sync group; durable when it returns, the place moved."""
        group, prev = bodies[0][0], self.place.sum
        written = []
        for revision, body in bodies:
            line, prev = write_frame(body, revision=revision, group=group, prev=prev)
            written.append(line)
        data = b"".join(written)
        self._make_durable(data, pad=self._written >= PAD_AFTER, sync=self.durable)
        self._written += 1
        self._group, self._group_offset = group, self.place.offset
        self._last, self._mark = self.place.offset + len(data) - len(written[-1]), written[-1][:_MARK]
        self.place = Place(self.place.segment, self.place.offset + len(data), bodies[-1][0], prev)

    def _make_durable(self, data: bytes, *, pad: bool = False, last: bool = False, sync: bool = True) -> None:
        """Writes data at the place and syncs. Where there is no space it leaves nothing behind and says so."""
        try:
            self._put(data, pad=pad)
            if last:
                self.disk.truncate(self.fd, self.place.offset + len(data))
            if sync:
                self.disk.sync(self.fd)
        except OSError as error:
            if error.errno in _NO_SPACE:
                self._take_back()
            raise
        self.unsynced = False

    def _take_back(self) -> None:
        try:
            self.disk.truncate(self.fd, self.place.offset)
            self.disk.sync(self.fd)
        except OSError as error:
            raise OSError(errno.EIO, "what was half written cannot be taken back") from error

    def _put(self, data: bytes, *, pad: bool = False) -> None:
        """Writes data at the place; before it the last group, if that may not be durable; behind it a pad, if asked."""
        start, end = self.place.offset, self.place.offset + len(data)
        if self.unsynced:
            start = self._group_offset
            data = self.disk.read(self.fd, start, self.place.offset - start) + data
        if pad and end > self.disk.size(self.fd):
            try:
                self.disk.write(self.fd, start, data.ljust(len(data) + PAD_BYTES - end % PAD_BYTES, b"\n"))
            except OSError as error:
                if error.errno not in _NO_SPACE:
                    raise
                self.disk.truncate(self.fd, self.place.offset)  # there may yet be room without
            else:
                return
        if data:
            self.disk.write(self.fd, start, data)

    def trim(self) -> None:
        """Cuts the pad off, so that the file is as long as what it holds."""
        if self.disk.size(self.fd) > self.place.offset:
            self.disk.truncate(self.fd, self.place.offset)

    def end(self) -> Place:
        """Closes the open file with an end frame and returns the place behind it; `create` begins the next file."""
        place = self.place
        line, digest = write_frame(b'{"end":true}', revision=place.revision, group=place.revision, prev=place.sum)
        self._make_durable(line, last=True)
        self._group, self._group_offset = place.revision, place.offset
        self._last, self._mark = place.offset, line[:_MARK]
        self.place = Place(place.segment, place.offset + len(line), place.revision, digest)
        self.at_end = True
        return self.place

    def began_behind(self) -> Place:
        """Returns the place behind which the open file, which holds nothing but its header, goes on."""
        frame = read_frame(self.disk.read(self.fd, 0, self.place.offset).rstrip(b"\n"))
        if frame is None:
            raise Corrupt(str(self.path(self.place.segment)), "the header does not match its checksum")
        return Place(0, 0, frame.revision, frame.prev)

    # --- the past ---

    def frames(self, since: int, until: int) -> Iterator[Frame]:
        """Yields the commit frames with ``since < revision <= until``, each checked; a bad one is `Corrupt`."""
        if until <= since:
            return
        firsts = self.firsts()
        start = bisect_right(firsts, since + 1) - 1
        if start < 0:
            raise Corrupt(str(self.path(1)), "the journal file is missing", hint="restore it, or a backup")
        last, prev = 0, None
        for first in firsts[start:]:
            if first > until:
                break
            last, prev = yield from frames_of(self.disk, self.path(first), since, until, prev)
        if last != until:
            raise Corrupt(str(self.path(firsts[-1])), f"revision {until} is missing")


def _is_journal(name: str) -> bool:
    return name.startswith("journal-") and name.endswith(".jsonl")
