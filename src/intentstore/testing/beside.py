"""Claims on what belongs to the graph as a whole: its definitions, in the log; and on what is kept aside, in none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..ground.change import Define, Drop, Put
from ..ground.errors import AlreadyThere, DefinitionMissing, FieldInvalid, IntentMissing, StaleRevision
from ..ground.protocol import Compacts, IntentStorage, KeepsAside, Reader
from ..ground.values import Map
from .base import Claims, needs
from .samples import HOSTILE, VALUES, a_batch, an_intent, copy_log, put, state


def define(storage: IntentStorage, name: str, expected: int | None = None, /, **value: object) -> int:
    """Gives the graph a definition and returns the revision."""
    return storage.apply(a_batch(Define(name=name, value=Map(value), expected=expected))).revision


class BesideClaims(Claims):
    """What stands beside the intents and edges."""

    # --- definitions ---

    def test_a_definition_is_there_once_given(self, storage: IntentStorage) -> None:
        assert storage.definitions() == {}
        define(storage, "policy/b", level=1)
        define(storage, "policy/a", level=2)
        define(storage, "rule/a")
        assert list(storage.definitions().items()) == [
            ("policy/a", Map({"level": 2})),
            ("policy/b", Map({"level": 1})),
            ("rule/a", Map()),
        ]
        assert list(storage.definitions("policy/")) == ["policy/a", "policy/b"]
        assert list(storage.definitions("policy_")) == []

    def test_a_definition_may_be_replaced_and_taken_away(self, storage: IntentStorage) -> None:
        define(storage, "a", n=1)
        define(storage, "a", n=2)
        assert storage.definitions() == {"a": {"n": 2}}
        storage.apply(a_batch(Define(name="a")))
        assert storage.definitions() == {}
        with pytest.raises(DefinitionMissing):
            storage.apply(a_batch(Define(name="a")))
        define(storage, "a", 0, n=3)
        assert storage.definitions() == {"a": {"n": 3}}
        assert list(storage.verify()) == []

    def test_a_definition_compares_before_it_sets(self, storage: IntentStorage) -> None:
        first = define(storage, "a", 0, n=1)
        with pytest.raises(AlreadyThere):
            define(storage, "a", 0, n=2)
        second = define(storage, "a", first, n=2)
        with pytest.raises(StaleRevision) as stale:
            define(storage, "a", first, n=3)
        assert (stale.value.expected, stale.value.actual) == (first, second)
        with pytest.raises(DefinitionMissing):
            define(storage, "b", first, n=3)
        assert storage.definitions() == {"a": {"n": 2}}

    def test_a_definition_holds_any_value_under_any_name(self, storage: IntentStorage) -> None:
        for name in HOSTILE:
            storage.apply(a_batch(Define(name=name, value=Map({"values": VALUES}))))
        found = storage.definitions()
        assert list(found) == sorted(HOSTILE)
        assert all(value == Map({"values": VALUES}) for value in found.values())
        assert [next(iter(storage.definitions(name))) for name in HOSTILE] == list(HOSTILE)

    def test_a_guard_sees_definitions_before_and_after(self, storage: IntentStorage) -> None:
        define(storage, "a", n=1)
        seen: list[object] = []

        def guard(before: Reader, after: Reader, _: object) -> None:
            seen.append((before.definitions("a"), after.definitions(), after.definitions("b")))

        batch = a_batch(Define(name="a"), Define(name="b", value=Map({"n": 2})), Put(intent=an_intent("x")))
        storage.apply(batch, guard=guard)
        assert seen == [({"a": {"n": 1}}, {"b": {"n": 2}}, {"b": {"n": 2}})]

    def test_definitions_have_their_chain_and_no_trail(self, storage: IntentStorage) -> None:
        first = put(storage, "a").revision
        defined = define(storage, "a", n=1)
        define(storage, "a", n=2)
        _, second, third = (commit.changes[0] for commit in storage.entries())
        assert (second.before, second.prev, third.before) == (0, "", defined)
        assert [entry.revision for entry in storage.trail("a")] == [first]
        storage.apply(a_batch(Drop(id="a")))
        assert storage.definitions() == {"a": {"n": 2}}
        assert list(storage.verify()) == []

    def test_definitions_are_copied_with_the_log(self, storage: IntentStorage, tmp_path: Path) -> None:
        define(storage, "a", n=1)
        define(storage, "b", n=1)
        storage.apply(a_batch(Define(name="b")))
        other = self.make(tmp_path, "copy")
        other.open()
        copy_log(storage.entries(), other)
        assert other.definitions() == storage.definitions() == {"a": {"n": 1}}
        other.close()

    def test_a_definition_that_is_too_large_is_refused(self, storage: IntentStorage) -> None:
        with pytest.raises(FieldInvalid, match="definition is"):
            define(storage, "a", text="x" * (1 << 20))
        assert (storage.definitions(), storage.revision) == ({}, 0)

    @needs("persistent")
    def test_definitions_outlive_the_opener(self, storage: IntentStorage, tmp_path: Path) -> None:
        for round in range(3):
            define(storage, "a", n=round)
            storage.apply(a_batch(Define(name=f"gone-{round}", value=Map()), Define(name=f"gone-{round}")))
            storage = self.reopen(storage, tmp_path)
            assert storage.definitions() == {"a": {"n": round}}
        define(storage, "gone-1", 0, n=1)
        assert list(storage.verify()) == []
        storage.close()

    @needs("persistent", "compacts")
    def test_definitions_outlive_compacting(self, storage: IntentStorage, tmp_path: Path) -> None:
        assert isinstance(storage, Compacts)
        first = define(storage, "a", n=1)
        define(storage, "b", n=1)
        gone = storage.apply(a_batch(Define(name="b"))).revision
        storage.compact()
        define(storage, "a", first, n=2)
        again = self.reopen(storage, tmp_path)
        assert again.definitions() == {"a": {"n": 2}}
        assert list(again.verify()) == []
        define(again, "b", 0, n=2)
        assert list(again.entries())[-1].changes[0].before == gone
        again.close()

    # --- kept aside ---

    @needs("keeps_aside")
    def test_what_is_kept_aside_is_read_back(self, storage: IntentStorage) -> None:
        assert isinstance(storage, KeepsAside)
        assert storage.kept("leases") == {}
        storage.keep("leases", {"a": b"1", "b": b"\0\n\xff", "c": b""})
        storage.keep("leases", {"a": b"2", "b": None, "never": None})
        storage.keep("cursors", {"a": b"other"})
        assert storage.kept("leases") == {"a": b"2", "c": b""}
        assert storage.kept("leases", ["c", "b", "nope"]) == {"c": b""}
        assert storage.kept("cursors") == {"a": b"other"}

    @needs("keeps_aside")
    def test_what_is_kept_aside_stands_in_no_history(self, storage: IntentStorage) -> None:
        assert isinstance(storage, KeepsAside)
        last = put(storage, "a").revision
        before = state(storage)
        storage.keep("leases", {"a": b"1"})
        assert (state(storage), storage.revision, len(storage.trail("a"))) == (before, last, 1)
        assert list(storage.verify()) == []

    @needs("keeps_aside")
    def test_a_guard_may_refuse_to_keep(self, storage: IntentStorage) -> None:
        assert isinstance(storage, KeepsAside)
        put(storage, "a")
        storage.keep("leases", {"a": b"1"}, guard=lambda _: None)

        def refuses(state: Reader) -> None:
            assert [each and each.id for each in state.fetch(["a", "b"])] == ["a", None]
            raise IntentMissing("b")

        with pytest.raises(IntentMissing):
            storage.keep("leases", {"a": b"2", "b": b"2"}, guard=refuses)
        assert storage.kept("leases") == {"a": b"1"}
        put(storage, "b")

    @needs("keeps_aside")
    def test_what_may_not_be_kept_is_refused(self, storage: IntentStorage) -> None:
        assert isinstance(storage, KeepsAside)
        for space, items in (
            ("", {"a": b""}),
            ("s", {"": b""}),
            ("s", {"a": "text"}),
            ("s", {"a": b"x" * ((1 << 20) + 1)}),
        ):
            with pytest.raises(FieldInvalid):
                storage.keep(space, items)  # type: ignore[arg-type]  # what is refused
        assert storage.kept("s") == {}

    @needs("keeps_aside")
    def test_any_name_may_be_a_space_or_a_key(self, storage: IntentStorage) -> None:
        assert isinstance(storage, KeepsAside)
        for name in HOSTILE:
            storage.keep(name[:60], {each: name.encode() for each in HOSTILE})
        assert storage.kept(HOSTILE[0], ["\ud800"]) == {}
        for name in HOSTILE:
            assert storage.kept(name[:60]) == dict.fromkeys(HOSTILE, name.encode())

    @needs("keeps_aside")
    def test_graphs_keep_aside_apart(self, storage: IntentStorage, tmp_path: Path) -> None:
        other = self.make(tmp_path, "other")
        other.open()
        assert isinstance(storage, KeepsAside)
        assert isinstance(other, KeepsAside)
        storage.keep("s", {"a": b"1"})
        assert other.kept("s") == {}
        other.close()

    @needs("keeps_aside", "persistent")
    def test_what_is_kept_aside_outlives_the_opener(self, storage: IntentStorage, tmp_path: Path) -> None:
        assert isinstance(storage, KeepsAside)
        storage.keep("s", {"a": b"1", "b": b"2"})
        again = self.reopen(storage, tmp_path)
        assert isinstance(again, KeepsAside)
        assert again.kept("s") == {"a": b"1", "b": b"2"}
        again.close()

    @needs("keeps_aside", "multi_process")
    def test_two_that_have_it_open_see_what_is_kept(self, storage: IntentStorage, tmp_path: Path) -> None:
        other = self.make(tmp_path)
        other.open()
        assert isinstance(storage, KeepsAside)
        assert isinstance(other, KeepsAside)
        for round in range(400):  # often enough for what is outdated to be cleared away
            writer, reader = (storage, other) if round % 2 else (other, storage)
            writer.keep("s", {"a": b"%d" % round * 100, f"k{round % 7}": b"x"})
            assert reader.kept("s")["a"] == b"%d" % round * 100
        assert len(other.kept("s")) == len(storage.kept("s")) == 8
        other.close()
