"""Claims about IntentGraph, on every storage that is here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from intentstore import (
    ConnectedTo,
    Edge,
    EdgeType,
    Intent,
    IntentFilter,
    IntentGraph,
    IntentStatus,
    Link,
    Note,
    open_graph,
)
from intentstore.graph.lifecycle import MOVES
from intentstore.ground.errors import (
    AlreadyThere,
    CycleRefused,
    EdgeMissing,
    FieldInvalid,
    IntentMissing,
    QueryInvalid,
    StaleRevision,
    TransitionRefused,
    Unsupported,
)
from intentstore.ground.types import Claim

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["memory:", "file:{}/goals", "sqlite:{}/goals.db"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IntentGraph]:
    with open_graph(request.param.format(tmp_path), actor="tester", clock=lambda: NOW) as opened:
        yield opened


def chain(graph: IntentGraph, *names: str, type: str = "is_subgoal_of") -> None:
    """Stores intents of these names, each linked to the one before."""
    for name in names:
        graph.store(Intent(id=name, goal=name))
    for upper, lower in pairwise(names):
        graph.link(lower, type, upper)


def goals(intents: object) -> list[str]:
    return [intent.goal for intent in intents]  # type: ignore[attr-defined]  # any iterable of intents


def test_a_stored_intent_comes_back_with_id_revision_and_times(graph: IntentGraph) -> None:
    stored = graph.store(Intent(goal="Ship 1.0", constraints={"max-cost": 10.0}))  # type: ignore[arg-type]  # frozen
    assert stored.id
    assert stored.revision == 1
    assert stored.created_at == stored.updated_at == NOW
    assert graph.get(stored.id) == stored == graph.intent(stored.id)


def test_a_missing_intent_is_none_or_an_error_that_names_it(graph: IntentGraph) -> None:
    assert graph.get("nope") is None
    with pytest.raises(IntentMissing, match="nope"):
        graph.intent("nope")
    with pytest.raises(IntentMissing, match="nope"):
        graph.history("nope")


def test_a_taken_id_is_refused_and_the_intent_stays(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="first"))
    with pytest.raises(AlreadyThere, match="a exists"):
        graph.store(Intent(id="a", goal="second"))
    assert graph.intent("a").goal == "first"


def test_an_update_is_a_compare_and_set(graph: IntentGraph) -> None:
    seen = graph.store(Intent(id="a", goal="one"))
    graph.update(seen.replace(goal="two"), reason="better")
    with pytest.raises(StaleRevision) as caught:
        graph.update(seen.replace(goal="three"))
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert graph.intent("a").goal == "two"
    with pytest.raises(FieldInvalid, match="revision"):
        graph.update(Intent(id="a", goal="four"))


def test_a_transaction_is_one_commit_and_repeating_its_id_changes_nothing(graph: IntentGraph) -> None:
    for _ in range(2):
        with graph.transaction(reason="plan", commit_id="plan-1") as tx:
            tx.store(Intent(id="a", goal="A"))
            tx.store(Intent(id="b", goal="B"))
            tx.link("b", "depends_on", "a", weight=0.5)
            tx.note("a", "remember")
    assert graph.revision == 1
    commit = graph.commit("plan-1")
    assert commit is not None
    assert [type(change).__name__ for change in commit.changes] == ["Put", "Put", "Link", "Note"]
    assert (commit.actor, commit.reason, commit.at) == ("tester", "plan", NOW)


def test_a_transaction_that_fails_leaves_no_trace(graph: IntentGraph) -> None:
    with pytest.raises(EdgeMissing), graph.transaction() as tx:
        tx.store(Intent(id="a", goal="A"))
        tx.unlink("a", "blocks", "b")
    with pytest.raises(ZeroDivisionError), graph.transaction() as tx:
        tx.store(Intent(id="a", goal="A"))
        raise ZeroDivisionError
    assert graph.revision == 0
    assert graph.list().intents == ()


def test_an_intent_changed_within_its_own_transaction_is_stored_as_changed(graph: IntentGraph) -> None:
    with graph.transaction() as tx:
        fresh = tx.store(Intent(id="a", goal="A"))
        tx.update(fresh.replace(goal="B"))
    assert graph.intent("a").goal == "B"
    assert graph.verify().ok


def test_deleting_an_intent_deletes_its_edges_in_the_same_commit(graph: IntentGraph) -> None:
    chain(graph, "a", "b", "c")
    commit = graph.delete("b")
    assert commit is not None
    assert [type(change).__name__ for change in commit.changes] == ["Unlink", "Unlink", "Drop"]
    assert graph.edges("a") == graph.edges("c") == []
    assert graph.get("b") is None
    assert graph.verify().ok
    assert graph.delete() is None


def test_cycles_are_refused_with_their_path(graph: IntentGraph) -> None:
    chain(graph, "a", "b", "c")
    with pytest.raises(CycleRefused) as caught:
        graph.link("a", "is_subgoal_of", "c")
    assert set(caught.value.path) == {"a", "b", "c"}
    graph.link("a", "depends_on", "b")
    with pytest.raises(CycleRefused, match="depends_on/blocks"):
        graph.link("a", "blocks", "b")
    graph.link("b", "blocks", "a")  # says what a depends_on b says: no cycle
    with pytest.raises(CycleRefused), graph.transaction() as tx:
        tx.link("b", "depends_on", "c")
        tx.link("c", "depends_on", "b")
    assert len(graph.edges("b", types=["depends_on"])) == 1


def test_a_self_edge_and_a_missing_end_are_refused(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    with pytest.raises(FieldInvalid, match="itself"):
        graph.link("a", "enables", "a")
    with pytest.raises(IntentMissing, match="b"):
        graph.link("a", "enables", "b")
    assert graph.revision == 1


def test_a_symmetric_edge_is_one_edge_seen_from_both_ends(graph: IntentGraph) -> None:
    chain(graph, "a", "b", type="conflicts_with")
    assert graph.edges("a", direction="out") == graph.edges("b", direction="out") == graph.edges("b", direction="in")
    with pytest.raises(AlreadyThere):
        graph.link("a", "conflicts_with", "b")
    graph.unlink("b", "conflicts_with", "a")
    assert graph.edges("a") == []


def test_families_paths_and_trees(graph: IntentGraph) -> None:
    chain(graph, "a", "b", "c")
    graph.store(Intent(id="d", goal="d"))
    graph.link("d", "is_subgoal_of", "a")
    graph.link("c", "is_subgoal_of", "d")  # two parents
    assert goals(graph.parents("c")) == ["b", "d"]
    assert goals(graph.children("a")) == ["b", "d"]
    assert goals(graph.ancestors("c")) == ["b", "d", "a"]
    assert goals(graph.ancestors("c", depth=1)) == ["b", "d"]
    assert goals(graph.descendants("a")) == ["b", "d", "c"]
    way = graph.path("a", "c")
    assert way is not None
    assert [edge.source for edge in way] == ["b", "c"]
    assert graph.path("a", "a") == []
    graph.store(Intent(id="far", goal="far"))
    assert graph.path("a", "far") is None
    (top, other) = graph.tree()
    assert (top.intent.id, other.intent.id) == ("a", "far")
    assert [branch.intent.id for branch in top.children] == ["b", "d"]
    assert [branch.intent.id for branch in graph.tree("d")[0].children] == ["c"]
    assert graph.tree("a", depth=0)[0].children == ()


def test_a_chain_of_five_thousand_needs_no_recursion(graph: IntentGraph) -> None:
    with graph.transaction() as tx:
        for number in range(5000):
            tx.store(Intent(id=f"n{number:05}", goal=str(number)))
    with graph.transaction() as tx:
        for number in range(4999):
            tx.apply(Link(edge=Edge(source=f"n{number:05}", type=EdgeType.RELATED_TO, target=f"n{number + 1:05}")))
    way = graph.path("n00000", "n04999")
    assert way is not None
    assert len(way) == 4999


def test_ready_is_what_nothing_holds_back_by_priority_then_age(graph: IntentGraph) -> None:
    chain(graph, "top", "sub")
    graph.store(Intent(id="urgent", goal="urgent", priority=9))
    graph.store(Intent(id="late", goal="late"))
    graph.link("late", "depends_on", "urgent")
    graph.store(Intent(id="held", goal="held", claim=Claim(owner="w", token=1, until=NOW + timedelta(hours=1))))
    graph.store(Intent(id="lapsed", goal="lapsed", claim=Claim(owner="w", token=1, until=NOW - timedelta(hours=1))))
    assert goals(graph.ready()) == ["urgent", "lapsed", "sub"]
    assert goals(graph.ready(limit=1)) == ["urgent"]
    assert goals(graph.ready(leaves_only=False)) == ["urgent", "lapsed", "sub", "top"]
    because = {each.intent.id: [(why.kind, why.id) for why in each.because] for each in graph.blocked()}
    assert because == {
        "top": [("subgoal", "sub")],
        "late": [("depends_on", "urgent")],
        "held": [("claim", "w")],
    }


def test_an_ancestor_that_waits_holds_back_all_below_it(graph: IntentGraph) -> None:
    chain(graph, "top", "mid", "leaf")
    graph.store(Intent(id="gate", goal="gate"))
    graph.link("gate", "blocks", "top")
    assert goals(graph.ready()) == ["gate"]
    graph.start("gate")
    graph.fail("gate", reason="broke")
    assert goals(graph.ready()) == []  # a failed one still blocks
    graph.reopen("gate")
    graph.complete("gate")
    assert goals(graph.ready()) == ["leaf"]


@pytest.mark.parametrize("start", list(IntentStatus))
@pytest.mark.parametrize("wanted", list(IntentStatus))
def test_the_transition_table_is_the_contract(start: IntentStatus, wanted: IntentStatus) -> None:
    verbs = dict(zip(IntentStatus, ("reopen", "start", "complete", "fail", "suspend", "archive"), strict=True))
    with open_graph("memory:") as graph:
        graph.store(Intent(id="a", goal="A", status=start))
        move = getattr(graph, verbs[wanted])
        if wanted in MOVES[start]:
            assert move("a")[0].status == wanted
        else:
            with pytest.raises(TransitionRefused, match="allowed from"):
                move("a")
            assert graph.intent("a").status == start


def test_moves_of_several_intents_are_all_or_nothing(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    graph.store(Intent(id="b", goal="B", status=IntentStatus.COMPLETED))
    with pytest.raises(TransitionRefused):
        graph.start("a", "b")
    assert graph.intent("a").status == "active"
    assert graph.start() == []


def test_history_tells_who_what_when_and_why_edges_included(graph: IntentGraph) -> None:
    chain(graph, "a", "b")
    entry = graph.note("a", "looks good")
    graph.complete("a", reason="green")
    graph.unlink("b", "is_subgoal_of", "a", reason="wrong parent")
    told = [(type(each.change).__name__, each.actor, each.reason) for each in graph.history("a")]
    assert told == [
        ("Put", "tester", None),
        ("Link", "tester", None),
        ("Note", "tester", None),
        ("Put", "tester", "green"),
        ("Unlink", "tester", "wrong parent"),
    ]
    assert isinstance(entry.change, Note)
    assert entry in graph.history("a")
    graph.delete("a")
    assert type(graph.history("a")[-1].change).__name__ == "Drop"


def test_connected_to_is_answered_by_walking(graph: IntentGraph) -> None:
    chain(graph, "a", "b", "c")
    near = IntentFilter(connected_to=ConnectedTo(id="a", depth=1))
    assert goals(graph.list(near).intents) == ["a", "b"]
    far = IntentFilter(not_=IntentFilter(connected_to=ConnectedTo(id="a", depth=1)))
    assert goals(graph.list(far).intents) == ["c"]
    assert goals(graph.list(IntentFilter(any_of=(near, far), ids={"a", "c"})).intents) == ["a", "c"]  # type: ignore[arg-type]  # frozen
    assert graph.count(near) == {IntentStatus.ACTIVE: 2}
    with pytest.raises(QueryInvalid):
        graph.storage.select(near, __import__("intentstore").Page())


def test_each_walks_all_pages(graph: IntentGraph) -> None:
    with graph.transaction() as tx:
        for number in range(30):
            tx.store(Intent(id=f"{number:03}", goal="g", priority=number % 3))
    assert len(list(graph.each())) == 30
    seen, after = [], None
    while True:
        page = graph.list(sort="-priority", limit=7, after=after)
        seen += [intent.id for intent in page.intents]
        after = page.next
        if after is None:
            break
    assert seen == sorted(seen, key=lambda each: (-(int(each) % 3), each))


def test_backup_restore_and_copy_give_the_same_seal(graph: IntentGraph, tmp_path: Path) -> None:
    chain(graph, "a", "b", "c")
    graph.delete("b")
    graph.note("a", "λ 日本語 🧭\u2028")
    receipt = graph.backup(tmp_path / "goals.backup")
    assert (receipt.intents, receipt.edges, receipt.revision) == (2, 0, graph.revision)
    with open_graph(f"file:{tmp_path}/elsewhere") as other:
        assert other.restore(tmp_path / "goals.backup") == receipt == other.receipt()
        assert other.verify().ok
        graph.store(Intent(goal="later"))
        assert graph.copy(other) == graph.receipt() == other.receipt()
        other.store(Intent(goal="apart"))
        with pytest.raises(AlreadyThere):
            graph.copy(other)
        with pytest.raises(AlreadyThere):
            other.restore(tmp_path / "goals.backup")


def test_stats_and_health_say_where_the_graph_stands(graph: IntentGraph) -> None:
    chain(graph, "a", "b")
    stats = graph.stats()
    assert (stats["intents"], stats["edges"], stats["by_status"]) == (2, 1, {"active": 2})
    assert graph.health()["status"] == "ok"
    assert "default" in graph.graphs()


def test_a_storage_without_a_power_says_so() -> None:
    with open_graph("memory:") as graph:
        with pytest.raises(Unsupported, match="compact"):
            graph.compact()
        graph.storage.capabilities = type(graph.storage.capabilities)()
        with pytest.raises(Unsupported, match="text search"):
            graph.search("x")


@pytest.mark.parametrize("url", ["nonsense", ":x", "sqlite:", "file:", "redis:somewhere", "file:x?y=1"])
def test_a_url_that_names_no_store_is_refused_with_the_known_ones(url: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        open_graph(url)
    assert "file:" in caught.value.hint


def test_bad_options_are_refused() -> None:
    with pytest.raises(FieldInvalid, match="durability"):
        open_graph("memory:", durability="hope")
    with pytest.raises(FieldInvalid, match="graph"):
        open_graph("memory:", graph="")
    with pytest.raises(FieldInvalid, match="actor"):
        open_graph("memory:", actor="a\nb")
