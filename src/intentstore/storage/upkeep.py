"""When a graph's head and snapshot are written, and how: a head after what it names, a snapshot before it replaces one.

Works on a `Replica` whose owner holds the writer lock. An `OSError` comes through; the owner knows what it means.
"""

from __future__ import annotations

import time

from .gitted import is_gitted
from .replica import Replica
from .snapshot import drop_older, snapshots, write_snapshot

HEAD_EVERY = 1000
"""Commits between two writings of the head: at most so many lie behind it, where a torn tail may be cut."""
HEAD_SECONDS = 10.0
"""Seconds after which the next commit writes the head, though fewer than `HEAD_EVERY` lie behind it."""
SNAPSHOT_AT_CLOSE = 128 << 10
"""Bytes of journal behind the snapshot that a close folds into one: replaying them costs the next opening 3 ms."""
SNAPSHOT_WHILE_OPEN = 32 << 20


class Upkeep:
    """Keeps what makes a graph quick to open and its end certain."""

    def __init__(self, replica: Replica, *, durable: bool) -> None:
        self._at, self._durable = replica, durable
        self._head_at = time.monotonic()
        self.gitted = is_gitted(replica.disk, replica.home.path)
        """Git keeps the store: the journal stays one file, for two branches would end it at different places."""

    def after_a_commit(self) -> None:
        """Writes a snapshot or the head if enough was written since the last one."""
        at = self._at
        if not self.gitted and at.tail_bytes > max(SNAPSHOT_WHILE_OPEN, 2 * at.snapshot_bytes):
            self.write_snapshot()
        elif at.index.revision - at.head.revision >= HEAD_EVERY or time.monotonic() - self._head_at > HEAD_SECONDS:
            self.write_head()

    def at_the_end(self) -> None:
        """Leaves the files so that the next opening is quick and nothing is in doubt."""
        at = self._at
        if not self.gitted and at.tail_bytes > max(SNAPSHOT_AT_CLOSE, at.snapshot_bytes // 16):
            self.write_snapshot()
        elif at.segments.place.revision != at.head.revision:
            self.write_head()
        at.segments.trim()

    def write_head(self) -> None:
        """Makes the place that was reached the stored head."""
        at = self._at
        if at.segments.unsynced or not self._durable:
            at.segments.make_safe()  # a head must not name what a power cut can take
        at.home.write_head(at.graph, at.segments.place)
        at.head = at.segments.head = at.segments.place
        self._head_at = time.monotonic()

    def write_snapshot(self) -> None:
        """Ends the journal file, writes the state at its end, and only then lets older snapshots go."""
        at, segments = self._at, self._at.segments
        revision = at.index.revision
        if snapshots(at.disk, at.folder)[-1:] != [revision]:
            fresh = segments.place.segment == revision + 1  # nothing in it yet: a crash came before its snapshot
            ended = segments.began_behind() if fresh else segments.end()
            at.snapshot_bytes = write_snapshot(at.disk, at.folder, at.index, ended, at.graph)
            if not fresh:
                segments.create(ended)
        self.write_head()
        at.tail_bytes = 0
        drop_older(at.disk, at.folder, revision)

    def begin_file(self) -> None:
        """Ends the journal file and begins another: who knows an older version only must stop there."""
        self._at.segments.create(self._at.segments.end())
        self.write_head()
