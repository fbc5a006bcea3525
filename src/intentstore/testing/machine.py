"""A state machine that writes, reads, reopens, crashes and copies at random, and knows in plain dicts what must hold.

Knows the protocol; its model is two dicts and a list, so a mistake that two storages share still shows.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ..codec import encode_edge, encode_intent
from ..ground.change import Change, Commit, Define, Drop, Link, Note, Put, Unlink
from ..ground.errors import EdgeMissing, IntentMissing, StaleRevision, StorageError
from ..ground.protocol import Compacts, IntentStorage, SearchesText
from ..ground.query import Direction, IntentFilter, Walk, microseconds, words
from ..ground.search import parse
from ..ground.types import SYMMETRIC, Edge, EdgeKey, EdgeType, Intent, IntentStatus, edge_key
from ..ground.values import Map
from ..storage.memory import MemoryStorage
from .samples import HOSTILE, NOON, VALUES, a_batch, concerns, copy_log, pages, plain, state

IDS = ("a", "b", "c", "d", "é", "'; --", "%")
TYPES = ("depends_on", "blocks", "related_to", "conflicts_with", "own_type")
GOALS = ("flaky tests", "Straße", "100% of a_b", "a\u2028b", *HOSTILE[:6])
SORTS = ("created_at", "-updated_at", "priority", "-priority", "goal", "-goal", "id", "-id")

some_id = st.sampled_from(IDS)
some_ends = st.tuples(some_id, some_id).filter(lambda ends: ends[0] != ends[1])
some_type = st.sampled_from(TYPES)
some_intent = st.builds(
    lambda name, goal, status, priority, at, labels, value: Intent(
        id=name, goal=goal, status=status, priority=priority, labels=labels, metadata=plain(v=value),
        created_at=at, updated_at=at.replace(minute=priority % 60),
    ),
    some_id, st.sampled_from(GOALS), st.sampled_from(IntentStatus), st.integers(-2, 2),
    st.integers(0, 3).map(lambda hour: NOON.replace(hour=hour)), st.sets(st.sampled_from(["ci", "docs"])),
    st.sampled_from(VALUES),
)  # fmt: skip


class StorageMachine(RuleBasedStateMachine):
    """Anything a caller may do to one storage, in any order; `machine_for` gives it a storage to do it to."""

    def make(self, place: Path) -> IntentStorage:
        """Returns the storage at this place, not yet opened."""
        raise NotImplementedError

    def make_copy(self) -> IntentStorage:
        """Returns the storage to copy into, not yet opened."""
        return MemoryStorage()

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="intentstore-"))
        self.dropped: list[IntentStorage] = []
        self.storage = self.make(self.place)
        self.storage.open()
        self.intents: dict[str, Intent] = {}
        self.edges: dict[EdgeKey, Edge] = {}
        self.defined: dict[str, Map] = {}
        self.log: list[Commit] = []

    def teardown(self) -> None:
        for storage in (self.storage, *self.dropped):
            with contextlib.suppress(StorageError):
                storage.close()
        shutil.rmtree(self.place, ignore_errors=True)

    # --- writing ---

    def _apply(self, *changes: Change) -> None:
        commit = self.storage.apply(a_batch(*changes))
        assert commit.revision > self.revision
        self.log.append(commit)
        for change in commit.changes:
            self._lay(change, commit.revision)

    @property
    def revision(self) -> int:
        """The revision the storage must be at."""
        return self.log[-1].revision if self.log else 0

    def _lay(self, change: Change, revision: int) -> None:
        match change:
            case Put(intent=intent):
                self.intents[intent.id] = intent.replace(revision=revision)
            case Drop(id=id):
                del self.intents[id]
            case Link(edge=edge):
                self.edges[edge.key] = edge.replace(revision=revision)
            case Unlink():
                del self.edges[change.key]
            case Define(name=name, value=None):
                del self.defined[name]
            case Define(name=name, value=Map() as value):
                self.defined[name] = value

    @rule(intent=some_intent)
    def put(self, intent: Intent) -> None:
        """Stores an intent, new or changed, expecting what is there."""
        there = self.intents.get(intent.id)
        self._apply(Put(intent=intent, expected=there.revision if there else 0))
        assert encode_intent(self.intents[intent.id]) == encode_intent(intent.replace(revision=self.revision))

    @rule(intents=st.lists(some_intent, min_size=2, max_size=4))
    def put_several(self, intents: list[Intent]) -> None:
        """Stores several intents at once; the last of each id stands."""
        self._apply(*(Put(intent=intent) for intent in intents))

    @rule(intent=some_intent, off=st.integers(1, 3))
    def stale_put(self, intent: Intent, off: int) -> None:
        """Tries to store over a revision that is not the present one."""
        there = self.intents.get(intent.id)
        wanted = (StaleRevision, there.revision + off) if there else (IntentMissing, off)
        with pytest.raises(wanted[0]):
            self.storage.apply(a_batch(Put(intent=intent, expected=wanted[1])))

    @rule(intent=some_intent, missing=some_id)
    def half_good(self, intent: Intent, missing: str) -> None:
        """Tries a batch whose last change does not fit."""
        change: Change = Drop(id="never") if missing in self.intents else Note(id=missing, text="n")
        if missing == intent.id:
            change = Drop(id="never")
        with pytest.raises(IntentMissing):
            self.storage.apply(a_batch(Put(intent=intent), change))

    @rule(ends=some_ends, type=some_type, value=st.sampled_from(VALUES))
    def link(self, ends: tuple[str, str], type: str, value: Any) -> None:
        """Links two intents, or tries to link what is missing."""
        source, target = ends
        edge = Edge(source=source, type=EdgeType(type), target=target, metadata=plain(v=value), created_at=NOON)
        if source in self.intents and target in self.intents:
            self._apply(Link(edge=edge))
        else:
            with pytest.raises(IntentMissing):
                self.storage.apply(a_batch(Link(edge=edge)))

    @rule(ends=some_ends, type=some_type)
    def unlink(self, ends: tuple[str, str], type: str) -> None:
        """Removes an edge, or tries to remove one that is missing."""
        key = edge_key(ends[0], type, ends[1])
        change = Unlink(source=key[0], type=key[1], target=key[2])
        if key in self.edges:
            self._apply(change)
        else:
            with pytest.raises(EdgeMissing):
                self.storage.apply(a_batch(change))

    @rule(id=some_id)
    def drop(self, id: str) -> None:
        """Deletes an intent, which takes its edges with it."""
        if id in self.intents:
            self._apply(Drop(id=id))
            assert not any(id in (key[0], key[2]) for key in self.edges)

    @rule(id=some_id)
    def note(self, id: str) -> None:
        """Appends a remark, which changes no content."""
        if id in self.intents:
            self._apply(Note(id=id, text="seen"))

    @rule(name=st.sampled_from(IDS), value=st.sampled_from([None, *VALUES]))
    def define(self, name: str, value: Any) -> None:
        """Gives the graph a definition, or takes one away."""
        if value is not None:
            self._apply(Define(name=name, value=plain(v=value)))
        elif name in self.defined:
            self._apply(Define(name=name))

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Applies an old commit id again."""
        commit = data.draw(st.sampled_from(self.log))
        assert self.storage.apply(a_batch(Put(intent=Intent(id="z", goal="z")), id=commit.id)) == commit

    # --- reading ---

    @rule(
        sort=st.sampled_from(SORTS), limit=st.integers(1, 4), status=st.none() | st.sets(st.sampled_from(IntentStatus))
    )
    def page(self, sort: str, limit: int, status: set[IntentStatus] | None) -> None:
        """Reads all pages of a question and compares them with the model, sorted."""
        where = IntentFilter(status=None if status is None else frozenset(status))
        found = [intent.id for page in pages(self.storage, where, sort, limit) for intent in page]
        meant = [intent for intent in self.intents.values() if status is None or intent.status in status]
        meant.sort(key=lambda intent: intent.id)
        meant.sort(key=lambda intent: _key(intent, sort.removeprefix("-")), reverse=sort.startswith("-"))
        assert found == [intent.id for intent in meant]
        assert sum(self.storage.count(where).values()) == len(meant)

    @rule(word=st.sampled_from(["flaky", "STRASSE", "a_b", "100", "ci docs", "nothing"]))
    def search(self, word: str) -> None:
        """Looks for words, through the filter and, where there is one, the text index."""
        meant = {
            intent.id
            for intent in self.intents.values()
            if set(words(word)) <= set(words("\n".join([intent.goal, *intent.labels])))
        }
        found = {intent.id for page in pages(self.storage, IntentFilter(text=word), "id", 3) for intent in page}
        assert found == meant
        if isinstance(self.storage, SearchesText) and self.storage.capabilities.searches_text:
            assert {hit.intent.id for hit in self.storage.search(parse(word), 100)} == meant

    @rule(id=some_id, direction=st.sampled_from(Direction), types=st.sets(some_type, max_size=2))
    def walk(self, id: str, direction: Direction, types: set[str]) -> None:
        """Follows the edges at an intent."""
        found = self.storage.neighbours([id], Walk(types=frozenset(types), direction=direction))
        assert [edge.key for edge in found] == sorted(
            key
            for key in self.edges
            if (not types or key[1] in types)
            and (
                (id == key[0] and (direction != "in" or key[1] in SYMMETRIC))
                or (id == key[2] and (direction != "out" or key[1] in SYMMETRIC))
            )
        )

    @rule(id=some_id)
    def trail(self, id: str) -> None:
        """Reads what happened to an intent and the edges at it."""
        meant = [(commit.revision, change) for commit in self.log for change in commit.changes if concerns(change, id)]
        assert [(entry.revision, entry.change) for entry in self.storage.trail(id)] == meant

    # --- places ---

    @precondition(lambda self: self.storage.capabilities.persistent)
    @rule()
    def reopen(self) -> None:
        """Closes the storage and opens it anew."""
        self.storage.close()
        self.storage = self.make(self.place)
        self.storage.open()

    @precondition(lambda self: self.storage.capabilities.persistent)
    @rule()
    def crash(self) -> None:
        """Lets the storage go without closing it and opens it anew."""
        self.dropped.append(self.storage)
        self.storage = self.make(self.place)
        self.storage.open()

    @precondition(lambda self: self.storage.capabilities.compacts)
    @rule()
    def compact(self) -> None:
        """Has the storage rewrite itself."""
        assert isinstance(self.storage, Compacts)
        self.storage.compact()

    @rule()
    def copy(self) -> None:
        """Copies the log into another storage, which must come out the same to the last digit."""
        other = self.make_copy()
        other.open()
        copy_log(self.storage.entries(), other)
        assert list(other.entries()) == list(self.storage.entries()) == self.log
        assert state(other) == state(self.storage)
        assert list(self.storage.verify()) == []
        other.close()

    # --- what always holds ---

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        """The storage and the dicts agree on every intent and edge, to the last byte."""
        assert self.storage.revision == self.revision
        found = [each and encode_intent(each) for each in self.storage.fetch(IDS)]
        assert found == [encode_intent(self.intents[id]) if id in self.intents else None for id in IDS]
        edges = [encode_edge(edge) for edge in self.storage.neighbours(IDS, Walk())]
        assert edges == [encode_edge(self.edges[key]) for key in sorted(self.edges)]
        assert self.storage.definitions() == self.defined


def _key(intent: Intent, field: str) -> Any:
    value = getattr(intent, field)
    return microseconds(value) if field.endswith("_at") else value


def machine_for(
    make: Callable[[Path], IntentStorage], *, make_copy: Callable[[], IntentStorage] = MemoryStorage
) -> type[StorageMachine]:
    """Returns a state machine over the storages that ``make`` returns, unopened, for a directory of its own.

    ``TestMine = machine_for(lambda place: MyStorage(place / "g")).TestCase`` runs it; the suite runs it as a claim.
    """

    class Machine(StorageMachine):
        def make(self, place: Path) -> IntentStorage:
            return make(place)

        def make_copy(self) -> IntentStorage:
            return make_copy()

    Machine.__name__ = Machine.__qualname__ = "StorageMachine"
    return Machine
