"""Intents and edges as their canonical RTFS forms; what `intents` and `edges` read back is the same to the last field.

Knows the order and the spelling of fields; how a value is printed is `printer`'s.
"""

from __future__ import annotations

from typing import Any

from ..ground.times import write_time
from ..ground.types import UNSTORED, Edge, Intent, IntentStatus
from ..ground.values import Keyword, Map
from .edges import CCOS_TYPES
from .intents import KNOWN, PRIORITIES, UNKNOWN, WORD
from .printer import WIDTH, bracket, entries, inline, is_word, laid_out, text
from .spelling import known_as


class _Entries:
    """A map whose string keys are written as keywords, for that is what the fields of an intent are in RTFS."""

    __slots__ = ("map",)

    def __init__(self, map: Map) -> None:
        self.map = map


def write_intent(intent: Intent, *, width: int | None = WIDTH) -> str:
    """Returns the intent in its canonical form, broken over lines where it is wider; ``width`` None: on one line.

    >>> write_intent(Intent(name="ship", goal="Ship 1.0", constraints={"max-cost": 10.0}))
    '(intent "ship" :goal "Ship 1.0" :constraints {:max-cost 10.0})'
    """
    fields = list(_fields(intent))
    head = "(intent {" if intent.name is None else f"(intent {text(intent.name)} "
    tail = "})" if intent.name is None else ")"
    on_one = bracket(head, " ".join([f":{key} {_inline(value)}" for key, value in fields]), tail)
    if width is None or len(on_one) <= width:
        return on_one
    lines = "\n  ".join([f":{key} {_laid_out(key, value, width)}" for key, value in fields])
    return bracket(head.rstrip() + "\n  ", lines, "\n})" if intent.name is None else ")")


def field_texts(intent: Intent, *, width: int = WIDTH) -> list[tuple[str, str]]:
    """Returns the canonical fields of an intent in their order, each value as text laid out at its place."""
    return [(key, _laid_out(key, value, width)) for key, value in _fields(intent)]


def write_edge(edge: Edge) -> str:
    """Returns the edge in its canonical form, on one line.

    >>> write_edge(Edge(source="a", type="depends_on", target="b", weight=0.5))
    '(edge {:from "a" :to "b" :type "DependsOn" :weight 0.5})'
    """
    fields: list[tuple[str, Any]] = [
        ("from", edge.source),
        ("to", edge.target),
        ("type", CCOS_TYPES.get(edge.type, str.__str__(edge.type))),
    ]
    if edge.weight is not None:
        fields.append(("weight", edge.weight))
    if edge.metadata:
        fields.append(("metadata", _Entries(edge.metadata)))
    if edge.created_at is not UNSTORED:
        fields.append(("created-at", write_time(edge.created_at)))
    if edge.revision:
        fields.append(("revision", edge.revision))
    return bracket("(edge {", " ".join([f":{key} {_inline(value)}" for key, value in fields]), "})")


def _fields(intent: Intent) -> list[tuple[str, Any]]:
    metadata, priority, unknown = _split(intent)
    claim = intent.claim
    given: list[tuple[str, Any, bool]] = [
        ("goal", intent.goal, True),
        ("constraints", _Entries(intent.constraints), bool(intent.constraints)),
        ("preferences", _Entries(intent.preferences), bool(intent.preferences)),
        ("success-criteria", intent.success_criteria, intent.success_criteria is not None),
        ("id", intent.id, intent.id != ""),
        ("status", intent.status.value, intent.status is not IntentStatus.ACTIVE),
        ("priority", priority, priority != 0 or type(priority) is Keyword),
        ("labels", intent.labels, intent.labels != ()),
        ("original-request", intent.original_request, intent.original_request is not None),
        ("session-id", intent.session_id, intent.session_id is not None),
        ("triggered-by", intent.triggered_by, intent.triggered_by is not None),
        ("generation-context", _Entries(intent.generation_context), bool(intent.generation_context)),
        ("metadata", _Entries(metadata), bool(metadata)),
        ("created-at", write_time(intent.created_at), intent.created_at is not UNSTORED),
        ("updated-at", write_time(intent.updated_at), intent.updated_at is not UNSTORED),
        ("revision", intent.revision, intent.revision != 0),
    ]
    found = [(key, value) for key, value, there in given if there]
    if claim is not None:
        held = {"owner": claim.owner, "token": claim.token, "until": write_time(claim.until)}
        found.append(("claim", _Entries(Map.trusted(held, plain=True))))
    if intent.rtfs_source is not None:
        found.append(("rtfs-intent", intent.rtfs_source))
    return [*found, *unknown]


def _split(intent: Intent) -> tuple[Map, Any, list[tuple[str, Any]]]:
    """Returns the metadata proper, the priority as it is written, and the keys that came as keys of the form.

    They are taken from the end only, for there the reader puts them: so the order of the metadata comes back too.
    """
    left = list(intent.metadata.items())
    unknown: list[tuple[str, Any]] = []
    while left and _is_unknown(left[-1][0]):
        name, value = left.pop()
        unknown.insert(0, (name.removeprefix(UNKNOWN), value))
    if len({known_as(name) for name, _ in unknown}) < len(unknown):  # :a_b and :a-b are one key to the reader
        left, unknown = list(intent.metadata.items()), []
    priority: Any = intent.priority
    if left and left[-1][0] == WORD:
        word = left[-1][1]
        if type(word) is str and PRIORITIES.get(word) == priority:
            priority = Keyword(word)
            left.pop()
    whole = len(left) == len(intent.metadata)
    return (intent.metadata if whole else Map.trusted(dict(left), plain=False)), priority, unknown


def _is_unknown(name: Any) -> bool:
    if type(name) is not str or not name.startswith(UNKNOWN):
        return False
    key = name.removeprefix(UNKNOWN)
    return is_word(key) and known_as(key) not in KNOWN


def _inline(value: Any) -> str:
    return write_entries(value.map) if type(value) is _Entries else inline(value)


def write_entries(entries: Map) -> str:
    """Returns a map of named entries on one line, ``{:name value}``; `intents.entries_of` reads it back."""
    if any(type(name) is Keyword for name in entries):
        pairs = [bracket("[", f"{inline(name)} {inline(value)}", "]") for name, value in entries.items()]
        return f"(intentstore/map [{' '.join(pairs)}])"
    return bracket("{", " ".join([f"{_entry(name)} {inline(value)}" for name, value in entries.items()]), "}")


def _entry(name: Any) -> str:
    if type(name) is str:
        return f":{name}" if is_word(name) else text(name)
    return str(name)


def _laid_out(key: str, value: Any, width: int) -> str:
    column = len(key) + 4
    if type(value) is not _Entries:
        return laid_out(value, width=width, column=column, indent=1)
    on_one = write_entries(value.map)
    if column + len(on_one) <= width or not on_one.startswith("{"):
        return on_one
    return entries([(_entry(name), item) for name, item in value.map.items()], width=width, indent=1)
