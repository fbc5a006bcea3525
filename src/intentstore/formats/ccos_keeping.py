"""What travels beside the fields: an intent's in a CCOS record's metadata, a record's in an intent's metadata.

`intent_of` and `record_of` are each other's inverse, for every record and for every intent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..codec import intent_from, jsonable, strict_loads
from ..codec.wire import from_wire, map_from_wire, to_wire
from ..ground.errors import FieldInvalid, Invalid
from ..ground.types import INTENT_FIELDS, UNSTORED, Intent
from ..ground.values import EMPTY, Map, freeze_map
from .ccos_intent import CARRIER, FIELDS, KEPT, ORDER, ValueReader, plain_record, read_fields, today_value
from .ccos_value import older_value
from .kept import same, thaw

_SHAPES = {"fields": Map, "entries": Map, "absent": tuple, "edges": tuple, "parent": str, "children": tuple}
_ENTRIES = ("constraints", "preferences", "metadata")
_CARRIED = tuple(field for field in INTENT_FIELDS if field not in ("id", "goal", "revision", "metadata"))
_BY_OURS = {field.ours: (name, field) for name, field in FIELDS.items()}


def intent_of(record: Any) -> Intent:
    """Returns the intent a record describes, with all of the record kept in it.

    >>> intent = intent_of({"intent_id": "i-1", "goal": "Ship", "rtfs_intent_source": "", "constraints": {"max": "25"}})
    >>> intent.goal, intent.constraints
    ('Ship', Map({'max': 25}))
    """
    if type(record) is not dict:
        raise FieldInvalid("the intent", f"must be an object, not {type(record).__name__}", hint="see the file")
    found = read_fields(record)
    intent = Intent(**found)
    carried = _carried(record)
    if carried is not None:
        intent = _with_carried(intent, carried, record)
    kept: dict[str, Any] = _kept(record, intent)
    if CARRIER in (record.get("metadata") or {}):
        trial = _with_kept(intent, kept)
        if record_of(trial)["metadata"].get(CARRIER) != record["metadata"][CARRIER]:
            entries = kept.setdefault("entries", {})
            entries.setdefault("metadata", {})[CARRIER] = record["metadata"][CARRIER]
    return _with_kept(intent, kept)


def record_of(intent: Intent) -> dict[str, Any]:
    """Returns the record of an intent: as it came, but for what was changed here since; without parent and children."""
    kept = kept_in(intent)
    record = plain_record(intent)
    _restore(record, kept, intent)
    carrier = thaw(kept.get("entries", EMPTY)).get("metadata", {}).get(CARRIER)
    if carrier is not None:
        with_it = {**record, "metadata": {**record["metadata"], CARRIER: carrier}}
        if _same_intent(_read_back(with_it), intent):
            return with_it
    carried = _to_carry(intent, _read_back(record))
    if carried:
        record["metadata"] = {**record["metadata"], CARRIER: msgspec.json.encode(carried).decode()}
    return record


def kept_in(intent: Intent) -> Map:
    """Returns what is kept of the record an intent came from."""
    kept = intent.metadata.get(KEPT)
    return kept if type(kept) is Map and is_kept(kept) else EMPTY


def is_kept(value: Any) -> bool:
    """True for what this module keeps; whatever else stands under its name is somebody's own."""
    if type(value) is not Map or not value or not value.keys() <= _SHAPES.keys():
        return False
    return all(type(item) is _SHAPES[name] for name, item in value.items()) and all(
        name in _ENTRIES and type(odd) is Map for name, odd in value.get("entries", EMPTY).items()
    )


def with_kept(intent: Intent, **items: Any) -> Intent:
    """Returns the intent keeping these things of its record too; None takes one away."""
    kept = {**kept_in(intent), **items}
    return _with_kept(intent, {key: value for key, value in kept.items() if value is not None})


def _with_kept(intent: Intent, kept: Mapping[str, Any]) -> Intent:
    if not kept and kept_in(intent) is EMPTY:
        return intent
    rest = {key: value for key, value in intent.metadata.items() if key != KEPT}
    return intent.replace(metadata=freeze_map({**rest, KEPT: kept} if kept else rest, "metadata"))


# --- kept: the record's, in our metadata ---


def _kept(record: dict[str, Any], intent: Intent) -> dict[str, Any]:
    """Returns what `record_of` needs beside the intent to give the record back."""
    plain = plain_record(intent)
    fields: dict[str, Any] = {}
    entries: dict[str, Any] = {}
    for name, raw in record.items():
        if name in ("intent_id", "parent_intent", "child_intents"):
            continue
        if name in _ENTRIES and type(raw) is dict:
            odd = {key: item for key, item in raw.items() if key != CARRIER and not _has(plain[name], key, item)}
            if odd:
                entries[name] = odd
        elif name not in plain or not same(plain[name], raw):
            fields[name] = raw
    kept = {"fields": fields, "entries": entries, "absent": [name for name in ORDER if name not in record]}
    return {name: found for name, found in kept.items() if found}


