"""Reads journal files line by line, from any place on. Knows frames, and where a file's pad begins."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from ..ground.errors import Corrupt
from .bodies import is_commit
from .disk import Disk
from .journal import Frame, read_frame

_MARKS = (b"<<<<<<< ", b"||||||| ", b"=======", b">>>>>>> ")
_FIRST_CHUNK, _CHUNK = 1 << 16, 1 << 20


def frames_of(
    disk: Disk, path: Path, since: int, until: int, prev: str | None
) -> Generator[Frame, None, tuple[int, str]]:
    """Yields the frames of one file; returns the revision and sum of the last read, of which there must be one."""
    last, digest = 0, ""
    fd = disk.open_read(path)
    try:
        for offset, line in lines(disk, fd, _find(disk, fd, since)):
            frame = read_frame(line)
            if frame is None:
                refuse_marks(f"{path} at byte {offset}", line)
                raise Corrupt(f"{path} at byte {offset}", "a record does not match its checksum")
            if prev not in (None, frame.prev) or (offset == 0) != frame.body.startswith(b'{"journal"'):
                raise Corrupt(f"{path} at byte {offset}", f"revision {frame.revision} does not continue the log")
            prev = digest = frame.sum
            if frame.revision > until:
                break
            last = frame.revision
            if frame.revision > since and is_commit(frame.body):
                yield frame
                if frame.revision == until:
                    break
    finally:
        disk.close(fd)
    if not digest:
        raise Corrupt(str(path), "holds no whole record")
    return last, digest


def _find(disk: Disk, fd: int, since: int) -> int:
    """Returns the offset of some line at or before the first revision beyond ``since``, by bisection."""
    low, high = 0, disk.size(fd)
    while high - low > _CHUNK // 16:
        middle = (low + high) // 2
        start = _next_line(disk, fd, middle)
        parts = disk.read(fd, start, 64).split(b" ", 2) if start < high else []
        if len(parts) == 3 and parts[1].isdigit() and int(parts[1]) <= since:
            low = start
        else:
            high = middle
    return low


def lines(disk: Disk, fd: int, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, line without newline) for each line that has its newline, up to the first that is empty."""
    carry: list[bytes] = []
    start, length = offset, _FIRST_CHUNK
    while True:
        chunk = disk.read(fd, offset, length)
        if not chunk:
            return
        length = _CHUNK
        if chunk.startswith(b"\n") and offset == start:
            return
        pad = chunk.find(b"\n\n")
        if pad >= 0:
            chunk = chunk[: pad + 1]
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
        if pad >= 0:
            return


def _next_line(disk: Disk, fd: int, offset: int) -> int:
    while True:
        chunk = disk.read(fd, offset, 1 << 16)
        if not chunk:
            return offset
        found = chunk.find(b"\n")
        if found >= 0:
            return offset + found + 1
        offset += len(chunk)


def refuse_marks(where: str, line: bytes) -> None:
    """Raises `Corrupt` if the line is what git writes into a file that it could not merge."""
    if line.startswith(_MARKS):
        raise Corrupt(
            where,
            "git's conflict marks are in the journal: it was merged as if it were text",
            hint="git merge --abort, then install the driver: intent git-merge --install; and merge again",
        )
