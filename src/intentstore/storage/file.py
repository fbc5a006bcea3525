"""A directory that keeps graphs as journals of readable lines, safe for many threads and processes.

Owns the lock, the head and when to write a snapshot; the state changes only after the bytes that made it so are
durable. What is asked is `file_reading`'s, how far the journal was read `replica`'s, what may be cut of it and where a
record stands is `segments`' to say; what a change means is `ledger`'s.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..codec import encode_commit
from ..ground.change import Batch, Commit, Guard
from ..ground.errors import Corrupt, Full, IntentStoreError, ReadOnly, StorageError, Unsupported
from ..ground.identity import uuid7
from ..ground.protocol import Capabilities, Diagnosis, Problem, Reader
from ..ground.types import Revision
from .aside import checked
from .bell import Bell
from .bodies import written_as
from .disk import Disk, storage_error
from .file_reading import FileReading
from .group import Lane, Ticket
from .hold import Hold
from .home import Home
from .index import Index
from .ledger import ChainCheck, replayed
from .replica import Replica
from .segments import VERSION
from .settling import Group, settle_group
from .upkeep import Upkeep

_alive: weakref.WeakSet[FileStorage] = weakref.WeakSet()


def _in_child() -> None:
    # flock belongs to the open file, which parent and child share: the child must not use it.
    for storage in list(_alive):
        storage.forked()


os.register_at_fork(after_in_child=_in_child)


class FileStorage(FileReading):
    """Keeps one graph of a file store. What it acknowledged is on stable storage (``durability="full"``)."""

    capabilities = Capabilities(
        persistent=True,
        multi_process=True,
        searches_text=True,
        compacts=True,
        notifies=True,
        finds_ready=True,
        finds_below=True,
        keeps_aside=True,
        replaces=True,
    )

    def __init__(
        self,
        path: str | Path,
        graph: str = "default",
        *,
        create: bool = True,
        read_only: bool = False,
        durability: str = "full",
        timeout_s: float = 30.0,
        new_id: Callable[[], str] = uuid7,
        disk: Disk | None = None,
        encoding: str | None = None,
    ) -> None:
        self._graph, self._home = graph, Home(disk or Disk(), Path(path), encoding)
        self._create, self._read_only, self._durability = create and not read_only, read_only, durability
        self._timeout_s, self._new_id, self._disk = timeout_s, new_id, self._home.disk
        at, self._hold, self._upkeep = self._ready()
        super().__init__(Path(path), at)
        if self._upkeep.gitted:  # what is kept aside belongs to one log, and git puts another in its place
            self.capabilities = msgspec.structs.replace(self.capabilities, keeps_aside=False)
        self._lane: Lane[Any] = Lane(self._run)
        self._bell = Bell()
        self._dead: IntentStoreError | None = None

    def _ready(self) -> tuple[Replica, Hold, Upkeep]:
        """Returns what one opening works with; nothing is read yet."""
        durable = self._durability == "full"
        at = Replica(self._disk, self._home, self._graph, durable=durable, writable=not self._read_only)
        return at, Hold(self._disk, at, timeout_s=self._timeout_s, durable=durable), Upkeep(at, durable=durable)

    # --- opening and closing ---

    def open(self) -> None:
        """Recovers what a crash left and reads the state; raises, without changing anything, if it is damaged."""
        if self._opened and not self._forked:
            return
        with self._translated("opening"):
            self._release()  # after a fork: what the parent has open
            self._dead, self._forked = None, False
            self._at, self._hold, self._upkeep = self._ready()
            self._home.enter(create=self._create, read_only=self._read_only, timeout_s=self._timeout_s)
            try:
                if self._read_only:
                    self._at.load()
                else:
                    self._hold.enter()
                    if self._at.segments.version < VERSION:
                        with self._hold.held():
                            self._upkeep.begin_file()
            except BaseException:
                with contextlib.suppress(OSError):
                    self._release()
                raise
        self._opened = True
        _alive.add(self)

    def close(self) -> None:
        """Writes the head (and a snapshot where it pays) and lets go of the files."""
        if not self._opened:
            return
        self._lane.alone(self._close)

    def _close(self) -> None:
        if not self._opened:
            return
        self._opened = False
        with self._translated("closing"):
            try:
                if not self._read_only and not self._forked and self._dead is None:
                    with self._hold.held():
                        self._upkeep.at_the_end()
            finally:
                self._release()

    def _release(self) -> None:
        self._opened = False
        _alive.discard(self)
        with self._at.lock:
            try:
                self._at.segments.leave()
            finally:
                self._hold.release()

    # --- writing ---

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        """Applies the batch, all or nothing; durable when it returns. A known batch id returns its commit."""
        self._check_writable()
        return self._lane.submit(Ticket(batch, guard))

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        """Applies batches in order under one sync; stops at the first refused, keeping those before it."""
        self._check_writable()
        tickets = [Ticket(batch, None) for batch in batches]
        self._lane.alone(lambda: self._run(tickets, stop=True))
        return [ticket.result() for ticket in tickets]

    def _check_writable(self) -> None:
        self._check_open()
        if self._read_only:
            raise ReadOnly(f"{self._path} was opened read-only", hint="open it without read_only")
        self._check_alive()

    def _check_alive(self) -> None:
        if self._dead is not None:
            raise ReadOnly(
                f"{self._path} refuses writes since one failed: {self._dead}",
                hint="close the store and open it again, which reads the disk anew",
            ) from self._dead

    def _die(self, cause: IntentStoreError) -> None:
        self._dead, self._at.dead = cause, True

    def _run(self, group: list[Ticket], *, stop: bool = False) -> None:
        """Writes a group of batches under the lock: settle each, append all, sync once, then change the state."""
        self._check_open()
        self._check_alive()
        with self._translated("writing"), self._hold.held():
            index = self._at.index
            settled = settle_group(
                group,
                index,
                last=index.revision,
                known=self._at.commit,
                new_id=self._new_id,
                stop=stop,
                fatal=OSError,
            )
            if settled.new:
                encoding = self._home.encoding
                bodies = [
                    (each.commit.revision, written_as(encoding, encode_commit(each.commit, each.bodies)))
                    for each in settled.new
                ]
                try:
                    self._append(bodies)
                    self._publish(settled, sum([len(body) for _, body in bodies]))
                except BaseException:
                    self._at.distrust()  # interrupted between the journal and the state
                    raise
            else:
                if self._at.segments.unsynced and self._durability == "full":
                    self._at.segments.make_safe()  # a known commit may be one whose writer died before its sync
                settled.acknowledge()

    def _append(self, bodies: list[tuple[int, bytes]]) -> None:
        """Makes the records durable; after any failure but a full disk's, which leaves nothing, the handle is dead."""
        try:
            self._at.segments.append(bodies)
        except BaseException as error:
            cause = storage_error(error, self._path, "writing") if isinstance(error, OSError) else None
            if not isinstance(cause, Full):
                self._die(cause or StorageError(f"{self._path}: writing was interrupted", hint="open the store again"))
            raise

    def _publish(self, settled: Group, size: int) -> None:
        self._at.publish(settled, size)
        settled.acknowledge()  # before the upkeep: whatever comes of that, these commits stand
        self._bell.ring()
        with contextlib.suppress(OSError):  # the commits stand; if need be the handle is dead, or it is tried again
            self._keep_up(self._upkeep.after_a_commit)

    def _keep_up(self, work: Callable[[], None]) -> None:
        """Does work on head and snapshot; where it fails, and not for want of space, the handle is dead."""
        try:
            work()
        except OSError as error:
            cause = storage_error(error, self._path, "writing the head")
            if not isinstance(cause, Full):
                self._die(cause)
            raise

    def replace(self, commits: Iterable[Commit], *, then: Callable[[Revision], Iterable[Commit]] | None = None) -> None:
        """Makes the graph hold exactly these commits, and what then comes behind them, by one exchange of folders."""
        self._check_writable()
        self._refuse_in_git("replacing its history")
        with self._translated("restoring"):
            self._lane.alone(lambda: self._replace(commits, then))

    def _replace(self, commits: Iterable[Commit], then: Callable[[Revision], Iterable[Commit]] | None) -> None:
        from .replacing import building, exchange, fill

        def make(place: Path) -> FileStorage:
            return FileStorage(
                place,
                self._graph,
                durability=self._durability,
                new_id=self._new_id,
                disk=self._disk,
                encoding=self._home.encoding,
            )

        with building(self._disk, self._path, timeout_s=self._timeout_s) as spare:
            last = fill(make(spare), commits)
            with self._hold.held():
                if then is not None:
                    fill(make(spare), then(last))
                self._at.segments.end()  # so that those who follow this journal see that it is not the place any more
                exchange(self._disk, Home(self._disk, spare).folder(self._graph), self._at.folder)
            self._hold.move_over()

    # --- beside the graph ---

    def keep(
        self, space: str, items: Mapping[str, bytes | None], *, guard: Callable[[Reader], None] | None = None
    ) -> None:
        """Keeps these values in a space, all or none; None forgets a key. Not synced."""
        self._check_writable()
        wanted = checked(space, items)
        self._lane.alone(lambda: self._keep(space, wanted, guard))

    def _keep(self, space: str, items: Mapping[str, bytes | None], guard: Callable[[Reader], None] | None) -> None:
        with self._translated("writing"), self._hold.held():
            if guard is not None:
                guard(self._at.index)
            with self._at.lock:
                self._aside.write(space, items)

    def wait(self, since: Revision, timeout_s: float) -> bool:
        """Returns True as soon as there is a commit after ``since``, False when the time is over."""
        return self._bell.wait(lambda: self.revision > since, timeout_s)

    # --- care ---

    def verify(self) -> Iterator[Problem]:
        """Yields what is wrong: the log read from its first record, against the state that questions are asked of."""
        check, again = ChainCheck(), Index()
        problems: list[Problem] = []

        def follow(log: Iterator[Commit]) -> None:
            for commit in log:
                problems.extend(check.follow(commit))
                again.lay(replayed(commit, again), commit.revision)

        commits = self.entries()
        try:
            follow(commits)
            with self._at.lock:
                index = self._at.index
                follow(self._commits(again.revision, index.revision))  # what others wrote meanwhile
                problems.extend(index.differences(again, check.ends))
        except Corrupt as error:
            problems.append(Problem(str(error.where), str(error.what)))
        yield from problems

    def compact(self) -> Mapping[str, Any]:
        """Writes a snapshot and begins a new journal file; the old ones stay, they are the history."""
        self._check_writable()
        self._refuse_in_git("ending its journal file")
        with self._translated("compacting"):
            before = self._home.size(self._graph)
            self._lane.alone(self._compact)
            return {"bytes_before": before, "bytes_after": self._home.size(self._graph)}

    def convert(self, encoding: str) -> None:
        """Writes the history anew as "json" or "rtfs"; every hash stays. Cut short, the store is as good as before."""
        self._check_writable()
        self._refuse_in_git("writing its history anew")
        self._home.convert(encoding)
        self.replace(self.entries(), then=self.entries)

    def _refuse_in_git(self, doing: str) -> None:
        if self._upkeep.gitted:
            raise Unsupported(
                f"{self._path} is kept in git: {doing} would part it from its other branches",
                hint="copy it to another place and do it there",
            )

    def _compact(self) -> None:
        with self._hold.held():
            self._keep_up(self._upkeep.write_snapshot)

    def examine(self) -> Iterator[Diagnosis]:
        """Yields what there is to say of the directory and its lock."""
        from .examine import examine_lock, examine_place

        yield from examine_place(self._path)
        yield from examine_lock(self._at.folder / "lock")

    def facts(self) -> Mapping[str, Any]:
        """Returns what a person asks about the place."""
        index = self._fresh()
        with self._translated("reading"):
            size = self._home.size(self._graph)
        return {
            "kind": "file",
            "path": str(self._path),
            "graph": self._graph,
            "durable": self._durability == "full",
            "read_only": self._read_only or self._dead is not None,
            "revision": index.revision,
            "bytes": size,
            "encoding": self._home.encoding,
            "recovered": self._hold.cut,
            "failed": str(self._dead) if self._dead is not None else None,
        }

    # --- borders ---

    def forked(self) -> None:
        """Marks the store as one of the parent process, which this process must not use."""
        self._forked = True
        # Another thread of the parent may have held these, and is not here to let them go.
        self._lane, self._bell, self._at.lock = Lane(self._run), Bell(), threading.RLock()
