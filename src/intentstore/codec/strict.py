"""The one door for text from outside: JSON that is exactly JSON, then structs that are exactly ours.

Refuses duplicate keys, NaN, Infinity and 1e999, integers beyond 64 bits, lone surrogates and NUL, nesting over
64, a byte-order mark, unknown fields, a bool where a number belongs. Always `FieldInvalid`, naming the place.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import msgspec

from ..ground.change import Change, Define, Drop, Link, Note, Put, Unlink
from ..ground.errors import FieldInvalid, IntentStoreError, QueryInvalid
from ..ground.query import ConnectedTo, HasEdge, IntentFilter
from ..ground.types import EDGE_FIELDS, INTENT_FIELDS, Claim, Edge, EdgeType, Intent, edge_key
from ..ground.values import MAX_DEPTH, check_text
from .wire import from_wire, map_from_wire, read_time

# An intent is an object in an object in a line; its values may nest MAX_DEPTH deep within it.
_DEEPEST = MAX_DEPTH + 8
_KEY = re.compile(rb'"\s*:')
_plain_json = msgspec.json.Decoder()


def strict_loads(text: bytes | str, where: str = "input") -> Any:
    """Returns what the JSON text says, or raises `FieldInvalid` saying why it is not to be trusted.

    >>> strict_loads('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    intentstore.ground.errors.FieldInvalid: input holds the key 'a' twice
    """
    data = _as_bytes(text, where)
    try:
        found = _plain_json.decode(data)
        keys = _check(found, where)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        if isinstance(error, IntentStoreError):
            raise
        _explain(data, where, error)
    # As many `":` as keys: no key came twice. More: a string holds one, or a key did; ask the slow reader.
    if len(_KEY.findall(data)) != keys:
        _slow_loads(data, where)
    return found


def _as_bytes(text: bytes | str, where: str) -> bytes:
    data = check_text(text, where).encode() if isinstance(text, str) else bytes(text)
    if data.startswith(b"\xef\xbb\xbf"):
        raise FieldInvalid(where, "begins with a byte-order mark", hint="save it as UTF-8 without BOM")
    return data


def _check(found: Any, where: str) -> int:
    """Walks the decoded JSON; returns how many keys it holds. Iterative: depth is the input's, not ours."""
    keys = 0
    todo: list[tuple[Any, int]] = [(found, 1)]
    while todo:
        thing, depth = todo.pop()
        kind = type(thing)
        if kind is str:
            check_text(thing, where)
        elif kind is dict:
            if depth > _DEEPEST:
                raise _deep(where)
            keys += len(thing)
            for key, item in thing.items():
                check_text(key, where)
                # `{"$map": [[key, value]]}` is one level of a value, though three of JSON.
                todo += [(each, depth + 1) for each in _pairs(item)] if key == "$map" else [(item, depth + 1)]
        elif kind is list:
            if depth > _DEEPEST:
                raise _deep(where)
            todo.extend([(item, depth + 1) for item in thing])
        elif kind is int and not -(2**63) <= thing < 2**63:
            raise FieldInvalid(where, "holds an integer beyond 64 bits", hint="write it as a string")
        elif kind is float and not math.isfinite(thing):
            raise FieldInvalid(where, "holds a number out of range", hint="use null, or a finite number")
    return keys


def _pairs(thing: Any) -> list[Any]:
    """Returns the keys and values of a ``$map``, or what stands in its place, to be refused by who reads tags."""
    if type(thing) is not list:
        return [thing]
    return [each for pair in thing for each in (pair if type(pair) is list else [pair])]


def _deep(where: str) -> FieldInvalid:
    return FieldInvalid(where, f"is nested deeper than {MAX_DEPTH}", hint="flatten it")


def _explain(data: bytes, where: str, error: Exception) -> NoReturn:
    text = str(error)
    if "ecursion" in text or isinstance(error, RecursionError):
        raise _deep(where) from None
    if "out of range" in text:
        raise FieldInvalid(where, "holds a number out of range", hint="use null, or a finite number") from None
    if isinstance(error, UnicodeError):
        raise FieldInvalid(where, f"is not UTF-8: {text}", hint="save it as UTF-8") from None
    if re.search(rb"[:\[,\s](NaN|-?Infinity)\b", b" " + data[:10_000]):
        raise FieldInvalid(where, "holds NaN or Infinity, which are not JSON", hint="use null") from None
    raise FieldInvalid(where, f"is not JSON: {text}", hint="give one complete JSON value") from None


def _slow_loads(data: bytes, where: str) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise FieldInvalid(where, f"holds the key {twice!r} twice", hint="keep one of the two")
        return found

    json.loads(data, object_pairs_hook=unique)


# --- Structs from builtins -------------------------------------------------------------------------


def value_from_json(thing: Any, where: str) -> Any:
    """Returns the `Value` that decoded JSON stands for (``{"$keyword": "k"}`` and the like included)."""
    return from_wire(thing, where)


def _object(thing: Any, fields: tuple[str, ...], where: str) -> dict[str, Any]:
    if type(thing) is not dict:
        raise FieldInvalid(where, f"must be an object, not {type(thing).__name__}", hint=f"fields: {', '.join(fields)}")
    for key in thing:
        if key not in fields:
            raise FieldInvalid(str(key), f"is not a field of {where}", hint=f"fields: {', '.join(fields)}")
    return thing


def _build(kind: Any, found: dict[str, Any], where: str) -> Any:
    try:
        return kind(**found)
    except TypeError as error:
        missing = re.search(r"argument '(\w+)'", str(error))
        name = missing.group(1) if missing else where
        raise FieldInvalid(name, f"is missing from {where}", hint=f"give {name}") from None


def intent_from(thing: Any, where: str = "intent") -> Intent:
    """Returns the intent that decoded JSON describes; every field is checked, an unknown one refused."""
    found = dict(_object(thing, INTENT_FIELDS, where))
    for field in ("constraints", "preferences", "generation_context", "metadata"):
        if field in found:
            found[field] = map_from_wire(found[field], field)
    if "success_criteria" in found:
        found["success_criteria"] = from_wire(found["success_criteria"], "success_criteria")
    for field in ("created_at", "updated_at"):
        if field in found:
            found[field] = read_time(found[field], field)
    if found.get("claim") is not None:
        claim = dict(_object(found["claim"], Claim.__struct_fields__, "claim"))
        claim["until"] = read_time(claim.get("until"), "claim.until")
        found["claim"] = _build(Claim, claim, "claim")
    intent: Intent = _build(Intent, found, where)
    return intent


def edge_from(thing: Any, where: str = "edge") -> Edge:
    """Returns the edge that decoded JSON describes; every field is checked, an unknown one refused."""
    found = dict(_object(thing, EDGE_FIELDS, where))
    if "metadata" in found:
        found["metadata"] = map_from_wire(found["metadata"], "metadata")
    if "created_at" in found:
        found["created_at"] = read_time(found["created_at"], "created_at")
    edge: Edge = _build(Edge, found, where)
    return edge


def change_from(thing: Any, where: str = "change") -> Change:
    """Returns the change that decoded JSON describes: ``{"do": "put", "intent": {…}}``, and the other five."""
    fields = ("do", "intent", "edge", "id", "source", "type", "target", "text", "name", "value", "expected")
    found = dict(_object(thing, fields, where))
    verb = found.pop("do", None)
    match verb:
        case "put":
            found["intent"] = intent_from(found.get("intent"))
            change: Any = _build(Put, found, where)
        case "link":
            found["edge"] = edge_from(found.get("edge"))
            change = _build(Link, found, where)
        case "drop":
            change = _build(Drop, found, where)
        case "unlink":
            source, type_, target = (str(found.get(end) or "") for end in ("source", "type", "target"))
            source, kind, target = edge_key(source, EdgeType(type_), target)
            change = Unlink(source=source, type=kind, target=target)
        case "note":
            change = _build(Note, found, where)
        case "define":
            if found.get("value") is not None:
                found["value"] = map_from_wire(found["value"], "value")
            change = _build(Define, found, where)
        case _:
            raise FieldInvalid("do", f"{verb!r} is not a change", hint="use put, drop, link, unlink, note or define")
    return change  # type: ignore[no-any-return]  # built above, by tag


def filter_from(thing: Any, where: str = "where") -> IntentFilter:
    """Returns the filter that decoded JSON describes; an unknown field is `QueryInvalid`."""
    try:
        found = dict(_object(thing, IntentFilter.__struct_fields__, where))
    except FieldInvalid as error:
        raise QueryInvalid(str(error), hint=error.hint) from None
    for field in ("created_after", "created_before", "updated_after", "updated_before"):
        if field in found:
            found[field] = read_time(found[field], field)
    if "metadata" in found:
        found["metadata"] = map_from_wire(found["metadata"], "metadata")
    if "has_edge" in found:
        found["has_edge"] = _build(HasEdge, _object(found["has_edge"], HasEdge.__struct_fields__, "has_edge"), where)
    if "connected_to" in found:
        inner = _object(found["connected_to"], ConnectedTo.__struct_fields__, "connected_to")
        found["connected_to"] = _build(ConnectedTo, inner, where)
    if "any_of" in found:
        found["any_of"] = tuple(filter_from(inner, "any_of") for inner in found["any_of"])
    if "not_" in found:
        found["not_"] = filter_from(found["not_"], "not_")
    return IntentFilter(**found)
