"""What a file store keeps beside its graph: one file a space, a line a value, the last line of a key wins.

Knows frames, not what is kept. A line that is torn or damaged is passed over: what is kept here may be lost. Who
writes holds the store's writer lock; readers follow the file as it grows, or is rewritten.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from ..ground.errors import FieldInvalid
from ..ground.types import check_name
from .disk import Disk
from .journal import ZERO, read_frame, write_frame

REWRITE_BYTES = 64 << 10
"""A file longer than this, and than four times what it is worth, is rewritten."""
MAX_VALUE_BYTES = 1 << 20


def checked(space: str, items: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """Returns what is to be kept, if it may be: names as ids are, values bytes of at most a mebibyte."""
    check_name(space, "space")
    for key, value in items.items():
        check_name(key, "key")
        if value is not None and type(value) is not bytes:
            raise FieldInvalid(key, f"must be bytes to be kept, not {type(value).__name__}", hint="encode it")
        if value is not None and len(value) > MAX_VALUE_BYTES:
            raise FieldInvalid(key, f"is {len(value)} bytes, over {MAX_VALUE_BYTES}", hint="keep it in parts")
    return dict(items)


def chosen(held: Mapping[str, bytes], keys: Sequence[str] | None) -> dict[str, bytes]:
    """Returns what is held under these keys, or under all of them."""
    return dict(held) if keys is None else {key: held[key] for key in keys if key in held}


class _Space:
    """One file, as far as it was read."""

    def __init__(self, identity: int) -> None:
        self.identity = identity
        self.offset = 0
        self.held: dict[str, bytes] = {}


class Aside:
    """The spaces of one graph's folder."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk, self._folder = disk, folder
        self._spaces: dict[str, _Space] = {}

    def path(self, space: str) -> Path:
        """Returns the file of a space."""
        return self._folder / f"aside-{quote(space, safe=' ')}.jsonl"

    def read(self, space: str) -> dict[str, bytes]:
        """Returns what is kept in the space now; not to be changed by the caller."""
        if not self._disk.is_there(self.path(space)):
            return {}
        fd = self._disk.open_read(self.path(space))
        try:
            identity, size = self._disk.identity(fd), self._disk.size(fd)
            known = self._spaces.get(space)
            if known is None or identity != known.identity or size < known.offset:
                known = self._spaces[space] = _Space(identity)  # never read, or rewritten since
            if size > known.offset:
                self._take(known, self._disk.read(fd, known.offset, size - known.offset))
        finally:
            self._disk.close(fd)
        return known.held

    def _take(self, known: _Space, data: bytes) -> None:
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].split(b"\n"):
            frame = read_frame(line)
            if frame is not None:
                key, value = msgspec.json.decode(frame.body, type=tuple[str, str | None])
                if value is None:
                    known.held.pop(key, None)
                else:
                    known.held[key] = base64.b64decode(value)
        known.offset += whole

    def write(self, space: str, items: Mapping[str, bytes | None]) -> None:
        """Keeps these values; None forgets a key. Nothing is synced."""
        held = dict(self.read(space))
        for key, value in items.items():
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
        path, lines = self.path(space), b"".join(map(_line, items.items()))
        fd = self._disk.open_append(path, create=True)
        try:
            size = self._disk.size(fd)
            worth = 4 * sum(map(len, held.values())) + REWRITE_BYTES
            if size + len(lines) <= worth:
                torn = size > 0 and self._disk.read(fd, size - 1, 1) != b"\n"
                self._disk.append(fd, b"\n" + lines if torn else lines)
                return
        finally:
            self._disk.close(fd)
        self._disk.write_whole(path, b"".join(map(_line, held.items())))


def _line(item: tuple[str, bytes | None]) -> bytes:
    key, value = item
    body = msgspec.json.encode([key, None if value is None else base64.b64encode(value).decode()])
    return write_frame(body, revision=0, group=0, prev=ZERO)[0]
