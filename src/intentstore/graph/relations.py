"""How goals hang together: common ancestors, what waits, live conflicts, groups, lightest ways.

Every walk goes a level at a time, without recursion, and sees each intent a bounded number of times. Knows a
`Reader`; has never heard of a storage's tables. `needs` answers what must be done before what.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ..ground.errors import QueryInvalid
from ..ground.protocol import IntentStorage, Reader
from ..ground.query import Direction, IntentFilter, Walk
from ..ground.types import ORDERING, SETTLED, Edge, EdgeType, Intent, IntentId, IntentStatus
from .traverse import SUBGOAL, UPWARD, arrow, every_edge, pages, way

PLANNING = Walk(types=ORDERING | {SUBGOAL})
_CONFLICTS = Walk(types=frozenset({EdgeType.CONFLICTS_WITH}))
_LIVE = frozenset({IntentStatus.ACTIVE, IntentStatus.EXECUTING})
_TOGETHER = 1_000


class Impact(msgspec.Struct, frozen=True):
    """An intent that waits for another, ``distance`` steps away.

    ``because``: depends_on or blocks (of ``via``), subgoal (``via`` is one of its own), ancestor (``via`` stands above
    it and waits).
    """

    intent: Intent
    distance: int
    because: str
    via: IntentId


class Clash(msgspec.Struct, frozen=True):
    """Two intents that are being worked on, or could be, and the edge that says they conflict."""

    edge: Edge
    left: Intent
    right: Intent


# --- what stands above both ---


def common_ancestor(reader: Reader, ids: Sequence[IntentId]) -> IntentId | None:
    """Returns the nearest intent that is each of these or stands above it; None when there is none.

    Nearest: the fewest steps in all, then the fewest to the farthest, then the smallest id.
    """
    above = [_distances(reader, id) for id in dict.fromkeys(ids)]
    shared = set.intersection(*map(set, above)) if above else set()
    steps = {id: [each[id] for each in above] for id in shared}
    return min(steps, key=lambda each: (sum(steps[each]), max(steps[each]), each), default=None)


def _distances(reader: Reader, start: IntentId) -> dict[IntentId, int]:
    found = {start: 0}
    level, distance = [start], 0
    while level:
        distance += 1
        parents = {edge.target for edge in reader.neighbours(level, UPWARD)}
        level = sorted(parents - found.keys())
        found.update(dict.fromkeys(level, distance))
    return found


# --- what waits ---


def impact(reader: Reader, id: IntentId, *, limit: int) -> list[Impact]:
    """Returns the intents that wait for this one, directly and not, nearest first; settled ones wait for nothing."""
    ripple = _Ripple(reader, id)
    while ripple.level and len(ripple.found) < limit:
        ripple.spread()
    return ripple.found[:limit]


class _Ripple:
    """A wave from one intent to all that waits. Whoever waits by itself holds back its subgoals too."""

    def __init__(self, reader: Reader, start: IntentId) -> None:
        self.found: list[Impact] = []
        self.level: list[IntentId] = [start]
        self._reader, self._distance = reader, 0
        self._reached: set[IntentId] = {start}
        self._holds: set[IntentId] = set()
        """Those whose subgoals wait with them: all but the start and who only waits for a subgoal."""
        self._passed: set[IntentId] = set()
        """Settled ones: they wait for nothing, but what stands above them holds back what stands below them."""

    def spread(self) -> None:
        """Goes one step further."""
        self._distance += 1
        here = frozenset(self.level)
        reached: dict[IntentId, list[tuple[str, IntentId]]] = {}
        for edge in self._reader.neighbours(self.level, PLANNING):
            for waiter, because, via in self._held_back(edge, here):
                if waiter not in self._reached or (because != "subgoal" and waiter not in self._holds):
                    reached.setdefault(waiter, []).append((because, via))
        ids = sorted(reached)
        found = self._reader.fetch(ids)
        self.level = [
            id for id, intent in zip(ids, found, strict=True) if intent is not None and self._take(intent, reached[id])
        ]

    def _held_back(self, edge: Edge, here: frozenset[IntentId]) -> Iterator[tuple[IntentId, str, IntentId]]:
        if edge.type == SUBGOAL:
            if edge.source in here and edge.source not in self._passed:
                yield edge.target, "subgoal", edge.source
            if edge.target in here and edge.target in self._holds:
                yield edge.source, "ancestor", edge.target
            return
        waiter, awaited = arrow(edge)
        if awaited in here and awaited not in self._passed:
            yield waiter, str(edge.type), awaited

    def _take(self, intent: Intent, reasons: list[tuple[str, IntentId]]) -> bool:
        """Takes in an intent that was reached; returns whether the wave goes on from it."""
        settled = intent.status in SETTLED
        holds = any(because == "ancestor" or (because != "subgoal" and not settled) for because, _ in reasons)
        if holds:
            self._holds.add(intent.id)
        if settled:
            self._passed.add(intent.id)
            return holds
        if intent.id not in self._reached:
            self._reached.add(intent.id)
            self.found.append(Impact(intent, self._distance, *reasons[0]))
        return True


# --- conflicts, groups, ways ---


def conflicts(storage: IntentStorage) -> Iterator[Clash]:
    """Yields the ``conflicts_with`` edges whose two ends are active or executing, in order of their left ends."""
    for intents in pages(storage, IntentFilter(status=_LIVE)):
        here = {intent.id: intent for intent in intents}
        edges = [edge for edge in storage.neighbours(list(here), _CONFLICTS) if edge.source in here]
        others = list(dict.fromkeys(edge.target for edge in edges if edge.target not in here))
        known = here | {intent.id: intent for intent in storage.fetch(others) if intent is not None}
        for edge in edges:
            right = known.get(edge.target)
            if right is not None and right.status in _LIVE:
                yield Clash(edge, here[edge.source], right)


def components(storage: IntentStorage, types: frozenset[str]) -> list[list[IntentId]]:
    """Returns the groups of intents that edges of these types (any, if none is given) hold together, largest first.

    An intent at which no such edge stands is in no group.
    """
    leads: dict[IntentId, IntentId] = {}

    def root(id: IntentId) -> IntentId:
        leads.setdefault(id, id)
        while leads[id] != id:
            leads[id] = leads[leads[id]]  # halves the way for whoever asks next (union-find)
            id = leads[id]
        return id

    for edge in every_edge(storage):
        if not types or edge.type in types:
            a, b = root(edge.source), root(edge.target)
            leads[max(a, b)] = min(a, b)
    groups: dict[IntentId, list[IntentId]] = {}
    for id in leads:
        groups.setdefault(root(id), []).append(id)
    return sorted((sorted(group) for group in groups.values()), key=lambda group: (-len(group), group[0]))


def lightest(reader: Reader, source: IntentId, target: IntentId, types: Iterable[str]) -> list[Edge] | None:
    """Returns the edges of the way between two intents whose weights add up to least; None if there is none.

    An edge without a weight weighs 1; one with a negative weight is `QueryInvalid`. (Dijkstra 1959)
    """
    walk = Walk(types=frozenset(types), direction=Direction.BOTH)
    came: dict[IntentId, Edge] = {}
    weights: dict[IntentId, float] = {source: 0.0}
    done: set[IntentId] = set()
    queue = [(0.0, source)]
    while queue:
        weight, id = heapq.heappop(queue)
        if id == target:
            return way(came, source, target)
        if id in done:
            continue
        done.add(id)
        for edge in reader.neighbours([id], walk):
            further, other = weight + _weight(edge), edge.other(id)
            if other not in weights or further < weights[other]:
                weights[other], came[other] = further, edge
                heapq.heappush(queue, (further, other))
    return None


def _weight(edge: Edge) -> float:
    weight = 1.0 if edge.weight is None else edge.weight
    if weight < 0:
        raise QueryInvalid(
            f"the edge {edge.source} {edge.type} {edge.target} weighs {weight}",
            hint="ways are compared by weights of 0 or more; ask without weights",
        )
    return weight
