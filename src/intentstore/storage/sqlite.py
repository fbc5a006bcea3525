"""One SQLite file that keeps graphs, safe for many threads and processes.

Owns the life of a store and the transaction of a group of commits. How a connection is set up and which driver error
means what is `sqlite_connections`' to say, what a row says `sqlite_rows`', how a question becomes SQL `sqlite_query`'s;
what a change means is `ledger`'s. Full text is FTS5 over the same words that every storage compares.
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
import msgspec

from ..codec import decode_commit, decode_intent
from ..ground.change import Batch, Commit, Entry, Guard
from ..ground.errors import Busy, Closed, Corrupt, Full, IntentStoreError, ReadOnly, StorageError, Unavailable
from ..ground.identity import uuid7
from ..ground.protocol import Capabilities, Diagnosis, Problem, Reader
from ..ground.query import Found, Hit, IntentFilter, Page, Walk, write_cursor
from ..ground.search import Query
from ..ground.types import Edge, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map
from .aside import checked
from .bell import Bell
from .disk import storage_error
from .group import Lane, Ticket
from .ledger import as_batch, check_same, entries_of
from .settling import Group, settle_group
from .sqlite_connections import Connections, roll_back, transaction
from .sqlite_query import Asked, counting, counting_word, finding, selecting
from .sqlite_ready import Counting, below, next_free
from .sqlite_rows import Base, Laying, Statements, definitions, edges_at, is_text, rows, texts
from .sqlite_verify import problems, subject_of

_TOGETHER = 500
_alive: weakref.WeakSet[SqliteStorage] = weakref.WeakSet()


def _in_child() -> None:
    for storage in list(_alive):
        storage.forked()


os.register_at_fork(after_in_child=_in_child)


class SqliteStorage:
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
        self._path, self._graph, self._new_id = Path(path), graph, new_id
        self._at = Connections(
            self._path, read_only=read_only, create=create, durability=durability, timeout_s=timeout_s
        )
        self._lane: Lane[Any] = Lane(self._run)
        self._sql = Statements(0)
        self._bell = Bell()
        self._forked = False
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

    # --- reading ---

    @contextlib.contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        self._check_open()
        with self._translated("reading"):
            connection = self._at.reader()
            try:
                yield connection
            finally:
                self._at.give_back(connection)

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        if len(ids) != 1 or not self._at.opened or self._forked:
            return self._fetch_many(ids)
        # One id, the commonest question: without the context managers, which cost as much as the question.
        try:
            connection = self._at.reader()
            try:
                body = connection.execute(self._sql.fetch, (ids[0],)).get
            finally:
                self._at.give_back(connection)
        except (apsw.Error, IndexError, UnicodeError):
            return self._fetch_many(ids)
        return [None if body is None else decode_intent(body)]

    def _fetch_many(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        with self._reading() as connection:
            wanted = msgspec.json.encode([id for id in set(ids) if is_text(id)]).decode()
            found = {id: decode_intent(body) for id, body in connection.execute(self._sql.fetch_many, (wanted,))}
        return [found.get(id) for id in ids]

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at any of the ids that the walk takes."""
        with self._reading() as connection:
            return edges_at(connection, self._sql, filter(is_text, ids), walk)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix."""
        with self._reading() as connection:
            return definitions(connection, self._sql, prefix)

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents the filter means."""
        with self._reading() as connection:
            asked = Asked(self._sql.graph)
            found = rows(connection, selecting(where, page, asked), asked.values)
            intents = tuple([decode_intent(body) for body, _, _ in found[: page.limit]])
        if len(found) <= page.limit:
            return Found(intents)
        _, key, id = found[page.limit - 1]
        return Found(intents, write_cursor(page.sort, key, id))

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status."""
        with self._reading() as connection:
            asked = Asked(self._sql.graph)
            found = dict(rows(connection, counting(where, asked), asked.values))
        return {status: found[status] for status in IntentStatus if status in found}

    def next_free(self, after: Intent | None, *, limit: int, leaves_only: bool) -> list[Intent]:
        """Returns the next active intents that wait for nothing by themselves, most urgent first."""
        with self._reading() as connection:
            return next_free(connection, self._sql, after, limit=limit, leaves_only=leaves_only)

    def below(self, id: IntentId, depth: int | None = None) -> list[Intent]:
        """Returns everything below an intent, nearest first."""
        with self._reading() as connection, transaction(connection, "DEFERRED"):
            return below(connection, self._sql, id, depth)

    def search(self, query: Query, limit: int) -> list[Hit]:
        """Returns the intents that the query means, best first; none if it looks for nothing."""
        self._check_open()
        if not query.terms:
            return []
        with self._reading() as connection:
            asked = Asked(self._sql.graph)
            found = rows(connection, finding(query, limit, asked), asked.values)
        return [Hit(intent=decode_intent(body), score=score) for body, score, _ in found[:limit]]

    def frequencies(self, words: Sequence[str], most: int) -> dict[str, int]:
        """Returns in how many intents each of the words stands, counted no further than ``most``."""
        with self._reading() as connection:
            counts = ((word, counting_word(self._sql.graph, word, most)) for word in words)
            return {word: connection.execute(text, values).get for word, (text, values) in counts}

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order, as far as the log reached when asked."""
        return self._commits(since, self.revision)

    def _commits(self, since: Revision, until: Revision) -> Iterator[Commit]:
        while since < until:
            with self._reading() as connection:  # no transaction stays open while the caller works
                some = rows(connection, self._sql.commits_after, (since, until))
            if not some:
                return
            for _, _, body in some:
                yield decode_commit(body)
            if some[-1][0] <= since:
                raise Corrupt(str(self._path), f"the log goes back from revision {since} to {some[-1][0]}")
            since = some[-1][0]

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, oldest first, by following the chains back."""
        found: dict[Revision, list[Entry]] = {}
        with self._reading() as connection:
            ends = rows(connection, self._sql.subjects_at, (id,)) if is_text(id) else []
            subjects = {subject_of(*row[:3]) for row in ends}
            todo = {row[3] for row in ends}
            while todo:
                revision = todo.pop()
                body = connection.execute(self._sql.commit_by_revision, (revision,)).get
                if body is None:
                    raise Corrupt(str(self._path), f"commit {revision} is not in the log")
                found[revision] = list(entries_of(decode_commit(body), subjects))
                todo |= {entry.change.before for entry in found[revision]} - {0} - found.keys()
        return [entry for revision in sorted(found) for entry in found[revision]]

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None."""
        with self._reading() as connection:
            body = connection.execute(self._sql.commit_by_id, (id,)).get if is_text(id) else None
        return None if body is None else decode_commit(body)

    @property
    def revision(self) -> Revision:
        """The sequence number of the last commit."""
        with self._reading() as connection:
            return int(connection.execute(self._sql.revision).get)

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

    def kept(self, space: str, keys: Sequence[str] | None = None) -> dict[str, bytes]:
        """Returns what is kept under these keys of a space, or under all of them."""
        with self._reading() as connection:
            if keys is None:
                return dict(rows(connection, self._sql.aside_all, (space,)))
            wanted = msgspec.json.encode(list(filter(is_text, keys))).decode()
            return dict(rows(connection, self._sql.aside_some, (space, wanted)))

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

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same store."""
        with self._reading() as connection:
            return [name for (name,) in connection.execute(self._sql.graph_names)]

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

    def _check_open(self) -> None:
        if self._forked:
            raise Closed(
                f"{self._path} was opened before this process was forked", hint="open the store again in this process"
            )
        if not self._at.opened:
            raise Closed(f"{self._path} is closed", hint="open it again")

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            raise self._at.storage_error(error, doing) from error
        except OSError as error:
            raise storage_error(error, self._path, doing) from error
        except UnicodeDecodeError as error:
            raise Corrupt(str(self._path), f"{doing} found what is no text: {error}") from error
