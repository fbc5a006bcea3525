"""Several changes as one commit: recorded now, applied when the block ends, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from ..ground.change import Change, Commit, Define, Drop, Link, Note, Put, Unlink
from ..ground.errors import Conflict, FieldInvalid
from ..ground.types import UNSTORED, Edge, EdgeType, Intent, IntentId, edge_key
from ..ground.values import freeze_map


class Transaction:
    """Records changes; leaving the block without an error applies them as one commit, ``self.commit``.

    Intents and edges come back as they will be stored, but for the revision, which only the commit knows. Reads
    of the graph inside the block see the state before it.
    """

    def __init__(
        self, apply: Callable[[tuple[Change, ...]], Commit], *, now: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._apply, self._now, self._new_id = apply, now, new_id
        self._changes: list[Change] = []
        self._ended = False
        self.commit: Commit | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        if error is None and self._changes:
            self.commit = self._apply(tuple(self._changes))

    def __len__(self) -> int:
        return len(self._changes)

    def apply(self, change: Change) -> None:
        """Records a change as it stands; times and ids are the caller's."""
        if self._ended:
            raise Conflict("the transaction has ended", hint="begin another")
        self._changes.append(change)

    def store(self, intent: Intent) -> Intent:
        """Records a new intent; `AlreadyThere` at the end if its id is taken."""
        fresh = new_intent(intent, now=self._now(), new_id=self._new_id)
        self.apply(Put(intent=fresh, expected=0))
        return fresh

    def update(self, intent: Intent) -> Intent:
        """Records a new content for an intent; `StaleRevision` at the end if it changed since it was read."""
        changed = updated_intent(intent, now=self._now())
        # An intent recorded in this same block has revision 0 and nothing to compare with.
        self.apply(Put(intent=changed, expected=intent.revision or None))
        return changed

    def delete(self, *ids: IntentId) -> None:
        """Records the deletion of intents, and with each of its edges."""
        for id in ids:
            self.apply(Drop(id=id))

    def link(
        self, source: IntentId, type: str, target: IntentId, *, weight: float | None = None, metadata: Any = None
    ) -> Edge:
        """Records a new edge; `AlreadyThere` at the end if there is one of this type between the two."""
        edge = Edge(
            source=source,
            type=EdgeType(type),
            target=target,
            weight=weight,
            metadata=freeze_map(metadata or {}, "metadata"),
            created_at=self._now(),
        )
        self.apply(Link(edge=edge, expected=0))
        return edge

    def unlink(self, source: IntentId, type: str, target: IntentId) -> None:
        """Records the deletion of an edge; `EdgeMissing` at the end if there is none."""
        key = edge_key(source, type, target)
        self.apply(Unlink(source=key[0], type=key[1], target=key[2]))

    def define(self, name: str, value: Any) -> None:
        """Records a definition of the graph's; None takes it away, `DefinitionMissing` at the end if there is none."""
        self.apply(Define(name=name, value=value))

    def note(self, id: IntentId, text: str) -> None:
        """Records a remark for the intent's history."""
        self.apply(Note(id=id, text=text))


def new_intent(intent: Intent, *, now: datetime, new_id: Callable[[], str]) -> Intent:
    """Returns the intent ready to be stored for the first time: with an id, times and no revision."""
    if not isinstance(intent, Intent):
        raise FieldInvalid("intent", f"must be an Intent, not {type(intent).__name__}", hint='Intent(goal="…")')
    created = now if intent.created_at is UNSTORED else intent.created_at
    updated = created if intent.updated_at is UNSTORED else intent.updated_at
    return intent.stamped(id=intent.id or new_id(), created_at=created, updated_at=updated)


def updated_intent(intent: Intent, *, now: datetime) -> Intent:
    """Returns the intent with its update time set; one that was never stored is refused."""
    if not isinstance(intent, Intent):
        raise FieldInvalid("intent", f"must be an Intent, not {type(intent).__name__}", hint="give what get() returned")
    if not intent.id:
        raise FieldInvalid("id", "is missing", hint="store the intent first")
    created = now if intent.created_at is UNSTORED else intent.created_at
    return intent.replace(created_at=created, updated_at=now)


def put_in(commit: Commit, id: IntentId) -> Intent:
    """Returns the intent as the commit left it."""
    return next(each.intent for each in reversed(commit.changes) if type(each) is Put and each.intent.id == id)