def _has(written: dict[str, Any], key: str, raw: Any) -> bool:
    return key in written and same(written[key], raw)


def _restore(record: dict[str, Any], kept: Map, intent: Intent) -> None:
    """Lays the kept spellings over the record, each as long as the intent still says what it says."""
    value = older_value if "rtfs_intent_source" in kept.get("absent", ()) else today_value
    fields = thaw(kept.get("fields", EMPTY)).items()
    record.update({name: raw for name, raw in fields if name not in FIELDS or _still(name, raw, intent, value)})
    for name, odd in thaw(kept.get("entries", EMPTY)).items():
        field = FIELDS[name]
        now = getattr(intent, field.ours)
        for key, raw in odd.items():
            if key == CARRIER:
                continue
            said = field.read({key: raw}, name, value)
            if not said or (key in now and _alike(now[key], said[key])):
                record[name] = {**record[name], key: raw}
    for name in kept.get("absent", ()):
        if (name in FIELDS and (name.endswith("_at") or _is_default(intent, FIELDS[name].ours))) or name not in FIELDS:
            record.pop(name, None)


def _still(name: str, raw: Any, intent: Intent, value: ValueReader) -> bool:
    try:
        said = FIELDS[name].read(raw, name, value)
    except FieldInvalid:
        return False
    return _alike(said, getattr(intent, FIELDS[name].ours))


def _is_default(intent: Intent, ours: str) -> bool:
    return _alike(getattr(intent, ours), getattr(_BARE, ours))


_BARE = Intent(goal="?")


def _alike(a: Any, b: Any) -> bool:
    """True when two field values are the same to the last digit."""
    if type(a) is not type(b):
        return False
    return bool(a == b) and msgspec.json.encode(jsonable(a)) == msgspec.json.encode(jsonable(b))


# --- carried: ours, in the record's metadata ---


def _carried(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns what a record carries for us, None where it carries nothing that is ours."""
    text = (record.get("metadata") or {}).get(CARRIER)
    if type(text) is not str:
        return None
    try:
        found = strict_loads(text, CARRIER)
    except Invalid:
        return None
    known = {*_CARRIED, "metadata", "order"}
    return found if type(found) is dict and found.keys() <= known else None


def _with_carried(intent: Intent, carried: dict[str, Any], record: Mapping[str, Any]) -> Intent:
    """Returns the intent with what is carried, each field as long as the record still says what it said then."""
    for ours in [ours for ours in _CARRIED if ours in carried]:
        try:
            value = getattr(intent_from({"goal": "?", ours: carried[ours]}), ours)
        except Invalid:
            continue
        name, field = _BY_OURS.get(ours, ("", None))
        candidate = intent.replace(**{ours: value})
        if field is None or (name in record and same(field.write(candidate), record[name])):
            intent = candidate
    try:
        more = map_from_wire(carried.get("metadata", {}), "metadata")
        order = [from_wire(key, "order") for key in carried.get("order", ())]
    except (Invalid, TypeError):
        return intent
    raw = record["metadata"]
    added = {key: value for key, value in more.items() if key not in raw or (type(value) is str and raw[key] == value)}
    metadata = {**intent.metadata, **added}
    placed = {key: metadata[key] for key in order if key in metadata}
    return intent.replace(metadata=freeze_map({**placed, **metadata}, "metadata"))


def _to_carry(intent: Intent, back: Intent) -> dict[str, Any]:
    """Returns what an intent says that reading its record would not give back."""
    carried: dict[str, Any] = {}
    for ours in _CARRIED:
        value = getattr(intent, ours)
        if value is not UNSTORED and not _alike(value, getattr(back, ours)):
            carried[ours] = jsonable(value)
    wanted = {key: value for key, value in intent.metadata.items() if key != KEPT or not is_kept(value)}
    given = {key: value for key, value in back.metadata.items() if key != KEPT or not is_kept(value)}
    more = {key: value for key, value in wanted.items() if key not in given or not _alike(given[key], value)}
    if more:
        carried["metadata"] = to_wire(freeze_map(more, "metadata"))
        carried["order"] = [to_wire(key) for key in wanted]
    return carried


def _read_back(record: dict[str, Any]) -> Intent:
    intent = Intent(**read_fields(record))
    carried = _carried(record)
    return intent if carried is None else _with_carried(intent, carried, record)


def _same_intent(back: Intent, intent: Intent) -> bool:
    names = [key for key, value in intent.metadata.items() if key != KEPT or not is_kept(value)]
    return not _to_carry(intent, back) and list(back.metadata) == names
