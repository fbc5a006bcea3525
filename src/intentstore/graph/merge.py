"""Two copies of a graph that went apart, made one: what each did since they were the same, laid together.

What stands depends on the two copies and not on which of them asks. Each subject is compared with what it was when the
copies were last the same: field by field, edges as sets, statuses by rank. What both changed differently is a conflict:
one of the two stands by rule, the other is in the history, and the report names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ..codec import jsonable
from ..ground.change import Change, Define, Drop, Link, Note, Put, Subject, Unlink
from ..ground.errors import Conflict, CycleRefused, StaleRevision
from ..ground.protocol import IntentStorage
from ..ground.query import same_value
from ..ground.types import OPEN, ORDERING, Edge, EdgeKey, Intent, IntentId, IntentStatus, Revision
from .apart import MERGED, Apart, Values, values_in
from .facets import ABSENT, Facet, facets, with_facets
from .log import Value
from .past import Past
from .traverse import SUBGOAL, arrow, every_edge

if TYPE_CHECKING:
    from .graph import IntentGraph

_RANK = {
    IntentStatus.ACTIVE: 0,
    IntentStatus.EXECUTING: 1,
    IntentStatus.SUSPENDED: 2,
    IntentStatus.FAILED: 3,
    IntentStatus.COMPLETED: 4,
    IntentStatus.ARCHIVED: 5,
}
_TOGETHER = 50_000
_TRIES = 20


class MergeConflict(msgspec.Struct, frozen=True, kw_only=True):
    """What both copies changed differently. ``kept`` is "ours", "theirs" or "neither"; ``why`` the rule.

    ``field`` is None where it is about the whole: deleted in one copy, changed in the other; an edge in a circle.
    """

    subject: str
    field: str | None = None
    ours: Any = None
    theirs: Any = None
    kept: str
    why: str


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge took over. ``shared``: the last revision that both logs have; ``commits`` the ids it made here."""

    shared: Revision
    commits: tuple[str, ...] = ()
    intents: int = 0
    edges: int = 0
    definitions: int = 0
    notes: int = 0
    conflicts: tuple[MergeConflict, ...] = ()


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
        """Returns the intents that one copy deleted and the other tied to something new."""
        found = set()
        for subject, was in self.base.items():
            if isinstance(subject, tuple) and len(subject) == 3 and was is None:
                for here, there in ((self.ours, self.theirs), (self.theirs, self.ours)):
                    if here[subject] is not None:
                        ends = (subject[0], subject[2])
                        found |= {end for end in ends if self.base.get(end) is not None and there[end] is None}
        return found

    def _lay(self, subject: Subject) -> Value:
        was, ours, theirs = self.base[subject], self.ours[subject], self.theirs[subject]
        if isinstance(subject, tuple) and len(subject) == 3:
            ours, theirs = self._edge_in(self.ours, subject), self._edge_in(self.theirs, subject)
        our_change, their_change = not _same(ours, was), not _same(theirs, was)
        if our_change and their_change:
            self.both.add(subject)
        if _same(ours, theirs):
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
                subject=_name(subject),
                field=field,
                ours=_shown(ours),
                theirs=_shown(theirs),
                kept="neither" if kept is None else "ours" if kept else "theirs",
                why=why,
            )
        )

    def break_circles(self, edges: Iterable[Edge]) -> None:
        """Leaves out the new edges that close a circle: the later ones. ``edges``: all of our copy's."""
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
                        edge.key, None, self.ours[edge.key], self.theirs[edge.key], kept=None, why="it closes a circle"
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


def _same(one: Value, other: Value) -> bool:
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


def _name(subject: Subject) -> str:
    if isinstance(subject, str):
        return f"intent {subject}"
    return f"definition {subject[0]}" if len(subject) == 1 else f"edge {' '.join(subject)}"


# --- what this copy must change ---


