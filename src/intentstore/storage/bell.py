"""Waiting for the next commit: woken by those of this process, looking now and then for those of others.

Knows threads and time. Has never heard of a file or a database: what to look at is the storage's to say.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LOOK_S = 0.025
"""Seconds between two looks at rest: so late may news of another process be, and what it costs is 0.3 % of a core for
a file, 0.5 % for SQLite. The file system's own notice (inotify) comes before the bytes are a commit."""
_SOON_S = 0.002
_SLOWER = 1.3


class Bell:
    """Wakes the threads that wait for a commit of one storage."""

    def __init__(self) -> None:
        self._door = threading.Condition()
        self._waiting = 0

    def ring(self) -> None:
        """Has whoever waits look at once. Call it when the news can be seen, holding no lock that a look takes."""
        if self._waiting:
            with self._door:
                self._door.notify_all()

    def wait(self, is_news: Callable[[], bool], timeout_s: float) -> bool:
        """Returns True as soon as ``is_news()``, False when the time is over; raises what the look raises."""
        deadline = time.monotonic() + timeout_s
        pause = _SOON_S
        with self._door:
            self._waiting += 1
            try:
                while not is_news():
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return False
                    self._door.wait(min(left, pause))
                    pause = min(pause * _SLOWER, LOOK_S)
                return True
            finally:
                self._waiting -= 1
