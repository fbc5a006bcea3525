"""Bytes of a file or stream as numbered lines: gzip undone, lines bounded, trouble named by its line.

Knows bytes and line numbers. Has never heard of what a line says, nor of a graph.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..codec import strict_loads
from ..ground.errors import FieldInvalid, IntentStoreError, Unavailable

MAX_LINE = 2 * 1024 * 1024
Progress = Callable[[int, int | None], None]

_CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_NOTHING = "nothing was imported"


def at_line(error: IntentStoreError, number: int) -> IntentStoreError:
    """Returns the same error saying at which line it happened, and that nothing was imported.

    >>> error = at_line(FieldInvalid("goal", "is empty", hint="say what is to be achieved"), 17)
    >>> str(error), error.hint
    ('line 17: goal is empty', 'nothing was imported; say what is to be achieved')
    """
    hint = f"{_NOTHING}; {error.hint}" if error.hint else _NOTHING
    placed = type(error).__new__(type(error))
    message = f"line {number}: {error.message}"
    IntentStoreError.__init__(placed, message, hint=hint, **{**error.fields, "line": number})
    return placed


@contextmanager
def placing(number: int) -> Iterator[None]:
    """Puts the line number before whatever is refused inside the block."""
    try:
        yield
    except IntentStoreError as error:
        raise at_line(error, number) from error.__cause__


class Line:
    """One line with its number, counted from 1."""

    __slots__ = ("number", "text")

    def __init__(self, number: int, text: bytes) -> None:
        self.number, self.text = number, text

    def record(self) -> dict[str, Any]:
        """Returns the JSON object on the line; whatever else stands there is refused by its line."""
        with placing(self.number):
            found = strict_loads(self.text, "the record")
            if type(found) is not dict:
                raise FieldInvalid("the record", "is not an object", hint="write one JSON object a line")
            return found


class Source:
    """The lines of a path or a binary stream that are not blank; reads on only as far as it is asked.

    ``position`` and ``size`` are bytes of the file as it lies there, compressed or not; size is None for a stream.
    """

    def __init__(self, given: str | os.PathLike[str] | BinaryIO) -> None:
        self.size: int | None = None
        self._owned: BinaryIO | None = None
        self.name = "the source"
        if isinstance(given, str | os.PathLike):
            self.name = os.fspath(given)
            self._owned = given = _open(Path(given))
            self.size = os.fstat(given.fileno()).st_size
        self._raw = _Counted(given)
        self._first: Line | None = None
        self._lines = self._numbered()

    def close(self) -> None:
        """Closes the file if it was opened here; a stream stays the caller's."""
        if self._owned is not None:
            self._owned.close()

    @property
    def position(self) -> int:
        """How many bytes were taken from the file or stream."""
        return self._raw.position

    def first(self) -> Line | None:
        """Returns the first line without taking it; None if there is none."""
        if self._first is None:
            self._first = next(self._lines, None)
        return self._first

    def __iter__(self) -> Iterator[Line]:
        if self.first() is not None:
            assert self._first is not None
            yield self._first
        yield from self._lines

    def _uncompressed(self) -> Any:
        with self._reading(1):
            head = self._raw.peek(len(_GZIP))
            if head == _GZIP:
                return gzip.GzipFile(fileobj=self._raw, mode="rb")  # type: ignore[call-overload]  # reads, no more
        if self.name.endswith(".gz") and head:
            raise FieldInvalid("source", f"{self.name} is not a gzip file", hint=f"{_NOTHING}; name it without .gz")
        return self._raw

    @contextmanager
    def _reading(self, number: int) -> Iterator[None]:
        try:
            yield
        except EOFError:
            broken = FieldInvalid("source", "ends in the middle of its gzip data", hint="fetch the file again")
            raise at_line(broken, number) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            broken = FieldInvalid("source", f"is a damaged gzip file: {error}", hint="fetch the file again")
            raise at_line(broken, number) from error
        except OSError as error:
            raise at_line(Unavailable(f"{self.name} cannot be read: {error.strerror or error}"), number) from error

    def _numbered(self) -> Iterator[Line]:
        number, rest, plain = 1, b"", self._uncompressed()
        while True:
            with self._reading(number):
                chunk = plain.read1(_CHUNK)
            *whole, rest = (rest + chunk).split(b"\n") if chunk else (rest, b"")
            for text in whole:
                _refuse_odd(text, number)
                if text.strip():
                    yield Line(number, text)
                number += 1
            _refuse_odd(rest, number)
            if not chunk:
                return


class _Counted:
    """A binary stream that counts what was read and lets the beginning be seen twice."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._seen, self.position = stream, b"", 0

    def peek(self, size: int) -> bytes:
        while len(self._seen) < size and (more := self.read(size - len(self._seen), fresh=True)):
            self._seen += more
        return self._seen

    def read(self, size: int = -1, *, fresh: bool = False) -> bytes:
        if self._seen and not fresh:
            seen, self._seen = self._seen, b""
            return seen
        data = self._stream.read(size) or b""
        if not isinstance(data, bytes):
            raise FieldInvalid("source", "gives text, not bytes", hint=f"{_NOTHING}; open it in binary mode")
        self.position += len(data)
        return data

    read1 = read


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FieldInvalid(
            "source", f"{path} cannot be read: {why}", hint=f"{_NOTHING}; see that it is there"
        ) from error


def _refuse_odd(text: bytes, number: int) -> None:
    if number == 1 and text.startswith(_MARKS):
        mark = FieldInvalid("the file", "begins with a byte-order mark", hint="save it as UTF-8 without BOM")
        raise at_line(mark, 1)
    if len(text) > MAX_LINE:
        raise at_line(FieldInvalid("the line", f"is longer than {MAX_LINE} bytes", hint="see the format"), number)
