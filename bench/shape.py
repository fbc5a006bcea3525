"""Graphs of any size in the shape of a real one, whose figures stand in shape.json (`python -m bench.fit` fits anew).

Lengths of texts, mix of statuses, priorities and edges, and children of a goal are the real ones. Edges are two for
each intent, more than in the real graph, so that what walks them has something to do.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from intentstore import Batch, Edge, EdgeType, Intent, IntentStatus, Link, Put

from .samples import SEED, words

FILE = Path(__file__).parent / "shape.json"
TOGETHER = 1000
_NEAR = 200
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def figures() -> dict[str, Any]:
    """Returns what was fitted."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def name(at: int) -> str:
    """Returns the id of the ``at``-th intent; ids are in no order."""
    return f"{at * 0x9E3779B97F4A7C15 % (1 << 64):016x}"


def batches(n: int) -> Iterator[Batch]:
    """Yields ``n`` intents and about twice as many edges as commits of a thousand intents, the same at every run."""
    chance, shape = random.Random(SEED), _Shape()
    for start in range(0, n, TOGETHER):
        changes: list[Put | Link] = []
        for at in range(start, min(start + TOGETHER, n)):
            changes.append(Put(intent=shape.intent(at, chance)))
            changes += [Link(edge=edge) for edge in shape.edges(at, chance)]
        yield Batch(changes=tuple(changes), at=_WHEN + timedelta(seconds=start + TOGETHER), actor="shape")


class _Shape:
    def __init__(self) -> None:
        self._figures = figures()
        self._status, self._priority = self._mix("status"), self._mix("priority")
        others = {type: share for type, share in self._figures["edge"].items() if type != "is_subgoal_of"}
        self._others = list(others), list(others.values())
        self._below = 2 * self._figures["edge"]["is_subgoal_of"]  # the share of intents that have a goal above
        self._parent = self._left = 0

    def _mix(self, name: str) -> tuple[list[str], list[float]]:
        mix: dict[str, float] = self._figures[name]
        return list(mix), list(mix.values())

    def _drawn(self, name: str, chance: random.Random) -> int:
        """Returns a number between two quantiles, each pair as likely as any other."""
        steps: list[int] = self._figures[name]
        at = chance.randrange(len(steps) - 1)
        return round(steps[at] + (steps[at + 1] - steps[at]) * chance.random())

    def intent(self, at: int, chance: random.Random) -> Intent:
        (statuses, shares), (ranks, of_rank) = self._status, self._priority
        request = None
        if chance.random() < self._figures["request_share"]:
            request = words(chance, self._drawn("request_length", chance))
        goal = Intent(
            id=name(at),
            goal=words(chance, self._drawn("goal_length", chance)),
            original_request=request,
            status=IntentStatus(chance.choices(statuses, shares)[0]),
            priority=4 - int(chance.choices(ranks, of_rank)[0]),
        )
        when = _WHEN + timedelta(seconds=at)
        return goal.stamped(id=goal.id, created_at=when, updated_at=when)

    def edges(self, at: int, chance: random.Random) -> Iterator[Edge]:
        """Every edge goes to an earlier intent, mostly a near one, so there is no cycle."""
        if at == 0:
            return
        many = 2
        if chance.random() < self._below:
            many = 1
            if self._left == 0:
                self._parent, self._left = max(0, at - 1 - chance.randrange(_NEAR)), self._drawn("children", chance)
            self._left -= 1
            yield Edge(source=name(at), type=EdgeType.IS_SUBGOAL_OF, target=name(self._parent))
        types, shares = self._others
        for target in chance.sample(range(max(0, at - _NEAR), at), min(many, at)):
            type = EdgeType(chance.choices(types, shares)[0])
            ends = (name(at), name(target))
            source, other = sorted(ends) if type == EdgeType.RELATED_TO else ends
            yield Edge(source=source, type=type, target=other)
