"""A storage of one's own, complete: graphs kept as a log in any mapping from text to bytes.

``DictStorage({})`` lives as long as the dict. Hand it a `shelve`, a `dbm` or a client of your key-value store that acts
as a mapping, and it lives as long as that. One key is one commit: ``GRAPH/REVISION``. A write is therefore one
assignment, whole or not at all, if the mapping's is.

What a storage must do itself is little: keep commits in order, let one thread write at a time, and refuse when it is
closed. What a batch *means* is `intentstore.storage.ledger`'s to say, and questions are answered by
`intentstore.storage.index` from the state that the log gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from intentstore.codec import decode_commit, encode_commit
from intentstore.ground.change import Batch, Commit, Entry, Guard
from intentstore.ground.errors import Closed, ReadOnly, StorageError, Unavailable
from intentstore.ground.identity import uuid7
from intentstore.ground.protocol import Capabilities, Problem
from intentstore.ground.query import Found, Hit, IntentFilter, Page, Walk
from intentstore.ground.search import Query
from intentstore.ground.types import Edge, Intent, IntentId, IntentStatus, Revision
from intentstore.ground.values import Map
from intentstore.storage.index import Index
from intentstore.storage.ledger import ChainCheck, entries_of, replayed, settle


class DictStorage:
    """Keeps one graph in a mapping; several graphs may share it, several openers of the same graph may not."""

    # What is declared here is what the suite asks for: reopening and searching, but no second process.
    capabilities = Capabilities(persistent=True, searches_text=True)

    def __init__(
        self,
        kept: MutableMapping[str, bytes],
        graph: str = "default",
        *,
        read_only: bool = False,
        new_id: Callable[[], str] = uuid7,
    ) -> None:
        self._kept, self._graph, self._read_only, self._new_id = kept, graph, read_only, new_id
        self._lock = threading.RLock()
        self._index: Index | None = None
        self._ids: dict[str, Revision] = {}

    # --- open and close ---

    def open(self) -> None:
        """Reads the log from its beginning; the state is what it leaves."""
        with self._lock:
            index, ids = Index(), dict[str, Revision]()
            for commit in self._log(0):
                index.lay(replayed(commit, index), commit.revision)
                ids[commit.id] = commit.revision
            self._index, self._ids = index, ids

    def close(self) -> None:
        """Forgets the state; the mapping belongs to whoever gave it."""
        self._index = None

    def _state(self) -> Index:
        if self._index is None:
            raise Closed("the dict store is closed", hint="open it again")
        # Questions are answered from memory; this asks whether the place is there at all, so that none is a guess.
        last = self._index.revision
        if last and not self._ask(lambda: self._key(last) in self._kept):
            raise Unavailable(f"commit {last} is gone from the mapping", hint="see who else writes to it")
        return self._index

    # --- the one write ---

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        """Settles the batch, keeps the commit, and only then changes the state."""
        with self._lock:
            index = self._state()
            if self._read_only:
                raise ReadOnly("the dict store was opened read-only", hint="open it without read_only")
            if batch.id in self._ids:
                return self._read(self._key(self._ids[batch.id]))
            settled = settle(batch, index, last=index.revision, new_id=self._new_id, guard=guard)
            commit = settled.commit
            self._ask(lambda: self._kept.__setitem__(self._key(commit.revision), encode_commit(commit, settled.bodies)))
            index.lay(settled.draft, commit.revision)
            self._ids[commit.id] = commit.revision
            return commit

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        """Applies batches in order; stops at the first refused."""
        return [self.apply(batch) for batch in batches]

    # --- the state ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        with self._lock:
            return self._state().fetch(ids)

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        with self._lock:
            return self._state().neighbours(ids, walk)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        with self._lock:
            return self._state().definitions(prefix)

    def select(self, where: IntentFilter, page: Page) -> Found:
        with self._lock:
            return self._state().select(where, page)

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        with self._lock:
            return self._state().count(where)

    def search(self, query: Query, limit: int) -> list[Hit]:
        with self._lock:
            return self._state().search(query, limit)

    # --- the log ---

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        with self._lock:
            return self._state().frequencies(words, most)

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        with self._lock:
            self._state()
            return iter(list(self._log(since)))

    def trail(self, id: IntentId) -> list[Entry]:
        with self._lock:
            subjects = set(self._state().subjects_at(id))
            return [entry for commit in self._log(0) for entry in entries_of(commit, subjects)]

    def commit(self, id: str) -> Commit | None:
        with self._lock:
            self._state()
            return self._read(self._key(self._ids[id])) if id in self._ids else None

    @property
    def revision(self) -> Revision:
        return self._state().revision

    def verify(self) -> Iterator[Problem]:
        """Reads the log anew and compares what it says with the state."""
        with self._lock:
            index, again, check = self._state(), Index(), ChainCheck()
            found: list[Problem] = []
            for commit in self._log(0):
                found += check.follow(commit)
                again.lay(replayed(commit, again), commit.revision)
            return iter([*found, *index.differences(again, check.ends)])

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same mapping."""
        with self._lock:
            self._state()
            keys = self._ask(lambda: list(self._kept))
            return sorted({self._graph} | {key.rpartition("/")[0] for key in keys})

    def facts(self) -> Mapping[str, Any]:
        with self._lock:
            return {
                "kind": "dict",
                "graph": self._graph,
                "durable": False,  # a dict is not; say True for a mapping that syncs
                "read_only": self._read_only,
                "revision": self._state().revision,
                "bytes": self._ask(lambda: sum(len(self._kept[key]) for key in self._keys(0))),
            }

    # --- the mapping ---

    def _key(self, revision: Revision) -> str:
        return f"{self._graph}/{revision:016d}"

    def _keys(self, since: Revision) -> list[str]:
        keys = self._ask(lambda: list(self._kept))
        return sorted(key for key in keys if key.rpartition("/")[0] == self._graph and key > self._key(since))

    def _log(self, since: Revision) -> Iterator[Commit]:
        for key in self._keys(since):
            yield self._read(key)

    def _read(self, key: str) -> Commit:
        return decode_commit(self._ask(lambda: self._kept[key]))

    def _ask(self, access: Callable[[], Any]) -> Any:
        """The border: whatever the mapping raises becomes ours here, with its cause, and nowhere else."""
        try:
            return access()
        except StorageError:
            raise
        except Exception as error:
            raise Unavailable(f"the mapping failed: {error}", hint="see that it is there and open") from error
