"""Values in CCOS's files: RTFS texts in its intents of today, tagged JSON in those of its older archives.

Pure functions. What is read and written back is the same text; where it is not, `ccos_intent` keeps the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from ..ground.errors import FieldInvalid, RtfsSyntaxError
from ..ground.values import MAX_DEPTH, Code, ErrorValue, Keyword, Resource, Symbol, freeze
from ..rtfs import read
from ..rtfs.printer import inline, is_word


def value_of(text: str) -> Any:
    """Returns what a text says if it is one RTFS form, else the text as `Code`.

    >>> value_of("100"), value_of("done by friday")
    (100, Code(text='done by friday'))
    """
    try:
        return read(text, max_depth=MAX_DEPTH - 1)
    except RtfsSyntaxError:
        return Code(text) if text else ""


def text_of(value: Any) -> str:
    """Returns the text of a value, from which `value_of` gives it back."""
    return value.text if type(value) is Code and value_of(value.text) == value else inline(value)


# --- older archives ---

_FLAT = re.compile(r'(keyword|symbol):(?:(?:Keyword|Symbol)\("([^"\\]+)"\)|:?([^\s"]+))')
_TIME = re.compile(r"timestamp:([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:_[0-9]{3})?Z)")
_KEY = re.compile(r'(?:Keyword\(Keyword\("([^"\\]+)"\)\)|String\("([^"\\]*)"\)|Integer\((-?[0-9]{1,18})\))')
_NOTHING = ("Nil", "Null")


def older_value(thing: Any, where: str) -> Any:
    """Returns what a value of an older archive says, tagged by its type (``{"Keyword": "eu"}``) or plain JSON.

    CCOS flattened what JSON lacks to texts (``keyword:…``); those are read back as what they were where that is
    certain, and stay texts otherwise.
    """
    if type(thing) is str:
        return None if thing in _NOTHING else thing
    if type(thing) is dict and len(thing) == 1:
        ((tag, inner),) = thing.items()
        if tag in _TAGS:
            try:
                return freeze(_TAGS[tag](inner, where), where)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                if isinstance(error, FieldInvalid):
                    raise
                raise FieldInvalid(where, f"holds a malformed {tag}", hint="see the file") from None
    return freeze(thing, where)


def _flat(text: str) -> Any:
    found = _FLAT.fullmatch(text)
    if found is not None:
        name = found[2] or found[3]
        return text if not is_word(name) else Keyword(name) if found[1] == "keyword" else Symbol(name)
    moment = _TIME.fullmatch(text)
    if moment is not None:
        return value_of(moment[1]) if type(value_of(moment[1])) is not Code else text
    if text.startswith("uuid:"):
        try:
            return UUID(text[5:])
        except ValueError:
            return text
    return Resource(text[9:]) if text.startswith("resource:resource://") else text


def _several(thing: Any, where: str) -> Any:
    return [older_value(item, f"{where}[{at}]") for at, item in enumerate(thing)]


def _map(thing: Any, where: str) -> Any:
    return {_key(key): older_value(item, f"{where}.{key}") for key, item in thing.items()}


def _key(text: str) -> Any:
    found = _KEY.fullmatch(text)
    if found is None:
        return text
    return Keyword(found[1]) if found[1] else int(found[3]) if found[3] else found[2]


def _time(thing: Any, _: str) -> Any:
    value = value_of(thing)
    return thing if type(value) is Code else value


_TAGS: dict[str, Callable[[Any, str], Any]] = {
    "Boolean": lambda thing, _: thing,
    "Integer": lambda thing, _: thing,
    "Float": lambda thing, _: thing,
    "Number": lambda thing, _: thing,
    "String": lambda thing, _: _flat(thing),
    "Timestamp": _time,
    "Uuid": lambda thing, _: UUID(thing),
    "ResourceHandle": lambda thing, _: Resource(thing),
    "Symbol": lambda thing, _: Symbol(thing),
    "Keyword": lambda thing, _: Keyword(thing),
    "Vector": _several,
    "List": _several,
    "Map": _map,
    "Error": lambda thing, _: ErrorValue(thing["message"], tuple(thing.get("stack_trace") or ())),
}
