"""A graph read piece by piece for whoever writes it out. Knows the graph; has never heard of a format."""

from __future__ import annotations

from collections.abc import Iterator

from ..graph import IntentGraph
from ..ground.query import EVERYTHING, IntentFilter
from ..ground.types import Edge, Intent
from .source import Progress

_PAGE = 1_000


class Pages:
    """The intents of a graph sorted by id, then the edges between those that were seen; bounded but for the ids.

    Others may write meanwhile: an edge whose ends were not both seen is left out, so that a file is always whole.
    """

    def __init__(self, graph: IntentGraph, progress: Progress | None = None, where: IntentFilter = EVERYTHING) -> None:
        self.graph, self._progress, self._where = graph, progress, where
        self.numbers: dict[str, int] = {}
        """The seen ids in their order, each with its number from 1."""
        self.edges_written = 0

    def intents(self) -> Iterator[list[Intent]]:
        """Yields the intents, a page at a time."""
        total = sum(self.graph.count(self._where).values())
        after: str | None = None
        while True:
            page = self.graph.list(self._where, sort="id", limit=_PAGE, after=after)
            for intent in page.intents:
                self.numbers[intent.id] = len(self.numbers) + 1
            yield list(page.intents)
            if self._progress is not None:
                self._progress(len(self.numbers), total)
            after = page.next
            if after is None:
                return

    def edges(self) -> Iterator[Edge]:
        """Yields the edges between the intents seen, each once, by source."""
        seen = list(self.numbers)
        for start in range(0, len(seen), _PAGE):
            chunk = seen[start : start + _PAGE]
            here = frozenset(chunk)
            for edge in self.graph.edges_of(chunk):
                if edge.source in here and edge.target in self.numbers:
                    self.edges_written += 1
                    yield edge
