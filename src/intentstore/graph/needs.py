"""What must come before what: the longest chain of work, and circles in which nobody can ever begin.

Two points stand for each intent: that it may be *begun* (what it and its ancestors depend on is settled), and that
it is *done* (it was begun, and its open subgoals are done). What the points need of one another is a graph of its
own; readiness, the critical path and deadlocks are questions to that graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from ..ground.errors import FieldInvalid, QueryInvalid
from ..ground.protocol import IntentStorage, Reader
from ..ground.query import IntentFilter
from ..ground.types import OPEN, SETTLED, Edge, Intent, IntentId
from .relations import PLANNING
from .traverse import SUBGOAL, arrow, every_intent

_PAGE = 10_000
_BEGUN, _DONE = False, True

Point = tuple[IntentId, bool]
"""An intent, and whether it is to be done (True) or only may be begun (False)."""


class CriticalPath(msgspec.Struct, frozen=True):
    """The chain of open intents that takes longest, in the order in which they must be done, and its length."""

    intents: tuple[Intent, ...]
    length: float


class Cycle(msgspec.Struct, frozen=True):
    """Intents that wait for one another in a circle, none of which can begin; ``because`` has a sentence a step."""

    ids: tuple[IntentId, ...]
    because: tuple[str, ...]


class Needs:
    """What the points of some intents need, and what those need in turn, read level by level; settled needs are met."""

    def __init__(self, reader: Reader, start: Sequence[IntentId]) -> None:
        self.intents: dict[IntentId, Intent] = {}
        self.of: dict[Point, dict[Point, str]] = {}
        """Each point's needs, each with the sentence that says why."""
        self._asked: set[IntentId] = set()
        self._take(reader, start)
        level: list[Point] = [(id, _DONE) for id, intent in self.intents.items() if intent.status not in SETTLED]
        while level:
            level = self._widen(reader, level)

    def _take(self, reader: Reader, ids: Iterable[IntentId]) -> None:
        wanted = [id for id in dict.fromkeys(ids) if id not in self._asked]
        self._asked.update(wanted)
        self.intents.update((intent.id, intent) for intent in reader.fetch(wanted) if intent is not None)

    def _widen(self, reader: Reader, level: list[Point]) -> list[Point]:
        for point in level:
            self.of[point] = {(point[0], _BEGUN): ""} if point[1] else {}
        here = frozenset(level)
        edges = reader.neighbours(sorted({id for id, _ in level}), PLANNING)
        steps = [step for edge in edges for step in _steps(edge) if step[0] in here]
        self._take(reader, (need[0] for _, need, _ in steps))
        for point, need, said in steps:
            if self._holds(point, need):
                self.of[point][need] = said
        return sorted({need for point in level for need in self.of[point]} - self.of.keys())

    def _holds(self, point: Point, need: Point) -> bool:
        needer, needed = self.intents.get(point[0]), self.intents.get(need[0])
        if needer is None or needed is None:
            return False
        if need[1] is _BEGUN:  # what a settled parent stands below still counts
            return True
        if point[1] is _DONE:  # a failed subgoal does not keep its parent from being done
            return needed.status in OPEN
        return needed.status not in SETTLED and needer.status not in SETTLED


def _steps(edge: Edge) -> Iterator[tuple[Point, Point, str]]:
    if edge.type == SUBGOAL:
        child, parent = edge.source, edge.target
        yield (child, _BEGUN), (parent, _BEGUN), f"{child} stands below {parent}, which waits"
        yield (parent, _DONE), (child, _DONE), f"{parent} has the open subgoal {child}"
        return
    waiter, awaited = arrow(edge)
    said = f"{waiter} waits for {awaited} ({edge.source} {edge.type} {edge.target})"
    yield (waiter, _BEGUN), (awaited, _DONE), said


def open_ids(storage: IntentStorage) -> list[IntentId]:
    """Returns the ids of all intents that are active, executing or suspended."""
    return [intent.id for intent in every_intent(storage, IntentFilter(status=OPEN))]


# --- the longest chain ---


