"""One intent as CCOS stores it and what it is here, both ways: pure functions without graph, file or edge.

What CCOS has no field for travels in ``metadata["intentstore"]`` of its record, as JSON text; what of its record is no
field of ours, or would be spelled otherwise, is kept in ``metadata["ccos"]``. Either counts only while the rest still
says what it said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ..ground.errors import FieldInvalid
from ..ground.types import Intent, IntentStatus, check_id
from ..ground.values import EMPTY, Keyword, Map, freeze, freeze_map
from .ccos_value import older_value, text_of, value_of
from .kept import thaw

KEPT = "ccos"
"""In an intent's or edge's metadata: what of its CCOS record its fields do not say."""
CARRIER = "intentstore"
"""In the metadata of a CCOS record: what CCOS has no field for, as JSON text."""
ORDER = (
    *(
        "intent_id",
        "name",
        "session_id",
        "original_request",
        "rtfs_intent_source",
        "goal",
        "constraints",
        "preferences",
    ),
    *("success_criteria", "parent_intent", "child_intents", "triggered_by", "generation_context", "status", "priority"),
    *("created_at", "updated_at", "metadata"),
)
_TRIGGERS = ("HumanRequest", "PlanExecution", "SystemEvent", "IntentCompletion", "ArbiterInference")
_STATUSES = {status.value.capitalize(): status for status in IntentStatus}
_CONTEXT = frozenset({"arbiter_version", "generation_timestamp", "input_context", "reasoning_trace"})
_OURS = "intentstore"  # the arbiter of an intent that no arbiter made
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253_402_300_799  # the last second of the year 9999


ValueReader = Callable[[Any, str], Any]
"""How an entry of a record becomes a value: `today_value` or `older_value`."""


class Named(NamedTuple):
    """The ids that a record names as its parent and its children."""

    parent: str | None
    children: tuple[str, ...]


# --- reading ---


def read_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of the intent that a record describes, but for what is carried or kept in its metadata."""
    value = older_value if is_older(record) else today_value
    found: dict[str, Any] = {"id": check_id(record.get("intent_id"), "intent_id")}
    for name, field in FIELDS.items():
        if name in record:
            found[field.ours] = field.read(record[name], name, value)
    if "goal" not in found:
        raise FieldInvalid("goal", "is missing", hint="every intent of CCOS has one")
    return found


def named_in(record: Mapping[str, Any]) -> Named:
    """Returns the parent and the children that a record names."""
    children = record.get("child_intents", [])
    if type(children) is not list:
        raise FieldInvalid("child_intents", "must be a list", hint="write a list of ids")
    for at, child in enumerate(children):
        check_id(child, f"child_intents[{at}]")
    parent = record.get("parent_intent")
    return Named(None if parent is None else check_id(parent, "parent_intent"), tuple(children))


def _text(raw: Any, where: str, _: ValueReader) -> str | None:
    if raw is not None and type(raw) is not str:
        raise FieldInvalid(where, f"must be text, not {type(raw).__name__}", hint="see the record")
    return raw


def _source(raw: Any, where: str, _: ValueReader) -> str | None:
    return _text(raw, where, today_value) or None


def _entries(raw: Any, where: str, value: ValueReader) -> Map:
    if type(raw) is not dict:
        raise FieldInvalid(where, f"must be an object, not {type(raw).__name__}", hint='write {"name": "RTFS text"}')
    return freeze_map({key: value(item, f"{where}.{key}") for key, item in raw.items()}, where)


def today_value(raw: Any, where: str) -> Any:
    """Returns what an entry of a record says: an RTFS text, or a value as older archives have it."""
    return value_of(raw) if type(raw) is str else older_value(raw, where)


def is_older(record: Mapping[str, Any]) -> bool:
    """True for a record of an older archive, which holds values where there are texts today."""
    return "rtfs_intent_source" not in record


def _status(raw: Any, where: str, _: ValueReader) -> IntentStatus:
    found = _STATUSES.get(raw.capitalize()) if type(raw) is str else None
    if found is None:
        raise FieldInvalid(where, f"{raw!r} is no status of CCOS", hint=f"one of: {', '.join(_STATUSES)}")
    return found


def _whole(raw: Any, where: str, _: ValueReader) -> int:
    if type(raw) is not int:
        raise FieldInvalid(where, f"must be an integer, not {type(raw).__name__}", hint="see the record")
    return raw


