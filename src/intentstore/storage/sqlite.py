"""One SQLite file that keeps graphs, safe for many threads and processes.

Owns the connections, the transaction of a group of commits, what each row says, and which driver error means what.
How a question becomes SQL is `sqlite_query`'s to say; what a change means is `ledger`'s; the other statements stand
in ``sqlite.sql``. Full text is FTS5 over the same words that every storage compares.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import msgspec

from ..codec import decode_commit, decode_edge, decode_intent, encode_commit, encode_edge, encode_intent
from ..ground.change import NO_HEAD, Batch, Commit, Entry, Guard, Head, Link, Note, Put, Subject
from ..ground.errors import (
    Busy,
    Closed,
    Corrupt,
    Full,
    IntentStoreError,
    ReadOnly,
    StorageError,
    TooNew,
    Unavailable,
)
from ..ground.identity import uuid7
from ..ground.protocol import Capabilities, Problem
from ..ground.query import Found, Hit, IntentFilter, Page, Sort, Walk, microseconds, searchable, words, write_cursor
from ..ground.types import Edge, EdgeKey, EdgeType, Intent, IntentId, IntentStatus, Revision
from .disk import Disk, storage_error
from .group import Lane, Ticket
from .ledger import ChainCheck, Draft, Settled, entries_of
from .settling import Group, settle_group
from .sqlite_query import FUNCTIONS, Asked, counting, matching, neighbours, selecting
from .words import snippet

APPLICATION_ID = 0x696E7473
"""``ints`` in the file's header: the file is ours."""
VERSION = 1
PAGE_BYTES = 4096
"""At 2048 one commit takes 0.9 of the time, but a row with its body no longer fits: 1.45 for imports, 1.26 on disk."""
CHECKPOINT_PAGES = 2000
_MAGIC = b"SQLite format 3\0"
_PAUSE_S, _LONGEST_PAUSE_S = 0.0002, 0.005
_READ_ONLY = apsw.SQLITE_OPEN_READONLY
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE

_alive: weakref.WeakSet[SqliteStorage] = weakref.WeakSet()


def _in_child() -> None:
    for storage in list(_alive):
        storage.forked()


os.register_at_fork(after_in_child=_in_child)


@cache
def _texts() -> dict[str, str]:
    parts = Path(__file__).with_name("sqlite.sql").read_text(encoding="utf-8").split("-- name: ")[1:]
    return {name: text.strip() for name, _, text in (part.partition("\n") for part in parts)}


class _Statements:
    """The statements of ``sqlite.sql`` with one graph's key in them, each an attribute."""

    def __init__(self, graph: int) -> None:
        self.graph = graph
        self.__dict__.update({name: text.replace("{g}", str(graph)) for name, text in _texts().items()})

    def __getattr__(self, name: str) -> str:
        raise AttributeError(f"sqlite.sql has no statement {name!r}")


class _Row(msgspec.Struct):
    """What the tables hold of a subject: its row if it is there, and the end of its chain."""

    key: int | None = None
    thing: Any = None
    head: Head = NO_HEAD


_ABSENT = _Row()
_AS_INTENT: Callable[[str], Any] = decode_intent
_AS_EDGE: Callable[[str], Any] = decode_edge


def _rows(connection: apsw.Connection, text: str, values: Any = ()) -> list[Any]:
    """Returns every row; the statement, and with it its snapshot, has ended."""
    return connection.execute(text, values).fetchall()


