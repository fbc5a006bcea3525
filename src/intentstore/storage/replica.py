"""What one process has read of a graph's journal: the state it gives, how far it goes, and which ids its commits have.

Owns the index and decides when the disk must be read anew; the last word on bytes is `segments`'. Knows nothing of
writing but this: while its owner writes, and after a write failed, the state stands still.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from ..ground.change import Commit, Entry
from ..ground.types import IntentId, Revision
from .bodies import id_in, read_commit
from .disk import Disk
from .home import Home
from .index import Index
from .ledger import entries_of, replayed
from .segments import Place, Segments
from .settling import Group
from .snapshot import read_snapshot, snapshots


class Replica:
    """One graph of a file store, as far as this process has read it. Threads share it under ``lock``."""

    def __init__(self, disk: Disk, home: Home, graph: str, *, durable: bool, writable: bool) -> None:
        self.disk, self.home, self.graph, self.writable = disk, home, graph, writable
        self.folder = home.folder(graph)
        self.segments = Segments(disk, self.folder, graph, durable=durable)
        self.lock = threading.RLock()
        self.index = Index()
        self.head = Place()
        """What the stored head names, as it was last read or written."""
        self.still = False
        """A write is under way; what it leaves in the journal is not acknowledged yet."""
        self.dead = False
        """A write failed; what it left in the journal was never acknowledged."""
        self.snapshot_bytes = 0
        self.tail_bytes = 0
        """How much of the journal lies behind the snapshot."""
        self._ids: dict[str, Revision] | None = None
        self._stale = False

    @property
    def stands(self) -> bool:
        """True while nothing is read on."""
        return self.still or self.dead

    # --- reading the disk ---

    def load(self) -> None:
        """Reads head, snapshot and journal into a fresh index."""
        self.refresh_head()
        index, place = self._newest()
        self._ids, self.tail_bytes, self._stale = None, 0, True
        self.segments.enter(place, writable=self.writable)
        self._replay(index)
        self.segments.check_reached(self.head)
        self.index, self._stale = index, False

    def refresh_head(self) -> None:
        """Reads the stored head."""
        self.head = self.segments.head = self.home.read_head(self.graph)

    def _newest(self) -> tuple[Index, Place]:
        """Returns the newest snapshot's state and the place behind it; without one, nothing and the beginning."""
        # A crash may leave a snapshot whose journal file was not begun; what was there before it still stands.
        firsts = self.segments.firsts()
        for at in reversed([each for each in snapshots(self.disk, self.folder) if each + 1 in firsts]):
            # Without the lock, a newer one may have come since, and this one gone.
            with contextlib.suppress(FileNotFoundError):
                index, digest, self.snapshot_bytes = read_snapshot(self.disk, self.folder, at, self.graph)
                return index, Place(at + 1, 0, at, digest)
        self.snapshot_bytes = 0
        return Index(), Place(1)

    def follow(self) -> None:
        """Reads what was appended since, by other processes."""
        if self._stale or not self.segments.still_there():
            self.load()  # another process took back what it had written, on a full disk
        else:
            self._replay(self.index)
        if self.segments.at_end and not self.segments.in_place():
            self.load()  # another folder was put in the place of this one

    def _replay(self, index: Index) -> None:
        """Lays what follows in the journal over the index."""
        try:
            for frame in self.segments.read_on(writable=self.writable):
                commit = read_commit(frame.body)
                index.lay(replayed(commit, index), commit.revision)
                if self._ids is not None:
                    self._ids[commit.id] = commit.revision
                self.tail_bytes += len(frame.body)
        except BaseException:
            self.distrust()
            raise

    def distrust(self) -> None:
        """Has the next question read the disk anew."""
        self._stale = True

    def is_current(self) -> bool:
        """True when the disk has nothing that was not read."""
        return not self._stale and self.segments.is_current()

    # --- the state ---

    def publish(self, settled: Group, size: int) -> None:
        """Makes what was written the state."""
        with self.lock:
            self.index.lay(settled.draft, settled.new[-1].commit.revision)
            if self._ids is not None:
                self._ids.update((each.commit.id, each.commit.revision) for each in settled.new)
            self.tail_bytes += size

    # --- the past ---

    def commits(self, since: Revision, until: Revision) -> Iterator[Commit]:
        """Yields the commits with ``since < revision <= until``."""
        for frame in self.segments.frames(since, until):
            yield read_commit(frame.body)

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this id, or None. The first call reads the journal through, once."""
        with self.lock:
            if self._ids is None:
                frames = self.segments.frames(0, self.index.revision)
                self._ids = {id_in(frame.body): frame.revision for frame in frames}
            revision = self._ids.get(id)
        return None if revision is None else next(self.commits(revision - 1, revision), None)

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, oldest first, by following the chains back."""
        with self.lock:
            subjects = set(self.index.subjects_at(id))
            todo = {self.index.head(subject).revision for subject in subjects} - {0}
        found: dict[Revision, list[Entry]] = {}
        while todo:
            revision = todo.pop()
            for commit in self.commits(revision - 1, revision):
                found[revision] = list(entries_of(commit, subjects))
                todo |= {entry.change.before for entry in found[revision]} - {0} - found.keys()
        return [entry for revision in sorted(found) for entry in found[revision]]
