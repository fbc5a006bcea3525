"""Claims about governance: a policy binds every opener and every way in; guards that raise or hang refuse."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from intentstore import Define, Intent, IntentFilter, IntentGraph, IntentStatus, Note, PolicyRefused, Put, open_graph
from intentstore.formats import export_from, import_into
from intentstore.graph.guards import Guards
from intentstore.graph.policies import policy_from, written
from intentstore.graph.policy import Allow, Cascade, Forbid, MostParents, Policy, Require, Timeout, When
from intentstore.graph.proposed import Proposed
from intentstore.ground.errors import Conflict, FieldInvalid, Invalid, TransitionRefused
from intentstore.ground.query import Walk
from intentstore.ground.values import Map
from tests.postgres_server import new_database

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
URGENT = Require(needs="approver", when=When(acts={"store", "update"}, where=IntentFilter(priority_min=90)))  # type: ignore[arg-type]
_S = IntentStatus


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


_URLS = ("memory:shared", "file:{}/goals", "sqlite:{}/goals.db")
on_every_storage = pytest.mark.parametrize("url", [*_URLS, "postgresql"], indirect=True)


@pytest.fixture(params=_URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return new_database()
    return str(request.param).format(tmp_path) + (str(tmp_path) if request.param.startswith("memory") else "")


@pytest.fixture
def graph(url: str, clock: Clock) -> Iterator[IntentGraph]:
    with open_graph(url, actor="tester", clock=clock) as opened:
        yield opened


def statuses(graph: IntentGraph, *ids: str) -> list[str]:
    return [str(graph.intent(id).status) for id in ids]


def plant(graph: IntentGraph, names: str, *sentences: str) -> None:
    with graph.transaction() as tx:
        for name in names.split():
            tx.store(Intent(id=name, goal=name))
        for sentence in sentences:
            tx.link(*sentence.split())


# --- a policy binds every way in ---


def _store(graph: IntentGraph) -> None:
    graph.store(Intent(id="x", goal="x", priority=95))


def _update(graph: IntentGraph) -> None:
    graph.update(graph.intent("low").replace(priority=90))


def _raw(graph: IntentGraph) -> None:
    graph.apply([Put(intent=Intent(id="x", goal="x", priority=95, created_at=NOON, updated_at=NOON))])


def _transaction(graph: IntentGraph) -> None:
    with graph.transaction() as tx:
        tx.store(Intent(id="y", goal="y"))
        tx.apply(Put(intent=Intent(id="x", goal="x", priority=95, created_at=NOON, updated_at=NOON)))


def _and_drop_the_policy(graph: IntentGraph) -> None:
    with graph.transaction() as tx:
        tx.apply(Define(name="policy/urgent", value=None))
        tx.store(Intent(id="x", goal="x", priority=95))


def _up_and_down(graph: IntentGraph) -> None:
    with graph.transaction() as tx:
        high = tx.store(Intent(id="x", goal="x", priority=95))
        tx.update(high.replace(priority=1))


def _import(graph: IntentGraph) -> None:
    import io

    import_into(graph, io.BytesIO(b'{"id": "x", "title": "x", "priority": 0}\n'), format="beads")  # that is 100


@on_every_storage
@pytest.mark.parametrize("way", [_store, _update, _raw, _transaction, _and_drop_the_policy, _up_and_down, _import])
def test_an_approver_is_demanded_whichever_way_it_comes(
    graph: IntentGraph, url: str, way: Callable[[IntentGraph], None]
) -> None:
    graph.store(Intent(id="low", goal="low", priority=1))
    graph.define_policy("urgent", URGENT, reason="four eyes")
    before = graph.revision
    with open_graph(url, actor="other") as another:  # whoever opens it, and knows of no policy
        for each in (graph, another):
            with pytest.raises(PolicyRefused, match="policy urgent: ") as refused:
                way(each)
            assert refused.value.policy == "urgent"
            assert "graph.acting(approver=…)" in refused.value.hint
            with pytest.raises(PolicyRefused, match="an approver other than"):
                way(each.acting(approver=each.actor))
    assert graph.revision == before
    way(graph.acting(approver="boss"))
    (commit,) = graph.entries(before)
    approved = [change for change in commit.changes if type(change) is Define and change.name == "approval"]
    assert [change.value["by"] for change in approved if change.value is not None] == ["boss"]
    assert graph.verify().ok


def test_an_undo_brings_no_approval_back(graph: IntentGraph) -> None:
    graph.define_policy("urgent", URGENT)
    ana, ben = graph.acting(approver="ana"), graph.acting(approver="ben")
    ana.store(Intent(id="x", goal="x", priority=95))
    ben.update(graph.intent("x").replace(priority=99))
    (last,) = graph.entries(graph.revision - 1)
    with pytest.raises(PolicyRefused, match="needs an approver"):
        graph.undo(last.id)
    ana.undo(last.id)
    assert graph.intent("x").priority == 95


@on_every_storage
def test_two_processes_cannot_slip_past_a_policy_together(url: str) -> None:
    graphs = [open_graph(url, actor=f"p{n}") for n in range(2)]
    graphs[0].define_policy("few", MostParents(1))
    plant(graphs[0], "child a b")
    barrier, refused = threading.Barrier(2), []

    def link(at: int) -> None:
        barrier.wait()
        try:
            graphs[at].link("child", "is_subgoal_of", "ab"[at])
        except PolicyRefused as error:
            refused.append(error)

    threads = [threading.Thread(target=link, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert len(graphs[0].parents("child")) == 1
    for graph in graphs:
        graph.close()


_CLIMBER = """
import sys
from intentstore import Intent, PolicyRefused, open_graph
with open_graph(sys.argv[1], actor=sys.argv[2]) as graph:
    for number in range(10_000):
        try:
            low = graph.store(Intent(goal="x", priority=89))
            graph.update(low.replace(priority=95))
        except PolicyRefused as refused:
            print(number, refused.policy, flush=True)
            sys.exit()
        if number == 3:
            print("climbing", flush=True)
