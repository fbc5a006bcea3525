"""Walks over edges: iterative, cycle-safe, a level at a time, through any `Reader`. Knows edges, not storages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..ground.change import Change, Link
from ..ground.errors import CycleRefused
from ..ground.protocol import Reader
from ..ground.query import Direction, IntentFilter, Walk
from ..ground.types import ORDERING, SYMMETRIC, Edge, EdgeType, IntentId

SUBGOAL = EdgeType.IS_SUBGOAL_OF
UPWARD = Walk(types=frozenset({SUBGOAL}), direction=Direction.OUT)
DOWNWARD = Walk(types=frozenset({SUBGOAL}), direction=Direction.IN)
_WAITING = Walk(types=ORDERING)


def levels(reader: Reader, start: Sequence[IntentId], walk: Walk, depth: int | None = None) -> Iterator[list[IntentId]]:
    """Yields the ids one edge away, then two, …; each id once, at its least distance; ``start`` is not among them."""
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


def _goes(edge: Edge, end: IntentId, walk: Walk) -> bool:
    if walk.direction == Direction.BOTH or edge.type in SYMMETRIC:
        return True
    return (edge.source == end) == (walk.direction == Direction.OUT)


def reachable(reader: Reader, start: Sequence[IntentId], walk: Walk, depth: int | None = None) -> list[IntentId]:
    """Returns the ids that the walk reaches, nearest first."""
    return [id for level in levels(reader, start, walk, depth) for id in level]


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
            return _way(came, source, target)
        level = reached
    return None


def _way(came: dict[IntentId, Edge], source: IntentId, target: IntentId) -> list[Edge]:
    way: list[Edge] = []
    while target != source:
        way.append(came[target])
        target = came[target].other(target)
    return way[::-1]


def refuse_cycles(_before: Reader, after: Reader, changes: Sequence[Change]) -> None:
    """Raises `CycleRefused` if an edge among the changes closes a cycle in the state after them. A `Guard`.

    ``depends_on`` and ``blocks`` are one relation: that *a* depends_on *b* and that *b* blocks *a* both say that
    *a* waits for *b*.
    """
    for change in changes:
        if type(change) is not Link or after.neighbours([change.edge.source], Walk()) == []:
            continue
        edge = change.edge
        if edge.type == SUBGOAL:
            way = path(after, edge.target, edge.source, UPWARD)
            if way is not None:
                raise CycleRefused("is_subgoal_of", _names(way, edge.target, edge.source))
        elif edge.type in ORDERING:
            waiter, awaited = waits(edge)
            found = _waiting_path(after, awaited, waiter)
            if found is not None:
                raise CycleRefused("depends_on/blocks", (waiter, *found))


def waits(edge: Edge) -> tuple[IntentId, IntentId]:
    """Returns (who waits, for whom) of a ``depends_on`` or ``blocks`` edge."""
    return (edge.source, edge.target) if edge.type == EdgeType.DEPENDS_ON else (edge.target, edge.source)


def _waiting_path(reader: Reader, start: IntentId, goal: IntentId) -> tuple[IntentId, ...] | None:
    """Returns the ids from start to goal, each waiting for the next, or None."""
    came: dict[IntentId, IntentId] = {start: start}
    level = [start]
    while level and goal not in came:
        reached = []
        here = frozenset(level)
        for edge in reader.neighbours(level, _WAITING):
            waiter, awaited = waits(edge)
            if waiter in here and awaited not in came:
                came[awaited] = waiter
                reached.append(awaited)
        level = reached
    if goal not in came:
        return None
    way = [goal]
    while way[-1] != start:
        way.append(came[way[-1]])
    return tuple(way[::-1])


def _names(way: list[Edge], start: IntentId, goal: IntentId) -> tuple[IntentId, ...]:
    ids = [start]
    for edge in way:
        ids.append(edge.other(ids[-1]))
    return (goal, *ids)


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
