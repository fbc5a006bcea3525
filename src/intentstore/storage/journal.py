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
    if not (length.isdigit() and revision.isdigit() and group.isdigit()) or int(length) != len(body):
        return None
    if sha256(b"%b %b %b %b" % (revision, group, prev, body)).hexdigest()[:32].encode() != digest:
        return None
    try:
        return Frame(int(revision), int(group), prev.decode("ascii"), digest.decode("ascii"), body)
    except (UnicodeDecodeError, ValueError):
        return None


def has_frame_after(data: bytes, group: int) -> bool:
    """True when the data holds a whole frame of a later sync group: what stands before it is no torn tail."""
    for line in data.split(b"\n"):
        frame = read_frame(line)
        if frame is not None and frame.group > group:
            return True
    return False
