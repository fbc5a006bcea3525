"""Claims about edges that are proposed: each rule by itself, what may be proposed at all, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.quality.__main__ import main as measure_quality
from intentstore import FieldInvalid, Intent, IntentGraph, IntentMissing, Map, Resource, open_graph
from intentstore.graph.infer import COMMON, PARTNERS, Inference
from intentstore.graph.rules import RULES
from intentstore.verbs.planning import _RULES


@pytest.fixture(params=["memory:", "file:{}/goals", "sqlite:{}/goals.db"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IntentGraph]:
    with open_graph(request.param.format(tmp_path)) as opened:
        yield opened


@pytest.fixture
def memory() -> Iterator[IntentGraph]:
    with open_graph("memory:") as opened:
        yield opened


def proposed(graph: IntentGraph, rule: str, *ids: str, least: float = 0.0) -> list[tuple[str, str, str]]:
    found = graph.infer(ids or None, rules=[rule], least=least)
    return [(str(each.edge.source), str(each.edge.type), str(each.edge.target)) for each in found]


# --- rules, one by one ---


def test_an_id_that_continues_anothers_is_a_part_of_it_and_comes_in_order(memory: IntentGraph) -> None:
    for id in ("x", "x.1", "x.2", "x.2.a", "y.9", "y.11"):
        memory.store(Intent(id=id, goal=f"Do {id}"))
    assert proposed(memory, "id-part") == [
        ("x.1", "is_subgoal_of", "x"),
        ("x.2", "is_subgoal_of", "x"),
        ("x.2.a", "is_subgoal_of", "x.2"),
    ]
    assert proposed(memory, "id-order") == [("x.2", "depends_on", "x.1")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This is blocked by goal-1 for now", ("a", "depends_on", "goal-1")),
        ("Part of the epic goal-1", ("a", "is_subgoal_of", "goal-1")),
        ("Found while testing goal-1.", ("a", "discovered_from", "goal-1")),
        ("It blocks goal-1", ("goal-1", "depends_on", "a")),
        ("a duplicate of goal-1", ("a", "duplicates", "goal-1")),
        ("Compare goal-1", ("a", "related_to", "goal-1")),
    ],
)
def test_a_mention_is_read_by_the_words_before_it(
    memory: IntentGraph, text: str, expected: tuple[str, str, str]
) -> None:
    memory.store(Intent(id="a", goal="Do it", original_request=text))
    assert proposed(memory, "mention") == []
    memory.store(Intent(id="goal-1", goal="Something else"))  # the one that is named may come later
    assert proposed(memory, "mention", "goal-1") == proposed(memory, "mention", "a") == [expected]


def test_a_goal_under_anothers_title_is_its_subgoal(memory: IntentGraph) -> None:
    memory.store(Intent(id="a", goal="Release 1.0"))
    memory.store(Intent(id="b", goal="Release 1.0: write the notes"))
    memory.store(Intent(id="c", goal="[Release 1.0] tag it"))
    memory.store(Intent(id="d", goal="Fix: a word alone is no title"))
    memory.store(Intent(id="e", goal="Fix"))
    assert proposed(memory, "heading") == [("b", "is_subgoal_of", "a"), ("c", "is_subgoal_of", "a")]


def test_steps_follow_one_another_within_one_thing(memory: IntentGraph) -> None:
    memory.store(Intent(id="a", goal="Phase 1: draw it", session_id="s"))
    memory.store(Intent(id="b", goal="Phase 2: build it", session_id="s"))
    memory.store(Intent(id="c", goal="Phase 2: build that", session_id="t"))
    memory.store(Intent(id="d", goal="Move the archive, step 3"))
    memory.store(Intent(id="e", goal="Move the archive, step 4"))
    assert proposed(memory, "sequence") == [("b", "depends_on", "a"), ("e", "depends_on", "d")]


def test_constraints_conflict_only_where_they_exclude_each_other(memory: IntentGraph) -> None:
    def put(id: str, **constraints: object) -> None:
        named = {name.replace("_", "-"): value for name, value in constraints.items()}
        memory.store(Intent(id=id, goal=id, session_id="s", constraints=Map(named)))

    put("eu", locality=("eu", "ch"))
    put("us", locality=("us",))
    put("any", locality=("us", "eu"))
    put("cheap", max_cost=5)
    put("cheaper", max_cost=4)
    put("dear", min_cost=50.0)
    put("red", colour="red")
    put("blue", colour="blue")
    memory.store(Intent(id="green", goal="elsewhere", session_id="t", constraints=Map({"colour": "green"})))
    found = {(p.edge.source, p.edge.target): p.confidence for p in memory.infer(rules=["constraint"])}
    assert found == {("eu", "us"): 0.8, ("cheap", "dear"): 0.9, ("cheaper", "dear"): 0.9, ("blue", "red"): 0.6}


def test_a_resource_both_constrain_is_a_conflict_and_one_both_name_a_relation(memory: IntentGraph) -> None:
    lab = Resource("resource://lab/1")
    memory.store(Intent(id="a", goal="A", constraints=Map({"needs": (lab,)})))
    memory.store(Intent(id="b", goal="B", constraints=Map({"place": Map({"is": lab})})))
    memory.store(Intent(id="c", goal="C", metadata=Map({"seen": lab})))
    assert proposed(memory, "resource") == [
        ("a", "conflicts_with", "b"),
        ("a", "related_to", "c"),
        ("b", "related_to", "c"),
    ]


def test_goals_with_the_same_rare_words_are_related(memory: IntentGraph) -> None:
    memory.store(Intent(id="a", goal="Repair the flaky replication test"))
    memory.store(Intent(id="b", goal="The replication test is flaky on Mondays"))
    memory.store(Intent(id="c", goal="Paint the fence"))
    assert proposed(memory, "similar") == [("a", "related_to", "b")]
    memory.store(Intent(id="d", goal="Paint the fence"))
    assert ("c", "related_to", "d") in proposed(memory, "similar")
    memory.complete("c")
    assert ("c", "related_to", "d") not in proposed(memory, "similar")  # done, and to be done again


def test_the_command_line_names_every_rule() -> None:
    assert tuple(rule.name for rule in RULES) == _RULES


# --- what may be proposed ---


def test_proposals_are_stored_only_when_asked_and_then_never_proposed_again(graph: IntentGraph) -> None:
    for id in ("x", "x.1", "x.2"):
        graph.store(Intent(id=id, goal=f"Do {id}"))
    before = graph.revision
    found = graph.infer()
    assert graph.revision == before
    assert graph.infer(store=True) == found
    assert graph.revision == before + 1
    assert graph.infer() == []
    assert graph.infer(store=True) == []
    assert graph.revision == before + 1
    (edge,) = graph.edges("x.1")
    told = edge.metadata["inferred"]
    assert (told["rule"], told["confidence"], told["revision"]) == ("id-part", 0.9, before)
    assert edge.weight == 0.9
    assert next(iter(graph.entries(before))).reason == "inferred by id-part"


def test_nothing_is_proposed_that_would_close_a_circle(graph: IntentGraph) -> None:
    for id in ("x", "x.1", "x.2", "x.3"):
        graph.store(Intent(id=id, goal=f"Do {id}"))
    graph.link("x", "is_subgoal_of", "x.1")
    graph.link("x.1", "depends_on", "x.3")
    edges = [each.edge.key for each in graph.infer(least=0.0, store=True)]
    assert ("x.1", "is_subgoal_of", "x") not in edges
    assert ("x.2", "depends_on", "x.1") in edges
    assert ("x.3", "depends_on", "x.2") not in edges  # of the two, one would close the circle
    assert graph.verify().ok


def test_a_relation_is_not_proposed_where_an_edge_says_more(memory: IntentGraph) -> None:
    memory.store(Intent(id="a", goal="Repair the flaky replication test"))
    memory.store(Intent(id="b", goal="Repair the flaky replication test twice"))
    assert proposed(memory, "similar")
    memory.link("a", "blocks", "b")
    assert proposed(memory, "similar") == []


def test_inference_follows_changes_and_deletions_of_its_own_and_of_others(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'goals.db'}"
    with open_graph(url) as graph, open_graph(url) as other:
        graph.store(Intent(id="part-1", goal="Part"))
        graph.store(Intent(id="a", goal="See part-1"))
        assert proposed(graph, "mention") == [("a", "related_to", "part-1")]
        other.update(other.intent("a").replace(goal="See nothing"))
        assert proposed(graph, "mention") == []
        other.store(Intent(id="b", goal="See part-1"))
        assert proposed(graph, "mention") == [("b", "related_to", "part-1")]
        other.delete("part-1")
        assert proposed(graph, "mention") == []


def test_what_cannot_be_asked_is_refused_by_name(memory: IntentGraph) -> None:
    with pytest.raises(FieldInvalid, match="'guess' is not a rule") as refused:
        memory.infer(rules=["guess"])
    assert "id-part" in refused.value.hint
    with pytest.raises(FieldInvalid, match="least"):
        memory.infer(least=2)
    with pytest.raises(IntentMissing):
        memory.infer(["nope"])


# --- what it costs ---


def test_the_partners_of_an_intent_are_bounded_however_many_there_are(memory: IntentGraph) -> None:
    with memory.transaction() as tx:
        for number in range(4 * COMMON):
            tx.store(Intent(id=f"n{number:04}", goal=f"common word kind{number // 40}"))
    inference = Inference(memory.storage)
    (similar,) = [rule for rule in RULES if rule.name == "similar"]
    found = inference.propose(["n0000"], rules=[similar], least=0.0)
    assert 0 < len(found) <= PARTNERS
    for number in range(4 * COMMON - 1):
        memory.delete(f"n{number:04}")
    memory.store(Intent(id="again", goal="common word again"))
    assert inference.propose(["again"], rules=[similar], least=0.0) == []  # let go of when it was common


def test_the_quality_of_every_rule_is_measured_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTENTSTORE_SHARED_DATA", str(tmp_path))
    assert measure_quality([]) == 2
    assert "INTENTSTORE_SHARED_DATA" in capsys.readouterr().err
    import gzip

    whole, part = '{"id":"g","title":"Ship"}', '{"id":"g.1","title":"Test","dependencies":[%s]}'
    edge = '{"issue_id":"g.1","depends_on_id":"g","type":"parent-child"}'
    lines = f"{whole}\n{part % edge}\n".encode()
    (tmp_path / "agent-goals.beads.jsonl.gz").write_bytes(gzip.compress(lines))
    page = tmp_path / "quality.md"
    assert measure_quality(["--write-docs", "--docs", str(page)]) == 0
    assert "| `id-part` | 1 | 1 | 100% | 100% | 100.0% |" in page.read_text()
    assert str(tmp_path) not in page.read_text()
