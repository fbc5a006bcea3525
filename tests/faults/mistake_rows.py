"""Mistakes planted on purpose: each must be caught by the row that is there for it, or that row proves nothing.

A mistake is a piece of the storage replaced from here; the production code has no switch for it. Each is tried with
the same experiment as the storage without it, which must find nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

from intentstore.ground.protocol import IntentStorage
from intentstore.storage import home, journal, scan, segments
from intentstore.storage.disk import Disk
from intentstore.storage.file import FileStorage
from intentstore.storage.segments import Place, Segments
from intentstore.storage.sqlite import SqliteStorage
from intentstore.testing import LossyDisk
from intentstore.testing.faults import (
    Finding,
    Model,
    Mount,
    Subject,
    check_images,
    damage,
    fail_each,
    fill_up,
    fuse,
    mounted,
    race_writers,
    record,
)
from intentstore.testing.faults.damage import cuts, flips, line_edits
from intentstore.testing.faults.errors import short_writes

from .data_rows import a_small_store
from .rows import Run, row

Experiment = Callable[[Run, Mount, Subject, Finding], None]


# --- the experiments, each small ---


def power(model: Model, *, every: int = 11) -> Experiment:
    def experiment(run: Run, mount: Mount, subject: Subject, finding: Finding) -> None:
        ops, expected = record(mount, subject, seed=run.seed + 3, acts=14)
        first = next(number for number, op in enumerate(ops) if op.kind == "ack")
        check_images(
            subject, ops, expected, finding, model=model, seed=run.seed, each=6, since=first, every=every, enough=5
        )

    return experiment


def failing(call: str) -> Experiment:
    def experiment(run: Run, mount: Mount, subject: Subject, finding: Finding) -> None:
        for once in (True, False):
            fail_each(
                mount, subject, finding, call=call, number=errno.EIO, once=once, seed=run.seed, acts=6, goes_on=False
            )

    return experiment


def full(run: Run, mount: Mount, subject: Subject, finding: Finding) -> None:
    fill_up(mount, subject, finding, seed=run.seed, acts=6, step=701)


def short(run: Run, mount: Mount, subject: Subject, finding: Finding) -> None:
    short_writes(mount, subject, finding, seed=run.seed, acts=4)


def flipped(run: Run, mount: Mount, subject: Subject, finding: Finding) -> None:
    _edited(run, subject, finding, lambda data: flips(data, every=5, luck=Random(run.seed)))


def cut(run: Run, mount: Mount, subject: Subject, finding: Finding) -> None:
    _edited(run, subject, finding, lambda data: cuts(data, every=5, luck=Random(run.seed)))


def lined(run: Run, mount: Mount, subject: Subject, finding: Finding) -> None:
    _edited(run, subject, finding, line_edits)


def _edited(run: Run, subject: Subject, finding: Finding, edits: Any) -> None:
    with a_small_store(run.subject, compacted=False) as (place, expected):
        (name,) = [str(path.relative_to(place)) for path in place.rglob("journal-*")]
        damage(subject, place, expected, finding, ((name, each) for each in edits((place / name).read_bytes())))


def raced(run: Run, mount: Mount, subject: Subject, finding: Finding) -> None:
    with tempfile.TemporaryDirectory(prefix="is-race-") as name:
        race_writers(subject, Path(name), finding, writers=4, commits=40)


# --- the mistakes ---


class NoSync(Disk):
    def sync(self, fd: int) -> None:
        pass


class LateSync(Disk):
    """Acknowledges early: the sync comes with the next write."""

    due: int | None = None

    def sync(self, fd: int) -> None:
        self.due = fd

    def write(self, fd: int, offset: int, data: bytes) -> None:
        if self.due is not None:
            with contextlib.suppress(OSError):
                super().sync(self.due)
            self.due = None
        super().write(fd, offset, data)


class NoDirectorySync(Disk):
    """Does not sync a directory after making a file in it."""

    renamed = False

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.renamed = True

    def open_append(self, path: Path, *, create: bool) -> int:
        self.renamed = self.renamed and (path.exists() or not create)
        return super().open_append(path, create=create)

    def open_write(self, path: Path, *, create: bool) -> int:
        self.renamed = self.renamed and (path.exists() or not create)
        return super().open_write(path, create=create)

    def sync_directory(self, path: Path) -> None:
        if self.renamed:
            super().sync_directory(path)


class NoSyncOfRenames(NoDirectorySync):
    """Does not sync a directory after renaming in it."""

    def sync_directory(self, path: Path) -> None:
        if not self.renamed:
            Disk.sync_directory(self, path)


class NoSyncOfSnapshots(Disk):
    def sync(self, fd: int) -> None:
        if ".tsv" not in str(Path(f"/proc/self/fd/{fd}").readlink()):
            super().sync(fd)


class InPlace(Disk):
    def write_whole(self, path: Path, data: bytes) -> None:
        fd = self.open_append(path, create=True)
        try:
            self.truncate(fd, 0)
            self.append(fd, data)
            self.sync(fd)
        finally:
            self.close(fd)
        self.sync_directory(path.parent)


class RetriedSync(Disk):
    def sync(self, fd: int) -> None:
        for _ in range(3):
            with contextlib.suppress(OSError):
                super().sync(fd)
                return
        super().sync(fd)


class IgnoredSyncError(Disk):
    def sync(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            super().sync(fd)


class ShortWrite(Disk):
    def append(self, fd: int, data: bytes) -> None:
        os.write(fd, data)

    def write(self, fd: int, offset: int, data: bytes) -> None:
        os.pwrite(fd, data, offset)


class NoLock(Disk):
    def lock(self, fd: int, *, timeout_s: float) -> None:
        pass

    def lock_excludes(self, path: Path) -> bool:
        return True


def no_checksum(line: bytes) -> journal.Frame | None:
    """`read_frame` without looking at the sum."""
    parts = line.split(b" ", 5)
    if len(parts) != 6 or not all(part.isdigit() for part in parts[:3]) or int(parts[0]) != len(parts[5]):
        return None
    return journal.Frame(
        int(parts[1]), int(parts[2]), parts[3].decode("ascii", "replace"), parts[4].decode("ascii", "replace"), parts[5]
    )


def _skipping(self: Segments, *, writable: bool) -> Iterator[journal.Frame]:
    """`read_on` that leaves out what is not whole and goes on behind it."""
    for offset, line in scan.lines(self.disk, self.fd, self.place.offset):
        frame = journal.read_frame(line)
        if frame is not None:
            self.place = Place(self.place.segment, offset + len(line) + 1, frame.revision, frame.sum)
            self._last, self._mark = offset, line[:160]
            if frame.body.startswith(b'{"revision"'):
                yield frame


@contextlib.contextmanager
def skipping() -> Iterator[None]:
    with (
        patch.object(Segments, "read_on", _skipping),
        patch.object(Segments, "check_reached", lambda *_: None),
        patch.object(Segments, "frames", _frames_skipping),
    ):
        yield


def _frames_skipping(self: Segments, since: int, until: int) -> Iterator[journal.Frame]:
    for first in self.firsts():
        for line in self.disk.read_whole(self.path(first)).split(b"\n"):
            frame = journal.read_frame(line)
            if frame is not None and since < frame.revision <= until and frame.body.startswith(b'{"revision"'):
                yield frame


@contextlib.contextmanager
def no_sums() -> Iterator[None]:
    modules = (scan, segments, journal)
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(patch.object(module, "read_frame", no_checksum))
        yield


@contextlib.contextmanager
def no_chain() -> Iterator[None]:
    with (
        patch.object(Segments, "_check", lambda *_: None),
        patch.object(Segments, "check_reached", lambda *_: None),
        patch.object(Segments, "_check_head", lambda *_: None),
        patch.object(Segments, "frames", _frames_skipping),
    ):
        yield


@contextlib.contextmanager
def no_head() -> Iterator[None]:
    with patch.object(home.Home, "read_head", lambda *_: Place()):
        yield


class _PlainBegin:
    """A connection that begins its transactions without taking the lock for writing."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, text: str, *rest: Any) -> Any:
        return self._connection.execute("BEGIN" if text == "BEGIN IMMEDIATE" else text, *rest)


