"""The forms of a text one after the other, each with its source and place; a stream of any length in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..ground.values import MAX_DEPTH
from .reader import More, Reader
from .window import Source, Window


class Form(NamedTuple):
    """One form: its value, its exact text, and the line, column and offset (in letters) where it begins."""

    value: Any
    text: str
    line: int
    column: int
    offset: int


def forms(source: Source, *, max_depth: int = MAX_DEPTH) -> Iterator[Form]:
    r"""Yields every form of a text or binary stream; holds no more of it in memory than its longest form needs.

    >>> [(form.text, form.line) for form in forms("(f 1)\n:b")]
    [('(f 1)', 1), (':b', 2)]
    """
    window, pos = Window(source), 0
    while True:
        reader = Reader(window.text, max_depth=max_depth, final=window.final, line=window.line, column=window.column)
        places = Places(window)
        try:
            for value, start, end in reader.each(pos):
                line, column = places.at(start)
                pos = end
                yield Form(value, window.text[start:end], line, column, window.offset + start)
        except More:
            window.more(pos)
            pos = 0
            continue
        return


class Places:
    """Lines and columns of growing offsets in a window, each newline counted once."""

    def __init__(self, window: Window) -> None:
        self._text, self._last = window.text, 0
        self._line, self._begin = window.line, 1 - window.column

    def at(self, offset: int) -> tuple[int, int]:
        """Returns the line and column of an offset; none may lie before the one asked for last."""
        lines = self._text.count("\n", self._last, offset)
        if lines:
            self._line += lines
            self._begin = self._text.rfind("\n", self._last, offset) + 1
        self._last = offset
        return self._line, offset - self._begin + 1
