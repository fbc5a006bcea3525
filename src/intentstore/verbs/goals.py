"""Verbs about single goals: add, show, list, count, set, note, rm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..codec import jsonable
from ..ground.errors import FieldInvalid, StaleRevision
from ..ground.query import SORT_FIELDS
from ..ground.types import Intent
from ..ground.values import EMPTY
from .declare import ID, IDS, REASON, Argument, Result, Session, Verb, positional
from .errors import Usage
from .reading import pairs, read_filter, read_text, read_value, resolve, resolve_all

_TRIES = 8

FILTERS = (
    Argument("status", "of this status; repeat it, or separate by commas", many=True, metavar="STATUS"),
    Argument("label", "with this label (each, when repeated)", many=True, metavar="L"),
    Argument("any_label", "with one of these labels", many=True, metavar="L"),
    Argument("goal", "whose goal contains this", metavar="TEXT"),
    Argument("name", "whose name contains this", metavar="TEXT"),
    Argument("text", "that hold every word of this", metavar="TEXT"),
    Argument("priority_min", "of at least this priority", kind="integer", metavar="N"),
    Argument("priority_max", "of at most this priority", kind="integer", metavar="N"),
    Argument("created_after", "created at T or later", metavar="T"),
    Argument("created_before", "created before T", metavar="T"),
    Argument("updated_after", "updated at T or later", metavar="T"),
    Argument("updated_before", "updated before T", metavar="T"),
    Argument("session", "of this session", metavar="TEXT"),
    Argument("triggered_by", "triggered by this", metavar="TEXT"),
    Argument("claimed_by", "claimed by this owner", metavar="OWNER"),
    Argument("meta", "whose metadata has this entry", many=True, metavar="K=V"),
    Argument("near", "linked to this intent", metavar="ID"),
    Argument("where", "a whole IntentFilter as JSON; it is ANDed with the options", metavar="JSON"),
)
_TIMES = "T is 2026-01-02T03:04:05Z, a date (its midnight in UTC), or a span back from now: 2d, '3h ago'."


def add(
    session: Session,
    /,
    *,
    goal: str | None = None,
    parent: Sequence[str] = (),
    depends_on: Sequence[str] = (),
    blocks: Sequence[str] = (),
    rtfs: str | None = None,
    reason: str | None = None,
    **given: Any,
) -> Result:
    """Stores one goal and its edges in one commit; the goal may come from an RTFS text, which options override."""
    graph = session.graph
    repaired: list[dict[str, Any]] | None = None
    kin: list[tuple[str, str]] = []
    if rtfs is not None:
        from .texts import kin_of, one_intent

        intent, repaired = one_intent(read_text(session.source(rtfs), "rtfs"), goal)
        intent, kin = kin_of(intent, graph)
    elif goal is not None:
        intent = Intent(goal=goal)
    else:
        raise Usage("add needs a goal", hint='add "Ship 1.0", or add --rtfs FILE')
    intent = _overridden(intent, given)
    ends = [
        (kind, other)
        for kind, others in (("is_subgoal_of", parent), ("depends_on", depends_on), ("blocks", blocks))
        for other in resolve_all(graph, others, kind)
    ]
    with graph.transaction(reason=reason) as tx:
        stored = tx.store(intent)
        for kind, other in ends:
            tx.link(stored.id, kind, other)
        for source, target in kin:
            tx.link(source or stored.id, "is_subgoal_of", target or stored.id)
    found: Result = {"intent": jsonable(graph.intent(stored.id))}
    return found if repaired is None else {**found, "repaired": repaired}


def _overridden(intent: Intent, given: dict[str, Any]) -> Intent:
    """Returns the intent with what the options say; entries of maps and labels are added to what is there."""
    fields = {
        "id": "id",
        "name": "name",
        "priority": "priority",
        "success": "success_criteria",
        "session": "session_id",
    }
    changes = {field: given[option] for option, field in fields.items() if given.get(option) is not None}
    for option, field in (("constraint", "constraints"), ("prefer", "preferences"), ("meta", "metadata")):
        changes[field] = {**getattr(intent, field), **pairs(given.get(option) or (), field)}
    labels = dict.fromkeys((*intent.labels, *(given.get("label") or ())))
    return intent.replace(**changes, labels=tuple(labels))


def show(session: Session, /, *, ids: Sequence[str]) -> Result:
    """Returns the intents and the edges at them."""
    graph = session.graph
    wanted = resolve_all(graph, ids)
    intents = graph.intents(wanted)
    return {"intents": jsonable(intents), "edges": jsonable(graph.edges_of(wanted))}


def list_(session: Session, /, *, sort: str, limit: int, after: str | None = None, **given: Any) -> Result:
    """Returns one page of the intents that the filter means."""
    page = session.graph.list(read_filter(session.graph, given), sort=sort, limit=limit, after=after)
    return {"intents": jsonable(page.intents), "next": page.next}


def count(session: Session, /, *, by: str = "status", **given: Any) -> Result:
    """Returns how many intents the filter means, in all and by status."""
    del by  # "status" is its only choice so far
    found = session.graph.count(read_filter(session.graph, given))
    return {"count": sum(found.values()), "by": {str(status): number for status, number in found.items()}}


# --- set ---

_TEXTS = ("goal", "name", "original_request", "rtfs_source", "session_id", "triggered_by")
_MAPS = ("constraints", "preferences", "generation_context", "metadata")
SETTABLE = (*_TEXTS, "priority", "success_criteria", "labels", *_MAPS)


def set_(
    session: Session, /, *, id: str, changes: Sequence[str], expect: int | None = None, reason: str | None = None
) -> Result:
    """Changes fields of one intent, compare-and-set.

    Without ``expect`` a write that came between is read and the fields are set on top of it.
    """
    graph = session.graph
    id = resolve(graph, id)
    for left in reversed(range(_TRIES)):
        intent = graph.intent(id)
        if expect is not None and intent.revision != expect:
            raise StaleRevision(id, expected=expect, actual=intent.revision)
        for change in changes:
            intent = changed(intent, change)
        try:
            return {"intent": jsonable(graph.update(intent, reason=reason))}
        except StaleRevision:
            if expect is not None or not left:
                raise
    raise AssertionError("the last try returns or raises")


def changed(intent: Intent, change: str) -> Intent:
    """Returns the intent with one ``FIELD=VALUE`` applied; an empty value empties the field.

    >>> changed(Intent(goal="Ship"), "constraints.max-cost=5").constraints
    Map({'max-cost': 5})
    """
    path, equals, text = change.partition("=")
    field, dot, key = path.partition(".")
    if not equals or not field:
        raise FieldInvalid("FIELD=VALUE", f"is {change!r}", hint="write it as priority=8 or metadata.key=value")
    if field == "status":
        raise FieldInvalid("status", "is moved by its own verbs", hint="start, done, fail, suspend, archive, reopen")
    if field not in SETTABLE or (dot and (field not in _MAPS or not key)):
        raise FieldInvalid(path, "is not a field that can be set", hint=f"fields: {', '.join(SETTABLE)}")
    if field in _MAPS:
        return intent.replace(**{field: _map(intent, field, key, text)})
    return intent.replace(**{field: _scalar(field, text)})


def _map(intent: Intent, field: str, key: str, text: str) -> Any:
    if not key:
        return EMPTY if text == "" else read_value(text, field)
    kept = {name: value for name, value in getattr(intent, field).items() if name != key}
    return kept if text == "" else {**kept, key: read_value(text, f"{field}.{key}")}


def _scalar(field: str, text: str) -> Any:
    match field:
        case "priority":
            return read_value(text, field) if text else 0
        case "labels":
            return [label.strip() for label in text.split(",") if label.strip()]
        case "success_criteria":
            return read_value(text, field) if text else None
        case "goal":
            return text
    return text or None


def note(session: Session, /, *, id: str, text: str) -> Result:
    """Appends a remark to the intent's history."""
    return {"entry": jsonable(session.graph.note(resolve(session.graph, id), text))}


