"""The graph in this process's memory: nothing on disk, everything else as any storage.

``memory:`` is private to its opener; ``memory:NAME`` is shared by all who open that name in this process.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..ground.change import Batch, Commit, Entry, Guard
from ..ground.errors import Closed, ReadOnly
from ..ground.identity import uuid7
from ..ground.protocol import Capabilities, Problem, Reader
from ..ground.query import Found, Hit, IntentFilter, Page, Walk
from ..ground.search import Query
from ..ground.types import Edge, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map
from .aside import checked, chosen
from .index import Index
from .ledger import ChainCheck, as_batch, check_same, entries_of, settle


class _Room:
    """One named graph: its state, its log, its lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.grown = threading.Condition(self.lock)
        self.index = Index()
        self.log: list[Commit] = []
        self.by_id: dict[str, Commit] = {}
        self.aside: dict[str, dict[str, bytes]] = {}


_shared: dict[str, dict[str, _Room]] = {}
_shared_lock = threading.Lock()


class MemoryStorage:
    """Keeps one graph in memory. What it acknowledged lives as long as the process, and no longer."""

    capabilities = Capabilities(
        searches_text=True, notifies=True, finds_ready=True, finds_below=True, keeps_aside=True, replaces=True
    )

    def __init__(
        self,
        name: str | None = None,
        graph: str = "default",
        *,
        read_only: bool = False,
        new_id: Callable[[], str] = uuid7,
    ) -> None:
        self._name, self._graph, self._read_only, self._new_id = name, graph, read_only, new_id
        self._own: dict[str, _Room] = {}
        self._room: _Room | None = None

    def open(self) -> None:
        """Finds the named room, or makes it."""
        with _shared_lock:
            rooms = self._own if self._name is None else _shared.setdefault(self._name, {})
            self._room = rooms.setdefault(self._graph, _Room())

    def close(self) -> None:
        """Lets go of the room; a private one opened again is as it was left."""
        room, self._room = self._room, None
        if room is not None:
            with room.lock:
                room.grown.notify_all()

    def _here(self) -> _Room:
        if self._room is None:
            raise Closed("the memory store is closed", hint="open it again")
        return self._room

    def _writable(self) -> _Room:
        room = self._here()
        if self._read_only:
            raise ReadOnly("the memory store was opened read-only", hint="open it without read_only")
        return room

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        """Applies the batch, all or nothing. A known batch id returns its commit."""
        room = self._writable()
        with room.lock:
            known = room.by_id.get(batch.id) if batch.id is not None else None
            if known is not None:
                return known
            settled = settle(batch, room.index, last=room.index.revision, new_id=self._new_id, guard=guard)
            room.index.lay(settled.draft, settled.commit.revision)
            room.log.append(settled.commit)
            room.by_id[settled.commit.id] = settled.commit
            room.grown.notify_all()
            return settled.commit

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        """Applies batches in order; stops at the first refused."""
        return [self.apply(batch) for batch in batches]

    def replace(self, commits: Iterable[Commit], *, then: Callable[[Revision], Iterable[Commit]] | None = None) -> None:
        """Makes the graph hold exactly these commits, and what then comes behind them."""
        room = self._writable()
        fresh = MemoryStorage(new_id=self._new_id)
        fresh.open()
        for commit in commits:
            check_same(commit, fresh.apply(as_batch(commit)))
        new = fresh._here()
        with room.lock:
            for commit in then(fresh.revision) if then is not None else ():
                check_same(commit, fresh.apply(as_batch(commit)))
            room.index, room.log, room.by_id = new.index, new.log, new.by_id
            room.aside.clear()
            room.grown.notify_all()

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        return self._here().index.fetch(ids)

    def peek(self, ids: Sequence[IntentId]) -> list[Intent | None] | None:
        """Returns what `fetch` would; None where decoding might take a millisecond."""
        return self._here().index.peek(ids)

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at any of the ids that the walk takes."""
        room = self._here()
        with room.lock:
            return room.index.neighbours(ids, walk)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix."""
        room = self._here()
        with room.lock:
            return room.index.definitions(prefix)

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents the filter means."""
        room = self._here()
        with room.lock:
            return room.index.select(where, page)

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status."""
        room = self._here()
        with room.lock:
            return room.index.count(where)

    def next_free(self, after: Intent | None, *, limit: int, leaves_only: bool) -> list[Intent]:
        """Returns the next active intents that wait for nothing by themselves, most urgent first."""
        room = self._here()
        with room.lock:
            return room.index.next_free(after, limit, leaves_only=leaves_only)

    def below(self, id: IntentId, depth: int | None = None) -> list[Intent]:
        """Returns everything below an intent, nearest first."""
        room = self._here()
        with room.lock:
            return room.index.below(id, depth)

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Returns the intents that the query means, best first."""
        room = self._here()
        with room.lock:
            return room.index.search(query, limit)

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        """Returns in how many intents each of the words stands, counted no further than ``most``."""
        room = self._here()
        with room.lock:
            return room.index.frequencies(words, most)

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order."""
        log = self._here().log  # it only grows
        end = len(log)
        begin = bisect_right(log, since, hi=end, key=lambda commit: commit.revision)
        return (log[at] for at in range(begin, end))

    def wait(self, since: Revision, timeout_s: float) -> bool:
        """Returns True as soon as there is a commit after ``since``, False when the time is over."""
        room = self._here()
        with room.lock:
            room.grown.wait_for(lambda: self._room is not room or room.index.revision > since, timeout_s)
            return self._here().index.revision > since

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, oldest first."""
        room = self._here()
        with room.lock:
            subjects = set(room.index.subjects_at(id))
            return [entry for commit in room.log for entry in entries_of(commit, subjects)]

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None."""
        return self._here().by_id.get(id)

    @property
    def revision(self) -> Revision:
        """The sequence number of the last commit."""
        return self._here().index.revision

    def verify(self) -> Iterator[Problem]:
        """Yields what does not chain in the log."""
        room = self._here()
        with room.lock:
            log = list(room.log)
        check = ChainCheck()
        for commit in log:
            yield from check.follow(commit)

    def keep(
        self, space: str, items: Mapping[str, bytes | None], *, guard: Callable[[Reader], None] | None = None
    ) -> None:
        """Keeps these values in a space, all or none; None forgets a key."""
        room, wanted = self._writable(), checked(space, items)
        with room.lock:
            if guard is not None:
                guard(room.index)
            held = room.aside.setdefault(space, {})
            held.update((key, value) for key, value in wanted.items() if value is not None)
            for key in [key for key, value in wanted.items() if value is None]:
                held.pop(key, None)

    def kept(self, space: str, keys: Sequence[str] | None = None) -> dict[str, bytes]:
        """Returns what is kept under these keys of a space, or under all of them."""
        room = self._here()
        with room.lock:
            return chosen(room.aside.get(space, {}), keys)

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same store."""
        self._here()
        return sorted(self._own if self._name is None else _shared[self._name])

    def facts(self) -> Mapping[str, Any]:
        """Returns what a person asks about the place."""
        room = self._here()
        return {
            "kind": "memory",
            "name": self._name,
            "graph": self._graph,
            "durable": False,
            "read_only": self._read_only,
            "revision": room.index.revision,
        }
