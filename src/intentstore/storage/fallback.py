"""A storage that goes on while its primary cannot be reached, and brings the primary later what was written meanwhile.

Owns when it is degraded and when no longer. What is known meanwhile is `known`'s to say, what waits is `spool`'s. Only
`Unavailable` makes it leave the primary: a full, busy, read-only or damaged store can be reached, and says what it is.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from ..codec import jsonable
from ..ground.change import Batch, Commit, Guard
from ..ground.errors import Closed, DegradedWarning, ReadOnly, StorageError, Unavailable
from ..ground.identity import utc_now, uuid7
from ..ground.protocol import (
    Degraded,
    Diagnosis,
    Examines,
    IntentStorage,
    KeepsTime,
    LagsBehind,
    ListsGraphs,
    Problem,
    Replay,
)
from ..ground.query import Found, IntentFilter, Page, Walk
from ..ground.types import Edge, Intent, IntentId, Revision
from ..ground.values import Map
from .absence import Absence
from .bringing import Bringer, GuardOf
from .known import Known, PassedBy
from .spool import Spool, Waiting

T = TypeVar("T")
RETRY_S, LONGEST_RETRY_S = 0.5, 30.0
"""Seconds until the primary is tried again: the first time, and at most; each failure doubles it."""


def _passed_on(name: str, promise: str, *, known: bool = False) -> Any:
    """Returns a method that asks the primary; and while that is away what is ``known``, or says that it cannot tell."""

    def method(self: FallbackStorage, *args: Any, **how: Any) -> Any:
        away: Callable[[Absence], Any] = lambda away: getattr(away.known, name)(*args, **how)  # noqa: E731
        return self._ask(lambda: getattr(self.primary, name)(*args, **how), away if known else None)

    method.__name__, method.__doc__ = name, promise
    return method


class FallbackStorage:
    """Keeps to its primary as long as it can be reached; then to what it knows, and to a spool for what is written.

    While it is away: an intent that is known is given, one that is not is `Unavailable` and never None; lists hold
    what is known and say so (``Found.partial``); the log and the past are `Unavailable`; writes about what is known are
    checked against it and wait in the spool. When the primary is back they are applied there in order, each once by
    its commit id; what it refuses is kept and reported (`replay`).
    """

    def __init__(
        self,
        primary: IntentStorage,
        spool: Spool,
        *,
        guard_of: GuardOf = lambda _: None,
        read_only: bool = False,
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = uuid7,
        retry_s: float = RETRY_S,
    ) -> None:
        self.primary, self.spool = primary, spool
        self.capabilities = msgspec.structs.replace(primary.capabilities, finds_ready=False, finds_below=False)
        self._bringer = Bringer(primary, spool, guard_of=guard_of, clock=clock)
        self._read_only, self._clock, self._new_id = read_only, clock, new_id
        self._retry_s = retry_s
        self._door, self._returning = threading.RLock(), threading.Lock()
        self._passed = PassedBy()
        self._away: Absence | None = None
        self._turns = 0
        """How often it left its primary or came back: an answer that took longer than one turn is asked for again."""
        self._closing = threading.Event()
        self._lookers: list[threading.Thread] = []
        if isinstance(primary, KeepsTime):  # leases then go by that clock, everywhere; by it or by none
            self.now: Callable[[], datetime] = partial(self._now, primary)

    # --- opening and closing ---

    def open(self) -> None:
        """Opens spool and primary, and brings the primary what waits; goes on without it if it cannot be reached."""
        self._closing.clear()
        self.spool.open()
        try:
            self.primary.open()
            if not self._read_only and self.spool.count():
                with self.spool.exclusive():
                    refused = self._bringer.bring()
                if refused:
                    _warn(_told(refused))
            self._learn()
        except StorageError as error:
            if not _is_outage(error):
                self.primary.close()
                self.spool.close()
                raise
            self._leave(error)

    def close(self) -> None:
        """Lets go of both. Writes that wait in memory get a last chance; if they are lost, the error has them all."""
        self._closing.set()
        while self._lookers:
            self._lookers.pop().join()
        lost = self._lost()
        try:
            with contextlib.suppress(Unavailable):
                self.primary.close()
        finally:
            self.spool.close()
            self._away = None
        if lost:
            raise Unavailable(
                f"{len(lost)} writes that waited in memory are lost: the store is still away",
                hint='they are in the error\'s "waiting"; fallback="file:DIR" would have kept them',
                waiting=[jsonable(each.batch) for each in lost],
            )

    def _lost(self) -> list[Waiting]:
        if self._away is None or self.spool.durable:
            return []
        self._try_to_return()
        return [] if self._away is None else self.spool.waiting()

    def _learn(self) -> None:
        """Reads once what every write is held against: the definitions of the graph, which are few."""
        with contextlib.suppress(StorageError):
            self._passed.knows(self.primary.definitions())

    # --- leaving and returning ---

    def _leave(self, error: StorageError) -> None:
        """Goes on without the primary from now on, and has a thread look for it."""
        with self._door:
            if self._away is not None or self._closing.is_set():
                return
            away = Absence(self._clock(), error.message, Known(self._passed), self.spool, self._bringer)
            away.follow()
            self._away = away
            self._turns += 1
            looker = threading.Thread(target=self._look, args=(self._turns,), name="intentstore-fallback", daemon=True)
            self._lookers = [each for each in self._lookers if each.is_alive()] + [looker]
            looker.start()
        where = f"writes wait in {self.spool.where}" + ("" if self.spool.durable else ", durable=False")
        _warn(f"the store cannot be reached ({error.message}); going on with what is known, {where}")

    def _look(self, turn: int) -> None:
        pause = self._retry_s
        while not self._closing.wait(pause):
            with contextlib.suppress(DegradedWarning):  # made an error by the program, which this thread is no part of
                if self._turns != turn or self._try_to_return():
                    return
            pause = min(2 * pause, LONGEST_RETRY_S)

    def _try_to_return(self) -> bool:
        """Returns whether the primary is there again and has everything; else what is in the way is the new reason."""
        with self._returning:
            away = self._away
            if away is None:
                return True
            try:
                self._return()
            except StorageError as error:
                away.why = error.message
                return False
            return True

    def _return(self) -> None:
        with contextlib.suppress(StorageError):
            self.primary.close()
        self.primary.open()
        refused = 0
        with self.spool.exclusive():
            if not self._read_only:
                refused = self._bringer.bring()
            with self._door:  # writers stand still for what came meanwhile
                if not self._read_only:
                    refused += self._bringer.bring()
                self._away = None
                self._turns += 1
                self._passed = PassedBy()
                self._learn()
        _warn(f"the store is back: {_told(refused)}")

    # --- what an interface shows ---

    @property
    def degraded(self) -> Degraded | None:
        """How it does without its primary; None when it has it."""
        away = self._away
        if away is None:
            return None
        return Degraded(
            since=away.since,
            why=away.why,
            waiting=self.spool.count(),
            spool=self.spool.where,
            durable=self.spool.durable,
        )

    def replay(self) -> Replay:
        """Tries now to reach the primary and to bring it what waits; returns what became of everything that waited."""
        if self._away is not None:
            self._try_to_return()
        elif not self._read_only and self.spool.count():  # put back there by hand
            try:
                with self.spool.exclusive():
                    self._bringer.bring()
            except Unavailable as error:
                if not _is_outage(error):
                    raise
                self._leave(error)
        return Replay(replayed=self._bringer.brought, waiting=self.spool.count(), conflicts=self.spool.conflicts())

    def facts(self) -> Mapping[str, Any]:
        """Returns the facts of the primary, or how it does without it; and what waits or was refused."""
        waiting, conflicts = self.spool.count(), len(self.spool.conflicts())
        kept = {"spool": self.spool.where, "waiting": waiting, "conflicts": conflicts}
        degraded = self.degraded
        if degraded is None:
            return self._ask(lambda: {**self.primary.facts(), "fallback": kept}, lambda _: self.facts())
        return {
            "kind": "fallback",
            "durable": degraded.durable,
            "read_only": self._read_only,
            "degraded": jsonable(degraded),
            "fallback": kept,
        }

    # --- writing ---

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        """Applies the batch to the primary; while that is away, checks it against what is known and has it wait."""
        if batch.revision is not None:  # a copied log belongs into the store itself
            return self._ask(lambda: self.primary.apply(batch, guard=guard), None)
        named = batch if batch.id is not None else msgspec.structs.replace(batch, id=self._new_id())
        return self._ask(lambda: self._apply(named, guard), lambda away: self._wait_for(away, named, guard))

    def _apply(self, batch: Batch, guard: Guard | None) -> Commit:
        commit = self.primary.apply(self._bringer.real(batch), guard=guard)
        self._passed.happened(commit)
        return commit

    def _wait_for(self, away: Absence, batch: Batch, guard: Guard | None) -> Commit:
        if self._read_only:
            raise ReadOnly("the store was opened read-only", hint="open it without read_only")
        return away.write(batch, guard)

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        """Applies the batches to the primary; while that is away they wait, unless they copy a log."""
        if any(batch.revision is not None for batch in batches):
            return self._ask(lambda: self.primary.apply_all(batches), None)
        named = [msgspec.structs.replace(batch, id=batch.id or self._new_id()) for batch in batches]
        return self._ask(
            lambda: self.primary.apply_all([self._bringer.real(batch) for batch in named]),
            lambda away: [self._wait_for(away, batch, None) for batch in named],
        )

    # --- reading ---

    def _ask(self, ask: Callable[[], T], known: Callable[[Absence], T] | None) -> T:
        """Asks the primary; while it is away, what is known, or without ``known`` says that it cannot be told."""
        while True:
            turn = self._turns
            if self._away is None:
                try:
                    return ask()
                except Unavailable as error:
                    if self._closing.is_set() or not _is_outage(error):
                        raise
                    self._leave(error)
                except Closed:  # on the way back the primary is opened anew, under whoever still asks it
                    if self._closing.is_set() or self._turns == turn:
                        raise
            with self._door:
                away = self._away
                if away is not None:
                    if known is None:
                        raise away.cannot_tell()
                    away.follow()
                    return known(away)

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents; while the primary is away those that are known, and `Unavailable` for any other."""
        found = self._ask(lambda: self.primary.fetch(ids), lambda away: away.known.fetch(ids))
        self._passed.saw(found)
        return found

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at the ids; while the primary is away, those that are known."""
        found = self._ask(lambda: self.primary.neighbours(ids, walk), lambda away: away.known.neighbours(ids, walk))
        self._passed.saw_edges(found)
        return found

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page; while the primary is away, of what is known, and says so."""
        found = self._ask(lambda: self.primary.select(where, page), lambda away: away.known.select(where, page))
        self._passed.saw(found.intents)
        return found

    count = _passed_on("count", "Counts the intents; while the primary is away, those that are known.", known=True)
    search = _passed_on("search", "Searches the intents; while the primary is away, those that are known.", known=True)
    frequencies = _passed_on("frequencies", "Counts where words stand; while it is away, in what is known.", known=True)

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the primary's commits. A provisional ``since`` means the commit that it became."""
        return self._ask(lambda: self.primary.entries(self._bringer.real_revision(since)), None)

    def commit(self, id: str) -> Commit | None:
        """Returns the commit; while the primary is away, one that waits."""

        def known(away: Absence) -> Commit:
            found = away.commit(id)
            if found is None:
                raise away.cannot_tell()
            return found

        return self._ask(lambda: self.primary.commit(id), known)

    @property
    def revision(self) -> Revision:
        """The primary's last revision; while it is away, the last that is known."""
        return self._ask(lambda: self.primary.revision, lambda away: away.known.index.revision)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions; while the primary is away, as they were last read."""

        def ask() -> dict[str, Map]:
            found = self.primary.definitions(prefix)
            if not prefix:
                self._passed.knows(found)
            return found

        return self._ask(ask, lambda away: away.known.definitions(prefix))

    trail = _passed_on("trail", "Returns what the primary does; it alone knows the past.")
    keep = _passed_on("keep", "Keeps things aside at the primary.")
    kept = _passed_on("kept", "Returns what the primary keeps aside.")
    replace = _passed_on("replace", "Replaces the primary's log; nothing of it waits.")
    compact = _passed_on("compact", "Compacts the primary.")

    def arrived(self, revision: Revision) -> bool:
        """Returns True when reads see the commit of this revision; a provisional one is seen here at once."""
        primary = self.primary

        def ask() -> bool:
            real = self._bringer.real_revision(revision)
            return primary.arrived(real) if isinstance(primary, LagsBehind) else primary.revision >= real

        return self._ask(ask, lambda away: away.known.index.revision >= revision)

    def _now(self, primary: KeepsTime) -> datetime:
        return self._ask(primary.now, lambda _: self._clock())

    def examine(self) -> Iterator[Diagnosis]:
        """Yields what the primary finds about what it stands on."""
        primary = self.primary
        return self._ask(lambda: iter(list(primary.examine()) if isinstance(primary, Examines) else []), None)

    def verify(self) -> Iterator[Problem]:
        """Yields what the primary does."""
        return self._ask(lambda: iter(list(self.primary.verify())), None)

    def wait(self, since: Revision, timeout_s: float) -> bool:
        """Waits at the primary."""
        primary: Any = self.primary
        return self._ask(lambda: bool(primary.wait(self._bringer.real_revision(since), timeout_s)), None)

    def graphs(self) -> list[str]:
        """Returns the graphs of the primary's store."""
        primary = self.primary
        return self._ask(primary.graphs, None) if isinstance(primary, ListsGraphs) else []


def _is_outage(error: StorageError) -> bool:
    return isinstance(error, Unavailable) and bool(error.fields.get("outage", True))


def _told(refused: int) -> str:
    return f"{refused} of the writes that waited were refused; see replay().conflicts" if refused else "all is well"


def _warn(text: str) -> None:
    warnings.warn(text, DegradedWarning, stacklevel=4)
