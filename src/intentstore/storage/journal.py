r"""Frames on a line: how a record stands in a file so that damage shows. Knows bytes; has never heard of an intent.

::

    LENGTH REVISION GROUP PREV SUM BODY\n

LENGTH is the body's size in bytes; GROUP the revision with which the record's sync group began; PREV the SUM of
the frame before; SUM the first 32 hex digits of sha256 over ``"REVISION GROUP PREV " + BODY``. Bodies hold no
newline (they are JSON), so a file is split at ``\n`` and at nothing else.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

ZERO = "0" * 32
_LONGEST_HEAD = 160
_DIGITS = 19


class Frame(NamedTuple):
    """One whole, checked record."""

    revision: int
    group: int
    prev: str
    sum: str
    body: bytes


def write_frame(body: bytes, *, revision: int, group: int, prev: str) -> tuple[bytes, str]:
    """Returns the line for this body, newline included, and its sum."""
    head = b"%d %d %b " % (revision, group, prev.encode())
    digest = sha256(head + body).hexdigest()[:32]
    return b"%d %b%b %b\n" % (len(body), head, digest.encode(), body), digest


def read_frame(line: bytes) -> Frame | None:
    """Returns the frame a line (without its newline) holds, or None if anything about it is wrong."""
    parts = line.split(b" ", 5)
    if len(parts) != 6:
        return None
    length, revision, group, prev, digest, body = parts
    for number in (length, revision, group):
        if not number.isdigit() or len(number) > _DIGITS:
            return None
    if int(length) != len(body):
        return None
    if sha256(b"%b %b %b %b" % (revision, group, prev, body)).hexdigest()[:32].encode() != digest:
        return None
    return Frame(int(revision), int(group), prev.decode("ascii", "replace"), digest.decode(), body)


def whole_frames(data: bytes) -> list[tuple[int, Frame]]:
    """Returns (offset, frame) for each whole frame that begins a line, or follows one that lost its newline."""
    found: list[tuple[int, Frame]] = []
    start = 0
    for line in data.split(b"\n"):
        at = 0
        while at < len(line) and (end := _end_of(line, at)) is not None:
            frame = read_frame(line[at:end])
            if frame is None:
                break
            found.append((start + at, frame))
            at = end + 1
        start += len(line) + 1
    return found


def _end_of(line: bytes, at: int) -> int | None:
    """Returns where the frame that begins here ends by its own account; None if it gives none."""
    parts = line[at : at + _LONGEST_HEAD].split(b" ", 5)
    if len(parts) != 6 or not parts[0].isdigit():
        return None
    end = at + sum(map(len, parts[:5])) + 5 + int(parts[0])
    return end if end <= len(line) else None


def is_damage(rest: bytes) -> bool:
    """True when the torn write of one sync group cannot have left this behind the last whole frame.

    Frames of two groups are in it, or a whole one with which a later group begins: what stands before was durable.
    """
    frames = whole_frames(rest)
    groups = {frame.group for _, frame in frames}
    return len(groups) > 1 or any(offset > 0 and frame.revision == frame.group for offset, frame in frames)
