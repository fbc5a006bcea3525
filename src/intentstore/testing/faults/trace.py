"""What a program did to a file system, call by call, and what of it is certain to survive.

Knows inodes, names, bytes and syncs. Has never heard of an intent: the acknowledgements in a trace are opaque words.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

ROOT = 1


class Op(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One call that changed something, or promised something.

    ``kind``: create and mkdir (``directory``, ``name``, ``inode``), write (``inode``, ``offset``, ``data``), truncate
    (``inode``, ``offset`` is the length), sync, sync_failed and sync_directory (``inode``), rename (``directory``,
    ``name`` to ``target``, ``name2``), remove (``directory``, ``name``), ack (``data``).
    """

    kind: str
    inode: int = 0
    offset: int = 0
    data: bytes = b""
    directory: int = 0
    name: str = ""
    target: int = 0
    name2: str = ""


class Entry(msgspec.Struct):
    """A name in a directory: what it stood for at the last sync of the directory, and each thing it stood for since."""

    kept: int | None = None
    later: list[tuple[int, int | None]] = msgspec.field(default_factory=list)
    """(number of the op, inode or None)."""

    @property
    def now(self) -> int | None:
        """What the name stands for while nothing crashes."""
        return self.later[-1][1] if self.later else self.kept


class Content(msgspec.Struct):
    """A file's bytes: those at its last sync, and every later change in order."""

    synced: bytes = b""
    now: bytearray = msgspec.field(default_factory=bytearray)
    later: list[tuple[int, Op]] = msgspec.field(default_factory=list)
    """(number of the op, write or truncate)."""
    grown: bool = True
    """Its length changed, or it was made, since its last sync."""
    dropped: int = 0
    """How many of the later changes a failed sync has given up: they are read back, but no later sync writes them."""


def apply(content: bytearray, op: Op) -> None:
    """Does a write or a truncate to the bytes of a file."""
    end = op.offset + len(op.data)
    if op.kind == "truncate":
        if op.offset < len(content):
            del content[op.offset :]
        else:
            content.extend(bytes(op.offset - len(content)))
        return
    if op.offset > len(content):
        content.extend(bytes(op.offset - len(content)))
    content[op.offset : end] = op.data


class World:
    """The file system after some ops: what is there now, and what is certain to be there after a crash."""

    def __init__(self) -> None:
        self.files: dict[int, Content] = {}
        self.directories: dict[int, dict[str, Entry]] = {ROOT: {}}
        self.acks: list[bytes] = []
        self.at = 0
        self.committed = 0
        """On a journalling file system: every change of names or lengths before this op is durable."""

    def step(self, op: Op) -> None:
        """Does one more op."""
        self.at += 1
        match op.kind:
            case "create":
                self.files[op.inode] = Content()
                self._name(op.directory, op.name, op.inode)
            case "mkdir":
                self.directories[op.inode] = {}
                self._name(op.directory, op.name, op.inode)
            case "write" | "truncate":
                self._change(self.files[op.inode], op)
            case "sync":
                self._sync(self.files[op.inode])
            case "sync_failed":
                self.files[op.inode].dropped = len(self.files[op.inode].later)
            case "sync_directory":
                self._sync_directory(op.inode)
            case "rename":
                moved = self.directories[op.directory][op.name].now
                self._name(op.target, op.name2, moved)
                self._name(op.directory, op.name, None)
            case "remove":
                self._name(op.directory, op.name, None)
            case "ack":
                self.acks.append(op.data)
            case _:
                raise ValueError(op.kind)

    def _name(self, directory: int, name: str, inode: int | None) -> None:
        self.directories[directory].setdefault(name, Entry()).later.append((self.at, inode))

    def _change(self, file: Content, op: Op) -> None:
        before = len(file.now)
        apply(file.now, op)
        file.later.append((self.at, op))
        file.grown = file.grown or len(file.now) != before

    def _sync(self, file: Content) -> None:
        if file.grown:
            self.committed = self.at
        kept = bytearray(file.synced)
        for _, op in file.later[file.dropped :]:  # as Linux does it: pages whose sync failed are clean, never written
            apply(kept, op)
        file.synced, file.later, file.grown, file.dropped = bytes(kept), [], False, 0

    def _sync_directory(self, inode: int) -> None:
        for entry in self.directories[inode].values():
            entry.kept, entry.later = entry.now, []
        self.committed = self.at


def world_after(ops: Sequence[Op]) -> World:
    """Returns the file system after all these ops."""
    world = World()
    for op in ops:
        world.step(op)
    return world


_trace = msgspec.msgpack.Decoder(list[Op])


def load_trace(data: bytes) -> list[Op]:
    """Returns the ops that `dump_trace` wrote."""
    return _trace.decode(data)


def dump_trace(ops: Sequence[Op]) -> bytes:
    """Returns the ops as bytes."""
    return msgspec.msgpack.encode(ops)
