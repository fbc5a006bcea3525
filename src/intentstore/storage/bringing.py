"""What waited comes to the store it waited for: in order, each once, with the revisions it meant.

A commit in the spool has a provisional revision, and later writes may expect it; the commit id tells which real
revision it became. Decides nothing about when: whoever asks holds the spool's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from ..ground.change import PROVISIONAL, Batch, Guard
from ..ground.errors import StorageError
from ..ground.protocol import IntentStorage
from ..ground.types import Revision
from .spool import Spool, Waiting

_TOGETHER = 100
"""Writes let go in one commit of the spool; those brought again after a crash between are the same commits."""
_REMEMBERED = 100_000


GuardOf = Callable[[Batch], Guard | None]
"""Gives the guard that a write which waited must pass when it comes to the store."""


class Bringer:
    """Applies what waits in a spool to its primary; knows every provisional revision that this process gave out."""

    def __init__(
        self, primary: IntentStorage, spool: Spool, *, guard_of: GuardOf, clock: Callable[[], datetime]
    ) -> None:
        self._primary, self._spool, self._guard_of, self._clock = primary, spool, guard_of, clock
        self.given: dict[Revision, str] = {}
        """By provisional revision, the id of the commit that has it."""
        self.brought = 0

    def gave(self, revision: Revision, id: str) -> None:
        """Remembers whose revision this is."""
        self.given[revision] = id
        if len(self.given) > _REMEMBERED:
            del self.given[next(iter(self.given))]

    def bring(self) -> int:
        """Applies to the primary what waits, in order; returns how many it refused. Any storage error ends it."""
        refused, done = 0, list[Waiting]()
        try:
            for one in self._spool.waiting():
                try:
                    self._primary.apply(self._as_real(one.batch, one.after), guard=self._guard_of(one.batch))
                except StorageError:
                    raise
                except Exception as error:  # noqa: BLE001  whatever a guard raises refuses its own batch
                    self._spool.refused(one, error, at=self._clock())
                    refused += 1
                    continue
                done.append(one)
                if len(done) == _TOGETHER:
                    self._let_go(done)
        finally:
            self._let_go(done)
        return refused

    def _let_go(self, done: list[Waiting]) -> None:
        self._spool.done(done, at=self._clock())
        self.brought += len(done)
        done.clear()

    def after(self, batch: Batch) -> dict[Revision, str]:
        """Returns the provisional revisions that a batch expects, each with the id of its commit."""
        expected = {change.expected or 0 for change in batch.changes}
        return {
            revision: self.given[revision]
            for revision in expected
            if revision >= PROVISIONAL and revision in self.given
        }

    def real(self, batch: Batch) -> Batch:
        """Returns a batch as the primary must see it."""
        return self._as_real(batch, self.after(batch)) if self.given else batch

    def _as_real(self, batch: Batch, after: Mapping[Revision, str]) -> Batch:
        if not after:
            return batch
        reals = {revision: self.real_revision(revision, id) for revision, id in after.items()}
        changes = tuple(
            change
            if change.expected is None or change.expected not in reals
            else msgspec.structs.replace(change, expected=reals[change.expected])
            for change in batch.changes
        )
        return msgspec.structs.replace(batch, changes=changes)

    def real_revision(self, revision: Revision, id: str | None = None) -> Revision:
        """Returns what a provisional revision became; itself where it became nothing, as any other revision."""
        id = self.given.get(revision) if id is None else id
        commit = None if id is None else self._primary.commit(id)
        return revision if commit is None else commit.revision
