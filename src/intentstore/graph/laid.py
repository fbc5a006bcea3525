"""What stands when two states that began alike are laid together, and what of it was in conflict.

Each subject is compared with what it was: field by field, edges as sets, statuses by rank. What both changed
differently is a conflict, decided by a rule that does not depend on which of the two is ours. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..codec import jsonable
from ..ground.change import Define, Subject
from ..ground.query import same_value
from ..ground.types import ORDERING, Edge, EdgeKey, Intent, IntentId, IntentStatus
from .apart import Values
from .facets import ABSENT, Facet, facets, with_facets
from .log import Value, is_edge, name_of
from .traverse import SUBGOAL, arrow

_RANK = {
    IntentStatus.ACTIVE: 0,
    IntentStatus.EXECUTING: 1,
    IntentStatus.SUSPENDED: 2,
    IntentStatus.FAILED: 3,
    IntentStatus.COMPLETED: 4,
    IntentStatus.ARCHIVED: 5,
}


class MergeConflict(msgspec.Struct, frozen=True, kw_only=True):
    """What both copies changed differently. ``kept`` is "ours", "theirs" or "neither"; ``why`` the rule.

    ``field`` is None where it is about the whole: deleted in one copy, changed in the other; an edge in a cycle.
    """

    subject: str
    field: str | None = None
    ours: Any = None
    theirs: Any = None
    kept: str
    why: str


class Laid:
    """What stands when two states of the same beginning are laid together, and what was in conflict."""

    def __init__(self, base: Values, ours: Values, theirs: Values) -> None:
        self.base, self.ours, self.theirs = base, ours, theirs
        self.values: Values = {}
        self.conflicts: dict[Subject, list[MergeConflict]] = {}
        self.both: set[Subject] = set()
        """What both changed, in the same way or not."""
        self._linked = self._linked_again()
        for subject in sorted(base, key=lambda subject: not isinstance(subject, str)):  # intents before their edges
            self.values[subject] = self._lay(subject)

    def _linked_again(self) -> set[IntentId]:
        """Returns the intents that one copy deleted and the other tied to something new, or otherwise than before."""
        found = set()
        for subject, was in self.base.items():
            if is_edge(subject):
                for here, there in ((self.ours, self.theirs), (self.theirs, self.ours)):
                    if here[subject] is not None and not same(here[subject], was):
                        ends = (subject[0], subject[2])
                        found |= {end for end in ends if self.base.get(end) is not None and there[end] is None}
        return found

    def _lay(self, subject: Subject) -> Value:
        was, ours, theirs = self.base[subject], self.ours[subject], self.theirs[subject]
        if is_edge(subject):
            if any(end in self.values and self.values[end] is None for end in (subject[0], subject[2])):
                return None  # it went with its end, whatever else stays
            ours, theirs = self._edge_in(self.ours, subject), self._edge_in(self.theirs, subject)
        our_change, their_change = not same(ours, was), not same(theirs, was)
        if our_change and their_change:
            self.both.add(subject)
        if same(ours, theirs):
            return ours
        if subject in self._linked and (ours is None or theirs is None):
            return self._one_of(subject, ours, theirs, "deleted in one copy, linked in the other")
        if not our_change:
            return theirs
        if not their_change:
            return ours
        if ours is None or theirs is None:
            return self._one_of(subject, ours, theirs, "deleted in one copy, changed in the other")
        if isinstance(ours, Intent) and isinstance(theirs, Intent):
            return self._intent(was if isinstance(was, Intent) else None, ours, theirs)
        if isinstance(ours, Edge) and isinstance(theirs, Edge):
            return self._edge(was if isinstance(was, Edge) else None, ours, theirs)
        kept = max((ours, theirs), key=_written)
        self._differ(subject, None, ours, theirs, kept=kept is ours, why="the greater of two definitions stands")
        return kept

    def _edge_in(self, side: Values, key: EdgeKey) -> Value:
        """Returns the edge in a copy. One that went only because its end was deleted is still there if the end is."""
        if side[key] is None and self.base[key] is not None:
            for end in (key[0], key[2]):
                if end in side and side[end] is None and self.values.get(end) is not None:
                    return self.base[key]
        return side[key]

    def _one_of(self, subject: Subject, ours: Value, theirs: Value, why: str) -> Value:
        kept = theirs if ours is None else ours
        self._differ(subject, None, ours, theirs, kept=kept is ours, why=f"{why}: it stays")
        return kept

    def _intent(self, was: Intent | None, ours: Intent, theirs: Intent) -> Intent:
        latest = max((ours, theirs), key=lambda each: (each.updated_at, _written(each)))
        chosen = self._facets(ours.id, facets(was), facets(ours), facets(theirs), ours_first=latest is ours)
        chosen["created_at", None] = min(ours.created_at, theirs.created_at)
        chosen["updated_at", None] = max(ours.updated_at, theirs.updated_at)
        return with_facets(ours, chosen)

    def _edge(self, was: Edge | None, ours: Edge, theirs: Edge) -> Edge:
        first = max((ours, theirs), key=_written)
        found = self._facets(
            ours.key, _edge_facets(was), _edge_facets(ours), _edge_facets(theirs), ours_first=first is ours
        )
        kept = {facet: value for facet, value in {**_edge_facets(ours), **found}.items() if value is not ABSENT}
        return ours.replace(
            weight=kept.get(("weight", None)),
            metadata={key: value for (field, key), value in kept.items() if field == "metadata"},
            created_at=min(ours.created_at, theirs.created_at),
        )

    def _facets(
        self,
        subject: Subject,
        was: Mapping[Facet, Any],
        ours: Mapping[Facet, Any],
        theirs: Mapping[Facet, Any],
        *,
        ours_first: bool,
    ) -> dict[Facet, Any]:
        """Returns the facets that stand otherwise than in ours."""
        chosen: dict[Facet, Any] = {}
        for facet in dict.fromkeys((*was, *ours, *theirs)):
            old, mine, other = (side.get(facet, ABSENT) for side in (was, ours, theirs))
            if facet[0] in ("claim", "created_at") or _alike(mine, other) or _alike(other, old):
                continue
            if _alike(mine, old):
                chosen[facet] = other
                continue
            if facet == ("status", None):
                keeps, why = _RANK[mine] > _RANK[other], "what went further stands"
            elif mine is ABSENT or other is ABSENT:
                keeps, why = other is ABSENT, "taken away in one copy, changed in the other: it stays"
            else:
                keeps, why = ours_first, "the later change stands"
            self._differ(subject, facet, mine, other, kept=keeps, why=why)
            if not keeps:
                chosen[facet] = other
        return chosen

    def _differ(
        self, subject: Subject, facet: Facet | None, ours: Any, theirs: Any, *, kept: bool | None, why: str
    ) -> None:
        field = None if facet is None else facet[0] if facet[1] is None else f"{facet[0]}.{facet[1]}"
        self.conflicts.setdefault(subject, []).append(
            MergeConflict(
                subject=name_of(subject),
                field=field,
                ours=_shown(ours),
                theirs=_shown(theirs),
                kept="neither" if kept is None else "ours" if kept else "theirs",
                why=why,
            )
        )

    def may_close_cycles(self) -> bool:
        """True if there are new edges of a kind that must not close one."""
        kinds = ORDERING | {SUBGOAL}
        return any(isinstance(v, Edge) and v.type in kinds and self.base[k] is None for k, v in self.values.items())

    def break_cycles(self, edges: Iterable[Edge]) -> None:
        """Leaves out the new edges that close a cycle: the later ones. ``edges``: all of our copy's."""
        there = {edge.key: edge for edge in edges}
        there.update({k: v for k, v in self.values.items() if isinstance(v, Edge)})  # type: ignore[misc]  # edge keys
        for types in (frozenset({SUBGOAL}), ORDERING):
            lead: dict[IntentId, list[IntentId]] = {}
            new: list[Edge] = []
            for key, edge in there.items():
                if edge.type not in types or (key in self.values and self.values[key] is None):
                    continue
                if key in self.base and self.base[key] is None:
                    new.append(edge)
                else:
                    below, above = arrow(edge)
                    lead.setdefault(below, []).append(above)
            for edge in sorted(new, key=lambda edge: (edge.created_at, edge.key)):
                below, above = arrow(edge)
                if _leads(lead, above, below):
                    self._differ(
                        edge.key, None, self.ours[edge.key], self.theirs[edge.key], kept=None, why="it closes a cycle"
                    )
                    self.values[edge.key] = None
                else:
                    lead.setdefault(below, []).append(above)


