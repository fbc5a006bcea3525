"""What can be worked on now, and why the rest waits. Reads through a storage; decides nothing else.

Ready: active, not held by a live claim, everything it waits for settled, no ancestor waiting so, and (unless all
levels are asked for) no open subgoal. Order: priority, largest first; then age, oldest first; then id.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from ..ground.protocol import IntentStorage
from ..ground.query import IntentFilter, Page, Sort, Walk
from ..ground.types import OPEN, ORDERING, SETTLED, Edge, Intent, IntentId, IntentStatus
from .traverse import SUBGOAL, arrow

_PLANNING = Walk(types=ORDERING | {SUBGOAL})
_PAGE = 10_000


class Because(msgspec.Struct, frozen=True):
    """One reason to wait. ``kind``: depends_on, blocks, ancestor (which waits itself), subgoal (open), claim."""

    kind: str
    id: IntentId
    status: IntentStatus | None = None


class Waiting(msgspec.Struct, frozen=True):
    """An active intent that is not ready, and why."""

    intent: Intent
    because: tuple[Because, ...]


class Plan:
    """The part of the graph that readiness is about, read once: active intents, what they wait for, their families."""

    def __init__(self, storage: IntentStorage, now: datetime) -> None:
        self.now = now
        self.active = list(_all(storage, IntentFilter(status=frozenset({IntentStatus.ACTIVE}))))
        self.status: dict[IntentId, IntentStatus] = {intent.id: intent.status for intent in self.active}
        self.parents: dict[IntentId, list[IntentId]] = {}
        self.children: dict[IntentId, list[IntentId]] = {}
        self.awaited: dict[IntentId, list[tuple[str, IntentId]]] = {}
        self._read_edges(storage)
        self._waiting: dict[IntentId, bool] = {}

    def _read_edges(self, storage: IntentStorage) -> None:
        seen: set[IntentId] = set()
        level = [intent.id for intent in self.active]
        known: set[tuple[str, str, str]] = set()
        while level:
            seen.update(level)
            following: dict[IntentId, None] = {}
            for edge in storage.neighbours(level, _PLANNING):
                if edge.key not in known:
                    known.add(edge.key)
                    self._take(edge)
                # Only upward: an ancestor's own waiting counts, a descendant's does not.
                if edge.type == SUBGOAL and edge.source in seen and edge.target not in seen:
                    following[edge.target] = None
            level = list(following)
        others = [id for id in self._named() if id not in self.status]
        for id, intent in zip(others, storage.fetch(others), strict=True):
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
        if intent.claim is not None and intent.claim.until > self.now:
            reasons.append(Because("claim", intent.claim.owner))
        return tuple(reasons)


def ready(storage: IntentStorage, *, now: datetime, limit: int, leaves_only: bool) -> list[Intent]:
    """Returns the intents that can be worked on, best first."""
    plan = Plan(storage, now)
    found = [intent for intent in plan.active if not plan.because(intent, leaves_only=leaves_only)]
    found.sort(key=_urgency)
    return found[:limit]


def blocked(storage: IntentStorage, *, now: datetime) -> list[Waiting]:
    """Returns the active intents that are not ready, each with its reasons, in the order of `ready`."""
    plan = Plan(storage, now)
    waiting = [Waiting(intent, plan.because(intent, leaves_only=True)) for intent in plan.active]
    return sorted((each for each in waiting if each.because), key=lambda each: _urgency(each.intent))


def _urgency(intent: Intent) -> tuple[int, datetime, IntentId]:
    return (-intent.priority, intent.created_at, intent.id)


def _all(storage: IntentStorage, where: IntentFilter) -> Iterable[Intent]:
    after: str | None = None
    while True:
        page = storage.select(where, Page(sort=Sort("id"), limit=_PAGE, after=after))
        yield from page.intents
        after = page.next
        if after is None:
            return
