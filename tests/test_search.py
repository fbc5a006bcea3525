"""Claims about search as the graph offers it: what hits show, and search by meaning with vectors kept aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from intentstore import FieldInvalid, Intent, IntentGraph, Model, Unsupported, open_graph
from intentstore.graph import model as models
from intentstore.graph.meaning import MOST_PASSAGES, Meanings, passages
from intentstore.graph.model import arrays, offline
from intentstore.graph.search import about
from intentstore.graph.snippets import shown
from intentstore.ground.query import Hit, words
from intentstore.ground.search import MAX_TERMS, Query, Term, parse, texts
from intentstore.testing.searching import SHELF
from tests.histories import Clock, live

URLS = ["memory:", "file:{}/goals", "sqlite:{}/goals.db"]


@pytest.fixture(params=URLS, ids=["memory", "file", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param.format(tmp_path))


@pytest.fixture
def graph(url: str) -> Iterator[IntentGraph]:
    with open_graph(url, clock=Clock()) as opened:
        with opened.transaction() as tx:
            for intent in SHELF:
                tx.store(intent)
        yield opened


# --- what a hit shows ---


@pytest.mark.parametrize("text", ['"unit tests"', "te* flak*", "criteria:flaky", "label:ci", "strasse", "unit -flaky"])
def test_a_hit_shows_its_matches(graph: IntentGraph, text: str) -> None:
    hits = graph.search(text)
    assert hits
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        marked = [words(hit.snippet[begin:end]) for begin, end in hit.marks]
        assert marked
        assert all(any(_is(row, term) for term in parse(text).terms) for row in marked)
        assert any(hit.snippet.strip("…") in " ".join(whole.split()) for whole in texts(hit.intent).values())


def _is(row: list[str], term: Term) -> bool:
    return row[:-1] == list(term.words[:-1]) and (
        row[-1].startswith(term.words[-1]) if term.begins else row[-1] == term.words[-1]
    )


def test_a_snippet_stands_around_the_first_match() -> None:
    def hit(goal: str, asked: str) -> tuple[str, list[str]]:
        found = shown(Hit(intent=Intent(goal=goal), score=1.0), parse(asked))
        return found.snippet, [found.snippet[begin:end] for begin, end in found.marks]

    piece, marked = hit("start " + "filler " * 100 + "Needle " + "filler " * 100, "needle")
    assert marked == ["Needle"]
    assert piece.startswith("…")
    assert piece.endswith("…")
    assert len(piece) <= 162
    assert hit("short text", "absent") == ("short text", [])
    assert hit("x" * 500, "absent")[0].startswith("x")
    assert hit("y " * 300 + "needle", "needle")[1] == ["needle"]
    assert hit("needle " + "a b c " * 60 + "needle and thread", "thread needle")[1] == ["needle", "thread"]
    assert hit("İstanbul, Straße", "stanbul strasse")[1] == ["İstanbul", "Straße"]
    assert hit("one unit tests two tests", '"unit tests" test*')[1] == ["unit tests", "tests"]


def test_a_snippet_shows_the_field_in_which_most_is_found() -> None:
    intent = Intent(goal="Fix the unit", original_request="the unit tests fail")
    assert shown(Hit(intent=intent, score=1.0), parse("unit tests")).snippet == "the unit tests fail"
    assert shown(Hit(intent=intent, score=1.0), parse("goal:unit")).snippet == "Fix the unit"


def test_a_query_of_more_words_than_can_be_weighed_is_refused() -> None:
    with pytest.raises(FieldInvalid.__mro__[1], match="holds 65 words, more than 64"):
        parse(" ".join(f"w{n}" for n in range(65)))


def test_a_text_is_about_its_rarest_words_whatever_their_signs() -> None:
    graph = open_graph("memory:")
    with graph.transaction() as tx:
        for n in range(2600):
            tx.store(Intent(goal=f"the w{n} w{n // 2} w{n // 40} of"))
    asked = about(graph.storage, 'the "w7 w8" -w9 goal:w1300* absent of')
    assert asked == Query(tuple(Term((word,)) for word in ("w7", "w8", "w9", "w1300")), any=True)
    assert len(about(graph.storage, " ".join(f"w{n}" for n in range(99))).terms) <= MAX_TERMS


# --- by meaning ---

TOPICS = {"cat": 0, "kitten": 0, "dog": 1, "puppy": 1, "car": 2, "engine": 2}


def topical(texts: Sequence[str]) -> list[list[float]]:
    """A model for which kittens are cats: as many numbers as there are topics."""
    rows = [[0.01] * 3 for _ in texts]
    for row, text in zip(rows, texts, strict=True):
        for word in words(text):
            if word in TOPICS:
                row[TOPICS[word]] += 1
    return rows


PETS = (
    Intent(id="kitten", goal="Feed the kitten"),
    Intent(id="puppy", goal="Walk the puppy"),
    Intent(id="engine", goal="Repair the engine", original_request="It is loud.\n\nAnd there sits a cat inside of it."),
    Intent(id="none", goal="Read the news"),
)


class Counting:
    """The topical model, and how many texts it was given."""

    def __init__(self, version: str = "1") -> None:
        self.seen = 0
        self.model = Model("topical", version, self)

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.seen += len(texts)
        return topical(texts)


@pytest.fixture
def pets(url: str) -> Iterator[IntentGraph]:
    with open_graph(url, clock=Clock()) as opened:
        for intent in PETS:
            opened.store(intent)
        yield opened


def found(graph: IntentGraph, text: str, by: Model, limit: int = 3) -> list[str]:
    return [hit.intent.id for hit in graph.search(text, semantic=by, limit=limit)]


def test_what_is_close_in_meaning_is_found_without_a_word_in_common(pets: IntentGraph) -> None:
    by = Counting().model
    assert found(pets, "cat", by, limit=2) == ["engine", "kitten"]  # one holds the word, both mean it
    assert found(pets, "dog", by, limit=1) == ["puppy"]
    hits = pets.search("kitten", semantic=by)
    assert hits[0].intent.id == "kitten"
    assert 0 < hits[0].score <= 1
    assert hits[0].marks == ((9, 15),)


def test_phrases_fields_and_exclusions_are_demands_also_by_meaning(pets: IntentGraph) -> None:
    by = Counting().model
    assert "kitten" not in found(pets, "cat -feed", by)
    assert found(pets, 'cat "sits a cat"', by) == ["engine"]
    assert found(pets, "cat goal:kitten", by) == ["kitten"]
    assert found(pets, "-cat", by) == found(pets, "?", by) == []


def test_vectors_are_made_once_and_kept_aside(pets: IntentGraph, url: str, tmp_path: Path) -> None:
    counting = Counting()
    found(pets, "cat", counting.model)
    made = counting.seen
    assert made == sum(len(passages(intent)) for intent in PETS) + 1
    found(pets, "cat", counting.model)
    assert counting.seen == made + 1  # the search itself
    if url != "memory:":
        pets.close()
        with open_graph(url) as again:
            assert found(again, "cat", counting.model, 2) == ["engine", "kitten"]
            assert counting.seen == made + 2
            other = Counting("2")
            found(again, "cat", other.model)
            assert other.seen == made  # another version has vectors of its own


def test_vectors_follow_the_log(pets: IntentGraph) -> None:
    counting = Counting()
    found(pets, "cat", counting.model)
    before = counting.seen
    pets.start("puppy")
    pets.note("puppy", "cat")
    found(pets, "cat", counting.model)
    assert counting.seen == before + 1  # its words did not change
    pets.update(pets.intent("puppy").replace(goal="Sell the car"))
    pets.delete("kitten")
    pets.store(Intent(id="new", goal="Buy a kitten"))
    assert found(pets, "engine", counting.model, 2) == ["engine", "puppy"]
    assert found(pets, "cat", counting.model, 2) == ["engine", "new"]
    assert counting.seen == before + 1 + 2 + 2


def test_any_order_of_changes_leaves_the_vectors_that_a_fresh_look_makes(url: str) -> None:
    with open_graph(url, clock=Clock()) as graph:
        one = Meanings(graph.storage, Counting().model)
        for round in range(6):
            live(graph, 25, Random(round), mark=f"{round}-cat-")
            one.refresh()
        fresh = Meanings(open_copy(graph).storage, Counting().model)
        fresh.refresh()
        assert one.closest("cat", 500) == pytest.approx(fresh.closest("cat", 500))


def open_copy(graph: IntentGraph) -> IntentGraph:
    copy = open_graph("memory:")
    graph.copy(copy)
    return copy


def test_more_intents_than_the_first_table_holds_are_all_compared() -> None:
    with open_graph("memory:") as graph, graph.transaction() as tx:
        for n in range(1500):
            tx.store(Intent(id=f"i{n:04}", goal="Walk the dog" if n != 1300 else "Feed the cat"))
    graph = open_graph("memory:")
    with graph.transaction() as tx:
        for n in range(1500):
            tx.store(Intent(id=f"i{n:04}", goal="Walk the dog" if n != 1300 else "Feed the cat"))
    assert found(graph, "kitten", Counting().model, 1) == ["i1300"]


def test_a_store_that_may_only_be_read_is_searched_too(tmp_path: Path) -> None:
    with open_graph(f"sqlite:{tmp_path}/goals.db") as graph:
        for intent in PETS:
            graph.store(intent)
    with open_graph(f"sqlite:{tmp_path}/goals.db", read_only=True) as graph:
        assert found(graph, "dog", Counting().model, 1) == ["puppy"]


def test_the_past_is_searched_by_meaning_too(pets: IntentGraph) -> None:
    counting = Counting()
    pets.delete("kitten")
    assert found(pets.at(4), "kitten", counting.model, 1) == ["kitten"]
    assert "kitten" not in found(pets, "kitten", counting.model)


def test_an_empty_graph_has_nothing_close(url: str) -> None:
    with open_graph(url) as graph:
        assert found(graph, "cat", Counting().model) == []


@pytest.mark.parametrize(
    "gives", [[], [[1.0]], [[1.0], [2.0, 3.0]], [[float("nan")]] * 4, "text"], ids=["none", "few", "odd", "nan", "text"]
)
def test_a_model_that_gives_nonsense_is_named(gives: object) -> None:
    graph = open_graph("memory:")
    for intent in PETS:
        graph.store(intent)
    broken = Model("broken", "1", lambda texts: gives)  # type: ignore[arg-type, return-value]  # that is the point
    with pytest.raises(FieldInvalid, match="embed"):
        graph.search("cat", semantic=broken)


def test_a_model_that_changes_under_the_same_version_is_named(pets: IntentGraph) -> None:
    found(pets, "cat", Model("m", "1", topical))
    with open_graph("memory:") as other:
        pets.copy(other)
        meanings = Meanings(other.storage, Model("m", "1", topical))
        meanings.refresh()
        meanings._model = Model("m", "1", lambda texts: [[1.0, 2.0] for _ in texts])
        with pytest.raises(FieldInvalid, match="gives 2 numbers a text, and gave 3 before"):
            meanings.closest("cat", 3)


def test_a_models_name_must_be_one() -> None:
    with pytest.raises(FieldInvalid, match="name"):
        Model("", "1", topical)
    with pytest.raises(FieldInvalid, match="version is longer"):
        Model("m", "1" * 101, topical)


def test_passages_are_the_goal_and_what_is_a_thought_of_its_own() -> None:
    intent = Intent(
        goal="Ship it",
        name="ship",
        original_request="First we test all of it.\n- then we tag the release\n- and\n\nLast of all we rest a while.",
        success_criteria="the tag is there for all",
    )
    assert passages(intent) == [
        "Ship it",
        "ship",
        "First we test all of it.",
        "- then we tag the release",
        "Last of all we rest a while.",
        "the tag is there for all",
    ]
    long = Intent(goal="G", original_request="\n\n".join(["one two three four five"] * 99))
    assert len(passages(long)) == MOST_PASSAGES


def test_without_the_extra_search_by_meaning_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "find_spec", lambda _: None)
    with pytest.raises(Unsupported) as refused:
        offline.__wrapped__()
    assert "intentstore[semantic]" in refused.value.hint
    monkeypatch.setitem(__import__("sys").modules, "numpy", None)
    with pytest.raises(Unsupported, match="numpy"):
        arrays()


def test_the_model_of_the_extra_knows_what_belongs_together() -> None:
    graph = open_graph("memory:")
    for at, goal in enumerate(("Fix the login of the web page", "Cook a soup for dinner", "Write unit tests")):
        graph.store(Intent(id=f"g{at}", goal=goal))
    assert [hit.intent.id for hit in graph.search("prepare a meal", semantic=True, limit=1)] == ["g1"]
    assert [hit.intent.id for hit in graph.search("authentication of a website", semantic=True, limit=1)] == ["g0"]
    assert offline().embed(["", "soup"])[0].sum() == 0  # type: ignore[attr-defined]  # an array
