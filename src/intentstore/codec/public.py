"""What people and programs see: any of our structs as JSON-able builtins, the same on CLI, HTTP and MCP."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from ..ground.types import Claim, Edge, Intent
from ..ground.values import Code, ErrorValue, Keyword, Map, Resource, Symbol
from .body import claim_wire, edge_wire, intent_wire
from .wire import to_wire, write_time


def jsonable(thing: Any) -> Any:
    """Returns the thing as dicts, lists, strings, numbers, bools and None; absent fields are left out.

    >>> from intentstore.ground.types import Intent
    >>> jsonable(Intent(id="a", goal="Ship"))
    {'id': 'a', 'goal': 'Ship', 'status': 'active', 'priority': 0, 'revision': 0}
    """
    match thing:
        case Intent():
            return jsonable(intent_wire(thing))
        case Edge():
            return jsonable(edge_wire(thing))
        case Claim():
            return claim_wire(thing)
        case Map() | Keyword() | Symbol() | Code() | Resource() | ErrorValue() | UUID():
            return to_wire(thing)
        case None | bool() | int() | float():
            return thing
        case Enum():
            return thing.value
        case str():
            return str.__str__(thing)
        case datetime():
            return write_time(thing.astimezone(UTC))
        case dict():
            return {str(key): jsonable(item) for key, item in thing.items()}
        case msgspec.Struct():
            return _struct(thing)
    return [jsonable(item) for item in thing]


def _struct(thing: msgspec.Struct) -> dict[str, Any]:
    tag = thing.__struct_config__.tag
    found: dict[str, Any] = {"do": tag} if isinstance(tag, str) else {}
    for field in msgspec.structs.fields(type(thing)):
        value = getattr(thing, field.name)
        if value is None or (field.default is not msgspec.NODEFAULT and value == field.default):
            continue
        found[field.encode_name] = jsonable(value)
    return found
