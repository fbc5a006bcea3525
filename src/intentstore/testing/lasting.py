"""Claims on open and close, on what outlives them, and on several that have the same store open."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import msgspec
import pytest

from ..ground.change import Put
from ..ground.errors import Closed, Conflict, StaleRevision
from ..ground.protocol import Compacts, Descends, IntentStorage, ListsGraphs, Notifies, Replaces, SearchesText
from ..ground.query import IntentFilter
from .base import Claims, needs
from .driver import Call, calls
from .history import eventful
from .samples import a_batch, an_intent, edges, ids, link, one, put, state
from .writing import at_once


class LastingClaims(Claims):
    """What was acknowledged stays; what is closed says so."""

    def test_a_closed_storage_says_so_whatever_is_asked(self, tmp_path: Path) -> None:
        storage = self.make(tmp_path)
        storage.open()
        put(storage, "sample")
        storage.close()
        storage.close()
        for name, call in calls(storage).items():
            if name not in ("open", "close"):
                assert _closed(call, storage), f"{name} answers though the storage is closed"

    def test_a_storage_not_yet_opened_says_so(self, tmp_path: Path) -> None:
        storage = self.make(tmp_path)
        for name, call in calls(storage).items():
            if name not in ("open", "close"):
                assert _closed(call, storage), f"{name} answers though the storage was not opened"
        storage.close()

    def test_a_closed_storage_may_be_opened_again(self, storage: IntentStorage) -> None:
        storage.close()
        storage.open()
        put(storage, "a")
        assert ids(storage) == ["a"]

    def test_a_declared_power_is_there(self, storage: IntentStorage) -> None:
        assert isinstance(storage, SearchesText) or not storage.capabilities.searches_text
        assert isinstance(storage, Compacts) or not storage.capabilities.compacts
        assert isinstance(storage, Notifies) or not storage.capabilities.notifies
        assert isinstance(storage, Descends) or not storage.capabilities.descends

    def test_graphs_of_one_store_are_listed(self, storage: IntentStorage, tmp_path: Path) -> None:
        if not isinstance(storage, ListsGraphs):
            pytest.skip("the storage does not list graphs")
        put(storage, "a")
        other = self.make(tmp_path, "an other")
        other.open()
        put(other, "a")
        assert isinstance(other, ListsGraphs)
        assert storage.graphs() == other.graphs() == ["an other", "default"]
        other.close()

    # --- persistent ---

    @needs("persistent")
    def test_what_was_acknowledged_is_there_after_reopening(self, storage: IntentStorage, tmp_path: Path) -> None:
        eventful(storage)
        before, log, trail = state(storage), list(storage.entries()), storage.trail("a")
        again = self.reopen(storage, tmp_path)
        assert state(again) == before
        assert list(again.entries()) == log
        assert again.trail("a") == trail
        assert again.revision == log[-1].revision
        assert again.commit("first") == log[0]
        assert list(again.verify()) == []
        again.close()

    @needs("persistent")
    def test_the_same_commit_id_is_one_commit_after_reopening(self, storage: IntentStorage, tmp_path: Path) -> None:
        batch = a_batch(Put(intent=an_intent("a"), expected=0), id="once")
        first = storage.apply(batch)
        again = self.reopen(storage, tmp_path)
        assert again.apply(batch) == first
        assert again.revision == first.revision
        again.close()

    @needs("persistent")
    def test_the_chain_goes_on_after_reopening(self, storage: IntentStorage, tmp_path: Path) -> None:
        eventful(storage)
        for n in range(3):
            storage = self.reopen(storage, tmp_path)
            put(storage, an_intent("a", f"Round {n}"))
            link(storage, ("a", "blocks", "b"))
        assert one(storage, "a").goal == "Round 2"
        assert list(storage.verify()) == []
        storage.close()

    @needs("persistent")
    def test_what_was_dropped_without_closing_is_there(self, tmp_path: Path) -> None:
        dropped = self.make(tmp_path)
        dropped.open()
        eventful(dropped)
        before = state(dropped)
        again = self.make(tmp_path)
        again.open()
        assert state(again) == before
        assert list(again.verify()) == []
        put(again, "new")
        again.close()
        with contextlib.suppress(Closed):
            dropped.close()

    @needs("persistent")
    def test_opening_and_closing_change_nothing(self, storage: IntentStorage, tmp_path: Path) -> None:
        eventful(storage)
        before, last = state(storage), storage.revision
        for _ in range(3):
            storage = self.reopen(storage, tmp_path)
        assert (state(storage), storage.revision) == (before, last)
        storage.close()

    # --- compacting ---

    @needs("compacts")
    def test_compacting_loses_no_history(self, storage: IntentStorage, tmp_path: Path) -> None:
        assert isinstance(storage, Compacts)
        eventful(storage)
        before, log = state(storage), list(storage.entries())
        for round in range(2):
            sizes = storage.compact()
            assert {"bytes_before", "bytes_after"} <= sizes.keys()
            assert state(storage) == before
            assert list(storage.entries()) == log
            put(storage, an_intent("a", f"After {round}"))
            before, log = state(storage), list(storage.entries())
        assert len(storage.trail("a")) == 15
        assert list(storage.verify()) == []
        again = self.reopen(storage, tmp_path)
        assert (state(again), list(again.entries())) == (before, log)
        assert again.commit("first") == log[0]
        assert list(again.verify()) == []
        again.close()

    # --- waiting for commits ---

    @needs("notifies")
    def test_a_commit_wakes_who_waits_for_it(self, storage: IntentStorage) -> None:
        assert isinstance(storage, Notifies)
        assert storage.wait(0, 0.01) is False
        woken: list[bool] = []
        waiting = threading.Thread(target=lambda: woken.append(storage.wait(0, 30)))
        waiting.start()
        time.sleep(0.05)
        made = put(storage, "a")
        waiting.join(30)
        assert woken == [True]
        assert storage.wait(0, 30) is True
        assert storage.wait(made.revision, 0.01) is False

    @needs("notifies", "multi_process")
    def test_a_commit_of_another_wakes_who_waits_for_it(self, storage: IntentStorage, tmp_path: Path) -> None:
        assert isinstance(storage, Notifies)
        other = self.make(tmp_path)
        other.open()
        last = put(other, "a").revision
        assert storage.wait(0, 30) is True
        for name in "bcd":
            woken: list[bool] = []
            waiting = threading.Thread(target=lambda at=last, woken=woken: woken.append(storage.wait(at, 30)))
            waiting.start()
            time.sleep(0.02)
            made = put(other, name)
            waiting.join(30)
            assert woken == [True]
            assert [commit.id for commit in storage.entries(last)] == [made.id]
            last = made.revision
        other.close()

    @needs("notifies")
    def test_closing_ends_the_waiting(self, storage: IntentStorage) -> None:
        assert isinstance(storage, Notifies)
        told: list[object] = []

        def wait() -> None:
            try:
                told.append(storage.wait(0, 30))
            except Closed as closed:
                told.append(closed)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.05)
        storage.close()
        waiting.join(30)
        assert [type(each) for each in told] == [Closed]

    # --- replacing ---

    @needs("replaces")
    def test_a_log_takes_the_place_of_another(self, storage: IntentStorage, tmp_path: Path) -> None:
        assert isinstance(storage, Replaces)
        eventful(storage)
        log, before = list(storage.entries()), state(storage)
        other = self.make(tmp_path, "other")
        other.open()
        assert isinstance(other, Replaces)
        put(other, "z", "a", id="theirs")
        other.replace(log)
        assert (state(other), list(other.entries())) == (before, log)
        assert other.commit("theirs") is None
        assert other.trail("a") == storage.trail("a")
        put(other, "new")
        assert list(other.verify()) == []
        assert state(storage) == before
        other.replace(log[:3], then=lambda last: log[last:])
        assert (state(other), list(other.entries())) == (before, log)
        other.replace([])
        assert (ids(other), other.revision) == ([], 0)
        other.close()

    @needs("replaces")
    def test_a_log_that_does_not_come_out_the_same_replaces_nothing(self, storage: IntentStorage) -> None:
        assert isinstance(storage, Replaces)
        eventful(storage)
        log, before = list(storage.entries()), state(storage)
        forged = [*log[:-1], msgspec.structs.replace(log[-1], hash="0" * 64)]
        with pytest.raises(Conflict):
            storage.replace(forged)
        assert (state(storage), list(storage.entries())) == (before, log)
        put(storage, "new")
        assert list(storage.verify()) == []

    @needs("replaces", "persistent")
    def test_what_was_put_in_place_is_there_after_reopening(self, storage: IntentStorage, tmp_path: Path) -> None:
        assert isinstance(storage, Replaces)
        put(storage, "a", id="c1")
        log = list(storage.entries())
        put(storage, "b", id="c2")
        storage.replace(log)
        again = self.reopen(storage, tmp_path)
        assert [commit.id for commit in again.entries()] == ["c1"]
        assert list(again.verify()) == []
        again.close()

    # --- several at once ---

    @needs("multi_process")
    def test_two_that_have_it_open_see_each_others_commits(self, storage: IntentStorage, tmp_path: Path) -> None:
        other = self.make(tmp_path)
        other.open()
        try:
            first = put(storage, "a", "b", id="c1")
            assert ids(other) == ["a", "b"]
            link(other, ("a", "blocks", "b"))
            assert [edge.key for edge in edges(storage)] == [("a", "blocks", "b")]
            last = put(other, an_intent("a", "flaky now"))
            assert (one(storage, "a").goal, storage.revision) == ("flaky now", last.revision)
            assert ids(storage, IntentFilter(text="flaky")) == ["a"]
            with pytest.raises(StaleRevision):
                storage.apply(a_batch(Put(intent=an_intent("a"), expected=first.revision)))
            assert storage.apply(a_batch(Put(intent=an_intent("z")), id="c1")) == first
            assert other.commit("c1") == storage.commit("c1") is not None
            assert list(storage.entries()) == list(other.entries())
            assert storage.trail("a") == other.trail("a")
            assert list(storage.verify()) + list(other.verify()) == []
        finally:
            other.close()

    @needs("multi_process")
    def test_several_that_write_at_once_lose_nothing(self, storage: IntentStorage, tmp_path: Path) -> None:
        several = [storage, *(self.make(tmp_path) for _ in range(2))]
        for each in several[1:]:
            each.open()

        def work(who: int) -> list[int]:
            return [put(several[who % 3], f"t{who}-{n}").revision for n in range(6)]

        given = sorted(revision for each in at_once(work, 6) for revision in each)
        assert len(set(given)) == 36
        for each in several:
            assert len(ids(each)) == 36
            assert [commit.revision for commit in each.entries()] == given
            assert list(each.verify()) == []
        for each in several[1:]:
            each.close()

    @needs("multi_process", "compacts")
    def test_one_may_compact_while_another_has_it_open(self, storage: IntentStorage, tmp_path: Path) -> None:
        other = self.make(tmp_path)
        other.open()
        eventful(other)
        assert isinstance(storage, Compacts)
        storage.compact()
        last = put(storage, "new").revision
        assert (state(other), other.revision) == (state(storage), last)
        put(other, "newer")
        assert state(storage) == state(other)
        assert list(other.verify()) + list(storage.verify()) == []
        other.close()


def _closed(call: Call, storage: IntentStorage) -> bool:
    try:
        call(storage)
    except Closed:
        return True
    return False
