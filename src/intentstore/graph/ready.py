"""What can be worked on now, and why the rest waits. Reads through a storage; decides nothing else.

Ready: active, not deferred, not held by a live claim, everything it waits for settled, no ancestor waiting so, and
(unless all levels are asked for) no open subgoal. Order: priority, largest first; then age, oldest first; then id.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

import msgspec

from ..ground.protocol import FindsReady, IntentStorage, Reader
from ..ground.query import EVERYTHING, IntentFilter, Walk
from ..ground.types import OPEN, ORDERING, SETTLED, Edge, Intent, IntentId, IntentStatus
from ..storage.match import matches
from .traverse import SUBGOAL, arrow, every_intent

_PLANNING = Walk(types=ORDERING | {SUBGOAL})
_PAGE = 10_000
NOT_BEFORE = "not_before"
"""The entry of an intent's metadata that holds the moment before which it is not ready."""


class Because(msgspec.Struct, frozen=True):
    """One reason to wait. ``kind``: depends_on, blocks, ancestor (which waits itself), subgoal (open), claim, deferred.

    ``id`` is the other intent's, for a claim its owner, for a deferred one the moment it is deferred to.
    """

    kind: str
    id: IntentId
    status: IntentStatus | None = None


class Waiting(msgspec.Struct, frozen=True):
    """An active intent that is not ready, and why."""

    intent: Intent
    because: tuple[Because, ...]


class Plan:
    """The part of the graph that readiness is about, read once: some active intents, what they wait for, families."""

    def __init__(self, reader: Reader, active: Sequence[Intent], *, now: datetime, held: Collection[IntentId]) -> None:
        self.now, self.active, self.held = now, active, held
        self.status: dict[IntentId, IntentStatus] = {intent.id: intent.status for intent in self.active}
        self.parents: dict[IntentId, list[IntentId]] = {}
        self.children: dict[IntentId, list[IntentId]] = {}
        self.awaited: dict[IntentId, list[tuple[str, IntentId]]] = {}
        self._read_edges(reader)

    def _read_edges(self, reader: Reader) -> None:
        seen: set[IntentId] = set()
        level = [intent.id for intent in self.active]
        known: set[tuple[str, str, str]] = set()
        while level:
            seen.update(level)
            following: dict[IntentId, None] = {}
            for edge in reader.neighbours(level, _PLANNING):
                if edge.key not in known:
                    known.add(edge.key)
                    self._take(edge)
                # Only upward: an ancestor's own waiting counts, a descendant's does not.
                if edge.type == SUBGOAL and edge.source in seen and edge.target not in seen:
                    following[edge.target] = None
            level = list(following)
        others = [id for id in self._named() if id not in self.status]
        for id, intent in zip(others, reader.fetch(others), strict=True):
            if intent is not None:
                self.status[id] = intent.status

    def _take(self, edge: Edge) -> None:
        if edge.type == SUBGOAL:
            self.parents.setdefault(edge.source, []).append(edge.target)
            self.children.setdefault(edge.target, []).append(edge.source)
        else:
            waiter, awaited = arrow(edge)
            self.awaited.setdefault(waiter, []).append((str(edge.type), awaited))

    def _named(self) -> Iterable[IntentId]:
        found: dict[IntentId, None] = {}
        for family in (self.parents, self.children):
            for id, others in family.items():
                found[id] = None
                found.update(dict.fromkeys(others))
        for pairs in self.awaited.values():
            found.update(dict.fromkeys(id for _, id in pairs))
        return found

    def unsettled(self, id: IntentId) -> list[tuple[str, IntentId]]:
        """Returns what the intent itself waits for, as (edge type, id)."""
        return [(kind, other) for kind, other in self.awaited.get(id, ()) if self.status.get(other) not in SETTLED]

    def waiting_ancestors(self, id: IntentId) -> list[IntentId]:
        """Returns the unsettled ancestors that wait for something, nearest first."""
        found: list[IntentId] = []
        seen, level = {id}, [id]
        while level:
            above = [up for each in level for up in self.parents.get(each, ()) if up not in seen]
            level = list(dict.fromkeys(above))
            seen.update(level)
            found.extend(up for up in level if self.status.get(up) not in SETTLED and self.unsettled(up))
        return found

    def because(self, intent: Intent, *, leaves_only: bool) -> tuple[Because, ...]:
        """Returns every reason why the intent must wait; none means that it is ready."""
        reasons = [Because(kind, id, self.status.get(id)) for kind, id in self.unsettled(intent.id)]
        reasons += [Because("ancestor", id, self.status.get(id)) for id in self.waiting_ancestors(intent.id)]
        if leaves_only:
            below = self.children.get(intent.id, ())
            reasons += [Because("subgoal", id, self.status.get(id)) for id in below if self.status.get(id) in OPEN]
        until = not_before(intent)
        if until is not None and until > self.now:
            reasons.append(Because("deferred", until.astimezone(UTC).isoformat()))
        if intent.id in self.held and intent.claim is not None:
            reasons.append(Because("claim", intent.claim.owner))
        return tuple(reasons)


