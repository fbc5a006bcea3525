"""The RTFS text inside a CCOS backup: written as CCOS writes it, and held against the JSON beside it.

Knows the records of a backup. The JSON is what counts; the text is for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from ..ground.errors import FieldInvalid, Invalid
from ..ground.types import edge_key
from ..rtfs import parse
from ..rtfs.edges import edge_type

_MOST = 20
_NEEDED = {"from", "to", "edge_type"}
_FIELDS = (("goal", "goal"), ("name", "name"), ("priority", "priority"), ("rtfs_source", "rtfs_intent_source"))


def snapshot_text(intents: Iterable[Mapping[str, Any]], edges: Iterable[Any]) -> str:
    r"""Returns the text of these records: only backslash and quote are escaped, a newline stands as it is.

    What stands among the edges and is none is passed over.

    >>> print(snapshot_text([], [{"from": "a", "to": "b", "edge_type": "Blocks", "weight": 1.0}]))
    ;; Intent Graph Snapshot (hybrid backup)
    (intent-graph
      (intents
      )
      (edges
        (edge {:from "a" :to "b" :type "Blocks" :weight 1 })
      )
    )
    <BLANKLINE>
    """
    lines = [";; Intent Graph Snapshot (hybrid backup)", "(intent-graph", "  (intents"]
    lines += map(_intent, intents)
    lines += ["  )", "  (edges"]
    lines += [_edge(edge) for edge in edges if type(edge) is dict and edge.keys() >= _NEEDED]
    return "\n".join([*lines, "  )", ")", ""])


def _intent(record: Mapping[str, Any]) -> str:
    name, source = record.get("name"), record.get("rtfs_intent_source")
    more = "" if name is None else f' :name "{_escaped(name)}"'
    more += f' :rtfs-intent "{_escaped(source)}"' if source else ""
    head = f':id "{_escaped(record["intent_id"])}" :goal "{_escaped(record["goal"])}"'
    return f'    (intent {{{head} :status "{record.get("status")}" :priority {record.get("priority")}{more} }})'


def _edge(record: Mapping[str, Any]) -> str:
    weight = record.get("weight")
    more = "" if weight is None else f" :weight {_plain(weight)}"
    ends = f':from "{_escaped(record["from"])}" :to "{_escaped(record["to"])}"'
    return f'    (edge {{{ends} :type "{record["edge_type"]}"{more} }})'


def _escaped(text: Any) -> str:
    return str(text).replace("\\", "\\\\").replace('"', '\\"')


def _plain(weight: Any) -> str:
    """Returns a number as Rust displays it: shortest digits, no exponent, no point behind a whole one."""
    return format(Decimal(repr(float(weight))), "f").removesuffix(".0") if type(weight) in (int, float) else "nil"


# --- against the JSON ---


def contradictions(text: str, intents: Mapping[str, Any], edges: Iterable[Any]) -> Iterator[str]:
    """Yields what the text says otherwise than the records do, the first twenty things of it."""
    try:
        document = parse(text)
    except Invalid as error:
        yield f"cannot be read: {error}"
        return
    found = [*_of_intents({intent.id: intent for intent in document.intents}, intents)]
    said = {tuple(map(str, edge.key)) for edge in document.edges}
    listed = {tuple(map(str, _key(edge))) for edge in edges if type(edge) is dict}
    found += [f"has the edge {' '.join(key)}, which the JSON lacks" for key in sorted(said - listed)]
    found += [f"lacks the edge {' '.join(key)}" for key in sorted(listed - said)]
    yield from found[:_MOST]
    if len(found) > _MOST:
        yield f"differs in {len(found) - _MOST} more things"


def _of_intents(said: Mapping[str, Any], records: Mapping[str, Any]) -> Iterator[str]:
    for id in records:
        if id not in said:
            yield f"lacks the intent {id}"
            continue
        intent, record = said[id], records[id]
        for ours, theirs in _FIELDS:
            if (getattr(intent, ours) or None) != (record.get(theirs) or None):
                yield f"says another {theirs} of {id}"
        if str(intent.status) != str(record.get("status")).lower():
            yield f"says another status of {id}"
    yield from (f"has the intent {id}, which the JSON lacks" for id in said if id not in records)


def _key(record: Mapping[str, Any]) -> tuple[str, str, str]:
    source, target, name = (str(record.get(field)) for field in ("from", "to", "edge_type"))
    try:
        return edge_key(source, edge_type(name), target)
    except FieldInvalid:
        return source, name, target
