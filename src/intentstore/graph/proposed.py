"""A commit on its way in, as guards and policies see it: the state before, the state after, and what is done.

Owns the reading of changes as acts (store, update, move, …). Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from ..ground.change import Change, Define, Drop, Link, Put, Unlink
from ..ground.protocol import Reader
from ..ground.types import INTENT_FIELDS, Edge, Intent, IntentId

APPROVAL = "approval"
"""The definition under which a commit carries who approved it; the log keeps each, the graph none."""

ACTS = ("store", "update", "move", "claim", "delete", "link", "unlink", "define")
"""Everything that can be done to a graph. One change may be two acts: an update that moves."""


def approver_of(changes: Iterable[Change]) -> str | None:
    """Returns who approved the commit of these changes, if it says so."""
    for change in changes:
        if type(change) is Define and change.name == APPROVAL and change.value is not None:
            by = change.value.get("by")
            return by if isinstance(by, str) else None
    return None


class Act(NamedTuple):
    """One thing that a commit does: to an intent (as it was, as it will be), an edge, or a definition."""

    kind: str
    before: Intent | None = None
    after: Intent | None = None
    edge: Edge | None = None
    name: str = ""

    @property
    def intent(self) -> Intent | None:
        """The intent it is about: as it will be, or for a deletion as it was."""
        return self.before if self.after is None else self.after

    @property
    def subject(self) -> str:
        """The id, edge or name it is about, for a message."""
        if self.edge is not None:
            return f"edge {self.edge.source} {self.edge.type} {self.edge.target}"
        if self.intent is not None:
            return f"intent {self.intent.id}"
        return f"definition {self.name}"


class Proposed:
    """What a guard sees: the whole commit, who asks for it and why, and the graph before and after it."""

    def __init__(
        self,
        before: Reader,
        after: Reader,
        changes: Sequence[Change],
        *,
        at: datetime,
        actor: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.before, self.after, self.changes = before, after, changes
        self.at, self.actor, self.reason = at, actor, reason
        self._read: list[Act] | None = None

    @property
    def approver(self) -> str | None:
        """Who approved the commit, as it says itself."""
        return approver_of(self.changes)

    @property
    def acts(self) -> Sequence[Act]:
        """Everything the commit does, in order; a change within it is compared with the one before it."""
        if self._read is None:
            self._read = list(self._acts())
        return self._read

    def _acts(self) -> Iterator[Act]:
        touched = dict.fromkeys(c.subject for c in self.changes if type(c) in (Put, Drop))
        ids: list[IntentId] = [id for id in touched if isinstance(id, str)]
        there = dict(zip(ids, self.before.fetch(ids), strict=True))
        for change in self.changes:
            match change:
                case Put():
                    yield from _put(there[change.intent.id], change.intent)
                    there[change.intent.id] = change.intent
                case Drop():
                    yield Act("delete", before=there[change.id])
                    there[change.id] = None
                case Link():
                    yield Act("link", edge=change.edge)
                case Unlink():
                    yield Act("unlink", edge=Edge(source=change.source, type=change.type, target=change.target))
                case Define() if change.name != APPROVAL:
                    yield Act("define", name=change.name)


def _put(before: Intent | None, after: Intent) -> Iterator[Act]:
    if before is None:
        yield Act("store", after=after)
        return
    if before.status is not after.status:
        yield Act("move", before, after)
    if before.claim != after.claim:
        yield Act("claim", before, after)
    if any(getattr(before, field) != getattr(after, field) for field in _CONTENT):
        yield Act("update", before, after)


_CONTENT = tuple(field for field in INTENT_FIELDS if field not in ("status", "claim", "updated_at", "revision"))
