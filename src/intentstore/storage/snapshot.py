"""The state at one revision as a file, so that opening need not replay every commit.

One record a line, tab between fields, the last line a digest of all before it. Intents stay bytes until read.
Knows the index it fills and writes; does not decide when to write.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from ..codec import decode_change, decode_edge, encode_change, encode_edge
from ..ground.change import Define, Head
from ..ground.errors import Corrupt, TooNew
from ..ground.types import EdgeType
from .disk import Disk
from .index import Index
from .segments import Place

VERSION = 1


def snapshot_path(folder: Path, revision: int) -> Path:
    """Returns where the snapshot at this revision stands."""
    return folder / f"snapshot-{revision:016d}.tsv"


def snapshots(disk: Disk, folder: Path) -> list[int]:
    """Returns the revisions of the snapshots in a folder, in order."""
    names = [name for name in disk.names(folder) if name.startswith("snapshot-") and name.endswith(".tsv")]
    return sorted(int(name[9:-4]) for name in names if name[9:-4].isdigit())


def write_snapshot(disk: Disk, folder: Path, index: Index, place: Place, graph: str) -> int:
    """Writes the index as the snapshot at ``place``, whole or not at all; returns its length in bytes."""
    path = snapshot_path(folder, place.revision)
    header = {"snapshot": VERSION, "graph": graph, "revision": place.revision, "sum": place.sum}
    temporary = path.with_name(path.name + ".tmp")
    if disk.is_there(temporary):
        disk.remove(temporary)
    digest, length = sha256(), 0
    fd = disk.open_append(temporary, create=True)
    try:
        for block in _blocks(header, index):
            digest.update(block)
            length += len(block)
            disk.append(fd, block)
        disk.append(fd, b"end\t%b\n" % digest.hexdigest().encode())
        disk.sync(fd)
    except OSError:
        with contextlib.suppress(OSError):  # it takes space on what may be a full disk
            disk.remove(temporary)
        raise
    finally:
        disk.close(fd)
    disk.rename(temporary, path)
    disk.sync_directory(folder)
    return length


def _blocks(header: dict[str, Any], index: Index) -> Iterator[bytes]:
    """Yields the snapshot's lines in blocks of about a megabyte."""
    block: list[bytes] = []
    size = 0
    for line in _lines(header, index):
        block.append(line)
        size += len(line)
        if size > 1 << 20:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join(block)


def _lines(header: dict[str, Any], index: Index) -> Iterator[bytes]:
    yield b"head\t%b\n" % msgspec.json.encode(header)
    for id, body in index.bodies():
        head = index.head(id)
        yield b"i\t%b\t%d\t%b\t%b\n" % (id.encode(), head.revision, head.hash.encode(), body)
    for edge in index.edges():
        head = index.head(edge.key)
        yield b"e\t%d\t%b\t%b\n" % (head.revision, head.hash.encode(), encode_edge(edge))
    for subject, head in index.graves():
        yield b"g\t%d\t%b\t%b\n" % (head.revision, head.hash.encode(), msgspec.json.encode(_plain(subject)))
    for name, value, head in index.defined():
        body = encode_change(Define(name=name, value=value))
        yield b"d\t%d\t%b\t%b\n" % (head.revision, head.hash.encode(), body)


def _plain(subject: Any) -> Any:
    return subject if isinstance(subject, str) else [str(part) for part in subject]


def read_snapshot(disk: Disk, folder: Path, revision: int, graph: str) -> tuple[Index, str, int]:
    """Returns the index a snapshot holds, the journal's sum there, and its length; damage is `Corrupt`."""
    path = snapshot_path(folder, revision)
    data = disk.read_whole(path)
    hint = "the journal is the truth: move this snapshot away and the store replays the journal"
    cut = data.rfind(b"\nend\t") + 1
    if data[cut:] != b"end\t%b\n" % sha256(memoryview(data)[:cut]).hexdigest().encode():
        raise Corrupt(str(path), "the snapshot does not match its digest", hint=hint)
    collecting = gc.isenabled()
    gc.disable()  # 100k live objects: the collector would walk them again and again, 0.3 s
    try:
        return _load(data[:cut].split(b"\n"), path, revision, graph, cut)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise Corrupt(str(path), f"the snapshot cannot be read: {error}", hint=hint) from error
    finally:
        if collecting:
            gc.enable()


def _load(lines: list[bytes], path: Path, revision: int, graph: str, length: int) -> tuple[Index, str, int]:
    header = msgspec.json.decode(lines[0].partition(b"\t")[2])
    if header["snapshot"] > VERSION:
        raise TooNew(f"{path}: written by a newer intentstore", hint="upgrade intentstore")
    if header["graph"] != graph or header["revision"] != revision:
        raise Corrupt(str(path), f"is the snapshot of {header['graph']!r} at revision {header['revision']}")
    index = Index()
    index.revision = revision
    load_intent = index.load_intent
    for line in lines[1:-1]:
        kind, rest = line[:2], line[2:]
        if kind == b"i\t":
            id, at, hash, body = rest.split(b"\t", 3)
            load_intent(id.decode(), body, Head(int(at), hash.decode()))
        elif kind == b"e\t":
            at, hash, body = rest.split(b"\t", 2)
            index.load_edge(decode_edge(body), Head(int(at), hash.decode()))
        elif kind == b"d\t":
            at, hash, body = rest.split(b"\t", 2)
            change = decode_change(body)
            assert type(change) is Define
            index.load_definition(change.name, change.value, Head(int(at), hash.decode()))
        else:
            at, hash, body = rest.split(b"\t", 2)
            index.load_grave(_subject(msgspec.json.decode(body)), Head(int(at), hash.decode()))
    return index, header["sum"], length


def _subject(plain: Any) -> Any:
    return plain if isinstance(plain, str) else (plain[0], EdgeType(plain[1]), plain[2])


def drop_older(disk: Disk, folder: Path, keep: int) -> None:
    """Removes the snapshots before ``keep``; the caller has made that one durable."""
    for revision in snapshots(disk, folder):
        if revision < keep:
            disk.remove(snapshot_path(folder, revision))
