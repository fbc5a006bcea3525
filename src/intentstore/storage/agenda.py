"""Which active intents wait for nothing by themselves, most urgent first: counters kept up with every change.

Counts for each intent what it still waits for and how many of its subgoals are open, so that a change costs what stands
around it and not the graph. Built when first asked for. Knows statuses and edges; that an ancestor waits, a claim is
held or a time has not come is for the caller to see.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from sortedcontainers import SortedList

from ..ground.query import microseconds
from ..ground.types import OPEN, ORDERING, SETTLED, Edge, EdgeKey, EdgeType, Intent, IntentId, IntentStatus
from .ledger import Draft

_SUBGOAL = EdgeType.IS_SUBGOAL_OF
Place = tuple[int, int, IntentId]
"""Where an intent stands: urgent ones first, then the oldest, then by id."""


def place(intent: Intent) -> Place:
    """Returns where the intent stands among those that could be worked on."""
    return (-intent.priority, microseconds(intent.created_at), intent.id)


class Agenda:
    """The active intents that wait for nothing, and those of them without an open subgoal, each in order."""

    def __init__(
        self,
        get: Callable[[IntentId], Intent | None],
        at: Mapping[IntentId, Mapping[EdgeKey, Edge]],
        intents: Iterator[Intent],
        edges: Iterable[Edge],
    ) -> None:
        self._get, self._at = get, at
        self._waits: dict[IntentId, int] = {}
        self._open: dict[IntentId, int] = {}
        self._places: dict[IntentId, Place] = {}
        status: dict[IntentId, IntentStatus] = {}
        for intent in intents:
            status[intent.id] = intent.status
            if intent.status is IntentStatus.ACTIVE:
                self._places[intent.id] = place(intent)
        for edge in edges:
            if edge.type == _SUBGOAL or edge.type in ORDERING:
                self._count(edge, status.get, 1)
        free = [(where, id) for id, where in self._places.items() if id not in self._waits]
        self._free = SortedList(where for where, _ in free)
        self._leaves = SortedList(where for where, id in free if id not in self._open)

    # --- reading ---

    def behind(self, after: Place | None, *, leaves_only: bool) -> Iterator[IntentId]:
        """Yields the ids behind a place, in order."""
        held = self._leaves if leaves_only else self._free
        start = 0 if after is None else held.bisect_right(after)
        for _, _, id in held.islice(start):
            yield id

    # --- following ---

    def follow(self, draft: Draft, edges: Mapping[EdgeKey, Edge]) -> None:
        """Takes in what a draft is about to change; called while the state is still the one before it."""
        gone = [edges[key] for key, edge in draft.edges.items() if edge is None and key in edges]
        come = [edge for key, edge in draft.edges.items() if edge is not None and key not in edges]
        moved: dict[IntentId, tuple[IntentStatus | None, Intent | None]] = {}
        for id, intent in draft.intents.items():
            before = self._get(id)
            moved[id] = (None if before is None else before.status, intent)
        touched = self._leave(moved)
        for edge in gone:
            touched.add(self._count(edge, self._status, -1))
        lost = frozenset(edge.key for edge in gone)
        for id, (before_status, intent) in moved.items():
            touched |= self._shift(id, before_status, None if intent is None else intent.status, lost)

        def status_after(id: IntentId) -> IntentStatus | None:
            return self._status(id) if id not in moved else getattr(moved[id][1], "status", None)

        for edge in come:
            touched.add(self._count(edge, status_after, 1))
        for id, (_, intent) in moved.items():
            if intent is not None and intent.status is IntentStatus.ACTIVE:
                self._places[id] = place(intent)
        self._stand(touched)

    def _status(self, id: IntentId) -> IntentStatus | None:
        intent = self._get(id)
        return None if intent is None else intent.status

    def _leave(self, ids: Iterable[IntentId]) -> set[IntentId]:
        """Takes intents out of the order, to be put where they belong once all is counted."""
        for id in ids:
            where = self._places.pop(id, None)
            if where is not None:
                self._free.discard(where)
                self._leaves.discard(where)
        return set(ids)

    def _stand(self, ids: Collection[IntentId]) -> None:
        for id in ids:
            where = self._places.get(id)
            if where is None:
                continue
            free = id not in self._waits
            _set(self._free, where, there=free)
            _set(self._leaves, where, there=free and id not in self._open)

    def _shift(
        self, id: IntentId, before: IntentStatus | None, now: IntentStatus | None, lost: frozenset[EdgeKey]
    ) -> set[IntentId]:
        """Counts anew, for those around an intent, what its new status means to them."""
        waiting = (now not in SETTLED) - (before not in SETTLED)
        opened = (now in OPEN) - (before in OPEN)
        touched: set[IntentId] = set()
        if not waiting and not opened:
            return touched
        for key, edge in self._at.get(id, {}).items():
            if key in lost:
                continue
            who, whom = _ends(edge)
            if whom == id:
                counts, step = (self._open, opened) if edge.type == _SUBGOAL else (self._waits, waiting)
                if step and (edge.type == _SUBGOAL or edge.type in ORDERING):
                    _add(counts, who, step)
                    touched.add(who)
        return touched

    def _count(self, edge: Edge, status: Callable[[IntentId], IntentStatus | None], step: int) -> IntentId:
        """Counts an edge in or out; returns whom it concerns."""
        who, whom = _ends(edge)
        if edge.type == _SUBGOAL:
            if status(whom) in OPEN:
                _add(self._open, who, step)
        elif edge.type in ORDERING and status(whom) not in SETTLED:
            _add(self._waits, who, step)
        return who


def _ends(edge: Edge) -> tuple[IntentId, IntentId]:
    """Returns who waits, and for whom: a goal for its subgoal, a dependant for what it depends on."""
    turned = edge.type in (_SUBGOAL, EdgeType.BLOCKS)
    return (edge.target, edge.source) if turned else (edge.source, edge.target)


def _add(counts: dict[IntentId, int], id: IntentId, step: int) -> None:
    number = counts.get(id, 0) + step
    if number:
        counts[id] = number
    else:
        counts.pop(id, None)


def _set(held: SortedList, where: Place, *, there: bool) -> None:
    if there != (where in held):
        if there:
            held.add(where)
        else:
            held.remove(where)
