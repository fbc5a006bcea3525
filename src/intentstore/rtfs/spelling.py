"""The many ways to write an intent or an edge, taken apart into one: names and fields, each with its place.

Knows how a form is spelled; what a field means is the business of `intents` and `edges`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from ..ground.errors import IntentStoreError
from ..ground.values import Code, Keyword, Map, Symbol
from .reader import Item, Reader
from .tokens import OPEN, TOKEN

_HEAD = re.compile(r"\((?:(?:ccos/)?intent|edge)(?![A-Za-z_$+\-*/=<>!?%0-9.@:])")
_CLAUSE = re.compile(r"\(([A-Za-z][A-Za-z0-9_-]*)(?=[\s\"\[({])")


class Field(NamedTuple):
    """One field of a form: its name as written, its value, and where in the form that begins."""

    name: str
    value: Any
    at: int


class Spelled(NamedTuple):
    """A form taken apart: what stands before its fields (a name, a type), and the fields by the names they go by."""

    text: str
    line: int
    column: int
    names: tuple[Item, ...]
    fields: dict[str, Field]

    def fail(self, at: int, problem: str, *, hint: str = "") -> NoReturn:
        """Raises `RtfsSyntaxError` at an offset of the form."""
        Reader(self.text, line=self.line, column=self.column).fail(at, problem, hint=hint)

    def placed(self, error: IntentStoreError, at: int = 0) -> IntentStoreError:
        """Returns the error with the place of an offset of the form; one that has its place stays as it is."""
        if "column" in error.fields:
            return error
        lines = self.text.count("\n", 0, at)
        column = at - self.text.rfind("\n", 0, at) if lines else self.column + at
        again = type(error).__new__(type(error))
        message = f"line {self.line + lines}, column {column}: {error.message}"
        fields = {**error.fields, "line": self.line + lines, "column": column}
        IntentStoreError.__init__(again, message, hint=error.hint, **fields)
        return again

    def said(self, at: int) -> str:
        """Returns the text of the value that begins at an offset of the form."""
        return self.text[at : Reader(self.text).one(at)[2]]


_field = Field._make


@lru_cache(1024)
def known_as(name: str) -> str:
    """Returns the name of a key as this library spells it.

    >>> known_as(":success_criteria")
    'success-criteria'
    """
    return name.lstrip(":").replace("_", "-")


def take_apart(text: str, *, line: int = 1, column: int = 1, clauses: bool = False) -> Spelled:
    """Returns the list or map that is the whole text as its names and fields.

    ``clauses`` also takes ``(key value)`` lists for fields, as careless writers put them.
    """
    reader = Reader(text, line=line, column=column)
    spelled, end = taken_apart(reader, 0, (line, column), clauses=clauses)
    reader.expect_end(end)
    return spelled


def taken_apart(reader: Reader, at: int, place: tuple[int, int], *, clauses: bool = False) -> tuple[Spelled, int]:
    """Returns the form that begins at an offset of the reader's text, taken apart, and where it ends.

    ``place`` is its line and column.
    """
    text = reader.text
    if text.startswith("{", at):
        items, end = reader.inside(at + 1, "}")
        names: list[Item] = []
        in_map = True
    else:
        head = _HEAD.match(text, at)
        if head is None:
            reader.fail(at, "expected an intent or an edge", hint='write (intent "name" :goal "…")')
        names, items, end, in_map = _inside(reader, head.end())
    if text.startswith("(edge", at) and len(names) + len(items) == 3:  # (edge :DependsOn "from" "to")
        names, items = names + items, []
    if clauses:
        items = list(_opened(reader, items))
    placed = tuple((value, begin - at) for value, begin in names)
    return Spelled(text[at:end], *place, placed, _fields(reader, items, at, in_map=in_map)), end


def _inside(reader: Reader, pos: int) -> tuple[list[Item], list[Item], int, bool]:
    """Returns the names, the items of the map or else of the list, where the form ends, and whether it was a map."""
    token = TOKEN.match(reader.text, pos)
    assert token is not None
    if token.lastindex == OPEN and token[OPEN] == "{":
        return [], *_map_inside(reader, token.end()), True
    items, end = reader.inside(pos, ")")
    names: list[Item] = []
    if items and type(items[0][0]) not in (Keyword, Code):
        names = [items.pop(0)]
    if names and items and type(items[0][0]) is Map and reader.text[items[0][1]] == "{":
        return names, *_map_inside(reader, items[0][1] + 1), True
    return names, items, end, False


def _map_inside(reader: Reader, pos: int) -> tuple[list[Item], int]:
    """Returns the items of the map that was opened before ``pos``, and where the list ends, which holds no more."""
    items, end = reader.inside(pos, "}")
    rest, end = reader.inside(end, ")")
    if rest:
        reader.fail(rest[0][1], "expected ) behind the map, found more", hint="put every field into the map")
    return items, end


def _fields(reader: Reader, items: list[Item], origin: int, *, in_map: bool) -> dict[str, Field]:
    found: dict[str, Field] = {}
    each = iter(items)
    for (key, begin), (value, start) in zip(each, each, strict=False):  # an odd one is refused below
        known, name = _key(reader, key, begin, in_map=in_map)
        if known in found:
            reader.fail(begin, f"the key {name} stands here a second time", hint="keep one of the two")
        found[known] = _field((name, value, start - origin))
    if len(items) % 2:
        _, name = _key(reader, items[-1][0], items[-1][1], in_map=in_map)
        reader.fail(items[-1][1], f"expected a value for {name}, found nothing", hint="a field is a key and a value")
    return found


def _key(reader: Reader, key: Any, begin: int, *, in_map: bool) -> tuple[str, str]:
    """Returns a key as it is known and as it is written; refuses what is none."""
    kind = type(key)
    if kind is Keyword:
        return known_as(key.name), key.name
    if in_map and kind in (str, int):
        name = str(key).lstrip(":") or str(key)
        return known_as(name), name
    if not in_map and kind is Symbol:
        return known_as(key.name), key.name
    return reader.fail(begin, "expected a key", hint="write :goal, :constraints, … before each value")


def _opened(reader: Reader, items: Iterable[Item]) -> Iterator[Item]:
    """Yields the items, each ``(key value)`` list among the keys as its key and its value."""
    pending = False
    for item in items:
        clause = _CLAUSE.match(reader.text, item[1]) if type(item[0]) is Code and not pending else None
        if clause is None:
            pending = not pending
            yield item
            continue
        inner, _ = reader.inside(clause.end(), ")")
        yield Keyword(clause[1]), item[1]
        yield inner[0] if len(inner) == 1 else (tuple(value for value, _ in inner), item[1])
