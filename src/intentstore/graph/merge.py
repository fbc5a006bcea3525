"""Two copies of a graph that went apart, made one: the changes that make this copy what both are together.

What stands depends on the two copies and not on which of them asks (`laid`), nor on how often they ask: what was taken
over is remembered in the graph (`apart`). What loses is in the history, and the report names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from ..ground.change import Change, Define, Drop, Link, Note, Put, Subject, Unlink
from ..ground.errors import Conflict, CycleRefused, StaleRevision
from ..ground.protocol import IntentStorage
from ..ground.types import OPEN, Edge, Intent, IntentId, Revision
from .apart import MERGED, Apart, Values, values_in
from .laid import Laid, MergeConflict, same
from .log import Value, name_of
from .past import Past
from .traverse import every_edge

if TYPE_CHECKING:
    from .graph import IntentGraph

_TOGETHER = 50_000
_TRIES = 20


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge took over. ``shared``: the last revision that both logs have; ``commits`` the ids it made here."""

    shared: Revision
    commits: tuple[str, ...] = ()
    intents: int = 0
    edges: int = 0
    definitions: int = 0
    notes: int = 0
    conflicts: tuple[MergeConflict, ...] = ()


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
        if self.laid.may_close_cycles():
            self.laid.break_cycles(every_edge(ours))
        self._said: dict[IntentId, set[str] | None] = {}
        """What was remarked of an intent here, once it was looked up; None if it will not be there."""

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
            if not same(here, wanted) or subject in self.laid.conflicts:
                yield subject, here, wanted

    def _puts(self) -> Iterator[Change]:
        for subject, here, wanted in self._changed():
            if not isinstance(wanted, Intent):
                continue
            claim = here.claim if isinstance(here, Intent) and wanted.status in OPEN else None
            expected: Revision | None = here.revision if isinstance(here, Intent) else 0
            there = self._there[subject]
            if subject in self.laid.conflicts and isinstance(there, Intent) and not same(there, wanted):
                yield Put(intent=there.at_revision(0).replace(claim=claim), expected=expected)
                expected = None
            if expected is None or not same(here, wanted):
                yield Put(intent=wanted.at_revision(0).replace(claim=claim), expected=expected)

    def _links(self) -> Iterator[Change]:
        come: list[Change] = []
        for subject, here, wanted in self._changed():
            if isinstance(wanted, Edge):
                expected: Revision | None = here.revision if isinstance(here, Edge) else 0
                there = self._there[subject]
                if subject in self.laid.conflicts and isinstance(there, Edge) and not same(there, wanted):
                    come.append(Link(edge=there, expected=expected))
                    expected = None
                if expected is None or not same(here, wanted):
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
            lost = subject in self.laid.conflicts and isinstance(there, Define) and not same(there, wanted)
            if lost and isinstance(there, Define):
                yield there
            if lost or not same(here, wanted):
                yield wanted if isinstance(wanted, Define) else Define(name=subject[0])

    def _notes(self) -> Iterator[Change]:
        for subject, found in self.laid.conflicts.items():
            if isinstance(subject, str):
                fields = ", ".join(each.field for each in found if each.field) or "the goal itself"
                yield from self._note(subject, f"merged: {fields}, changed in both copies; the history has both")
            elif any(each.kept == "neither" for each in found):
                yield from self._note(subject[0], f"merged: left out {name_of(subject)}: it closes a cycle")
        for note in dict.fromkeys((note.id, note.text) for note in self._apart.notes):
            yield from self._note(*note)

    def _note(self, id: IntentId, text: str) -> Iterator[Change]:
        if id not in self._said:
            ours = self._apart.ours
            there = self.laid.values[id] is not None if id in self.laid.values else ours.fetch([id]) != [None]
            told = {entry.change.text for entry in ours.trail(id) if type(entry.change) is Note} if there else set()
            self._said[id] = told if there else None
        said = self._said[id]
        if said is not None and text not in said:
            yield Note(id=id, text=text)


def merge(graph: IntentGraph, other: IntentStorage, name: str, *, unrelated: bool, dry_run: bool) -> Merged:
    """Makes this graph what both copies together are; all in one commit, or in a few if it is very much."""
    commits: list[str] = []
    for _ in range(_TRIES):
        merging = Merging(graph.storage, other, unrelated=unrelated)
        changes = merging.changes()
        try:
            if not dry_run:
                commits += _commit(graph, changes, f"merge of {name}")
        except (StaleRevision, CycleRefused):  # somebody wrote here meanwhile
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