class _Base:
    """The state that a group of batches is settled against: the tables, inside the writing transaction."""

    def __init__(self, connection: apsw.Connection, sql: _Statements) -> None:
        self._connection, self._sql = connection, sql
        self._rows: dict[Subject, _Row] = {}

    def row(self, subject: Subject) -> _Row:
        """Returns what the tables hold of the subject, asked once."""
        found = self._rows.get(subject)
        if found is None:
            found = self._rows[subject] = self._read(subject)
        return found

    def _read(self, subject: Subject) -> _Row:
        if isinstance(subject, str):
            rows, decode = _rows(self._connection, self._sql.intent_row, (subject,)), _AS_INTENT
        else:
            rows, decode = _rows(self._connection, self._sql.edge_row, subject), _AS_EDGE
        for key, body, head, hash in rows:
            return _Row(key, None if key is None else decode(body), Head(head, hash))
        return _ABSENT

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        return [self.row(id).thing for id in ids]

    def linked(self, keys: Sequence[EdgeKey]) -> list[Edge | None]:
        return [self.row(key).thing for key in keys]

    def heads(self, subjects: Sequence[Subject]) -> list[Head]:
        return [self.row(subject).head for subject in subjects]

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        return _edges_at(self._connection, self._sql.graph, ids, walk)


