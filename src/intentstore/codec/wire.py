"""`Value` to JSON-able builtins and back: the tagged forms of the value table.

A string key that begins with ``$``, or a key that is no string, sends a map through ``{"$map": [[k, v], …]}``;
so an object with a single ``$`` key is always one of our tags and nothing is ambiguous.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ..ground.errors import FieldInvalid
from ..ground.times import read_time, write_time
from ..ground.types import AnyValue, EdgeType
from ..ground.values import (
    EMPTY,
    MAX_DEPTH,
    Code,
    ErrorValue,
    Keyword,
    Map,
    Resource,
    Symbol,
    flat_map,
    freeze,
    freeze_key,
    freeze_time,
    is_plain,
)

__all__ = ["decode_hook", "encode_hook", "from_wire", "map_from_wire", "read_time", "to_wire", "write_time"]


def to_wire(value: Any) -> Any:
    """Returns the value as dicts, lists, strings, numbers, bools and None, tags included."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case tuple():
            return [to_wire(item) for item in value]
        case Map():
            if value.plain:
                return {key: to_wire(item) for key, item in value.items()}
            if all(type(key) is str and not key.startswith("$") for key in value):
                return {key: to_wire(item) for key, item in value.items()}
            return {"$map": [[to_wire(key), to_wire(item)] for key, item in value.items()]}
        case Keyword(name=name):
            return {"$keyword": name}
        case Symbol(name=name):
            return {"$symbol": name}
        case Code(text=text):
            return {"$code": text}
        case Resource(uri=uri):
            return {"$resource": uri}
        case UUID():
            return {"$uuid": str(value)}
        case datetime():
            return {"$timestamp": write_time(value, "milliseconds")}
        case ErrorValue(message=message, trace=trace):
            return {"$error": {"message": message, "trace": list(trace)}}
    raise TypeError(f"{type(value).__name__} is not a Value")


def from_wire(thing: Any, where: str, depth: int = 0) -> Any:
    """Returns the `Value` these builtins stand for, checked as `freeze` checks; an unknown tag is refused."""
    kind = type(thing)
    if kind is dict:
        if len(thing) == 1:
            (key,) = thing
            if type(key) is str and key.startswith("$"):
                return _untag(key, thing[key], where, depth)
        if depth >= MAX_DEPTH:
            return freeze({"": thing}, where, depth)  # refuses, in freeze's words
        return _map(thing.items(), where, depth)
    if kind is list:
        if depth >= MAX_DEPTH:
            return freeze([], where, depth)
        return tuple([from_wire(item, f"{where}[{at}]", depth + 1) for at, item in enumerate(thing)])
    return freeze(thing, where, depth)


def map_from_wire(thing: Any, where: str) -> Map:
    """Returns the `Map` these builtins stand for; anything else is `FieldInvalid`."""
    found = from_wire(thing, where)
    if not isinstance(found, Map):
        raise FieldInvalid(where, f"must be a mapping, not {type(thing).__name__}", hint='give {"name": value, …}')
    return found


def _map(pairs: Any, where: str, depth: int) -> Map:
    items: dict[Any, Any] = {}
    plain = True
    for key, item in pairs:
        kept = freeze_key(key, where)
        if kept in items:
            raise FieldInvalid(where, f"holds the key {key!r} twice", hint="keep one of the two")
        value = from_wire(item, f"{where}.{key}", depth + 1)
        items[kept] = value
        plain = plain and type(kept) is str and not kept.startswith("$") and is_plain(value)
    return Map.trusted(items, plain=plain) if items else EMPTY


def _untag(tag: str, inner: Any, where: str, depth: int) -> Any:
    try:
        match tag:
            case "$map":
                if depth >= MAX_DEPTH:
                    return freeze({"": inner}, where, depth)  # refuses, in freeze's words
                return _map([(from_wire(key, where, depth + 1), item) for key, item in inner], where, depth)
            case "$keyword":
                return freeze(Keyword(_text(inner)), where)
            case "$symbol":
                return freeze(Symbol(_text(inner)), where)
            case "$code":
                return freeze(Code(_text(inner)), where)
            case "$resource":
                return freeze(Resource(_text(inner)), where)
            case "$uuid":
                return UUID(_text(inner))
            case "$timestamp":
                return freeze_time(read_time(_text(inner), where), where, finest="millisecond")
            case "$error":
                return freeze(ErrorValue(_text(inner["message"]), tuple(map(_text, inner.get("trace", ())))), where)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, FieldInvalid):
            raise
        raise FieldInvalid(where, f"holds a malformed {tag}", hint="see the value table in docs/formats.md") from None
    raise FieldInvalid(where, f"holds the unknown tag {tag}", hint='write a key that begins with $ through "$map"')


def _text(thing: Any) -> str:
    if type(thing) is not str:
        raise TypeError("not text")
    return thing


def encode_hook(thing: Any) -> Any:
    """Tells the JSON encoder how to write what it does not know: maps, edge types, tagged values."""
    if type(thing) is Map:
        return thing.raw if thing.plain else to_wire(thing)
    if type(thing) is EdgeType:
        return str.__str__(thing)
    return to_wire(thing)


def decode_hook(kind: Any, thing: Any) -> Any:
    """Builds the field types that the JSON decoder does not know."""
    if kind is Map:
        return flat_map(thing) or map_from_wire(thing, "map")
    if kind is EdgeType:
        return EdgeType(thing)
    if kind is AnyValue:
        return from_wire(thing, "success_criteria")
    raise NotImplementedError(kind)
