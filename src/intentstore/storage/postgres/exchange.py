"""Statements sent together and answered together: one journey to the server and back, however many they are.

Works on libpq as the driver wraps it, beneath its cursors: values go as text, answers come as bytes. Of 90 us that a
small write took, cursors took 50; and a server that is 1 ms away is asked twice for a write, not five times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import errors as said
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.generators import execute, fetch_many, send
from psycopg.pq.abc import PGconn, PGresult

Value = str | int | float | None
Asked = tuple[str, Sequence[Value]]
"""A statement and its values, ``$1`` first."""
Cells = tuple[bytes | None, ...]

_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)


_MOST_SEEN = 1000


class Names:
    """The statements that one connection has prepared; ``None`` as its limit prepares none.

    A statement that depends on a question is prepared when it comes a second time.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._known: dict[str, bytes] = {}
        self._seen: set[str] = set()
        self._made = 0

    def known(self, text: str) -> bytes | None:
        """Returns the name of a statement that is prepared."""
        return self._known.get(text)

    def new(self, text: str) -> bytes | None:
        """Returns a name to prepare a statement under; None where there may be no more."""
        if self._most is None or len(self._known) >= self._most:
            return None
        self._made += 1
        return self._known.setdefault(text, b"is%d" % self._made)

    def again(self, text: str) -> bool:
        """Returns True when the statement has come before."""
        if text in self._seen or text in self._known:
            return True
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen.add(text)
        return False

    def forget(self, text: str) -> None:
        """Takes a name back: preparing failed."""
        self._known.pop(text, None)


def encoded(values: Sequence[Value]) -> list[bytes | None]:
    """Returns the values as the server reads them."""
    return [None if value is None else str(value).encode() for value in values]


def ask_one(pgconn: PGconn, names: Names, asked: Asked) -> PQGen[PGresult]:
    """Sends one statement and returns its result, checked."""
    text, values = asked
    name = names.known(text)
    if name is None:
        name = names.new(text)
        if name is not None:
            pgconn.send_prepare(name, text.encode())
            (result,) = yield from execute(pgconn)
            if result.status in _FAILED:
                names.forget(text)
            _check(result)
    if name is None:
        pgconn.send_query_params(text.encode(), encoded(values))
    else:
        pgconn.send_query_prepared(name, encoded(values))
    return (yield from _checked(pgconn))


def tell(pgconn: PGconn, text: str) -> PQGen[PGresult]:
    """Sends statements that take no values, as many as stand in the text, and returns the last result."""
    pgconn.send_query(text.encode())
    return (yield from _checked(pgconn))


def _checked(pgconn: PGconn) -> PQGen[PGresult]:
    results: list[PGresult] = yield from execute(pgconn)
    for each in results:
        _check(each)
    return results[-1]


def ask_together(pgconn: PGconn, names: Names, asked: Sequence[Asked]) -> PQGen[list[PGresult]]:
    """Sends the statements in one go and returns their results, checked: what follows a failed one was not done."""
    prepared: list[str | None] = []
    pgconn.enter_pipeline_mode()
    for text, values in asked:
        name = names.known(text)
        if name is None and (name := names.new(text)) is not None:
            pgconn.send_prepare(name, text.encode())
            prepared.append(text)
        if name is None:
            pgconn.send_query_params(text.encode(), encoded(values))
        else:
            pgconn.send_query_prepared(name, encoded(values))
        prepared.append(None)
    pgconn.pipeline_sync()
    yield from send(pgconn)
    results = []
    for _ in prepared:
        found = yield from fetch_many(pgconn)
        results.append(found[-1])
    yield from fetch_many(pgconn)  # the end that was asked for by `pipeline_sync`
    pgconn.exit_pipeline_mode()
    for text_prepared, result in zip(prepared, results, strict=True):
        if text_prepared is not None and result.status in _FAILED:
            names.forget(text_prepared)
    for result in results:
        _check(result)
    return [result for text_prepared, result in zip(prepared, results, strict=True) if text_prepared is None]


def _check(result: PGresult) -> None:
    if result.status == pq.ExecStatus.FATAL_ERROR:
        raise said.error_from_result(result)


def text(cell: bytes | None) -> str:
    """Returns a cell that is not NULL as text."""
    assert cell is not None
    return cell.decode()


def cells(result: PGresult) -> Iterator[Cells]:
    """Yields the rows of an answer."""
    value, columns = result.get_value, range(result.nfields)
    for row in range(result.ntuples):
        yield tuple([value(row, column) for column in columns])
