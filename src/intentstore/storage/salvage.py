"""What is provably whole in a damaged store, read without opening it: commits, and what a whole snapshot holds besides.

Changes nothing, guesses nothing: a commit is whole when its checksum and its hash are right; everything else is a
`Problem` with its place. Knows the bytes and tables of our own storages.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..codec import decode_commit
from ..ground.change import Change, Commit, Define, Drop, Head, Link, Put, Subject, Unlink
from ..ground.errors import IntentStoreError, Unavailable
from ..ground.protocol import Problem
from .bodies import is_commit, read_commit
from .disk import Disk
from .home import Home
from .journal import whole_frames
from .ledger import is_whole
from .snapshot import read_snapshot, snapshots


class Remnant(msgspec.Struct, frozen=True):
    """What a whole snapshot says of one subject: the change that leads there, and the end of its chain."""

    change: Change
    head: Head


Whole = Commit | Remnant | Problem


# --- a file store ---


def salvage_file(path: Path, graph: str, disk: Disk | None = None) -> Iterator[Whole]:
    """Yields what is whole in the folder of a graph, its commits in the order of their revisions."""
    disk = disk or Disk()
    home = Home(disk, path)
    folder = home.folder(graph)
    if not folder.is_dir():
        raise Unavailable(f"there is no graph {graph!r} in {path}", hint="see the folders in graphs/", graph=graph)
    try:
        home.read_head(graph)
    except (IntentStoreError, OSError) as error:
        yield Problem(str(folder / "head"), str(error))
    journals = sorted(name for name in disk.names(folder) if name.startswith("journal-") and name.endswith(".jsonl"))
    yield from _in_order((each for name in journals for each in _salvage_journal(folder / name, disk)), str(folder))
    yield from _salvage_snapshot(folder, graph, disk)


def _salvage_journal(path: Path, disk: Disk) -> Iterator[Commit | Problem]:
    try:
        data = disk.read_whole(path)
    except OSError as error:
        yield Problem(str(path), f"cannot be read: {error.strerror}")
        return
    read = 0
    for offset, frame in whole_frames(data):
        if data[read:offset].strip(b"\n"):
            yield Problem(f"{path} at byte {read}", f"{offset - read} bytes hold no whole record")
        fields = (len(frame.body), frame.revision, frame.group, frame.prev.encode(), frame.sum.encode())
        read = offset + len(b"%d %d %d %b %b " % fields) + len(frame.body)
        if is_commit(frame.body):
            yield _decoded(frame.body, f"{path} at byte {offset}")
    if data[read:].strip(b"\n"):
        yield Problem(f"{path} at byte {read}", f"{len(data) - read} bytes hold no whole record")


def _decoded(body: bytes | str | Problem, where: str) -> Commit | Problem:
    if isinstance(body, Problem):
        return body
    try:
        commit = decode_commit(body) if isinstance(body, str) else read_commit(body)
    except IntentStoreError as error:
        return Problem(where, f"a record cannot be read: {error}")
    return commit if is_whole(commit) else Problem(where, f"commit {commit.revision} does not match its hash")


def _salvage_snapshot(folder: Path, graph: str, disk: Disk) -> Iterator[Remnant | Problem]:
    for revision in reversed(snapshots(disk, folder)):
        try:
            index, _, _ = read_snapshot(disk, folder, revision, graph)
        except (IntentStoreError, OSError) as error:
            yield Problem(str(folder / f"snapshot at revision {revision}"), str(error))
            continue
        for intent in index.intents():
            yield Remnant(Put(intent=intent), index.head(intent.id))
        for edge in index.edges():
            yield Remnant(Link(edge=edge), index.head(edge.key))
        for name, value, head in index.defined():
            yield Remnant(Define(name=name, value=value), head)
        for subject, head in index.graves():
            yield Remnant(_removal(subject), head)
        return


def _removal(subject: Subject) -> Change:
    if isinstance(subject, str):
        return Drop(id=subject)
    assert len(subject) == 3  # definitions that were taken away are among the defined
    return Unlink(source=subject[0], type=subject[1], target=subject[2])


# --- an SQLite file ---


def salvage_sqlite(path: Path, graph: str) -> Iterator[Commit | Problem]:
    """Yields the whole commits of a graph in an SQLite file, in order; works on a copy, so the file stays as it is."""
    from .sqlite_salvage import bodies

    if not path.is_file():
        raise Unavailable(f"there is no file at {path}", hint="name the SQLite file", path=str(path))
    with tempfile.TemporaryDirectory(prefix="intentstore-salvage-") as name:
        copy = Path(name) / "copy.db"
        for end in ("", "-wal", "-journal"):
            if Path(f"{path}{end}").exists():
                shutil.copyfile(f"{path}{end}", f"{copy}{end}")
        yield from _in_order((_decoded(each, str(path)) for each in bodies(copy, graph, str(path))), str(path))


def _in_order(found: Iterator[Commit | Problem], where: str) -> Iterator[Commit | Problem]:
    last = 0
    for each in found:
        if isinstance(each, Commit):
            if each.revision <= last:
                yield Problem(where, f"revision {each.revision} stands behind revision {last}")
                continue
            last = each.revision
        yield each
