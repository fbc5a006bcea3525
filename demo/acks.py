"""Owns a worker's own memory: a file of JSON lines that says which writes the store acknowledged to it.

A line is synced before the worker goes on, so whatever stands here was acknowledged; what the store has beyond
it was written but not yet acknowledged. Shares nothing with the store it is held against.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: a write is about to be asked for, was acknowledged, or was refused because another was first."""

    kind: Literal["begin", "ack", "race"]
    graph: str
    intent: str
    commit: str
    revision: int = 0
    did: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class AckFile:
    """Appends lines; `acknowledged` returns when its line is on stable storage."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def write(self, line: Line) -> None:
        """Appends the line; an acknowledgement is synced."""
        os.write(self._fd, _encode(line) + b"\n")
        if line.kind == "ack":
            os.fsync(self._fd)


def read_lines(path: Path) -> list[Line]:
    """Returns the whole lines of the file, none if it is not there yet; a line cut short does not count."""
    if not path.exists():
        return []
    *whole, _ = path.read_bytes().split(b"\n")
    return [_decode(line) for line in whole]


def in_the_air(lines: list[Line]) -> Line | None:
    """Returns the write that was begun last if its outcome was never learnt."""
    return lines[-1] if lines and lines[-1].kind == "begin" else None
