"""A directory that keeps graphs as journals of readable lines, safe for many threads and processes.

Owns the lock, the head, when to write a snapshot, and what this process has read of the journal. The state in
memory is an `Index`, changed only after the bytes that made it so are durable. What may be cut, and where a
record stands, is `segments`' to say; what a change means is `ledger`'s.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..codec import decode_commit, encode_commit
from ..ground.change import Batch, Commit, Entry, Guard
from ..ground.errors import Closed, Corrupt, Full, IntentStoreError, Locked, ReadOnly, StorageError
from ..ground.identity import uuid7
from ..ground.protocol import Capabilities, Diagnosis, Problem, Reader
from ..ground.query import Found, Hit, IntentFilter, Page, Walk
from ..ground.types import Edge, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map
from .aside import Aside, checked, chosen
from .disk import Disk, check_directory, network_kind, storage_error
from .group import Lane, Ticket
from .home import Home
from .index import Index
from .ledger import ChainCheck, entries_of, replayed
from .segments import Place, Segments
from .settling import Group, settle_group
from .snapshot import drop_older, read_snapshot, snapshots, write_snapshot

HEAD_EVERY = 1000
"""Commits between two writings of the head: at most so many lie behind it, where a torn tail may be cut."""
HEAD_SECONDS = 10.0
"""Seconds after which the next commit writes the head, though fewer than `HEAD_EVERY` lie behind it."""
SNAPSHOT_AT_CLOSE = 128 << 10
"""Bytes of journal behind the snapshot that a close folds into one: replaying them costs the next opening 3 ms."""
SNAPSHOT_WHILE_OPEN = 32 << 20

_alive: weakref.WeakSet[FileStorage] = weakref.WeakSet()


def _in_child() -> None:
    # flock belongs to the open file, which parent and child share: the child must not use it.
    for storage in list(_alive):
        storage.forked()


os.register_at_fork(after_in_child=_in_child)


class FileStorage:
    """Keeps one graph of a file store. What it acknowledged is on stable storage (``durability="full"``)."""

    capabilities = Capabilities(
        persistent=True, multi_process=True, searches_text=True, compacts=True, keeps_aside=True
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
    ) -> None:
        self._path, self._graph = Path(path), graph
        self._create, self._read_only, self._durability = create and not read_only, read_only, durability
        self._timeout_s, self._new_id, self._disk = timeout_s, new_id, disk or Disk()
        self._home = Home(self._disk, self._path)
        self._folder = self._home.folder(graph)
        self._aside = Aside(self._disk, self._folder)
        self._lane: Lane[Any] = Lane(self._run)
        self._state = threading.RLock()
        self._opened = self._forked = self._writing = False
        self._dead: IntentStoreError | None = None
        self._lock_fd = -1
        self._index = Index()
        self._segments = Segments(self._disk, self._folder, graph, durable=durability == "full")
        self._ids: dict[str, Revision] | None = None
        self._head: Place = Place()
        self._head_at = 0.0
        self._snapshot_bytes = 0
        self._tail_bytes = 0
        self._seen = 0
        self._cut: dict[str, int] | None = None
        self._stale = False

    # --- opening and closing ---

    def open(self) -> None:
        """Recovers what a crash left and reads the state; raises, without changing anything, if it is damaged."""
        if self._opened and not self._forked:
            return
        self._release()  # after a fork: what the parent has open
        self._dead, self._ids, self._forked, self._cut = None, None, False, None
        with self._translated("opening"):
            self._home.enter(create=self._create, timeout_s=self._timeout_s)
            try:
                if self._read_only:
                    self._load()
                else:
                    self._prepare()
            except BaseException:
                self._release()
                raise
        self._opened = True
        _alive.add(self)

    def _prepare(self) -> None:
        """Reads the graph under its lock; makes it if it is new; cuts a torn tail."""
        self._disk.make_directory(self._folder)
        check_directory(self._folder)
        self._lock_fd = self._disk.open_append(self._folder / "lock", create=True)
        self._disk.lock(self._lock_fd, timeout_s=self._timeout_s)
        try:
            if not self._disk.lock_excludes(self._folder / "lock"):
                raise Locked(f"{self._folder}: locks do not exclude here", hint="use a local file system")
            kind = network_kind(self._folder)
            if kind is not None:
                warnings.warn(f"{self._folder} is on {kind}, whose locks are not to be trusted", stacklevel=4)
            if not self._disk.is_there(self._folder / "head"):
                self._begin()
            self._load()
            self._settle_tail()
        finally:
            self._disk.unlock(self._lock_fd)

    def _begin(self) -> None:
        """Makes a new graph: the journal first, the head last, so that a crash between leaves nothing to trust."""
        firsts = self._segments.firsts()
        begun = b"" if firsts in ([], [1]) and not snapshots(self._disk, self._folder) else None
        if begun is not None and firsts:
            begun = self._disk.read_whole(self._segments.path(1))
        if begun is None or not self._segments.first_line(Place(0)).startswith(begun):
            raise Corrupt(str(self._folder / "head"), "the head is missing though the journal holds commits")
        self._segments.create(Place(0))
        self._home.write_head(self._graph, self._segments.place)
        self._segments.leave()

    def _load(self) -> None:
        """Reads head, snapshot and journal into a fresh index."""
        self._head = self._home.read_head(self._graph)
        self._head_at = time.monotonic()
        self._segments.head = self._head
        index, place = self._newest()
        self._ids, self._tail_bytes, self._stale, self._seen = None, 0, True, -1
        self._segments.enter(place, writable=not self._read_only)
        self._replay(index)
        self._segments.check_reached(self._head)
        self._index, self._stale = index, False

    def _newest(self) -> tuple[Index, Place]:
        """Returns the newest snapshot's state and the place behind it; without one, nothing and the beginning."""
        # A crash may leave a snapshot whose journal file was not begun; what was there before it still stands.
        firsts = self._segments.firsts()
        for at in reversed([each for each in snapshots(self._disk, self._folder) if each + 1 in firsts]):
            # Without the lock, a newer one may have come since, and this one gone.
            with contextlib.suppress(FileNotFoundError):
                index, digest, self._snapshot_bytes = read_snapshot(self._disk, self._folder, at, self._graph)
                return index, Place(at + 1, 0, at, digest)
        self._snapshot_bytes = 0
        return Index(), Place(1)

    def close(self) -> None:
        """Writes the head (and a snapshot where it pays) and lets go of the files."""
        if not self._opened:
            return
        self._lane.alone(self._close)

    def _close(self) -> None:
        if not self._opened:
            return
        self._opened = False
        try:
            if not self._read_only and not self._forked and self._dead is None:
                with self._translated("closing"), self._locked():
                    if self._tail_bytes > max(SNAPSHOT_AT_CLOSE, self._snapshot_bytes // 16):
                        self._write_snapshot()
                    elif self._segments.place.revision != self._head.revision:
                        self._write_head()
        finally:
            self._release()

    def _release(self) -> None:
        self._opened = False
        with self._state:
            self._segments.leave()
            lock_fd, self._lock_fd = self._lock_fd, -1
            if lock_fd >= 0:
                self._disk.close(lock_fd)
        _alive.discard(self)

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

    def _run(self, group: list[Ticket], *, stop: bool = False) -> None:
        """Writes a group of batches under the lock: settle each, append all, sync once, then change the state."""
        self._check_open()
        self._check_alive()
        with self._translated("writing"), self._locked():
            settled = settle_group(
                group,
                self._index,
                last=self._index.revision,
                known=self.commit,
                new_id=self._new_id,
                stop=stop,
                fatal=OSError,
            )
            if settled.new:
                bodies = [(each.commit.revision, encode_commit(each.commit, each.bodies)) for each in settled.new]
                try:
                    self._append(bodies)
                    self._publish(settled, sum(len(body) for _, body in bodies))
                except BaseException:
                    self._distrust()  # interrupted between the journal and the state
                    raise
            else:
                if self._segments.unsynced and self._durability == "full":
                    self._segments.make_safe()  # a known commit may be one whose writer died before its sync
                settled.acknowledge()

    def _append(self, bodies: list[tuple[int, bytes]]) -> None:
        """Makes the records durable; on a full disk rolls back, on any other failure the handle is dead."""
        place = self._segments.place
        try:
            self._segments.append(bodies)
        except BaseException as error:
            self._fail(error, place)
            raise

    def _fail(self, error: BaseException, place: Place) -> None:
        cause = storage_error(error, self._path, "writing") if isinstance(error, OSError) else None
        if isinstance(cause, Full):
            with contextlib.suppress(OSError):
                self._disk.truncate(self._segments.fd, place.offset)
                self._disk.sync(self._segments.fd)
                return
        self._dead = cause or StorageError(f"{self._path}: writing was interrupted", hint="open the store again")

    def _publish(self, settled: Group, size: int) -> None:
        with self._state:
            self._index.lay(settled.draft, settled.new[-1].commit.revision)
            if self._ids is not None:
                self._ids.update((each.commit.id, each.commit.revision) for each in settled.new)
            self._mark_seen()
        settled.acknowledge()  # before the upkeep: whatever comes of that, these commits stand
        self._tail_bytes += size
        with contextlib.suppress(OSError):  # the commits stand; if need be the handle is dead, or it is tried again
            self._keep_up(self._upkeep)

    def _keep_up(self, work: Callable[[], None]) -> None:
        """Does work on head and snapshot; where it fails, and not for want of space, the handle is dead."""
        try:
            work()
        except OSError as error:
            cause = storage_error(error, self._path, "writing the head")
            if not isinstance(cause, Full):
                self._dead = cause
            raise

    def _upkeep(self) -> None:
        if self._tail_bytes > max(SNAPSHOT_WHILE_OPEN, 2 * self._snapshot_bytes):
            self._write_snapshot()
        elif (
            self._index.revision - self._head.revision >= HEAD_EVERY or time.monotonic() - self._head_at > HEAD_SECONDS
        ):
            self._write_head()

    def _write_head(self) -> None:
        if self._durability != "full":
            self._segments.make_safe()  # a head must not name what a power cut can take
        self._home.write_head(self._graph, self._segments.place)
        self._head = self._segments.head = self._segments.place
        self._head_at = time.monotonic()

    def _write_snapshot(self) -> None:
        """Ends the journal file, writes the state at its end, and only then lets older snapshots go."""
        revision = self._index.revision
        if snapshots(self._disk, self._folder)[-1:] != [revision]:
            place = self._segments.place
            fresh = place.segment == revision + 1  # nothing in it yet: a crash came between it and its snapshot
            try:
                ended = self._segments.began_behind() if fresh else self._segments.end()
            except OSError as error:
                self._fail(error, place)
                raise
            self._snapshot_bytes = write_snapshot(self._disk, self._folder, self._index, ended, self._graph)
            if not fresh:
                self._segments.create(ended)
        with self._state:
            self._mark_seen()
        self._write_head()
        self._tail_bytes = 0
        drop_older(self._disk, self._folder, revision)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the writer lock; inside, the index is what the journal says and nobody else appends."""
        self._disk.lock(self._lock_fd, timeout_s=self._timeout_s)
        try:
            with self._state:
                segment = self._segments.place.segment
                self._follow()
                place = self._segments.place
                if self._disk.size(self._segments.fd) != place.offset or place.offset == 0 or self._segments.at_end:
                    self._refresh_head()
                    self._settle_tail()
                elif place.segment != segment and self._durability == "full":
                    self._segments.make_safe()  # the file's name: whoever made it may have died before its sync
                self._writing = True
            yield
        finally:
            self._writing = False
            self._disk.unlock(self._lock_fd)

    def _settle_tail(self) -> None:
        cut = self._segments.settle_tail(self._head)
        if cut:
            self._cut = {"cut_bytes": cut, "after_revision": self._index.revision}
        self._mark_seen()

    def _refresh_head(self) -> None:
        self._head = self._segments.head = self._home.read_head(self._graph)

    # --- following the journal ---

    def _follow(self) -> None:
        """Reads what was appended since, at opening or by other processes."""
        if self._stale or not self._segments.still_there():
            self._load()  # another process took back what it had written, on a full disk
        else:
            self._replay(self._index)

    def _replay(self, index: Index) -> None:
        """Lays what follows in the journal over the index."""
        try:
            for frame in self._segments.read_on(writable=not self._read_only):
                commit = decode_commit(frame.body)
                index.lay(replayed(commit, index), commit.revision)
                if self._ids is not None:
                    self._ids[commit.id] = commit.revision
                self._tail_bytes += len(frame.body)
        except BaseException:
            self._distrust()
            raise
        self._mark_seen()

    def _mark_seen(self) -> None:
        """Remembers how far was read; at the end of a file never as all there is, for the next one may begin."""
        self._seen = -1 if self._segments.at_end else self._segments.place.offset

    def _distrust(self) -> None:
        """Has the next question read the disk anew."""
        self._stale, self._seen = True, -1

    def _catch_up(self) -> None:
        self._check_open()
        if self._writing or self._dead is not None:
            return  # what a failed write left in the journal was never acknowledged
        with self._state, self._translated("reading"):
            if not self._writing and self._opened:
                self._follow()

    def _fresh(self) -> Index:
        """Returns the index, other processes' commits included."""
        try:
            # An ended file grows no more: then the question is whether the next one is there.
            if self._segments.at_end or self._forked or self._disk.size(self._segments.fd) != self._seen:
                self._catch_up()
        except OSError as error:
            self._check_open()
            raise storage_error(error, self._path, "reading") from error
        return self._index

    # --- reading ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        return self._fresh().fetch(ids)

    def peek(self, ids: Sequence[IntentId]) -> list[Intent | None] | None:
        """Returns what `fetch` would; None where other processes' commits are to be read first, or much decoded."""
        self._check_open()
        try:
            behind = self._segments.at_end or self._disk.size(self._segments.fd) != self._seen
        except OSError:  # closed meanwhile, or worse: `fetch` says so
            return None
        return None if behind else self._index.peek(ids)

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at any of the ids that the walk takes."""
        index = self._fresh()
        with self._state:
            return index.neighbours(ids, walk)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix."""
        index = self._fresh()
        with self._state:
            return index.definitions(prefix)

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents the filter means."""
        index = self._fresh()
        with self._state:
            return index.select(where, page)

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status."""
        index = self._fresh()
        with self._state:
            return index.count(where)

    def search(self, text: str, limit: int) -> list[Hit]:
        """Returns the intents that hold every word, best first."""
        index = self._fresh()
        with self._state:
            return index.search(text, limit)

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order, as far as the log reached when asked."""
        return self._commits(since, self._fresh().revision)

    def _commits(self, since: Revision, until: Revision) -> Iterator[Commit]:
        with self._translated("reading"):
            for frame in self._segments.frames(since, until):
                yield decode_commit(frame.body)

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, oldest first, by following the chains back."""
        index = self._fresh()
        with self._state:
            subjects = set(index.subjects_at(id))
            todo = {index.head(subject).revision for subject in subjects} - {0}
        found: dict[Revision, list[Entry]] = {}
        while todo:
            revision = todo.pop()
            for commit in self._commits(revision - 1, revision):
                found[revision] = list(entries_of(commit, subjects))
                todo |= {entry.change.before for entry in found[revision]} - {0} - found.keys()
        return [entry for revision in sorted(found) for entry in found[revision]]

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None. The first call reads the journal through, once."""
        revision = self._known_ids().get(id)
        return None if revision is None else next(self._commits(revision - 1, revision), None)

    def _known_ids(self) -> dict[str, Revision]:
        index = self._fresh()
        with self._state:
            if self._ids is None:
                frames = self._segments.frames(0, index.revision)
                self._ids = {msgspec.json.decode(frame.body, type=_JustId).id: frame.revision for frame in frames}
            return self._ids

    @property
    def revision(self) -> Revision:
        """The sequence number of the last commit."""
        return self._fresh().revision

    # --- beside the graph ---

    def keep(
        self, space: str, items: Mapping[str, bytes | None], *, guard: Callable[[Reader], None] | None = None
    ) -> None:
        """Keeps these values in a space, all or none; None forgets a key. Not synced."""
        self._check_writable()
        wanted = checked(space, items)
        self._lane.alone(lambda: self._keep(space, wanted, guard))

    def _keep(self, space: str, items: Mapping[str, bytes | None], guard: Callable[[Reader], None] | None) -> None:
        with self._translated("writing"), self._locked():
            if guard is not None:
                guard(self._index)
            with self._state:
                self._aside.write(space, items)

    def kept(self, space: str, keys: Sequence[str] | None = None) -> dict[str, bytes]:
        """Returns what is kept under these keys of a space, or under all of them."""
        self._check_open()
        with self._state, self._translated("reading"):
            return chosen(self._aside.read(space), keys)

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
            with self._state:
                index = self._index
                follow(self._commits(again.revision, index.revision))  # what others wrote meanwhile
                problems.extend(index.differences(again, check.ends))
        except Corrupt as error:
            problems.append(Problem(str(error.where), str(error.what)))
        yield from problems

    def compact(self) -> Mapping[str, Any]:
        """Writes a snapshot and begins a new journal file; the old ones stay, they are the history."""
        self._check_writable()
        with self._translated("compacting"):
            before = self._home.size(self._graph)
            self._lane.alone(self._compact)
            return {"bytes_before": before, "bytes_after": self._home.size(self._graph)}

    def _compact(self) -> None:
        with self._locked():
            self._keep_up(self._write_snapshot)

    def examine(self) -> Iterator[Diagnosis]:
        """Yields what there is to say of the directory and its lock."""
        from .examine import examine_lock, examine_place

        yield from examine_place(self._path)
        yield from examine_lock(self._folder / "lock")

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same store."""
        self._check_open()
        with self._translated("reading"):
            return self._home.graphs()

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
            "recovered": self._cut,
            "failed": str(self._dead) if self._dead is not None else None,
        }

    # --- borders ---

    def forked(self) -> None:
        """Marks the store as one of the parent process, which this process must not use."""
        self._forked = True
        # Another thread of the parent may have held these, and is not here to let them go.
        self._lane, self._state = Lane(self._run), threading.RLock()

    def _check_open(self) -> None:
        if self._forked:
            raise Closed(f"{self._path} was opened before this process was forked", hint="open it again here")
        if not self._opened:
            raise Closed(f"{self._path} is closed", hint="open it again")

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(error, self._path, doing) from error


class _JustId(msgspec.Struct):
    id: str
