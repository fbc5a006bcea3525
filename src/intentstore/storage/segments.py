"""The journal of one graph as a row of files, read and appended frame by frame.

Owns where the log ends, and what may be cut there. ``journal-N.jsonl`` begins with a header frame and holds the
commits from revision N on; an end frame says that the next file goes on. Knows frames, not what a commit changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec

from ..ground.errors import Corrupt, TooNew
from .disk import Disk
from .journal import ZERO, Frame, is_damage, read_frame, write_frame

VERSION = 1
_CHUNK = 1 << 20


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
        """Frames were read that whoever wrote them may not have lived to sync."""
        self._last = 0
        self._left = -1

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
            fd = self.disk.open_append(path, create=False) if writable else self.disk.open_read(path)
        except FileNotFoundError:
            raise Corrupt(str(path), "the journal file is missing", hint="restore it, or a backup") from None
        # Another thread may be about to ask for the size of the file left, so that one stays open until the next.
        left, self._left, self.fd = self._left, self.fd, fd
        self.place, self.at_end, self._last = place, False, 0
        if left >= 0:
            self.disk.close(left)

    def leave(self) -> None:
        """Closes the open file."""
        fds, self.fd, self._left = (self.fd, self._left), -1, -1
        for fd in fds:
            if fd >= 0:
                self.disk.close(fd)

    def create(self, place: Place) -> None:
        """Makes a journal file that goes on behind a place, durable with its name; what a crash left of it goes."""
        path = self.path(place.revision + 1)
        line = self.first_line(place)
        digest = line.split(b" ", 5)[4].decode()
        fd = self.disk.open_append(path, create=True)
        try:
            there = self.disk.read(fd, 0, len(line) + 1)
            if not line.startswith(there):
                raise Corrupt(str(path), "holds what belongs to another log")
            self.disk.truncate(fd, 0)
            self.disk.append(fd, line)
            self.disk.sync(fd)
        finally:
            self.disk.close(fd)
        self.disk.sync_directory(self.folder)
        self.enter(Place(place.revision + 1, len(line), place.revision, digest), writable=True)

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
                    return
                self._check(frame)
                place = Place(self.place.segment, offset + len(line) + 1, frame.revision, frame.sum)
                if place.segment == self.head.segment and offset < self.head.offset <= place.offset:
                    self._check_head(place)
                self.place, self._last, self.unsynced = place, offset, True
                self.at_end = frame.body.startswith(b'{"end"')
                if frame.body.startswith(b'{"revision"'):
                    yield frame
            if not self.at_end or not self.disk.is_there(self.path(self.place.revision + 1)):
                return
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
        elif frame.body.startswith(b'{"end"'):
            return
        elif not frame.body.startswith(b'{"revision"'):
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
        if self.disk.size(self.fd) < self.place.offset:
            return False
        start = self.disk.read(self.fd, self._last, min(160, self.place.offset - self._last))
        return not start or start.split(b" ", 5)[4:5] == [self.place.sum.encode()]

    def check_reached(self, head: Place) -> None:
        """Raises `Corrupt` if what could be read ends before the place the stored head names."""
        if (self.place.segment, self.place.offset) < (head.segment, head.offset):
            raise Corrupt(
                f"{self.path(self.place.segment)} at byte {self.place.offset}",
                f"the journal is whole up to revision {self.place.revision}, but the head names {head.revision}",
            )

    def make_safe(self) -> None:
        """Puts what was read on stable storage, names included: those who wrote it may have died before."""
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
        if rest:
            self.disk.truncate(self.fd, self.place.offset)
        self.make_safe()
        if self.place.offset == 0:
            before = Place(0, 0, self.place.revision, self.place.sum)
            self.create(before)
        elif self.at_end:
            self.create(self.place)
        return len(rest)

    # --- appending ---

    def append(self, bodies: list[tuple[int, bytes]]) -> None:
        """Appends these (revision, body) records as one sync group; durable when it returns, the place moved."""
        group, prev = bodies[0][0], self.place.sum
        written = []
        for revision, body in bodies:
            line, prev = write_frame(body, revision=revision, group=group, prev=prev)
            written.append(line)
        data = b"".join(written)
        self.disk.append(self.fd, data)
        if self.durable:
            self.disk.sync(self.fd)
        self.unsynced = False
        self._last = self.place.offset + len(data) - len(written[-1])
        self.place = Place(self.place.segment, self.place.offset + len(data), bodies[-1][0], prev)

    def end(self) -> Place:
        """Closes the open file with an end frame and returns the place behind it; `create` begins the next file."""
        place = self.place
        line, digest = write_frame(b'{"end":true}', revision=place.revision, group=place.revision, prev=place.sum)
        self.disk.append(self.fd, line)
        self.disk.sync(self.fd)
        self._last = place.offset
        self.place = Place(place.segment, place.offset + len(line), place.revision, digest)
        self.at_end = True
        return self.place

    def began_behind(self) -> Place:
        """Returns the place behind which the open file, which holds nothing but its header, goes on."""
        frame = read_frame(self.disk.read(self.fd, 0, self.place.offset).removesuffix(b"\n"))
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
            last, prev = yield from self._frames_of(first, since, until, prev)
        if last != until:
            raise Corrupt(str(self.path(firsts[-1])), f"revision {until} is missing")

    def _frames_of(
        self, first: int, since: int, until: int, prev: str | None
    ) -> Generator[Frame, None, tuple[int, str | None]]:
        """Yields the frames of one file; returns the revision and sum of the last read."""
        path = self.path(first)
        last = 0
        fd = self.disk.open_read(path)
        try:
            for offset, line in lines(self.disk, fd, self._find(fd, since)):
                frame = read_frame(line)
                if frame is None:
                    raise Corrupt(f"{path} at byte {offset}", "a record does not match its checksum")
                if prev not in (None, frame.prev) or (offset == 0) != frame.body.startswith(b'{"journal"'):
                    raise Corrupt(f"{path} at byte {offset}", f"revision {frame.revision} does not continue the log")
                if frame.revision > until:
                    break
                last, prev = frame.revision, frame.sum
                if frame.revision > since and frame.body.startswith(b'{"revision"'):
                    yield frame
                    if frame.revision == until:
                        break
        finally:
            self.disk.close(fd)
        return last, prev

    def _find(self, fd: int, since: int) -> int:
        """Returns the offset of some line at or before the first revision beyond ``since``, by bisection."""
        low, high = 0, self.disk.size(fd)
        while high - low > _CHUNK // 16:
            middle = (low + high) // 2
            start = _next_line(self.disk, fd, middle)
            parts = self.disk.read(fd, start, 64).split(b" ", 2) if start < high else []
            if len(parts) == 3 and parts[1].isdigit() and int(parts[1]) <= since:
                low = start
            else:
                high = middle
        return low


def _is_journal(name: str) -> bool:
    return name.startswith("journal-") and name.endswith(".jsonl")


def lines(disk: Disk, fd: int, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, line without newline) for each line that has its newline, reading a chunk at a time."""
    carry: list[bytes] = []
    start = offset
    while True:
        chunk = disk.read(fd, offset, _CHUNK)
        if not chunk:
            return
        offset += len(chunk)
        pieces = chunk.split(b"\n")
        if len(pieces) == 1:
            carry.append(chunk)
            continue
        pieces[0] = b"".join([*carry, pieces[0]])
        carry = [pieces.pop()]
        for piece in pieces:
            yield start, piece
            start += len(piece) + 1


def _next_line(disk: Disk, fd: int, offset: int) -> int:
    while True:
        chunk = disk.read(fd, offset, 1 << 16)
        if not chunk:
            return offset
        found = chunk.find(b"\n")
        if found >= 0:
            return offset + found + 1
        offset += len(chunk)
