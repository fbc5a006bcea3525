"""Claims about contexts: never over the budget, the same every time, a reason for each; and on summaries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intentstore import Code, Edge, EdgeType, FieldInvalid, Intent, IntentGraph, IntentMissing, Model, open_graph
from intentstore.graph.context import count_tokens
from intentstore.graph.nearness import near
from intentstore.graph.summary import Subtree
from intentstore.graph.telling import FORMATS, cut
from intentstore.rtfs import parse
from tests.histories import Clock, import_real, live
from tests.test_search import topical

URLS = ["memory:", "file:{}/goals", "sqlite:{}/goals.db"]


@pytest.fixture(params=URLS, ids=["memory", "file", "sqlite"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IntentGraph]:
    with open_graph(request.param.format(tmp_path), clock=Clock()) as opened:
        yield opened


@pytest.fixture(scope="module")
def lived() -> IntentGraph:
    graph = open_graph("memory:", clock=Clock())
    live(graph, 900, Random(1))
    return graph


def family(graph: IntentGraph) -> None:
    """Stores ship <- (test <- (unit, e2e), docs); test waits for build."""
    for id, goal in (
        ("ship", "Ship 1.0"),
        ("test", "Pass the suite"),
        ("docs", "Write the docs"),
        ("unit", "Pass the unit tests"),
        ("e2e", "Pass the end-to-end tests"),
        ("build", "Build the wheel"),
        ("other", "Water the plants"),
    ):
        graph.store(Intent(id=id, goal=goal, original_request=f"{goal}, please. " * 5))
    for child, parent in (("test", "ship"), ("docs", "ship"), ("unit", "test"), ("e2e", "test")):
        graph.link(child, "is_subgoal_of", parent)
    graph.link("test", "depends_on", "build")


def odd_tokens(text: str) -> int:
    """Counts as a tokenizer does for which the whole is more than its parts."""
    return len(text) // 3 + len(text.split()) // 7 + (len(text) > 600) * 40


# --- the budget ---


def test_a_window_never_passes_its_budget_and_says_why_each_is_in(lived: IntentGraph) -> None:
    ids = [intent.id for intent in lived.each()]
    luck = Random(2)
    for n in range(1000):
        focus = luck.sample(ids, luck.choice((0, 0, 1, 2)))
        query = luck.choice((None, f"goal {n} of many", '"; DROP -x:y "', "many " * 90))
        budget, counts = luck.randrange(150, 3000), luck.choice((None, len, odd_tokens))
        form = luck.choice(tuple(FORMATS))
        try:
            found = lived.context(focus=focus, query=query, budget_tokens=budget, format=form, tokens=counts)
        except FieldInvalid:
            assert focus  # its lines alone are longer
            continue
        assert found.tokens == (counts or count_tokens)(found.text) <= budget
        assert all(each.because and all(each.because) for each in found.included)
        assert set(focus) <= {each.id for each in found.included}
        assert len({each.id for each in found.included}) == len(found.included)
        assert found.left_out >= 0


def test_windows_on_real_goals_keep_their_budget(tmp_path: Path) -> None:
    with open_graph(f"sqlite:{tmp_path}/goals.db") as graph:
        import_real(graph)
        goals = list(graph.each())
        luck = Random(3)
        for _ in range(200):
            budget = luck.choice((1500, 4000, 8000))
            focus = [goal.id for goal in luck.sample(goals, luck.choice((0, 1)))]
            try:
                found = graph.context(focus=focus, query=luck.choice(goals).goal, budget_tokens=budget)
            except FieldInvalid:
                continue
            assert count_tokens(found.text) == found.tokens <= budget
            assert found.tokens > budget * 0.5  # there is enough to tell


def test_the_same_question_has_the_same_text(lived: IntentGraph) -> None:
    ids = [intent.id for intent in lived.each()][:3]
    first = lived.context(focus=ids, query="goal of many", budget_tokens=2000)
    assert lived.context(focus=reversed(ids), query="goal of many", budget_tokens=2000).included
    assert lived.context(focus=ids, query="goal of many", budget_tokens=2000) == first


def test_a_budget_too_small_for_the_focus_names_what_it_takes(graph: IntentGraph) -> None:
    family(graph)
    with pytest.raises(FieldInvalid, match="what must be told takes") as refused:
        graph.context(focus=["ship", "test"], budget_tokens=20)
    least = refused.value.least
    found = graph.context(focus=["ship", "test"], budget_tokens=least + 30)
    assert [each.id for each in found.included][:2] == ["ship", "test"]
    for budget in (0, -1, 1.5, "many"):
        with pytest.raises(FieldInvalid, match="budget_tokens"):
            graph.context(budget_tokens=budget)  # type: ignore[arg-type]  # refused
    with pytest.raises(FieldInvalid, match="format is 'html'"):
        graph.context(format="html")
    with pytest.raises(IntentMissing):
        graph.context(focus=["nope"])
    assert graph.context(budget_tokens=1000).left_out == 0


def test_a_window_of_an_empty_graph_is_empty(graph: IntentGraph) -> None:
    assert graph.context(query="anything").text == ""
    assert json.loads(graph.context(format="json").text) == {"intents": [], "left_out": 0}


# --- what is chosen ---


def test_what_is_in_focus_comes_first_and_then_what_is_near(graph: IntentGraph) -> None:
    family(graph)
    for n in range(50):
        graph.store(Intent(id=f"late-{n}", goal="Something else"))
    found = graph.context(focus=["test"], budget_tokens=4000)
    order = [each.id for each in found.included]
    assert order[0] == "test"
    assert {"ship", "unit", "e2e", "build"} <= set(order)
    because = {each.id: each.because[0] for each in found.included}
    assert because["test"] == "in focus"
    assert because["ship"] == "test is a part of it"
    assert because["unit"] == "is a part of test"
    assert because["build"] == "test depends on it"
    assert because["docs"] == "is a part of ship"
    assert found.included[0].level == "full"


def test_what_fits_the_query_is_in_the_window(graph: IntentGraph) -> None:
    family(graph)
    for n in range(200):
        graph.store(Intent(id=f"late-{n}", goal="Something else"))
    found = graph.context(query="who waters the plants?", budget_tokens=600)
    assert "other" in {each.id for each in found.included}
    assert any("matches the query" in reason for each in found.included for reason in each.because)
    close = graph.context(query="feed the kitten", budget_tokens=600, semantic=Model("topical", "1", topical))
    assert close.included


def test_work_in_hand_and_urgent_goals_are_told_when_nothing_is_asked(graph: IntentGraph) -> None:
    family(graph)
    graph.start("docs")
    graph.store(Intent(id="fire", goal="Put out the fire", priority=100))
    for n in range(100):
        graph.store(Intent(id=f"late-{n}", goal="Something else"))
    found = graph.context(budget_tokens=700)
    reasons = {each.id: each.because for each in found.included}
    assert "is being worked on" in reasons["docs"]
    assert "has priority 100" in reasons["fire"]
    assert found.left_out > 0


def test_a_hub_does_not_crowd_out_the_rest() -> None:
    graph = open_graph("memory:")
    graph.store(Intent(id="hub", goal="Hub"))
    with graph.transaction() as tx:
        for n in range(3000):
            tx.store(Intent(id=f"c{n}", goal=f"Child {n}"))
            tx.link(f"c{n}", "is_subgoal_of", "hub")
    graph.store(Intent(id="b", goal="Blocker"))
    graph.link("b", "blocks", "hub")
    found = near(graph.storage, ["hub"])
    assert len(found) <= 400
    assert found["b"].worth > 10 * 0.05
    assert found["b"].worth > found["c1"].worth > 0


def test_nearness_is_by_the_best_way(graph: IntentGraph) -> None:
    family(graph)
    graph.link("ship", "discovered_from", "unit")
    found = near(graph.storage, ["ship"])
    assert found["unit"].because == "ship discovered from it"
    assert near(graph.storage, ["unit"])["ship"].because == "discovered from unit"
    assert found["ship"].worth == 1
    assert found["test"].worth > found["e2e"].worth > found["build"].worth * 0.5
    assert "other" not in found


# --- how it is told ---


def test_a_text_tells_the_levels_apart(graph: IntentGraph) -> None:
    family(graph)
    rich = graph.intent("test").replace(
        success_criteria="all green", constraints={"max-cost": 5}, labels={"ci"}, priority=7
    )
    graph.update(rich)
    found = graph.context(focus=["test"], budget_tokens=600)
    levels = {each.id: each.level for each in found.included}
    assert levels["test"] == "full"
    assert set(levels.values()) == {"full", "brief", "line"}
    text = found.text
    assert text.index("## In full") < text.index("## In brief") < text.index("## Also")
    for piece in ("### Pass the suite", "priority 7", "#ci", "Depends on: `build`.", "Success criteria: all green"):
        assert piece in text
    assert 'Constraints: {"max-cost":5}' in text
    assert "Below it 2 goals: 2 active. They wait for" not in text
    told = json.loads(graph.context(focus=["test"], budget_tokens=900, format="json").text)
    assert told["intents"][0]["constraints"] == {"max-cost": 5}
    assert told["intents"][0]["because"][0] == "in focus"
    assert ["test", "depends_on", "build"] in told["intents"][0]["edges"]
    assert {each["level"] for each in told["intents"]} == {"full", "brief", "line"}


def test_rtfs_reads_back_what_was_told(graph: IntentGraph) -> None:
    family(graph)
    odd = Code("(fn [x]\n  (edge x))")
    graph.update(graph.intent("test").replace(success_criteria=odd, constraints={"max-cost": 5}, labels={"ci"}))
    found = graph.context(focus=["test"], budget_tokens=1200, format="rtfs")
    told = parse(found.text)
    assert told.others == 0
    assert [each.id for each in told.intents] == [each.id for each in found.included]
    assert told.intents[0] == graph.intent("test")
    assert Edge(source="test", type=EdgeType.DEPENDS_ON, target="build") in told.edges
    assert len(set(told.edges)) == len(told.edges)  # though both ends tell of it
    assert "; here because it in focus" in found.text
    assert {each.level for each in found.included} >= {"full", "brief"}
    scarce = graph.context(focus=["test"], budget_tokens=100, format="rtfs")
    assert scarce.left_out
    assert f"; {scarce.left_out} more goals found no room here" in scarce.text


def test_long_texts_are_cut_at_a_word() -> None:
    assert cut("a bb ccc dddd", 100) == "a bb ccc dddd"
    assert cut("a bb ccc dddd", 10) == "a bb ccc…"
    assert cut("x" * 50, 10) == "x" * 9 + "…"


# --- what stands below ---


def test_a_summary_counts_names_blockers_and_outcomes(graph: IntentGraph) -> None:
    family(graph)
    assert graph.summary("unit") == ""
    assert graph.summary("ship") == "Below it 4 goals: 4 active. They wait for Build the wheel (`build`)."
    graph.complete("build")
    graph.complete("unit")
    graph.fail("e2e")
    assert graph.summary("ship") == (
        "Below it 4 goals: 2 active, 1 completed, 1 failed. Failed: Pass the end-to-end tests (`e2e`)."
        " Lately completed: Pass the unit tests (`unit`)."
    )
    assert graph.summary("ship") in graph.context(focus=["ship"]).text


def test_a_summary_of_very_many_says_that_there_are_more() -> None:
    graph = open_graph("memory:")
    graph.store(Intent(id="hub", goal="Hub"))
    with graph.transaction() as tx:
        for n in range(700):
            tx.store(Intent(id=f"c{n:03}", goal=f"Child {n}", status="failed" if n < 6 else "active"))  # type: ignore[arg-type]  # made a status
            tx.link(f"c{n:03}", "is_subgoal_of", "hub")
    assert graph.summary("hub").startswith("Below it at least 500 goals: ")
    assert "and 2 more" in graph.summary("hub")


def test_a_summarizers_words_are_asked_for_once_for_each_content(graph: IntentGraph) -> None:
    family(graph)
    asked: list[str] = []

    def summarize(subtree: Subtree) -> str:
        asked.append(subtree.root.id)
        return f"{subtree.root.goal}, in {len(subtree.below)} parts"

    for _ in range(2):
        found = graph.context(focus=["ship"], summarize=summarize)
        assert "Ship 1.0, in 4 parts" in found.text
        assert graph.summary("test", summarize=summarize) == "Pass the suite, in 2 parts"
    assert sorted(asked) == ["ship", "test"]
    graph.note("unit", "no matter")
    graph.summary("ship", summarize=summarize)
    assert len(asked) == 2
    graph.start("unit")
    graph.summary("ship", summarize=summarize)
    assert asked[2:] == ["ship"]
    with pytest.raises(FieldInvalid, match="summarize gave int"):
        graph.summary("ship", summarize=lambda _: 5)  # type: ignore[arg-type, return-value]  # refused


def test_a_summary_is_made_where_nothing_can_be_kept(tmp_path: Path) -> None:
    with open_graph(f"sqlite:{tmp_path}/goals.db") as graph:
        family(graph)
    with open_graph(f"sqlite:{tmp_path}/goals.db", read_only=True) as graph:
        assert graph.summary("ship", summarize=lambda each: each.root.id) == "ship"


def test_a_window_of_the_past_is_what_it_was(graph: IntentGraph) -> None:
    family(graph)
    before = graph.context(focus=["test"], budget_tokens=900)
    revision = graph.revision
    graph.complete("unit")
    graph.store(Intent(id="new", goal="Pass the suite again"))
    assert graph.at(revision).context(focus=["test"], budget_tokens=900) == before
    assert graph.context(focus=["test"], budget_tokens=900) != before


@settings(max_examples=50)
@given(st.text(max_size=300), st.integers(1, 200))
def test_any_text_can_be_asked_about(text: str, budget: int) -> None:
    with open_graph("memory:") as graph:
        graph.store(Intent(id="a", goal="A b c"))
        assert graph.context(query=text.encode("utf-8", "replace").decode(), budget_tokens=budget).tokens <= budget
