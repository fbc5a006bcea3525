"""Claims about the fallback: visible, honest about what it does not know, and nothing that was written vanishes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from intentstore import (
    AlreadyThere,
    Busy,
    Closed,
    Commit,
    Corrupt,
    DegradedWarning,
    EdgeMissing,
    FieldInvalid,
    Full,
    Intent,
    IntentFilter,
    IntentGraph,
    PolicyRefused,
    ReadOnly,
    StaleRevision,
    Unavailable,
    Unsupported,
    open_graph,
)
from intentstore.graph.policy import Forbid, When
from intentstore.graph.traverse import refuse_cycles
from intentstore.ground import protocol
from intentstore.ground.change import PROVISIONAL, Define, Put
from intentstore.ground.errors import CycleRefused, StorageError
from intentstore.ground.protocol import KeepsTime
from intentstore.ground.types import Claim
from intentstore.ground.values import Map
from intentstore.storage.choose import Servers, StorageConfig, named
from intentstore.storage.disk import alone_in
from intentstore.storage.fallback import FallbackStorage
from intentstore.storage.file import FileStorage
from intentstore.storage.known import MOST, PassedBy, _shorten
from intentstore.storage.memory import MemoryStorage
from intentstore.storage.spool import Spool
from intentstore.storage.sqlite import SqliteStorage
from intentstore.testing import FrozenClock, Severable, a_batch, an_intent

pytestmark = pytest.mark.filterwarnings("ignore::intentstore.DegradedWarning")

NEVER = 3600.0
"""Seconds until the primary is looked for again: in these claims only `replay` does so."""


class House:
    """A primary that outlives whoever opens it, and a spool in memory or in a directory."""

    def __init__(self, tmp_path: Path, spool: str = "file") -> None:
        self.kind, self.path = spool, tmp_path / "spool"
        self.name = str(tmp_path)
        self.severable = Severable(MemoryStorage(self.name))
        self.truth = IntentGraph(MemoryStorage(self.name))
        self.truth.storage.open()

    def spool(self, **how: Any) -> Spool:
        durable = self.kind == "file"
        storage = FileStorage(self.path) if durable else MemoryStorage()
        return Spool(storage, store="here", where=f"file:{self.path}" if durable else "memory", **how)

    def open(self, *, retry_s: float = NEVER, limit: int = 10_000, **how: Any) -> IntentGraph:
        storage = FallbackStorage(
            self.severable,
            self.spool(limit=limit),
            guard_of=lambda _: refuse_cycles,
            retry_s=retry_s,
            **how,
        )
        storage.open()
        return IntentGraph(storage, actor="me")

    def cut(self) -> None:
        self.severable.cut()

    def mend(self) -> None:
        self.severable.mend()


@pytest.fixture(params=["file", "memory"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, request.param)
    yield made
    made.truth.close()


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.truth.close()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.005)


def goals(graph: IntentGraph) -> list[str]:
    return sorted(intent.goal for intent in graph.each())


# --- going on, and being honest about it ---


def test_without_an_outage_it_is_its_primary(house: House) -> None:
    with house.open() as graph:
        a = graph.store(Intent(goal="A"))
        assert graph.get(a.id) == house.truth.get(a.id)
        assert graph.get("nope") is None
        assert graph.list().partial is False
        assert graph.degraded is None
        health = graph.health()
        assert (health["status"], health["kind"]) == ("ok", "memory")
        assert health["fallback"]["waiting"] == 0
        assert [commit.durable for commit in graph.entries()] == [True]


@pytest.mark.parametrize("at", ["opening", "mid-run"])
def test_an_outage_is_visible_everywhere(house: House, at: str) -> None:
    if at == "opening":
        house.cut()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        graph = house.open(clock=FrozenClock())
        house.cut()
        graph.store(Intent(id="a", goal="A"))
    assert len(warned) == 1
    durable = house.kind == "file"
    assert warned[0].category is DegradedWarning
    assert "the store cannot be reached" in str(warned[0].message)
    assert ("durable=False" in str(warned[0].message)) is not durable
    degraded = graph.degraded
    assert degraded is not None
    assert (degraded.since, degraded.waiting, degraded.durable) == (FrozenClock()(), 1, durable)
    assert degraded.why == "the place is cut off"
    assert degraded.spool == (f"file:{house.path}" if durable else "memory")
    health = graph.health()
    assert health["status"] == "degraded"
    assert health["durable"] is durable
    assert health["degraded"]["waiting"] == 1
    assert graph.stats()["store"]["degraded"]["why"] == "the place is cut off"
    commit = graph.delete("a")
    assert commit is not None
    assert commit.durable is durable
    assert commit.revision > PROVISIONAL
    house.mend()
    assert graph.replay().waiting == 0
    graph.close()


def test_what_is_known_is_given_and_what_is_not_is_never_called_missing(house: House) -> None:
    house.truth.store(Intent(id="passed by", goal="Known"))
    house.truth.store(Intent(id="other end", goal="Known too"))
    house.truth.link("passed by", "depends_on", "other end")
    house.truth.store(Intent(id="unseen", goal="Not known"))
    house.truth.link("unseen", "depends_on", "passed by")
    with house.open() as graph:
        assert graph.get("passed by") is not None
        assert graph.intents(["other end"])
        graph.edges("passed by")
        house.cut()
        assert graph.intent("passed by").revision == 1
        assert [edge.target for edge in graph.edges("passed by")] == ["other end"]
        for ask in (graph.get, graph.intent, graph.edges, graph.history):
            with pytest.raises(Unavailable):
                ask("unseen")
        for other in (graph.verify, graph.graphs, lambda: list(graph.entries()), lambda: graph.commit("nope")):
            with pytest.raises(Unavailable, match="can only be told by the store itself"):
                other()
        page = graph.list()
        assert page.partial is True
        assert [intent.id for intent in page.intents] == ["passed by", "other end"]
        assert sum(graph.count().values()) == 2
        assert [hit.intent.id for hit in graph.search("too")] == ["other end"]
        assert "Known too" in graph.context(query="known too").text
        graph.delete("other end")
        assert graph.get("other end") is None  # this is known: it was deleted here
        assert graph.edges("passed by") == []
        house.mend()
        graph.replay()


def test_where_nothing_is_known_nothing_is_pretended(house: House) -> None:
    house.truth.store(Intent(goal="Not known"))
    house.cut()
    with house.open() as graph:
        for ask in (graph.list, graph.count, graph.ready, lambda: graph.search("known")):
            with pytest.raises(Unavailable, match="nothing is known here of the graph"):
                ask()
        graph.store(Intent(goal="Mine"))
        assert [intent.goal for intent in graph.list().intents] == ["Mine"]
        assert graph.revision > PROVISIONAL
        house.mend()
        graph.replay()
        assert goals(graph) == ["Mine", "Not known"]


def test_writes_are_checked_against_what_is_known(house: House) -> None:
    with house.open() as graph:
        a, b = (graph.store(Intent(id=id, goal=id)) for id in "ab")
        graph.link("a", "depends_on", "b")
        house.cut()
        changed = graph.update(a.replace(goal="A2"))
        with pytest.raises(StaleRevision):
            graph.update(a.replace(goal="A3"))
        graph.update(changed.replace(goal="A4"))
        with pytest.raises(AlreadyThere):
            graph.store(Intent(id="b", goal="B again"))
        with pytest.raises(CycleRefused):
            graph.link("b", "depends_on", "a")
        with pytest.raises(AlreadyThere):
            graph.link("a", "depends_on", "b")
        with pytest.raises(Unavailable, match="nothing is known here of intent 'unseen'"):
            graph.link("a", "depends_on", "unseen")
        with pytest.raises(Unavailable, match="nothing is known here of edge"):
            graph.unlink("b", "blocks", "a")
        graph.unlink("a", "depends_on", "b")
        with pytest.raises(EdgeMissing):
            graph.unlink("a", "depends_on", "b")
        graph.note("b", "said while away")
        with graph.transaction() as tx:
            tx.store(Intent(id="c", goal="c"))
            tx.link("c", "blocks", "b")
            tx.unlink("c", "blocks", "b")
        with pytest.raises(Unavailable, match="cannot be claimed"):
            graph.update(b.replace(claim=Claim(owner="me", token=1, until=FrozenClock()())))
        assert graph.intent("a").goal == "A4"
        house.mend()
        assert graph.replay().conflicts == ()
        assert graph.intent("a").goal == house.truth.intent("a").goal == "A4"
        assert "Note" in [type(entry.change).__name__ for entry in graph.history("b")]


def test_definitions_are_given_as_last_read_and_not_changed(house: House) -> None:
    house.truth.storage.apply(a_batch(Define(name="policy.a", value=Map({"x": 1}))))
    with house.open() as graph:
        storage = graph.storage
        storage.apply(a_batch(Define(name="policy.b", value=Map({"x": 2}))))
        storage.apply(a_batch(Define(name="rule", value=Map({"x": 3}))))
        assert sorted(storage.definitions("policy")) == ["policy.a", "policy.b"]
        storage.apply(a_batch(Define(name="rule", value=None)))
        house.cut()
        assert storage.definitions() == {"policy.a": {"x": 1}, "policy.b": {"x": 2}}
        assert list(storage.definitions("policy.b")) == ["policy.b"]
        with pytest.raises(Unavailable, match="belongs to the whole graph"):
            storage.apply(a_batch(Define(name="policy.c", value=Map({}))))
        with pytest.raises(Unavailable):
            storage.keep("x", {"a": b"1"})  # type: ignore[attr-defined]  # declared
        house.mend()
        graph.replay()
        assert sorted(storage.definitions()) == ["policy.a", "policy.b"]
    house.cut()
    with house.open() as graph:
        graph.store(Intent(goal="A"))
        with pytest.raises(Unavailable, match="nothing is known here of the graph's definitions"):
            graph.storage.definitions()
        house.mend()
        graph.replay()


def test_policies_hold_meanwhile_as_last_read_and_again_when_the_write_comes(tmp_path: Path) -> None:
    primary = f"sqlite:{tmp_path}/goals.db"
    with open_graph(primary) as truth, open_graph(primary, fallback=f"file:{tmp_path}/spool") as graph:
        truth.define_policy(
            "urgent", Forbid(when=When(where=IntentFilter(priority_min=100)), why="nothing is that urgent")
        )
        graph.policies()
        assert isinstance(graph.storage, FallbackStorage)
        graph.storage.definitions()
        graph.storage._retry_s = NEVER
        graph.storage._leave(Unavailable("away"))
        with pytest.raises(PolicyRefused, match="nothing is that urgent"):
            graph.store(Intent(goal="A", priority=100))
        graph.store(Intent(id="b", goal="B", priority=50))
        truth.define_policy("urgent", Forbid(when=When(where=IntentFilter(priority_min=10)), why="nor that"))
        (refused,) = graph.replay().conflicts
        assert (refused.kind, "nor that" in refused.message) == ("PolicyRefused", True)
        assert truth.get("b") is None


def test_a_copied_log_never_waits(house: House, tmp_path: Path) -> None:
    with open_graph(f"file:{tmp_path}/source") as source:
        source.store(Intent(goal="A"))
        with house.open() as graph:
            house.cut()
            with pytest.raises(Unavailable):
                source.copy(graph)
            assert graph.degraded is not None
            assert graph.degraded.waiting == 0


@pytest.mark.parametrize("kind", [Full, Busy, ReadOnly])
def test_a_store_that_can_be_reached_is_not_left(house: House, kind: type[StorageError]) -> None:
    with house.open() as graph:

        def refuse(*_: Any, **__: Any) -> Any:
            raise kind("it says why")

        house.severable.apply = refuse  # type: ignore[method-assign]  # can be reached, and refuses
        with pytest.raises(kind):
            graph.store(Intent(goal="A"))
        assert graph.degraded is None


@pytest.mark.parametrize("at", ["opening", "mid-run", "replay"])
def test_what_waiting_does_not_cure_is_not_waited_for(filed: House, at: str) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Unavailable("wrong password", outage=False)

    graph = filed.open()
    if at == "mid-run":
        filed.severable.apply = refuse  # type: ignore[method-assign]  # as a server would
        with pytest.raises(Unavailable, match="wrong password"):
            graph.store(Intent(goal="A"))
        assert graph.degraded is None
    else:
        filed.cut()
        graph.store(Intent(id="a", goal="A"))
        filed.mend()
        filed.truth.store(Intent(id="a", goal="theirs"))
        graph.replay()
        with open_graph(f"file:{filed.path}") as spool:
            spool.reopen(*[each.id for each in spool.list().intents])
        filed.severable.apply = refuse  # type: ignore[method-assign]
        with pytest.raises(Unavailable, match="wrong password"):
            graph.replay() if at == "replay" else filed.open()
    graph.close()


def test_a_damaged_store_is_not_papered_over(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> None:
        raise Corrupt("here", "is damaged")

    monkeypatch.setattr(house.severable.inner, "open", damaged)
    with pytest.raises(Corrupt):
        house.open()


# --- coming back ---


def test_what_waited_is_applied_in_order_with_its_own_time_actor_and_reason(house: House) -> None:
    house.cut()
    clock = FrozenClock()
    storage = house.open().storage
    graph = IntentGraph(storage, actor="planner", clock=clock)
    for n in range(5):
        graph.store(Intent(id=f"i{n}", goal="x"), reason=f"because {n}")
    asked = clock()
    clock.step(18_000)
    house.mend()
    found = graph.replay()
    assert (found.replayed, found.waiting, found.conflicts) == (5, 0, ())
    told = [(commit.changes[0].subject, commit.actor, commit.reason) for commit in house.truth.entries()]
    assert told == [(f"i{n}", "planner", f"because {n}") for n in range(5)]
    assert {commit.at for commit in house.truth.entries()} == {asked}
    assert graph.degraded is None
    graph.close()


def test_the_primary_is_found_again_without_being_asked_for(house: House) -> None:
    with house.open(retry_s=0.01) as graph:
        house.cut()
        graph.store(Intent(goal="A"))
        house.mend()
        until(lambda: graph.degraded is None)
        graph.store(Intent(goal="B"))
        assert goals(house.truth) == ["A", "B"]


def test_a_write_whose_reply_was_lost_is_there_once(house: House) -> None:
    with house.open() as graph:
        house.severable.loses_replies = 1
        graph.store(Intent(id="a", goal="A"))
        assert graph.degraded is not None
        assert graph.degraded.waiting == 1
        assert house.truth.revision == 1  # it had happened
        house.mend()
        assert graph.replay().conflicts == ()
        assert house.truth.revision == 1
        with graph.transaction(commit_id="once") as tx:
            tx.store(Intent(id="b", goal="B"))
        house.cut()
        for _ in range(2):
            with graph.transaction(commit_id="once") as tx:
                tx.store(Intent(id="b", goal="B"))
        house.mend()
        assert graph.replay().conflicts == ()
        assert house.truth.revision == 2


def test_conflicts_are_data_and_are_kept(house: House) -> None:
    with house.open() as graph:
        a = graph.store(Intent(id="a", goal="A"))
        graph.store(Intent(id="b", goal="B"))
        house.cut()
        changed = graph.update(a.replace(goal="mine"), reason="I knew no better")
        graph.update(changed.replace(goal="mine again"))
        graph.store(Intent(id="c", goal="mine too"))
        graph.link("a", "depends_on", "b")
        graph.store(Intent(id="d", goal="no quarrel"))
        house.truth.update(a.replace(goal="theirs"))
        house.truth.store(Intent(id="c", goal="theirs too"))
        house.truth.link("b", "depends_on", "a")
        house.mend()
        with pytest.warns(DegradedWarning, match="4 of the writes that waited were refused"):
            found = graph.replay()
        assert (found.replayed, found.waiting) == (1, 0)
        assert [each.kind for each in found.conflicts] == [
            "StaleRevision",
            "StaleRevision",
            "AlreadyThere",
            "CycleRefused",
        ]
        first = found.conflicts[0]
        assert first.changes[0].intent.goal == "mine"  # type: ignore[union-attr]  # it was a put
        assert (first.actor, first.reason) == ("me", "I knew no better")
        assert "is at revision 3" in first.message
        assert goals(house.truth) == ["B", "no quarrel", "theirs", "theirs too"]
        assert graph.health()["fallback"]["conflicts"] == 4
        assert graph.replay().conflicts == found.conflicts  # kept


def test_a_refused_write_can_be_tried_again_in_the_spool_or_under_its_id(filed: House) -> None:
    with filed.open() as graph:
        for id in ("again", "anew"):
            filed.cut()
            with graph.transaction(commit_id=id) as tx:
                tx.store(Intent(id=f"by {id}", goal="mine"))
                tx.store(Intent(id="taken", goal="mine"))
            filed.mend()
            filed.truth.store(Intent(id="taken", goal="theirs"))
            assert [each.commit for each in graph.replay().conflicts] == [id]
            filed.truth.delete("taken")
            filed.cut()
            if id == "again":
                with open_graph(f"file:{filed.path}") as spool:
                    assert [intent.goal for intent in spool.list().intents] == ["put by again: mine (and 1 more)"]
                    spool.reopen("again", reason="the way is free")
            else:
                with graph.transaction(commit_id=id) as tx:
                    tx.store(Intent(id="by anew", goal="mine, anew"))
                assert graph.intent("by anew").goal == "mine, anew"
            filed.mend()
            assert graph.replay().waiting == 0
            if id == "again":
                filed.truth.delete("taken")
        assert goals(filed.truth) == ["mine", "mine, anew"]
        assert graph.replay().conflicts == ()


def test_a_revision_given_meanwhile_is_good_afterwards(house: House) -> None:
    with house.open() as graph:
        house.truth.store(Intent(goal="one more, so that revisions differ"))
        house.cut()
        a = graph.store(Intent(id="a", goal="A"))
        house.mend()
        graph.replay()
        b = graph.update(a.replace(goal="A2"))  # a has its provisional revision still
        assert b.revision == house.truth.revision == 3
        assert [commit.revision for commit in graph.entries(a.revision)] == [3]
        with pytest.raises(StaleRevision):
            graph.update(a.replace(goal="A3"))
        house.cut()
        graph.update(b.replace(goal="A4"))
        house.mend()
        assert graph.replay().conflicts == ()


def test_the_bound_is_told_and_nothing_is_dropped(house: House) -> None:
    with house.open(limit=3) as graph:
        house.cut()
        for n in range(3):
            graph.store(Intent(id=str(n), goal="x"))
        with pytest.raises(Full, match="3 writes wait in") as refused:
            graph.store(Intent(id="3", goal="x"))
        assert (refused.value.waiting, refused.value.limit) == (3, 3)
        house.mend()
        assert graph.replay().replayed == 3


def test_a_long_write_waits_in_pieces(filed: House) -> None:
    with filed.open() as graph:
        filed.cut()
        with graph.transaction() as tx:
            for n in range(60):
                tx.store(Intent(id=str(n), goal="x", original_request="λ" * 20_000))
    again = filed.open()
    assert again.stats()["intents"] == 60
    filed.mend()
    assert again.replay().replayed == 1
    assert filed.truth.intent("59").original_request == "λ" * 20_000
    again.close()
    with open_graph(f"file:{filed.path}") as spool:
        assert spool.list().intents == ()


def test_writers_go_on_while_it_comes_back_and_order_is_kept(house: House) -> None:
    with house.open(retry_s=0.005) as graph:
        written: list[list[str]] = []

        def writes(name: str) -> None:
            mine = [f"{name}-{n}" for n in range(60)]
            for id in mine:
                graph.store(Intent(id=id, goal="x"))
            written.append(mine)

        writers = [threading.Thread(target=writes, args=(name,)) for name in "abc"]
        for writer in writers:
            writer.start()
        for _ in range(10):
            house.cut()
            time.sleep(0.005)
            house.mend()
            time.sleep(0.005)
        for writer in writers:
            writer.join()
        until(lambda: graph.degraded is None)
        order = [str(commit.changes[0].subject) for commit in house.truth.entries()]
        assert len(order) == len(set(order)) == 180
        for mine in written:
            assert [id for id in order if id in set(mine)] == mine


def test_a_replay_that_is_cut_off_goes_on_where_it_was(filed: House) -> None:
    with filed.open() as graph:
        filed.cut()
        for n in range(30):
            graph.store(Intent(id=str(n), goal="x"))
        apply, left = filed.severable.inner.apply, iter(range(10))

        def few(*args: Any, **how: Any) -> Any:
            made = apply(*args, **how)
            if next(left, None) is None:
                filed.cut()
                raise Unavailable("cut off again", outcome="unknown")
            return made

        filed.severable.inner.apply = few  # type: ignore[method-assign]  # so many, then the outage is back
        filed.mend()
        found = graph.replay()
        assert (found.replayed, found.waiting) == (10, 20)
        assert graph.degraded is not None
        assert graph.degraded.why == "cut off again"
        filed.severable.inner.apply = apply  # type: ignore[method-assign]
        filed.mend()
        assert graph.replay().waiting == 0
        assert [str(commit.changes[0].subject) for commit in filed.truth.entries()] == [str(n) for n in range(30)]


# --- closing, crashing, opening anew ---


def test_what_waits_in_a_directory_is_brought_by_the_next_opening(filed: House) -> None:
    with filed.open() as graph:
        filed.cut()
        a = graph.store(Intent(id="a", goal="A"))
    with filed.open() as graph:  # still away: what waits is known
        assert graph.get("a") is not None
        assert graph.degraded is not None
        graph.update(a.replace(goal="A2"))
    filed.mend()
    with filed.open() as graph:
        assert graph.degraded is None
        assert graph.intent("a").goal == filed.truth.intent("a").goal == "A2"
    assert filed.truth.revision == 2


def test_an_opening_tells_of_what_it_could_not_bring(filed: House) -> None:
    with filed.open() as graph:
        filed.cut()
        graph.store(Intent(id="a", goal="A"))
    filed.mend()
    filed.truth.store(Intent(id="a", goal="theirs"))
    with pytest.warns(DegradedWarning, match="1 of the writes that waited were refused"):
        graph = filed.open()
    assert len(graph.replay().conflicts) == 1
    graph.close()


def test_an_update_is_no_conflict_though_what_it_updates_came_in_another_replay(filed: House) -> None:
    with filed.open() as graph:
        filed.cut()
        a = graph.store(Intent(id="a", goal="A"))
        graph.update(a.replace(goal="A2"))
    first = filed.spool()
    first.open()
    (one, _) = first.waiting()
    filed.truth.storage.apply(one.batch)  # another process brought the first, and died
    first.done([one], at=one.batch.at)
    first.close()
    filed.mend()
    with filed.open() as graph:
        assert graph.replay().conflicts == ()
        assert graph.intent("a").goal == "A2"


def test_what_waits_in_memory_gets_a_last_chance_at_closing(tmp_path: Path) -> None:
    house = House(tmp_path, "memory")
    graph = house.open()
    house.cut()
    graph.store(Intent(id="a", goal="A"))
    house.mend()
    graph.close()
    assert goals(house.truth) == ["A"]


def test_what_is_lost_with_memory_is_told_whole(tmp_path: Path) -> None:
    house = House(tmp_path, "memory")
    graph = house.open()
    house.cut()
    graph.store(Intent(id="a", goal="A"))
    with pytest.raises(Unavailable, match="1 writes that waited in memory are lost") as lost:
        graph.close()
    assert lost.value.waiting[0]["changes"][0]["intent"]["goal"] == "A"
    graph.close()  # closing twice is harmless


THOUSAND = """
import os, signal, sys, warnings
from intentstore import Intent, IntentGraph
from intentstore.graph.policy import Forbid, When
from intentstore.graph.traverse import refuse_cycles
from intentstore.storage.fallback import FallbackStorage
from intentstore.storage.file import FileStorage
from intentstore.storage.sqlite import SqliteStorage
from intentstore.storage.spool import Spool
from intentstore.storage.sqlite import SqliteStorage
from intentstore.testing import Severable
warnings.simplefilter("ignore")
primary = Severable(SqliteStorage(sys.argv[1]))
spool = Spool(FileStorage(sys.argv[2]), store="here", where="there")
storage = FallbackStorage(primary, spool, guard_of=lambda _: refuse_cycles)
storage.open()
graph = IntentGraph(storage)
primary.cut()
for n in range(1000):
    graph.store(Intent(id=f"i{n}", goal="x"))
