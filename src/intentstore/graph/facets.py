"""An intent taken apart: each field, each entry of a map and each label as one facet with one value.

What differs, who set what and what two copies made of the same goal are questions about facets. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from ..ground.query import same_value
from ..ground.types import INTENT_FIELDS, UNSTORED, Intent
from ..ground.values import Map

Facet = tuple[str, Any]
"""A field's name and, where the field is a map or the labels, the key in it; else None."""

ABSENT = UNSET
"""Stands for the value of a facet that an intent does not have; None is a value that an entry of a map may have."""
MAPS = ("constraints", "preferences", "generation_context", "metadata")
_PLAIN = tuple(
    field for field in INTENT_FIELDS if field not in (*MAPS, "labels", "id", "revision", "updated_at", "created_at")
)


def facets(intent: Intent | None) -> dict[Facet, Any]:
    """Returns every facet that has a value; neither id, revision and update time, which follow from the others.

    >>> facets(Intent(goal="Ship", labels={"ci"}, constraints={"max-cost": 5}))[("constraints", "max-cost")]
    5
    """
    if intent is None:
        return {}
    found: dict[Facet, Any] = {}
    for field in _PLAIN:
        value = getattr(intent, field)
        if value is not None:
            found[field, None] = value
    for field in MAPS:
        for key, value in getattr(intent, field).items():
            found[field, key] = value
    for label in intent.labels:
        found["labels", label] = True
    if intent.created_at is not UNSTORED:
        found["created_at", None] = intent.created_at
    return found


def with_facets(intent: Intent, changes: Mapping[Facet, Any]) -> Intent:
    """Returns the intent with these facets set, those that are `ABSENT` taken away."""
    fields: dict[str, Any] = {}
    for (field, key), value in changes.items():
        if field == "labels":
            labels: set[str] = fields.setdefault(field, set(intent.labels))
            (labels.discard if value is ABSENT else labels.add)(key)
        elif field in MAPS:
            items = fields.setdefault(field, dict(getattr(intent, field)))
            if value is ABSENT:
                items.pop(key, None)
            else:
                items[key] = value
        else:
            fields[field] = None if value is ABSENT else value
    return intent.replace(**{name: Map(value) if name in MAPS else value for name, value in fields.items()})


def changed(before: Mapping[Facet, Any], after: Mapping[Facet, Any]) -> dict[Facet, tuple[Any, Any]]:
    """Returns the facets that differ, each with its value before and after: `ABSENT` where it has none."""
    found: dict[Facet, tuple[Any, Any]] = {}
    for facet in (*before, *(facet for facet in after if facet not in before)):
        old, new = before.get(facet, ABSENT), after.get(facet, ABSENT)
        if not same_value(old, new):
            found[facet] = (old, new)
    return found
