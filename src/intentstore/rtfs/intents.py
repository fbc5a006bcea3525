"""An intent from its RTFS form: which key is which field, and what becomes of the keys that are none.

Takes every spelling of docs/rtfs.md and keeps every key. Knows forms and intents; has never heard of a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..ground.errors import FieldInvalid
from ..ground.times import read_time
from ..ground.types import Claim, Intent, as_status
from ..ground.values import EMPTY, Keyword, Map, Symbol, freeze
from .spelling import Field, Spelled, take_apart

PRIORITIES = {"low": 25, "medium": 50, "high": 75, "critical": 100}
"""What the words for a priority count, here where priorities are numbers."""
WORD = "priority_word"
"""In an intent's metadata: the word its priority came as."""
CREATOR = "created_by"
"""In an intent's metadata: who made it, as a builder's block says."""
UNKNOWN = "rtfs."
"""How the names of metadata entries begin that are keys of the form which are no fields here."""

_KEEP: Any = object()  # what a field says has no place of its own: it is kept like an unknown key


def intent_of(text: str, *, line: int = 1, column: int = 1) -> Intent:
    """Returns the intent that is the whole text, in list or map form; its ``rtfs_source`` is the text itself.

    >>> intent_of('(intent "ship" :goal "Ship 1.0" :priority "high" :team :core)').metadata
    Map({'priority_word': 'high', 'rtfs.team': Keyword(name='core')})
    """
    return intent_from(take_apart(text, line=line, column=column))


def intent_from(spelled: Spelled, *, goal: str | None = None, source: bool = True) -> Intent:
    """Returns the intent a form means.

    ``goal`` stands in where the form has none. Without ``source`` the form is nobody's source, and not kept as one.
    """
    fields = dict(spelled.fields)
    found: dict[str, Any] = {"rtfs_source": spelled.text} if source else {}
    if spelled.text.startswith("{"):
        _check_map_form(spelled, fields)
    at = 0
    try:
        found["name"] = _name(spelled, fields)
        found["goal"] = _goal(spelled, fields, goal)
        for key, field in list(fields.items()):
            entry = _FIELDS.get(key)
            if entry is None:
                continue
            at = field.at
            to, take = entry
            if to in found and to != "rtfs_source":
                spelled.fail(at, f"{key} says again what another key says", hint="keep one of the two")
            taken = take(field, spelled)
            if taken is not _KEEP:
                found[to] = taken
                del fields[key]
        at = 0
        found["metadata"] = _metadata(spelled, found, fields)
        return Intent(**found)
    except FieldInvalid as error:
        raise spelled.placed(error, at) from error.__cause__


def _check_map_form(spelled: Spelled, fields: dict[str, Field]) -> None:
    kind = fields.pop("type", None)
    if kind is None or kind.value != "intent":
        spelled.fail(0, 'a map is an intent when its :type is "intent"', hint='write {:type "intent" :name … :goal …}')
    if "name" not in fields:
        spelled.fail(0, "the intent has no name", hint='write :name "…"')


def _name(spelled: Spelled, fields: dict[str, Field]) -> str | None:
    if spelled.names:
        name, begin = spelled.names[0]
        if name is not None and type(name) not in (str, Symbol):
            spelled.fail(begin, "expected a name", hint='write (intent "name" :goal "…")')
        return name.name if type(name) is Symbol else name
    named = fields.pop("name", None)
    return None if named is None else _text(named, spelled)


def _goal(spelled: Spelled, fields: dict[str, Field], goal: str | None) -> str:
    said = fields.pop("goal", None) or fields.pop("description", None)
    if said is not None:
        return said.value if type(said.value) is str else spelled.said(said.at)
    if goal is None:
        spelled.fail(0, "the intent has no goal", hint='write :goal "…"')
    return goal


def _metadata(spelled: Spelled, found: dict[str, Any], left: dict[str, Field]) -> Map:
    """Returns the form's metadata, with what else is kept there behind it."""
    metadata: Map = found.pop("metadata", EMPTY)
    more: dict[str, Any] = {}
    if CREATOR in found:
        more[CREATOR] = found.pop(CREATOR)
    if type(found.get("priority")) is str:
        more[WORD] = found["priority"]
        found["priority"] = PRIORITIES[found["priority"]]
    for field in left.values():
        more[UNKNOWN + field.name] = freeze(field.value, UNKNOWN + field.name, 1)
    for key, value in more.items():
        if metadata.get(key, value) != value:
            at = next((field.at for field in left.values() if UNKNOWN + field.name == key), 0)
            spelled.fail(at, f"{key} is said twice, here and in the metadata", hint="keep one of the two")
    return Map.of({**metadata, **more}) if more else metadata


