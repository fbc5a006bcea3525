"""One thread that waits for news on behalf of all who watch a graph, however many they are."""

from __future__ import annotations

import threading
import time

from ..graph.watch import Watch, wait
from ..ground.errors import StorageError
from ..ground.protocol import IntentStorage
from ..ground.types import Revision
from .lanes import Job

_SLICE_S = 0.1
"""How exactly a watch that is to end after a while does so, and how soon the thread notices that nobody watches."""
_AWAY_S = 0.1
_EARLY_S = 0.005
_LINGER_S = 1.0


class News:
    """Runs a job when there is a commit after the revision where its watch stands.

    ``_seen`` is the last revision known to be in the log. Whoever stands before it is woken at once, so all who wait
    stand exactly there, and one thread waits for the next commit after it.
    """

    def __init__(self, storage: IntentStorage) -> None:
        self._storage = storage
        self._door = threading.Condition()
        self._parked: list[tuple[Job, float]] = []
        self._seen: Revision = 0
        self._thread: threading.Thread | None = None
        self._stopped = False

    def after(self, watch: Watch) -> Parking:
        """Returns where a job is posted that is to run when this watch can go on."""
        return Parking(self, watch)

    def park(self, job: Job, at: Revision, deadline: float) -> None:
        """Keeps the job until there is a commit after ``at``, or the deadline has passed."""
        with self._door:
            ready = [job] if at < self._seen or self._stopped else []
            if at > self._seen:
                self._seen = at
                ready, self._parked = [each for each, _ in self._parked], []
            if not ready or ready[0] is not job:
                self._parked.append((job, deadline))
                self._door.notify_all()
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="intentstore-watch", daemon=True)
                    self._thread.start()
        for each in ready:
            each.run()

    def _work(self) -> None:
        while True:
            with self._door:
                self._door.wait_for(lambda: self._parked or self._stopped, timeout=_LINGER_S)
                if self._stopped or not self._parked:
                    self._thread = None
                    return
                seen = self._seen
            self._wake(self._look(seen))

    def _look(self, seen: Revision) -> Revision | None:
        """Waits a slice; returns how far the log is known to go, None when every watch had better see for itself."""
        try:
            told = wait(self._storage, seen, _SLICE_S)
            reached = next((commit.revision for commit in self._storage.entries(seen)), seen)
            if told and reached == seen:
                self._pause(_EARLY_S)
            return reached
        except StorageError:
            self._pause(_AWAY_S)
            return None

    def _pause(self, seconds: float) -> None:
        with self._door:
            self._door.wait_for(lambda: self._stopped, timeout=seconds)

    def _wake(self, reached: Revision | None) -> None:
        with self._door:
            now, news = time.monotonic(), reached is None or reached > self._seen
            self._seen = max(self._seen, reached or 0)
            ready = [job for job, deadline in self._parked if news or deadline <= now]
            self._parked = [] if news else [each for each in self._parked if each[1] > now]
        for job in ready:
            job.run()

    def stop(self) -> None:
        """Wakes everybody and returns when the thread has ended."""
        with self._door:
            self._stopped = True
            self._door.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._wake(None)


class Parking:
    """Takes a job as `Lanes` would, and keeps it until its watch can go on."""

    def __init__(self, news: News, watch: Watch) -> None:
        self._news, self._at = news, watch.at
        self._deadline = float("inf")
        if watch.timeout_s is not None:
            self._deadline = time.monotonic() + watch.timeout_s

    @property
    def is_over(self) -> bool:
        """True when the watch was to end by now if nothing came."""
        return time.monotonic() >= self._deadline

    def post(self, job: Job) -> None:
        """Runs the job when there is news."""
        self._news.park(job, self._at, self._deadline)