print(graph.degraded.waiting, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_thousand_writes_without_the_primary_and_a_kill_are_in_it_exactly_once(tmp_path: Path) -> None:
    primary, spool = tmp_path / "goals.db", tmp_path / "spool"
    done = subprocess.run(
        [sys.executable, "-c", THOUSAND, str(primary), str(spool)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("1000\n", -signal.SIGKILL), done.stderr
    storage = FallbackStorage(
        open_graph(f"sqlite:{primary}").storage, Spool(FileStorage(spool), store="here", where="there")
    )
    storage.primary.close()
    storage.open()
    graph = IntentGraph(storage)
    assert [str(commit.changes[0].subject) for commit in graph.entries()] == [f"i{n}" for n in range(1000)]
    assert graph.verify().ok
    assert graph.health()["fallback"]["waiting"] == 0
    graph.close()


KILLED = """
import os, signal, sys, warnings
from intentstore.storage.fallback import FallbackStorage
from intentstore.storage.file import FileStorage
from intentstore.storage.sqlite import SqliteStorage
from intentstore.storage.spool import Spool
warnings.simplefilter("ignore")
primary, left = SqliteStorage(sys.argv[1]), iter(range(int(sys.argv[3])))
apply = primary.apply
def few(*args, **how):
    made = apply(*args, **how)
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return made
primary.apply = few
FallbackStorage(primary, Spool(FileStorage(sys.argv[2]), store="here", where="there")).open()
"""


def test_a_kill_in_the_midst_of_a_replay_leaves_each_write_once(tmp_path: Path) -> None:
    primary, spool = tmp_path / "goals.db", tmp_path / "spool"
    severable = Severable(SqliteStorage(primary))
    storage = FallbackStorage(severable, Spool(FileStorage(spool), store="here", where="there"), retry_s=NEVER)
    storage.open()
    severable.cut()
    graph = IntentGraph(storage)
    for n in range(150):
        graph.store(Intent(id=f"i{n}", goal="x"))
    graph.close()
    for few in ("0", "20", "120"):
        done = subprocess.run([sys.executable, "-c", KILLED, str(primary), str(spool), few], check=False)
        assert done.returncode == -signal.SIGKILL
    severable.mend()
    storage.open()
    assert [str(commit.changes[0].subject) for commit in graph.entries()] == [f"i{n}" for n in range(150)]
    assert graph.replay().conflicts == ()
    graph.close()


def test_two_processes_share_a_spool_and_see_what_the_other_wrote(filed: House) -> None:
    filed.cut()
    with filed.open() as one, filed.open() as other:
        a = one.store(Intent(id="a", goal="A"))
        changed = other.update(other.intent("a").replace(goal="A2"))
        with pytest.raises(StaleRevision):
            one.update(a.replace(goal="A3"))
        one.update(one.intent("a").replace(goal="A4"))
        assert changed.revision < one.intent("a").revision
        filed.mend()
        assert (one.replay().replayed, other.replay().replayed) == (3, 0)
        assert filed.truth.intent("a").goal == other.intent("a").goal == "A4"


# --- borders ---


def test_a_read_only_graph_reads_what_is_known_and_leaves_what_waits_alone(filed: House) -> None:
    with filed.open() as graph:
        filed.cut()
        graph.store(Intent(id="a", goal="A"))
    with filed.open(read_only=True) as graph:
        assert graph.get("a") is not None
        with pytest.raises(ReadOnly):
            graph.store(Intent(goal="B"))
        filed.mend()
        assert graph.replay().waiting == 1
        assert graph.degraded is None
        assert graph.get("a") is None  # the primary has its say again


def test_a_spool_of_another_store_is_refused(filed: House, tmp_path: Path) -> None:
    with filed.open() as graph:
        filed.cut()
        graph.store(Intent(goal="A"))
    with pytest.raises(FieldInvalid, match=r"holds writes for here, not for sqlite:.*goals\.db"):
        open_graph(f"sqlite:{tmp_path}/goals.db", fallback=f"file:{filed.path}")


@pytest.mark.parametrize("fallback", ["", "disk:x", "file:", "memory:x", "file:x?limit=0", "file:x?y=1", "sqlite:x"])
def test_a_fallback_that_makes_no_sense_is_refused(tmp_path: Path, fallback: str) -> None:
    with pytest.raises(FieldInvalid, match="fallback is"):
        open_graph(f"sqlite:{tmp_path}/goals.db", fallback=fallback)


@pytest.mark.parametrize("fallback", ["memory", "memory?limit=5", "file:{}/spool", "file:{}/spool?limit=5"])
def test_an_outage_at_opening_needs_a_fallback(tmp_path: Path, fallback: str) -> None:
    nowhere = f"sqlite:{tmp_path}/none.db"
    with pytest.raises(Unavailable):
        open_graph(nowhere, create=False)
    graph = open_graph(nowhere, create=False, fallback=fallback.format(tmp_path))
    assert graph.degraded is not None
    with pytest.raises(Unavailable):
        graph.get("a")
    graph.close()


def test_a_graph_without_a_fallback_says_so() -> None:
    with open_graph("memory:") as graph:
        assert graph.degraded is None
        with pytest.raises(Unsupported, match="no fallback"):
            graph.replay()


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("memory:x", "memory:x"),
        ("postgresql://u:secret@h1:1,h2/db?sslmode=require", "postgresql://h1:1,h2/db"),
        ("postgresql:///db?host=/run&user=u&password=secret", "postgresql:///db?host=/run"),
        (Servers({"team-*": "memory:", "*": "postgresql://u:secret@h/db"}), "postgresql://h/db"),
    ],
)
def test_the_name_of_a_store_holds_no_secret(where: str | StorageConfig, name: str) -> None:
    assert named(where, "default") == name
    assert "secret" not in named("redis:secret@h", "default")
    assert named("file:goals", "default") == f"file:{Path('goals').absolute()}"
    assert named("sqlite:goals.db", "default") == f"sqlite:{Path('goals.db').absolute()}"


def test_what_the_primary_finds_about_itself_only_it_can_tell(house: House) -> None:
    with house.open() as graph:
        assert graph.doctor().checks is not None
        house.cut()
        with pytest.raises(Unavailable):
            graph.get("nobody")
        assert isinstance(graph.storage, FallbackStorage)
        with pytest.raises(Unavailable, match="can only be told by the store itself"):
            list(graph.storage.examine())


def test_time_is_kept_where_the_primary_keeps_it_and_nowhere_else() -> None:
    class Timed(MemoryStorage):
        def now(self) -> datetime:
            return FrozenClock()()

    def standing(primary: MemoryStorage) -> FallbackStorage:
        spool = Spool(MemoryStorage(), store="here", where="memory")
        return FallbackStorage(primary, spool, clock=lambda: FrozenClock()() + timedelta(days=1))

    assert not isinstance(standing(MemoryStorage()), KeepsTime)
    storage = standing(Timed())
    assert isinstance(storage, KeepsTime)
    storage.open()
    assert storage.now() == FrozenClock()()
    storage._leave(Unavailable("away"))
    assert storage.now() == FrozenClock()() + timedelta(days=1)
    storage.close()


def test_every_power_of_a_storage_is_passed_on() -> None:
    members = {
        name
        for power in vars(protocol).values()
        if isinstance(power, type) and getattr(power, "_is_protocol", False)
        for name in vars(power)
        if not name.startswith("_")
    }
    # Quicker ways only, without which a storage is asked as every storage is; and time, there only where it is kept.
    ours = {"peek", "descend", "below", "next_free", "now"}
    missing = members - ours - set(dir(FallbackStorage)) - {"capabilities"}
    assert not missing, f"say in storage/fallback.py what they do while the primary is away: {missing}"


def test_a_full_list_of_what_passed_by_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    monkeypatch.setattr("intentstore.storage.known.MOST", 3)
    with house.open() as graph:
        for n in range(5):
            graph.store(Intent(id=str(n), goal="x"))
        house.cut()
        assert [intent.id for intent in graph.list(IntentFilter(), sort="id").intents] == ["2", "3", "4"]


def test_a_warning_made_an_error_changes_nothing_about_the_state(house: House) -> None:
    with house.open() as graph:
        house.cut()
        with warnings.catch_warnings():
            warnings.simplefilter("error", DegradedWarning)
            with pytest.raises(DegradedWarning):
                graph.store(Intent(id="a", goal="A"))
            graph.store(Intent(id="a", goal="A"))
        house.mend()
        assert graph.replay().replayed == 1


def test_many_batches_at_once_wait_each_by_itself(house: House) -> None:
    with house.open() as graph:
        house.cut()
        batches = [a_batch(Put(intent=an_intent(f"i{n}")), id=f"c{n}" if n else None) for n in range(3)]
        made = graph.storage.apply_all(batches)
        assert [commit.revision > PROVISIONAL for commit in made] == [True] * 3
        again = graph.commit("c1")
        assert again is not None
        assert again.revision == made[1].revision
        assert graph.apply([], commit_id="nothing").changes == ()
        house.mend()
        assert graph.replay().replayed == 4
        copied = graph.storage.apply_all([a_batch(Put(intent=an_intent("j")), revision=100)])
        assert copied[0].revision == 100


def test_ones_own_writes_have_arrived_wherever_they_went(house: House) -> None:
    with house.open() as graph:
        graph.wait_for(graph.store(Intent(id="a", goal="A")).revision, timeout_s=0)
        house.cut()
        waits = graph.store(Intent(id="b", goal="B")).revision
        graph.wait_for(waits, timeout_s=0)
        house.mend()
        graph.replay()
        graph.wait_for(waits, timeout_s=0)
        with pytest.raises(Unavailable, match="has not arrived"):
            graph.wait_for(1000, timeout_s=0)


def test_a_watch_waits_for_the_store_and_misses_nothing(house: House) -> None:
    with house.open(retry_s=0.01) as graph:
        watch = graph.watch(0, timeout_s=60.0)
        graph.store(Intent(id="a", goal="A"))
        assert next(watch).revision == 1
        house.cut()
        with pytest.raises(Unavailable):
            graph.storage.wait(0, 0.01)  # type: ignore[attr-defined]  # declared by its primary
        graph.store(Intent(id="b", goal="B"))
        later = threading.Timer(0.1, house.mend)
        later.start()
        assert next(watch).changes[0].subject == "b"
        later.join()


def test_what_is_not_known_of_the_place_is_not_told(house: House) -> None:
    with house.open() as graph:
        house.cut()
        assert graph.degraded is None  # nobody noticed yet
        with pytest.raises(Unavailable):
            graph.storage.compact()  # type: ignore[attr-defined]  # whether it can is not known either
        assert graph.health()["status"] == "degraded"


def test_a_replay_by_hand_may_find_the_store_away(filed: House) -> None:
    with filed.open() as graph:
        filed.cut()
        graph.store(Intent(id="a", goal="A"))
        filed.mend()
        filed.truth.store(Intent(id="a", goal="theirs"))
        assert len(graph.replay().conflicts) == 1
        with open_graph(f"file:{filed.path}") as spool:
            (refused,) = spool.list(IntentFilter(labels_all=frozenset({"spooled"}))).intents
            spool.reopen(refused.id)
        filed.cut()
        assert graph.replay().waiting == 1
        assert graph.degraded is not None


def test_a_closed_graph_says_that_it_is_closed(house: House) -> None:
    graph = house.open()
    graph.close()
    with pytest.raises(Closed):
        graph.get("a")


def test_an_outage_noticed_while_closing_comes_out(house: House) -> None:
    graph = house.open()
    assert isinstance(graph.storage, FallbackStorage)
    graph.storage._closing.set()
    house.cut()
    with pytest.raises(Unavailable):
        graph.get("a")
    graph.storage._leave(Unavailable("late"))
    assert graph.storage._try_to_return()
    assert graph.degraded is None
    house.mend()
    graph.close()


def test_who_asks_while_the_primary_is_opened_anew_gets_an_answer(house: House) -> None:
    with house.open() as graph:
        graph.store(Intent(id="a", goal="A"))
        fetch = house.severable.inner.fetch

        def closed_under_us(ids: Any) -> Any:
            house.severable.inner.fetch = fetch  # type: ignore[method-assign]  # once only
            house.cut()
            with contextlib.suppress(Unavailable):
                graph.storage.trail("a")  # somebody else notices the outage …
            house.mend()
            graph.replay()  # … and the return, for which the primary is opened anew
            raise Closed("the memory store is closed")

        house.severable.inner.fetch = closed_under_us  # type: ignore[method-assign]
        assert graph.get("a") is not None


def test_a_list_of_what_waits_may_be_long(filed: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intentstore.storage.spool.MAX_PAGE", 2)
    monkeypatch.setattr("intentstore.storage.bringing._REMEMBERED", 3)
    with filed.open() as graph:
        filed.cut()
        for n in range(7):
            graph.store(Intent(id=str(n), goal="x"))
        filed.mend()
        assert graph.replay().replayed == 7


def test_two_that_forget_the_oldest_at_once_do_no_harm() -> None:
    class Changing(dict[Any, Any]):
        def __iter__(self) -> Any:
            raise RuntimeError("dictionary changed size during iteration")

    held = Changing({n: n for n in range(MOST + 1)})
    _shorten(held)
    assert len(held) == MOST + 1


def test_one_definition_is_not_taken_for_all_of_them() -> None:
    passed = PassedBy()
    passed.happened(Commit(revision=1, id="c", at=FrozenClock()(), changes=(Define(name="a", value=Map({})),)))
    assert passed.defined is None


def test_a_spool_whose_lock_cannot_be_had_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="locking for replay failed"), alone_in(tmp_path / "nowhere", "replay"):
        pass


# --- the command ---


def intent(*words: str) -> tuple[int, Any, str]:
    done = subprocess.run(
        [sys.executable, "-m", "intentstore", *words, "--json"], capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_every_reply_of_the_command_says_that_the_store_is_away(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    place = tmp_path / "place"
    options = ("--store", f"sqlite:{place}/goals.db", "--fallback", f"file:{tmp_path}/spool")
    assert intent("add", "A", "--id", "a", *options)[0] == 0
    place.rename(tmp_path / "away")
    place.symlink_to(tmp_path / "nowhere")  # nothing can be made there
    status, told, warned = intent("add", "B", "--id", "b", *options)
    assert status == 0, warned
    assert (told["intent"]["id"], told["degraded"]["waiting"], told["degraded"]["durable"]) == ("b", 1, True)
    assert told["degraded"]["spool"] == f"file:{tmp_path}/spool"
    assert "durable" not in told
    assert warned.startswith("intent: the store is away since")
    assert f"1 writes wait in file:{tmp_path}/spool" in warned
    status, told, _ = intent("list", *options)
    assert ([each["id"] for each in told["intents"]], told["degraded"]["waiting"]) == (["b"], 1)
    status, told, _ = intent("show", "a", *options)
    assert status == 8
    status, told, _ = intent("stats", *options)
    assert told["store"]["degraded"]["waiting"] == 1
    place.unlink()
    (tmp_path / "away").rename(place)
    status, told, _ = intent("list", *options)
    assert [each["id"] for each in told["intents"]] == ["a"]  # a reading verb changes nothing
    assert "degraded" not in told
    assert intent("replay", *options)[1] == {"replayed": 1, "waiting": 0, "conflicts": []}
    assert [each["id"] for each in intent("list", *options)[1]["intents"]] == ["a", "b"]


def test_a_command_that_keeps_its_write_in_memory_only_says_so_and_fails(tmp_path: Path) -> None:
    (tmp_path / "place").symlink_to(tmp_path / "nowhere")
    options = ("--store", f"sqlite:{tmp_path}/place/goals.db", "--fallback", "memory")
    status, told, warned = intent("add", "B", *options)
    assert told["durable"] is False
    assert status == 8
    assert "1 writes that waited in memory are lost" in warned


def test_reading_with_a_fallback_makes_no_directory(tmp_path: Path) -> None:
    with open_graph(f"sqlite:{tmp_path}/goals.db") as graph:
        graph.store(Intent(goal="A"))
    options = ("--store", f"sqlite:{tmp_path}/goals.db", "--fallback", f"file:{tmp_path}/spool")
    assert intent("list", *options)[0] == 0
    assert not (tmp_path / "spool").exists()
