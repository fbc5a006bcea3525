"""How near intents are to those in focus: a walk along edges that weakens with every step, and says why.

Knows edges and what each relation is worth; reads through any storage, a level at a time, and never far.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..ground.protocol import Reader
from ..ground.query import Walk
from ..ground.types import SYMMETRIC, Edge, EdgeType, IntentId
from .traverse import SUBGOAL

STEPS = 3
MOST = 400
"""Intents that a walk looks at, the nearest first: a hub of thousands says little about any of them."""
_CROWD = 24
"""Neighbours by one relation from which on each of them is worth less."""
_LEAST, _LEAST_SHARE = 0.1, 0.2
_ANY = Walk()

_WORTH: dict[tuple[str, str], tuple[float, str]] = {
    (SUBGOAL, "out"): (0.8, "{} is a part of it"),
    (SUBGOAL, "in"): (0.65, "is a part of {}"),
    (EdgeType.DEPENDS_ON, "out"): (0.75, "{} depends on it"),
    (EdgeType.DEPENDS_ON, "in"): (0.65, "depends on {}"),
    (EdgeType.BLOCKS, "in"): (0.75, "blocks {}"),
    (EdgeType.BLOCKS, "out"): (0.65, "{} blocks it"),
    (EdgeType.CONFLICTS_WITH, "both"): (0.75, "conflicts with {}"),
    (EdgeType.RELATED_TO, "both"): (0.65, "is related to {}"),
    (EdgeType.TRIGGERED_BY, "out"): (0.7, "{} was triggered by it"),
    (EdgeType.TRIGGERED_BY, "in"): (0.6, "was triggered by {}"),
    (EdgeType.ENABLES, "in"): (0.65, "enables {}"),
    (EdgeType.ENABLES, "out"): (0.65, "{} enables it"),
}
"""What one step is worth, from the intent the walk comes from; and how it is said of the one it reaches."""
_OTHER = 0.65


class Near(msgspec.Struct, frozen=True):
    """How near an intent is (1 is in focus, less with every step), and by which last step."""

    worth: float
    because: str


def near(reader: Reader, focus: Sequence[IntentId]) -> dict[IntentId, Near]:
    """Returns the intents in focus and those around them, each by the best way that leads there."""
    found = {id: Near(1.0, "in focus") for id in focus}
    level = list(found)
    for _ in range(STEPS):
        reached: dict[IntentId, Near] = {}
        for edges in _by_relation(reader.neighbours(level, _ANY), frozenset(level)).values():
            crowd = max(_LEAST_SHARE, min(1.0, (_CROWD / len(edges)) ** 0.5))
            for edge, end, way in edges:
                other = edge.other(end)
                worth, words = _WORTH.get((edge.type, way), (_OTHER, _said(edge, way)))
                step = Near(found[end].worth * worth * crowd, words.format(end))
                best = reached.get(other, found.get(other))
                if step.worth >= _LEAST and (best is None or step.worth > best.worth):
                    reached[other] = step
        fresh = sorted(reached, key=lambda each: (-reached[each].worth, each))[: MOST - len(found)]
        found.update((id, reached[id]) for id in fresh)
        level = fresh
        if not level:
            break
    return found


Step = tuple[Edge, IntentId, str]


def _by_relation(edges: list[Edge], here: frozenset[IntentId]) -> dict[tuple[IntentId, str, str], list[Step]]:
    found: dict[tuple[IntentId, str, str], list[Step]] = {}
    for edge in edges:
        for end in (edge.source, edge.target):
            if end in here:
                way = "both" if edge.type in SYMMETRIC else "out" if end == edge.source else "in"
                found.setdefault((end, edge.type, way), []).append((edge, end, way))
    return found


def _said(edge: Edge, way: str) -> str:
    verb = str(edge.type).replace("_", " ")
    return f"{{}} {verb} it" if way == "out" else f"{verb} {{}}"
