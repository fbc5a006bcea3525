"""Claims about how goals hang together, on every storage that is here, and against plain dicts on random graphs."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intentstore import Intent, IntentGraph, IntentStatus, QueryInvalid, open_graph
from intentstore.ground.errors import AlreadyThere, CycleRefused, FieldInvalid, IntentMissing


@pytest.fixture(params=["memory:", "file:{}/goals", "sqlite:{}/goals.db"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IntentGraph]:
    with open_graph(request.param.format(tmp_path)) as opened:
        yield opened


def plant(graph: IntentGraph, names: str, *sentences: str) -> None:
    """Stores intents by these names, and edges written as ``a depends_on b``."""
    with graph.transaction() as tx:
        for name in names.split():
            tx.store(Intent(id=name, goal=name))
        for sentence in sentences:
            source, type, target, *weight = sentence.split()
            tx.link(source, type, target, weight=float(weight[0]) if weight else None)


# --- above ---


def test_the_nearest_common_ancestor_is_found_through_several_parents(graph: IntentGraph) -> None:
    plant(
        graph,
        "top left right a b alone",
        "left is_subgoal_of top",
        "right is_subgoal_of top",
        "a is_subgoal_of left",
        "b is_subgoal_of right",
        "b is_subgoal_of left",
    )

    def found(*ids: str) -> str | None:
        shared = graph.common_ancestor(*ids)
        return None if shared is None else shared.id

    assert found("a", "b") == "left"
    assert found("a", "right") == "top"
    assert found("a", "left") == "left"  # it stands above the other
    assert found("a") == "a"
    assert found("a", "alone") is None
    assert graph.common_ancestor() is None
    with pytest.raises(IntentMissing):
        graph.common_ancestor("a", "nope")


# --- what waits ---


def test_impact_names_everyone_who_waits_and_why(graph: IntentGraph) -> None:
    plant(
        graph,
        "x user parent child late done after_done",
        "user depends_on x",
        "x is_subgoal_of parent",
        "child is_subgoal_of user",
        "late depends_on parent",
        "done depends_on x",
        "after_done depends_on done",
    )
    graph.complete("done")
    told = [(each.intent.id, each.distance, each.because, each.via) for each in graph.impact("x")]
    assert told == [
        ("parent", 1, "subgoal", "x"),
        ("user", 1, "depends_on", "x"),
        ("child", 2, "ancestor", "user"),
        ("late", 2, "depends_on", "parent"),
    ]
    assert graph.impact("late") == []
    assert len(graph.impact("x", limit=1)) == 1
    with pytest.raises(QueryInvalid):
        graph.impact("x", limit=0)


def test_a_parent_that_also_waits_by_itself_holds_back_its_other_subgoals(graph: IntentGraph) -> None:
    plant(graph, "x p other", "x is_subgoal_of p", "other is_subgoal_of p")
    assert [each.intent.id for each in graph.impact("x")] == ["p"]
    plant(graph, "mid", "x blocks mid", "p depends_on mid")
    assert [each.intent.id for each in graph.impact("x")] == ["mid", "p", "other"]


def test_who_waits_according_to_impact_is_not_ready_until_it_is_settled(graph: IntentGraph) -> None:
    plant(graph, "x a b c", "a depends_on x", "b is_subgoal_of a", "c depends_on b")
    waiting = {each.intent.id for each in graph.impact("x")}
    assert waiting == {"a", "b", "c"}
    assert waiting.isdisjoint(intent.id for intent in graph.ready())
    graph.complete("x")
    assert [intent.id for intent in graph.ready()] == ["b"]


# --- the longest chain ---


def test_the_critical_path_is_the_longest_chain_of_open_work(graph: IntentGraph) -> None:
    plant(
        graph,
        "ship test docs build",
        "test is_subgoal_of ship",
        "docs is_subgoal_of ship",
        "test depends_on build",
    )
    path = graph.critical_path("ship")
    assert [intent.id for intent in path.intents] == ["build", "test", "ship"]
    assert path.length == 3
    assert graph.critical_path() == path
    graph.update(graph.intent("docs").replace(metadata={"hours": 40}))
    by_hours = graph.critical_path("ship", by="hours")
    assert [intent.id for intent in by_hours.intents] == ["docs", "ship"]
    assert by_hours.length == 40
    graph.complete("build", "test", "docs")
    assert [intent.id for intent in graph.critical_path("ship").intents] == ["ship"]
    graph.complete("ship")
    assert graph.critical_path().intents == graph.critical_path("ship").intents == ()


def test_what_an_ancestor_waits_for_is_on_the_critical_path(graph: IntentGraph) -> None:
    plant(graph, "leaf goal gate", "leaf is_subgoal_of goal", "goal depends_on gate")
    assert [intent.id for intent in graph.critical_path("leaf").intents] == ["gate", "leaf"]


def test_a_cost_that_is_no_number_is_refused_by_name(graph: IntentGraph) -> None:
    plant(graph, "a")
    for wrong in ("long", -1, True):
        graph.update(graph.intent("a").replace(metadata={"hours": wrong}))
        with pytest.raises(FieldInvalid, match=r"metadata.hours of intent a"):
            graph.critical_path(by="hours")


# --- circles ---


def test_circles_through_subgoals_and_dependencies_are_explained(graph: IntentGraph) -> None:
    plant(graph, "goal part", "part is_subgoal_of goal")
    assert graph.cycles() == []
    plant(graph, "b", "goal depends_on part")  # no single relation closes a circle, both together do
    (cycle,) = graph.cycles()
    assert set(cycle.ids) == {"goal", "part"}
    assert "part stands below goal, which waits" in cycle.because
    assert "goal waits for part (goal depends_on part)" in cycle.because
    assert graph.ready() == [graph.intent("b")]
    with pytest.raises(QueryInvalid, match="wait for one another: ") as refused:
        graph.critical_path("goal")
    assert set(refused.value.path) == {"goal", "part"}
    graph.complete("part")
    assert graph.cycles() == []


def test_a_refused_cycle_names_its_path(graph: IntentGraph) -> None:
    plant(graph, "a b c", "a depends_on b", "b depends_on c")
    with pytest.raises(CycleRefused, match="would close a cycle: ") as refused:
        graph.link("c", "depends_on", "a")
    assert sorted(refused.value.path[1:]) == ["a", "b", "c"]


def test_a_chain_of_five_thousand_needs_no_recursion() -> None:
    with open_graph("memory:") as graph:
        names = [f"n{number:05}" for number in range(5000)]
        plant(graph, " ".join(names), *(f"{b} depends_on {a}" for a, b in pairwise(names)))
        assert len(graph.impact(names[0])) == 4999
        assert graph.critical_path().length == 5000
        assert graph.cycles() == []
        plant(graph, "", f"{names[-1]} is_subgoal_of {names[0]}")
        assert graph.cycles() != []
        way = graph.path(names[0], names[-1], weighted=True)
        assert way is not None
        assert len(way) == 1


# --- conflicts, groups, ways ---


def test_only_conflicts_between_two_live_intents_are_told(graph: IntentGraph) -> None:
    plant(graph, "a b c d", "a conflicts_with b", "c conflicts_with b", "c conflicts_with d", "a related_to d")
    graph.start("b")
    assert [(clash.left.id, clash.right.id) for clash in graph.conflicts()] == [("a", "b"), ("b", "c"), ("c", "d")]
    graph.suspend("c")
    assert [(clash.left.id, clash.right.id) for clash in graph.conflicts()] == [("a", "b")]
    graph.fail("a")
    assert graph.conflicts() == []


def test_components_are_what_edges_hold_together(graph: IntentGraph) -> None:
    plant(graph, "a b c d e f", "a enables b", "b related_to c", "d blocks e")
    assert graph.components() == [["a", "b", "c"], ["d", "e"]]
    assert graph.components(types=["blocks"]) == [["d", "e"]]
    assert graph.components(types=["triggered_by"]) == []


def test_the_lightest_way_counts_weights_and_not_steps(graph: IntentGraph) -> None:
    plant(graph, "a b c far", "a enables b 5", "a enables c 0.5", "c enables b 0.25")
    assert [edge.key for edge in graph.path("a", "b") or ()] == [("a", "enables", "b")]
    way = graph.path("b", "a", weighted=True)
    assert way is not None
    assert [edge.key for edge in way] == [("c", "enables", "b"), ("a", "enables", "c")]
    assert graph.path("a", "a", weighted=True) == []
    assert graph.path("a", "far", weighted=True) is None
    assert graph.path("a", "b", types=["blocks"], weighted=True) is None
    plant(graph, "", "c related_to far -1")
    with pytest.raises(QueryInvalid, match="weighs -1"):
        graph.path("a", "far", weighted=True)


# --- against plain dicts ---

_NODES = [f"n{number}" for number in range(7)]
_edges = st.lists(
    st.tuples(
        st.sampled_from(_NODES), st.sampled_from(["depends_on", "blocks", "is_subgoal_of"]), st.sampled_from(_NODES)
    ),
    max_size=12,
)


def _grown(edges: list[tuple[str, str, str]], statuses: list[IntentStatus]) -> IntentGraph:
    graph = open_graph("memory:")
    with graph.transaction() as tx:
        for name, status in zip(_NODES, statuses, strict=True):
            tx.store(Intent(id=name, goal=name, status=status))
    for edge in edges:
        if edge[0] != edge[2]:
            with contextlib.suppress(CycleRefused, AlreadyThere):  # for other claims
                graph.link(*edge)
    return graph


@given(_edges, st.lists(st.sampled_from(list(IntentStatus)), min_size=7, max_size=7))
def test_nothing_can_ever_be_done_exactly_where_a_circle_is_told(
    edges: list[tuple[str, str, str]], statuses: list[IntentStatus]
) -> None:
    with _grown(edges, statuses) as graph:
        told = {id for cycle in graph.cycles() for id in cycle.ids}
        # Doing whatever is ready, again and again, gets stuck only behind circles and what has failed or sleeps.
        graph.reopen(*(i.id for i in graph.each() if i.status in ("suspended", "executing", "failed")))
        told_now = {id for cycle in graph.cycles() for id in cycle.ids}
        for _ in itertools.count():
            ready = graph.ready()
            if not ready:
                break
            graph.complete(*(intent.id for intent in ready))
        stuck = {intent.id for intent in graph.each() if intent.status is IntentStatus.ACTIVE}
        assert bool(stuck) == bool(told_now)
        assert told_now <= stuck
        assert told <= told_now or not told


@given(_edges)
def test_the_critical_path_is_as_long_as_the_longest_of_all_chains(edges: list[tuple[str, str, str]]) -> None:
    with _grown([edge for edge in edges if edge[1] != "is_subgoal_of"], [IntentStatus.ACTIVE] * 7) as graph:
        waits: dict[str, set[str]] = {name: set() for name in _NODES}
        for edge in graph.edges_of(_NODES):
            waiter, awaited = (edge.target, edge.source) if edge.type == "blocks" else (edge.source, edge.target)
            waits[waiter].add(awaited)

        def longest(name: str) -> int:
            return 1 + max(map(longest, waits[name]), default=0)

        assert graph.critical_path().length == max(map(longest, _NODES))
        chain = graph.critical_path().intents
        assert all(earlier.id in waits[later.id] for earlier, later in pairwise(chain))