class PlainBegin(SqliteStorage):
    def open(self) -> None:
        super().open()
        self._at._writer = _PlainBegin(self._at.writer)  # type: ignore[assignment]  # it is one, but for one word


def _behind(self: Segments) -> None:
    """Moves the place behind whatever stands in the file, as who appends without a look at its end."""
    self.place = Place(self.place.segment, self.disk.size(self.fd), self.place.revision, self.place.sum)


@contextlib.contextmanager
def no_cut() -> Iterator[None]:
    settled = Segments.settle_tail

    def settle(self: Segments, head: Place) -> int:
        if self.at_end or self.place.offset == 0 or not self.is_behind():
            return settled(self, head)
        self.make_safe()
        _behind(self)
        return 0

    with patch.object(Segments, "settle_tail", settle):
        yield


class Mistake(NamedTuple):
    """What is wrong, how it is put in, and the experiment that must catch it."""

    name: str
    experiment: Experiment
    disk: type[Disk] | None = None
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    make: Callable[[Path], IntentStorage] | None = None

    def subject(self, plain: Subject) -> Subject:
        """Returns the storage with the mistake in it."""
        if self.make is not None:
            return Subject(plain.name, self.make)
        if self.disk is None:
            return plain
        kind = self.disk

        def make(place: Path, *, disk: LossyDisk | None = None, **options: Any) -> IntentStorage:
            return FileStorage(place / "store", disk=kind() if disk is None else _both(kind, disk), **options)

        return Subject(plain.name, make)


