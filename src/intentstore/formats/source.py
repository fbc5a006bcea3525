"""Bytes of a file or stream as numbered lines: gzip undone, lines bounded, trouble named by its line.

Knows bytes and line numbers. Has never heard of what a line says, nor of a graph.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..codec import strict_loads
from ..ground.errors import FieldInvalid, IntentStoreError, Unavailable

MAX_LINE = 2 * 1024 * 1024
MAX_WHOLE = 512 * 1024 * 1024
Progress = Callable[[int, int | None], None]

_CHUNK = 64 * 1024
_HEAD = 4 * 1024
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


def nothing_imported(error: IntentStoreError) -> IntentStoreError:
    """Returns the same error, which has its place already, with the comfort that nothing was imported."""
    if error.hint.startswith(_NOTHING):
        return error
    again = type(error).__new__(type(error))
    hint = f"{_NOTHING}; {error.hint}" if error.hint else _NOTHING
    IntentStoreError.__init__(again, error.message, hint=hint, **error.fields)
    return again


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
        self.progress: Progress | None = None
        """Told the position and the size whenever more was read."""
        self.folder: Path | None = None
        """The directory that was named in place of a file; it has no content of its own."""
        self._owned: BinaryIO | None = None
        self.name = "the source"
        if isinstance(given, str | os.PathLike):
            self.name = os.fspath(given)
            if Path(given).is_dir():
                self.folder, given = Path(given), io.BytesIO()
            else:
                self._owned = given = _open(Path(given))
                self.size = os.fstat(given.fileno()).st_size
        self._raw = _Counted(given)
        self._plain: Any = None
        self._seen = b""
        self._number = 1
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

    def head(self) -> bytes:
        """Returns the first bytes of the content, at least 4 KiB where there are, without taking them."""
        while len(self._seen) < _HEAD and (more := self._more(_CHUNK)):
            self._seen += more
        return self._seen

    def read(self, size: int = _CHUNK) -> bytes:
        """Returns more of the content, as a binary stream does; nothing at its end."""
        if self._seen:
            seen, self._seen = self._seen, b""
            return seen
        return self._more(size)

    def _more(self, size: int) -> bytes:
        if self.folder is not None:
            hint = f"{_NOTHING}; name a file, or the directory of a CCOS archive"
            raise FieldInvalid("source", f"{self.name} cannot be read: it is a directory", hint=hint)
        if self._plain is None:
            self._plain = self._uncompressed()
        with self._reading(self._number):
            data: bytes = self._plain.read1(size)
        if self.progress is not None:
            self.progress(self.position, self.size)
        return data

    def whole(self) -> bytes:
        """Returns all of the content; more than ``MAX_WHOLE`` bytes are refused."""
        pieces, size = [], 0
        while data := self.read():
            pieces.append(data)
            size += len(data)
            if size > MAX_WHOLE:
                raise FieldInvalid(
                    "the file", f"is longer than {MAX_WHOLE} bytes", hint=f"{_NOTHING}; import it in parts"
                )
        return b"".join(pieces)

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
        number, rest = 1, b""
        while True:
            self._number = number
            chunk = self.read()
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
