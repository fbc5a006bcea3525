"""The log of a damaged SQLite file, row by row, around what cannot be read. Knows the table of commits and no more.

Works on a file that nobody else uses; the caller made a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw

from ..ground.errors import Unavailable
from ..ground.protocol import Problem

_NEXT = "SELECT key, body FROM commits WHERE key > ?1 AND graph = ?2 ORDER BY key LIMIT 1"
_LARGEST = 1 << 62


def bodies(path: Path, graph: str, where: str) -> Iterator[str | Problem]:
    """Yields the body of every row of the graph's log that can be read, a problem for each run that cannot."""
    connection = apsw.Connection(str(path))
    try:
        try:
            key = connection.execute("SELECT key FROM graphs WHERE name = ?1", (graph,)).get
        except apsw.Error as error:
            yield Problem(where, f"the tables cannot be read: {error}")
            return
        if key is None:
            raise Unavailable(f"there is no graph {graph!r} in {where}", hint="see intent stats", graph=graph)
        yield from _rows(connection, int(key), where)
    finally:
        connection.close()


def _rows(connection: apsw.Connection, graph: int, where: str) -> Iterator[str | Problem]:
    last = 0
    while True:
        try:
            found = connection.execute(_NEXT, (last, graph)).fetchall()
        except apsw.Error as error:
            behind = _readable(connection, graph, last)
            until = "the end" if behind is None else f"row {behind + 1}"
            yield Problem(where, f"the log cannot be read from behind row {last} up to {until}: {error}")
            if behind is None:
                return
            last = behind
            continue
        if not found:
            return
        key, body = found[0]
        last = int(str(key))
        yield str(body)


def _readable(connection: apsw.Connection, graph: int, last: int) -> int | None:
    """Returns the smallest key behind which a row can be read again: by steps that double, then by halves."""
    low, step = last, 1
    while low + step < _LARGEST and not _is_readable(connection, graph, low + step):
        step *= 2
    high = low + step
    if high >= _LARGEST:
        return None
    low += step // 2
    while high - low > 1:
        middle = (low + high) // 2
        if _is_readable(connection, graph, middle):
            high = middle
        else:
            low = middle
    return high


def _is_readable(connection: apsw.Connection, graph: int, key: int) -> bool:
    try:
        connection.execute(_NEXT, (key, graph)).fetchall()
    except apsw.Error:
        return False
    return True  # a row, or the end
