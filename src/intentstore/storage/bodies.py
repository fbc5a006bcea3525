"""How a commit stands in a record of the journal: as JSON, or as RTFS that a person can read.

An RTFS body is the commit's JSON with keywords for keys: ``{:revision 1 :id "…" :changes [{:do "put" …}] …}``. Which of
the two a body is, its first letters say; hashes are always over the JSON.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..codec import decode_commit
from ..ground.change import Commit
from ..ground.errors import Corrupt, RtfsSyntaxError
from ..ground.values import Keyword, Map

ENCODINGS = ("json", "rtfs")
_RTFS = b"{:"
_WORD = re.compile(r"[a-z][a-z0-9_-]*", re.ASCII)
"""A key that every reader of RTFS takes for the keyword of this name."""
_ID = re.compile(rb'\{:revision \d+ :id ("(?:[^"\\]|\\.)*")')
_DEPTH = 96
"""What a value may be deep, and the commit around it."""


def is_commit(body: bytes) -> bool:
    """True for the body of a commit; headers and ends are no commits."""
    return body.startswith((b'{"revision"', _RTFS))


def written_as(encoding: str, body: bytes) -> bytes:
    """Returns the commit's JSON as it stands in a journal of this encoding."""
    if encoding == "json":
        return body
    return _text(msgspec.json.decode(body)).encode()


def read_commit(body: bytes) -> Commit:
    """Returns the commit that a body holds, whatever its encoding; `Corrupt` if it holds none."""
    if not body.startswith(_RTFS):
        return decode_commit(body)
    from ..rtfs import read

    try:
        found = read(body, max_depth=_DEPTH)
    except RtfsSyntaxError as error:
        raise Corrupt("commit", f"is no RTFS: {error.message}") from error
    return decode_commit(msgspec.json.encode(_without_keywords(found)))


class _JustId(msgspec.Struct):
    id: str


def id_in(body: bytes) -> str:
    """Returns the id of the commit that a body holds, reading no more of it than that."""
    if not body.startswith(_RTFS):
        return msgspec.json.decode(body, type=_JustId).id
    from ..rtfs import read

    found = _ID.match(body)
    return read_commit(body).id if found is None else str(read(found[1]))


def _text(value: Any) -> str:
    """Returns decoded JSON as RTFS, with keywords for the keys that can be: as deep as was checked when it came."""
    from ..rtfs.printer import atom

    def text(value: Any) -> str:
        kind = type(value)
        if kind is dict:
            return f"{{{' '.join([f'{name(key)} {text(item)}' for key, item in value.items()])}}}"
        return f"[{' '.join(map(text, value))}]" if kind is list else atom(value)

    def name(key: str) -> str:
        return f":{key}" if _WORD.fullmatch(key) else atom(key)

    return text(value)


def _without_keywords(value: Any) -> Any:
    if isinstance(value, Map):
        items = value.raw.items()
        return {key.name if isinstance(key, Keyword) else key: _without_keywords(item) for key, item in items}
    return [_without_keywords(item) for item in value] if isinstance(value, tuple) else value
