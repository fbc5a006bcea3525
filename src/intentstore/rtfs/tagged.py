"""The lists that stand for what RTFS has no letters for: an odd keyword, code that is no form, an error.

``(intentstore/keyword "a b")`` and its kin make ``read(print(v)) == v`` hold for every value. Written in any other
shape such a list is code like any other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..ground.values import EMPTY, Code, ErrorValue, Keyword, Map, Resource, Symbol
from .tokens import CLOSE, CODE, KEYS, NOTHING, OPEN, TAG, TOKEN

if TYPE_CHECKING:
    from .reader import Reader

_TAGGED = re.compile(re.escape(TAG) + r'(keyword|symbol|code|resource|error|map)(?=[ \t\r\n\[";#])')


def tagged(reader: Reader, start: int, depth: int) -> tuple[Any, int] | None:
    """Returns the value a list stands for and where the list ends, None if it is just code."""
    tag = _TAGGED.match(reader.text, start)
    if tag is None:
        return None
    if tag[1] == "map":
        return _map(reader, tag.end(), depth)
    arguments, pos = [], tag.end()
    while not _stands(reader, pos, ")"):
        if _stands(reader, pos, "]") or _stands(reader, pos, "}"):
            return None
        value, _, pos = reader.one(pos, depth)
        if value is NOTHING:
            reader.unclosed(start)
        arguments.append(value)
    value = _meant(tag[1], arguments)
    return None if value is None else (value, _behind(reader, pos, ")"))


def _meant(tag: str, arguments: list[Any]) -> Any:
    match tag, arguments:
        case "keyword", [str(text)] if text:
            return Keyword(text)
        case "symbol", [str(text)] if text:
            return Symbol(text)
        case "code", [str(text)] if text:
            return Code(text)
        case "resource", [str(text)] if text:
            return Resource(text)
        case "error", [str(message), tuple(trace)] if all(type(each) is str for each in trace):
            return ErrorValue(message, trace)
    return None


def _map(reader: Reader, pos: int, depth: int) -> tuple[Any, int] | None:
    """Reads ``[[key value] …])``, which is one level of a value, though three of brackets."""
    if depth >= reader.limit:
        reader.fail(pos, f"nested deeper than {reader.limit}", hint="flatten it")
    found: dict[Any, Any] = {}
    pos = _behind(reader, pos, "[")
    while _stands(reader, pos, "["):
        pos = _behind(reader, pos, "[")
        if _stands(reader, pos, "]"):
            return None
        key, at, pos = reader.one(pos, depth + 1)
        if type(key) not in KEYS or _stands(reader, pos, "]"):
            return None
        value, _, pos = reader.one(pos, depth + 1)
        if value is NOTHING:
            return None
        if key in found:
            reader.fail(at, "the key stands here a second time", hint="keep one of the two")
        found[key] = value
        pos = _behind(reader, pos, "]")
    pos = _behind(reader, _behind(reader, pos, "]"), ")")
    return None if pos < 0 else (Map.trusted(found, plain=False) if found else EMPTY, pos)


def _stands(reader: Reader, pos: int, bracket: str) -> bool:
    if pos < 0:
        return False
    token = TOKEN.match(reader.text, pos)
    return token is not None and token.lastindex in (OPEN, CLOSE, CODE) and token[token.lastindex] == bracket


def _behind(reader: Reader, pos: int, bracket: str) -> int:
    """Returns the offset behind this bracket, -1 where another thing stands."""
    token = TOKEN.match(reader.text, pos) if _stands(reader, pos, bracket) else None
    return -1 if token is None else token.end()
