"""What a place to keep the graph must do, and what it may declare that it can do besides.

A storage keeps the intents and edges of one named graph; it decides nothing about what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import msgspec

from .change import Batch, Change, Commit, Entry, Guard
from .query import Found, Hit, IntentFilter, Page, Walk
from .search import Query
from .types import Edge, EdgeKey, Intent, IntentId, IntentStatus, Revision
from .values import Map


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a storage declares. The conformance suite picks its tests by it; the graph picks its paths."""

    persistent: bool = False
    """What was acknowledged is there after `close` and a new `open`."""
    multi_process: bool = False
    """Several processes may have it open and write."""
    searches_text: bool = False
    """It is a `SearchesText`."""
    compacts: bool = False
    """It is a `Compacts`."""
    notifies: bool = False
    """It is a `Notifies`."""
    finds_ready: bool = False
    """It is a `FindsReady`."""
    finds_below: bool = False
    """It is a `FindsBelow`."""
    keeps_aside: bool = False
    """It is a `KeepsAside`."""
    descends: bool = False
    """It is a `Descends`."""
    replaces: bool = False
    """It is a `Replaces`."""


class Problem(msgspec.Struct, frozen=True):
    """One thing `verify` found wrong: where, and what."""

    where: str
    what: str


class Diagnosis(msgspec.Struct, frozen=True):
    """One look at what a store stands on: what was found, whether it is well, and what it means for the promise."""

    check: str
    ok: bool
    found: str
    means: str


class Reader(Protocol):
    """What a guard or a traversal may ask: intents by id, edges by their ends, the graph's definitions."""

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        ...

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges that stand at any of the ids, each once, ordered by key.

        A symmetric edge is seen from both ends, whatever the direction of the walk.
        """
        ...

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix, by name, in the order of names."""
        ...


class IntentStorage(Reader, Protocol):
    """Keeps intents and edges; decides nothing about what they mean. Safe to share between threads.

    Every method raises `StorageError` when the place fails, `Closed` before `open` and after `close`.
    """

    capabilities: Capabilities

    def open(self) -> None:
        """Makes the store ready: recovers what a crash left, or raises without changing anything."""
        ...

    def close(self) -> None:
        """Lets go of everything held. Closing twice is harmless."""
        ...

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        """Applies the batch, all or nothing; durable when it returns. A known batch id returns its commit.

        Raises `AlreadyThere`, `StaleRevision`, `IntentMissing` or `EdgeMissing` where a change does not fit, and
        whatever the guard raises; nothing is stored then.
        """
        ...

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        """Applies batches in order, each its own commit, under as few syncs as it can; stops at the first refused."""
        ...

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents meant by the filter (its ``connected_to`` is resolved by the caller)."""
        ...

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status; statuses with none are left out."""
        ...

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order, as far as the log reached when asked."""
        ...

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, deleted ones too, oldest first."""
        ...

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None."""
        ...

    @property
    def revision(self) -> Revision:
        """The sequence number of the last commit; 0 when there is none."""
        ...

    def verify(self) -> Iterator[Problem]:
        """Yields what is wrong: checksums, chains, rows that disagree with the log, edges without ends."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """Returns what a person asks about the place: its kind, whether it is durable and read_only, and more."""
        ...


@runtime_checkable
class SearchesText(Protocol):
    """Finds intents by words through an index of its own."""

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Returns the intents that the query means, best first (BM25 of `Query.weighed`), id as the tie break.

        A query without terms finds nothing. Snippets are the graph's to make.
        """
        ...

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        """Returns in how many intents each of the words stands, counted no further than ``most``."""
        ...


@runtime_checkable
class Peeks(Protocol):
    """Can tell at once what it holds in memory: an event loop then need not send a thread."""

    def peek(self, ids: Sequence[IntentId]) -> list[Intent | None] | None:
        """Returns what `fetch` would, within a millisecond; None where that cannot be promised: ask `fetch` then."""
        ...


@runtime_checkable
class Compacts(Protocol):
    """Can rewrite itself smaller or faster to open, without losing history."""

    def compact(self) -> Mapping[str, Any]:
        """Returns ``{"bytes_before": …, "bytes_after": …}``."""
        ...


@runtime_checkable
class Notifies(Protocol):
    """Wakes those who follow the log, sooner than asking again and again would."""

    def wait(self, since: Revision, timeout_s: float) -> bool:
        """Returns True as soon as `entries` after ``since`` may have something to give, False when the time is over.

        True may come too early: ask `entries`, and wait again. No commit is slept through: one that was there before
        the call is answered at once. Many threads may wait; `close` ends their waiting with `Closed`.
        """
        ...


