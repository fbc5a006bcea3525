"""One SQLite file that keeps graphs, safe for many threads and processes.

Owns the life of a store and the transaction of a group of commits. What is read is `sqlite_reading`'s; how a connection
is set up and which driver error means what is `sqlite_connections`' to say, what a row says `sqlite_rows`'; what a
change means is `ledger`'s.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from ..codec import decode_commit
from ..ground.change import Batch, Commit, Guard
from ..ground.errors import Busy, Full, IntentStoreError, ReadOnly, StorageError, Unavailable
from ..ground.identity import uuid7
from ..ground.protocol import Capabilities, Diagnosis, Problem, Reader
from ..ground.types import Revision
from .aside import checked
from .bell import Bell
from .group import Lane, Ticket
from .ledger import as_batch, check_same
from .settling import Group, settle_group
from .sqlite_connections import Connections, roll_back, transaction
from .sqlite_reading import SqliteReading
from .sqlite_ready import Counting
from .sqlite_rows import Base, Laying, Statements, texts
from .sqlite_verify import problems

_TOGETHER = 500
_alive: weakref.WeakSet[SqliteStorage] = weakref.WeakSet()


def _in_child() -> None:
    for storage in list(_alive):
        storage.forked()


os.register_at_fork(after_in_child=_in_child)


class SqliteStorage(SqliteReading):
    """Keeps one graph of an SQLite file. What it acknowledged is on stable storage (``durability="full"``).

    The sort ``relevance`` puts what fits least first, ``-relevance`` what fits best.
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
        replaces=True,
    )

    def __init__(
        self,
        path: str | Path,
        graph: str = "default",
        *,
        read_only: bool = False,
        create: bool = True,
        durability: str = "full",
        timeout_s: float = 30.0,
        new_id: Callable[[], str] = uuid7,
    ) -> None:
        at = Connections(Path(path), read_only=read_only, create=create, durability=durability, timeout_s=timeout_s)
        super().__init__(Path(path), at)
        self._graph, self._new_id = graph, new_id
        self._lane: Lane[Any] = Lane(self._run)
        self._bell = Bell()
        self._dead: IntentStoreError | None = None

    # --- opening and closing ---

    def open(self) -> None:
        """Makes the store ready; SQLite recovers what a crash left. Refuses, untouched, what is not ours."""
        if self._at.opened:
            return
        self._dead, self._forked = None, False
        with self._translated("opening"):
            try:
                connection = self._at.open()
                self._sql = Statements(self._enter(connection))
            except BaseException:
                self._release()
                raise
        self._at.opened = True
        if self._at.read_only:
            self._at.give_back(connection)
        _alive.add(self)

    def _enter(self, connection: apsw.Connection) -> int:
        """Returns the graph's key, made where there is none yet and one may write."""
        if not self._at.read_only:
            with transaction(connection, "IMMEDIATE"):
                connection.execute(texts()["graph_add"], (self._graph,))
                if connection.changes():
                    connection.execute(Statements(self._key(connection)).graph_words)
        return self._key(connection)

    def _key(self, connection: apsw.Connection) -> int:
        key = connection.execute(texts()["graph_key"], (self._graph,)).get
        if key is None:
            raise Unavailable(
                f"no graph {self._graph!r} in {self._path}",
                hint="open it for writing once, or see intent stats",
                graph=self._graph,
            )
        return int(key)

    def close(self) -> None:
        """Moves what the WAL holds into the file, as far as others let it, and closes the connections."""
        if self._at.opened:
            self._lane.alone(self._close)

    def _close(self) -> None:
        if not self._at.opened:
            return
        self._at.opened = False
        try:
            if not self._at.read_only and self._dead is None and not self._forked:
                with contextlib.suppress(Busy), self._translated("closing"):  # others read; they do it later
                    self._at.writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        finally:
            self._release()

    def _release(self) -> None:
        _alive.discard(self)
        self._at.close(forked=self._forked, dead=self._dead is not None)

    # --- writing ---

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        """Applies the batch, all or nothing; durable when it returns. A known batch id returns its commit."""
        self._check_writable()
        return self._lane.submit(Ticket(batch, guard))

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        """Applies batches in order in one transaction; stops at the first refused, keeping those before it."""
        self._check_writable()
        tickets = [Ticket(batch, None) for batch in batches]
        if tickets:
            self._lane.alone(lambda: self._run(tickets, stop=True))
        return [ticket.result() for ticket in tickets]

    def _check_writable(self) -> None:
        self._check_open()
        if self._at.read_only:
            raise ReadOnly(f"{self._path} was opened read-only", hint="open it without read_only")
        if self._dead is not None:
            raise ReadOnly(
                f"{self._path} refuses writes since one failed: {self._dead}",
                hint="close the store and open it again, which reads the disk anew",
            ) from self._dead

    def _run(self, group: list[Ticket], *, stop: bool = False) -> None:
        """Writes a group of batches in one transaction: settle each, lay all, commit once."""
        self._check_writable()
        connection = self._at.writer
        with self._translated("writing"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                settled = self._write(connection, group, stop=stop)
                connection.execute("COMMIT")
            except BaseException as error:
                self._fail(connection, error)
                raise
        settled.acknowledge()
        self._bell.ring()

    def _write(self, connection: apsw.Connection, group: list[Ticket], *, stop: bool) -> Group:
        base = Base(connection, self._sql)
        settled = settle_group(
            group,
            base,
            last=connection.execute(self._sql.revision).get,
            known=partial(self._known, connection),
            new_id=self._new_id,
            stop=stop,
            fatal=apsw.Error,
        )
        counting = Counting(connection, self._sql, base, settled.draft)
        counting.before()
        Laying(connection, self._sql, base).lay(settled.new, settled.draft)
        counting.after()
        return settled

    def _known(self, connection: apsw.Connection, id: str) -> Commit | None:
        body = connection.execute(self._sql.commit_by_id, (id,)).get
        return None if body is None else decode_commit(body)

    def _fail(self, connection: apsw.Connection, error: BaseException) -> None:
        """Takes everything back. After anything but a full disk or a busy store the handle is dead."""
        cause = self._at.storage_error(error, "writing") if isinstance(error, apsw.Error) else None
        rolled_back = roll_back(connection)
        if (cause is not None and not isinstance(cause, Full | Busy)) or not rolled_back:
            self._dead = cause or StorageError(f"{self._path}: writing was interrupted", hint="open the store again")

    def replace(self, commits: Iterable[Commit], *, then: Callable[[Revision], Iterable[Commit]] | None = None) -> None:
        """Makes the graph hold exactly these commits, and what then comes behind them, in one transaction."""
        self._check_writable()

        def everything() -> Iterator[Commit]:  # read when nobody else can write any more
            last = 0
            for commit in commits:
                last = commit.revision
                yield commit
            yield from then(last) if then is not None else ()

        self._lane.alone(lambda: self._replace(everything()))

    def _replace(self, commits: Iterable[Commit]) -> None:
        self._check_writable()
        connection, rest = self._at.writer, iter(commits)
        with self._translated("writing"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(self._sql.clear)
                while some := list(itertools.islice(rest, _TOGETHER)):
                    tickets = [Ticket(as_batch(commit), None) for commit in some]
                    self._write(connection, tickets, stop=True).acknowledge()
                    for commit, ticket in zip(some, tickets, strict=True):
                        check_same(commit, ticket.result())
                connection.execute("COMMIT")
            except BaseException as error:
                self._fail(connection, error)
                raise

    # --- beside the graph ---

    def keep(
        self, space: str, items: Mapping[str, bytes | None], *, guard: Callable[[Reader], None] | None = None
    ) -> None:
        """Keeps these values in a space, all or none; None forgets a key. Its commit waits for no sync."""
        self._check_writable()
        wanted = checked(space, items)
        self._lane.alone(lambda: self._keep(space, wanted, guard))

    def _keep(self, space: str, items: Mapping[str, bytes | None], guard: Callable[[Reader], None] | None) -> None:
        self._check_writable()
        with self._translated("keeping aside"), transaction(side := self._at.side, "IMMEDIATE"):
            if guard is not None:
                guard(Base(side, self._sql))
            for key, value in items.items():
                if value is None:
                    side.execute(self._sql.aside_drop, (space, key))
                else:
                    side.execute(self._sql.aside_put, (space, key, value))

    def wait(self, since: Revision, timeout_s: float) -> bool:
        """Returns True as soon as there is a commit after ``since``, False when the time is over."""
        return self._bell.wait(lambda: self.revision > since, timeout_s)

    # --- care ---

    def verify(self) -> Iterator[Problem]:
        """Yields what is wrong: SQLite's own check, the log from its first commit, and the tables against the log.

        All is read in one transaction, so that writers neither wait nor confuse it.
        """
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                found = list(problems(connection, self._sql))
            finally:
                roll_back(connection)
        yield from found

    def compact(self) -> Mapping[str, Any]:
        """Merges the word index, gives free pages back and empties the WAL; the log stays whole."""
        self._check_writable()
        return self._lane.alone(self._compact)  # type: ignore[no-any-return]  # the lane runs any work

    def _compact(self) -> Mapping[str, Any]:
        self._check_writable()
        before = self._bytes()
        with self._translated("compacting"):
            self._at.writer.execute(self._sql.words_optimize)
            self._at.writer.execute("VACUUM")
            with contextlib.suppress(apsw.BusyError):  # somebody reads: the WAL is emptied another time
                self._at.writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return {"bytes_before": before, "bytes_after": self._bytes()}

    def _bytes(self) -> int:
        return self._at.beside("") + self._at.beside("-wal")

    def examine(self) -> Iterator[Diagnosis]:
        """Yields what there is to say of the file, the library and its settings."""
        from .examine import examine_place
        from .sqlite_examine import examine_settings

        yield from examine_place(self._path)
        with self._reading() as connection:
            found = list(
                examine_settings(connection, synchronous=self._at.synchronous, log_bytes=self._at.beside("-wal"))
            )
        yield from found

    def facts(self) -> Mapping[str, Any]:
        """Returns what a person asks about the place."""
        with self._reading() as connection:
            revision = connection.execute(self._sql.revision).get
            pages = connection.pragma("page_count") * connection.pragma("page_size")
            mode = connection.pragma("journal_mode")
        return {
            "kind": "sqlite",
            "path": str(self._path),
            "graph": self._graph,
            "durable": self._at.durability == "full",
            "read_only": self._at.read_only or self._dead is not None,
            "revision": revision,
            "bytes": self._bytes(),
            "page_bytes": pages,
            "sqlite_version": apsw.sqlite_lib_version(),
            "journal_mode": mode,
            "synchronous": self._at.synchronous,
            "failed": str(self._dead) if self._dead is not None else None,
        }

    # --- borders ---

    def forked(self) -> None:
        """Marks the store as one of the parent process, which this process must not use.

        Its connections are kept for ever: to close one here would touch the parent's files and locks.
        """
        self._forked, self._bell = True, Bell()
        self._at.forked()