def not_before(intent: Intent) -> datetime | None:
    """Returns the moment before which the intent is not ready, if it was deferred: its metadata's ``not_before``."""
    until = intent.metadata.get(NOT_BEFORE)
    return until if isinstance(until, datetime) else None


Held = Callable[[Sequence[Intent]], Collection[IntentId]]
"""Tells which of some intents are held by a live claim."""


def ready(
    storage: IntentStorage,
    *,
    now: datetime,
    held: Held,
    limit: int,
    leaves_only: bool,
    where: IntentFilter = EVERYTHING,
) -> list[Intent]:
    """Returns the intents that can be worked on and that the filter means, best first."""
    if isinstance(storage, FindsReady):
        candidates = _free(storage, limit, leaves_only=leaves_only)
        found = _ready_of(candidates, storage, now=now, held=held, leaves_only=leaves_only, where=where)
        return list(islice(found, limit))
    plan = _plan(storage, now, held, where)
    found_all = [intent for intent in plan.active if not plan.because(intent, leaves_only=leaves_only)]
    found_all.sort(key=urgency)
    return found_all[:limit]


def _free(storage: FindsReady, limit: int, *, leaves_only: bool) -> Iterator[list[Intent]]:
    """Yields what waits for nothing by itself, most urgent first: as many as are wanted, then ever larger blocks."""
    after: Intent | None = None
    size = limit + 4
    while block := storage.next_free(after, limit=size, leaves_only=leaves_only):
        yield block
        if len(block) < size:
            return
        after, size = block[-1], min(2 * size, _PAGE)


def _ready_of(
    blocks: Iterable[list[Intent]],
    reader: IntentStorage,
    *,
    now: datetime,
    held: Held,
    leaves_only: bool,
    where: IntentFilter,
) -> Iterator[Intent]:
    for block in blocks:
        meant = block if where == EVERYTHING else [intent for intent in block if matches(intent, where, reader)]
        if meant:
            plan = Plan(reader, meant, now=now, held=held(meant))
            yield from (intent for intent in meant if not plan.because(intent, leaves_only=leaves_only))


def blocked(storage: IntentStorage, *, now: datetime, held: Held) -> list[Waiting]:
    """Returns the active intents that are not ready, each with its reasons, in the order of `ready`."""
    plan = _plan(storage, now, held, EVERYTHING)
    waiting = [Waiting(intent, plan.because(intent, leaves_only=True)) for intent in plan.active]
    return sorted((each for each in waiting if each.because), key=lambda each: urgency(each.intent))


def waits(reader: Reader, intent: Intent, *, now: datetime, leaves_only: bool) -> tuple[Because, ...]:
    """Returns the reasons for which this one intent must wait, claims aside; reads only what is around it."""
    return Plan(reader, [intent], now=now, held=()).because(intent, leaves_only=leaves_only)


def _plan(storage: IntentStorage, now: datetime, held: Held, where: IntentFilter) -> Plan:
    active = where.replace(status=frozenset({IntentStatus.ACTIVE}))
    if where.status is not None and IntentStatus.ACTIVE not in where.status:
        return Plan(storage, [], now=now, held=())
    found = list(every_intent(storage, active))
    return Plan(storage, found, now=now, held=held(found))


def urgency(intent: Intent) -> tuple[int, datetime, IntentId]:
    """Returns the key by which ready intents are ordered."""
    return (-intent.priority, intent.created_at, intent.id)
