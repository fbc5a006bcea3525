"""Claims on `apply`: all or nothing, once, in order, compared and set, guarded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from ..ground.change import Change, Commit, Drop, Link, Note, Put, Unlink
from ..ground.errors import AlreadyThere, Conflict, EdgeMissing, IntentMissing, Invalid, PolicyRefused, StaleRevision
from ..ground.protocol import IntentStorage, Reader
from ..ground.query import Walk
from ..ground.types import Edge, EdgeType
from .base import Claims
from .samples import NOON, a_batch, an_intent, edges, growing, ids, link, one, put, state

T = TypeVar("T")


class WritingClaims(Claims):
    """What a write promises."""

    # --- compare and set ---

    def test_an_empty_store_is_at_revision_zero(self, storage: IntentStorage) -> None:
        assert storage.revision == 0
        assert ids(storage) == []
        assert list(storage.entries()) == []

    def test_a_put_intent_is_there_at_the_revision_of_its_commit(self, storage: IntentStorage) -> None:
        first = put(storage, "a").revision
        assert 0 < first == storage.revision
        assert one(storage, "a") == an_intent("a", revision=first)
        second = put(storage, an_intent("a", "Other")).revision
        assert first < second == one(storage, "a").revision == storage.revision

    def test_a_put_that_expects_the_present_revision_is_taken(self, storage: IntentStorage) -> None:
        seen = put(storage, "a").revision
        put(storage, "b")
        made = storage.apply(a_batch(Put(intent=an_intent("a", "New"), expected=seen)))
        assert (one(storage, "a").goal, one(storage, "a").revision) == ("New", made.revision)

    def test_a_stale_put_changes_nothing(self, storage: IntentStorage) -> None:
        seen = put(storage, "a").revision
        last = put(storage, an_intent("a", "Second")).revision
        before = state(storage)
        with pytest.raises(StaleRevision) as refused:
            storage.apply(a_batch(Put(intent=an_intent("a", "Third"), expected=seen)))
        assert (refused.value.id, refused.value.expected, refused.value.actual) == ("a", seen, last)
        assert state(storage) == before
        assert storage.revision == last

    def test_a_put_that_expects_absence_refuses_what_is_there(self, storage: IntentStorage) -> None:
        storage.apply(a_batch(Put(intent=an_intent("a"), expected=0)))
        with pytest.raises(AlreadyThere):
            storage.apply(a_batch(Put(intent=an_intent("a", "Other"), expected=0)))
        assert one(storage, "a").goal == "Reach a"

    def test_a_put_that_expects_a_revision_of_what_is_absent_is_missing(self, storage: IntentStorage) -> None:
        with pytest.raises(IntentMissing):
            storage.apply(a_batch(Put(intent=an_intent("a"), expected=3)))
        assert storage.revision == 0

    def test_a_stale_drop_changes_nothing(self, storage: IntentStorage) -> None:
        seen, last = (put(storage, "a").revision for _ in range(2))
        with pytest.raises(StaleRevision):
            storage.apply(a_batch(Drop(id="a", expected=seen)))
        storage.apply(a_batch(Drop(id="a", expected=last)))
        assert storage.fetch(["a"]) == [None]

    def test_a_dropped_id_may_be_stored_anew(self, storage: IntentStorage) -> None:
        put(storage, "a")
        storage.apply(a_batch(Drop(id="a")))
        again = storage.apply(a_batch(Put(intent=an_intent("a", "Again"), expected=0)))
        assert one(storage, "a") == an_intent("a", "Again", revision=again.revision)

    def test_an_intent_without_an_id_is_refused(self, storage: IntentStorage) -> None:
        with pytest.raises(Invalid):
            storage.apply(a_batch(Put(intent=an_intent("a").replace(id=""))))
        assert storage.revision == 0

    def test_an_intent_over_a_mebibyte_is_refused(self, storage: IntentStorage) -> None:
        whole = an_intent("a", original_request="x" * (1024 * 1024 - 1000))
        made = put(storage, whole)
        with pytest.raises(Invalid):
            put(storage, whole.replace(original_request="é" * (512 * 1024)))
        assert one(storage, "a") == whole.replace(revision=made.revision)

    # --- edges ---

    def test_an_edge_to_a_missing_intent_is_refused(self, storage: IntentStorage) -> None:
        put(storage, "a")
        for source, target in (("a", "x"), ("x", "a")):
            with pytest.raises(IntentMissing) as refused:
                link(storage, (source, "depends_on", target))
            assert refused.value.id == "x"
        assert edges(storage) == []

    def test_an_edge_that_expects_absence_refuses_its_twin(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        edge = Edge(source="b", type=EdgeType.RELATED_TO, target="a", created_at=NOON)
        made = storage.apply(a_batch(Link(edge=edge, expected=0)))
        with pytest.raises(AlreadyThere):
            storage.apply(a_batch(Link(edge=Edge(source="a", type=EdgeType.RELATED_TO, target="b"), expected=0)))
        assert edges(storage) == [edge.replace(revision=made.revision)]

    def test_linking_again_replaces_the_edge(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        link(storage, ("a", "blocks", "b"))
        heavy = Edge(source="a", type=EdgeType.BLOCKS, target="b", weight=2.5, created_at=NOON)
        made = storage.apply(a_batch(Link(edge=heavy)))
        assert edges(storage) == [heavy.replace(revision=made.revision)]

    def test_an_unlinked_edge_is_gone_and_the_intents_stay(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        link(storage, ("a", "blocks", "b"), ("b", "enables", "a"))
        storage.apply(a_batch(Unlink(source="a", type=EdgeType.BLOCKS, target="b")))
        assert [edge.key for edge in edges(storage)] == [("b", "enables", "a")]
        assert ids(storage, sort="id") == ["a", "b"]

    def test_unlinking_a_missing_edge_is_refused(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        link(storage, ("a", "blocks", "b"))
        with pytest.raises(EdgeMissing):
            storage.apply(a_batch(Unlink(source="b", type=EdgeType.BLOCKS, target="a")))
        assert len(edges(storage)) == 1

    def test_dropping_an_intent_drops_its_edges_in_the_same_commit(self, storage: IntentStorage) -> None:
        put(storage, "a", "b", "c")
        link(storage, ("a", "blocks", "b"), ("c", "depends_on", "a"), ("a", "related_to", "c"), ("b", "enables", "c"))
        commit = storage.apply(a_batch(Drop(id="a")))
        assert storage.fetch(["a"]) == [None]
        assert [edge.key for edge in edges(storage)] == [("b", "enables", "c")]
        gone = {change.key for change in commit.changes if isinstance(change, Unlink)}
        assert gone == {("a", "blocks", "b"), ("c", "depends_on", "a"), ("a", "related_to", "c")}
        assert isinstance(commit.changes[-1], Drop)
        assert commit.revision == storage.revision

    def test_dropping_or_noting_a_missing_intent_is_refused(self, storage: IntentStorage) -> None:
        for change in (Drop(id="x"), Note(id="x", text="remember")):
            with pytest.raises(IntentMissing):
                storage.apply(a_batch(change))
        assert storage.revision == 0

    def test_a_note_leaves_the_intent_as_it_is(self, storage: IntentStorage) -> None:
        seen = put(storage, "a").revision
        storage.apply(a_batch(Note(id="a", text="seen")))
        assert one(storage, "a") == an_intent("a", revision=seen)
        storage.apply(a_batch(Put(intent=an_intent("a", "New"), expected=seen)))
        assert one(storage, "a").goal == "New"

    # --- all or nothing, once ---

    def test_a_failed_batch_leaves_no_trace(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        reached = link(storage, ("a", "blocks", "b")).revision
        before = state(storage)
        good: list[Change] = [
            Put(intent=an_intent("c")),
            Put(intent=an_intent("a", "Changed")),
            Link(edge=Edge(source="c", type=EdgeType.ENABLES, target="a")),
            Unlink(source="a", type=EdgeType.BLOCKS, target="b"),
            Note(id="a", text="n"),
            Drop(id="b"),
        ]
        bad: list[Change] = [
            Put(intent=an_intent("a"), expected=99),
            Put(intent=an_intent("a"), expected=0),
            Drop(id="x"),
            Link(edge=Edge(source="a", type=EdgeType.BLOCKS, target="x")),
            Unlink(source="a", type=EdgeType.BLOCKS, target="x"),
        ]
        for last in bad:
            with pytest.raises((Conflict, LookupError)):
                storage.apply(a_batch(*good, last, id="failed"))
            assert state(storage) == before
            assert storage.revision == reached
            assert storage.commit("failed") is None
            assert len(list(storage.entries())) == 2
        storage.apply(a_batch(*good, id="failed"))
        assert ids(storage, sort="id") == ["a", "c"]

    def test_changes_of_one_batch_see_those_before_them(self, storage: IntentStorage) -> None:
        changes = (
            Put(intent=an_intent("a"), expected=0),
            Put(intent=an_intent("b"), expected=0),
            Link(edge=Edge(source="a", type=EdgeType.BLOCKS, target="b")),
            Put(intent=an_intent("a", "Twice")),
            Drop(id="b"),
        )
        commit = storage.apply(a_batch(*changes))
        assert [type(change) for change in commit.changes] == [Put, Put, Link, Put, Unlink, Drop]
        assert one(storage, "a").goal == "Twice"
        assert edges(storage) == []

    def test_the_same_commit_id_is_one_commit(self, storage: IntentStorage) -> None:
        batch = a_batch(Put(intent=an_intent("a"), expected=0), id="once", actor="me", reason="why")
        first = storage.apply(batch)
        last = put(storage, "b").revision
        assert storage.apply(batch) == first
        assert storage.apply(a_batch(Put(intent=an_intent("z")), id="once")) == first
        assert ids(storage, sort="id") == ["a", "b"]
        assert storage.revision == last

    def test_the_same_commit_id_from_many_threads_is_one_commit(self, storage: IntentStorage) -> None:
        batch = a_batch(Put(intent=an_intent("a"), expected=0), id="once")
        assert {commit.revision for commit in at_once(lambda _: storage.apply(batch), 8)} == {storage.revision}
        assert len(list(storage.entries())) == 1

    def test_a_batch_without_an_id_gets_a_fresh_one(self, storage: IntentStorage) -> None:
        first, second = put(storage, "a"), put(storage, "a")
        assert len({"", first.id, second.id}) == 3

    def test_the_commit_says_what_was_asked(self, storage: IntentStorage) -> None:
        commit = put(storage, "a", id="c-1", actor="planner", reason="because\nit must")
        assert (commit.id, commit.actor, commit.reason, commit.at) == ("c-1", "planner", "because\nit must", NOON)
        assert commit.changes == (Put(intent=an_intent("a", revision=commit.revision)),)
        assert commit.hash

    # --- many batches ---

    def test_batches_applied_together_are_commits_of_their_own(self, storage: IntentStorage) -> None:
        batches = [a_batch(Put(intent=an_intent(f"i{n}")), id=f"c{n}") for n in range(20)]
        commits = storage.apply_all([*batches, batches[3]])
        assert commits[20] == commits[3]
        assert list(storage.entries()) == commits[:20]
        assert growing(commits[:20])
        assert [commit.id for commit in commits[:20]] == [f"c{n}" for n in range(20)]
        assert storage.apply_all([]) == []

    def test_batches_applied_together_stop_at_the_first_refused(self, storage: IntentStorage) -> None:
        batches = [
            a_batch(Put(intent=an_intent("a"))),
            a_batch(Put(intent=an_intent("x")), Drop(id="missing")),
            a_batch(Put(intent=an_intent("b"))),
        ]
        with pytest.raises(IntentMissing):
            storage.apply_all(batches)
        assert ids(storage) == ["a"]
        assert len(list(storage.entries())) == 1

    def test_a_later_batch_sees_the_earlier_ones(self, storage: IntentStorage) -> None:
        storage.apply_all(
            [
                a_batch(Put(intent=an_intent("a"))),
                a_batch(Put(intent=an_intent("b"))),
                a_batch(Link(edge=Edge(source="a", type=EdgeType.BLOCKS, target="b"))),
                a_batch(Put(intent=an_intent("a", "New"))),
            ]
        )
        assert one(storage, "a").goal == "New"
        assert [edge.key for edge in edges(storage)] == [("a", "blocks", "b")]

    # --- guards ---

    def test_a_guard_sees_before_and_after(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        link(storage, ("a", "blocks", "b"))
        seen: list[object] = []

        def guard(before: Reader, after: Reader, changes: Sequence[Change]) -> None:
            wanted = ["a", "b", "c"]
            seen.append([each and each.goal for each in before.fetch(wanted)])
            seen.append([each and each.goal for each in after.fetch(wanted)])
            seen.append([edge.key for edge in before.neighbours(wanted, Walk())])
            seen.append([edge.key for edge in after.neighbours(wanted, Walk())])
            seen.append([type(change) for change in changes])

        new: list[Change] = [Put(intent=an_intent("a", "New")), Put(intent=an_intent("c")), Drop(id="b")]
        tie = Link(edge=Edge(source="c", type=EdgeType.ENABLES, target="a"))
        storage.apply(a_batch(*new, tie), guard=guard)
        assert seen == [
            ["Reach a", "Reach b", None],
            ["New", None, "Reach c"],
            [("a", "blocks", "b")],
            [("c", "enables", "a")],
            [Put, Put, Unlink, Drop, Link],
        ]

    def test_a_guard_that_raises_stores_nothing(self, storage: IntentStorage) -> None:
        last = put(storage, "a").revision
        before = state(storage)
        refusal = PolicyRefused("not on a Friday")

        def guard(*_: object) -> None:
            raise refusal

        with pytest.raises(PolicyRefused) as refused:
            storage.apply(a_batch(Put(intent=an_intent("b")), id="refused"), guard=guard)
        assert refused.value is refusal
        assert state(storage) == before
        assert (storage.revision, storage.commit("refused")) == (last, None)
        assert last < put(storage, "b").revision == storage.revision

    def test_a_guard_is_not_asked_about_a_batch_that_does_not_fit(self, storage: IntentStorage) -> None:
        asked: list[int] = []
        with pytest.raises(IntentMissing):
            storage.apply(a_batch(Drop(id="x")), guard=lambda *_: asked.append(1))
        assert asked == []

    # --- threads, graphs ---

    def test_threads_that_commit_at_once_lose_nothing(self, storage: IntentStorage) -> None:
        def work(who: int) -> list[Commit]:
            return [put(storage, f"t{who}-{n}", id=f"c{who}-{n}") for n in range(8)]

        made = at_once(work, 6)
        assert all(growing(each) for each in made)
        whole = sorted((commit for each in made for commit in each), key=lambda commit: commit.revision)
        assert growing(whole)
        assert len(ids(storage)) == 48 == len(whole)
        assert list(storage.entries()) == whole
        assert list(storage.verify()) == []

    def test_threads_that_compare_and_set_lose_no_update(self, storage: IntentStorage) -> None:
        put(storage, "a")

        def work(_: int) -> int:
            tries = 0
            for _ in range(5):
                while True:
                    tries += 1
                    seen = one(storage, "a")
                    changed = seen.replace(priority=seen.priority + 1)
                    try:
                        storage.apply(a_batch(Put(intent=changed, expected=seen.revision)))
                        break
                    except StaleRevision:
                        continue
            return tries

        at_once(work, 4)
        assert one(storage, "a").priority == 20

    def test_a_refused_thread_leaves_its_neighbours_alone(self, storage: IntentStorage) -> None:
        def work(who: int) -> bool:
            try:
                for n in range(6):
                    changes: list[Change] = [Put(intent=an_intent(f"{who}-{n}"))]
                    storage.apply(a_batch(*changes, *([Drop(id="missing")] if who % 2 else [])))
            except IntentMissing:
                return False
            return True

        assert at_once(work, 6) == [True, False, True, False, True, False]
        assert len(ids(storage)) == 18 == len(list(storage.entries()))

    def test_two_graphs_in_one_store_do_not_see_each_other(self, storage: IntentStorage, tmp_path: Path) -> None:
        other = self.make(tmp_path, "other")
        other.open()
        try:
            put(storage, "a", "b", id="c1")
            tie = link(storage, ("a", "blocks", "b"))
            there = put(other, an_intent("a", "Elsewhere"), id="c1")
            assert (storage.revision, other.revision) == (tie.revision, there.revision)
            assert (one(storage, "a").goal, one(other, "a").goal) == ("Reach a", "Elsewhere")
            assert (ids(other), edges(other), len(list(other.entries()))) == (["a"], [], 1)
            assert len(other.trail("a")) == 1
            other.apply(a_batch(Drop(id="a")))
            assert ids(storage, sort="id") == ["a", "b"]
            assert list(storage.verify()) + list(other.verify()) == []
        finally:
            other.close()


def at_once(work: Callable[[int], T], threads: int) -> list[T]:
    """Runs ``work(0)``, ``work(1)``, … in so many threads at once; returns the results, raises the first error."""
    start = threading.Barrier(threads)
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(who: int) -> None:
        try:
            start.wait()
            results[who] = work(who)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            errors.append(error)

    running = [threading.Thread(target=run, args=(who,)) for who in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    return [results[who] for who in range(threads)]
