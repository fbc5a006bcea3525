"""Threads of a graph's own, on which blocking work runs while an event loop goes on.

Knows threads and jobs. Has never heard of a graph, nor of an event loop: a job says by itself where it lands.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from typing import Protocol

SWITCH_S = 0.0005
"""How long a thread may compute before an event loop that waits for it gets its turn; Python's own 5 ms is too long."""


class Job(Protocol):
    """Work to be done on a lane. It catches what goes wrong and brings the outcome home itself."""

    def run(self) -> None:
        """Does the work, or nothing if nobody waits for it any more. Never raises."""
        ...


class Lanes:
    """At most ``most`` threads that take jobs in the order they came. A thread is made when all others are busy.

    A thread waits at a pipe, not at a lock: through a lock one round trip took 14 to 85 us on two cores, so 7 to 28.
    """

    def __init__(self, name: str, *, most: int) -> None:
        self._name, self._most = name, most
        self._jobs: deque[Job] = deque()
        self._idle: deque[None] = deque()
        self._threads: list[threading.Thread] = []
        self._door = threading.Lock()
        self._stopped = False
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)

    def post(self, job: Job) -> None:
        """Has a lane run the job; returns at once."""
        self._jobs.append(job)
        # A thread first says that it is idle and then looks for jobs once more: so one of us sees the other.
        if self._idle:
            with contextlib.suppress(BlockingIOError):  # 64 Ki calls wait there already
                os.write(self._told, b".")
        if len(self._jobs) > len(self._idle) and len(self._threads) < self._most:
            self._start()

    def _start(self) -> None:
        with self._door:
            if self._stopped or len(self._threads) >= self._most:
                return
            number = len(self._threads) + 1
            thread = threading.Thread(target=self._work, name=f"intentstore-{self._name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        jobs, idle = self._jobs, self._idle
        while True:
            try:
                jobs.popleft().run()
                continue
            except IndexError:
                if self._stopped:
                    return
            idle.append(None)
            if not jobs and not self._stopped:
                os.read(self._heard, 1)
            idle.pop()

    def stop(self) -> None:
        """Returns when every job that was posted is done and every thread, but for the one that asks, has ended."""
        with self._door:
            self._stopped = True
            threads = [thread for thread in self._threads if thread is not threading.current_thread()]
            with contextlib.suppress(OSError):
                os.write(self._told, b"." * len(threads))
        for thread in threads:
            thread.join()
        with self._door:
            for fd in (self._heard, self._told):
                os.close(fd)


class _Pace:
    """Shortens the interpreter's switch interval as long as somebody asks for it, and then puts it back."""

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._asking = 0
        self._before = self._ours = 0.0

    def hasten(self) -> None:
        with self._door:
            self._asking += 1
            if self._asking == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, SWITCH_S))
                self._ours = sys.getswitchinterval()

    def relax(self) -> None:
        with self._door:
            self._asking -= 1
            if self._asking == 0 and sys.getswitchinterval() == self._ours:  # else the program has set its own
                sys.setswitchinterval(self._before)


PACE = _Pace()
