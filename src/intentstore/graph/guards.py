"""Guards that a process adds to a graph: Python functions that see a whole commit and may refuse it.

They run inside the write, on a thread of their own with a deadline, and read the graph through a door that closes when
they are late: one that hangs or raises refuses the commit and holds nobody up for longer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from ..ground.errors import FieldInvalid, IntentStoreError, PolicyRefused
from ..ground.protocol import Reader
from ..ground.query import Walk
from ..ground.types import Edge, Intent, IntentId, check_name
from ..ground.values import Map
from .proposed import Proposed

PythonGuard = Callable[[Proposed], str | None]
"""Sees a proposed commit; returns why it refuses, None to let it pass. What it raises refuses too."""

LONGEST_S = 60.0


class _Door:
    """A reader that answers until it is closed, from one thread at a time."""

    def __init__(self, reader: Reader) -> None:
        self._reader: Reader | None = reader
        self._lock = threading.Lock()

    def _ask(self, question: Callable[[Reader], object]) -> object:
        with self._lock:
            if self._reader is None:
                raise PolicyRefused("the guard was too late: the commit is decided", hint="answer within the deadline")
            return question(self._reader)

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        return self._ask(lambda reader: reader.fetch(ids))  # type: ignore[return-value]  # what the reader gave

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        return self._ask(lambda reader: reader.neighbours(ids, walk))  # type: ignore[return-value]  # as above

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        return self._ask(lambda reader: reader.definitions(prefix))  # type: ignore[return-value]  # as above

    def close(self) -> None:
        with self._lock:
            self._reader = None


class _Question:
    """One commit put to one guard."""

    def __init__(self, guard: PythonGuard, proposed: Proposed) -> None:
        self.guard, self.proposed = guard, proposed
        self.answered = threading.Event()
        self.refusal: str | None = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        try:
            self.refusal = self.guard(self.proposed)
        except BaseException as error:  # noqa: BLE001  told to the writer, who is another thread
            self.error = error
        self.answered.set()


class _Watchman:
    """A thread that answers questions one after another, until one of them hangs."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Question | None] = SimpleQueue()
        threading.Thread(target=self._work, name="intentstore-guard", daemon=True).start()

    def _work(self) -> None:
        while (question := self.queue.get()) is not None:
            question.answer()


class Guards:
    """The guards of one opened graph, by name. Safe to share between threads."""

    def __init__(self) -> None:
        self._guards: dict[str, tuple[PythonGuard, float]] = {}
        self._idle: list[_Watchman] = []
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._guards)

    def add(self, name: str, guard: PythonGuard, deadline_s: float) -> None:
        """Adds a guard, or puts another in place of the one of that name."""
        check_name(name, "guard")
        if isinstance(deadline_s, bool) or not isinstance(deadline_s, int | float) or not 0 < deadline_s <= LONGEST_S:
            raise FieldInvalid(
                "deadline_s", f"is {deadline_s!r}", hint=f"give seconds, more than 0, at most {LONGEST_S:g}"
            )
        self._guards[name] = (guard, float(deadline_s))

    def remove(self, name: str) -> None:
        """Takes a guard away; one that is not there is none."""
        self._guards.pop(name, None)

    def close(self) -> None:
        """Lets the threads go."""
        with self._lock:
            idle, self._idle = self._idle, []
        for watchman in idle:
            watchman.queue.put(None)

    def judge(self, proposed: Proposed) -> None:
        """Raises `PolicyRefused` for the first guard that refuses, raises or does not answer in time."""
        for name, (guard, deadline_s) in list(self._guards.items()):
            before, after = _Door(proposed.before), _Door(proposed.after)
            seen = Proposed(
                before, after, proposed.changes, at=proposed.at, actor=proposed.actor, reason=proposed.reason
            )
            question = _Question(guard, seen)
            try:
                self._put(question, name, deadline_s)
            finally:
                before.close()
                after.close()
            _heed(name, question)

    def _put(self, question: _Question, name: str, deadline_s: float) -> None:
        with self._lock:
            watchman = self._idle.pop() if self._idle else _Watchman()
        watchman.queue.put(question)
        if not question.answered.wait(deadline_s):
            watchman.queue.put(None)  # should it ever wake up, it goes home
            raise PolicyRefused(
                f"guard {name}: did not answer within {deadline_s:g} s",
                hint="mend the guard, give it a longer deadline, or take it away",
                policy=name,
                reason="it did not answer in time",
            )
        with self._lock:
            self._idle.append(watchman)


def _heed(name: str, question: _Question) -> None:
    error = question.error
    if isinstance(error, PolicyRefused) and "policy" in error.fields:
        raise error
    if error is not None and not isinstance(error, Exception):
        raise error
    if error is not None:
        said = str(error) if isinstance(error, IntentStoreError) else f"{type(error).__name__}: {error}"
        refused = PolicyRefused(
            f"guard {name}: raised {said}", hint="mend the guard, or take it away", policy=name, reason=said
        )
        raise refused from error
    if question.refusal is not None:
        raise PolicyRefused(
            f"guard {name}: {question.refusal}", hint="do what the guard asks for", policy=name, reason=question.refusal
        )
