"""Where in a large JSON file the trouble is; asked only when there is some. Knows bytes, and no format."""

from __future__ import annotations

import re

from ..codec import strict_loads
from ..ground.errors import FieldInvalid, Invalid

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_BYTE = re.compile(r"\(byte ([0-9]+)\)")
_RECORD = 3  # the depth of a record: in a list or an object of the document


def line_of(error: FieldInvalid, data: bytes) -> int | None:
    """Returns the line of a document that could not be read: of the byte, else the record; None where nothing tells.

    >>> line_of(FieldInvalid("it", "is odd"), b'{"all": [{"a": 1},' + bytes([10]) + b'{"a": 1, "a": 2}]}')
    2
    """
    found = _BYTE.search(error.message)
    if found is not None:
        return _line(data, int(found[1]))
    depth = start = 0
    for token in _TOKEN.finditer(data):
        match token[0]:
            case b"{" | b"[":
                depth += 1
                if depth == _RECORD:
                    start = token.start()
            case b"}" | b"]":
                if depth == _RECORD and not _sound(data[start : token.end()]):
                    return _line(data, start)
                depth -= 1
    if depth >= _RECORD:
        return _line(data, start)
    return _line(data, len(data)) if depth else None


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _sound(record: bytes) -> bool:
    try:
        strict_loads(record)
    except Invalid:
        return False
    return True
