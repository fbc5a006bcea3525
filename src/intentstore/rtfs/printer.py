"""Values to RTFS text: on one line, or laid out for people; ``read(print(v)) == v`` for every value.

What RTFS has no letters for (an odd keyword, code that is no form) is written as one of the lists of `tagged`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from ..ground.errors import RtfsSyntaxError
from ..ground.values import Code, ErrorValue, Keyword, Map, Resource, Symbol, freeze
from .tokens import RESOURCE, SYMBOL, TAG, TOKEN, WORD

WIDTH = 80
_STEP = "  "
_ODD = re.compile(r'["\\\n\t\r]')
_WRITTEN = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WORDS = frozenset({"nil", "true", "false"})


def print(value: Any, *, pretty: bool = False, width: int = WIDTH) -> str:
    r"""Returns the value as RTFS: on one line, or with ``pretty`` laid out within ``width`` columns where it can be.

    What is no value (a function, NaN) is `FieldInvalid`.

    >>> print({"a": [1, 2.0, None], 3: 'say "hi"'})
    '{"a" [1 2.0 nil] 3 "say \\"hi\\""}'
    """
    frozen = freeze(value, "value")
    return laid_out(frozen, width=width) if pretty else inline(frozen)


def text(given: str) -> str:
    r"""Returns a string literal.

    >>> text('a "b"')
    '"a \\"b\\""'
    """
    if _ODD.search(given) is None:
        return f'"{given}"'
    return f'"{_ODD.sub(lambda match: _WRITTEN[match[0]], given)}"'


def inline(value: Any) -> str:
    """Returns a frozen value on one line."""
    kind = type(value)
    if kind is str:
        return text(value)
    if kind is Map:
        return (
            bracket("{", " ".join([f"{key(name)} {inline(item)}" for name, item in value.raw.items()]), "}")
            if (all(map(_is_key, value.raw)))
            else _tagged_map(value)
        )
    if kind is tuple:
        return bracket("[", " ".join([inline(item) for item in value]), "]")
    return atom(value)


def atom(value: Any) -> str:
    """Returns a value that is neither map nor vector."""
    return _WRITERS[type(value)](value)


def key(name: Any) -> str:
    """Returns a map's key."""
    kind = type(name)
    if kind is Keyword:
        return f":{name.name}"
    return text(name) if kind is str else str(name)


def is_word(name: str) -> bool:
    """True when ``:name`` is the keyword of this name to every reader of RTFS."""
    return WORD.fullmatch(name) is not None


@lru_cache(1024)
def _kind(written: str) -> int:
    found = TOKEN.fullmatch(written)
    if found is None or found.lastindex is None:
        return 0
    return 0 if found.start(found.lastindex) else found.lastindex  # 0 where space or a comment stands before it


def _is_key(name: Any) -> bool:
    return type(name) is not Keyword or is_word(name.name)


def bracket(opening: str, inside: str, closing: str) -> str:
    """Returns what stands inside between its brackets."""
    # A resource reaches to the next space, whatever stands there.
    end = " " if inside.rpartition(" ")[2].startswith("resource://") else ""
    return f"{opening}{inside}{end}{closing}"


def _tag(name: str, *arguments: Any) -> str:
    return f"{TAG}{name} {' '.join(map(inline, arguments))})"


def _tagged_map(value: Map) -> str:
    pairs = [bracket("[", f"{inline(name)} {inline(item)}", "]") for name, item in value.raw.items()]
    return f"{TAG}map [{' '.join(pairs)}])"


# --- atoms ---


def _float(number: float) -> str:
    written = repr(number)
    if "." in written:
        return written
    digits, exponent, power = written.partition("e")
    return f"{digits}.0{exponent}{power}"


def _keyword(value: Keyword) -> str:
    return f":{value.name}" if is_word(value.name) else _tag("keyword", value.name)


def _symbol(value: Symbol) -> str:
    plain = value.name not in _WORDS and _kind(value.name) == SYMBOL
    return value.name if plain else _tag("symbol", value.name)


def _resource(value: Resource) -> str:
    return value.uri if _kind(value.uri) == RESOURCE else _tag("resource", value.uri)


def _time(value: datetime) -> str:
    written = value.replace(tzinfo=None).isoformat(timespec="milliseconds").replace(".", "_")
    return f"{written.removesuffix('_000')}Z"


def _code(value: Code) -> str:
    return value.text if "\n" not in value.text and is_form(value) else _tag("code", value.text)


def is_form(value: Code) -> bool:
    """True when the text by itself is read as this code."""
    from .reader import read

    try:
        return bool(read(value.text) == value)
    except RtfsSyntaxError:
        return False


_WRITERS: dict[Any, Callable[[Any], str]] = {
    type(None): lambda _: "nil",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _float,
    str: text,
    Keyword: _keyword,
    Symbol: _symbol,
    Code: _code,
    Resource: _resource,
    ErrorValue: lambda value: _tag("error", value.message, value.trace),
    datetime: _time,
    UUID: str,
}


# --- laid out ---


def laid_out(value: Any, *, width: int = WIDTH, column: int = 0, indent: int = 0) -> str:
    """Returns a frozen value, broken over lines where it does not fit.

    ``column`` is where it begins, ``indent`` where its own lines do.
    """
    kind = type(value)
    if kind is Code and "\n" in value.text and is_form(value):
        return str(value.text)
    one_line = inline(value)
    if column + len(one_line) <= width or kind not in (Map, tuple) or not value:
        return one_line
    if kind is Map and not all(map(_is_key, value.raw)):
        return one_line
    margin = "\n" + _STEP * (indent + 1)
    if kind is tuple:
        lines = [laid_out(item, width=width, column=2 * indent + 2, indent=indent + 1) for item in value]
        return bracket("[" + margin, margin.join(lines), "\n" + _STEP * indent + "]")
    return entries([(key(name), item) for name, item in value.raw.items()], width=width, indent=indent)


def entries(pairs: list[tuple[str, Any]], *, width: int, indent: int) -> str:
    """Returns a map over several lines, an entry on each."""
    margin = "\n" + _STEP * (indent + 1)
    lines = []
    for name, item in pairs:
        column = 2 * indent + 3 + len(name)
        lines.append(f"{name} {laid_out(item, width=width, column=column, indent=indent + 1)}")
    return f"{{{margin}{margin.join(lines)}\n{_STEP * indent}}}"
