"""A graph in a PostgreSQL database, shared by as many processes and machines as reach it.

Puts together what the modules beside this one own: connections, schema, writing, reading, the feed. Every table is
keyed by graph; the only locks are transactions'. What it acknowledged is on the server's stable storage.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from ...ground.change import Batch, Commit, Entry, Guard
from ...ground.errors import Closed, ReadOnly, StorageError, Unavailable
from ...ground.identity import uuid7
from ...ground.protocol import Capabilities, Problem
from ...ground.protocol import Reader as Seen
from ...ground.query import Found, Hit, IntentFilter, Page, Walk
from ...ground.search import Query
from ...ground.types import Edge, EdgeKey, Intent, IntentId, IntentStatus, Revision
from ...ground.values import Map
from ..group import Lane, Ticket
from . import schema
from .aside import Aside
from .connections import Connection, Lender
from .errors import storage_error
from .exchange import text
from .feed import Feed
from .place import read_place
from .reading import Reader
from .statements import STRIDE, Statements
from .verify import problems
from .writing import Writer, is_structural

_ABREAST = 2
"""Groups of plain commits under way at once: while one waits for the server, the other uses the interpreter."""
OLDEST = 130000
"""PostgreSQL 13, which has `pg_current_xact_id`."""
_alive: weakref.WeakSet[PostgresStorage] = weakref.WeakSet()


def _in_child() -> None:
    for storage in list(_alive):
        storage.forked()


os.register_at_fork(after_in_child=_in_child)


class PostgresStorage:
    """Keeps one graph in a PostgreSQL database. A revision grows with every commit and leaves gaps.

    ``durability="relaxed"`` lets the server acknowledge before its disk has it. The sort ``relevance`` puts what fits
    least first, ``-relevance`` what fits best.
    """

    capabilities = Capabilities(
        persistent=True,
        multi_process=True,
        searches_text=True,
        compacts=True,
        notifies=True,
        finds_ready=True,
        finds_below=True,
        keeps_aside=True,
        descends=True,
    )

    def __init__(
        self,
        connection: str,
        graph: str = "default",
        *,
        read_only: bool = False,
        create: bool = True,
        durability: str = "full",
        timeout_s: float | None = None,
        pool_size: int | None = None,
        pooler: str | None = None,
        new_id: Callable[[], str] = uuid7,
    ) -> None:
        self._place = read_place(
            connection, read_only=read_only, timeout_s=timeout_s, pool_size=pool_size, pooler=pooler
        )
        self._graph, self._read_only = graph, read_only
        self._create, self._relaxed, self._new_id = create and not read_only, durability == "relaxed", new_id
        self._sql = Statements(graph)
        self._opened = self._forked = False

    def __repr__(self) -> str:
        return f"PostgresStorage({self._place.shown!r}, {self._graph!r})"

    # --- opening and closing ---

    def open(self) -> None:
        """Connects, makes the schema if there is none, and finds or makes the graph."""
        if self._opened:
            return
        self._forked = False
        lender = Lender(self._place, relaxed=self._relaxed)
        lender.open()
        try:
            with self._translated("opening"), lender.lent(lender.deadline(), patient=False) as connection:
                self._check_kind(connection)
                schema.ensure(connection, self._place.shown, create=self._create)
                self._find_graph(connection)
        except BaseException:
            lender.close()
            raise
        self._lender, self._reader = lender, Reader(lender, self._sql)
        self._feed = Feed(lender, self._sql, self._reader, writable=not self._read_only)
        self._aside = Aside(lender, self._sql, self._reader)
        self._writer = Writer(lender, self._sql, self._new_id)
        self._plain: Lane[Any] = Lane(self._writer.run, largest=STRIDE, abreast=_ABREAST)
        self._structural: Lane[Any] = Lane(self._writer.run, largest=STRIDE)
        self._opened = True
        _alive.add(self)

    def _check_kind(self, connection: Connection) -> None:
        if connection.about.number < OLDEST:
            raise Unavailable(
                f"{self._place.shown} is PostgreSQL {connection.about.version}", hint="use version 13 or newer"
            )

        if connection.about.in_recovery and not self._read_only:
            raise ReadOnly(f"{self._place.shown} is a standby", hint="name the primary, or open with read_only=True")

    def _find_graph(self, connection: Connection) -> None:
        found = connection.rows(self._sql.graph)
        if not found and not self._read_only:
            connection.one(self._sql.graph_add, self._graph, connection.about.cluster)
            found = connection.rows(self._sql.graph)
        if not found:
            raise Unavailable(
                f"no graph {self._graph!r} in {self._place.shown}", hint="open it for writing once", graph=self._graph
            )
        if found[0][0] != self._graph:  # one in 2**63
            raise StorageError(f"the graphs {self._graph!r} and {found[0][0]!r} share a key", hint="take another name")

    def close(self) -> None:
        """Lets go of every connection."""
        if not self._opened:
            return
        self._opened = False
        _alive.discard(self)
        if not self._forked:
            self._feed.close()
            self._lender.close()

    # --- writing ---

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        """Applies the batch, all or nothing; durable when it returns. A known batch id returns its commit."""
        self._check_writable()
        lane = self._structural if is_structural(batch) else self._plain
        return lane.submit(self._writer.wish(batch, guard))

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        """Applies batches in order, a hundred a transaction; stops at the first refused, keeping those before."""
        self._check_writable()
        made: list[Commit] = []
        for at in range(0, len(batches), STRIDE):
            tickets: list[Ticket] = [self._writer.wish(batch, None) for batch in batches[at : at + STRIDE]]
            self._writer.run(tickets, stop=True)
            made += [ticket.result() for ticket in tickets]
        return made

    def _check_writable(self) -> None:
        self._check_open()
        if self._read_only:
            raise ReadOnly(f"{self._place.shown} was opened read-only", hint="open it without read_only")

    # --- reading ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        return self._here().fetch(ids)

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at any of the ids that the walk takes."""
        return self._here().neighbours(ids, walk)

    def descend(self, ids: Sequence[IntentId], walk: Walk) -> list[EdgeKey]:
        """Returns the keys of all edges that the walk takes from these ids on, however far it leads, in their order."""
        return self._here().descend(ids, walk)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix, in the order of names."""
        return self._here().definitions(prefix)

    def next_free(self, after: Intent | None, *, limit: int, leaves_only: bool) -> list[Intent]:
        """Returns the next active intents behind ``after`` that wait for nothing by themselves, most urgent first."""
        return self._here().next_free(after, limit=limit, leaves_only=leaves_only)

    def below(self, id: IntentId, depth: int | None = None) -> list[Intent]:
        """Returns everything below an intent: nearest first, then as their parents came, then by id."""
        return self._here().below(id, depth)

    def now(self) -> datetime:
        """Returns the present moment by the server's clock, which all who have the graph open share."""
        return self._here().now()

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents the filter means."""
        return self._here().select(where, page)

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status."""
        return self._here().count(where)

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Returns the intents that the query means, best first."""
        return self._here().search(query, limit)

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        """Returns in how many intents each of the words stands, counted no further than ``most``."""
        return self._here().frequencies(words, most)

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order, as far as no other can still come between."""
        self._check_open()
        return self._feed.entries(since)

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, oldest first."""
        return self._here().trail(id)

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None."""
        return self._here().commit(id)

    @property
    def revision(self) -> Revision:
        """The revision of the last commit."""
        return self._here().revision

    def wait(self, since: Revision, timeout_s: float) -> bool:
        """Returns True as soon as `entries` after ``since`` has something to give, False when the time is over."""
        self._check_open()
        try:
            return self._feed.wait(since, timeout_s)
        finally:
            self._check_open()

    def arrived(self, revision: Revision) -> bool:
        """Returns True when reads here see the commit of this revision: on a standby that may take a moment."""
        self._check_open()
        return self._feed.arrived(revision)

    # --- kept aside ---

    def keep(
        self, space: str, items: Mapping[str, bytes | None], *, guard: Callable[[Seen], None] | None = None
    ) -> None:
        """Keeps these values in a space, all or none, without waiting for the disk; None forgets a key."""
        self._check_writable()
        self._aside.keep(space, items, guard)

    def kept(self, space: str, keys: Sequence[str] | None = None) -> dict[str, bytes]:
        """Returns what is kept under these keys of a space, or under all of them."""
        self._check_open()
        return self._aside.kept(space, keys)

    # --- care ---

    def verify(self) -> Iterator[Problem]:
        """Yields what is wrong: the log from its first commit, and the tables against the log."""

        def work(connection: Connection) -> list[Problem]:
            with connection.unhurried():
                return list(problems(connection, self._sql))

        yield from self._here().ask(work, "verifying")

    def compact(self) -> Mapping[str, Any]:
        """Has the server clear away dead rows and renew its statistics, over all graphs; the log stays whole."""
        self._check_writable()

        def work(connection: Connection) -> Mapping[str, Any]:
            before = connection.rows(self._sql.sizes)[0][1]
            with connection.unhurried():
                for table in ("intent_rows", "edge_rows", "commits", "graphs", "definitions", "aside"):
                    connection.tell(f"VACUUM (ANALYZE) intentstore.{table}")
            return {"bytes_before": before, "bytes_after": connection.rows(self._sql.sizes)[0][1]}

        return self._reader.ask(work, "compacting")

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same database."""
        return [text(name) for (name,) in self._here().cells(self._sql.graph_names)]

    def facts(self) -> Mapping[str, Any]:
        """Returns what a person asks about the place; no password among it."""

        def work(connection: Connection) -> tuple[Any, ...]:
            revision = connection.rows(self._sql.revision)[0][0]
            return (connection.about, revision, *connection.rows(self._sql.sizes)[0])

        about, revision, size, ours = self._here().ask(work)
        return {
            "kind": "postgresql",
            "place": self._place.shown,
            "graph": self._graph,
            "durable": not self._relaxed and about.fsync == "on",
            "read_only": self._read_only,
            "revision": revision,
            "bytes": ours,
            "database_bytes": size,
            "server_version": about.version,
            "standby": about.in_recovery,
            "synchronous_commit": "off" if self._relaxed else about.synchronous,
            "pooler": self._place.pooler,
            **self._lender.facts(),
        }

    # --- borders ---

    def forked(self) -> None:
        """Marks the store as one of the parent process, whose connections this process must not touch."""
        self._forked = True
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._lender))  # to finalise it here would reach the server

    def _here(self) -> Reader:
        self._check_open()
        return self._reader

    def _check_open(self) -> None:
        if self._forked:
            raise Closed(
                f"{self._place.shown} was opened before this process was forked",
                hint="open the store again in this process",
            )
        if not self._opened:
            raise Closed(f"{self._place.shown} is closed", hint="open it again")

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise storage_error(error, self._place.shown, doing) from error
