"""One beads record and what it is here, both ways: pure functions without graph, file or line.

What an intent says by its fields is written from them; everything else, and every spelling that would come out
otherwise, lies in ``metadata["beads"]``. A kept spelling counts only while the intent still says what it said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from ..codec import jsonable
from ..codec.wire import read_time, write_time
from ..ground.errors import FieldInvalid
from ..ground.types import UNSTORED, Intent, IntentStatus, check_id
from ..ground.values import Map, freeze_map
from .kept import thaw

KEPT = "beads"
"""In an intent's metadata: what of the record its fields do not say. In an edge's: the dependency as it came."""
ABSENT = "beads_absent"
"""In an intent's metadata: the fields that the record lacked and that we would write."""

_ACTIVE, _DONE, _GONE = IntentStatus.ACTIVE, IntentStatus.COMPLETED, IntentStatus.ARCHIVED
_STATUSES = {
    "open": _ACTIVE,
    "in_progress": IntentStatus.EXECUTING,
    "hooked": IntentStatus.EXECUTING,
    "closed": _DONE,
    "blocked": IntentStatus.SUSPENDED,
    "deferred": IntentStatus.SUSPENDED,
    "pinned": IntentStatus.SUSPENDED,
    "tombstone": _GONE,
}
_WRITTEN_STATUSES = {
    IntentStatus.ACTIVE: "open",
    IntentStatus.EXECUTING: "in_progress",
    IntentStatus.COMPLETED: "closed",
    IntentStatus.FAILED: "blocked",
    IntentStatus.SUSPENDED: "deferred",
    IntentStatus.ARCHIVED: "tombstone",
}
_ORDER = (
    *("id", "title", "description", "design", "acceptance_criteria", "notes", "status", "priority", "issue_type"),
    *("assignee", "owner", "estimated_minutes", "created_at", "created_by", "updated_at", "closed_at"),
    *("close_reason", "labels", "dependencies", "comments"),
)
_RANK = {field: rank for rank, field in enumerate(_ORDER)}
# What says that a record is closed, or deleted, and must not outlive that.
_ENDINGS = {
    "closed": ("closed_at", "close_reason", "closed_by_session"),
    "tombstone": ("deleted_at", "deleted_by", "delete_reason", "original_type"),
}


# --- reading ---


def intent_of(record: Mapping[str, Any]) -> tuple[Intent, list[Any]]:
    """Returns the intent a record describes, all of the record kept in it, and its dependencies as they stand.

    >>> intent, dependencies = intent_of({"id": "b-1", "title": "Ship", "status": "hooked", "owner": "ada"})
    >>> intent.status.value, intent.priority, intent.metadata["beads"]
    ('executing', 50, Map({'status': 'hooked', 'owner': 'ada'}))
    """
    if "id" not in record:
        raise FieldInvalid("id", "is missing", hint="every record of beads has one")
    if "title" not in record:
        raise FieldInvalid("title", "is missing", hint="every record of beads has one")
    dependencies = record.get("dependencies") or []
    if type(dependencies) is not list:
        raise FieldInvalid("dependencies", "must be a list", hint='write [{"depends_on_id": …, "type": …}]')
    created = read_moment(record, "created_at") or read_moment(record, "updated_at") or UNSTORED
    intent = Intent(
        id=check_id(record["id"], "id"),
        goal=record["title"],
        status=_status(record.get("status")),
        priority=_priority(record.get("priority")),
        original_request=_text(record.get("description")),
        success_criteria=_text(record.get("acceptance_criteria")),
        labels=_labels(record.get("labels")),
        created_at=created,
        updated_at=read_moment(record, "updated_at") or created,
    )
    # Set on the one just made, which nobody else has seen: a second check of every field costs 8 us a record.
    force_setattr(intent, "metadata", _kept(record, intent))
    return intent, dependencies


def _kept(record: Mapping[str, Any], intent: Intent) -> Map:
    plain = _plain(intent)
    # The status is kept always: it tells at the end whether the intent was moved here.
    kept = {
        field: value
        for field, value in record.items()
        if field == "status" or not (field in plain and _same(plain[field], value))
    }
    if kept.get("dependencies"):
        del kept["dependencies"]
    metadata: dict[str, Any] = {KEPT: kept}
    absent = tuple(field for field in plain if field not in record)
    if absent:
        metadata[ABSENT] = absent
    return freeze_map(metadata, "record")


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def read_moment(record: Mapping[str, Any], field: str) -> datetime | None:
    """Returns the moment a field names, None where there is none; raises `FieldInvalid` for no time."""
    given = record.get(field)
    return None if given is None else read_time(given, field)


