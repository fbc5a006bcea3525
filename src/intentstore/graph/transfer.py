"""Backup, restore and copy: the log of one graph, carried whole to another place and proven equal there.

A backup is a gzip file of JSON lines: a header, one line a commit, and a last line with counts and the seal.
The seal is sha256 over the hashes of all commits in order; equal seals mean equal history, hence equal state.
"""

from __future__ import annotations

import gzip
import itertools
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from ..codec import decode_commit, encode_commit
from ..ground.change import Batch, Commit, Drop, Link, Put, Unlink
from ..ground.errors import AlreadyThere, Conflict, Corrupt, TooNew, Unavailable
from ..ground.protocol import IntentStorage
from ..ground.types import Revision

VERSION = 1
_TOGETHER = 500
Progress = Callable[[int, int | None], None]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was carried: how many intents and edges live at the end of it, its last revision, and its seal (hex)."""

    intents: int
    edges: int
    revision: Revision
    seal: str


class Tally:
    """Follows a log and knows at its end what a receipt says."""

    def __init__(self) -> None:
        self._intents: set[str] = set()
        self._edges: set[Any] = set()
        self._seal = sha256()
        self.revision: Revision = 0

    def add(self, commit: Commit) -> None:
        """Counts the next commit."""
        self.revision = commit.revision
        self._seal.update(commit.hash.encode())
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

    def receipt(self) -> Receipt:
        """Returns what was counted."""
        return Receipt(
            intents=len(self._intents), edges=len(self._edges), revision=self.revision, seal=self._seal.hexdigest()
        )


def backup(storage: IntentStorage, path: Path, graph: str, progress: Progress | None = None) -> Receipt:
    """Writes the whole log to ``path``, reads it back to prove it, and only then gives the file its name."""
    if path.is_dir() or not path.parent.is_dir():
        raise Unavailable(f"{path} cannot be a backup file", hint="name a file in a directory that exists")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=3, filename="", mtime=0) as file:
                written = _write(storage, file, graph, progress)
            raw.flush()
            os.fsync(raw.fileno())
        _prove(temporary, written)
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise Unavailable(f"{path}: writing the backup failed: {error.strerror}", hint="see the disk") from error
    finally:
        temporary.unlink(missing_ok=True)
    return written


def _write(storage: IntentStorage, file: Any, graph: str, progress: Progress | None) -> Receipt:
    tally, total = Tally(), storage.revision
    file.write(msgspec.json.encode({"intentstore-backup": VERSION, "graph": graph}) + b"\n")
    for commit in storage.entries():
        file.write(encode_commit(commit) + b"\n")
        tally.add(commit)
        if progress is not None:
            progress(commit.revision, total)
    receipt = tally.receipt()
    file.write(msgspec.json.encode({"end": receipt}) + b"\n")
    return receipt


def _prove(path: Path, written: Receipt) -> None:
    tally = Tally()
    for commit in read_backup(path):
        tally.add(commit)
    if tally.receipt() != written:
        raise Corrupt(str(path), "the backup does not read back as it was written", hint="see the disk")


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_backup(path: Path) -> Iterator[Commit]:
    """Yields the commits of a backup; raises `Corrupt` with the line unless it is whole to its last one."""
    tally, end = Tally(), None
    try:
        with gzip.open(path, "rb") as file:
            _check_header(file, path)
            for number, line in enumerate(file, 2):
                if end is not None:
                    raise Corrupt(f"{path} line {number}", "stands behind the end of the backup")
                if line.startswith(b'{"end":'):
                    end = msgspec.json.decode(line, type=dict[str, Receipt])["end"]
                    continue
                commit = decode_commit(line)
                tally.add(commit)
                yield commit
    except (EOFError, gzip.BadGzipFile, zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(str(path), f"the backup is damaged: {error}", hint="use another backup") from error
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", hint="see that the file is there") from error
    if end is None or end != tally.receipt():
        raise Corrupt(str(path), "the backup ends early or does not match its seal", hint="use another backup")


def _check_header(file: gzip.GzipFile, path: Path) -> None:
    try:
        version = msgspec.json.decode(file.readline(4096), type=dict[str, Any])["intentstore-backup"]
    except (msgspec.MsgspecError, KeyError):
        raise Corrupt(
            str(path), "is not a backup of intentstore", hint="import other files with intent import"
        ) from None
    if version > VERSION:
        raise TooNew(f"{path}: written by a newer intentstore", hint="upgrade intentstore")


def replay(commits: Iterable[Commit], target: IntentStorage, progress: Progress | None, total: int) -> Receipt:
    """Applies a log to another storage as it was, checks that every hash comes out equal, and returns the receipt.

    The target must be empty or hold an earlier part of the same log; it then goes on where it stopped.
    """
    tally = Tally()
    there = {"revision": target.revision}
    mine = target.entries()
    rest: list[Commit] = []
    for commit in commits:
        tally.add(commit)
        if commit.revision <= there["revision"]:
            same = next(mine, None)
            if same is None or same.hash != commit.hash:
                raise AlreadyThere(
                    f"the target holds another history from revision {commit.revision} on",
                    hint="copy to an empty graph",
                )
            continue
        rest.append(commit)
        if len(rest) == _TOGETHER:
            _apply(rest, target)
            rest = []
            if progress is not None:
                progress(commit.revision, total)
    _apply(rest, target)
    if next(itertools.islice(target.entries(tally.revision), 1), None) is not None:
        raise AlreadyThere("the target goes on beyond the log to be copied", hint="copy to an empty graph")
    return tally.receipt()


def _apply(commits: list[Commit], target: IntentStorage) -> None:
    if not commits:
        return
    made = target.apply_all([_batch(commit) for commit in commits])
    for commit, copy in zip(commits, made, strict=True):
        if commit.hash != copy.hash:
            raise Conflict(f"revision {commit.revision} came out different in the copy", hint="verify the source")


def _batch(commit: Commit) -> Batch:
    return Batch(
        changes=tuple(msgspec.structs.replace(change, before=0, prev="") for change in commit.changes),
        at=commit.at,
        id=commit.id,
        actor=commit.actor,
        reason=commit.reason,
        revision=commit.revision,
    )
