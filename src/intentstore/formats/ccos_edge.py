"""One edge as CCOS stores it and what it is here, both ways: pure functions without graph or file.

``metadata["ccos"]`` of an edge says where it came from: its place in the list of edges, the parent and children fields
that name it too, and what of its record would be written otherwise. What CCOS has no field for travels in
``metadata["intentstore"]`` of the record, as JSON text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..codec import strict_loads
from ..codec.wire import from_wire, map_from_wire, to_wire
from ..ground.errors import FieldInvalid, Invalid
from ..ground.times import read_time, write_time
from ..ground.types import UNSTORED, Edge, EdgeType, check_id
from ..ground.values import Map, freeze_map
from ..rtfs.edges import CCOS_TYPES, edge_type
from .ccos_intent import CARRIER, KEPT
from .kept import same, thaw

_ORDER = ("from", "to", "edge_type", "metadata", "weight")
_OTHER = "RelatedTo"  # what a type that CCOS does not know is written as


class Origin(NamedTuple):
    """Where an edge came from; an edge made here came from nowhere.

    ``place`` is where it stood in the list, ``parent`` says that its source named its target as the parent, ``child``
    at which place its target named its source as a child.
    """

    place: int | None = None
    parent: bool = False
    child: int | None = None


def origin_of(edge: Edge) -> Origin | None:
    """Returns where an edge came from, None for one that was made here."""
    kept = edge.metadata.get(KEPT)
    if type(kept) is not Map:
        return None
    place, child = kept.get("place"), kept.get("child")
    found = Origin(
        place if type(place) is int else None, kept.get("parent") is True, child if type(child) is int else None
    )
    return found if found != Origin() else None


def edge_of(record: Any, place: int) -> Edge:
    """Returns the edge a record means, with all of the record kept in it; `FieldInvalid` if it means none.

    >>> edge = edge_of({"from": "a", "to": "b", "edge_type": "DependsOn", "metadata": None, "weight": 0.5}, 0)
    >>> edge.key, edge.weight
    (('a', 'depends_on', 'b'), 0.5)
    """
    if type(record) is not dict:
        raise FieldInvalid("the edge", f"must be an object, not {type(record).__name__}", hint="see the file")
    carried = _carried(record)
    edge = Edge(
        source=check_id(record.get("from"), "from"),
        target=check_id(record.get("to"), "to"),
        type=_type(record, carried),
        weight=record.get("weight"),
        metadata=_metadata(record, carried),
        created_at=_created(carried),
    )
    kept: dict[str, Any] = {"place": place}
    if edge.created_at is UNSTORED:
        kept["undated"] = True
    if edge.source != record["from"]:
        kept["turned"] = True
    edge = with_origin(edge, kept)
    back = record_of(edge)
    odd = {name: raw for name, raw in record.items() if not (name in back and same(back[name], raw))}
    absent = [name for name in _ORDER if name not in record]
    return with_origin(edge, {**kept, **({"fields": odd} if odd else {}), **({"absent": absent} if absent else {})})


def record_of(edge: Edge) -> dict[str, Any]:
    """Returns the record of an edge: as it came, but for what was changed here since."""
    found = edge.metadata.get(KEPT)
    kept = thaw(found) if type(found) is Map and origin_of(edge) else {}
    ends = (edge.target, edge.source) if kept.get("turned") is True else (edge.source, edge.target)
    record: dict[str, Any] = {"from": ends[0], "to": ends[1], "edge_type": CCOS_TYPES.get(edge.type, _OTHER)}
    texts, carried = _texts(edge), _to_carry(edge, undated=kept.get("undated") is True)
    spelled = kept.get("fields", {}).get("edge_type")
    if type(spelled) is str and edge_type(spelled) == edge.type:
        record["edge_type"] = spelled
        carried.pop("type", None)
    if carried:
        texts[CARRIER] = msgspec.json.encode(carried).decode()
    record["metadata"] = texts or None
    record["weight"] = edge.weight
    for name, raw in kept.get("fields", {}).items():
        if name not in record or _still(name, raw, record):
            record[name] = raw
    return {name: value for name, value in record.items() if name not in kept.get("absent", ()) or value is not None}


def with_origin(edge: Edge, kept: Mapping[str, Any]) -> Edge:
    """Returns the edge keeping these things of its record."""
    rest = {key: value for key, value in edge.metadata.items() if key != KEPT}
    return edge.replace(metadata=freeze_map({**rest, KEPT: kept} if kept else rest, "metadata"))


def kept_of(edge: Edge) -> dict[str, Any]:
    """Returns what an edge keeps of its record, to be changed and given to `with_origin`."""
    kept = edge.metadata.get(KEPT)
    return dict(kept) if type(kept) is Map and origin_of(edge) else {}


def again_in(edge: Edge) -> Iterable[tuple[int, Any]]:
    """Yields the places and records of edges in the list that say what this one says already."""
    for item in kept_of(edge).get("again", ()):
        if type(item) is tuple and len(item) == 2 and type(item[0]) is int:
            yield item[0], thaw(item[1])


# --- the parts of a record ---


def _type(record: Mapping[str, Any], carried: Mapping[str, Any]) -> EdgeType:
    name = record.get("edge_type")
    if type(name) is not str:
        raise FieldInvalid("edge_type", f"must be text, not {type(name).__name__}", hint="DependsOn, IsSubgoalOf, …")
    if name == _OTHER and type(carried.get("type")) is str:
        return EdgeType(carried["type"])
    return edge_type(name)


def _metadata(record: Mapping[str, Any], carried: Mapping[str, Any]) -> Map:
    raw = record.get("metadata")
    if raw is None:
        raw = {}
    if type(raw) is not dict:
        raise FieldInvalid("metadata", f"must be an object, not {type(raw).__name__}", hint='write {"name": "text"}')
    found = {key: item for key, item in raw.items() if key not in (KEPT, CARRIER)}
    more = map_from_wire(carried.get("metadata", {}), "metadata")
    metadata: dict[Any, Any] = {**more, **found}
    order = [from_wire(key, "order") for key in carried.get("order", ())]
    placed = {key: metadata[key] for key in order if key in metadata}
    return freeze_map({**placed, **metadata}, "metadata")


def _created(carried: Mapping[str, Any]) -> Any:
    return read_time(carried["created_at"], "created_at") if "created_at" in carried else UNSTORED


def _carried(record: Mapping[str, Any]) -> dict[str, Any]:
    metadata = record.get("metadata")
    text = metadata.get(CARRIER) if type(metadata) is dict else None
    if type(text) is not str:
        return {}
    try:
        found = strict_loads(text, CARRIER)
        if type(found) is dict and found.keys() <= {"created_at", "type", "metadata", "order"}:
            _ = _created(found), map_from_wire(found.get("metadata", {}), "metadata")
            _ = [from_wire(key, "order") for key in found.get("order", ())]
            return found
    except (Invalid, TypeError):
        pass
    return {}


def _texts(edge: Edge) -> dict[str, Any]:
    own = (KEPT, CARRIER)
    return {
        key: item for key, item in edge.metadata.items() if type(key) is str and type(item) is str and key not in own
    }


def _to_carry(edge: Edge, *, undated: bool) -> dict[str, Any]:
    carried: dict[str, Any] = {}
    if not undated and edge.created_at is not UNSTORED:
        carried["created_at"] = write_time(edge.created_at)
    if edge.type not in CCOS_TYPES:
        carried["type"] = str.__str__(edge.type)
    texts = _texts(edge)
    ours = {key: item for key, item in edge.metadata.items() if key != KEPT or not origin_of(edge)}
    more = {key: item for key, item in ours.items() if key not in texts}
    if more:
        carried["metadata"] = to_wire(freeze_map(more, "metadata"))
        carried["order"] = [to_wire(key) for key in ours]
    return carried


def _still(name: str, raw: Any, record: Mapping[str, Any]) -> bool:
    """True when this spelling of a field says what the record, as it would be written, says."""
    match name:
        case "weight":
            return raw is None or (type(raw) in (int, float) and raw == record["weight"])
        case "metadata":
            mine = {key: item for key, item in (raw or {}).items() if key not in (KEPT, CARRIER)}
            now = {key: item for key, item in (record["metadata"] or {}).items() if key != CARRIER}
            return {key: item for key, item in mine.items() if type(item) is str} == now
    return False
