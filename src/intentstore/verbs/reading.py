"""From what a person writes to what the graph takes: ids by their beginnings, ``K=V``, relative times, filters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..ground.errors import FieldInvalid
from ..ground.query import EVERYTHING, IntentFilter, Sort, write_cursor
from ..ground.types import MAX_INTENT_BYTES, IntentId, check_id
from ..ground.values import Map, freeze_map

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph

_CANDIDATES = 8
_BY_ID = Sort("id")


def resolve(graph: IntentGraph, given: str, field: str = "id") -> IntentId:
    """Returns the id that is meant: the id itself, else the only one that begins so, else what was given.

    Several that begin so are `FieldInvalid`, naming them.
    """
    check_id(given, field)
    if graph.get(given) is not None:
        return given
    behind = write_cursor(_BY_ID, given, given)
    page = graph.list(EVERYTHING, sort=_BY_ID, limit=_CANDIDATES, after=behind)
    begin_so = [intent.id for intent in page.intents if intent.id.startswith(given)]
    if len(begin_so) > 1:
        more = ", …" if len(begin_so) == _CANDIDATES else ""
        raise FieldInvalid(
            field,
            f"{given!r} is the beginning of several ids: {', '.join(begin_so)}{more}",
            hint="write more of the id",
            candidates=begin_so,
        )
    return begin_so[0] if begin_so else given


def resolve_all(graph: IntentGraph, given: Sequence[str], field: str = "id") -> list[IntentId]:
    """Returns the ids that are meant, in order, each once."""
    return list(dict.fromkeys(resolve(graph, each, field) for each in given))


# --- values ---

_NOT_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})


def read_value(text: str, where: str) -> Any:
    """Returns the value that a word stands for: strict JSON where it is JSON, else the text itself.

    What is JSON but no value of ours (NaN, 2^63, a key twice) is `FieldInvalid`, never quietly a text.
    """
    from ..codec import strict_loads, value_from_json

    try:
        return value_from_json(strict_loads(text, where), where)
    except FieldInvalid as error:
        problem = str(error.fields.get("problem", ""))
        prose = problem.startswith("is not JSON") or ("NaN" in problem and text[:1] not in ("[", "{"))
        if text in _NOT_NUMBERS or not prose:
            raise
        return text


def pairs(given: Sequence[str], field: str) -> Map:
    """Returns ``("max-cost=5", …)`` as a map; a word without ``=`` and a key given twice are refused."""
    found: dict[str, Any] = {}
    for each in given:
        key, equals, text = each.partition("=")
        if not equals or not key:
            raise FieldInvalid(field, f"{each!r} is not KEY=VALUE", hint="write it as KEY=VALUE")
        if key in found:
            raise FieldInvalid(field, f"holds the key {key!r} twice", hint="keep one of the two")
        found[key] = read_value(text, f"{field}.{key}")
    return freeze_map(found, field)


def read_text(given: str | BinaryIO, field: str) -> str:
    """Returns the whole text of a path or stream, up to the size an intent may have."""
    try:
        if isinstance(given, str):
            with Path(given).open("rb") as file:
                data = file.read(MAX_INTENT_BYTES + 1)
        else:
            data = given.read(MAX_INTENT_BYTES + 1)
        text = data.decode()
    except UnicodeDecodeError as error:
        raise FieldInvalid(field, f"is not UTF-8: byte {error.start}", hint="save it as UTF-8") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FieldInvalid(field, f"{given} cannot be read: {why}", hint="name a file that can be read") from None
    if len(data) > MAX_INTENT_BYTES:
        raise FieldInvalid(field, f"is longer than {MAX_INTENT_BYTES} bytes", hint="name a smaller file")
    return text


# --- times ---

_SPAN = r"(?:(\d{1,6})\s*(w|d|h|m|min|s|weeks?|days?|hours?|minutes?|seconds?))(?:\s+ago)?"
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DATE = r"\d{4}-\d{2}-\d{2}"


def read_when(text: str, field: str, *, now: datetime | None = None) -> datetime:
    """Returns the moment: RFC 3339, a date (its midnight in UTC), or a span back from now.

    >>> noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    >>> read_when("2d", "created_after", now=noon).isoformat()
    '2026-05-02T12:00:00+00:00'
    """
    from ..codec.wire import read_time

    now = now or datetime.now(UTC)
    word = text.strip().lower()
    if word == "now":
        return now
    if word in ("today", "yesterday"):
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if word == "today" else midnight - timedelta(days=1)
    span = re.fullmatch(_SPAN, word, re.ASCII)
    try:
        if span:
            return now - timedelta(seconds=int(span[1]) * _SECONDS[span[2][0]])
        return read_time(f"{word}T00:00:00Z" if re.fullmatch(_DATE, word, re.ASCII) else text.strip().upper(), field)
    except (FieldInvalid, OverflowError) as error:
        problem = error.fields["problem"] if isinstance(error, FieldInvalid) else f"{text!r} is out of range"
        hint = "write 2026-01-02T03:04:05Z, 2026-01-02, or a span such as 2d or '3h ago'"
        raise FieldInvalid(field, str(problem), hint=hint) from None


def read_point(text: str, field: str, *, now: datetime | None = None) -> int | datetime:
    """Returns the revision that plain digits name, else the moment that `read_when` reads.

    >>> read_point("42", "as_of"), read_point("2026-05-04", "as_of").isoformat()
    (42, '2026-05-04T00:00:00+00:00')
    """
    word = text.strip()
    if word.isascii() and word.isdigit() and len(word) < 20:
        return int(word)
    try:
        return read_when(text, field, now=now)
    except FieldInvalid as error:
        hint = "write a revision, 2026-01-02T03:04:05Z, 2026-01-02, or a span such as 2d or '3h ago'"
        raise FieldInvalid(field, str(error.fields["problem"]), hint=hint) from None


def read_later(text: str, field: str, *, now: datetime | None = None) -> datetime:
    """Returns the moment: as `read_when`, but that a span counts forward from now."""
    now = now or datetime.now(UTC)
    word = text.strip().lower()
    if re.fullmatch(_SPAN, word, re.ASCII) and not word.endswith("ago"):
        return now + (now - read_when(word, field, now=now))
    return read_when(text, field, now=now)


# --- filters ---

_TIMES = ("created_after", "created_before", "updated_after", "updated_before")


def read_filter(graph: IntentGraph, given: dict[str, Any]) -> IntentFilter:
    """Returns the filter that the arguments of ``list`` and ``count`` describe; ``where`` is ANDed with the rest."""
    found: dict[str, Any] = {}
    for field in _TIMES:
        if given.get(field) is not None:
            found[field] = read_when(given[field], field)
    for argument, field in (("goal", "goal_contains"), ("name", "name_contains"), ("session", "session_id")):
        if given.get(argument) is not None:
            found[field] = given[argument]
    for field in ("text", "priority_min", "priority_max", "triggered_by", "claimed_by"):
        if given.get(field) is not None:
            found[field] = given[field]
    if given.get("status"):
        found["status"] = [name.strip() for each in given["status"] for name in each.split(",")]
    for argument, field in (("label", "labels_all"), ("any_label", "labels_any")):
        if given.get(argument):
            found[field] = frozenset(given[argument])
    if given.get("meta"):
        found["metadata"] = pairs(given["meta"], "metadata")
    if given.get("near") is not None:
        from ..ground.query import ConnectedTo

        found["connected_to"] = ConnectedTo(id=resolve(graph, given["near"], "near"))
    if given.get("where") is None:
        return IntentFilter(**found)
    from ..codec import filter_from, strict_loads

    asked = filter_from(strict_loads(given["where"], "where"))
    return IntentFilter(**found, any_of=(asked,)) if found else asked