def _text(given: Any) -> str | None:
    return given if type(given) is str else None


def _status(given: Any) -> IntentStatus:
    if given is not None and type(given) is not str:
        raise FieldInvalid("status", f"must be text, not {type(given).__name__}", hint="open, closed, …")
    return _STATUSES.get(given or "", _ACTIVE)


def _priority(given: Any) -> int:
    if given is not None and type(given) is not int:
        raise FieldInvalid("priority", f"must be an integer, not {type(given).__name__}", hint="0 (highest) to 4")
    return 50 if given is None else 100 - 25 * min(max(given, 0), 4)


def _labels(given: Any) -> tuple[str, ...]:
    """Returns the labels that can be ours, sorted; the others live in the kept list alone."""
    if given is not None and type(given) is not list and type(given) is not tuple:
        raise FieldInvalid("labels", "must be a list", hint='write ["a", "b"]')
    found = set()
    for label in given or ():
        try:
            found.add(check_id(label, "labels"))
        except FieldInvalid:
            continue
    return tuple(sorted(found))


# --- writing ---


def record_of(intent: Intent, dependencies: Iterable[Any] = ()) -> dict[str, Any]:
    """Returns the record of an intent: as it came, but for what was changed here since.

    >>> intent, _ = intent_of({"id": "b-1", "title": "Ship", "status": "hooked", "owner": "ada"})
    >>> record_of(intent.replace(goal="Ship it"))
    {'id': 'b-1', 'title': 'Ship it', 'status': 'hooked', 'owner': 'ada'}
    """
    kept = intent.metadata.get(KEPT)
    found = _plain(intent)
    if isinstance(kept, Map):
        moved = _restore(found, kept, intent)
    else:
        moved = True
        found["issue_type"] = "task"
    if moved:
        _end(found, intent)
    listed = list(dependencies)
    if listed:
        found["dependencies"] = listed
    return {field: found[field] for field in sorted(found, key=lambda field: _RANK.get(field, len(_RANK)))}


def _plain(intent: Intent) -> dict[str, Any]:
    """Returns the record that the fields of the intent alone make."""
    found: dict[str, Any] = {"id": intent.id, "title": intent.goal}
    if intent.original_request is not None:
        found["description"] = intent.original_request
    if intent.success_criteria is not None:
        found["acceptance_criteria"] = _as_text(intent.success_criteria)
    found["status"] = _WRITTEN_STATUSES[intent.status]
    found["priority"] = 4 - min(max(round(intent.priority / 25), 0), 4)
    found["created_at"] = write_time(intent.created_at)
    found["updated_at"] = write_time(intent.updated_at)
    if intent.labels:
        found["labels"] = list(intent.labels)
    return found


def _as_text(value: Any) -> str:
    return value if type(value) is str else msgspec.json.encode(jsonable(value)).decode()


def _restore(found: dict[str, Any], kept: Map, intent: Intent) -> bool:
    """Lays the kept spellings over the plain record; returns whether the status was moved since it came."""
    for field, value in kept.items():
        # Dependencies that are no edges come with the others; of the field alone only "none" can be kept.
        if (field != "dependencies" or value is None or value == ()) and _still(field, value, intent):
            found[field] = thaw(value)
    absent = intent.metadata.get(ABSENT, ())
    for field in absent if type(absent) is tuple else ():
        if field not in ("id", "title") and _still(field, None, intent):
            found.pop(field, None)
    return not _still("status", kept.get("status"), intent)


def _still(field: str, value: Any, intent: Intent) -> bool:
    """True when the intent says now what this spelling of the field says."""
    try:
        return _says(field, value, intent)
    except FieldInvalid:
        return False  # somebody wrote into the kept record; the intent's own fields hold


def _says(field: str, value: Any, intent: Intent) -> bool:
    match field:
        case "id" | "title":
            return False
        case "description":
            return _text(value) == intent.original_request
        case "acceptance_criteria":
            return _text(value) == intent.success_criteria
        case "status":
            return _status(value) == intent.status
        case "priority":
            return _priority(value) == intent.priority
        case "labels":
            return _labels(value) == intent.labels
        case "created_at":
            return value is None or read_time(value, field) == intent.created_at
        case "updated_at":
            return (intent.created_at if value is None else read_time(value, field)) == intent.updated_at
    return True


def _end(found: dict[str, Any], intent: Intent) -> None:
    """Makes the record end, or not, as its new status says: beads refuses one that is closed without a time."""
    for status, fields in _ENDINGS.items():
        if found["status"] == status:
            found.setdefault(fields[0], write_time(intent.updated_at))
        elif status != "closed" or found["status"] != "tombstone":
            for field in fields:
                found.pop(field, None)
