"""The graph as a forest of goals and subgoals, read level by level, built without recursion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..ground.protocol import IntentStorage
from ..ground.query import Direction, HasEdge, IntentFilter, Page, Sort
from ..ground.types import Intent, IntentId
from .traverse import DOWNWARD, SUBGOAL

B = TypeVar("B")
_PAGE = 10_000


def forest(
    storage: IntentStorage,
    roots: Sequence[Intent] | None,
    depth: int | None,
    build: Callable[[Intent, tuple[B, ...]], B],
) -> list[B]:
    """Returns a branch for each root. Below an intent seen before, nothing is unfolded again."""
    tops = list(roots) if roots is not None else _tops(storage)
    below: dict[IntentId, list[IntentId]] = {}
    known = {intent.id: intent for intent in tops}
    level = list(known)
    order = list(level)
    while level and (depth is None or depth > 0):
        children: dict[IntentId, None] = {}
        for edge in storage.neighbours(level, DOWNWARD):
            below.setdefault(edge.target, []).append(edge.source)
            if edge.source not in known:
                children[edge.source] = None
        level = list(children)
        known.update((intent.id, intent) for intent in storage.fetch(level) if intent is not None)
        order.extend(level)
        depth = None if depth is None else depth - 1
    return _grow(order, below, known, [intent.id for intent in tops], build)


def _grow(
    order: list[IntentId],
    below: dict[IntentId, list[IntentId]],
    known: dict[IntentId, Intent],
    tops: list[IntentId],
    build: Callable[[Intent, tuple[B, ...]], B],
) -> list[B]:
    """Builds from the deepest up, so that every branch finds those below it made."""
    made: dict[IntentId, B] = {}
    claimed = set(tops)
    share: dict[IntentId, list[IntentId]] = {}
    for id in order:  # nearest first: an intent unfolds below the parent that is reached first
        share[id] = [child for child in below.get(id, ()) if child in known]
    for id in reversed(order):
        if id not in known:
            continue
        children = sorted(share[id], key=lambda child: (-known[child].priority, known[child].created_at, child))
        made[id] = build(
            known[id], tuple(made[child] if child in made else build(known[child], ()) for child in children)
        )
    return [made[id] for id in tops if id in claimed]


def _tops(storage: IntentStorage) -> list[Intent]:
    child = HasEdge(types=frozenset({SUBGOAL}), direction=Direction.OUT)
    found: list[Intent] = []
    after: str | None = None
    while True:
        where = IntentFilter(not_=IntentFilter(has_edge=child))
        page = storage.select(where, Page(sort=Sort("created_at"), limit=_PAGE, after=after))
        found.extend(page.intents)
        after = page.next
        if after is None:
            return found
