"""An edge from its RTFS form, ``(edge {:from "a" :to "b" :type "DependsOn"})`` or another spelling of it.

Knows forms and edges; whether its ends are ids or names is for the reader of the whole text to say.
"""

from __future__ import annotations

import re
from typing import Any

from ..ground.errors import FieldInvalid
from ..ground.times import read_time
from ..ground.types import Edge, EdgeType
from ..ground.values import Keyword, Map, Symbol, freeze
from .intents import UNKNOWN, entries_of
from .spelling import Field, Spelled, take_apart

_CAMEL = {
    "DependsOn": EdgeType.DEPENDS_ON,
    "IsSubgoalOf": EdgeType.IS_SUBGOAL_OF,
    "ConflictsWith": EdgeType.CONFLICTS_WITH,
    "Enables": EdgeType.ENABLES,
    "RelatedTo": EdgeType.RELATED_TO,
    "TriggeredBy": EdgeType.TRIGGERED_BY,
    "Blocks": EdgeType.BLOCKS,
}
CCOS_TYPES = {type: name for name, type in _CAMEL.items()}
"""The names of the seven types with meaning, as CCOS writes them."""
_ALIASES = {"source": "from", "target": "to", "edge-type": "type"}
_HINT = 'write (edge {:from "a" :to "b" :type "DependsOn"})'
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def edge_type(name: str) -> EdgeType:
    """Returns the edge type a word means, in any of the usual spellings.

    >>> edge_type("DependsOn"), edge_type("is-subgoal-of"), edge_type("discovered_from")
    ('depends_on', 'is_subgoal_of', 'discovered_from')
    """
    return _CAMEL.get(name) or EdgeType(_HUMP.sub("_", name).replace("-", "_").lower())


def edge_of(text: str, *, line: int = 1, column: int = 1) -> Edge:
    """Returns the edge that is the whole text; its ends are the ids or names that stand there."""
    return edge_from(take_apart(text, line=line, column=column))


def edge_from(spelled: Spelled) -> Edge:
    """Returns the edge a form means."""
    try:
        return _positional(spelled) if spelled.names else _from_fields(spelled)
    except FieldInvalid as error:
        raise spelled.placed(error) from error.__cause__


def _from_fields(spelled: Spelled) -> Edge:
    fields = {_ALIASES.get(key, key): field for key, field in spelled.fields.items()}
    found: dict[str, Any] = {}
    for key, to in (("from", "source"), ("type", "type"), ("to", "target")):
        if key not in fields:
            raise FieldInvalid(key, "is missing from the edge", hint=_HINT)
        found[to] = _word(fields[key], spelled)
        del fields[key]
    found["type"] = edge_type(found["type"])
    metadata: dict[Any, Any] = {}
    for key, field in fields.items():
        match key:
            case "weight" if field.value is None or type(field.value) in (int, float):
                found["weight"] = field.value
            case "created-at":
                found["created_at"] = read_time(field.value, "created-at")
            case "revision" if type(field.value) is int:
                found["revision"] = field.value
            case "metadata" if type(field.value) is Map:
                metadata = {**entries_of(field, spelled), **metadata}
            case _:
                metadata[UNKNOWN + field.name] = freeze(field.value, UNKNOWN + field.name, 1)
    return Edge(**found, metadata=Map.of(metadata))


def _positional(spelled: Spelled) -> Edge:
    if len(spelled.names) != 3 or spelled.fields:
        raise FieldInvalid("the edge", "is not written as one", hint=_HINT)
    type, source, target = (_word(Field("", value, at), spelled) for value, at in spelled.names)
    return Edge(source=source, type=edge_type(type), target=target)


def _word(field: Field, spelled: Spelled) -> str:
    match field.value:
        case str():
            return field.value
        case Keyword(name=name) | Symbol(name=name):
            return name
    return spelled.said(field.at)
