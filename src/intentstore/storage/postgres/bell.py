"""Notifications of one graph: a connection of its own that listens, and threads that wait for it to be rung.

Owns one thread, begun by the first who waits and ended when nobody has waited for a while. Knows nothing of what is
in the log: who is woken looks for himself.
"""

from __future__ import annotations

import threading
import time

import psycopg

from .connections import Lender
from .statements import Statements

_SLICE_S = 0.2
_RENEW_S = 20.0
"""How often to say that somebody waits; the server believes it for three times as long."""
_IDLE_S = 30.0
"""Without anybody waiting for so long, the connection is given up."""
_PAUSE_S = 0.5


class Bell:
    """Wakes waiting threads when a writer of the graph says that it has committed."""

    def __init__(self, lender: Lender, sql: Statements) -> None:
        self._lender, self._sql = lender, sql
        self._changed = threading.Condition()
        self._rung = 0
        self._waiting = 0
        self._asked_at = 0.0
        self._thread: threading.Thread | None = None
        self._closed = False

    def rung(self) -> int:
        """Returns how often it was rung, for `wait`; begins to listen if need be, so that what comes now is heard."""
        with self._changed:
            self._asked_at = time.monotonic()
            if self._thread is None and not self._closed:
                before = self._rung
                self._thread = threading.Thread(target=self._listen, name="intentstore-bell", daemon=True)
                self._thread.start()
                self._changed.wait_for(lambda: self._rung != before or self._closed, _PAUSE_S)
            return self._rung

    def wait(self, rung: int, timeout_s: float) -> None:
        """Waits until it was rung more often than that, at most so long."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._rung != rung or self._closed, timeout_s)
            finally:
                self._waiting -= 1
                self._asked_at = time.monotonic()

    def close(self) -> None:
        """Wakes everybody for good and stops listening."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(10 * _SLICE_S)

    def _ring(self) -> None:
        with self._changed:
            self._rung += 1
            self._changed.notify_all()

    def _done(self) -> bool:
        """True when nobody needs the thread any more, which then is no more the bell's."""
        with self._changed:
            idle = not self._waiting and time.monotonic() - self._asked_at > _IDLE_S
            if idle or self._closed:
                self._thread = None
            return idle or self._closed

    def _listen(self) -> None:
        while not self._done():
            try:
                self._attend()
            except psycopg.Error:  # who waits looks again after a second, or finds out why it cannot
                self._ring()
                time.sleep(_PAUSE_S)
            else:
                return

    def _attend(self) -> None:
        """Listens on a connection of its own until nobody needs it any more."""
        connection = self._lender.separate()
        try:
            connection.tell(self._sql.listen)
            renew = 0.0
            while not self._done():
                now = time.monotonic()
                if now >= renew:
                    connection.until = now + self._lender.place.timeout_s
                    connection.tell(self._sql.watch)
                    renew = now + _RENEW_S
                    self._ring()
                connection.until = float("inf")
                for _ in connection.notifies(timeout=_SLICE_S, stop_after=1):
                    self._ring()
        finally:
            connection.close()
