"""Backup, restore and copy: the log of one graph, carried whole to another place and proven equal there.

A backup is a gzip file of JSON lines: a header, one line a commit, and a last line with counts and the seal (`seal`).
One that goes on from a seal carries the commits behind it, and the edge of the tree up to it; one without history
carries the present state as a log of its own.
"""

from __future__ import annotations

import gzip
import itertools
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ..codec import decode_commit, encode_commit
from ..codec.merkle import Frontier
from ..ground.change import Commit, Drop, Link, Put, Unlink
from ..ground.errors import (
    AlreadyThere,
    Corrupt,
    FieldInvalid,
    Full,
    IntentStoreError,
    TooNew,
    Unavailable,
    Unsupported,
)
from ..ground.protocol import IntentStorage, Replaces
from ..ground.types import Revision
from .fresh import present_state
from .replaying import Judge, apply_as_they_were, apply_guarded, nothing_binds
from .seal import Seal, frontier_of

VERSION = 2
_TOGETHER = 500
Progress = Callable[[int, int | None], None]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was carried: how many intents and edges live at the end of it, its last revision, and its seal (hex)."""

    intents: int
    edges: int
    revision: Revision
    seal: str


class Tally:
    """Follows a log, or what of it comes behind a frontier, and knows at its end what a receipt says."""

    def __init__(self, frontier: Frontier | None = None, revision: Revision = 0) -> None:
        self._intents: set[str] = set()
        self._edges: set[Any] = set()
        self._first = sha256()
        self.frontier = frontier or Frontier()
        self.revision = revision

    def add(self, commit: Commit) -> None:
        """Counts the next commit."""
        self.revision = commit.revision
        self.frontier.append(bytes.fromhex(commit.hash))
        self._first.update(commit.hash.encode())
        for change in commit.changes:
            match change:
                case Put():
                    self._intents.add(change.intent.id)
                case Drop():
                    self._intents.discard(change.id)
                case Link():
                    self._edges.add(change.subject)
                case Unlink():
                    self._edges.discard(change.subject)
                case _:
                    pass

    def receipt(self, version: int = VERSION) -> Receipt:
        """Returns what was counted; a backup of version 1 has another seal."""
        seal = self.frontier.root().hex() if version > 1 else self._first.hexdigest()
        return Receipt(intents=len(self._intents), edges=len(self._edges), revision=self.revision, seal=seal)


class Header(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The first line of a backup. ``since``, ``commits`` and ``peaks``: what it goes on from."""

    version: int = msgspec.field(name="intentstore-backup")
    graph: str
    since: Revision = 0
    commits: int = 0
    peaks: tuple[str, ...] = ()
    history: bool = True

    def tally(self) -> Tally:
        """Returns a tally that begins where the backup does."""
        return Tally(Frontier(self.commits, [bytes.fromhex(peak) for peak in self.peaks]), self.since)


# --- writing ---


