"""The builder's block, ``intent name { goal: "…" }``: keys end in a colon, nothing is escaped. It is not RTFS.

A string ends at the quote behind which its entry can end: before a line with a key, or before the closing brace. Knows
letters and spellings; what the keys mean is the business of `intents`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..ground.errors import FieldInvalid, Invalid
from ..ground.values import MAX_DEPTH, Code, Map
from .printer import inline, is_form
from .reader import Reader
from .spelling import Field, Spelled, known_as
from .tokens import OPEN, TOKEN

_WORD = r"[^\s:\"{}\[\],;]++"
_NAME = rf"{_WORD}(?:[ \t]++{_WORD})*+"
_BETWEEN = re.compile(r"(?:[\s,]++|;[^\n]*+)*+")
_KEY = re.compile(rf":?({_NAME})[ \t]*+:(?=[\s\"\[{{(:0-9]|\Z)")
_ENTRY = rf"{_BETWEEN.pattern}(?:{_KEY.pattern}|\}})"
_TITLE = r"[^\s(){}\[\]\";]++(?:[ \t]++[^\s(){}\[\]\";]++)*+"
HEAD = re.compile(rf"intent[ \t]++({_TITLE})[ \t]*+\{{(?={_ENTRY})")
"""How a block begins; the first group is its name."""

_SAME_LINE = (
    "name|goal|priority|constraints|preferences|parent-intent|child-intents|metadata|created-at|created-by|status"
)
_STRING_END = re.compile(rf'"(?=[ \t]*+,?+[ \t]*+(?:(?:;[^\n]*+)?+\r?\n{_ENTRY}|\}}|(?:{_SAME_LINE}):))')
_LAST = re.compile(r'"[\s,]*+\Z')
_ITEM_END = re.compile(r'"(?=[\s,\]])')


def read_block(text: str, at: int, *, final: bool = True, line: int = 1, column: int = 1) -> tuple[Spelled, int]:
    """Returns the block that begins at an offset, taken apart, and where it ends.

    ``line`` and ``column`` are the place of the text's own beginning.
    """
    head = HEAD.match(text, at)
    assert head is not None
    block = _Block(Reader(text, final=final, line=line, column=column), at)
    fields, end = block.entries(head.end())
    names = (head[1], head.start(1) - at)
    if "name" in fields and fields["name"].value == head[1]:
        del fields["name"]
    lines = text.count("\n", 0, at)
    column = at - text.rfind("\n", 0, at) if lines else column + at
    return Spelled(text[at:end], line + lines, column, (names,), fields), end


class _Block:
    """Reads entries from a text; the places of fields are counted from where the block begins."""

    def __init__(self, reader: Reader, begin: int) -> None:
        self._reader, self._text, self._begin, self._depth = reader, reader.text, begin, 0

    def entries(self, pos: int) -> tuple[dict[str, Field], int]:
        """Returns the entries up to the closing brace, and the offset behind it."""
        opened, found = pos - 1, dict[str, Field]()
        while True:
            pos = self._past_space(pos)
            if pos >= len(self._text):
                self._reader.unclosed(opened)
            if self._text[pos] == "}":
                return found, pos + 1
            key = _KEY.match(self._text, pos)
            if key is None:
                self._reader.unfinished(pos, "expected a key and a colon", 'write key: "value", a line each')
            if known_as(key[1]) in found:
                self._reader.fail(pos, f"the key {key[1]} stands here a second time", hint="keep one of the two")
            known = known_as(key[1])
            begin = self._past_space(key.end())
            value, pos = self._value(begin, _STRING_END)
            found[known] = Field(key[1], value, begin - self._begin)

    def _past_space(self, pos: int) -> int:
        space = _BETWEEN.match(self._text, pos)
        assert space is not None
        return space.end()

    def _value(self, pos: int, string_end: re.Pattern[str]) -> tuple[Any, int]:
        letter = self._text[pos : pos + 1]
        if letter == '"':
            quote = string_end.search(self._text, pos + 1)
            if quote is None and self._reader.final:
                quote = _LAST.search(self._text, pos + 1)  # so that what is missing is the brace
            if quote is None:
                self._reader.endless(pos)
            return self._text[pos + 1 : quote.start()], quote.end()
        if letter == "[":
            return self._vector(pos)
        if letter == "{" and _KEY.match(self._text, self._past_space(pos + 1)):
            self._depth += 1
            if self._depth >= MAX_DEPTH:
                self._reader.fail(pos, f"nested deeper than {MAX_DEPTH}", hint="flatten it")
            fields, end = self.entries(pos + 1)
            self._depth -= 1
            return Map.of({field.name: field.value for field in fields.values()}), end
        if letter in ("", "}", ","):
            self._reader.unfinished(pos, "expected a value behind the colon", 'write key: "value"')
        value, _, end = self._reader.one(pos)
        return value, end

    def _vector(self, pos: int) -> tuple[Any, int]:
        items: list[Any] = []
        opened, pos = pos, pos + 1
        while True:
            pos = self._past_space(pos)
            if self._text[pos : pos + 1] in ("", "}"):
                self._reader.unclosed(opened)
            if self._text[pos] == "]":
                return tuple(items), pos + 1
            token = TOKEN.match(self._text, pos)
            if token is not None and token.lastindex == OPEN:
                value, _, pos = self._reader.one(pos)
            else:
                value, pos = self._value(pos, _ITEM_END)
            items.append(value)


# --- writing ---


def write_block(name: str, fields: Iterable[tuple[str, Any]]) -> str:
    """Returns the block a builder prints; `FieldInvalid` for what it could not be read back from, unescaped as it is.

    >>> print(write_block("ship", [("name", "ship"), ("goal", 'Say "hi"')]))
    intent ship {
      name: "ship"
      goal: "Say "hi""
    }
    """
    given = list(fields)
    lines = [f"intent {name} {{", *(f"  {key}: {_written(value)}" for key, value in given), "}"]
    text = "\n".join(lines)
    if HEAD.match(text) is None:
        raise FieldInvalid("name", f"{name!r} cannot be told apart from the block around it", hint=_OTHERWISE)
    try:
        spelled, end = read_block(text, 0)
    except Invalid as error:
        raise FieldInvalid("the block", f"could not be read back: {error}", hint=_OTHERWISE) from error
    back = {field.name: field.value for field in spelled.fields.values()}
    for key, value in given:
        if back.get(key, name if key == "name" else None) != value:
            raise FieldInvalid(key, "cannot be told apart from the block around it", hint=_OTHERWISE)
    if end != len(text):
        raise FieldInvalid("the block", "ends before its end", hint=_OTHERWISE)
    return text


_OTHERWISE = 'a block escapes nothing: use to_rtfs(style="canonical")'


def _written(value: Any) -> str:
    if type(value) is Map and value and all(type(key) is str for key in value):
        lines = [f"    {key}: {_written_inside(item)}" for key, item in value.items()]
        return "\n".join(["{", *lines, "  }"])
    return _written_inside(value)


def _written_inside(value: Any) -> str:
    if type(value) is str:
        return f'"{value}"'
    if type(value) is tuple:
        return f"[{' '.join(map(_written_inside, value))}]"
    return value.text if type(value) is Code and is_form(value) else inline(value)