class Degraded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a store does whose primary cannot be reached: since when and why, how many writes wait, and where.

    ``durable`` is False where they wait in this process's memory and end with it.
    """

    since: datetime
    why: str
    waiting: int
    spool: str
    durable: bool = msgspec.field(default_factory=bool)


class Unreplayed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A write that had waited and that the primary then refused: what it was, and why. It is kept."""

    commit: str
    at: datetime
    changes: tuple[Change, ...]
    actor: str | None = None
    reason: str | None = None
    kind: str
    message: str


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the writes that waited: how many came to the primary, how many still wait, which it refused."""

    replayed: int
    waiting: int
    conflicts: tuple[Unreplayed, ...] = ()


@runtime_checkable
class FallsBack(Protocol):
    """Goes on with what it knows while its primary cannot be reached, and brings it later what was written."""

    @property
    def degraded(self) -> Degraded | None:
        """How it does without its primary; None when it has it."""
        ...

    def replay(self) -> Replay:
        """Tries now to reach the primary and to bring it what waits; returns what became of everything that waited."""
        ...


@runtime_checkable
class KeepsAside(Protocol):
    """Keeps small things beside the graph: lease renewals, cursors, caches. They stand in no history and no seal.

    What is kept outlives the process where the storage is persistent, but a power cut may take the last of it: keep
    here only what the graph can do without. Copies and backups do not carry it.
    """

    def keep(
        self, space: str, items: Mapping[str, bytes | None], *, guard: Callable[[Reader], None] | None = None
    ) -> None:
        """Keeps these values under their keys in a space, all or none; None forgets a key.

        ``guard`` sees the present state inside the write, where no commit can come between, and raises to refuse.
        """
        ...

    def kept(self, space: str, keys: Sequence[str] | None = None) -> dict[str, bytes]:
        """Returns what is kept under these keys of a space, or under all of them; a key not kept is left out."""
        ...


def keeping_aside(storage: IntentStorage) -> KeepsAside | None:
    """Returns the storage as what it keeps things aside with; None if it does not."""
    return storage if isinstance(storage, KeepsAside) and storage.capabilities.keeps_aside else None


@runtime_checkable
class Descends(Protocol):
    """Follows edges to their end by itself, where each step would be a journey to it."""

    def descend(self, ids: Sequence[IntentId], walk: Walk) -> list[EdgeKey]:
        """Returns the keys of all edges that the walk takes from these ids on, however far it leads, in their order."""
        ...


@runtime_checkable
class LagsBehind(Protocol):
    """May read from a copy that is behind what was written elsewhere, such as a standby."""

    def arrived(self, revision: Revision) -> bool:
        """Returns True when reads here see the commit of this revision, and so what its writer saw."""
        ...


@runtime_checkable
class FindsReady(Protocol):
    """Knows which active intents wait for nothing by themselves, without looking at all of them.

    What it costs follows what changed since it was last asked, not the size of the graph: it counts, for each intent,
    what it still waits for and its open subgoals. A database may keep the two numbers in columns beside the status,
    changed by the statements that change a status or an edge, under an index of (status, priority, created, id) that
    holds only active intents for which the first (and, in a second such index, also the second) is zero.
    """

    def next_free(self, after: Intent | None, *, limit: int, leaves_only: bool) -> list[Intent]:
        """Returns the next active intents behind ``after`` whose every awaited intent is settled, most urgent first.

        Order: priority downward, ``created_at``, id. ``leaves_only``: also without an open subgoal. What ancestors wait
        for, deferral and claims are not looked at. ``after`` need not be there any more.
        """
        ...


@runtime_checkable
class KeepsTime(Protocol):
    """Has a clock that everybody who has it open shares, as a database server has: leases then go by it.

    Without one the users of a store run on one machine, and leases go by that machine's own time.
    """

    def now(self) -> datetime:
        """Returns the present moment by the shared clock, aware, in UTC."""
        ...


@runtime_checkable
class FindsBelow(Protocol):
    """Walks down the subgoals by itself."""

    def below(self, id: IntentId, depth: int | None = None) -> list[Intent]:
        """Returns everything below an intent, itself left out: nearest first, then as their parents came, then by id.

        One below several parents comes with the first of them.
        """
        ...


@runtime_checkable
class ListsGraphs(Protocol):
    """Keeps several named graphs and can name them."""

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same store, sorted."""
        ...


@runtime_checkable
class Examines(Protocol):
    """Can say what it stands on: its disk, its permissions, the settings of its database."""

    def examine(self) -> Iterator[Diagnosis]:
        """Yields what it finds, good and bad; changes nothing."""
        ...


@runtime_checkable
class Replaces(Protocol):
    """Can take another log in place of its own, old or new at every instant."""

    def replace(self, commits: Iterable[Commit], *, then: Callable[[Revision], Iterable[Commit]] | None = None) -> None:
        """Makes the graph hold exactly these commits, each hash as it is; `Conflict`, and nothing changed, if not.

        ``then``: asked, when nobody else can write any more, what comes behind a revision. What is kept aside goes
        with the old log. Others that have the graph open go on in the new one.
        """
        ...