def backup(
    storage: IntentStorage,
    path: Path,
    graph: str,
    progress: Progress | None = None,
    *,
    since: Seal | None = None,
    history: bool = True,
) -> Receipt:
    """Writes the log to ``path``, reads it back to prove it, and only then gives the file its name.

    ``since``: only what was committed behind this seal, which the log must continue. ``history=False``: the present
    state, without how it came to be. Writers go on meanwhile; what they write is not in it.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise Unavailable(f"{path} cannot be a backup file", hint="name a file in a directory that exists")
    header, tally = _begin(storage, graph, since, history=history)
    commits = storage.entries(header.since) if history else present_state(storage)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as raw:
            written = write_backup(commits, raw, header, tally, progress=progress, total=storage.revision)
            raw.flush()
            os.fsync(raw.fileno())
        _prove(temporary, written)
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise _failed(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)
    return written


def _failed(error: OSError, path: Path) -> IntentStoreError:
    from errno import EDQUOT, EFBIG, ENOSPC

    what = f"{path}: writing the backup failed: {error.strerror}"
    if error.errno in (ENOSPC, EDQUOT, EFBIG):
        return Full(what, hint="free some space, or name a file on another disk", path=str(path))
    return Unavailable(what, hint="see the disk", path=str(path))


def _begin(storage: IntentStorage, graph: str, since: Seal | None, *, history: bool) -> tuple[Header, Tally]:
    """Returns the header of a backup, and a tally that has counted what stands before it."""
    tally = Tally()
    if since is None:
        return Header(version=VERSION, graph=graph, history=history), tally
    if since.commits < 0 or not history:
        raise Unavailable("a seal to go on from is a file, and needs the history", hint="make one: intent seal FILE")
    for commit in itertools.islice(storage.entries(), since.commits):
        tally.add(commit)
    if (tally.frontier.size, tally.frontier.root().hex()) != (since.commits, since.seal):
        raise Corrupt(
            f"commit {since.revision}",
            "this log does not continue the one that was sealed",
            hint="make a whole backup, and see what verify --against says",
        )
    peaks = tuple(peak.hex() for peak in tally.frontier.peaks)
    return Header(version=VERSION, graph=graph, since=since.revision, commits=since.commits, peaks=peaks), tally


def write_backup(
    commits: Iterable[Commit],
    target: BinaryIO,
    header: Header,
    tally: Tally,
    *,
    progress: Progress | None = None,
    total: int | None = None,
) -> Receipt:
    """Writes a backup as a stream; holds no more of it than a line."""
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=3, filename="", mtime=0) as file:
        file.write(msgspec.json.encode(header) + b"\n")
        for commit in commits:
            file.write(encode_commit(commit) + b"\n")
            tally.add(commit)
            if progress is not None:
                progress(commit.revision, total)
        receipt = tally.receipt()
        file.write(msgspec.json.encode({"end": receipt}) + b"\n")
    return receipt


def _prove(path: Path, written: Receipt) -> None:
    reading = Reading(path)
    for _ in reading:
        pass
    if reading.receipt != written:
        raise Corrupt(str(path), "the backup does not read back as it was written", hint="see the disk")


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# --- reading ---


class Reading:
    """A backup as it is read: iterate for its commits; `Corrupt` with the line unless it is whole to its last one.

    ``header`` at once; ``receipt`` and ``tally`` when all was read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._line = 1
        self.receipt: Receipt | None = None
        with self._translated(), gzip.open(path, "rb") as file:
            self.header = _read_header(file, path)
        self.tally = self.header.tally()

    def __iter__(self) -> Iterator[Commit]:
        with self._translated(), gzip.open(self.path, "rb") as file:
            for line in itertools.islice(file, 1, None):
                self._line += 1
                if self.receipt is not None:
                    raise Corrupt(f"{self.path} line {self._line}", "stands behind the end of the backup")
                if line.startswith(b'{"end":'):
                    self.receipt = msgspec.json.decode(line, type=dict[str, Receipt])["end"]
                    continue
                commit = self._decoded(line)
                self.tally.add(commit)
                yield commit
        if self.receipt is None or not self._as_counted(self.receipt):
            raise Corrupt(str(self.path), "the backup ends early or does not match its seal", hint="use another backup")

    def _decoded(self, line: bytes) -> Commit:
        try:
            return decode_commit(line)
        except Corrupt as error:
            where = f"{self.path} line {self._line}"
            raise Corrupt(where, f"the backup is damaged: {error.what}", hint="use another backup") from error

    def _as_counted(self, end: Receipt) -> bool:
        counted = self.tally.receipt(self.header.version)
        if self.header.since:  # how many live depends on what stands before
            return (end.revision, end.seal) == (counted.revision, counted.seal)
        return end == counted

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
            where = f"{self.path} line {self._line}"
            raise Corrupt(where, f"the backup is damaged: {error}", hint="use another backup") from error
        except OSError as error:
            raise Unavailable(f"{self.path}: {error.strerror}", hint="see that the file is there") from error


def _read_header(file: gzip.GzipFile, path: Path) -> Header:
    try:
        header = msgspec.json.decode(file.readline(1 << 16), type=Header)
    except msgspec.MsgspecError:
        raise Corrupt(
            str(path), "is not a backup of intentstore", hint="import other files with intent import"
        ) from None
    if header.version > VERSION:
        raise TooNew(f"{path}: written by a newer intentstore", hint="upgrade intentstore")
    return header


def read_backup(path: Path) -> Iterator[Commit]:
    """Yields the commits of a backup; raises `Corrupt` with the line unless it is whole to its last one."""
    return iter(Reading(path))