class _Laying:
    """Writes what a group of commits leaves behind: log, rows, labels, words, graves."""

    def __init__(self, connection: apsw.Connection, sql: _Statements, base: _Base) -> None:
        self._execute, self._sql, self._base, self._connection = connection.execute, sql, base, connection

    def lay(self, settled: list[Settled], upper: Draft) -> None:
        bodies: dict[Subject, str] = {}
        for each in settled:
            commit = each.commit
            whole = encode_commit(commit, each.bodies).decode()
            self._execute(self._sql.commit_insert, (commit.revision, commit.id, whole))
            for change, body in zip(commit.changes, each.bodies, strict=True):
                if type(change) is Put:
                    bodies[change.intent.id] = body[body.index(b'"intent":') + 9 : -1].decode()
                elif type(change) is Link:
                    bodies[change.edge.key] = body[body.index(b'"edge":') + 7 : -1].decode()
        for subject, head in upper.ends.items():
            if isinstance(subject, str):
                self._lay_intent(subject, head, upper, bodies)
            else:
                self._lay_edge(subject, head, upper.edges[subject], bodies)

    def _lay_intent(self, id: IntentId, head: Head, upper: Draft, bodies: dict[Subject, str]) -> None:
        row = self._base.row(id)
        if id not in upper.intents:  # only notes were taken
            self._execute(self._sql.intent_head, (row.key, head.revision, head.hash))
            return
        intent = upper.intents[id]
        if intent is None:
            self._drop_intent(id, row, head)
            return
        columns = _columns(intent, head, bodies[id])
        if row.key is None:
            self._execute(self._sql.intent_insert, columns)
            key = self._connection.last_insert_rowid()
            self._execute(self._sql.words_add, (key, _words_of(intent)))
            if row.head.revision:
                self._execute(self._sql.grave_drop, (id, "", ""))
        else:
            key = row.key
            self._execute(self._sql.intent_update, columns)
            text = _words_of(intent)
            if text != _words_of(row.thing):
                self._execute(self._sql.words_change, (key, text))
        self._label(key, row.thing.labels if row.thing is not None else (), intent.labels)

    def _label(self, key: int, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        if old != new:
            for label in set(old) - set(new):
                self._execute(self._sql.label_drop, (label, key))
            for label in sorted(set(new) - set(old)):
                self._execute(self._sql.label_add, (label, key))

    def _drop_intent(self, id: IntentId, row: _Row, head: Head) -> None:
        if row.key is not None:
            self._label(row.key, row.thing.labels, ())
            self._execute(self._sql.words_drop, (row.key,))
            self._execute(self._sql.intent_delete, (row.key,))
        self._execute(self._sql.grave_put, (id, "", "", head.revision, head.hash))

    def _lay_edge(self, key: EdgeKey, head: Head, edge: Edge | None, bodies: dict[Subject, str]) -> None:
        row = self._base.row(key)
        ends = tuple(map(str, key))
        if edge is not None:
            self._execute(self._sql.edge_put, (*ends, head.revision, head.hash, bodies[key]))
            if row.key is None and row.head.revision:
                self._execute(self._sql.grave_drop, ends)
            return
        if row.key is not None:
            self._execute(self._sql.edge_delete, (row.key,))
        self._execute(self._sql.grave_put, (*ends, head.revision, head.hash))


def _columns(intent: Intent, head: Head, body: str) -> tuple[Any, ...]:
    """Returns what an intent's row holds, in the order of `intent_insert`."""
    return (
        intent.id,
        intent.status.value,
        intent.priority,
        microseconds(intent.created_at),
        microseconds(intent.updated_at),
        head.revision,
        head.hash,
        intent.session_id,
        intent.triggered_by,
        None if intent.claim is None else intent.claim.owner,
        intent.name,
        intent.goal,
        body,
    )


def _words_of(intent: Intent) -> str:
    return " ".join(words(searchable(intent)))


def _edges_at(connection: apsw.Connection, graph: int, ids: Iterable[IntentId], walk: Walk) -> list[Edge]:
    asked = Asked(graph)
    text = neighbours(ids, walk, asked)
    return [decode_edge(body) for _, _, _, body in connection.execute(text, asked.values)]


class SqliteStorage:
    """Keeps one graph of an SQLite file. What it acknowledged is on stable storage (``durability="full"``).

    The sort ``relevance`` puts what fits least first, ``-relevance`` what fits best.
    """

    capabilities = Capabilities(persistent=True, multi_process=True, searches_text=True, compacts=True)

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
        self._path, self._graph = Path(path), graph
        self._read_only, self._create = read_only, create and not read_only
        self._durability, self._timeout_s, self._new_id = durability, timeout_s, new_id
        self._lane: Lane[Any] = Lane(self._run)
        self._idle: list[apsw.Connection] = []
        self._all: list[apsw.Connection] = []
        self._writer: apsw.Connection | None = None
        self._sql = _Statements(0)
        self._opened = self._forked = False
        self._dead: IntentStoreError | None = None
        self._door = threading.Lock()

    # --- opening and closing ---

    def open(self) -> None:
        """Makes the store ready; SQLite recovers what a crash left. Refuses, untouched, what is not ours."""
        if self._opened:
            return
        self._dead, self._forked = None, False
        with self._translated("opening"):
            try:
                fresh = self._enter()
                if self._read_only:
                    self._check_ours(reader := self._reader())
                else:
                    self._writer = self._connect(_READ_WRITE)
                    self._prepare(self._writer, fresh=fresh)
                    reader = self._writer
                self._sql = _Statements(self._graph_key(reader))
                if self._read_only:
                    self._idle.append(reader)
            except BaseException:
                self._release()
                raise
        self._opened = True
        _alive.add(self)

    def _enter(self) -> bool:
        """Checks the path before SQLite sees it, or makes an empty file; returns whether it made or found one empty."""
        disk = Disk()
        if not disk.is_there(self._path):
            if not self._create:
                raise Unavailable(f"no SQLite store at {self._path}", hint=f"make one: intent init sqlite:{self._path}")
            disk.make_directory(self._path.parent)
            disk.close(disk.open_append(self._path, create=True))
            disk.sync_directory(self._path.parent)
        facts = self._path.lstat()
        if not stat.S_ISREG(facts.st_mode):
            kind = "a symbolic link" if stat.S_ISLNK(facts.st_mode) else "not a file"
            raise Unavailable(f"{self._path} is {kind}", hint="name the SQLite file itself", path=str(self._path))
        fd = disk.open_read(self._path)
        try:
            header = disk.read(fd, 0, 100)
        finally:
            disk.close(fd)
        if not any(self._beside(end) for end in ("-wal", "-journal")):  # with one, only SQLite knows the header
            self._check_header(header)
        return not header

    def _beside(self, end: str) -> int:
        """Returns the size of a file of SQLite's beside ours; 0 if it is not there."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(f"{self._path}{end}").st_size
        return 0

    def _check_header(self, header: bytes) -> None:
        if not header and self._create:
            return
        if header[:16] != _MAGIC or len(header) < 100:
            raise Corrupt(str(self._path), "is not an SQLite file", hint="name another path, or restore a backup")
        numbers = [int.from_bytes(header[at : at + 4], "big") for at in (68, 60)]
        self._check_marks(*numbers)

    def _check_marks(self, application: int, version: int) -> None:
        if application != APPLICATION_ID:
            raise Corrupt(
                str(self._path), "is an SQLite file of another program", hint="name another path; it was not touched"
            )
        if version > VERSION:
            raise TooNew(
                f"{self._path} has format {version}, this intentstore knows {VERSION}", hint="upgrade intentstore"
            )

    def _check_ours(self, connection: apsw.Connection) -> None:
        self._check_marks(connection.pragma("application_id"), connection.pragma("user_version"))

    def _connect(self, flags: int) -> apsw.Connection:
        connection = apsw.Connection(str(self._path.absolute()), flags=flags, statementcachesize=200)
        self._all.append(connection)
        deadline = 0.0

        def wait(tries: int) -> bool:
            nonlocal deadline
            now = time.monotonic()
            if tries == 0:
                deadline = now + self._timeout_s
            time.sleep(min(_PAUSE_S * 1.5 ** min(tries, 20), _LONGEST_PAUSE_S))
            return now < deadline

        connection.set_busy_handler(wait)
        for name, (arguments, function) in FUNCTIONS.items():
            connection.create_scalar_function(name, function, arguments, deterministic=True)
        return connection

    def _set(self, connection: apsw.Connection, name: str, value: int | str, *, wanted: int | str) -> None:
        """Sets a PRAGMA and reads it back: one that did not take would lose commits without a word."""
        connection.pragma(name, value)
        found = connection.pragma(name)
        if found != wanted:
            raise Unavailable(f"{self._path}: PRAGMA {name} is {found!r}, not {wanted!r}", hint="use a local disk")

    def _prepare(self, connection: apsw.Connection, *, fresh: bool) -> None:
        """Makes the tables if the file is empty, in one transaction of the rollback journal; then turns the WAL on."""
        self._set(connection, "synchronous", 3 if fresh else 2, wanted=3 if fresh else 2)
        if fresh:
            connection.pragma("page_size", PAGE_BYTES)
            with _transaction(connection, "EXCLUSIVE"):
                if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
                    connection.execute(_texts()["schema"])
                    connection.pragma("application_id", APPLICATION_ID)
                    connection.pragma("user_version", VERSION)
        self._check_ours(connection)
        self._turn_on_wal(connection)
        connection.wal_autocheckpoint(CHECKPOINT_PAGES)
        level = 2 if self._durability == "full" else 1
        self._set(connection, "synchronous", level, wanted=level)
        with _transaction(connection, "IMMEDIATE"):
            connection.execute(_texts()["graph_add"], (self._graph,))
            if connection.changes():
                connection.execute(_Statements(self._graph_key(connection)).graph_words)

    def _turn_on_wal(self, connection: apsw.Connection) -> None:
        # Two that open a new file at once stand in each other's way here, and SQLite does not wait.
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._set(connection, "journal_mode", "wal", wanted="wal")
                return
            except apsw.BusyError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_LONGEST_PAUSE_S)

    def _graph_key(self, connection: apsw.Connection) -> int:
        key = connection.execute(_texts()["graph_key"], (self._graph,)).get
        if key is None:
            raise Unavailable(
                f"no graph {self._graph!r} in {self._path}",
                hint="open it for writing once, or see intent stats",
                graph=self._graph,
            )
        return int(key)

    def close(self) -> None:
        """Moves what the WAL holds into the file, as far as others let it, and closes the connections."""
        if self._opened:
            self._lane.alone(self._close)

    def _close(self) -> None:
        self._opened = False
        try:
            if self._writer is not None and self._dead is None and not self._forked:
                with contextlib.suppress(apsw.BusyError), self._translated("closing"):
                    self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        finally:
            self._release()

    def _release(self) -> None:
        self._opened = False
        _alive.discard(self)
        with self._door:
            everyone, self._all, self._idle, self._writer = self._all, [], [], None
        if self._forked:
            return
        for connection in everyone:
            with contextlib.suppress(apsw.Error):
                if self._dead is not None:  # what a failed write left in the WAL must not reach the file
                    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                connection.close()

    # --- connections for reading ---

    def _reader(self) -> apsw.Connection:
        """Returns a connection that no other thread uses now; `_idle.append` gives it back."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        connection = self._connect(_READ_ONLY if self._read_only else _READ_WRITE)
        self._set(connection, "query_only", 1, wanted=1)
        return connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        self._check_open()
        with self._translated("reading"):
            connection = self._reader()
            try:
                yield connection
            finally:
                self._give_back(connection)

    def _give_back(self, connection: apsw.Connection) -> None:
        if self._opened:
            self._idle.append(connection)
        else:
            with contextlib.suppress(apsw.Error):
                connection.close()

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
        if self._read_only:
            raise ReadOnly(f"{self._path} was opened read-only", hint="open it without read_only")
        if self._dead is not None:
            raise ReadOnly(
                f"{self._path} refuses writes since one failed: {self._dead}",
                hint="close the store and open it again, which reads the disk anew",
            ) from self._dead

    def _run(self, group: list[Ticket], *, stop: bool = False) -> None:
        """Writes a group of batches in one transaction: settle each, lay all, commit once."""
        self._check_writable()
        connection = self._writer
        assert connection is not None
        with self._translated("writing"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                settled = self._write(connection, group, stop=stop)
                connection.execute("COMMIT")
            except BaseException as error:
                self._fail(connection, error)
                raise
        settled.acknowledge()

    def _write(self, connection: apsw.Connection, group: list[Ticket], *, stop: bool) -> Group:
        base = _Base(connection, self._sql)
        settled = settle_group(
            group,
            base,
            last=connection.execute(self._sql.revision).get,
            known=partial(self._known, connection),
            new_id=self._new_id,
            stop=stop,
            fatal=apsw.Error,
        )
        _Laying(connection, self._sql, base).lay(settled.new, settled.draft)
        return settled

    def _known(self, connection: apsw.Connection, id: str) -> Commit | None:
        body = connection.execute(self._sql.commit_by_id, (id,)).get
        return None if body is None else decode_commit(body)

    def _fail(self, connection: apsw.Connection, error: BaseException) -> None:
        """Takes everything back. After anything but a full disk or a busy store the handle is dead."""
        cause = self._storage_error(error, "writing") if isinstance(error, apsw.Error) else None
        rolled_back = _roll_back(connection)
        if (cause is not None and not isinstance(cause, Full | Busy)) or not rolled_back:
            self._dead = cause or StorageError(f"{self._path}: writing was interrupted", hint="open the store again")

    # --- reading ---

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        if len(ids) != 1 or not self._opened or self._forked:
            return self._fetch_many(ids)
        # One id, the commonest question: without the context managers, which cost as much as the question.
        try:
            connection = self._idle.pop() if self._idle else self._reader()
            try:
                body = connection.execute(self._sql.fetch, (ids[0],)).get
            finally:
                self._give_back(connection)
        except (apsw.Error, IndexError, UnicodeEncodeError):
            return self._fetch_many(ids)
        return [None if body is None else decode_intent(body)]

    def _fetch_many(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        with self._reading() as connection:
            wanted = msgspec.json.encode([id for id in set(ids) if _is_text(id)]).decode()
            rows = connection.execute(self._sql.fetch_many, (wanted,))
            found = {id: decode_intent(body) for id, body in rows}
        return [found.get(id) for id in ids]

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        """Returns the edges at any of the ids that the walk takes."""
        with self._reading() as connection:
            return _edges_at(connection, self._sql.graph, filter(_is_text, ids), walk)

    def select(self, where: IntentFilter, page: Page) -> Found:
        """Returns one page of the intents the filter means."""
        with self._reading() as connection:
            asked = Asked(self._sql.graph)
            rows = _rows(connection, selecting(where, page, asked), asked.values)
            intents = tuple(decode_intent(body) for body, _, _ in rows[: page.limit])
        if len(rows) <= page.limit:
            return Found(intents)
        _, key, id = rows[page.limit - 1]
        return Found(intents, write_cursor(page.sort, key, id))

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status."""
        with self._reading() as connection:
            asked = Asked(self._sql.graph)
            found = dict(_rows(connection, counting(where, asked), asked.values))
        return {status: found[status] for status in IntentStatus if status in found}

    def search(self, text: str, limit: int) -> list[Hit]:
        """Returns the intents that hold every word, best first; none if the text has no word."""
        self._check_open()
        if matching(text) is None:
            return []
        with self._reading() as connection:
            asked = Asked(self._sql.graph)
            page = Page(sort=_BEST, limit=limit)
            rows = _rows(connection, selecting(IntentFilter(text=text), page, asked), asked.values)
        wanted = words(text)
        return [
            Hit(intent=(intent := decode_intent(body)), score=score, snippet=snippet(searchable(intent), wanted))
            for body, score, _ in rows[:limit]
        ]

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order, as far as the log reached when asked."""
        return self._commits(since, self.revision)

    def _commits(self, since: Revision, until: Revision) -> Iterator[Commit]:
        while since < until:
            with self._reading() as connection:  # no transaction stays open while the caller works
                rows = _rows(connection, self._sql.commits_after, (since, until))
            if not rows:
                return
            for _, _, body in rows:
                yield decode_commit(body)
            since = rows[-1][0]

    def trail(self, id: IntentId) -> list[Entry]:
        """Returns every change of the intent and of the edges at it, oldest first, by following the chains back."""
        found: dict[Revision, list[Entry]] = {}
        with self._reading() as connection:
            rows = _rows(connection, self._sql.subjects_at, (id,)) if _is_text(id) else []
            subjects = {_subject(*row[:3]) for row in rows}
            todo = {row[3] for row in rows}
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
            body = connection.execute(self._sql.commit_by_id, (id,)).get if _is_text(id) else None
        return None if body is None else decode_commit(body)

    @property
    def revision(self) -> Revision:
        """The sequence number of the last commit."""
        with self._reading() as connection:
            return int(connection.execute(self._sql.revision).get)

    # --- care ---

    def verify(self) -> Iterator[Problem]:
        """Yields what is wrong: SQLite's own check, the log from its first commit, and the tables against the log.

        All is read in one transaction, so that writers neither wait nor confuse it.
        """
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                found = list(_problems(connection, self._sql))
            finally:
                _roll_back(connection)
        yield from found

    def compact(self) -> Mapping[str, Any]:
        """Merges the word index, gives free pages back and empties the WAL; the log stays whole."""
        self._check_writable()
        return self._lane.alone(self._compact)  # type: ignore[no-any-return]  # the lane runs any work

    def _compact(self) -> Mapping[str, Any]:
        self._check_writable()
        assert self._writer is not None
        before = self._bytes()
        with self._translated("compacting"):
            self._writer.execute(self._sql.words_optimize)
            self._writer.execute("VACUUM")
            with contextlib.suppress(apsw.BusyError):  # somebody reads: the WAL is emptied another time
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return {"bytes_before": before, "bytes_after": self._bytes()}

    def _bytes(self) -> int:
        return self._beside("") + self._beside("-wal")

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same store."""
        with self._reading() as connection:
            return [name for (name,) in connection.execute(self._sql.graph_names)]

    def facts(self) -> Mapping[str, Any]:
        """Returns what a person asks about the place."""
        with self._reading() as connection:
            revision = connection.execute(self._sql.revision).get
            pages = connection.pragma("page_count") * connection.pragma("page_size")
            mode, level = connection.pragma("journal_mode"), (self._writer or connection).pragma("synchronous")
        return {
            "kind": "sqlite",
            "path": str(self._path),
            "graph": self._graph,
            "durable": self._durability == "full",
            "read_only": self._read_only or self._dead is not None,
            "revision": revision,
            "bytes": self._bytes(),
            "page_bytes": pages,
            "sqlite_version": apsw.sqlite_lib_version(),
            "journal_mode": mode,
            "synchronous": {0: "off", 1: "normal", 2: "full", 3: "extra"}.get(level),
            "failed": str(self._dead) if self._dead is not None else None,
        }

    # --- borders ---

    def forked(self) -> None:
        """Marks the store as one of the parent process, which this process must not use.

        Its connections are kept for ever: to close one here would touch the parent's files and locks.
        """
        import ctypes

        self._forked = True
        for connection in self._all:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))

    def _check_open(self) -> None:
        if self._forked:
            raise Closed(
                f"{self._path} was opened before this process was forked", hint="open the store again in this process"
            )
        if not self._opened:
            raise Closed(f"{self._path} is closed", hint="open it again")

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            raise self._storage_error(error, doing) from error
        except OSError as error:
            raise storage_error(error, self._path, doing) from error

    def _storage_error(self, error: apsw.Error, doing: str) -> IntentStoreError:
        """Returns what a driver's error means here: the one place where SQLite's errors become ours."""
        what = f"{self._path}: {doing} failed: {error}"
        path = str(self._path)
        match error:
            case apsw.CorruptError() | apsw.NotADBError() | apsw.FormatError():
                return Corrupt(path, f"{doing} failed: {error}")
            case apsw.FullError():
                return Full(what, hint="free some space; nothing of this write was kept", path=path)
            case apsw.BusyError() | apsw.LockedError():
                return Busy(what, hint="try again, or see which process holds it open", timeout_s=self._timeout_s)
            case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
                return ReadOnly(what, hint="make it writable, or open it with read_only=True", path=path)
            case apsw.CantOpenError() | apsw.IOError():
                hint = "see that the file and its directory are there and the disk works, then open it again"
                # A commit whose sync failed may yet be found by the recovery after a crash.
                outcome = {"outcome": "unknown"} if doing == "writing" else {}
                return Unavailable(what, hint=hint, path=path, **outcome)
            case apsw.ConnectionClosedError() if not self._opened:
                return Closed(f"{self._path} was closed meanwhile", hint="open it again")
        return StorageError(what, hint="open the store again; if it stays so, run intent verify", path=path)


_BEST = Sort("relevance", descending=True)


def _is_text(id: object) -> bool:
    """True for what may be bound: an id with a lone surrogate is no text, so it is never there."""
    try:
        return isinstance(id, str) and id.encode() is not None
    except UnicodeEncodeError:
        return False


@contextlib.contextmanager
def _transaction(connection: apsw.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: apsw.Connection) -> bool:
    """Ends the transaction without a trace; False if even that failed."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except apsw.Error:
        return False
    return True


def _subject(source: str, type: str, target: str) -> Subject:
    return (source, EdgeType(type), target) if type else source


# --- Verification ----------------------------------------------------------------------------------


def _problems(connection: apsw.Connection, sql: _Statements) -> Iterator[Problem]:
    """Yields everything that is wrong with one graph; what cannot be read is a problem too."""
    try:
        for (said,) in connection.execute("PRAGMA integrity_check"):
            if said != "ok":
                yield Problem("sqlite", said)
        check = ChainCheck()
        standing: dict[Subject, bytes] = {}
        yield from _log_problems(connection, sql, check, standing)
        yield from _intent_problems(connection, sql, check, standing)
        yield from _edge_problems(connection, sql, check, standing)
        for subject in standing:
            yield Problem(_name(subject), "is in the log but not in the tables")
        yield from _grave_problems(connection, sql, check)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        yield Problem("sqlite", str(error))
    except Corrupt as error:
        yield Problem(str(error.where), str(error.what))


def _name(subject: Subject) -> str:
    return f"intent {subject}" if isinstance(subject, str) else f"edge {' '.join(subject)}"


def _digest(body: bytes) -> bytes:
    return sha256(body).digest()  # a digest for each subject, not its body: 32 bytes instead of a kilobyte


def _log_problems(
    connection: apsw.Connection, sql: _Statements, check: ChainCheck, standing: dict[Subject, bytes]
) -> Iterator[Problem]:
    since, until = 0, 2**63 - 1
    while rows := _rows(connection, sql.commits_after, (since, until)):
        for revision, id, body in rows:
            commit = decode_commit(body)
            if (commit.revision, commit.id) != (revision, id):
                yield Problem(f"commit {revision}", f"is kept as {id!r}, but says {commit.revision} {commit.id!r}")
            yield from check.follow(commit)
            for change in commit.changes:
                if type(change) is Put:
                    standing[change.intent.id] = _digest(encode_intent(change.intent))
                elif type(change) is Link:
                    standing[change.edge.key] = _digest(encode_edge(change.edge))
                elif type(change) is not Note:
                    standing.pop(change.subject, None)
        since = rows[-1][0]


def _compare(
    subject: Subject, body: str, head: Head, check: ChainCheck, standing: dict[Subject, bytes]
) -> Iterator[Problem]:
    expected = standing.pop(subject, None)
    if expected is None:
        yield Problem(_name(subject), "is in the tables but not in the log")
    elif expected != _digest(body.encode()):
        yield Problem(_name(subject), "differs from what the log says")
    if check.ends.get(subject, NO_HEAD) != head:
        yield Problem(_name(subject), "its chain ends elsewhere than the log says")


def _intent_problems(
    connection: apsw.Connection, sql: _Statements, check: ChainCheck, standing: dict[Subject, bytes]
) -> Iterator[Problem]:
    labels, rows = 0, 0
    for row in connection.execute(sql.all_intents):
        columns, key = row[:-1], row[-1]
        id, head, body = columns[0], Head(*columns[5:7]), columns[-1]
        rows += 1
        yield from _compare(id, body, head, check, standing)
        intent = decode_intent(body)
        if _columns(intent, head, body) != columns:
            yield Problem(_name(id), "its columns differ from its body")
        labels += len(intent.labels)
        if intent.labels and {label for (label,) in connection.execute(sql.labels_of, (key,))} != set(intent.labels):
            yield Problem(_name(id), "its labels differ from its body")
    if len(connection.execute(sql.all_labels).fetchall()) != labels:
        yield Problem("labels", "there are some that belong to no intent")
    indexed = connection.execute(sql.words_count).get
    if indexed != rows:
        yield Problem("words", f"{indexed} intents are in the word index, {rows} in the table")


def _edge_problems(
    connection: apsw.Connection, sql: _Statements, check: ChainCheck, standing: dict[Subject, bytes]
) -> Iterator[Problem]:
    for source, type, target, head, hash, body, *there in connection.execute(sql.all_edges):
        key = (source, EdgeType(type), target)
        yield from _compare(key, body, Head(head, hash), check, standing)
        if decode_edge(body).key != key:
            yield Problem(_name(key), "its columns differ from its body")
        for end, is_there in zip((source, target), there, strict=True):
            if not is_there:
                yield Problem(_name(key), f"has no intent {end}")


def _grave_problems(connection: apsw.Connection, sql: _Statements, check: ChainCheck) -> Iterator[Problem]:
    for source, type, target, head, hash in connection.execute(sql.all_graves):
        subject = _subject(source, type, target)
        if check.ends.get(subject, NO_HEAD) != Head(head, hash):
            yield Problem(_name(subject), "its chain ends elsewhere than the log says")
