"""Where each goal of a picture stands: trees of subgoals from left to right, what is settled folded, trees in columns.

Knows intents and edges, boxes and places; nothing of how they are drawn. Deterministic, iterative, one pass each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import NamedTuple

from ..ground.types import SETTLED, Edge, EdgeType, Intent, IntentId

WIDTH, HEIGHT, ACROSS, DOWN = 230, 26, 40, 8
_BETWEEN = 26
_FEW = 3
"""So many settled goals are shown one by one; more are one box."""


class Box(NamedTuple):
    """What stands at a place: one goal, or as many settled ones as ``folded`` says, of whom ``intent`` is the first."""

    intent: Intent
    folded: int
    x: float
    y: float


class Line(NamedTuple):
    """A relation between two boxes, by their numbers. ``kind`` is the edge's type."""

    kind: EdgeType
    source: int
    target: int


class Forest(NamedTuple):
    """A picture's boxes and lines, and how wide and high it is."""

    boxes: list[Box]
    lines: list[Line]
    width: float
    height: float


class _Tree:
    """One root with all below it, by rows from its own corner."""

    def __init__(self) -> None:
        self.places: dict[IntentId, tuple[int, float]] = {}
        self.rows = self.depth = 0

    @property
    def width(self) -> float:
        return (self.depth + 1) * (WIDTH + ACROSS)

    @property
    def height(self) -> float:
        return max(1, self.rows) * (HEIGHT + DOWN) + _BETWEEN


def laid_out(intents: Sequence[Intent], edges: Sequence[Edge], *, fold: bool = True) -> Forest:
    """Returns the picture of these goals. ``fold``: settled goals with nothing open below become one box a place."""
    there = {intent.id: intent for intent in intents}
    above: dict[IntentId, IntentId] = {}
    for edge in edges:
        if edge.type == EdgeType.IS_SUBGOAL_OF and edge.source not in above:
            above[edge.source] = edge.target
    children: dict[IntentId, list[IntentId]] = {}
    for child, parent in above.items():
        children.setdefault(parent, []).append(child)
    order = _top_down([id for id in there if id not in above], children)
    below: dict[IntentId, list[IntentId]] = {}
    for edge in edges:
        if edge.type == EdgeType.IS_SUBGOAL_OF:
            below.setdefault(edge.target, []).append(edge.source)
    weight = _settled_below(order, children, below, there) if fold else {}
    stands, hidden = _folded(order, children, weight)
    trees = [_tree(id, children, hidden, stands) for id in order if id not in above and id not in hidden]
    corners, width, height = _columns(trees)
    boxes: list[Box] = []
    number: dict[IntentId, int] = {}
    for tree, (left, top) in zip(trees, corners, strict=True):
        for id, (depth, row) in tree.places.items():
            number[id] = len(boxes)
            place = (left + depth * (WIDTH + ACROSS), top + row * (HEIGHT + DOWN))
            boxes.append(Box(there[id], stands.get(id, 0), *place))
    lines = _lines(edges, {id: number[_shown(id, hidden)] for id in there})
    return Forest(boxes, lines, width, height)


def _top_down(roots: list[IntentId], children: dict[IntentId, list[IntentId]]) -> list[IntentId]:
    order: list[IntentId] = []
    todo = roots[::-1]
    while todo:
        here = todo.pop()
        order.append(here)
        todo += children.get(here, ())[::-1]
    return order


def _settled_below(
    order: list[IntentId],
    children: dict[IntentId, list[IntentId]],
    below: dict[IntentId, list[IntentId]],
    there: dict[IntentId, Intent],
) -> dict[IntentId, int]:
    """Returns of each goal that is settled with all below it, under whichever parent they stand, how many it shows."""
    above: dict[IntentId, list[IntentId]] = {}
    for parent, subgoals in below.items():
        for child in subgoals:
            above.setdefault(child, []).append(parent)
    unsettled = [id for id in order if there[id].status not in SETTLED]
    open_below = set(unsettled)
    while unsettled:
        further = [parent for parent in above.get(unsettled.pop(), ()) if parent not in open_below]
        open_below.update(further)
        unsettled += further
    found: dict[IntentId, int] = {}
    for id in reversed(order):
        if id not in open_below:
            found[id] = 1 + sum(found[child] for child in children.get(id, ()))
    return found


def _folded(
    order: list[IntentId], children: dict[IntentId, list[IntentId]], weight: dict[IntentId, int]
) -> tuple[dict[IntentId, int], dict[IntentId, IntentId]]:
    """Returns how many each box that stands for several holds, and for each goal not shown the one that shows it."""
    stands: dict[IntentId, int] = {}
    hidden: dict[IntentId, IntentId] = {}
    roots = {*order} - {child for each in children.values() for child in each}
    for siblings in ([id for id in order if id in roots], *(children[id] for id in order if id in children)):
        whole = [id for id in siblings if id in weight and id not in hidden]
        together = sum(weight[id] for id in whole)
        if together > _FEW and len(whole) > 1:
            stands[whole[0]] = together
            hidden.update((id, whole[0]) for id in whole[1:])
        elif len(whole) == 1 and together > 1:
            stands[whole[0]] = together
        elif len(whole) > 1:
            stands.update((id, weight[id]) for id in whole if weight[id] > 1)
    for id in order:  # what is below a box that stands for several is in it
        if id in stands or id in hidden:
            hidden.update((child, hidden.get(id, id)) for child in children.get(id, ()))
    return stands, hidden


def _shown(id: IntentId, hidden: dict[IntentId, IntentId]) -> IntentId:
    while id in hidden:
        id = hidden[id]
    return id


def _tree(
    root: IntentId,
    children: dict[IntentId, list[IntentId]],
    hidden: dict[IntentId, IntentId],
    stands: Iterable[IntentId],
) -> _Tree:
    tree, folded = _Tree(), set(stands)
    todo: list[tuple[IntentId, int, bool]] = [(root, 0, False)]
    while todo:
        id, depth, done = todo.pop()
        below = [] if id in folded else [child for child in children.get(id, ()) if child not in hidden]
        if below and not done:
            todo.append((id, depth, True))
            todo += [(child, depth + 1, False) for child in reversed(below)]
            continue
        tree.depth = max(tree.depth, depth)
        if below:
            rows = [tree.places[child][1] for child in below]
            tree.places[id] = (depth, (rows[0] + rows[-1]) / 2)
        else:
            tree.places[id] = (depth, tree.rows)
            tree.rows += 1
    return tree


def _columns(trees: list[_Tree]) -> tuple[list[tuple[float, float]], float, float]:
    """Returns each tree's corner, the trees one below the other in columns, about as wide in all as high."""
    wanted = max([sqrt(sum(tree.width * tree.height for tree in trees)), *(tree.height for tree in trees)], default=0)
    corners: list[tuple[float, float]] = []
    left = top = across = width = height = 0.0
    for tree in trees:
        if top and top + tree.height > wanted:
            left, top, across = left + across, 0.0, 0.0
        corners.append((left, top))
        top, across = top + tree.height, max(across, tree.width)
        width, height = max(width, left + across), max(height, top)
    return corners, width, height


def _lines(edges: Iterable[Edge], number: dict[IntentId, int]) -> list[Line]:
    found = (Line(edge.type, number[edge.source], number[edge.target]) for edge in edges)
    return list(dict.fromkeys(line for line in found if line.source != line.target))
