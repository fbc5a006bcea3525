"""The log in its order, though writers commit out of it: how far it may be read, and who is woken when it grows.

A commit's revision follows its transaction's id, which is taken early; so one with a smaller revision may appear after
one with a larger. Nothing is given out that another could still come before:

* Every transaction with an id below the snapshot's ``xmin`` has ended, so below its revision the log is complete.
* Where something is held back by that, ``pg_locks`` tells which transactions write to *this* graph: each takes the
  graph's lock before its id. One that writes elsewhere, however long, holds nothing back. (A standby cannot see those
  locks; there, any long transaction holds the log back until it ends.)
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from ...codec import decode_commit
from ...ground.change import Commit
from ...ground.types import Revision
from .bell import Bell
from .connections import Connection, Lender
from .exchange import text
from .reading import Reader
from .statements import STRIDE, Statements

_TRIES = 3
_ASK_AGAIN_S = 1.0
"""While listening: a notification may be lost with its sender, and is then found so much later."""
_POLL_S = 0.005
"""Without notifications (a standby, a pooler that shares connections): how often to look."""
_EPOCH = 1 << 32


class Feed:
    """The commits of one graph in order, and the waiting for more."""

    def __init__(self, lender: Lender, sql: Statements, reader: Reader, *, writable: bool) -> None:
        self._lender, self._sql, self._reader = lender, sql, reader
        self._bell = Bell(lender, sql) if writable and lender.place.pooler == "session" else None

    def close(self) -> None:
        """Ends all waiting."""
        if self._bell is not None:
            self._bell.close()

    def entries(self, since: Revision) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order, as far as the log was complete when asked."""
        return self._commits(since, self._reader.ask(self.complete_to))

    def _commits(self, since: Revision, until: Revision) -> Iterator[Commit]:
        while since < until:
            rows = self._reader.cells(self._sql.commits_after, since, until)
            for _, body in rows:
                yield decode_commit(text(body))
            since = int(text(rows[-1][0]))

    def complete_to(self, connection: Connection) -> Revision:
        """Returns the revision of the last commit before which no other can still come, as of now."""
        complete, last = self._complete(connection)
        return last if last <= complete else int(text(connection.one(self._sql.last_within, complete)[0][0]))

    def _complete(self, connection: Connection) -> tuple[Revision, Revision]:
        """Returns up to where the log has no more gaps to be filled, and the last revision there is."""
        for _ in range(_TRIES):
            base, cluster, xmin, xmax, last = map(text, connection.one(self._sql.horizon)[0])
            if cluster != connection.about.cluster:
                return int(last), int(last)  # restored from elsewhere, and not written to since
            complete = _before(base, int(xmin))
            if int(last) <= complete or connection.about.in_recovery:
                break
            # What this question does not see ended before `xmax` was asked; what it sees is still to come.
            writing = [row[0] for row in connection.one(self._sql.writing_now)]
            if None not in writing:
                oldest = min([_whole(int(text(short)), int(xmax)) for short in writing], default=int(xmax))
                complete = _before(base, min(oldest, int(xmax)))
                break
        return complete, int(last)

    def arrived(self, revision: Revision) -> bool:
        """True when a read here sees the commit of this revision, and so what its writer saw."""

        def look(connection: Connection) -> bool:
            there = connection.one(self._sql.arrived, revision)[0][0] == b"t"
            return there or self._complete(connection)[0] >= revision

        return self._reader.ask(look)

    def wait(self, since: Revision, timeout_s: float) -> bool:
        """Returns True as soon as `entries` after ``since`` has something to give, False when the time is over."""
        end = time.monotonic() + timeout_s
        pause = _POLL_S
        while True:
            rung = self._bell.rung() if self._bell is not None else 0
            if self._reader.ask(lambda connection: self.complete_to(connection) > since):
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            if self._bell is not None:
                self._bell.wait(rung, min(left, _ASK_AGAIN_S))
            else:
                time.sleep(min(left, pause))
                pause = min(pause * 1.2, 10 * _POLL_S)


def _before(base: str, transaction: int) -> Revision:
    """Returns the last revision below those of a transaction."""
    return int(base) + STRIDE * transaction - 1


def _whole(short: int, xmax: int) -> int:
    """Returns the whole transaction id of which these are the last 32 bits, for one that is below ``xmax``."""
    whole = xmax - xmax % _EPOCH + short
    return whole if whole < xmax + _EPOCH // 2 else whole - _EPOCH