class Merging:
    """One merge, looked at: what stands, and the changes that make this copy so."""

    def __init__(self, ours: IntentStorage, theirs: IntentStorage, *, unrelated: bool) -> None:
        self._apart = apart = Apart(ours, theirs)
        if not apart.shared and not unrelated and apart.our_end and apart.their_end:
            raise Conflict(
                "the two graphs have no commit in common: they are no copies of one graph",
                hint="to lay them together all the same, say unrelated=True (--unrelated)",
            )
        self._here, self._there = values_in(ours, apart.subjects), values_in(apart.they, apart.subjects)
        self.laid = Laid(self._base(), self._here, self._there)

    @property
    def shared(self) -> Revision:
        """The last revision that both logs have."""
        return self._apart.shared

    def _base(self) -> Values:
        apart = self._apart
        states = [values_in(Past(*point), apart.subjects) for point in apart.bases()]
        if len(states) == 1:
            return states[0]
        beginning = values_in(Past(apart.ours, apart.shared), apart.subjects)
        return Laid(beginning, *states).values

    def break_circles(self) -> None:
        """Leaves out the new edges that close a circle."""
        self.laid.break_circles(every_edge(self._apart.ours))

    def changes(self) -> list[Change]:
        """Returns the changes that make this copy what stands; none if it is, or if nothing is to be remembered."""
        made = [*self._puts(), *self._links(), *self._drops(), *self._defines(), *self._notes()]
        latest = self._apart.latest()
        if latest is not None and (made or self.laid.both):
            known = set(self._apart.ours.definitions(MERGED))
            fresh = self._apart.new_records(latest)
            if made or not known >= {each.name for each in fresh}:
                made += fresh
        return made

    def _changed(self) -> Iterator[tuple[Subject, Value, Value]]:
        for subject, wanted in self.laid.values.items():
            here = self._here[subject]
            if not _same(here, wanted) or subject in self.laid.conflicts:
                yield subject, here, wanted

    def _puts(self) -> Iterator[Change]:
        for subject, here, wanted in self._changed():
            if not isinstance(wanted, Intent):
                continue
            claim = here.claim if isinstance(here, Intent) and wanted.status in OPEN else None
            expected: Revision | None = here.revision if isinstance(here, Intent) else 0
            there = self._there[subject]
            if subject in self.laid.conflicts and isinstance(there, Intent) and not _same(there, wanted):
                yield Put(intent=there.at_revision(0).replace(claim=claim), expected=expected)
                expected = None
            if expected is None or not _same(here, wanted):
                yield Put(intent=wanted.at_revision(0).replace(claim=claim), expected=expected)

    def _links(self) -> Iterator[Change]:
        come: list[Change] = []
        for subject, here, wanted in self._changed():
            if isinstance(wanted, Edge):
                expected: Revision | None = here.revision if isinstance(here, Edge) else 0
                there = self._there[subject]
                if subject in self.laid.conflicts and isinstance(there, Edge) and not _same(there, wanted):
                    come.append(Link(edge=there, expected=expected))
                    expected = None
                if expected is None or not _same(here, wanted):
                    come.append(Link(edge=wanted, expected=expected))
            elif isinstance(here, Edge) and wanted is None and all(self._stays(end) for end in here.key[::2]):
                yield Unlink(source=here.source, type=here.type, target=here.target, expected=here.revision)
        yield from come

    def _stays(self, id: IntentId) -> bool:
        return id not in self.laid.values or self.laid.values[id] is not None

    def _drops(self) -> Iterator[Change]:
        for subject, here, wanted in self._changed():
            if isinstance(subject, str) and isinstance(here, Intent) and wanted is None:
                yield Drop(id=subject, expected=here.revision)

    def _defines(self) -> Iterator[Change]:
        for subject, here, wanted in self._changed():
            if isinstance(subject, str) or len(subject) > 1:
                continue
            there = self._there[subject]
            lost = subject in self.laid.conflicts and isinstance(there, Define) and not _same(there, wanted)
            if lost and isinstance(there, Define):
                yield there
            if lost or not _same(here, wanted):
                yield wanted if isinstance(wanted, Define) else Define(name=subject[0])

    def _notes(self) -> Iterator[Change]:
        for subject, found in self.laid.conflicts.items():
            if isinstance(subject, str):
                fields = ", ".join(each.field for each in found if each.field) or "the goal itself"
                yield from self._note(subject, f"merged: {fields}, changed in both copies; the history has both")
            elif any(each.kept == "neither" for each in found):
                yield from self._note(subject[0], f"merged: left out {_name(subject)}: it closes a circle")
        for note in dict.fromkeys((note.id, note.text) for note in self._apart.their_notes):
            yield from self._note(*note)

    def _note(self, id: IntentId, text: str) -> Iterator[Change]:
        ours = self._apart.ours
        there = self.laid.values[id] is not None if id in self.laid.values else ours.fetch([id]) != [None]
        if there and not any(type(e.change) is Note and e.change.text == text for e in ours.trail(id)):
            yield Note(id=id, text=text)


def merge(graph: IntentGraph, other: IntentStorage, name: str, *, unrelated: bool, dry_run: bool) -> Merged:
    """Makes this graph what both copies together are; all in one commit, or in a few if it is very much."""
    reason = f"merge of {name}"
    for _ in range(_TRIES):
        merging = Merging(graph.storage, other, unrelated=unrelated)
        changes = merging.changes()
        commits: list[str] = []
        if dry_run:
            merging.break_circles()
            return _report(merging, merging.changes(), commits)
        try:
            commits += _commit(graph, changes, reason)
        except CycleRefused:
            merging.break_circles()
            changes = merging.changes()
            try:
                commits += _commit(graph, changes, reason)
            except StaleRevision:
                continue
        except StaleRevision:  # somebody wrote here meanwhile
            continue
        return _report(merging, changes, commits)
    raise Conflict("others kept changing what is to be merged", hint="try again", tries=_TRIES)


def _commit(graph: IntentGraph, changes: list[Change], reason: str) -> Iterator[str]:
    for start in range(0, len(changes), _TOGETHER):
        some = tuple(changes[start : start + _TOGETHER])
        yield graph._writer.commit(some, graph.who, reason=reason).id  # noqa: SLF001  the graph's own write


def _report(merging: Merging, changes: list[Change], commits: list[str]) -> Merged:
    def number(*kinds: type) -> int:
        return len({change.subject for change in changes if isinstance(change, kinds)})

    defined = [change for change in changes if type(change) is Define and not change.name.startswith(MERGED)]
    return Merged(
        shared=merging.shared,
        commits=tuple(commits),
        intents=number(Put, Drop),
        edges=number(Link, Unlink),
        definitions=len(defined),
        notes=sum(type(change) is Note for change in changes),
        conflicts=tuple(each for found in merging.laid.conflicts.values() for each in found),
    )
