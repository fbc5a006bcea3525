"""What is kept aside of a graph: small values under keys, in no history, written without waiting for the disk.

A guard sees the graph inside the transaction, and what it reads stays as it is until that ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import psycopg

from ...ground.protocol import Reader as Seen
from ..aside import checked
from .connections import Connection, Lender
from .errors import AGAIN, is_lost, storage_error
from .exchange import Asked, text
from .reading import Reader, is_text
from .rows import array
from .state import State
from .statements import Statements

_PAUSE_S = 0.01
_RELAXED: Asked = ("SET LOCAL synchronous_commit = 'off'", ())


class Aside:
    """The spaces of one graph."""

    def __init__(self, lender: Lender, sql: Statements, reader: Reader) -> None:
        self._lender, self._sql, self._reader = lender, sql, reader

    def keep(self, space: str, items: Mapping[str, bytes | None], guard: Callable[[Seen], None] | None) -> None:
        """Keeps these values, all or none; None forgets a key. Done twice it is the same, so it may be tried again."""
        wanted = self._said(space, checked(space, items))
        until = self._lender.deadline()
        while True:
            connection = self._lender.take(until)
            try:
                self._transact(connection, wanted, guard)
            except psycopg.Error as error:
                again = is_lost(error, connection) or isinstance(error, AGAIN)
                connection.roll_back()
                if not (again and time.monotonic() + _PAUSE_S < until):
                    raise storage_error(error, self._lender.place.shown, "keeping") from error
            except BaseException:
                connection.roll_back()
                raise
            else:
                return
            finally:
                self._lender.give(connection)
            time.sleep(_PAUSE_S)

    def _said(self, space: str, items: Mapping[str, bytes | None]) -> list[Asked]:
        kept = {key: value for key, value in sorted(items.items()) if value is not None}
        gone = [key for key, value in items.items() if value is None]
        values = array([f"\\x{value.hex()}" for value in kept.values()])
        said: list[Asked] = [(self._sql.keep, (space, array(list(kept)), values))] if kept else []
        return [*said, (self._sql.forget, (space, array(gone)))] if gone else said

    def _transact(self, connection: Connection, wanted: list[Asked], guard: Callable[[Seen], None] | None) -> None:
        begin = [(self._sql.begin, ()), *connection.begin, _RELAXED]
        if guard is not None:
            connection.together(begin)
            guard(State(connection, self._sql))
            begin = []
        connection.together([*begin, *wanted, ("COMMIT", ())])

    def kept(self, space: str, keys: Sequence[str] | None) -> dict[str, bytes]:
        """Returns what is kept under these keys of a space, or under all of them."""
        if not is_text(space):
            return {}
        if keys is None:
            found = self._reader.cells(self._sql.kept, space)
        else:
            found = self._reader.cells(self._sql.kept_some, space, array(list(filter(is_text, keys))))
        return {text(key): bytes.fromhex(text(value)) for key, value in found}
