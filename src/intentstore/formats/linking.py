"""The edges of a file that says them outright: each between known intents, each once, none closing a cycle.

Knows edges and the lines they stood on. Has never heard of a format.
"""

from __future__ import annotations

from ..ground.errors import AlreadyThere, CycleRefused, FieldInvalid
from ..ground.types import UNSTORED, Edge, EdgeKey
from .arrivals import Arrivals
from .cycles import closing, relation
from .source import at_line, placing


def link_all(edges: list[tuple[int, Edge]], arrivals: Arrivals) -> None:
    """Hands edges with their lines to the arrivals; refuses a missing end, a second such edge, a cycle by its line."""
    arrivals.look(end for _, edge in edges for end in (edge.source, edge.target))
    stored = {edge.key: edge for edge in arrivals.stored_edges(edge.source for _, edge in edges)}
    taken: dict[EdgeKey, tuple[int, Edge]] = {}
    seen: dict[EdgeKey, int] = {}
    for number, edge in edges:
        old = stored.get(edge.key)
        with placing(number):
            _check(edge, old, arrivals, seen.get(edge.key))
        seen[edge.key] = number
        if old is not None and arrivals.if_exists == "keep":
            arrivals.skip(number, edge.source, "the edge is in the graph already and was kept as it is")
            continue
        dated = edge if old is None or edge.created_at is not UNSTORED else edge.replace(created_at=old.created_at)
        taken[edge.key] = (number, dated)
        arrivals.link(dated, number, expected=0 if old is None else old.revision)
    for key, way in closing([edge for _, edge in taken.values()], arrivals.graph).items():
        number, edge = taken[key]
        raise at_line(CycleRefused(relation(edge), way), number)


def _check(edge: Edge, old: Edge | None, arrivals: Arrivals, before: int | None) -> None:
    for field, end in (("source", edge.source), ("target", edge.target)):
        if not arrivals.known(end):
            raise FieldInvalid(field, f"{end!r} is neither in the file nor in the graph", hint="bring the intent too")
    if before is not None:
        raise FieldInvalid("the edge", f"stands on line {before} already", hint="keep one of the two")
    if old is not None and arrivals.if_exists == "refuse":
        said = f"the edge {edge.source!r} {edge.type} {edge.target!r} is in the graph already"
        raise AlreadyThere(said, hint="import with if_exists replace or keep")
