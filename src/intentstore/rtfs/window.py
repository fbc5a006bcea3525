"""A text of any length seen through a window: what was read of it and not yet taken, and where in the file that is.

Knows bytes, UTF-8 and lines. Has never heard of a form.
"""

from __future__ import annotations

import codecs
from typing import BinaryIO

from ..ground.errors import RtfsSyntaxError
from .tokens import syntax_error

CHUNK = 64 * 1024
Source = str | bytes | BinaryIO
"""RTFS to be read: a text, its UTF-8 bytes, or a binary stream of them."""


class Window:
    """The part of a source that is in memory: ``text``, which begins at ``line``, ``column``, ``offset`` of the source.

    ``final`` is true when nothing comes after it.
    """

    def __init__(self, source: Source) -> None:
        self.text, self.line, self.column, self.offset, self.final = "", 1, 1, 0, False
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._read, self._size = None, CHUNK
        if isinstance(source, str):
            self._take(source)
            self.final = True
        elif isinstance(source, bytes):
            self._take(self._decoded(source, final=True))
            self.final = True
        else:
            self._read = source.read
            self.more(0)

    def more(self, taken: int) -> None:
        """Forgets the first ``taken`` letters and reads on; what is not taken twice makes the window twice as large."""
        self.line, self.column = self.place(taken)
        self.text, self.offset = self.text[taken:], self.offset + taken
        self._size = CHUNK if taken else max(CHUNK, 2 * len(self.text))
        assert self._read is not None
        data = self._read(self._size)
        self._take(self._decoded(data, final=not data))
        self.final = not data

    def place(self, at: int) -> tuple[int, int]:
        """Returns the line and column of the source at which this letter of the window stands."""
        lines = self.text.count("\n", 0, at)
        if not lines:
            return self.line, self.column + at
        return self.line + lines, at - self.text.rfind("\n", 0, at)

    def _decoded(self, data: bytes, *, final: bool) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            whole = error.object[: error.start].decode()
            raise self._refused(self.text + whole + "?", len(self.text) + len(whole), "is not UTF-8") from None

    def _take(self, fresh: str) -> None:
        at = len(self.text)
        self.text += fresh
        if fresh.startswith("\ufeff") and self.place(at) == (1, 1):
            raise self._refused(self.text, at, "begins with a byte-order mark")
        if "\0" in fresh:
            raise self._refused(self.text, at + fresh.index("\0"), "a NUL character")
        if not fresh.isascii():
            try:
                fresh.encode()
            except UnicodeEncodeError as error:
                shown = self.text.encode("utf-8", "replace").decode()
                raise self._refused(shown, at + error.start, "a lone surrogate") from None

    def _refused(self, text: str, at: int, problem: str) -> RtfsSyntaxError:
        hint = "save it as UTF-8 without byte-order mark, NUL and half characters"
        return syntax_error(text, at, problem, hint=hint, line=self.line, column=self.column)
