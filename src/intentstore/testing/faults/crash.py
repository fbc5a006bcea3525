"""From a trace to what a machine may find when it comes back: the crash images that are legal after each op.

Three models, each allowing more than the one before:

* ``kill``: the process died. Every call it made stands; the one it was in may have been done in part.
* ``ordered``: the power went, on a journalling file system (ext4, ``data=ordered``). Names and lengths come back as
  they were at some moment since the last journal commit, in the order in which they changed; appended bytes are there
  as far as the length says; overwritten sectors are old or new, each by itself.
* ``weakest``: the power went, on anything POSIX allows. Each name by itself is what it was at the last sync of its
  directory or anything since; of a file each sector by itself is old, new or torn, new ones may be zeros, and the
  length is any it had.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from random import Random

import msgspec

from .trace import ROOT, Content, Op, World, apply

SECTOR = 512
PAGE = 4096


class Model(StrEnum):
    """How much a crash may take."""

    KILL = "kill"
    ORDERED = "ordered"
    WEAKEST = "weakest"


Tree = dict[str, "bytes | Tree"]
"""A directory: names to a file's bytes or a directory."""


class Image(msgspec.Struct, frozen=True):
    """One state of the disk that a crash may leave: the files, and what had been acknowledged by then."""

    at: int
    model: Model
    tree: Tree
    acks: tuple[bytes, ...]
    digest: bytes

    def lay(self, place: Path) -> None:
        """Writes the image into an empty directory."""
        _lay(self.tree, place)


def _lay(tree: Tree, place: Path) -> None:
    for name, thing in tree.items():
        if isinstance(thing, dict):
            (place / name).mkdir(mode=0o700)
            _lay(thing, place / name)
        else:
            fd = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(fd, thing)
            finally:
                os.close(fd)


def images(ops: Sequence[Op], model: Model, *, seed: int, each: int, every: int = 1, since: int = 0) -> Iterator[Image]:
    """Yields images legal after each op, up to ``each`` of them an op, no two alike with the same acknowledgements.

    The least that can survive and the most are always among them; the rest are drawn by the seed. ``every``: look at
    each so-many-th op only, and at those around an acknowledgement. ``since``: at none before this one.
    """
    world, seen = World(), set[tuple[bytes, int]]()
    for number, op in enumerate(ops):
        luck = Random(f"{seed} {model} {number}")
        if number < since:
            world.step(op)
            continue
        near = op.kind == "ack" or (number + 1 < len(ops) and ops[number + 1].kind == "ack")
        if model is Model.KILL and op.kind == "write" and len(op.data) > 1 and (near or number % every == 0):
            yield from _fresh(_torn(world, op, luck), world, model, seen)
        world.step(op)
        if near or number % every == 0:
            yield from _fresh(_survivors(world, model, luck, each), world, model, seen)


def _fresh(trees: Iterator[Tree], world: World, model: Model, seen: set[tuple[bytes, int]]) -> Iterator[Image]:
    for tree in trees:
        digest = sha256(msgspec.msgpack.encode(tree)).digest()
        if (digest, len(world.acks)) not in seen:
            seen.add((digest, len(world.acks)))
            yield Image(world.at, model, tree, tuple(world.acks), digest)


def _torn(world: World, op: Op, luck: Random) -> Iterator[Tree]:
    """Yields what is there when a process dies in a write."""
    file = world.files[op.inode]
    for cut in {1, len(op.data) - 1, luck.randrange(1, len(op.data))}:
        torn = bytearray(file.now)
        apply(torn, Op("write", op.inode, op.offset, op.data[:cut]))
        yield _tree(
            world, ROOT, {inode: bytes(each.now) for inode, each in world.files.items()} | {op.inode: bytes(torn)}
        )


def _survivors(world: World, model: Model, luck: Random, each: int) -> Iterator[Tree]:
    now = {inode: bytes(file.now) for inode, file in world.files.items()}
    yield _tree(world, ROOT, now)
    if model is Model.KILL:
        return
    least = {inode: file.synced for inode, file in world.files.items()}
    until = world.committed if model is Model.ORDERED else -1
    yield _tree(world, ROOT, least, until=until)
    yield _tree(world, ROOT, now, until=until)
    yield _tree(world, ROOT, least)
    for _ in range(each - 4):
        if model is Model.ORDERED:
            until = luck.randint(world.committed, world.at)
            contents = {inode: _ordered(file, luck, until) for inode, file in world.files.items()}
            yield _tree(world, ROOT, contents, until=until)
        else:
            contents = {inode: _weakest(file, luck) for inode, file in world.files.items()}
            yield _tree(world, ROOT, contents, luck=luck)