def _both(kind: type[Disk], lossy: LossyDisk) -> Disk:
    """Returns a disk that makes the mistake and can lose power."""
    lossy.__class__ = type(f"Lossy{kind.__name__}", (kind, LossyDisk), {})
    return lossy


WEAKEST, KILL, ORDERED = power(Model.WEAKEST), power(Model.KILL), power(Model.ORDERED)
EACH_KILL = power(Model.KILL, every=1)
FILE = (
    Mistake("no sync", ORDERED, NoSync),
    Mistake("acknowledged early", ORDERED, LateSync),
    Mistake("no directory sync at creation", WEAKEST, NoDirectorySync),
    Mistake("no directory sync at rename", WEAKEST, NoSyncOfRenames),
    Mistake("snapshot not synced", WEAKEST, NoSyncOfSnapshots),
    Mistake("rewritten in place", EACH_KILL, InPlace),
    Mistake("torn tail not cut", KILL, around=no_cut),
    Mistake("sync error retried", failing("sync"), RetriedSync),
    Mistake("sync error ignored", failing("sync"), IgnoredSyncError),
    Mistake("short write carried on", short, ShortWrite),
    Mistake("no lock", raced, NoLock),
    Mistake("bad lines skipped", flipped, around=skipping),
    Mistake("checksum skipped", flipped, around=no_sums),
    Mistake("chain not checked", lined, around=no_chain),
    Mistake("head not looked at", cut, around=no_head),
)
SQLITE = (
    Mistake(
        "WAL with synchronous=NORMAL",
        ORDERED,
        make=lambda place: SqliteStorage(place / "goals.db", durability="relaxed"),
    ),
    Mistake("plain BEGIN", raced, make=lambda place: PlainBegin(place / "goals.db")),
)


@row("mistakes")
def mistakes(run: Run) -> list[Finding]:
    """Every planted mistake is caught, and without it nothing is."""
    missing = fuse.missing()
    found: list[Finding] = []
    controls: dict[Experiment, Finding] = {}
    with mounted() if missing is None else contextlib.nullcontext() as mount:
        for mistake in FILE if run.subject.name == "file" else SQLITE:
            finding = run.finding(0, f"mistake: {mistake.name}", unit="mistakes", missing=missing)
            found.append(finding)
            if mount is None:
                continue
            begun = time.monotonic()
            if mistake.experiment not in controls:
                controls[mistake.experiment] = inner = run.finding(0, "without it", unit="trials")
                mistake.experiment(run, mount, run.subject, inner)
                if inner.bad:
                    finding.fault(f"bad without any mistake: {inner.examples[0]}")
            inner = run.finding(0, mistake.name, unit="trials")
            with mistake.around():
                try:
                    mistake.experiment(run, mount, mistake.subject(run.subject), inner)
                except OSError as error:
                    inner.fault(str(error))
            finding.tried = 1
            finding.count("caught", int(inner.bad > 0))
            finding.count("bad trials of it", inner.bad)
            finding.count("trials", inner.tried)
            if not inner.bad:
                finding.fault("not caught")
            finding.seconds = time.monotonic() - begun
    return found
