"""A write is data: `Change` values in a `Batch`, applied all or nothing as one `Commit`.

The caller fills what it wants (``intent``, ``expected``); the storage fills what it found (``before``, ``prev``).
The log is the list of commits; every other view of the past is that list read differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

from .errors import FieldInvalid
from .types import Edge, EdgeKey, EdgeType, Intent, IntentId, Revision, check_integer, check_name
from .values import Map, check_text, freeze_map, freeze_time

if TYPE_CHECKING:
    from .protocol import Reader

MAX_CHANGES = 100_000
MAX_REASON = 64 * 1024
MAX_REVISION = 2**48 - 1
"""At a thousand commits a second, 9,000 years; with the gaps that PostgreSQL leaves, 18 years of a busy server."""
PROVISIONAL = 1 << 52
"""Revisions from here on are a fallback's, given while its store was away; never a store's own. Exact in a double."""

DefinitionKey = tuple[str]
Subject = IntentId | EdgeKey | DefinitionKey
"""What one chain of changes is about: an intent by its id, an edge by its key, a definition by its name alone."""


class _Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do"):
    """What every change carries.

    ``expected``: the revision the caller saw; 0 demands that the subject is absent, None asks nothing.
    ``before``: the revision of the subject's previous change, 0 if this is its first. ``prev``: that change's hash.
    """

    expected: Revision | None = None
    before: Revision = 0
    prev: str = ""


class Put(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="put"):
    """Stores this intent, new or in place of the one with its id."""

    intent: Intent

    @property
    def subject(self) -> Subject:
        return self.intent.id


class Drop(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="drop"):
    """Deletes the intent; the storage adds an `Unlink` for each of its edges to the same commit."""

    id: IntentId

    @property
    def subject(self) -> Subject:
        return self.id


class Link(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="link"):
    """Stores this edge, new or in place of the one with its key; both ends must exist."""

    edge: Edge

    @property
    def subject(self) -> Subject:
        return self.edge.key


class Unlink(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="unlink"):
    """Deletes the edge."""

    source: IntentId
    type: EdgeType
    target: IntentId

    @property
    def key(self) -> EdgeKey:
        """The key of the edge to be deleted."""
        return (self.source, self.type, self.target)

    @property
    def subject(self) -> Subject:
        return self.key


class Note(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="note"):
    """Appends a remark to the intent's history; its content and revision stay as they are."""

    id: IntentId
    text: str

    def __post_init__(self) -> None:
        if type(self.text) is not str or not self.text.strip():
            raise FieldInvalid("text", "is empty", hint="say what is to be remembered")
        check_text(self.text, "text")
        if len(self.text.encode()) > MAX_REASON:
            raise FieldInvalid("text", f"is longer than {MAX_REASON} bytes", hint="keep the note shorter")

    @property
    def subject(self) -> Subject:
        return self.id


class Define(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="define"):
    """Gives the graph a definition under a name, or takes it away where ``value`` is None.

    A definition (a policy, a rule) belongs to the graph as a whole: every opener sees it, the log keeps it.
    """

    name: str
    value: Map | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        if self.value is not None and type(self.value) is not Map:
            force_setattr(self, "value", freeze_map(self.value, "value"))

    @property
    def subject(self) -> Subject:
        return (self.name,)


Change = Put | Drop | Link | Unlink | Note | Define


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A commit as it is asked for. ``id``: applying the same id again is the same commit; None makes a fresh one.

    ``revision`` is for copying a log: it asks for exactly this sequence number, which must lie beyond the last.
    ``whole`` is for copying a folded commit: it is taken over as it is, and proven by its own hash.
    """

    changes: tuple[Change, ...]
    at: datetime
    id: str | None = None
    actor: str | None = None
    reason: str | None = None
    revision: Revision | None = None
    whole: Commit | None = None

    def __post_init__(self) -> None:
        if len(self.changes) > MAX_CHANGES and self.revision is None:
            raise FieldInvalid("changes", f"are {len(self.changes)}, over {MAX_CHANGES}", hint="split the transaction")
        freeze_time(self.at, "at")
        if self.id is not None:
            check_name(self.id, "commit_id")
        if self.actor is not None:
            check_name(self.actor, "actor")
        if self.reason is not None:
            if type(self.reason) is not str:
                raise FieldInvalid("reason", f"must be text, not {type(self.reason).__name__}", hint="give a string")
            check_text(self.reason, "reason")
            if len(self.reason.encode()) > MAX_REASON:
                raise FieldInvalid("reason", f"is longer than {MAX_REASON} bytes", hint="put long text into a note")
        if self.revision is not None:
            check_integer(self.revision, "revision", least=1)
            if self.revision > MAX_REVISION:
                raise FieldInvalid("revision", f"is over {MAX_REVISION}", hint="copy from a log of ours")


class Commit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened at one revision. ``hash`` covers the header and every change with its chain (`codec.chain`).

    ``folded``: of a commit whose superseded changes were folded away, the hash of every change it had, in order.
    ``durable`` is no part of the log. False tells that a fallback keeps the commit in memory until its store is back;
    its revision, from `PROVISIONAL` on, and that of its intents stand until then.
    """

    revision: Revision
    id: str
    at: datetime
    actor: str | None = None
    reason: str | None = None
    changes: tuple[Change, ...] = msgspec.field(default_factory=tuple)
    hash: str = ""
    folded: tuple[str, ...] = ()
    durable: bool = True


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change with the header of the commit it belongs to: a line of an intent's history."""

    revision: Revision
    commit: str
    at: datetime
    actor: str | None = None
    reason: str | None = None
    change: Change


class Head(msgspec.Struct, frozen=True):
    """The end of a subject's chain: the revision and hash (hex) of its last change."""

    revision: Revision
    hash: str


NO_HEAD = Head(0, "")

Guard = Callable[["Reader", "Reader", Sequence[Change]], None]
"""Sees (state before, state after, changes) inside the write, before anything is durable; raises to refuse."""
