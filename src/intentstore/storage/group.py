"""Group commit: threads that write at once share one run of the writer, and so one sync.

Knows threads and waiting; has never heard of a commit's content. Whoever finds the lane free leads: it takes all
that wait, runs them together, hands each its own result or error, and the lead to the first who came meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ..ground.change import Batch, Commit, Guard
from ..ground.errors import Unavailable

T = TypeVar("T")


class Ticket:
    """One caller's wish in a group: a batch, its guard, and what came of it."""

    __slots__ = ("batch", "commit", "done", "error", "guard", "leads", "turn")

    def __init__(self, batch: Batch, guard: Guard | None) -> None:
        self.batch = batch
        self.guard = guard
        self.commit: Commit | None = None
        self.error: Exception | None = None
        self.done = self.leads = False
        self.turn = threading.Lock()
        """Held until the ticket is done, or is to lead."""
        self.turn.acquire()

    def result(self) -> Commit:
        """Returns the commit, or raises what refused it."""
        if self.error is not None:
            raise self.error
        assert self.commit is not None
        return self.commit


class Lane(Generic[T]):
    """Runs tickets through ``run``, many at a time, one run at a time (``abreast``: so many, for who can).

    ``run`` sets ``commit`` or ``error`` on each ticket; what it raises itself becomes the error of every ticket
    without one. When it returns, what it set is durable.
    """

    def __init__(self, run: Callable[[list[Ticket]], None], *, largest: int = 256, abreast: int = 1) -> None:
        self._run = run
        self._largest, self._abreast = largest, abreast
        self._waiting: list[Ticket] = []
        self._leaders = 0
        self._door = threading.Lock()
        self._lane: contextlib.AbstractContextManager[object] = (
            threading.Lock() if abreast == 1 else contextlib.nullcontext()
        )

    def submit(self, ticket: Ticket) -> Commit:
        """Runs the ticket, alone or with others, and returns its commit or raises its error."""
        with self._door:
            self._waiting.append(ticket)
            ticket.leads = self._leaders < self._abreast
            self._leaders += ticket.leads
        if not ticket.leads:
            try:
                ticket.turn.acquire()
            except BaseException:  # an interrupt: nobody waits for this ticket any more
                self._abandon(ticket)
                raise
        if not ticket.done:
            self._lead(ticket)
        return ticket.result()

    def alone(self, work: Callable[[], T]) -> T:
        """Runs ``work`` while no group runs; not for groups abreast."""
        with self._lane:
            return work()

    def _abandon(self, ticket: Ticket) -> None:
        with self._door:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                if ticket.leads:
                    self._hand_on()

    def _hand_on(self) -> None:
        """Gives the lead to the first who waits. Not to whoever is quickest: groups would stay small."""
        following = next((ticket for ticket in self._waiting if not ticket.leads), None)
        if following is None:
            self._leaders -= 1
        else:
            following.leads = True
            following.turn.release()

    def _group(self, leader: Ticket) -> list[Ticket]:
        """Takes the leader and all that wait, but for those who lead groups of their own."""
        free = [ticket for ticket in self._waiting if not ticket.leads]
        taken = [leader, *free[: self._largest - 1]]
        here = set(taken)
        self._waiting = [ticket for ticket in self._waiting if ticket not in here]
        return taken

    def _lead(self, leader: Ticket) -> None:
        group: list[Ticket] = []
        try:
            with self._lane:
                with self._door:
                    group = self._group(leader)
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
                if ticket is not leader:
                    ticket.turn.release()
            with self._door:
                if not group:  # interrupted before it began
                    self._waiting.remove(leader)
                self._hand_on()

    def _refuse(self, group: list[Ticket], error: Exception) -> None:
        for ticket in group:
            if ticket.commit is None and ticket.error is None:
                ticket.error = error
