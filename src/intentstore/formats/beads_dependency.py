"""One dependency of a beads record and the edge it means, both ways; and those that are no edge, kept loose.

Pure functions. An edge carries its dependency as it came, so that it goes and comes with the edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..codec.wire import write_time
from ..ground.errors import FieldInvalid
from ..ground.types import UNSTORED, Edge, EdgeKey, EdgeType, Intent
from ..ground.values import EMPTY, Map, freeze_map
from .beads_record import KEPT, read_moment
from .kept import thaw

PLACE = "beads_place"
"""In an edge's metadata: where in its record's list of dependencies it stood."""

_TYPES = {
    "blocks": EdgeType.DEPENDS_ON,
    "parent-child": EdgeType.IS_SUBGOAL_OF,
    "related": EdgeType.RELATED_TO,
    "relates-to": EdgeType.RELATED_TO,
}
_WRITTEN_TYPES = {
    EdgeType.DEPENDS_ON: "blocks",
    EdgeType.BLOCKS: "blocks",
    EdgeType.IS_SUBGOAL_OF: "parent-child",
    EdgeType.RELATED_TO: "related",
}


def edge_of(id: str, dependency: Any, place: int) -> Edge:
    """Returns the edge that a dependency in the record of ``id`` means; raises `FieldInvalid` if it means none."""
    if type(dependency) is not dict:
        raise FieldInvalid("a dependency", "is not an object", hint="it is kept as it is")
    if dependency.get("issue_id", id) != id:
        raise FieldInvalid("issue_id", f"is {dependency['issue_id']!r}, another record's", hint="it is kept as it is")
    name = dependency.get("type", "blocks")
    if type(name) is not str:
        raise FieldInvalid("type", f"must be text, not {type(name).__name__}", hint="it is kept as it is")
    return Edge(
        source=id,
        type=_TYPES.get(name) or EdgeType(name.replace("-", "_")),
        target=dependency.get("depends_on_id"),  # type: ignore[arg-type]  # refused by Edge unless it is an id
        created_at=read_moment(dependency, "created_at") or UNSTORED,
        metadata=freeze_map({KEPT: dependency, PLACE: place}, "dependency"),
    )


def owner_of(edge: Edge) -> str:
    """Returns the id of the intent whose record lists the edge."""
    kept = edge.metadata.get(KEPT)
    if isinstance(kept, Map) and kept.get("depends_on_id") in (edge.source, edge.target):
        return edge.other(kept["depends_on_id"])
    return edge.target if edge.type == EdgeType.BLOCKS else edge.source


def dependency_of(edge: Edge) -> dict[str, Any]:
    """Returns the dependency an edge is: as it came, or a plausible one for an edge made here."""
    kept, owner = edge.metadata.get(KEPT), owner_of(edge)
    if isinstance(kept, Map) and kept.get("depends_on_id") == edge.other(owner):
        return dict(thaw(kept))
    return {
        "issue_id": owner,
        "depends_on_id": edge.other(owner),
        "type": _WRITTEN_TYPES.get(edge.type) or edge.type.replace("_", "-"),
        "created_at": write_time(edge.created_at),
    }


def place_of(edge: Edge) -> int | None:
    """Returns where in its record the edge stood; None for one made here."""
    place = edge.metadata.get(PLACE)
    return place if type(place) is int else None


# --- what is no edge ---

LOOSE = "beads_loose"
"""In an intent's metadata, beside the kept dependencies: the place and the reason of each."""
WAITING = "beads_waiting"
"""In an intent's metadata: True while some dependency waits for its intent to arrive."""


class Loose:
    """A dependency that is no edge: where it stood in its record, why, and its JSON as it came.

    ``why`` is "absent" (its intent may yet arrive), "cycle", "twice" or "unfit".
    """

    __slots__ = ("dependency", "place", "why")

    def __init__(self, place: int, why: str, dependency: Any) -> None:
        self.place, self.why, self.dependency = place, why, dependency


def loose_in(intent: Intent) -> list[Loose]:
    """Returns the dependencies kept in an intent, in the order of its record."""
    kept, notes = intent.metadata.get(KEPT), intent.metadata.get(LOOSE, ())
    listed = kept.get("dependencies") if isinstance(kept, Map) else None
    if type(listed) is not tuple or type(notes) is not tuple or len(listed) != len(notes):
        return []
    found = []
    for note, dependency in zip(notes, listed, strict=True):
        if type(note) is not tuple or len(note) != 2 or type(note[0]) is not int:
            return []
        found.append(Loose(note[0], str(note[1]), thaw(dependency)))
    return found


def with_loose(intent: Intent, loose: Iterable[Loose]) -> Intent:
    """Returns the intent keeping exactly these dependencies."""
    kept = {key: value for key, value in intent.metadata.get(KEPT, EMPTY).items() if key != "dependencies"}
    rest = {key: value for key, value in intent.metadata.items() if key not in (KEPT, LOOSE, WAITING)}
    listed = sorted(loose, key=lambda each: each.place)
    if listed:
        kept["dependencies"] = tuple(each.dependency for each in listed)
        rest[LOOSE] = tuple((each.place, each.why) for each in listed)
    if any(each.why == "absent" for each in listed):
        rest[WAITING] = True
    return intent.replace(metadata=freeze_map({KEPT: kept, **rest}, "metadata"))


def dependencies_of(intent: Intent, edges: Iterable[Edge]) -> list[Any]:
    """Returns the dependencies of the record of an intent, given every edge at it, in the order they came."""
    edges = list(edges)
    keys: set[EdgeKey] = {edge.key for edge in edges}
    placed: list[tuple[int, Any]] = []
    new: list[dict[str, Any]] = []
    for edge in sorted((edge for edge in edges if owner_of(edge) == intent.id), key=lambda edge: edge.key):
        place = place_of(edge)
        if place is None:
            new.append(dependency_of(edge))
        else:
            placed.append((place, dependency_of(edge)))
    placed += [
        (each.place, each.dependency)
        for each in loose_in(intent)
        if each.why != "twice" or _key_of(intent.id, each.dependency) in keys
    ]
    found = [dependency for _, dependency in sorted(placed, key=lambda pair: pair[0])]
    said = {_gist(dependency) for dependency in found}
    for dependency in new:
        if _gist(dependency) not in said:
            said.add(_gist(dependency))
            found.append(dependency)
    return found


def _key_of(id: str, dependency: Any) -> EdgeKey | None:
    try:
        return edge_of(id, dependency, 0).key
    except FieldInvalid:
        return None


def _gist(dependency: Any) -> tuple[str, str]:
    if type(dependency) is not dict:
        return ("", "")
    return (str(dependency.get("depends_on_id")), str(dependency.get("type", "blocks")))
