"""Questions about the past: what differs between two revisions, who set what, which statuses a goal went through.

Reads the log through any storage; changes nothing. Each costs what happened between, or to the one intent asked about.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec

from ..ground.change import Define, Drop, Entry, Put, Subject
from ..ground.errors import IntentMissing
from ..ground.protocol import IntentStorage
from ..ground.types import Edge, Intent, IntentId, IntentStatus, Revision
from .facets import ABSENT, Facet, changed, facets
from .log import Value, span_of, values_at


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One field that differs; for a map or the labels, one entry of it, named by ``key``. `ABSENT` is no value."""

    field: str
    key: Any = None
    before: Any = ABSENT
    after: Any = ABSENT


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One intent, edge or definition that differs between two revisions, and in which fields."""

    how: Literal["added", "removed", "changed"]
    before: Value = None
    after: Value = None
    fields: tuple[FieldChange, ...] = ()


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where one field of an intent got its value; for a map or the labels, where one entry did."""

    field: str
    key: Any = None
    value: Any
    revision: Revision
    commit: str
    at: datetime
    actor: str | None = None
    reason: str | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A status an intent had, since when and until when; ``status`` is None for the time it was deleted."""

    status: IntentStatus | None
    since: datetime
    until: datetime | None = None
    revision: Revision
    commit: str
    actor: str | None = None
    reason: str | None = None


# --- what differs ---


def differences(storage: IntentStorage, a: Revision, b: Revision) -> list[Difference]:
    """Returns what is otherwise at revision ``b`` than at ``a``: intents by id, then edges by key.

    Costs what was changed between the two, not what is stored.
    """
    span = span_of(storage, min(a, b), max(a, b))
    before, after = values_at(storage, span.ends_of(span.after)), span.after
    if a > b:
        before, after = after, before
    found = [_difference(before[subject], after[subject]) for subject in sorted(after, key=_order)]
    return [each for each in found if each is not None]


def _order(subject: Subject) -> tuple[int, Subject]:
    return (len(subject), subject) if isinstance(subject, tuple) else (0, subject)


def _difference(before: Value, after: Value) -> Difference | None:
    if before is None or after is None:
        if before is after:
            return None
        return Difference(how="added" if before is None else "removed", before=before, after=after)
    fields = tuple(
        FieldChange(field=field, key=key, before=old, after=new)
        for (field, key), (old, new) in changed(_facets(before), _facets(after)).items()
    )
    return Difference(how="changed", before=before, after=after, fields=fields) if fields else None


def _facets(thing: Intent | Edge | Define) -> dict[Facet, Any]:
    if isinstance(thing, Intent):
        return facets(thing)
    if isinstance(thing, Define):
        return {("value", key): value for key, value in (thing.value or {}).items()}
    found: dict[Facet, Any] = {("metadata", key): value for key, value in thing.metadata.items()}
    return found if thing.weight is None else {("weight", None): thing.weight, **found}


# --- who set what ---


def origins(storage: IntentStorage, id: IntentId) -> list[Origin]:
    """Returns for each field of the intent as it is, and each entry of its maps, the commit that set it."""
    set_by: dict[Facet, Entry] = {}
    there: Intent | None = None
    for entry, intent in _own(storage, id):
        for facet, (_, new) in changed(facets(there), facets(intent)).items():
            set_by.pop(facet, None)
            if new is not ABSENT:
                set_by[facet] = entry
        there = intent
    if there is None:
        raise IntentMissing(id)
    values = facets(there)
    return [_origin(facet, values[facet], set_by[facet]) for facet in values]


def _origin(facet: Facet, value: Any, entry: Entry) -> Origin:
    return Origin(
        field=facet[0],
        key=facet[1],
        value=value,
        revision=entry.revision,
        commit=entry.commit,
        at=entry.at,
        actor=entry.actor,
        reason=entry.reason,
    )


def _own(storage: IntentStorage, id: IntentId) -> Iterator[tuple[Entry, Intent | None]]:
    """Yields each change of the intent itself, and what it left."""
    for entry in storage.trail(id):
        if type(entry.change) is Put:
            yield entry, entry.change.intent
        elif type(entry.change) is Drop:
            yield entry, None


# --- which statuses ---


def stages(storage: IntentStorage, id: IntentId) -> list[Stage]:
    """Returns the statuses the intent went through, oldest first; the last one has no end."""
    found: list[Stage] = []
    for entry, intent in _own(storage, id):
        status = None if intent is None else intent.status
        if found and found[-1].status is status:
            continue
        if found:
            found[-1] = msgspec.structs.replace(found[-1], until=entry.at)
        stage = Stage(
            status=status,
            since=entry.at,
            revision=entry.revision,
            commit=entry.commit,
            actor=entry.actor,
            reason=entry.reason,
        )
        found.append(stage)
    if not found:
        raise IntentMissing(id)
    return found
