"""RTFS text to values: strict, iterative, depth-limited, every error at its place.

A list, a quotation, a shorthand function is code, and code is kept as its text (`Code`), never run. Knows tokens and
values; has never heard of an intent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

from ..ground.values import EMPTY, INT_MAX, INT_MIN, MAX_DEPTH, Code, Keyword, Map, Resource, Symbol
from .code import code_end
from .tagged import tagged
from .tokens import (
    ATOM,
    BAD,
    CLOSE,
    CLOSER,
    CODE,
    END,
    ESCAPED,
    FLOAT,
    HEX,
    INTEGER,
    KEYS,
    KEYWORD,
    NOTHING,
    OPEN,
    RESOURCE,
    STRING,
    SYMBOL,
    TAG,
    TIME,
    TOKEN,
    Escape,
    syntax_error,
    unescape,
)
from .window import Window

_WORDS = {"nil": None, "true": True, "false": False}
_ONLY_TEXT = frozenset({str})
Item = tuple[Any, int]
"""A value and where it begins."""
_BEFORE = tuple(int(kind in (STRING, KEYWORD, ESCAPED)) for kind in range(BAD + 1))
"""How many letters of a token stand before its group: a quotation mark, a colon."""
_NUMBERS = "an integer, or a float with digits on both sides of its point"
_TAIL = 4096
"""How near to the end of what was read so far a token may still be growing."""


class More(Exception):
    """The text ends before the form does, and there may be more of it."""


def read(text: str | bytes, *, lenient: bool = False, max_depth: int = MAX_DEPTH) -> Any:
    """Returns the one value the text holds; anything but exactly one form is `RtfsSyntaxError`.

    >>> read('{:max-cost 25 :where [:eu "us"]}')
    Map({Keyword(name='max-cost'): 25, Keyword(name='where'): (Keyword(name='eu'), 'us')})
    >>> read("[1 2")
    Traceback (most recent call last):
        ...
    intentstore.ground.errors.RtfsSyntaxError: line 1, column 1: [ is never closed
    """
    whole = Window(text).text
    if lenient:
        from .lenient import mend

        mended = mend(whole)
        with mended.in_what_was_given():
            return read(mended.text, max_depth=max_depth)
    reader = Reader(whole, max_depth=max_depth)
    value, _, end = reader.one(0)
    if value is NOTHING:
        reader.fail(0, "expected a form, found nothing", hint="write one form")
    reader.expect_end(end)
    return value


def read_all(text: str | bytes, *, lenient: bool = False, max_depth: int = MAX_DEPTH) -> list[Any]:
    r"""Returns the values of all forms in the text, in order.

    >>> read_all("1 :two ; three\n(+ 1 2)")
    [1, Keyword(name='two'), Code(text='(+ 1 2)')]
    """
    whole = Window(text).text
    if lenient:
        from .lenient import mend

        mended = mend(whole)
        with mended.in_what_was_given():
            return read_all(mended.text, max_depth=max_depth)
    return [value for value, _, _ in Reader(whole, max_depth=max_depth).each()]


class Reader:
    """Reads forms from one text, which a `Window` has passed.

    With ``final`` false the text is the beginning of a longer one: where it ends too early, `More` is raised.
    ``line`` and ``column`` say where in a file the text begins.
    """

    __slots__ = ("_keywords", "column", "final", "limit", "line", "text")

    def __init__(
        self, text: str, *, max_depth: int = MAX_DEPTH, final: bool = True, line: int = 1, column: int = 1
    ) -> None:
        self.text, self.limit, self.final, self.line, self.column = text, max_depth, final, line, column
        self._keywords: dict[str, Keyword] = {}

    def each(self, pos: int = 0) -> Iterator[tuple[Any, int, int]]:
        """Yields every form from an offset on: its value, where it begins, where it ends."""
        while True:
            found = self.one(pos)
            if found[0] is NOTHING:
                return
            yield found
            pos = found[2]

    def one(self, pos: int, depth: int = 0) -> tuple[Any, int, int]:
        """Returns the next form's value and where it begins and ends; `NOTHING` where only space is left.

        ``depth`` says how many brackets of values stand around it.
        """
        return self._run(pos, depth, None, "")

    def inside(self, pos: int, closer: str) -> tuple[list[Item], int]:
        """Returns the forms up to the bracket that closes what was opened before ``pos``, and the offset behind it."""
        found: list[Item] = []
        end = self._run(pos, 0, found, closer)[2]
        return found, end

    def _run(  # noqa: C901, PLR0912, PLR0915  the loop that takes the time, in one piece
        self, pos: int, depth: int, found: list[Item] | None, closer: str
    ) -> tuple[Any, int, int]:
        """Reads one form, or with ``found`` all up to ``closer``, which it gathers there with their places."""
        text, keywords = self.text, self._keywords
        items: list[Any] | None = None
        plain = True  # so far, what is in the bracket is JSON as it stands
        start, stack = pos, list[tuple[int, list[Any] | None, bool]]()
        while True:
            for token in TOKEN.finditer(text, pos):
                kind = token.lastindex
                if kind == STRING:
                    value = token[STRING]
                elif kind == KEYWORD:
                    name = token[KEYWORD]
                    value = keywords.get(name)
                    if value is None:
                        value = keywords[name] = Keyword(name)
                    plain = False
                elif kind == OPEN:
                    at = token.start(OPEN)
                    if depth + len(stack) >= self.limit:
                        self.fail(at, f"nested deeper than {self.limit}", hint="flatten it")
                    stack.append((start, items, plain))
                    start, items, plain = at, [], True
                    continue
                elif kind == CLOSE:
                    at = token.start(CLOSE)
                    if items is None:
                        if text[at] == closer:
                            return NOTHING, at, self._ended(at + 1)
                        self.fail(at, f"unexpected {text[at]}", hint=f"expected {closer or 'a form'}")
                    if text[start] == "[":
                        value = tuple(items)
                        if text[at] != "]":
                            self.mismatch(start, at)
                    else:
                        if text[at] != "}":
                            self.mismatch(start, at)
                        value = self._map(items, start, plain=plain)
                        plain = value.plain
                    begun, inner = start, plain
                    start, items, plain = stack.pop()
                    if items is None:
                        if found is None:
                            return value, begun, self._ended(at + 1)
                        found.append((value, begun))
                        continue
                    plain = plain and inner
                elif kind == INTEGER:
                    value = self._integer(token)
                elif kind == CODE:
                    begun = token.start(CODE)
                    value, pos = self._code(begun, depth + len(stack))
                    plain = False
                    if items is not None:
                        items.append(value)
                    elif found is not None:
                        found.append((value, begun))
                    else:
                        return value, begun, self._ended(pos)
                    break  # go on behind it
                elif kind == END:
                    self._end(start, opened=items is not None, closer=closer)
                    return NOTHING, len(text), self._ended(len(text))
                elif kind == FLOAT:
                    value = self._float(token)
                else:
                    value = self._rare(token)
                    plain = plain and (value is None or type(value) in (bool, str))
                if items is not None:
                    items.append(value)
                    continue
                begun = token.start(kind or 0) - _BEFORE[kind or 0]
                if found is None:
                    return value, begun, self._ended(token.end())
                found.append((value, begun))

    def _end(self, start: int, *, opened: bool, closer: str) -> None:
        if opened:
            self.unclosed(start)
        if closer:
            self.unfinished(len(self.text), "the form is never closed", f"expected {closer}")

    def expect_end(self, pos: int) -> None:
        """Refuses anything but space from an offset on."""
        token = TOKEN.match(self.text, pos)
        assert token is not None
        if token.lastindex != END:
            self.fail(_begin(token), "expected the end of the text, found another form", hint="keep one form")

    # --- what values are made of ---

    def _integer(self, token: re.Match[str]) -> int:
        digits = token[INTEGER]
        if len(digits) < 19:
            return int(digits)
        if len(digits.lstrip("+-0")) > 19 or not INT_MIN <= (number := int(digits)) <= INT_MAX:
            self.fail(token.start(INTEGER), "an integer beyond 64 bits", hint="write it as a string")
        return number

    def _float(self, token: re.Match[str]) -> float:
        number = float(token[FLOAT])
        if not math.isfinite(number):
            self.fail(token.start(FLOAT), "a number out of range", hint="write it as a string")
        return number

    def _rare(self, token: re.Match[str]) -> Any:
        kind = token.lastindex
        if kind == SYMBOL:
            name = token[SYMBOL]
            return _WORDS[name] if name in _WORDS else Symbol(name)
        if kind == ESCAPED:
            return self._unescaped(token)
        if kind == TIME:
            return self._time(token)
        if kind == HEX:
            return UUID(token[HEX])
        if kind == RESOURCE:
            return Resource(token[RESOURCE])
        return self._bad(token.start(BAD))

    def _unescaped(self, token: re.Match[str]) -> str:
        try:
            return unescape(token[ESCAPED])
        except Escape as error:
            at = token.start(ESCAPED) + error.at
            self.fail(at, f"unknown escape \\{error.letter}", hint='RTFS has \\n \\t \\r \\\\ \\"; write \\\\ for \\')

    def _time(self, token: re.Match[str]) -> datetime:
        written = token[TIME]
        try:
            moment = datetime.fromisoformat(written[:19])
        except ValueError:
            self.fail(token.start(TIME), f"{written} is no moment of the calendar", hint="see its digits")
        return moment.replace(tzinfo=UTC, microsecond=int(written[20:23]) * 1000 if written[19] == "_" else 0)

    def _map(self, items: list[Any], start: int, *, plain: bool) -> Map:
        if not items:
            return EMPTY
        if len(items) % 2:
            at = self._places(start)[-1]
            self.fail(at, "expected a value for this key, found }", hint="a map holds pairs of key and value")
        keys = items[::2]
        kinds = frozenset(map(type, keys))
        found = dict(zip(keys, items[1::2], strict=True))
        if not kinds <= KEYS:
            bad = next(at for at, key in enumerate(keys) if type(key) not in KEYS)
            self.fail(self._places(start)[2 * bad], "expected a key", hint="keys are keywords, strings or integers")
        if len(found) != len(keys):
            twice = next(at for at, key in enumerate(keys) if key in keys[:at])
            self.fail(self._places(start)[2 * twice], "the key stands here a second time", hint="keep one of the two")
        if plain and (kinds != _ONLY_TEXT or any(key.startswith("$") for key in keys)):
            plain = False
        return Map.trusted(found, plain=plain)

    def _places(self, start: int) -> list[int]:
        """Returns where each form within the bracket at an offset begins: only an error asks."""
        items, _ = Reader(self.text, max_depth=self.limit + 8).inside(start + 1, CLOSER[self.text[start]])
        return [begin for _, begin in items]

    def _code(self, start: int, depth: int) -> tuple[Any, int]:
        """Returns the code that begins here and where it ends; a list with one of our tags is what it stands for."""
        if self.text.startswith(TAG, start):
            found = tagged(self, start, depth)
            if found is not None:
                return found
        end = code_end(self, start, depth)
        return Code(self.text[start:end]), end

    # --- errors ---

    def fail(self, at: int, problem: str, *, hint: str = "") -> NoReturn:
        """Raises the error at an offset."""
        raise syntax_error(self.text, at, problem, hint=hint, line=self.line, column=self.column)

    def _ended(self, end: int) -> int:
        """Returns where a form ends, unless it may go on in what was not read yet."""
        if not self.final and end == len(self.text):
            raise More
        return end

    def unfinished(self, at: int, problem: str, hint: str) -> NoReturn:
        """Raises the error of a text that ends too early, or `More` where it may go on."""
        if not self.final:
            raise More
        self.fail(at, problem, hint=hint)

    def unclosed(self, at: int) -> NoReturn:
        """Raises the error of a bracket that nothing closes."""
        self.unfinished(at, f"{self.text[at]} is never closed", f"expected {CLOSER[self.text[at]]}")

    def endless(self, at: int) -> NoReturn:
        """Raises the error of a string or comment that never ends."""
        if self.text[at] == '"':
            self.unfinished(at, "a string without its end", 'expected "')
        self.unfinished(at, "a comment without its end", "expected |#")

    def mismatch(self, start: int, at: int) -> NoReturn:
        """Raises the error of a bracket that closes another kind than is open."""
        opened = syntax_error(self.text, start, "", line=self.line, column=self.column)
        where = f"{self.text[start]} of line {opened.line}, column {opened.column}"
        self.fail(at, f"expected {CLOSER[self.text[start]]} to close {where}, found {self.text[at]}")

    def _bad(self, at: int) -> NoReturn:
        """Raises what is wrong with a letter that begins no token."""
        text, letter = self.text, self.text[at]
        if letter == '"' or text.startswith("#|", at):
            self.endless(at)
        if not self.final and len(text) - at < _TAIL:
            raise More
        word = ATOM.match(text, at)
        shown = (word[0] if word else letter)[:40]
        if letter == ",":
            self.fail(at, "a comma is no space in RTFS", hint="leave it out, or read in lenient mode")
        if shown.startswith("##"):
            self.fail(at, f"{shown} is no value that can be kept", hint="use nil, or a finite number")
        if letter.isdigit() or (letter in "+-" and text[at + 1 : at + 2].isdigit()):
            self.fail(at, f"{shown} is no number, time or UUID", hint=f"write {_NUMBERS}; quote a date")
        if letter == ":":
            self.fail(at, f"{shown} is no keyword", hint="write :name, with a space after it")
        self.fail(at, f"unexpected {shown}", hint="expected a value; text stands in double quotes")


def _begin(token: re.Match[str]) -> int:
    kind = token.lastindex
    assert kind is not None
    return token.start(kind) - _BEFORE[kind]