def _leads(lead: Mapping[IntentId, list[IntentId]], start: IntentId, end: IntentId) -> bool:
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        if here == end:
            return True
        further = [id for id in lead.get(here, ()) if id not in seen]
        seen.update(further)
        todo += further
    return False


def _edge_facets(edge: Edge | None) -> dict[Facet, Any]:
    if edge is None:
        return {}
    found: dict[Facet, Any] = {("metadata", key): value for key, value in edge.metadata.items()}
    if edge.weight is not None:
        found["weight", None] = edge.weight
    return found


def _alike(one: Any, other: Any) -> bool:
    return one is other or (one is not ABSENT and other is not ABSENT and same_value(one, other))


def same(one: Value, other: Value) -> bool:
    """True where two copies hold the same; revision and claim are each copy's own."""
    if one is None or other is None:
        return one is other
    return _content(one) == _content(other)


def _content(value: Intent | Edge | Define) -> bytes:
    """Returns what two copies have in common of it, as bytes that tell 1 from 1.0."""
    if isinstance(value, Intent):
        value = msgspec.structs.replace(value.at_revision(0), claim=None)
    elif isinstance(value, Edge):
        value = msgspec.structs.replace(value, revision=0)
    return _written(value)


def _written(value: Any) -> bytes:
    if isinstance(value, Intent | Edge):
        value = msgspec.structs.replace(value, revision=0)
    return msgspec.json.encode(jsonable(value), order="sorted")


def _shown(value: Any) -> Any:
    return None if value is ABSENT or value is None else jsonable(value)