def _moment(raw: Any, where: str, _: ValueReader) -> datetime:
    seconds = _whole(raw, where, today_value)
    if not 0 <= seconds <= _LAST:
        raise FieldInvalid(where, f"{seconds} is no second of the years 1970 to 9999", hint="seconds since 1970")
    return _EPOCH + timedelta(seconds=seconds)


def _context(raw: Any, where: str, _: ValueReader) -> Map:
    if raw is None or (type(raw) is dict and raw.get("arbiter_version") == _OURS and not raw.get("input_context")):
        return EMPTY
    return freeze_map(raw, where)


def _metadata(raw: Any, where: str, _: ValueReader) -> Map:
    if type(raw) is not dict:
        raise FieldInvalid(where, f"must be an object, not {type(raw).__name__}", hint='write {"name": "text"}')
    own = (CARRIER, KEPT)
    items = {key: older_value(item, f"{where}.{key}") for key, item in raw.items() if key not in own}
    return freeze_map(items, where)


# --- writing ---


def plain_record(intent: Intent) -> dict[str, Any]:
    """Returns the record that the fields of the intent alone make; parents and children are the graph's to say."""
    record: dict[str, Any] = {"intent_id": intent.id, "parent_intent": None, "child_intents": []}
    for name, field in FIELDS.items():
        record[name] = field.write(intent)
    return {name: record[name] for name in ORDER}


def _seconds(moment: datetime) -> int:
    return max(0, (moment - _EPOCH) // timedelta(seconds=1))


def key_text(key: Any) -> str:
    """Returns the text under which an entry stands in a record."""
    return key if type(key) is str else f":{key.name}" if type(key) is Keyword else str(key)


def _texts(entries: Map) -> dict[str, str]:
    return {key_text(key): text_of(value) for key, value in entries.items()}


def _written_context(intent: Intent) -> dict[str, Any]:
    context = intent.generation_context
    if context.keys() == _CONTEXT and type(context["generation_timestamp"]) is int:
        return dict(thaw(context))
    made = {"arbiter_version": _OURS, "generation_timestamp": _seconds(intent.created_at)}
    return {**made, "input_context": {}, "reasoning_trace": None}


def _own_texts(intent: Intent) -> dict[str, str]:
    own = (CARRIER, KEPT)
    return {
        key: value
        for key, value in intent.metadata.items()
        if type(key) is str and type(value) is str and key not in own
    }


def _trigger(intent: Intent) -> str:
    return intent.triggered_by if intent.triggered_by in _TRIGGERS else _TRIGGERS[0]


class _Field(NamedTuple):
    """One field of a record: which field of ours it is, how it is read and written."""

    ours: str
    read: Callable[[Any, str, ValueReader], Any]
    write: Callable[[Intent], Any]


FIELDS: dict[str, _Field] = {
    "name": _Field("name", _text, lambda intent: intent.name),
    "session_id": _Field("session_id", _text, lambda intent: intent.session_id),
    "original_request": _Field(
        "original_request",
        _text,
        lambda intent: intent.goal if intent.original_request is None else intent.original_request,
    ),
    "rtfs_intent_source": _Field("rtfs_source", _source, lambda intent: intent.rtfs_source or ""),
    "goal": _Field("goal", lambda raw, _where, _value: raw, lambda intent: intent.goal),
    "constraints": _Field("constraints", _entries, lambda intent: _texts(intent.constraints)),
    "preferences": _Field("preferences", _entries, lambda intent: _texts(intent.preferences)),
    "success_criteria": _Field(
        "success_criteria",
        lambda raw, where, value: None if raw is None else freeze(value(raw, where), where),
        lambda intent: None if intent.success_criteria is None else text_of(intent.success_criteria),
    ),
    "triggered_by": _Field("triggered_by", _text, _trigger),
    "generation_context": _Field("generation_context", _context, _written_context),
    "status": _Field("status", _status, lambda intent: intent.status.value.capitalize()),
    "priority": _Field("priority", _whole, lambda intent: min(max(intent.priority, 0), 2**32 - 1)),
    "created_at": _Field("created_at", _moment, lambda intent: _seconds(intent.created_at)),
    "updated_at": _Field("updated_at", _moment, lambda intent: _seconds(intent.updated_at)),
    "metadata": _Field("metadata", _metadata, _own_texts),
}
"""The fields of a record that are fields of ours."""