def _tree(
    world: World, directory: int, contents: dict[int, bytes], *, until: int | None = None, luck: Random | None = None
) -> Tree:
    """Returns the names that survive: those before op ``until`` (all of them: None), or each as luck has it."""
    tree: Tree = {}
    for name, entry in world.directories[directory].items():
        if luck is not None:
            inode = luck.choice([entry.kept, *(inode for _, inode in entry.later)])
        else:
            inode = next((i for at, i in reversed(entry.later) if until is None or at <= until), entry.kept)
        if inode is None:
            continue
        if inode in world.directories:
            tree[name] = _tree(world, inode, contents, until=until, luck=luck)
        else:
            tree[name] = contents[inode]
    return tree


def _ordered(file: Content, luck: Random, until: int) -> bytes:
    """Returns what a journalling file system may bring back of a file: some length, overwritten sectors old or new."""
    content = bytearray(file.synced)
    for at, op in file.later:
        if op.kind == "truncate":
            if at > until:
                break
            apply(content, op)
            continue
        end = op.offset + len(op.data)
        over = min(end, len(content))
        for start in _sectors(op.offset, over):
            if luck.random() < 0.5:
                stop = min(start - start % SECTOR + SECTOR, over)
                content[start:stop] = op.data[start - op.offset : stop - op.offset]
        if end > len(content):
            if at > until or luck.random() < 0.3:
                stop = min(end, len(content) + luck.randrange(0, end - len(content) + 1) // SECTOR * SECTOR)
                _grow(content, op, stop)
                break  # what was appended later is not there either
            _grow(content, op, end)
    return bytes(content)


def _grow(content: bytearray, op: Op, stop: int) -> None:
    if stop > len(content):
        start = max(op.offset, len(content))
        apply(content, Op("write", op.inode, start, op.data[start - op.offset : stop - op.offset]))


def _sectors(start: int, stop: int) -> Iterator[int]:
    """Yields where each piece begins that lies in one sector."""
    while start < stop:
        yield start
        start += SECTOR - start % SECTOR


def _weakest(file: Content, luck: Random) -> bytes:
    """Returns what the weakest disk may bring back of a file."""
    if not file.later:
        return file.synced
    versions = [file.synced]
    content = bytearray(file.synced)
    for _, op in file.later:
        apply(content, op)
        versions.append(bytes(content))
    how = luck.randrange(5)
    if how == 0:
        return luck.choice(versions)
    length = luck.choice([len(each) for each in versions])
    if how == 1:  # the length came, the bytes did not
        return versions[0][:length] + bytes(max(0, length - len(versions[0])))
    if how == 2:  # all came but one sector
        sectors = range(0, max(len(each) for each in versions), SECTOR)
        lost = luck.choice(sectors) if sectors else 0
        return _patched(versions, len(versions[-1]), lambda at: 0 if at == lost else len(versions) - 1)
    if how == 3:
        shortest = min(len(each) for each in versions)
        length = luck.randint(shortest, max(len(each) for each in versions))
    patched = _patched(versions, length, lambda _: luck.randrange(len(versions)))
    if luck.random() < 0.3:
        patched = _tear(patched, versions[-1], luck)
    return patched


def _patched(versions: list[bytes], length: int, which: object) -> bytes:
    pieces = []
    for at in range(0, length, SECTOR):
        size = min(SECTOR, length - at)
        piece = versions[which(at)][at : at + size]  # type: ignore[operator]  # a function of the offset
        pieces.append(piece + bytes(size - len(piece)))
    return b"".join(pieces)


def _tear(content: bytes, new: bytes, luck: Random) -> bytes:
    """Returns the content with one sector whose first bytes are new and whose rest is as it was."""
    if not content:
        return content
    at = luck.randrange(len(content)) // SECTOR * SECTOR
    cut = at + luck.randrange(SECTOR)
    return (
        content[:at] + new[at : min(cut, len(content))] + content[min(cut, len(content)) :]
        if len(new) >= cut
        else content
    )