def seal_of_backup(path: Path) -> Seal:
    """Returns the seal of the log that a backup, proven whole, carries or goes on to."""
    reading = Reading(path)
    for _ in reading:
        pass
    frontier = reading.tally.frontier
    return Seal(
        graph=reading.header.graph,
        revision=reading.tally.revision,
        commits=frontier.size,
        seal=frontier.root().hex(),
    )


def read_seal(given: str) -> Seal:
    """Returns the seal that a file holds (of `intent seal`, or a backup), or that 64 hex digits are."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", given):
        return Seal(graph="", revision=0, commits=-1, seal=given.lower())
    path = Path(given)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unavailable(
            f"{path}: {error.strerror}", hint="give the file of a seal or backup, or 64 digits"
        ) from error
    if data[:2] == b"\x1f\x8b":
        return seal_of_backup(path)
    try:
        found = msgspec.json.decode(data, type=dict[str, Any])
        found.pop("intentstore-seal")
        return msgspec.convert(found, Seal)
    except (msgspec.MsgspecError, KeyError) as error:
        raise FieldInvalid("seal", f"{path} holds none", hint="make one with: intent seal FILE") from error


def restore(
    path: Path,
    target: IntentStorage,
    progress: Progress | None = None,
    judge: Judge = nothing_binds,
    *,
    replace: bool = False,
) -> Receipt:
    """Fills a graph from a backup, which is read and proven whole before the first write.

    The graph must be empty or hold a beginning of the same log; a backup that goes on from a seal needs it there.
    ``replace``: whatever it holds gives way. ``judge`` as for `replay`; a state without history has no deeds to judge.
    """
    whole = Reading(path)
    for _ in whole:
        pass
    header = whole.header
    if replace:
        return _replace(whole, target)
    if header.since:
        there = frontier_of(itertools.takewhile(lambda commit: commit.revision <= header.since, target.entries()))
        if [peak.hex() for peak in there.peaks] != list(header.peaks):
            raise AlreadyThere(
                f"the target does not stand at revision {header.since}, from which this backup goes on",
                hint="restore the backups before it first",
            )
    if not header.history:
        judge = nothing_binds
    made = replay(Reading(path), target, progress, whole.tally.revision, since=header, judge=judge)
    return msgspec.structs.replace(whole.receipt or made, seal=made.seal)


def _replace(whole: Reading, target: IntentStorage) -> Receipt:
    if whole.header.since:
        raise AlreadyThere("a backup that goes on from a seal replaces nothing", hint="restore a whole backup first")
    if not target.capabilities.replaces:
        raise Unsupported("this storage cannot replace a graph in one step", hint="restore to a new place")
    assert isinstance(target, Replaces)
    target.replace(Reading(whole.path))
    assert whole.receipt is not None
    return whole.receipt


def replay(
    commits: Iterable[Commit],
    target: IntentStorage,
    progress: Progress | None,
    total: int,
    *,
    since: Header | None = None,
    judge: Judge = nothing_binds,
) -> Receipt:
    """Applies a log to another storage as it was, checks that every hash comes out equal, and returns the receipt.

    The target must be empty or hold an earlier part of the same log; it then goes on where it stopped. ``judge``
    gives the guard that a commit must pass, None for one that nothing binds; those are applied many at a time.
    """
    tally = since.tally() if since is not None else Tally()
    there = target.revision
    mine = target.entries(tally.revision)
    rest: list[Commit] = []
    for commit in commits:
        tally.add(commit)
        if commit.revision <= there:
            same = next(mine, None)
            if same is None or same.hash != commit.hash:
                raise AlreadyThere(
                    f"the target holds another history from revision {commit.revision} on",
                    hint="copy to an empty graph",
                )
            continue
        guard = judge(commit)
        rest += [commit] if guard is None else []
        if guard is not None or len(rest) == _TOGETHER:
            apply_as_they_were(rest, target)
            rest = []
            apply_guarded(commit, target, guard)
            if progress is not None:
                progress(commit.revision, total)
    apply_as_they_were(rest, target)
    if next(itertools.islice(target.entries(tally.revision), 1), None) is not None:
        raise AlreadyThere("the target goes on beyond the log to be copied", hint="copy to an empty graph")
    return tally.receipt()
