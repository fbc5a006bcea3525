"""RTFS files into a graph, and a graph as an RTFS snapshot, ``(intent-graph (intents …) (edges …))``.

What a form means is `intentstore.rtfs`'s; this module gives ids to intents without one, finds what edges mean by a
name, and makes edges of ``:parent-intent`` and ``:child-intents``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..ground.errors import FieldInvalid, IntentStoreError
from ..ground.types import Edge, EdgeType, Intent
from ..rtfs import Statement, statements, write_edge, write_intent
from ..rtfs.intents import UNKNOWN
from .arrivals import Arrivals
from .linking import link_all
from .pages import Pages
from .source import Source, at_line, nothing_imported

_PARENT, _CHILDREN = f"{UNKNOWN}parent-intent", f"{UNKNOWN}child-intents"
_LOOKS = re.compile(rb"\s*(?:\(|;|#\||\{\s*:|intent[ \t])")


def looks(head: bytes) -> bool:
    """True when a file that begins so may be RTFS."""
    return _LOOKS.match(head) is not None


def read(source: Source, arrivals: Arrivals) -> None:
    """Gathers the intents and edges of the text; the rest is counted and told as left out."""
    try:
        taken = _Taken(arrivals)
        for statement in statements(source):  # type: ignore[arg-type]  # it reads as a binary stream does
            taken.take(statement)
    except IntentStoreError as error:
        raise nothing_imported(error) from error.__cause__
    arrivals.meet()
    link_all(list(taken.edges()), arrivals)


class _Taken:
    """What was read of a file so far, its edges still between whatever stood there."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._named: dict[str, list[str]] = {}
        self._edges: list[tuple[int, Edge]] = []
        self._above: list[tuple[int, str, str]] = []  # line, child, parent, of which one may be unknown
        self._others, self._first_other = 0, 0

    def take(self, statement: Statement) -> None:
        if statement.kind == "intent":
            self._intent(statement.intent(), statement.line)
        elif statement.kind == "edge":
            self._edges.append((statement.line, statement.edge().replace(revision=0)))
        else:
            self._others += 1
            self._first_other = self._first_other or statement.line

    def _intent(self, intent: Intent, line: int) -> None:
        id = intent.id or self._arrivals.graph.new_id()
        if intent.name:
            self._named.setdefault(intent.name, []).append(id)
        self._arrivals.add(intent.replace(id=id, revision=0), line)

    def edges(self) -> Iterator[tuple[int, Edge]]:
        """Yields every edge between ids, those of parents and children among them, and tells what was left out."""
        if self._others:
            why = f"{self._others} other forms (plans, functions, data) hold no intents of their own"
            self._arrivals.skip(self._first_other, None, why)
        for line, edge in self._edges:
            try:
                source, target = self._id(edge.source), self._id(edge.target)
                yield line, edge.replace(source=source, target=target)
            except FieldInvalid as error:
                raise at_line(error, line) from None
        said = {(edge.source, edge.target) for _, edge in self._edges if edge.type == EdgeType.IS_SUBGOAL_OF}
        for intent in self._arrivals.coming():
            yield from self._hierarchy(intent, said)

    def _id(self, end: str) -> str:
        """Returns the id that an end means: an id of the file, else the only intent of this name, else the end."""
        if end in self._arrivals.lines or end not in self._named:
            return end
        if len(self._named[end]) > 1:
            raise FieldInvalid("the edge", f"names {end!r}, which several intents are called", hint="name it by its id")
        return self._named[end][0]

    def _hierarchy(self, intent: Intent, said: set[tuple[str, str]]) -> Iterator[tuple[int, Edge]]:
        """Yields the edges to the parents and children an intent names; names of nobody stay with it, and are told."""
        metadata = dict(intent.metadata)
        line = self._arrivals.lines[intent.id]
        for key in (_PARENT, _CHILDREN):
            named = metadata.get(key)
            ends = [named] if type(named) is str else list(named) if type(named) is tuple else []
            if not ends or not all(type(end) is str for end in ends):
                continue
            unknown = []
            for end in ends:
                other = self._id(end)
                if not self._arrivals.known(other) or other == intent.id:
                    unknown.append(end)
                    self._arrivals.skip(line, intent.id, f"its {key.removeprefix(UNKNOWN)} {end!r} is not known")
                    continue
                pair = (intent.id, other) if key == _PARENT else (other, intent.id)
                if pair not in said:
                    said.add(pair)
                    yield line, Edge(source=pair[0], type=EdgeType.IS_SUBGOAL_OF, target=pair[1])
            metadata.pop(key)
            if unknown:
                metadata[key] = tuple(unknown) if type(named) is tuple else unknown[0]
        if len(metadata) < len(intent.metadata) or metadata != dict(intent.metadata):
            self._arrivals.change(intent.replace(metadata=metadata))


def write(pages: Pages) -> Iterator[bytes]:
    """Yields the snapshot: every intent by id and every edge by source, one a line."""
    yield f";; The intents and edges of {pages.graph.name}\n(intent-graph\n  (intents\n".encode()
    for intents in pages.intents():
        for intent in intents:
            bare = intent.replace(revision=0) if intent.revision else intent
            yield f"    {write_intent(bare, width=None)}\n".encode()
    yield b"  )\n  (edges\n"
    for edge in pages.edges():
        yield f"    {write_edge(edge.replace(revision=0))}\n".encode()
    yield b"  ))\n"
