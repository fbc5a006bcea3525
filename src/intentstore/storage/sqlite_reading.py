"""What is asked of a graph in an SQLite file: every question of the protocol, and what each error then means.

Owns the reading of an open store: which connection answers, and that it is given back. Writes nothing and does not know
who does. How a question becomes SQL is `sqlite_query`'s to say. Full text is FTS5 over the words that all compare.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import msgspec

from ..codec import decode_commit, decode_intent
from ..ground.change import Commit, Entry
from ..ground.errors import Closed, Corrupt
from ..ground.query import Found, Hit, IntentFilter, Page, Walk, write_cursor
from ..ground.search import Query
from ..ground.types import Edge, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map
from .disk import storage_error
from .ledger import entries_of
from .sqlite_connections import Connections, transaction
from .sqlite_query import Asked, counting, counting_word, finding, selecting
from .sqlite_ready import below, next_free
from .sqlite_rows import Statements, definitions, edges_at, is_text, rows
from .sqlite_verify import subject_of


class SqliteReading:
    """Answers questions about one graph of an SQLite file, each from one consistent state."""

    def __init__(self, path: Path, connections: Connections) -> None:
        self._path, self._at = path, connections
        self._sql = Statements(0)
        self._forked = False

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

    def kept(self, space: str, keys: Sequence[str] | None = None) -> dict[str, bytes]:
        """Returns what is kept under these keys of a space, or under all of them."""
        with self._reading() as connection:
            if keys is None:
                return dict(rows(connection, self._sql.aside_all, (space,)))
            wanted = msgspec.json.encode(list(filter(is_text, keys))).decode()
            return dict(rows(connection, self._sql.aside_some, (space, wanted)))

    def graphs(self) -> list[str]:
        """Returns the names of the graphs in the same store."""
        with self._reading() as connection:
            return [name for (name,) in connection.execute(self._sql.graph_names)]

    # --- borders ---

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
