"""While the primary is away: what is known, what waits, and how a write comes to wait.

Nobody may use it at the same time as another; whoever has it holds the door of the storage that it stands in for.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..ground.change import Batch, Commit, Guard
from ..ground.errors import Unavailable
from ..ground.types import Revision
from .bringing import Bringer
from .known import Known
from .spool import Spool, Waiting


class Absence:
    """The primary cannot be reached, since then and for that reason; how things go on meanwhile."""

    def __init__(self, since: datetime, why: str, known: Known, spool: Spool, bringer: Bringer) -> None:
        self.since, self.why, self.known = since, why, known
        self._spool, self._bringer = spool, bringer
        self._seen: Revision = 0

    def follow(self) -> None:
        """Makes what waits, of this process and of others, part of what is known."""
        reached = self._spool.revision
        if reached > self._seen:
            for one in self._spool.waiting(self._seen):
                self._lay(one.batch, one.revision)
                self.since = min(self.since, one.batch.at)
            self._seen = max(self._seen, reached)

    def _lay(self, batch: Batch, revision: Revision) -> Commit:
        assert batch.id is not None
        self._bringer.gave(revision, batch.id)
        self._seen = max(self._seen, revision)
        return msgspec.structs.replace(self.known.lay(batch, revision), durable=self._spool.durable)

    def write(self, batch: Batch, guard: Guard | None) -> Commit:
        """Checks a batch, which has an id, against what is known, and has it wait; one that is known is the same."""
        assert batch.id is not None
        there = self.commit(batch.id)
        if there is not None:
            return there

        def check() -> None:
            self.follow()  # inside the write: so no other process's write can come between
            self.known.settle(batch, guard)

        revision = self._spool.add(batch, after=self._bringer.after(batch), check=check)
        return self._lay(batch, revision)

    def commit(self, id: str) -> Commit | None:
        """Returns the commit if it waits, or if it is known that the primary has it."""
        waiting = self._spool.find(id)
        return self.known.commits.get(id) if waiting is None else self._as_commit(waiting)

    def _as_commit(self, one: Waiting) -> Commit:
        batch = one.batch
        assert batch.id is not None
        return Commit(
            revision=one.revision,
            id=batch.id,
            at=batch.at,
            actor=batch.actor,
            reason=batch.reason,
            changes=batch.changes,
            durable=self._spool.durable,
        )

    def cannot_tell(self) -> Unavailable:
        """Returns the error for what only the primary can tell."""
        return Unavailable(
            f"this can only be told by the store itself, which cannot be reached since {self.since:%H:%M:%S} UTC",
            hint="ask again when it is back; what is known can be read, and writes wait",
            since=self.since.isoformat(),
            why=self.why,
        )
