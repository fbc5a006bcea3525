"""Short names for ids on a terminal: the shortest beginning that no other id in the graph shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ground.query import EVERYTHING, Sort, write_cursor

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph

LEAST = 6
_SINGLY = 100
_MOST = 20_000


class Names:
    """Shortens ids that a result holds; an id it has not learned stays whole."""

    def __init__(self, graph: IntentGraph | None) -> None:
        self._graph = graph
        self._short: dict[str, str] = {}

    def learn(self, result: Any) -> None:
        """Finds the short form of every id in the result, by asking the graph for the ids beside it."""
        ids = sorted(_ids(result))
        if self._graph is None or not ids:
            return
        if len(ids) <= _SINGLY:
            for id in ids:
                self._short[id] = _cut(id, self._beside(id, "-id"), self._beside(id, "id"))
        elif sum(self._graph.count().values()) <= _MOST:
            every = sorted({*ids, *(intent.id for intent in self._graph.each())})
            for before, id, after in zip(["", *every], every, [*every[1:], ""], strict=False):
                self._short[id] = _cut(id, before, after)

    def _beside(self, id: str, sort: str) -> str:
        assert self._graph is not None
        order = Sort.parse(sort)
        found = self._graph.list(EVERYTHING, sort=order, limit=1, after=write_cursor(order, id, id)).intents
        return found[0].id if found else ""

    def short(self, id: str) -> str:
        """Returns the shortest beginning that still names the intent."""
        return self._short.get(id, id)


def _cut(id: str, before: str, after: str) -> str:
    # One character more than what is shared: an id that begins a longer one stays whole, and is the exact match.
    cut = id[: max(LEAST, max(_shared(id, before), _shared(id, after)) + 1)]
    return id if len(id) - len(cut) <= 2 or cut.endswith(" ") else cut


def _shared(a: str, b: str) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _ids(result: Any) -> set[str]:
    found: set[str] = set()
    todo = [result]
    while todo:
        thing = todo.pop()
        if isinstance(thing, dict):
            found.update(thing[key] for key in ("id", "source", "target") if isinstance(thing.get(key), str))
            todo.extend(item for key, item in thing.items() if key not in ("metadata", "constraints", "preferences"))
        elif isinstance(thing, list):
            todo.extend(thing)
    return found
