"""What "safe" means, asked of a store that a crash left.

It opens without help; every acknowledged commit is there; the log is a beginning of what was written, so no commit is
half there and none was never written; state, chains and log agree; and a write made now outlives a second crash.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...ground.change import Commit
from ...ground.errors import IntentStoreError
from ...ground.protocol import IntentStorage
from ..fakes import LossyDisk
from ..samples import copy_log, put, state
from .session import Subject


class Expected:
    """What was written, in order: the log of an undisturbed life, and the state after each of its commits."""

    def __init__(self, log: Sequence[Commit]) -> None:
        self.log = list(log)
        self._states: dict[int, object] = {}

    def state(self, length: int) -> object:
        """Returns the state after so many commits, as the memory storage has it."""
        if length not in self._states:
            from ...storage.memory import MemoryStorage

            model = MemoryStorage()
            model.open()
            copy_log(self.log[:length], model)
            self._states[length] = state(model)
        return self._states[length]


def read_expected(subject: Subject, place: Path) -> Expected:
    """Returns what an undisturbed session wrote."""
    with opened(subject, place) as storage:
        return Expected(list(storage.entries()))


@contextlib.contextmanager
def opened(subject: Subject, place: Path) -> Iterator[IntentStorage]:
    """A storage, opened, closed afterwards."""
    storage = subject.make(place)
    with quietly():
        storage.open()
        try:
            yield storage
        finally:
            storage.close()


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the warning that the locks of FUSE are not to be trusted: here one process has them all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def faults_of(
    subject: Subject, place: Path, expected: Expected, acks: Iterable[str], *, twice: Path | None = None
) -> list[str]:
    """Returns in what the store at this place is not safe; nothing when it is.

    ``twice``: an empty directory for the second crash, the power cut with all that is not synced lost where the
    storage's disk can be replaced, else the death of the process.
    """
    try:
        with quietly():
            return list(_faults(subject, place, expected, set(acks), twice))
    except Exception as error:  # noqa: BLE001  the store refuses what it must not, or fails in a way that is not ours
        return [f"{type(error).__name__}: {error}"]


def _faults(subject: Subject, place: Path, expected: Expected, acks: set[str], twice: Path | None) -> Iterator[str]:
    lossy = LossyDisk() if subject.takes_disk and twice is not None else None
    storage = subject.make(place) if lossy is None else subject.make(place, disk=lossy)
    try:
        storage.open()
        log = list(storage.entries())
        yield from compare(storage, log, expected, acks)
        after = put(storage, "after", id="after")
        if twice is None:
            return
        if lossy is None:
            shutil.copytree(place, twice, dirs_exist_ok=True)
        else:
            lossy.crash()
            twice = place
    finally:
        if lossy is None or not lossy.off:
            with contextlib.suppress(IntentStoreError):
                storage.close()
    again = subject.make(twice)
    try:
        again.open()
        if list(again.entries()) != [*log, after]:
            yield "a commit made after the recovery is lost by the next crash"
        for problem in again.verify():
            yield f"after the second recovery: {problem.where}: {problem.what}"
    finally:
        again.close()


def compare(storage: IntentStorage, log: list[Commit], expected: Expected, acks: set[str]) -> Iterator[str]:
    """Yields in what an open store is not what was written, or has lost what was acknowledged."""
    lost = acks - {commit.id for commit in log}
    if lost:
        yield f"lost though acknowledged: {', '.join(sorted(lost))}"
    if log != expected.log[: len(log)]:
        yield "the log is not a beginning of what was written"
        return
    if state(storage) != expected.state(len(log)):
        yield "the state is not the one that the log gives"
    for problem in storage.verify():
        yield f"{problem.where}: {problem.what}"
