"""Makes sure of the last transaction in an SQLite write-ahead log before anything is built upon it.

A sync that failed leaves pages that Linux takes for clean: they are in memory, not on the disk, and no later sync
writes them. SQLite's recovery reads such a transaction back as if it were durable. Writing the same bytes again makes
them dirty anew, so that the next sync is true of them. Only the last transaction can be so: each was made sure of, by
its own sync or here, before the next was begun. Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.
"""

from __future__ import annotations

import os
from pathlib import Path

_HEADER, _FRAME_HEADER = 32, 24
_TOGETHER = 1 << 20


def write_again(path: Path) -> int:
    """Writes the last transaction's frames in place once more, the same bytes, syncs, and returns how many there are.

    The caller holds SQLite's write lock, so that nobody else writes the log. No log, or an empty one, is none.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        header = os.pread(fd, _HEADER, 0)
        if len(header) < _HEADER:
            return 0
        size = int.from_bytes(header[8:12], "big") + _FRAME_HEADER
        salts = header[16:24]
        frames = _written(fd, size, salts)
        begin = _begin_of_last(fd, size, frames)
        for offset in range(_HEADER + begin * size, _HEADER + frames * size, _TOGETHER):
            data = os.pread(fd, min(_TOGETHER, _HEADER + frames * size - offset), offset)
            os.pwrite(fd, data, offset)
        if begin == 0:
            os.pwrite(fd, header, 0)
        os.fdatasync(fd)
        return frames - begin
    finally:
        os.close(fd)


def _written(fd: int, size: int, salts: bytes) -> int:
    """Returns how many frames bear the header's salts: they stand at the beginning, those of older logs behind them."""
    low, high = 0, max(0, os.fstat(fd).st_size - _HEADER) // size
    while low < high:
        middle = (low + high) // 2
        if os.pread(fd, 8, _HEADER + middle * size + 8) == salts:
            low = middle + 1
        else:
            high = middle
    return low


def _begin_of_last(fd: int, size: int, frames: int) -> int:
    """Returns the first frame of the last transaction: the one behind the last commit mark but one."""
    marks = 0
    for at in range(frames - 1, -1, -1):
        marks += os.pread(fd, 4, _HEADER + at * size + 4) != b"\0\0\0\0"
        if marks == 2:
            return at + 1
    return 0
