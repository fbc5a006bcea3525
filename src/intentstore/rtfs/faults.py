"""The rules of an intent that is being built: every one is asked, so that all faults are known at once.

Owns what the named constraints may hold. What any field may hold is the intent's own rule, which is asked too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ..ground.errors import FieldInvalid, Invalid
from ..ground.times import read_time
from ..ground.types import Edge, Intent
from ..ground.values import Keyword, freeze
from .intents import PRIORITIES

Fault = tuple[str, str]
"""The field that is wrong, and what is wrong with it."""


def faults_of(
    fields: Mapping[str, Any],
    *,
    constraints: Iterable[tuple[str, Any]],
    edges: Iterable[tuple[str, str, float | None]],
) -> list[Fault]:
    """Returns everything that is wrong, field by field; nothing for an intent that can be built."""
    return [
        *_missing(fields),
        *_own_rules(fields),
        *((f"constraints.{name}", wrong) for name, value in constraints if (wrong := wrong_with(name, value))),
        *(fault for type, end, weight in edges for fault in _edge(type, end, weight)),
    ]


def raise_faults(faults: list[Fault]) -> None:
    """Raises one `Invalid` that lists the faults, if there are any."""
    if not faults:
        return
    said = "; ".join(f"{field} {problem}" for field, problem in faults)
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    listed = [{"field": field, "problem": problem} for field, problem in faults]
    raise Invalid(f"{count}: {said}", hint="suggest_completion() says what could be added", faults=listed)


def _missing(fields: Mapping[str, Any]) -> Iterator[Fault]:
    for field in ("name", "goal"):
        given = fields[field]
        if given is None or (isinstance(given, str) and not given.strip()):
            yield field, "is missing"


def _own_rules(fields: Mapping[str, Any]) -> Iterator[Fault]:
    """Yields what an intent says of each field by itself."""
    for field, given in fields.items():
        if field == "priority" and isinstance(given, str):
            if given.lower() not in PRIORITIES:
                yield field, f"{given!r} is not low, medium, high or critical"
            continue
        if given is None or (field in ("name", "goal") and isinstance(given, str) and not given.strip()):
            continue
        try:
            value = read_time(given, field) if field == "created_at" and isinstance(given, str) else given
            _ = Intent(goal="?").replace(**{"session_id" if field == "created_by" else field: value})
        except FieldInvalid as error:
            yield field if field == "created_by" else str(error.field), str(error.problem)


def _edge(type: str, end: str, weight: float | None) -> Iterator[Fault]:
    try:
        _ = Edge(source="?", type=type, target=end, weight=weight)  # type: ignore[arg-type]  # checked by Edge
    except FieldInvalid as error:
        yield f"edge {type} {end}", str(error)


# --- the named constraints ---


def settled(name: str, value: Any) -> Any:
    """Returns a constraint's value as it is kept: the words of the named ones are keywords."""
    if name in ("security-clearance", "preferred-style") and isinstance(value, str):
        return Keyword(value)
    if name == "data-locality":
        return tuple(Keyword(each) if isinstance(each, str) else each for each in value)
    return value


def wrong_with(name: str, value: Any) -> str:
    """Returns what is wrong with a constraint of this name, "" for nothing.

    >>> wrong_with("min-accuracy", 1.5), wrong_with("anything", 1.5)
    ('is outside 0 to 1', '')
    """
    try:
        freeze(value, "")
    except FieldInvalid as error:
        return str(error).strip()
    check = _CONSTRAINTS.get(name)
    return check(value) if check else ""


def _at_least_zero(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, not {type(value).__name__}"
    return "is negative" if value < 0 else ""


def _share(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, not {type(value).__name__}"
    return "" if 0 <= value <= 1 else "is outside 0 to 1"


def _retries(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"must be a whole number, not {type(value).__name__}"
    return "is negative" if value < 0 else "is over 100" if value > 100 else ""


def _deadline(value: Any) -> str:
    try:
        _ = value if isinstance(value, datetime) else read_time(value, "deadline")
    except FieldInvalid:
        return f"{value!r} is no moment with a zone; write 2026-01-02T03:04:05Z"
    return ""


def _words(value: Any) -> str:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str | Keyword) and each for each in value):
        return "must be a list of words"
    return "" if value else "is empty"


def _word(value: Any) -> str:
    return "" if isinstance(value, str | Keyword) and value else "must be a word"


_CONSTRAINTS: dict[str, Callable[[Any], str]] = {
    "max-cost": _at_least_zero,
    "deadline": _deadline,
    "data-locality": _words,
    "security-clearance": _word,
    "preferred-style": _word,
    "max-duration": _at_least_zero,
    "min-accuracy": _share,
    "max-retries": _retries,
}
