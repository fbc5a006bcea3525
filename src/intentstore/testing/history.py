"""Claims on the log: each commit kept, each change chained to the one before, copies equal to the last digit."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from ..codec import change_hash, commit_hash, encode_change, header_bytes
from ..ground.change import NO_HEAD, Commit, Drop, Head, Link, Note, Put, Subject, Unlink
from ..ground.errors import Conflict
from ..ground.protocol import IntentStorage
from ..ground.types import Edge, EdgeType
from ..storage.memory import MemoryStorage
from .base import Claims
from .samples import NOON, VALUES, a_batch, an_intent, concerns, copy_log, link, put, state


def eventful(storage: IntentStorage) -> None:
    """Writes a history in which everything happens: puts, links, notes, deletions, and ids that come back."""
    put(storage, "a", "b", id="first", actor="planner", reason="begin")
    link(storage, ("a", "blocks", "b"), ("b", "related_to", "a"))
    storage.apply(a_batch(Note(id="a", text="looked at it"), at=NOON + timedelta(hours=1)))
    put(storage, an_intent("a", "Changed", priority=3), an_intent("c"))
    storage.apply(a_batch(Unlink(source="a", type=EdgeType.BLOCKS, target="b")))
    link(storage, ("a", "blocks", "b"), ("c", "enables", "a"))
    storage.apply(a_batch(Drop(id="a"), reason="not needed"))
    put(storage, an_intent("a", "Back again"))
    put(storage, *(an_intent(f"v{at}", metadata={"v": value}) for at, value in enumerate(VALUES)))


class HistoryClaims(Claims):
    """Nothing is overwritten in the log, and it can be proved."""

    def test_commits_come_in_order_from_where_one_asks(self, storage: IntentStorage) -> None:
        made = [put(storage, f"i{n}") for n in range(5)]
        assert list(storage.entries()) == made
        assert list(storage.entries(0)) == made
        assert list(storage.entries(made[2].revision)) == made[3:]
        assert list(storage.entries(made[4].revision)) == list(storage.entries(2**62)) == []

    def test_entries_end_where_the_log_did_when_asked(self, storage: IntentStorage) -> None:
        first = put(storage, "a")
        asked = storage.entries()
        put(storage, "b")
        assert list(asked) == [first]

    def test_one_may_write_while_reading_the_log(self, storage: IntentStorage) -> None:
        storage.apply_all([a_batch(Put(intent=an_intent(f"i{n}"))) for n in range(30)])
        for commit in storage.entries():
            put(storage, f"later-{commit.revision}")
        assert len(list(storage.entries())) == 60

    def test_a_commit_is_found_by_its_id(self, storage: IntentStorage) -> None:
        eventful(storage)
        for commit in storage.entries():
            assert storage.commit(commit.id) == commit
        assert storage.commit("nope") is None

    def test_each_change_names_the_revision_before(self, storage: IntentStorage) -> None:
        eventful(storage)
        last: dict[Subject, int] = {}
        for commit in storage.entries():
            for change in commit.changes:
                assert change.before == last.get(change.subject, 0)
                assert change.expected is None
                last[change.subject] = commit.revision
        made = [commit.revision for commit in storage.entries()]
        assert (last["a"], last["a", EdgeType.BLOCKS, "b"]) == (made[7], made[6])

    def test_the_hash_chain_verifies(self, storage: IntentStorage) -> None:
        eventful(storage)
        ends: dict[Subject, Head] = {}
        for commit in storage.entries():
            header, hashes = header_bytes(commit), []
            for change in commit.changes:
                assert change.prev == ends.get(change.subject, NO_HEAD).hash
                hashes.append(change_hash(header, encode_change(change)))
                ends[change.subject] = Head(commit.revision, hashes[-1])
            assert commit.hash == commit_hash(header, hashes)
        assert list(storage.verify()) == []

    def test_what_apply_returned_is_what_the_log_holds(self, storage: IntentStorage) -> None:
        made = [put(storage, "a", "b"), link(storage, ("a", "blocks", "b")), storage.apply(a_batch(Drop(id="b")))]
        assert list(storage.entries()) == made
        kept = msgspec.structs.asdict(made[2])
        assert [type(change) for change in kept["changes"]] == [Unlink, Drop]

    # --- the trail of one intent ---

    def test_the_trail_tells_all_that_happened_to_an_intent(self, storage: IntentStorage) -> None:
        eventful(storage)
        made = [0, *(commit.revision for commit in storage.entries())]
        told = [(made.index(entry.revision), type(entry.change).__name__) for entry in storage.trail("a")]
        expected = [
            (1, "Put"), (2, "Link"), (2, "Link"), (3, "Note"), (4, "Put"), (5, "Unlink"), (6, "Link"), (6, "Link"),
            (7, "Unlink"), (7, "Unlink"), (7, "Unlink"), (7, "Drop"), (8, "Put"),
        ]  # fmt: skip
        assert told == expected
        first, drop = storage.trail("a")[0], storage.trail("a")[11]
        assert (first.commit, first.actor, first.reason, first.at) == ("first", "planner", "begin", NOON)
        assert (drop.actor, drop.reason) == (None, "not needed")

    def test_the_trail_is_the_log_read_for_one_intent(self, storage: IntentStorage) -> None:
        eventful(storage)
        for id in ("a", "b", "c", "v3"):
            expected = [
                (commit.revision, commit.id, change)
                for commit in storage.entries()
                for change in commit.changes
                if concerns(change, id)
            ]
            assert [(entry.revision, entry.commit, entry.change) for entry in storage.trail(id)] == expected
        assert storage.trail("nope") == []

    def test_the_trail_keeps_edges_whose_other_end_is_gone(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        link(storage, ("a", "enables", "b"))
        storage.apply(a_batch(Drop(id="a")))
        assert [type(entry.change) for entry in storage.trail("b")] == [Put, Link, Unlink]

    def test_an_edge_type_is_not_an_end(self, storage: IntentStorage) -> None:
        put(storage, "a", "b", "blocks")
        link(storage, ("a", "blocks", "b"))
        assert len(storage.trail("blocks")) == 1

    # --- copies ---

    def test_a_copied_log_gives_the_same_hashes(self, storage: IntentStorage) -> None:
        source = MemoryStorage()
        source.open()
        eventful(source)
        log = list(source.entries())
        assert [commit.hash for commit in copy_log(log, storage)] == [commit.hash for commit in log]
        assert list(storage.entries()) == log
        assert state(storage) == state(source)
        target = MemoryStorage()
        target.open()
        copy_log(storage.entries(), target)
        assert list(target.entries()) == log
        assert list(storage.verify()) == []

    def test_a_copy_may_be_carried_on_and_repeated(self, storage: IntentStorage) -> None:
        source = MemoryStorage()
        source.open()
        eventful(source)
        log = list(source.entries())
        copy_log(log[:4], storage)
        copy_log(log[2:], storage)
        assert list(storage.entries()) == log

    def test_a_copied_log_may_have_gaps(self, storage: IntentStorage) -> None:
        storage.apply(a_batch(Put(intent=an_intent("a")), revision=5))
        between = put(storage, "b").revision
        beyond = between + 10
        storage.apply(a_batch(Put(intent=an_intent("a", "New"), expected=5), revision=beyond))
        assert [commit.revision for commit in storage.entries(5)] == [between, beyond]
        assert storage.revision == beyond < put(storage, "c").revision
        assert [entry.change.before for entry in storage.trail("a")] == [0, 5]
        assert list(storage.verify()) == []

    def test_a_revision_that_has_passed_is_refused(self, storage: IntentStorage) -> None:
        passed = [put(storage, "a").revision for _ in range(2)]
        for revision in passed:
            with pytest.raises(Conflict):
                storage.apply(a_batch(Put(intent=an_intent("b")), revision=revision))
        assert storage.revision == passed[1]

    def test_the_last_of_a_chain_goes_on_after_deletion(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        link(storage, ("a", "blocks", "b"))
        gone = storage.apply(a_batch(Drop(id="a")))
        put(storage, "a")
        edge = Edge(source="a", type=EdgeType.BLOCKS, target="b")
        (tied,) = storage.apply(a_batch(Link(edge=edge, expected=0))).changes
        assert (tied.before, tied.prev) == (gone.revision, _hash_of(gone, 0))


def _hash_of(commit: Commit, at: int) -> str:
    return change_hash(header_bytes(commit), encode_change(commit.changes[at]))
