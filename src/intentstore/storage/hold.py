"""The writer's lock of one graph, and what must be so whenever it is held: all was read, and no torn tail stands.

Owns the lock file; the state is the `Replica`'s. Knows nothing of commits.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from ..ground.errors import Corrupt, Locked
from .disk import Disk, check_directory, network_kind
from .replica import Replica
from .segments import Place
from .snapshot import snapshots


class Hold:
    """The right to write one graph, taken for a moment at a time."""

    def __init__(self, disk: Disk, replica: Replica, *, timeout_s: float, durable: bool) -> None:
        self._disk, self._at, self._timeout_s, self._durable = disk, replica, timeout_s, durable
        self._fd = -1
        self.cut: dict[str, int] | None = None
        """What was cut of a torn tail, and behind which revision; None if there was none."""

    def enter(self) -> None:
        """Reads the graph under its lock; makes it if it is new; cuts a torn tail."""
        at = self._at
        self._disk.make_directory(at.folder)
        check_directory(at.folder)
        self._fd = self._disk.open_append(at.folder / "lock", create=True)
        self._disk.lock(self._fd, timeout_s=self._timeout_s)
        try:
            if not self._disk.lock_excludes(at.folder / "lock"):
                raise Locked(f"{at.folder}: locks do not exclude here", hint="use a local file system")
            kind = network_kind(at.folder)
            if kind is not None:
                warnings.warn(f"{at.folder} is on {kind}, whose locks are not to be trusted", stacklevel=5)
            if not self._disk.is_there(at.folder / "head"):
                self._begin()
            at.load()
            self._settle_tail()
        finally:
            self._disk.unlock(self._fd)

    def _begin(self) -> None:
        """Makes a new graph: the journal first, the head last, so that a crash between leaves nothing to trust."""
        at = self._at
        firsts = at.segments.firsts()
        if firsts not in ([], [1]) or snapshots(self._disk, at.folder) or (firsts and at.segments.is_longer_than_new()):
            raise Corrupt(str(at.folder / "head"), "the head is missing though the journal holds commits")
        at.segments.create(Place(0))
        at.home.write_head(at.graph, at.segments.place)
        at.segments.leave()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds the lock; inside, the index is what the journal says and nobody else appends."""
        at = self._at
        self._disk.lock(self._fd, timeout_s=self._timeout_s)
        while not at.segments.in_place():
            self._disk.unlock(self._fd)
            self.move_over()
            self._disk.lock(self._fd, timeout_s=self._timeout_s)
        try:
            with at.lock:
                if not at.is_current():
                    self._catch_up()
                at.still = True
            yield
        finally:
            at.still = False
            self._disk.unlock(self._fd)

    def move_over(self) -> None:
        """Lets go of a folder that was put by for another, and enters the one that is in its place."""
        at = self._at
        with at.lock:
            at.segments.leave()
            self.release()
            self._fd = self._disk.open_append(at.folder / "lock", create=True)
            at.load()

    def _catch_up(self) -> None:
        at, segment = self._at, self._at.segments.place.segment
        at.follow()
        place = at.segments.place
        if at.segments.is_behind() or place.offset == 0 or at.segments.at_end:
            at.refresh_head()
            self._settle_tail()
        elif place.segment != segment and self._durable:
            at.segments.make_safe()  # the file's name: whoever made it may have died before its sync

    def _settle_tail(self) -> None:
        cut = self._at.segments.settle_tail(self._at.head)
        if cut:
            self.cut = {"cut_bytes": cut, "after_revision": self._at.index.revision}

    def release(self) -> None:
        """Lets go of the lock file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)
