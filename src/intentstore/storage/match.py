"""The one meaning of an `IntentFilter`, for storages that look at intents one by one; SQL is tested against it."""

from __future__ import annotations

from typing import Protocol

from ..ground.query import IntentFilter, Walk, same_value
from ..ground.search import meets, parse
from ..ground.types import Edge, Intent, IntentId


class _Edges(Protocol):
    def neighbours(self, ids: list[IntentId], walk: Walk) -> list[Edge]: ...


def matches(intent: Intent, where: IntentFilter, edges: _Edges) -> bool:
    """True when the filter means this intent."""
    return (
        _by_identity(intent, where)
        and _by_number_and_time(intent, where)
        and _by_text(intent, where)
        and _by_labels_and_metadata(intent, where)
        and _by_edges(intent, where, edges)
        and (not where.any_of or any(matches(intent, inner, edges) for inner in where.any_of))
        and (where.not_ is None or not matches(intent, where.not_, edges))
    )


def _by_identity(intent: Intent, where: IntentFilter) -> bool:
    return (
        (where.status is None or intent.status in where.status)
        and (where.ids is None or intent.id in where.ids)
        and (where.session_id is None or intent.session_id == where.session_id)
        and (where.triggered_by is None or intent.triggered_by == where.triggered_by)
        and (where.claimed_by is None or (intent.claim is not None and intent.claim.owner == where.claimed_by))
    )


def _by_number_and_time(intent: Intent, where: IntentFilter) -> bool:
    return (
        (where.priority_min is None or intent.priority >= where.priority_min)
        and (where.priority_max is None or intent.priority <= where.priority_max)
        and (where.created_after is None or intent.created_at >= where.created_after)
        and (where.created_before is None or intent.created_at < where.created_before)
        and (where.updated_after is None or intent.updated_at >= where.updated_after)
        and (where.updated_before is None or intent.updated_at < where.updated_before)
    )


def _by_text(intent: Intent, where: IntentFilter) -> bool:
    if where.goal_contains is not None and where.goal_contains.casefold() not in intent.goal.casefold():
        return False
    if where.name_contains is not None and where.name_contains.casefold() not in (intent.name or "").casefold():
        return False
    return where.text is None or meets(intent, parse(where.text))


def _by_labels_and_metadata(intent: Intent, where: IntentFilter) -> bool:
    if where.labels_all and not where.labels_all.issubset(intent.labels):
        return False
    if where.labels_any and where.labels_any.isdisjoint(intent.labels):
        return False
    return all(
        key in intent.metadata and same_value(intent.metadata[key], value) for key, value in where.metadata.items()
    )


def _by_edges(intent: Intent, where: IntentFilter, edges: _Edges) -> bool:
    if where.has_edge is None:
        return True
    return bool(edges.neighbours([intent.id], Walk(types=where.has_edge.types, direction=where.has_edge.direction)))
