"""Connections to one place: made, lent, given back, replaced when they die, and never waited for beyond a deadline.

Owns the pool and what every connection is told when it is new. Has never heard of an intent. Deadlines are kept here,
by the client: a connection that a firewall swallowed outlasts every time limit of the server's.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import psycopg
import psycopg_pool
from psycopg import errors as said
from psycopg import pq
from psycopg.types.numeric import Int8Dumper

from ...ground.errors import Busy, Closed, Unavailable
from .errors import Late, is_hopeless, storage_error
from .exchange import Asked, Cells, Names, Value, ask_one, ask_together, cells, tell
from .place import Place

logging.getLogger("psycopg").addHandler(logging.NullHandler())  # its warnings are errors of ours already

Row = tuple[Any, ...]
_NAMELESS = Names(None)
_MOST_NAMES = 200
_PREPARE_AFTER = 2
_SLICE_S = 0.05
_ABOUT = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(),
    current_setting('synchronous_commit'), current_setting('fsync'),
    (SELECT system_identifier::text FROM pg_control_system()) {set}
"""


class About(msgspec.Struct, frozen=True):
    """What a server says of itself when a connection is new."""

    version: str
    number: int
    in_recovery: bool
    synchronous: str
    fsync: str
    cluster: str


class Connection(psycopg.Connection[Row]):
    """A connection that keeps the deadline ``until`` (`time.monotonic`) whatever it does."""

    until: float = float("inf")
    about: About
    begin: Sequence[Asked] = ()
    """What a transaction of ours begins with, before its own words, where a session may not be told for good."""
    limit: str = ""
    """The server's limit to a statement of this session, where we have set one."""
    said: list[str]
    """The SQLSTATEs of warnings since the last COMMIT."""
    asks: psycopg.RawCursor[Row]
    """The cursor of whoever has the connection, for statements that depend on a question."""
    names: Names
    """What is prepared of the statements that do not."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        left = self.until - time.monotonic()
        if timeout is not None and timeout < left:
            return super().wait(gen, interval, timeout)
        try:
            if left <= 0:
                raise said._WaitTimeout("no time left")  # noqa: SLF001  what the driver itself raises
            return super().wait(gen, interval, left)
        except said._WaitTimeout as error:  # noqa: SLF001
            self.pgconn.finish()  # whoever sees the server again will have to ask what became of it
            raise Late("the server did not answer before the deadline") from error

    def rows(self, text: str, values: Any = ()) -> list[Row]:
        """Returns every row of the answer."""
        return self.asks.execute(text, values).fetchall()

    def one(self, text: str, *values: Value) -> list[Cells]:
        """Returns every row of the answer to a statement of ours."""
        return list(cells(self.wait(ask_one(self.pgconn, self.names, (text, values)))))

    def question(self, text: str, values: Sequence[Value]) -> list[Cells]:
        """Returns every row of the answer to a statement that depends on a question."""
        names = self.names if self.names.again(text) else _NAMELESS
        return list(cells(self.wait(ask_one(self.pgconn, names, (text, values)))))

    def together(self, asked: Sequence[Asked], *, keep: bool = True) -> list[list[Cells]]:
        """Returns the rows of the answer to each of these statements, all sent at once; ``keep`` prepares them."""
        try:
            results = self.wait(ask_together(self.pgconn, self.names if keep else _NAMELESS, asked))
        except BaseException:
            if self.pgconn.pipeline_status != pq.PipelineStatus.OFF:
                self.pgconn.finish()
            raise
        return [list(cells(result)) for result in results]

    @contextlib.contextmanager
    def unhurried(self) -> Iterator[None]:
        """Lets what is asked in the block take as long as it takes, here and on the server."""
        self.until = float("inf")
        if self.limit:
            self.tell("SET statement_timeout = 0")
        try:
            yield
        finally:
            if self.limit and not self.closed:
                self.tell(f"SET statement_timeout = '{self.limit}'")

    def roll_back(self) -> None:
        """Ends the transaction without a trace; a connection that cannot even do that is closed."""
        try:
            self.tell("ROLLBACK")
        except psycopg.Error:
            self.close()

    def tell(self, text: str) -> None:
        """Runs statements that take no values and give nothing back."""
        self.wait(tell(self.pgconn, text))


class _Dialler:
    """Makes connections for the pool; remembers why it could not. Stands where the pool wants a connection class."""

    def __init__(self, place: Place, *, relaxed: bool) -> None:
        self.place, self.relaxed = place, relaxed
        self.failed: psycopg.Error | None = None
        self.failures = 0
        self.closed = False

    def connect(self, conninfo: str, **options: Any) -> Connection:
        """Returns a new connection, told what ours are told; tries again while the server is only not there yet."""
        end, pause = time.monotonic() + self.place.timeout_s, 0.025
        while True:
            try:
                connection = Connection.connect(conninfo, **options)
                self._prepare(connection)
            except psycopg.Error as error:
                self.failed, self.failures = error, self.failures + 1
                if self.closed or is_hopeless(error) or time.monotonic() + pause > end:
                    raise
                time.sleep(pause)
                pause = min(pause * 1.5, 0.5) * random.uniform(0.8, 1.2)  # noqa: S311  no secret
            else:
                self.failed = None
                return connection

    def _prepare(self, connection: Connection) -> None:
        try:
            connection.until = time.monotonic() + self.place.timeout_s
            connection.adapters.register_dumper(int, Int8Dumper)  # one type, one prepared statement
            connection.asks = psycopg.RawCursor(connection)
            connection.names = Names(_MOST_NAMES if self.place.pooler == "session" else None)
            connection.said = []
            connection.add_notice_handler(lambda notice: connection.said.append(notice.sqlstate or ""))
            lasting = self.place.pooler == "session"
            limits = _limits(self.place.timeout_s)
            told = "".join(f", set_config('{name}', '{value}', false)" for name, value in {**limits, **_PLANS}.items())
            row = connection.rows(_ABOUT.format(set=told if lasting else ""))[0]
            connection.about = About(*row[:6])
            connection.limit = limits["statement_timeout"] if lasting else ""
            local = {} if lasting else dict(limits)
            if self.relaxed or connection.about.synchronous == "off":
                local["synchronous_commit"] = "off" if self.relaxed else "on"
            connection.begin = [(f"SET LOCAL {name} = '{value}'", ()) for name, value in local.items()]
        except BaseException:
            connection.close()
            raise


_PLANS = {"plan_cache_mode": "force_generic_plan"}
"""A statement that comes again is made to use an index whatever its values; planning it anew took half of its time."""


def _limits(timeout_s: float) -> dict[str, str]:
    """Returns what the server is to give up by itself, so that it does not work on for somebody who has gone."""
    whole = max(1, int(timeout_s * 1000))
    return {
        "lock_timeout": f"{max(1, int(whole * 0.9))}ms",
        "statement_timeout": f"{whole}ms",
        "idle_in_transaction_session_timeout": f"{whole * 2}ms",
    }


class Lender:
    """Lends connections. Open it before the first, close it after the last."""

    def __init__(self, place: Place, *, relaxed: bool) -> None:
        self.place = place
        self._dialler = _Dialler(place, relaxed=relaxed)
        kind: Any = self._dialler
        self._pool: psycopg_pool.ConnectionPool[Connection] = psycopg_pool.ConnectionPool(
            place.conninfo,
            connection_class=kind,
            kwargs={"autocommit": True, "prepare_threshold": _PREPARE_AFTER if place.pooler == "session" else None},
            min_size=0,
            max_size=place.pool_size,
            open=False,
            name="intentstore",
            timeout=place.timeout_s,
            reconnect_timeout=place.timeout_s,
            num_workers=2,
        )
        self._door = threading.Lock()

    def open(self) -> None:
        """Begins to lend."""
        self._pool.open()

    def close(self) -> None:
        """Lets go of every connection; those lent are closed when they come back."""
        self._dialler.closed = True
        self._pool.close(timeout=1.0)

    def deadline(self, changes: int = 0) -> float:
        """Returns when something begun now must have ended; a write of many changes has a millisecond more for each."""
        return time.monotonic() + self.place.timeout_s + changes / 1000

    def take(self, until: float, *, patient: bool = True) -> Connection:
        """Returns a connection for the caller alone, to be given back; waits for one until the deadline.

        Not patient: the first failure to connect is raised, not only one that would stay so.
        """
        try:
            connection = self._pool.getconn(timeout=_SLICE_S)
        except psycopg_pool.PoolTimeout:
            connection = self._wait(until, patient=patient)
        except psycopg_pool.PoolClosed as error:
            raise Closed(f"{self.place.shown} was closed meanwhile", hint="open it again") from error
        connection.until = until
        return connection

    def _wait(self, until: float, *, patient: bool) -> Connection:
        failures = self._dialler.failures if patient else 0
        while True:
            failed = self._dialler.failed
            if failed is not None and (is_hopeless(failed) or not patient):
                raise storage_error(failed, self.place.shown, "connecting") from failed
            left = until - time.monotonic()
            try:
                return self._pool.getconn(timeout=max(0.001, min(_SLICE_S, left)))
            except psycopg_pool.PoolTimeout as error:
                if left > 0:
                    continue
                if failed is not None and self._dialler.failures > failures:
                    raise storage_error(failed, self.place.shown, "connecting") from failed
                raise self._none_in_time() from error
            except psycopg_pool.PoolClosed as error:
                raise Closed(f"{self.place.shown} was closed meanwhile", hint="open it again") from error

    def _none_in_time(self) -> Busy | Unavailable:
        facts = self._pool.get_stats()
        if facts.get("pool_size", 0) >= self.place.pool_size and not facts.get("pool_available", 0):
            return Busy(
                f"{self.place.shown}: all {self.place.pool_size} connections were in use until the deadline",
                hint="raise pool_size, or make shorter use of them",
                timeout_s=self.place.timeout_s,
            )
        return Unavailable(
            f"{self.place.shown}: no connection within {self.place.timeout_s:g} s",
            hint="see that the server runs and can be reached from here",
            timeout_s=self.place.timeout_s,
        )

    def give(self, connection: Connection) -> None:
        """Takes a connection back; one that is no more of use is replaced."""
        self._pool.putconn(connection)

    def separate(self) -> Connection:
        """Returns a new connection outside of the pool, to be closed by the caller."""
        return self._dialler.connect(self.place.conninfo, autocommit=True)

    @contextlib.contextmanager
    def lent(self, until: float, *, patient: bool = True) -> Iterator[Connection]:
        """Lends a connection for a block."""
        connection = self.take(until, patient=patient)
        try:
            yield connection
        finally:
            self.give(connection)

    def facts(self) -> dict[str, int]:
        """Returns how many connections there are and how many are free."""
        found = self._pool.get_stats()
        return {"connections": found.get("pool_size", 0), "idle": found.get("pool_available", 0)}