def rm(session: Session, /, *, ids: Sequence[str], reason: str | None = None) -> Result:
    """Deletes intents and the edges at them, in one commit."""
    graph = session.graph
    wanted = resolve_all(graph, ids)
    commit = graph.delete(*wanted, reason=reason)
    gone = [] if commit is None else jsonable(commit.changes)
    return {"deleted": wanted, "edges": sum(1 for change in gone if change["do"] == "unlink")}


_GOAL_OPTIONS = (
    Argument("id", "its id; one is made when left out", metavar="ID"),
    Argument("name", "a short name", metavar="TEXT"),
    Argument("priority", "larger is more urgent; 0 when left out", kind="integer", metavar="N"),
    Argument("parent", "it is a subgoal of this intent", many=True, metavar="ID"),
    Argument("depends_on", "it waits for this intent", many=True, metavar="ID"),
    Argument("blocks", "this intent waits for it", many=True, metavar="ID"),
    Argument("label", "a label", many=True, metavar="L"),
    Argument("constraint", "a bound that must hold; V is JSON, else text", many=True, metavar="K=V"),
    Argument("prefer", "a wish that may give way; V is JSON, else text", many=True, metavar="K=V"),
    Argument("success", "when it counts as reached", metavar="TEXT"),
    Argument("meta", "an entry of its metadata; V is JSON, else text", many=True, metavar="K=V"),
    Argument("session", "the session it belongs to", metavar="TEXT"),
    Argument("rtfs", "an RTFS text to take it from, as a model writes it; - is standard input", metavar="FILE"),
    REASON,
)

