"""Group commit: threads that write at once share one run of the writer, and so one sync.

Knows threads and waiting; has never heard of a commit's content. Whoever finds the lane free leads: it takes all
that wait, runs them together and hands each its own result or error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ..ground.change import Batch, Commit, Guard
from ..ground.errors import Unavailable

T = TypeVar("T")


class Ticket:
    """One caller's wish in a group: a batch, its guard, and what came of it."""

    __slots__ = ("batch", "commit", "done", "error", "guard")

    def __init__(self, batch: Batch, guard: Guard | None) -> None:
        self.batch = batch
        self.guard = guard
        self.commit: Commit | None = None
        self.error: Exception | None = None
        self.done = False

    def result(self) -> Commit:
        """Returns the commit, or raises what refused it."""
        if self.error is not None:
            raise self.error
        assert self.commit is not None
        return self.commit


class Lane(Generic[T]):
    """Runs tickets through ``run``, many at a time, one run at a time.

    ``run`` sets ``commit`` or ``error`` on each ticket; what it raises itself becomes the error of every ticket
    without one. When it returns, what it set is durable.
    """

    def __init__(self, run: Callable[[list[Ticket]], None], *, largest: int = 256) -> None:
        self._run = run
        self._largest = largest
        self._waiting: list[Ticket] = []
        self._door = threading.Lock()
        self._lane = threading.Lock()

    def submit(self, ticket: Ticket) -> Commit:
        """Runs the ticket, alone or with others, and returns its commit or raises its error."""
        with self._door:
            self._waiting.append(ticket)
        while not ticket.done:
            with self._lane:
                if not ticket.done:
                    self._lead()
        return ticket.result()

    def alone(self, work: Callable[[], T]) -> T:
        """Runs ``work`` while no group runs."""
        with self._lane:
            return work()

    def _lead(self) -> None:
        with self._door:
            group, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
        try:
            self._run(group)
        except Exception as error:  # noqa: BLE001  handed to every caller of the group, the leader too
            self._refuse(group, error)
        except BaseException as error:
            # The leader's own interrupt: it goes on to the leader, the others learn what became of their writes.
            cause = Unavailable("the write was interrupted", hint="ask whether it happened", outcome="unknown")
            cause.__cause__ = error
            self._refuse(group, cause)
            raise
        finally:
            for ticket in group:
                ticket.done = True

    def _refuse(self, group: list[Ticket], error: Exception) -> None:
        for ticket in group:
            if ticket.commit is None and ticket.error is None:
                ticket.error = error
