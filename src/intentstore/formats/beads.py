"""Beads JSON lines into a graph and out again: which dependencies become edges, and which must wait or stay.

What one record means is `beads_record`'s; this module knows them all together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..ground.errors import FieldInvalid
from ..ground.query import IntentFilter
from ..ground.types import UNSTORED, Edge, EdgeKey, Intent
from ..ground.values import Map
from .arrivals import Arrivals
from .beads_dependency import WAITING, Loose, dependencies_of, edge_of, loose_in, owner_of, with_loose
from .beads_record import intent_of, record_of
from .cycles import closing, written
from .pages import Pages
from .source import Line, placing


def sniff(first: dict[str, Any]) -> bool:
    """True when this is a beads record."""
    return "id" in first and "title" in first


def read(source: Iterator[Line], arrivals: Arrivals) -> None:
    """Gathers the records; what of their dependencies cannot be an edge stays with its intent and is skipped."""
    listed: dict[str, list[Any]] = {}
    for line in source:
        record = line.record()
        with placing(line.number):
            intent, dependencies = intent_of(record)
        arrivals.add(intent, line.number)
        if dependencies:
            listed[intent.id] = dependencies
    arrivals.meet()
    for intent in arrivals.coming():
        old = arrivals.there(intent.id)
        if old is not None and intent.created_at is UNSTORED:  # the record has no time at all
            arrivals.change(intent.replace(created_at=old.created_at, updated_at=old.created_at))
    Dependencies(arrivals).settle(listed)


class _Candidate(msgspec.Struct):
    """A dependency on its way to be an edge: whose it is, where it stood, on which line."""

    id: str
    place: int
    dependency: Any
    line: int
    edge: Edge | None = None
    waited: bool = False


class Dependencies:
    """Settles every dependency of a file, and those that waited in the graph: an edge, or loose with a reason."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._loose: dict[str, list[Loose]] = {}
        self._changed: dict[str, Intent] = {}

    def settle(self, listed: dict[str, list[Any]]) -> None:
        """Decides, in file order, and hands intents and edges to the arrivals."""
        arrivals = self._arrivals
        coming = {intent.id: intent for intent in arrivals.coming()}
        candidates = [
            _Candidate(id, place, dependency, arrivals.lines[id])
            for id, dependencies in listed.items()
            if id in coming
            for place, dependency in enumerate(dependencies)
        ]
        candidates += self._waiting(coming)
        there, gone = self._stored(candidates)
        taken = self._take(candidates, there)
        ways = closing([edge for each in taken if (edge := each.edge)], arrivals.graph, gone)
        for each in taken:
            assert each.edge is not None
            if each.edge.key in ways:
                why = f"would close a cycle: {written(ways[each.edge.key])}"
                self._leave(each, "cycle", why)
            else:
                arrivals.link(each.edge, each.line, expected=None if each.edge.key in gone else 0)
                gone.pop(each.edge.key, None)
        for key in gone:
            arrivals.unlink(key)
        for id in {**dict.fromkeys(self._loose), **self._changed}:
            intent = coming[id] if id in coming else self._changed[id]
            arrivals.change(with_loose(intent, self._loose.get(id, ())))

    def _waiting(self, coming: dict[str, Intent]) -> Iterator[_Candidate]:
        """Yields the dependencies kept in the graph whose intent is known now, and keeps their company as it is."""
        graph = self._arrivals.graph
        marked = graph.each(IntentFilter(metadata=Map({WAITING: True}))) if graph.revision else ()
        for intent in list(marked):
            loose = loose_in(intent)
            arrived = [each for each in loose if each.why == "absent" and self._has_come(each)]
            if intent.id in coming or not arrived:
                continue
            self._arrivals.look([intent.id])
            self._changed[intent.id] = intent
            self._loose[intent.id] = [each for each in loose if each not in arrived]
            for each in arrived:
                line = self._arrivals.lines.get(each.dependency["depends_on_id"], 0)
                yield _Candidate(intent.id, each.place, each.dependency, line, waited=True)

    def _has_come(self, loose: Loose) -> bool:
        wanted = loose.dependency.get("depends_on_id") if type(loose.dependency) is dict else None
        return type(wanted) is str and self._arrivals.known(wanted)

    def _stored(self, candidates: list[_Candidate]) -> tuple[set[EdgeKey], dict[EdgeKey, Edge]]:
        """Returns the edges that stay where candidates stand, and those that go with the records replaced."""
        replaced = set(self._arrivals.replaced())
        stays: set[EdgeKey] = set()
        gone: dict[EdgeKey, Edge] = {}
        for edge in self._arrivals.stored_edges([*replaced, *(each.id for each in candidates)]):
            if owner_of(edge) in replaced:
                gone[edge.key] = edge
            else:
                stays.add(edge.key)
        return stays, gone

    def _take(self, candidates: list[_Candidate], there: set[EdgeKey]) -> list[_Candidate]:
        """Returns the candidates that are an edge between known intents, the only one of its key."""
        self._arrivals.look(_ends(candidates))
        taken: list[_Candidate] = []
        seen = set(there)
        for each in candidates:
            try:
                each.edge = edge_of(each.id, each.dependency, each.place)
            except FieldInvalid as error:
                self._leave(each, "unfit", f"cannot be an edge: {error}")
                continue
            wanted = each.dependency["depends_on_id"]
            if not self._arrivals.known(wanted):
                self._leave(each, "absent", "waits for an id that is neither in the file nor in the graph")
            elif each.edge.key in seen:
                self._leave(each, "twice", "says what another edge between the two says already")
            else:
                seen.add(each.edge.key)
                taken.append(each)
        return taken

    def _leave(self, each: _Candidate, why: str, said: str) -> None:
        self._loose.setdefault(each.id, []).append(Loose(each.place, why, each.dependency))
        what = each.dependency if type(each.dependency) is dict else {}
        name = f"the dependency {what.get('type', 'blocks')} {what.get('depends_on_id')!r}"
        self._arrivals.skip(each.line, each.id, f"{name} {said}")


def _ends(candidates: list[_Candidate]) -> Iterator[str]:
    for each in candidates:
        if type(each.dependency) is dict and type(each.dependency.get("depends_on_id")) is str:
            yield each.dependency["depends_on_id"]


def write(pages: Pages) -> Iterator[bytes]:
    """Yields one record a line, by id."""
    for intents in pages.intents():
        at: dict[str, list[Edge]] = {intent.id: [] for intent in intents}
        for edge in pages.graph.edges_of(list(at)):
            for end in (edge.source, edge.target):
                if end in at:
                    at[end].append(edge)
        for intent in intents:
            record = record_of(intent, dependencies_of(intent, at[intent.id]))
            yield msgspec.json.encode(record) + b"\n"
            pages.edges_written += sum(owner_of(edge) == intent.id for edge in at[intent.id])