VERBS = (
    Verb(
        "add",
        "store a new goal, with its edges",
        add,
        "added",
        (positional("goal", "what is to be achieved", required=False), *_GOAL_OPTIONS),
        writes=True,
        about="Stores the goal and all its edges in one commit, or nothing. What names intents may be repeated.\n"
        "With --rtfs the intent is what the text says; commas, code fences and the like are put right, and told.\n"
        "A GOAL and options count before the text, which is kept too.",
        examples=(
            'add "Ship 1.0"',
            'add "Pass the suite" --priority 8 --parent 019a2f --label ci',
            "add --rtfs - --parent 019a2f <answer.txt",
            'add "Rent a machine" --constraint max-cost=10.0 --prefer region=eu --success "ssh answers"',
        ),
    ),
    Verb(
        "show",
        "show intents and their edges",
        show,
        "shown",
        (IDS,),
        about="Shows every field of the intents, and the edges at them.",
        examples=("show 019a2f", "show 019a2f 019a31 --json"),
    ),
    Verb(
        "list",
        "list the intents a filter means",
        list_,
        "intents",
        (
            *FILTERS,
            Argument("sort", f"{', '.join(SORT_FIELDS)}; - in front reverses", default="created_at", metavar="S"),
            Argument("limit", "how many on a page; 50 when left out", kind="integer", default=50, metavar="N"),
            Argument("after", "the 'next' of the page before", metavar="CURSOR"),
        ),
        about=f"Lists one page of the intents for which every option holds. {_TIMES}",
        examples=(
            "list --status active,executing --sort=-priority",
            "list --label ci --updated-after 2d",
            'list --where \'{"has_edge": {"types": ["blocks"], "direction": "in"}}\' --json',
        ),
    ),
    Verb(
        "count",
        "count the intents a filter means",
        count,
        "count",
        (*FILTERS, Argument("by", "what to count by", choices=("status",), default="status")),
        about=f"Counts the intents for which every option holds, in all and by status. {_TIMES}",
        examples=("count", "count --label ci --created-after 2026-01-01"),
    ),
    Verb(
        "set",
        "change fields of an intent",
        set_,
        "intent",
        (
            ID,
            positional("changes", f"one of: {', '.join(SETTABLE)}", many=True, metavar="FIELD=VALUE"),
            Argument("expect", "only if the intent is still at this revision", kind="integer", metavar="REV"),
            REASON,
        ),
        writes=True,
        about="Changes the named fields in one commit. labels takes a,b,c; entries of the maps are named with a dot;\n"
        "an empty value empties the field or takes the entry away.",
        examples=(
            "set 019a2f priority=9 labels=ci,release",
            "set 019a2f constraints.max-cost=5 metadata.owner=ana --expect 12",
            "set 019a2f name=",
        ),
    ),
    Verb(
        "note",
        "append a remark to an intent's history",
        note,
        "entry",
        (ID, positional("text", "what is to be remembered")),
        writes=True,
        about="Appends to the history; the intent itself stays as it is, its revision too.",
        examples=('note 019a2f "the vendor promised Friday"',),
    ),
    Verb(
        "rm",
        "delete intents and their edges",
        rm,
        "deleted",
        (IDS, REASON),
        writes=True,
        about="Deletes the intents and every edge at them in one commit. Their history stays.",
        examples=("rm 019a2f", 'rm 019a2f 019a31 --reason "duplicates"'),
    ),
)
