"""Commits as they happen, in order, none missed: the log read on and on, with waiting in between.

Where to go on is a revision, so a watch that ended goes on in another process. Knows any storage: one that can wait
(`Notifies`) is waited on, any other looked at now and then.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from itertools import islice

from ..ground.change import Commit
from ..ground.errors import StorageError
from ..ground.protocol import IntentStorage, Notifies
from ..ground.types import Revision, check_integer

AT_ONCE = 64
"""Commits read at a time."""
SLICE_S = 5.0
"""The longest wait without a look of one's own: a notice that got lost costs so much."""
PATIENCE_S = 60.0
_LOOK_S = 0.025
_RETRY_S = 0.1
_EARLY_S = 0.005
"""Before the next wait, when one said that there is news and the log has none yet."""


class Watch(Iterator[Commit]):
    """Yields every commit after a revision, then waits for the next; for ever, or until none came for ``timeout_s``.

    While the store cannot be reached it tries again, for ``patience_s``; only then does the error come out. ``at`` is
    the revision of the last commit that was read.
    """

    def __init__(
        self, storage: IntentStorage, since: Revision, *, timeout_s: float | None, patience_s: float = PATIENCE_S
    ) -> None:
        self.storage = storage
        self.at = check_integer(since, "since", least=0)
        self.timeout_s, self._patience_s = timeout_s, patience_s
        self._source: Iterator[Commit] | None = None
        self._read: deque[Commit] = deque()
        self._away_since: float | None = None
        self._early = False

    def __next__(self) -> Commit:
        deadline = None if self.timeout_s is None else time.monotonic() + self.timeout_s
        while not self._read:
            self._read.extend(self.take(AT_ONCE))
            if not self._read and not self._wait(deadline):
                raise StopIteration
        return self._read.popleft()

    def take(self, most: int) -> list[Commit]:
        """Returns the next commits, at most so many, without waiting; none too while the store is away."""
        try:
            if self._source is None:
                self._source = self.storage.entries(self.at)
            found = list(islice(self._source, most))
        except StorageError as error:
            self._source = None
            self._bear(error)
            return []
        self._away_since = None
        if len(found) < most:
            self._source = None
        if found:
            self._early = False
            self.at = found[-1].revision
        return found

    def _bear(self, error: StorageError) -> None:
        """Takes an error that may pass for a wait; raises it once patience has run out."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        if not error.retry or now - self._away_since >= self._patience_s:
            raise error

    def _wait(self, deadline: float | None) -> bool:
        """Waits for news, a slice at most; returns False when the deadline has passed."""
        left = SLICE_S if deadline is None else min(SLICE_S, deadline - time.monotonic())
        if left <= 0:
            return False
        if self._away_since is not None or self._early:
            time.sleep(min(left, _EARLY_S if self._early else _RETRY_S))
        self._early = self._away_since is None and wait(self.storage, self.at, left)
        return True


def wait(storage: IntentStorage, since: Revision, timeout_s: float) -> bool:
    """Returns True once there may be a commit after ``since``, False when the time is over.

    What waiting may cure is no error here: the next look says what is wrong, and its owner how long to bear it.
    """
    try:
        if isinstance(storage, Notifies):
            return storage.wait(since, timeout_s)
        deadline = time.monotonic() + timeout_s
        while storage.revision <= since:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _LOOK_S))
    except StorageError as error:
        if not error.retry:
            raise
        time.sleep(min(timeout_s, _RETRY_S))
    return True