def critical_path(needs: Needs, target: IntentId | None, *, by: str | None) -> CriticalPath:
    """Returns the chain that takes longest until ``target`` is done, or until all is.

    An intent takes 1, or the number in its metadata under ``by``; without that number, nothing. Intents that wait
    for one another in a circle have no longest chain: `QueryInvalid`, with the circle.
    """
    cost = _cost(by)
    longest: dict[Point, float] = {}
    before: dict[Point, Point] = {}
    ends = [(target, _DONE)] if target is not None else [(id, _DONE) for id in needs.intents]
    ends = [point for point in ends if point in needs.of]
    for point in _in_order(needs, ends):
        own = cost(needs.intents[point[0]]) if point[1] else 0.0
        needed = needs.of[point]
        slowest = max(needed, key=lambda each: (longest[each], each), default=None)
        longest[point] = own + (longest[slowest] if slowest is not None else 0.0)
        if slowest is not None:
            before[point] = slowest
    if not longest:
        return CriticalPath((), 0.0)
    end = max(ends, key=lambda each: (longest[each], each))
    chain: list[Intent] = []
    at: Point | None = end
    while at is not None:
        if at[1]:
            chain.append(needs.intents[at[0]])
        at = before.get(at)
    return CriticalPath(tuple(reversed(chain)), longest[end])


def _cost(by: str | None) -> Callable[[Intent], float]:
    if by is None:
        return lambda _: 1.0

    def cost(intent: Intent) -> float:
        number = intent.metadata.get(by, 0.0)
        if not isinstance(number, int | float) or isinstance(number, bool) or number < 0:
            raise FieldInvalid(
                f"metadata.{by}", f"of intent {intent.id} is {number!r}", hint="give a number, 0 or more, or another by"
            )
        return float(number)

    return cost


def _in_order(needs: Needs, ends: Iterable[Point]) -> Iterator[Point]:
    """Yields every point the ends need, and the ends, each behind what it needs."""
    state: dict[Point, bool] = {}
    for end in ends:
        if end in state:
            continue
        state[end] = False
        todo: list[tuple[Point, Iterator[Point]]] = [(end, iter(needs.of[end]))]
        while todo:
            point, rest = todo[-1]
            for each in rest:
                if each not in state:
                    state[each] = False
                    todo.append((each, iter(needs.of[each])))
                    break
                if not state[each]:
                    on_way = [p for p, _ in todo]
                    _refuse(needs, on_way[on_way.index(each) :])
            else:
                todo.pop()
                state[point] = True
                yield point


def _refuse(needs: Needs, points: list[Point]) -> None:
    cycle = _told(needs, points)
    raise QueryInvalid(
        f"these wait for one another: {'; '.join(cycle.because)}",
        hint="unlink one of these edges; intent cycles lists every circle",
        path=list(cycle.ids),
    )


def _told(needs: Needs, points: Sequence[Point]) -> Cycle:
    """Returns the circle through these points, each of which needs the next and the last the first."""
    steps = zip(points, [*points[1:], points[0]], strict=True)
    because = tuple(said for said in (needs.of[a][b] for a, b in steps) if said)
    return Cycle(tuple(dict.fromkeys(id for id, _ in points)), because)


# --- circles ---


def cycles(needs: Needs) -> list[Cycle]:
    """Returns a shortest circle of each group of intents that wait for one another, smallest id first."""
    found = [_told(needs, _shortest(needs, group)) for group in _knots(needs.of)]
    return sorted(found, key=lambda cycle: min(cycle.ids))


def _knots(of: dict[Point, dict[Point, str]]) -> list[set[Point]]:
    """Returns the strongly connected groups of two points or more (Tarjan 1972, without recursion)."""
    found: list[set[Point]] = []
    number: dict[Point, int] = {}
    low: dict[Point, int] = {}
    stack: dict[Point, None] = {}  # a stack that knows what is on it
    todo: list[tuple[Point, Iterator[Point]]] = []

    def enter(point: Point) -> None:
        number[point] = low[point] = len(number)
        stack[point] = None
        todo.append((point, iter(of[point])))

    def leave(point: Point) -> None:
        todo.pop()
        if todo:
            low[todo[-1][0]] = min(low[todo[-1][0]], low[point])
        if low[point] == number[point]:
            group = {stack.popitem()[0]}
            while point not in group:
                group.add(stack.popitem()[0])
            found.extend([group] if len(group) > 1 else [])

    for start in of:
        if start not in number:
            enter(start)
        while todo:
            point, rest = todo[-1]
            for each in rest:
                if each not in number:
                    enter(each)
                    break
                if each in stack:
                    low[point] = min(low[point], number[each])
            else:
                leave(point)
    return found


def _shortest(needs: Needs, group: set[Point]) -> list[Point]:
    """Returns the points of a shortest circle through the group's first point."""
    start = min(group)
    came: dict[Point, Point] = {}
    level = [start]
    while True:
        reached: list[Point] = []
        for point in level:
            for each in needs.of[point]:
                if each == start:
                    circle = [point]
                    while circle[-1] != start:
                        circle.append(came[circle[-1]])
                    return circle[::-1]
                if each in group and each not in came:
                    came[each] = point
                    reached.append(each)
        level = reached