# --- what a field may hold ---


def _text(field: Field, spelled: Spelled) -> Any:
    match field.value:
        case None | str():
            return field.value
        case Keyword(name=name) | Symbol(name=name):
            return name
    raise FieldInvalid(field.name, f"must be text, not {spelled.said(field.at)[:40]}", hint=f'write :{field.name} "…"')


def _id(field: Field, spelled: Spelled) -> str:
    named = type(field.value) in (str, Keyword, Symbol, type(None))
    return _text(field, spelled) or "" if named else spelled.said(field.at)


def _priority(field: Field, spelled: Spelled) -> Any:
    """Returns the number, or the word in lower case if it is one of the four."""
    if type(field.value) is int:
        return field.value
    word = str(_text(field, spelled)).lower() if type(field.value) in (str, Keyword, Symbol) else ""
    return word if word in PRIORITIES else _KEEP


def _names(field: Field, _: Spelled) -> Any:
    if type(field.value) is tuple and all(type(each) in (str, Keyword, Symbol) for each in field.value):
        return [each if type(each) is str else each.name for each in field.value]
    return _KEEP


def _moment(field: Field, _: Spelled) -> datetime:
    return field.value if type(field.value) is datetime else read_time(field.value, field.name)


def _list_or_map(field: Field, spelled: Spelled) -> Any:
    """Returns a vector as a map by position: careless writers give constraints as a list."""
    if type(field.value) is tuple:
        return Map.of(dict(enumerate(field.value)))
    return entries_of(field, spelled)


def entries_of(field: Field, spelled: Spelled) -> Any:
    """Returns a map whose keywords are the names of its entries, as text; `FieldInvalid` for one said twice."""
    if type(field.value) is not Map:
        return _KEEP
    if spelled.text[field.at] == "(":  # one of our tagged maps: its keys are what they are
        return field.value
    entries = {key.name if type(key) is Keyword else key: value for key, value in field.value.raw.items()}
    if len(entries) != len(field.value):
        raise FieldInvalid(field.name, "holds a key as keyword and as string", hint="keep one of the two")
    return Map.of(entries)


def _claim(field: Field, spelled: Spelled) -> Any:
    entries = entries_of(field, spelled)
    if entries is _KEEP or set(entries) != {"owner", "token", "until"}:
        return _KEEP
    return Claim(owner=entries["owner"], token=entries["token"], until=read_time(entries["until"], "claim.until"))


def _whole(field: Field, _: Spelled) -> Any:
    return field.value if type(field.value) is int else _KEEP


_FIELDS: dict[str, tuple[str, Callable[[Field, Spelled], Any]]] = {
    "id": ("id", _id),
    "intent-id": ("id", _id),
    "status": ("status", lambda field, spelled: as_status(str(_text(field, spelled)).lower())),
    "priority": ("priority", _priority),
    "constraints": ("constraints", _list_or_map),
    "preferences": ("preferences", _list_or_map),
    "success-criteria": ("success_criteria", lambda field, _: field.value),
    "labels": ("labels", _names),
    "original-request": ("original_request", _text),
    "session-id": ("session_id", _text),
    "triggered-by": ("triggered_by", _text),
    "generation-context": ("generation_context", entries_of),
    "metadata": ("metadata", entries_of),
    "created-at": ("created_at", _moment),
    "updated-at": ("updated_at", _moment),
    "created-by": (CREATOR, _text),
    "claim": ("claim", _claim),
    "revision": ("revision", _whole),
    "rtfs-intent": ("rtfs_source", _text),
    "rtfs-source": ("rtfs_source", _text),
    "rtfs-intent-source": ("rtfs_source", _text),
}
KNOWN = frozenset({*_FIELDS, "goal", "name", "type"})
"""The keys that mean something in some spelling: no unknown entry of the metadata is written under one of them."""
