"""Verbs that ask the log what was, and take it back: diff, undo, blame, timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codec import jsonable
from ..ground.errors import IntentMissing
from .declare import ID, REASON, Result, Session, Verb, positional
from .reading import read_point, resolve

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph
    from ..graph.timeline import Difference, FieldChange


def diff(session: Session, /, *, a: str, b: str | None = None) -> Result:
    """Returns what is otherwise at the second point than at the first."""
    found = session.graph.diff(read_point(a, "a"), None if b is None else read_point(b, "b"))
    return {"changes": [_difference(each) for each in found]}


def _difference(found: Difference) -> dict[str, Any]:
    document: dict[str, Any] = {"how": found.how}
    for side in ("before", "after"):
        if getattr(found, side) is not None:
            document[side] = jsonable(getattr(found, side))
    return document | ({"fields": [_field(each) for each in found.fields]} if found.fields else {})


def _field(change: FieldChange) -> dict[str, Any]:
    from ..graph.facets import ABSENT

    document = {"field": change.field}
    for name in ("key", "before", "after"):
        value = getattr(change, name)
        if value is not ABSENT and not (name == "key" and value is None):
            document[name] = jsonable(value)
    return document


def undo(session: Session, /, *, commit: str, reason: str | None = None) -> Result:
    """Takes a commit back by a new one; the commit may be named by its id or its revision."""
    graph = session.graph
    return {"commit": jsonable(graph.undo(_commit_id(graph, commit), reason=reason))}


def _commit_id(graph: IntentGraph, given: str) -> str:
    if graph.commit(given) is None and given.isascii() and given.isdigit():
        from ..graph.log import commit_of

        return commit_of(graph.storage, int(given)).id
    return given


def blame(session: Session, /, *, id: str) -> Result:
    """Returns for each field of the intent the commit that set it."""
    found = session.graph.blame(resolve(session.graph, id))
    return {"fields": [{**jsonable(each), "value": jsonable(each.value)} for each in found]}


def timeline(session: Session, /, *, id: str) -> Result:
    """Returns the statuses an intent went through; of a deleted one too, if its whole id is given."""
    graph = session.graph
    try:
        found = graph.timeline(id)
    except IntentMissing:
        found = graph.timeline(resolve(graph, id))
    return {"timeline": [{**jsonable(each), "status": jsonable(each.status)} for each in found]}


_POINT = "a revision, or a time: 2026-01-02T03:04:05Z, a date, a span back from now"

VERBS = (
    Verb(
        "diff",
        "show what changed between two points",
        diff,
        "differences",
        (
            positional("a", _POINT),
            positional("b", "the same; the present when left out", required=False),
        ),
        about="Shows which intents and edges are otherwise at B than at A, field by field.",
        examples=("diff 120", "diff 2026-05-01 2026-05-02 --json", "diff 1d"),
    ),
    Verb(
        "undo",
        "take a commit back",
        undo,
        "commit",
        (positional("commit", "the commit's id, or its revision"), REASON),
        writes=True,
        about="Makes a new commit that restores what the commit changed. Refused, naming it, where a later commit\n"
        "changed the same. An undo can be undone. Notes stay.",
        examples=("undo 41", "undo plan-42"),
    ),
    Verb(
        "blame",
        "show which commit set each field",
        blame,
        "origins",
        (ID,),
        about="Shows every field of the intent, and every entry of its maps, with the commit that gave it its value.",
        examples=("blame 019a2f",),
    ),
    Verb(
        "timeline",
        "show the statuses an intent went through",
        timeline,
        "stages",
        (ID,),
        about="Shows each status with its time, who moved the intent there, and why.",
        examples=("timeline 019a2f",),
    ),
)
