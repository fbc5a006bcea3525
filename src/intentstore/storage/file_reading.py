"""What is asked of a graph in a file store: every question of the protocol, other processes' commits included.

Owns the answers of an open store; the state they come from, and how far it was read, is `replica`'s. Writes nothing and
does not know who does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..ground.change import Commit, Entry
from ..ground.errors import Closed
from ..ground.query import Found, Hit, IntentFilter, Page, Walk
from ..ground.search import Query
from ..ground.types import Edge, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map
from .aside import Aside, chosen
from .disk import storage_error
from .index import Index
from .replica import Replica


class FileReading:
    """Answers questions about one graph of a file store, each from one consistent state."""

    def __init__(self, path: Path, at: Replica) -> None:
        self._path, self._at = path, at
        self._aside = Aside(at.disk, at.folder)
        self._opened = self._forked = False

    def _fresh(self) -> Index:
        """Returns the index, other processes' commits included."""
        at = self._at
        if at.stands and self._opened:
            return at.index  # what a write leaves in the journal is no state before it is acknowledged
        try:
            if self._forked or not at.is_current():
                self._catch_up()
        except OSError as error:
            self._check_open()
            raise storage_error(error, self._path, "reading") from error
        return at.index

    def _catch_up(self) -> None:
        self._check_open()
        with self._at.lock, self._translated("reading"):
            if not self._at.stands and self._opened:
                self._at.follow()

    # --- reading ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        return self._fresh().fetch(ids)

    def peek(self, ids: Sequence[IntentId]) -> list[Intent | None] | None:
        """Returns what `fetch` would; None where other processes' commits are to be read first, or much decoded."""
        self._check_open()
        try:
            current = self._at.stands or self._at.is_current()
        except OSError:  # closed meanwhile, or worse: `fetch` says so
            return None
        return self._at.index.peek(ids) if current else None

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at any of the ids that the walk takes."""
        index = self._fresh()
        with self._at.lock:
            return index.neighbours(ids, walk)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix."""
        index = self._fresh()
        with self._at.lock:
            return index.definitions(prefix)

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents the filter means."""
        index = self._fresh()
        with self._at.lock:
            return index.select(where, page)

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status."""
        index = self._fresh()
        with self._at.lock:
            return index.count(where)

    def next_free(self, after: Intent | None, *, limit: int, leaves_only: bool) -> list[Intent]:
        """Returns the next active intents that wait for nothing by themselves, most urgent first."""
        index = self._fresh()
        with self._at.lock:
            return index.next_free(after, limit, leaves_only=leaves_only)

    def below(self, id: IntentId, depth: int | None = None) -> list[Intent]:
        """Returns everything below an intent, nearest first."""
        index = self._fresh()
        with self._at.lock:
            return index.below(id, depth)

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Returns the intents that the query means, best first."""
        index = self._fresh()
        with self._at.lock:
            return index.search(query, limit)

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        """Returns in how many intents each of the words stands, counted no further than ``most``."""
        index = self._fresh()
        with self._at.lock:
            return index.frequencies(words, most)

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order, as far as the log reached when asked."""
        return self._commits(since, self._fresh().revision)

    def _commits(self, since: Revision, until: Revision) -> Iterator[Commit]:
        with self._translated("reading"):
            yield from self._at.commits(since, until)

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, oldest first, by following the chains back."""
        self._fresh()
        with self._translated("reading"):
            return self._at.trail(id)

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None. The first call reads the journal through, once."""
        self._fresh()
        with self._translated("reading"):
            return self._at.commit(id)

    @property
    def revision(self) -> Revision:
        """The sequence number of the last commit."""
        return self._fresh().revision

    def kept(self, space: str, keys: Sequence[str] | None = None) -> dict[str, bytes]:
        """Returns what is kept under these keys of a space, or under all of them."""
        self._check_open()
        with self._at.lock, self._translated("reading"):
            return chosen(self._aside.read(space), keys)

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same store."""
        self._check_open()
        with self._translated("reading"):
            return self._at.home.graphs()

    # --- borders ---

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
