"""Walks over edges: iterative, cycle-safe, a level at a time, through any `Reader`. Knows edges, not storages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from ..ground.change import Change, Link
from ..ground.errors import CycleRefused
from ..ground.protocol import Descends, IntentStorage, Reader
from ..ground.query import EVERYTHING, MAX_PAGE, Direction, IntentFilter, Page, Sort, Walk
from ..ground.types import ORDERING, SYMMETRIC, Edge, EdgeKey, EdgeType, Intent, IntentId

SUBGOAL = EdgeType.IS_SUBGOAL_OF
UPWARD = Walk(types=frozenset({SUBGOAL}), direction=Direction.OUT)
DOWNWARD = Walk(types=frozenset({SUBGOAL}), direction=Direction.IN)
_WAITING = Walk(types=ORDERING)


def levels(reader: Reader, start: Sequence[IntentId], walk: Walk, depth: int | None = None) -> Iterator[list[IntentId]]:
    """Yields the ids one edge away, then two, …; each id once, at its least distance; ``start`` is not among them."""
    if depth is None and isinstance(reader, Descends) and start:
        return _levels(_Met(reader.descend(start, walk)), start, walk, depth)
    return _levels(reader, start, walk, depth)


class _Tie(NamedTuple):
    source: IntentId
    type: EdgeType
    target: IntentId


class _Ties(Protocol):
    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> Sequence[Edge | _Tie]: ...


class _Met:
    """The edges that a walk met, known all at once."""

    def __init__(self, keys: Sequence[EdgeKey]) -> None:
        self._at: dict[IntentId, list[_Tie]] = {}
        for key in keys:
            tie = _Tie(*key)
            for end in (tie.source, tie.target):
                self._at.setdefault(end, []).append(tie)

    def neighbours(self, ids: Sequence[IntentId], _walk: Walk) -> list[_Tie]:
        return sorted({tie for id in ids for tie in self._at.get(id, ())})


def _levels(reader: _Ties, start: Sequence[IntentId], walk: Walk, depth: int | None) -> Iterator[list[IntentId]]:
    seen = set(start)
    level = list(start)
    while level and (depth is None or depth > 0):
        here = frozenset(level)
        reached: dict[IntentId, None] = {}
        for edge in reader.neighbours(level, walk):
            for end, other in ((edge.source, edge.target), (edge.target, edge.source)):
                if end in here and other not in seen and _goes(edge, end, walk):
                    reached[other] = None
        seen.update(reached)
        level = list(reached)
        if level:
            yield level
        depth = None if depth is None else depth - 1


def _goes(edge: Edge | _Tie, end: IntentId, walk: Walk) -> bool:
    if walk.direction == Direction.BOTH or edge.type in SYMMETRIC:
        return True
    return (edge.source == end) == (walk.direction == Direction.OUT)


def reachable(reader: Reader, start: Sequence[IntentId], walk: Walk, depth: int | None = None) -> list[IntentId]:
    """Returns the ids that the walk reaches, nearest first."""
    return [id for level in levels(reader, start, walk, depth) for id in level]


def below(reader: Reader, start: IntentId, depth: int | None = None) -> list[IntentId]:
    """Returns the subgoals and theirs: nearest first, then as their parents came, then by id."""
    ties: _Ties = reader
    if depth is None and isinstance(reader, Descends):
        ties = _Met(reader.descend([start], DOWNWARD))
    found: list[IntentId] = []
    seen, level = {start}, [start]
    while level and (depth is None or depth > 0):
        children: dict[IntentId, list[IntentId]] = {}
        for edge in ties.neighbours(level, DOWNWARD):
            children.setdefault(edge.target, []).append(edge.source)
        reached = dict.fromkeys(child for each in level for child in sorted(children.get(each, ())))
        level = [child for child in reached if child not in seen]
        seen.update(level)
        found += level
        depth = None if depth is None else depth - 1
    return found


def path(reader: Reader, source: IntentId, target: IntentId, walk: Walk) -> list[Edge] | None:
    """Returns the edges of a shortest way from source to target, [] from a node to itself, None if there is none."""
    if source == target:
        return []
    came: dict[IntentId, Edge] = {}
    level = [source]
    while level:
        here = frozenset(level)
        reached: list[IntentId] = []
        for edge in reader.neighbours(level, walk):
            for end, other in ((edge.source, edge.target), (edge.target, edge.source)):
                if end in here and other != source and other not in came and _goes(edge, end, walk):
                    came[other] = edge
                    reached.append(other)
        if target in came:
            return way(came, source, target)
        level = reached
    return None


def way(came: dict[IntentId, Edge], source: IntentId, target: IntentId) -> list[Edge]:
    """Returns the edges from source to target, where ``came`` names the edge by which each node was reached."""
    found: list[Edge] = []
    while target != source:
        found.append(came[target])
        target = came[target].other(target)
    return found[::-1]


def refuse_cycles(_before: Reader, after: Reader, changes: Sequence[Change]) -> None:
    """Raises `CycleRefused` if an edge among the changes closes a cycle in the state after them. A `Guard`.

    ``depends_on`` and ``blocks`` are one relation: that *a* depends_on *b* and that *b* blocks *a* both say that
    *a* waits for *b*. One walk over what the new edges reach, however many they are.
    """
    for name, walk in (("is_subgoal_of", UPWARD), ("depends_on/blocks", _WAITING)):
        new = [change.edge for change in changes if type(change) is Link and change.edge.type in walk.types]
        if new:
            cycle = _cycle(_reached(after, {arrow(edge)[0] for edge in new}, walk))
            if cycle is not None:
                raise CycleRefused(name, cycle)


def arrow(edge: Edge) -> tuple[IntentId, IntentId]:
    """Returns (who stands below or waits, for whom) of an ``is_subgoal_of``, ``depends_on`` or ``blocks`` edge."""
    return (edge.target, edge.source) if edge.type == EdgeType.BLOCKS else (edge.source, edge.target)


def _reached(reader: Reader, start: set[IntentId], walk: Walk) -> dict[IntentId, list[IntentId]]:
    """Returns where the arrows lead from each intent that can be reached."""
    leads: dict[IntentId, list[IntentId]] = {id: [] for id in sorted(start)}
    level = list(leads)
    while level:
        here = frozenset(level)
        level = []
        for edge in reader.neighbours(sorted(here), walk):
            tail, tip = arrow(edge)
            if tail in here:
                leads[tail].append(tip)
                if tip not in leads:
                    leads[tip] = []
                    level.append(tip)
    return leads


def _cycle(leads: dict[IntentId, list[IntentId]]) -> tuple[IntentId, ...] | None:
    """Returns the ids around some cycle, the first repeated at the end, or None.

    Takes away, again and again, what no arrow leads to (Kahn 1962); what remains holds a cycle, and walking
    backwards in it finds one.
    """
    entering = dict.fromkeys(leads, 0)
    for tips in leads.values():
        for tip in tips:
            entering[tip] += 1
    free = [id for id, number in entering.items() if number == 0]
    while free:
        id = free.pop()
        del entering[id]
        for tip in leads[id]:
            entering[tip] -= 1
            if entering[tip] == 0:
                free.append(tip)
    if not entering:
        return None
    comes_from = {tip: id for id in entering for tip in leads[id] if tip in entering}
    way = [next(iter(comes_from))]
    while way[-1] not in way[:-1]:
        way.append(comes_from[way[-1]])
    return tuple(way[way.index(way[-1]) :][::-1])


def pages(storage: IntentStorage, where: IntentFilter = EVERYTHING) -> Iterator[tuple[Intent, ...]]:
    """Yields the intents that the filter means by their ids, as many at a time as a storage gives."""
    after: str | None = None
    while True:
        page = storage.select(where, Page(sort=Sort("id"), limit=MAX_PAGE, after=after))
        yield page.intents
        after = page.next
        if after is None:
            return


def every_intent(storage: IntentStorage, where: IntentFilter = EVERYTHING) -> Iterator[Intent]:
    """Yields each intent that the filter means, by their ids."""
    for intents in pages(storage, where):
        yield from intents


def every_edge(storage: IntentStorage) -> Iterator[Edge]:
    """Yields each edge of the graph once, with the page its source stands on."""
    for intents in pages(storage):
        here = frozenset(intent.id for intent in intents)
        yield from (edge for edge in storage.neighbours([i.id for i in intents], Walk()) if edge.source in here)


def resolved(where: IntentFilter, reader: Reader) -> IntentFilter:
    """Returns the filter with every ``connected_to`` in it answered by ids, which any storage can compare."""
    changes: dict[str, object] = {}
    if where.connected_to is not None:
        near = where.connected_to
        ids = frozenset([near.id, *reachable(reader, [near.id], Walk(types=near.types), near.depth)])
        changes["ids"] = ids if where.ids is None else ids & where.ids
        changes["connected_to"] = None
    if where.any_of:
        changes["any_of"] = tuple(resolved(inner, reader) for inner in where.any_of)
    if where.not_ is not None:
        changes["not_"] = resolved(where.not_, reader)
    return where.replace(**changes) if changes else where