"""


@on_every_storage
def test_two_other_processes_do_not_slip_past_a_policy_that_comes_while_they_write(url: str) -> None:
    if url.startswith("memory:"):
        pytest.skip("not run: memory belongs to one process")
    with open_graph(url, actor="kernel") as graph:
        command = [sys.executable, "-c", _CLIMBER, url]
        climbers = [subprocess.Popen([*command, f"p{n}"], stdout=subprocess.PIPE, text=True) for n in range(2)]
        for climber in climbers:
            assert climber.stdout is not None
            assert climber.stdout.readline() == "climbing\n"
        graph.define_policy("urgent", URGENT)
        assert [climber.communicate(timeout=60)[0].split()[1] for climber in climbers] == ["urgent", "urgent"]
        commits = list(graph.entries())
        (defined,) = (at for at, commit in enumerate(commits) if commit.actor == "kernel")
        high = [
            at
            for at, commit in enumerate(commits)
            for change in commit.changes
            if type(change) is Put and change.intent.priority >= 90
        ]
        assert len(high) >= 8
        assert max(high) < defined
        assert graph.verify().ok


def test_a_history_that_kept_its_policies_is_restored_and_copied(graph: IntentGraph, tmp_path: Path) -> None:
    _store(graph)  # before there was a policy
    graph.define_policy("urgent", URGENT)
    graph.define_policy("held", Require(needs="claim", when=When(acts="move")))  # type: ignore[arg-type]  # made a set
    graph.acting(approver="boss").store(Intent(id="y", goal="y", priority=99))
    graph.claim("y", owner="tester")
    graph.complete("y")
    graph.backup(tmp_path / "backup")
    with open_graph("memory:") as restored, open_graph("memory:") as copied:
        assert restored.restore(tmp_path / "backup") == graph.copy(copied) == graph.receipt()
        assert restored.policies() == graph.policies()
        with pytest.raises(PolicyRefused):
            restored.store(Intent(goal="z", priority=95))


def test_a_history_written_past_its_policies_is_not_taken_over(graph: IntentGraph, tmp_path: Path) -> None:
    from intentstore.ground.change import Batch

    graph.define_policy("urgent", URGENT)
    graph.store(Intent(id="fine", goal="fine"))
    with open_graph("memory:") as begun:
        graph.copy(begun)
        evil = Put(intent=Intent(id="x", goal="x", priority=95, created_at=NOON, updated_at=NOON))
        graph.storage.apply(Batch(changes=(evil,), at=NOON))  # by hand, below everything
        graph.backup(tmp_path / "backup")
        for way in ("copy", "restore"):
            with pytest.raises(PolicyRefused, match="revision 3 breaks a policy in force there") as refused:
                graph.copy(begun) if way == "copy" else begun.restore(tmp_path / "backup")
            assert refused.value.revision == 3
            assert begun.get("x") is None
            assert begun.revision == 2


def test_a_graph_with_policies_is_replaced_only_by_one_that_has_them(graph: IntentGraph, tmp_path: Path) -> None:
    graph.define_policy("urgent", URGENT)
    graph.store(Intent(id="kept", goal="kept"))
    graph.backup(tmp_path / "governed")
    graph.store(Intent(id="later", goal="later"))
    with open_graph("memory:") as lawless:
        lawless.store(Intent(id="x", goal="x", priority=95))
        lawless.backup(tmp_path / "lawless")
    with pytest.raises(PolicyRefused, match="policy urgent: the backup is of a graph without it"):
        graph.restore(tmp_path / "lawless", replace=True)
    assert graph.get("later") is not None
    graph.restore(tmp_path / "governed", replace=True)
    assert graph.get("later") is None
    assert set(graph.policies()) == {"urgent"}


def test_a_guard_of_the_process_judges_what_is_restored(graph: IntentGraph, tmp_path: Path) -> None:
    graph.store(Intent(id="x", goal="x", priority=95))
    graph.backup(tmp_path / "backup")
    with open_graph("memory:") as other:
        other.guard("low", lambda proposed: "too high" if any(a.after.priority > 90 for a in proposed.acts) else None)  # type: ignore[union-attr]
        with pytest.raises(PolicyRefused, match="guard low: too high"):
            other.restore(tmp_path / "backup")
        assert other.revision == 0


def test_policies_can_guard_themselves(graph: IntentGraph) -> None:
    graph.define_policy("charter", Require(needs="approver", approvers="boss", when=When(acts="define")))  # type: ignore[arg-type]
    with pytest.raises(PolicyRefused, match="define of definition policy/urgent needs an approver"):
        graph.define_policy("urgent", URGENT)
    with pytest.raises(PolicyRefused, match="define of definition policy/charter needs an approver"):
        graph.define_policy("charter", None)
    with pytest.raises(PolicyRefused, match="clerk may not approve define"):
        graph.acting(approver="clerk").define_policy("charter", None)
    graph.acting(approver="boss").define_policy("charter", None)
    assert graph.policies() == {}


def test_a_policy_nobody_can_read_is_not_stored_and_where_it_is_there_refuses_all(
    graph: IntentGraph,
) -> None:
    from intentstore.ground.change import Batch

    odd = Define(name="policy/odd", value=Map({"kind": "from the future"}))
    with pytest.raises(PolicyRefused, match="the policy odd cannot be read"):
        graph.apply([odd])
    assert graph.policies() == {}
    graph.storage.apply(Batch(changes=(odd,), at=NOON))
    with pytest.raises(PolicyRefused, match="kind 'from the future' is not a policy"):
        graph.store(Intent(goal="x"))
    assert graph.list().intents == ()


# --- what policies say ---


def test_forbidding_by_act_status_label_and_edge(graph: IntentGraph) -> None:
    plant(graph, "a b")
    graph.store(Intent(id="legal", goal="legal", labels=("legal",)))
    labelled = IntentFilter(labels_all={"legal"})  # type: ignore[arg-type]  # made a set
    graph.define_policy("keep", Forbid(when=When(acts="delete", where=labelled), why="the law says so"))  # type: ignore[arg-type]
    graph.define_policy("tidy", Forbid(when=When(entering="suspended", leaving="executing")))  # type: ignore[arg-type]
    graph.define_policy("apart", Forbid(when=When(acts="link", types="blocks", where=labelled)))  # type: ignore[arg-type]
    with pytest.raises(PolicyRefused, match="delete of intent legal is refused: the law says so"):
        graph.delete("legal")
    graph.start("a")
    with pytest.raises(PolicyRefused, match="policy tidy"):
        graph.suspend("a", "b")
    assert statuses(graph, "a", "b") == ["executing", "active"]  # all or nothing
    graph.suspend("b")
    with pytest.raises(PolicyRefused, match="link of edge a blocks legal"):
        graph.link("a", "blocks", "legal")
    graph.link("a", "enables", "legal")
    graph.link("a", "blocks", "b")
    graph.delete("a")


def test_requiring_a_reason_an_actor_and_a_claim(graph: IntentGraph, url: str) -> None:
    plant(graph, "a")
    graph.define_policy("why", Require(needs={"reason", "actor"}, when=When(entering="failed"), why="we learn from it"))  # type: ignore[arg-type]
    with pytest.raises(PolicyRefused, match=r"needs a reason \(we learn from it\)"):
        graph.fail("a")
    with pytest.raises(PolicyRefused, match="needs a reason"):
        graph.fail("a", reason="  ")
    with open_graph(url) as nobody, pytest.raises(PolicyRefused, match="needs an actor"):
        nobody.fail("a", reason="broke")
    graph.define_policy("held", Require(needs="claim", when=When(acts="move")))  # type: ignore[arg-type]
    with pytest.raises(PolicyRefused, match="move of intent a needs a live claim on it") as refused:
        graph.fail("a", reason="broke")
    assert refused.value.hint == "claim the intent first"
    graph.claim("a", owner="tester")
    graph.start("a")
    graph.release("a")
    graph.claim("a")
    graph.fail("a", reason="broke")


def test_a_policy_may_forbid_several_parents_and_allow_another_move(graph: IntentGraph) -> None:
    plant(graph, "a b c", "c is_subgoal_of a")
    graph.define_policy("tree", MostParents())
    with pytest.raises(PolicyRefused, match="intent c would have 2 parents, more than 1"):
        graph.link("c", "is_subgoal_of", "b")
    graph.complete("a")
    with pytest.raises(TransitionRefused):
        graph.reopen("a")
    graph.define_policy("again", Allow(leaving="completed", entering="active"))  # type: ignore[arg-type]  # made statuses
    graph.reopen("a")
    assert statuses(graph, "a") == ["active"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Forbid(when=When(entering="finished")), "'finished' is not a status"),  # type: ignore[arg-type]
        (lambda: Forbid(when=When(acts="think")), "when.acts 'think' is not known"),  # type: ignore[arg-type]
        (lambda: Forbid(when=When(acts=3)), "when.acts must be a list"),  # type: ignore[arg-type]
        (lambda: Forbid(when=When(where=3)), "when.where must be a filter"),  # type: ignore[arg-type]
        (lambda: Require(needs=()), "needs is empty"),  # type: ignore[arg-type]
        (lambda: Require(needs="money"), "needs 'money' is not known"),  # type: ignore[arg-type]
        (lambda: Require(needs="approver", approvers="a\0"), "approvers"),  # type: ignore[arg-type]
        (lambda: Cascade(what="everything"), "what 'everything' is not known"),
        (lambda: Cascade(what="complete_parents", mode="maybe"), "mode 'maybe' is not known"),
        (lambda: MostParents(-1), "most is -1"),
        (lambda: Timeout(after_s=0), "after_s is 0"),
        (lambda: policy_from({"kind": "allow", "leaving": "completed"}), "entering"),
        (lambda: policy_from({"kind": "forbid", "wen": {}}), "wen is not a field"),
        (lambda: policy_from({"kind": "forbid", "when": {"wher": {}}}), "when.wher is not a field"),
        (lambda: policy_from({"kind": "forbid", "when": []}), "when must be an object"),
        (lambda: policy_from({"kind": "forbid", "when": {"where": {"colour": 1}}}), "colour"),
        (lambda: policy_from({"why": "?"}), "kind None is not a policy"),
        (lambda: written("forbid"), "must be a policy, not str"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_policy_is_refused_by_name(make: Callable[[], Policy], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        make()


def test_policies_are_data_and_read_back_as_they_were_written(graph: IntentGraph) -> None:
    rules: dict[str, Policy] = {
        "a": Forbid(),
        "b": URGENT,
        "c": MostParents(2),
        "d": Allow(leaving=_S.COMPLETED, entering=_S.ACTIVE),
        "e": Cascade(what="fail_dependants", mode="suggest"),
        "f": Timeout(after_s=60, where=IntentFilter(labels_any={"x"}, not_=IntentFilter(text="y"))),  # type: ignore[arg-type]
        "g": Require(
            needs={"reason", "approver"},  # type: ignore[arg-type]
            approvers={"z", "y"},  # type: ignore[arg-type]
            when=When(types={"blocks", "enables"}, where=IntentFilter(created_after=NOON)),  # type: ignore[arg-type]
        ),
    }
    for name, rule in rules.items():
        assert policy_from(written(rule)) == rule
        if name != "a":
            graph.define_policy(name, rule)
    assert graph.policies() == {name: rule for name, rule in rules.items() if name != "a"}


# --- cascades ---


def test_a_parent_is_completed_with_its_last_subgoal_in_the_same_commit(graph: IntentGraph) -> None:
    plant(graph, "top mid a b", "mid is_subgoal_of top", "a is_subgoal_of mid", "b is_subgoal_of mid")
    graph.complete("a")
    assert statuses(graph, "mid") == ["active"]
    graph.define_policy("up", Cascade(what="complete_parents"))
    (done,) = graph.complete("b", reason="all there")
    assert done.id == "b"
    assert statuses(graph, "b", "mid", "top") == ["completed"] * 3
    entry = graph.history("top")[-1]
    assert (entry.revision, entry.reason, entry.actor) == (done.revision, "all there", "tester")
    assert graph.verify().ok


def test_a_parent_stays_open_while_it_has_a_failed_subgoal_or_only_archived_ones(graph: IntentGraph) -> None:
    graph.define_policy("up", Cascade(what="complete_parents"))
    plant(graph, "p a b q c", "a is_subgoal_of p", "b is_subgoal_of p", "c is_subgoal_of q")
    graph.fail("a")
    graph.complete("b")
    graph.archive("c")
    assert statuses(graph, "p", "q") == ["active", "active"]
    graph.archive("a")
    assert statuses(graph, "p") == ["completed"]


def test_a_suggestion_is_a_note_and_off_is_nothing(graph: IntentGraph) -> None:
    plant(graph, "p a", "a is_subgoal_of p")
    graph.define_policy("up", Cascade(what="complete_parents", mode="suggest"))
    graph.complete("a")
    assert statuses(graph, "p") == ["active"]
    note = graph.history("p")[-1].change
    assert type(note) is Note
    assert note.text == "suggested: completed, because of a"
    graph.define_policy("up", Cascade(what="complete_parents", mode="off"))
    before = len(graph.history("p"))
    graph.archive("a")
    assert len(graph.history("p")) == before


def test_dependants_fail_with_what_they_wait_for_even_in_a_circle_with_subgoals(graph: IntentGraph) -> None:
    plant(graph, "a b c free", "b depends_on a", "b blocks c", "a is_subgoal_of c", "c related_to free")
    graph.define_policy("down", Cascade(what="fail_dependants"))
    graph.define_policy("up", Cascade(what="complete_parents"))
    graph.fail("a", reason="no power")
    assert statuses(graph, "a", "b", "c", "free") == ["failed", "failed", "failed", "active"]
    assert graph.history("c")[-1].reason == "no power"


def test_dependants_sleep_and_wake_with_what_they_wait_for(graph: IntentGraph) -> None:
    plant(graph, "a b c mine", "b depends_on a", "c depends_on b", "mine depends_on a")
    graph.suspend("mine")  # by hand: no cascade may wake it
    graph.define_policy("sleep", Cascade(what="suspend_dependants"))
    graph.suspend("a")
    assert statuses(graph, "a", "b", "c") == ["suspended"] * 3
    assert graph.intent("c").metadata["suspended_for"] == "b"
    graph.reopen("a")
    assert statuses(graph, "a", "b", "c", "mine") == ["active", "active", "active", "suspended"]
    assert "suspended_for" not in graph.intent("c").metadata
    graph.fail("a")
    assert statuses(graph, "b", "c") == ["suspended", "suspended"]


def test_a_cascade_leaves_to_its_holder_what_is_claimed(graph: IntentGraph) -> None:
    plant(graph, "p a", "a is_subgoal_of p")
    graph.define_policy("up", Cascade(what="complete_parents"))
    graph.claim("p", owner="w")
    graph.complete("a")
    assert statuses(graph, "p") == ["active"]


def test_a_cascade_that_breaks_a_policy_refuses_the_whole_commit(graph: IntentGraph) -> None:
    plant(graph, "p a", "a is_subgoal_of p")
    graph.define_policy("up", Cascade(what="complete_parents"))
    graph.define_policy("no", Forbid(when=When(entering="completed", where=IntentFilter(ids={"p"}))))  # type: ignore[arg-type]
    with pytest.raises(PolicyRefused, match="move of intent p"):
        graph.complete("a")
    assert statuses(graph, "p", "a") == ["active", "active"]


@on_every_storage
def test_two_last_subgoals_completed_at_once_complete_the_parent(url: str) -> None:
    graphs = [open_graph(url, actor=f"p{n}") for n in range(2)]
    graphs[0].define_policy("up", Cascade(what="complete_parents"))
    for round in range(10):
        plant(graphs[0], f"p{round} a{round} b{round}", *(f"{s}{round} is_subgoal_of p{round}" for s in "ab"))
        barrier = threading.Barrier(2)

        def complete(at: int, barrier: threading.Barrier = barrier, round: int = round) -> None:
            barrier.wait()
            graphs[at].complete(f"{'ab'[at]}{round}")

        threads = [threading.Thread(target=complete, args=(at,)) for at in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses(graphs[0], f"p{round}") == ["completed"]
    assert graphs[0].verify().ok
    for graph in graphs:
        graph.close()


def test_a_long_chain_falls_in_one_commit_without_recursion() -> None:
    with open_graph("memory:") as graph:
        names = [f"n{number:04}" for number in range(3000)]
        plant(graph, " ".join(names), *(f"{b} depends_on {a}" for a, b in pairwise(names)))
        graph.define_policy("down", Cascade(what="fail_dependants"))
        graph.fail("n0000")
        assert graph.count() == {_S.FAILED: 3000}
        assert graph.revision == 3


def test_others_that_keep_changing_what_a_cascade_moves_end_in_a_conflict(
    graph: IntentGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    from intentstore.graph import committing

    plant(graph, "p a", "a is_subgoal_of p")
    graph.define_policy("up", Cascade(what="complete_parents"))
    monkeypatch.setattr(committing, "_together", lambda *_: ())
    with pytest.raises(Conflict, match="others kept changing"):
        graph.complete("a")
    assert statuses(graph, "a") == ["active"]


# --- times ---


def test_what_is_deferred_is_ready_when_its_time_has_come(graph: IntentGraph, clock: Clock) -> None:
    plant(graph, "a b")
    later = NOON + timedelta(hours=1)
    assert graph.defer("a", later).metadata["not_before"] == later
    assert [intent.id for intent in graph.ready()] == ["b"]
    (waiting,) = graph.blocked()
    assert [(reason.kind, reason.id) for reason in waiting.because] == [("deferred", later.isoformat())]
    with pytest.raises(Conflict, match="deferred"):
        graph.claim("a", owner="w")
    clock.now = later
    assert [intent.id for intent in graph.ready()] == ["a", "b"]
    clock.now = NOON
    graph.defer("a", None)
    assert [intent.id for intent in graph.ready()] == ["a", "b"]
    with pytest.raises(FieldInvalid, match="until must be a datetime"):
        graph.defer("a", "tomorrow")  # type: ignore[arg-type]  # as it should not be


def test_a_sweep_wakes_the_suspended_and_ends_what_took_too_long(graph: IntentGraph, clock: Clock) -> None:
    plant(graph, "a b c d e")
    graph.suspend("a", until=NOON + timedelta(hours=1))
    graph.suspend("b", until=NOON + timedelta(days=1))
    graph.suspend("c")
    graph.start("d")
    graph.claim("e", owner="tester", lease_s=86_400)
    graph.start("e")
    graph.define_policy("slow", Timeout(after_s=3600))
    assert graph.sweep() == []
    clock.now = NOON + timedelta(hours=1, seconds=1)
    assert {(i.id, str(i.status)) for i in graph.sweep()} == {("a", "active"), ("d", "failed")}
    assert graph.history("d")[-1].reason == "policy slow: executing for longer than 3600 s"
    assert "wake_at" not in graph.intent("a").metadata
    assert graph.sweep() == []
    assert statuses(graph, "b", "c", "e") == ["suspended", "suspended", "executing"]


def test_the_stale_are_the_open_ones_nobody_touched_for_long(graph: IntentGraph, clock: Clock) -> None:
    plant(graph, "old done")
    graph.complete("done")
    clock.now = NOON + timedelta(days=20)
    plant(graph, "new")
    assert [intent.id for intent in graph.stale()] == ["old"]
    assert [intent.id for intent in graph.stale(days=30)] == []
    with pytest.raises(FieldInvalid, match="days is -1"):
        graph.stale(days=-1)


# --- guards of the process ---


def test_a_guard_sees_the_whole_commit_and_both_states(graph: IntentGraph) -> None:
    seen: list[Any] = []

    def look(proposed: Proposed) -> str | None:
        kinds = [act.kind for act in proposed.acts]
        before, after = proposed.before.fetch(["a"]), proposed.after.fetch(["a"])
        seen.append((kinds, before[0] is None, after[0] is not None, proposed.actor, proposed.reason))
        assert proposed.before.definitions() == {}
        assert proposed.after.neighbours(["a"], Walk())
        return "not today" if proposed.reason == "no" else None

    graph.guard("look", look)
    with graph.transaction(reason="yes") as tx:
        a = tx.store(Intent(id="a", goal="a"))
        tx.store(Intent(id="b", goal="b"))
        tx.link("a", "enables", "b")
        tx.update(a.replace(priority=3))
    assert seen == [(["store", "store", "link", "update"], True, True, "tester", "yes")]
    with pytest.raises(PolicyRefused, match="guard look: not today") as refused:
        graph.start("a", reason="no")
    assert (refused.value.policy, refused.value.reason) == ("look", "not today")
    graph.guard("look", None)
    graph.start("a", reason="no")


def test_a_guard_that_raises_refuses_and_nothing_is_half_done(graph: IntentGraph) -> None:
    def broken(_: Proposed) -> str | None:
        raise ZeroDivisionError("by zero")

    graph.guard("broken", broken)
    with pytest.raises(PolicyRefused, match="guard broken: raised ZeroDivisionError: by zero") as refused:
        graph.store(Intent(id="a", goal="a"))
    assert isinstance(refused.value.__cause__, ZeroDivisionError)
    assert graph.get("a") is None
    assert graph.revision == 0

    def refusing(_: Proposed) -> str | None:
        raise PolicyRefused("mine", policy="inner")

    graph.guard("broken", refusing)
    with pytest.raises(PolicyRefused, match="mine"):
        graph.store(Intent(id="a", goal="a"))


def test_a_guard_that_hangs_refuses_at_its_deadline_and_can_read_nothing_later(graph: IntentGraph) -> None:
    go, told = threading.Event(), []
    done = threading.Event()

    def hanging(proposed: Proposed) -> str | None:
        go.wait(60)
        try:
            proposed.after.fetch(["a"])
        except PolicyRefused as error:
            told.append(str(error))
        done.set()
        return None

    graph.guard("slow", hanging, deadline_s=0.05)
    with pytest.raises(PolicyRefused, match=r"guard slow: did not answer within 0.05 s"):
        graph.store(Intent(id="a", goal="a"))
    graph.guard("slow", None)
    graph.store(Intent(id="b", goal="b"))  # the store is not held up
    go.set()
    assert done.wait(60)
    assert told == ["the guard was too late: the commit is decided"]
    assert graph.get("a") is None


@pytest.mark.parametrize("deadline", [0, -1, 3600, True, "1"])
def test_a_deadline_is_a_short_time(deadline: object) -> None:
    with pytest.raises(FieldInvalid, match="deadline_s is"):
        Guards().add("g", lambda _: None, deadline)  # type: ignore[arg-type]  # as it should not be


def test_who_acts_for_somebody_acts_on_the_same_graph(graph: IntentGraph) -> None:
    boss = graph.acting(actor="boss")
    boss.guard("never", lambda _: "never")
    with pytest.raises(PolicyRefused):
        graph.store(Intent(goal="x"))
    graph.guard("never", None)
    boss.store(Intent(id="x", goal="x"))
    assert [commit.actor for commit in graph.entries()] == ["boss"]
    assert (boss.actor, graph.actor) == ("boss", "tester")
    with pytest.raises(FieldInvalid, match="approver"):
        graph.acting(approver="\0")


def test_what_is_exported_does_not_carry_policies_and_what_is_copied_does(graph: IntentGraph, tmp_path: Path) -> None:
    graph.define_policy("urgent", URGENT)
    graph.store(Intent(id="a", goal="a"))
    export_from(graph, str(tmp_path / "goals.jsonl"))
    with open_graph("memory:") as other:
        import_into(other, str(tmp_path / "goals.jsonl"))
        assert other.policies() == {}
        assert other.get("a") is not None
