"""A CCOS archive on disk: ``intents/`` and ``edges/``, each with an index that says which files count.

A file stands under the digest of its content, ``aa/bb/<sha256>.json``; what was updated or deleted stays on the disk
and is not in the index. So the index is read, never the directory. Knows files and digests; what a record means is its
neighbours' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..codec import strict_loads
from ..ground.errors import FieldInvalid, IntentStoreError
from .source import nothing_imported

INDEX = "index.json"
_SPACE = re.compile(rb'("(?:[^"\\]++|\\.)*+")|[ \t\r\n]++', re.DOTALL)
_MOST = 64 * 1024 * 1024


def is_archive(folder: Path) -> bool:
    """True for the directory of an archive."""
    return (folder / "intents" / INDEX).is_file()


def records_in(folder: Path, part: str) -> Iterator[tuple[str, Any]]:
    """Yields the records that a part of the archive (intents, edges) names, each with its file, in the index's order.

    A file that is missing, was altered, or lies outside the archive is `FieldInvalid` naming it.
    """
    index_file = folder / part / INDEX
    if part == "edges" and not index_file.exists():
        return
    name = f"{part}/{INDEX}"
    index = _loaded(_bytes(index_file, name), name)
    if type(index) is not dict:
        raise FieldInvalid(name, "must be an object", hint="it maps the digest of each file to its path")
    for digest, relative in index.items():
        where = f"{part}/{relative}"
        data = _bytes(_inside(folder / part, relative, where), where)
        if sha256(compact(data)).hexdigest() != digest:
            raise FieldInvalid(
                where, f"was altered: its content is not what the index calls {digest[:12]}…", hint=_HINT
            )
        yield where, _loaded(data, where)


_HINT = "restore the file from a backup, or take it out of the index"


def compact(data: bytes) -> bytes:
    """Returns JSON without the spaces between its parts, every other byte as it is.

    >>> compact(b'{ "a b": [1, 2.0] }')
    b'{"a b":[1,2.0]}'
    """
    return _SPACE.sub(lambda match: match[1] or b"", data)


def _inside(folder: Path, relative: Any, where: str) -> Path:
    parts = Path(relative).parts if type(relative) is str and "\0" not in relative else ()
    path = folder.joinpath(*parts)
    if not parts or ".." in parts or Path(*parts).is_absolute():
        raise FieldInvalid(where, "lies outside the archive", hint="the index names files below its own directory")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FieldInvalid(where, "leads out of the archive", hint="an archive holds files, no links to elsewhere")
    return path


def _bytes(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except FileNotFoundError:
        raise FieldInvalid(where, "is missing, though the index names it", hint=_HINT) from None
    except OSError as error:
        raise FieldInvalid(where, f"cannot be read: {error.strerror or error}", hint="see that it is a file") from error
    if len(data) > _MOST:
        raise FieldInvalid(where, f"is longer than {_MOST} bytes", hint="one file holds one record")
    return data


def _loaded(data: bytes, where: str) -> Any:
    return strict_loads(data, where)


def at_file(error: IntentStoreError, where: str) -> IntentStoreError:
    """Returns the same error saying in which file it happened, and that nothing was imported."""
    again = type(error).__new__(type(error))
    IntentStoreError.__init__(again, f"{where}: {error.message}", hint=error.hint, **{**error.fields, "file": where})
    return nothing_imported(again)
