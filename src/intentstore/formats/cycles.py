"""Which of many new edges would close a cycle, with the edges that the graph has already: iterative, in file order.

Knows arrows between ids. Has never heard of lines or formats.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..graph import IntentGraph
from ..graph.traverse import arrow
from ..ground.query import Walk
from ..ground.types import ORDERING, Edge, EdgeKey, EdgeType

RELATIONS: Mapping[str, frozenset[EdgeType]] = {
    "is_subgoal_of": frozenset({EdgeType.IS_SUBGOAL_OF}),
    "depends_on/blocks": ORDERING,
}
_Arrows = dict[str, dict[str, None]]


def closing(new: Sequence[Edge], graph: IntentGraph, gone: Collection[EdgeKey] = ()) -> dict[EdgeKey, tuple[str, ...]]:
    """Returns the edges among ``new`` that would close a cycle with those before them, each with its path.

    ``gone`` names stored edges that are about to go. The path begins and ends with who waits or stands below.
    """
    found: dict[EdgeKey, tuple[str, ...]] = {}
    for types in RELATIONS.values():
        mine = [edge for edge in new if edge.type in types]
        if mine:
            found.update(_closing(mine, _stored(graph, mine, types, gone)))
    return found


def relation(edge: Edge) -> str:
    """Returns the name of the relation in which the edge may close no cycle."""
    return next(name for name, types in RELATIONS.items() if edge.type in types)


def _closing(new: Sequence[Edge], stored: Sequence[Edge]) -> dict[EdgeKey, tuple[str, ...]]:
    knot = _knot([arrow(edge) for edge in (*stored, *new)])
    if not knot:
        return {}
    leads: _Arrows = {id: {} for id in knot}
    comes: _Arrows = {id: {} for id in knot}
    found: dict[EdgeKey, tuple[str, ...]] = {}
    for edge, fresh in [*((edge, False) for edge in stored), *((edge, True) for edge in new)]:
        tail, tip = arrow(edge)
        if tail not in knot or tip not in knot:
            continue
        way = _way(tip, tail, leads, comes) if fresh else None
        if way is None:
            leads[tail][tip] = comes[tip][tail] = None
        else:
            found[edge.key] = (tail, *way)
    return found


def _stored(
    graph: IntentGraph, new: Sequence[Edge], types: frozenset[EdgeType], gone: Collection[EdgeKey]
) -> list[Edge]:
    """Returns the stored edges that the new ones lead to."""
    walk = Walk(types=frozenset(types))
    found: dict[EdgeKey, Edge] = {}
    seen = {arrow(edge)[1] for edge in new}
    level = sorted(seen) if graph.revision else []
    while level:
        here, level = frozenset(level), []
        for edge in graph.edges_of(sorted(here), walk):
            tail, tip = arrow(edge)
            if tail in here and edge.key not in gone:
                found[edge.key] = edge
                if tip not in seen:
                    seen.add(tip)
                    level.append(tip)
    return list(found.values())


def _knot(arrows: Iterable[tuple[str, str]]) -> set[str]:
    """Returns the ids that lie on a cycle or between two: what is left when loose ends are taken away for good."""
    leads: _Arrows = {}
    comes: _Arrows = {}
    for tail, tip in arrows:
        leads.setdefault(tail, {})[tip] = None
        comes.setdefault(tip, {})[tail] = None
    left = leads.keys() & comes.keys()
    loose = list((leads.keys() | comes.keys()) - left)
    while loose:
        id = loose.pop()
        for there, back in ((leads, comes), (comes, leads)):
            for other in there.pop(id, ()):
                del back[other][id]
                if not back[other] and other in left:
                    left.remove(other)
                    loose.append(other)
    return left


def _way(start: str, end: str, leads: _Arrows, comes: _Arrows) -> tuple[str, ...] | None:
    """Returns the ids along a way from start to end, or None; searches from both ends, each as far as the other."""
    if start == end:
        return (start,)
    ahead: dict[str, str] = {start: start}
    behind: dict[str, str] = {end: end}
    front, back = [start], [end]
    while front and back:
        forward = len(ahead) <= len(behind)
        here, theirs, along = (ahead, behind, leads) if forward else (behind, ahead, comes)
        level: list[str] = []
        for id in front if forward else back:
            for other in along[id]:
                if other not in here:
                    here[other] = id
                    if other in theirs:
                        return _joined(other, ahead, behind)
                    level.append(other)
        front, back = (level, back) if forward else (front, level)
    return None


def _joined(middle: str, ahead: Mapping[str, str], behind: Mapping[str, str]) -> tuple[str, ...]:
    way = [middle]
    while ahead[way[-1]] != way[-1]:
        way.append(ahead[way[-1]])
    way.reverse()
    while behind[way[-1]] != way[-1]:
        way.append(behind[way[-1]])
    return tuple(way)


def written(path: Sequence[str]) -> str:
    """Returns the path as a person reads it, the middle of a long one left out."""
    shown = path if len(path) <= 20 else (*path[:10], f"… {len(path) - 20} more …", *path[-10:])
    return " -> ".join(shown)
