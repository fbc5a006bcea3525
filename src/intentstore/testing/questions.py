"""Claims on questions: each filter field, each sort, pages, counts and search."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ..ground.change import Drop, Put
from ..ground.errors import QueryInvalid
from ..ground.protocol import IntentStorage, SearchesText
from ..ground.query import ConnectedTo, Direction, HasEdge, IntentFilter, Page, Sort, words
from ..ground.types import Claim, IntentStatus
from ..ground.values import Keyword
from .base import Claims, needs
from .samples import HOSTILE, NOON, a_batch, an_intent, ids, link, pages, plain, put

HOUR = timedelta(hours=1)


def population(storage: IntentStorage) -> None:
    """Stores five intents that differ in everything a filter can ask, and four edges between them."""
    put(
        storage,
        an_intent(
            "a", "Fix the flaky TESTS", name="Straße", status="active", priority=1, labels=["ci", "test"],
            session_id="s1", triggered_by="human", metadata={"n": 1, "on": True, "in": {"k": [1, 2]}},
            created_at=NOON, updated_at=NOON + 4 * HOUR,
        ),
        an_intent(
            "b", "Write the snake_case docs", name="STRASSE two", status="completed", priority=5, labels=["docs"],
            session_id="s2", triggered_by="a", metadata={"n": 1.0, "on": 1, "nothing": None},
            created_at=NOON + HOUR, updated_at=NOON + HOUR, claim=Claim(owner="agent-7", token=1, until=NOON),
        ),
        an_intent(
            "c", "100% of tests pass", status="active", priority=5, labels=["ci"],
            metadata={"n": "1", "k": Keyword("x")}, created_at=NOON + 2 * HOUR, updated_at=NOON + 2 * HOUR,
            claim=Claim(owner="agent-8", token=1, until=NOON),
        ),
        an_intent(
            "d", "İstanbul café", status="failed", priority=-3, original_request="about flaky things",
            session_id="S1", metadata={"k": "x"}, created_at=NOON + 3 * HOUR, updated_at=NOON + 3 * HOUR,
        ),
        an_intent(
            "e", "A_b", status="archived", success_criteria="no flaky run", metadata={"in": {"k": [1, 2.0]}},
            created_at=NOON + 4 * HOUR, updated_at=NOON,
        ),
    )  # fmt: skip
    link(storage, ("a", "depends_on", "b"), ("c", "is_subgoal_of", "a"), ("d", "related_to", "c"), ("a", "blocks", "c"))


def _case(expected: str, **fields: Any) -> Any:
    where = IntentFilter(**fields)
    name = " ".join(f"{field}={value!r}" for field, value in fields.items())
    return pytest.param(where, expected, id=name.encode("ascii", "replace").decode()[:100])


FILTERS = [
    _case("abcde"),
    _case("ac", ids={"a", "c", "nope"}),
    _case("", ids=set()),
    _case("ac", status="active"),
    _case("bde", status={"completed", IntentStatus.FAILED, "archived"}),
    _case("", status=set()),
    _case("ab", name_contains="strasse"),
    _case("ab", name_contains="STRAßE"),
    _case("b", name_contains="two"),
    _case("abcde", goal_contains=""),
    _case("ab", name_contains="s"),
    _case("ac", goal_contains="tests"),
    _case("c", goal_contains="%"),
    _case("be", goal_contains="_"),
    _case("e", goal_contains="a_B"),
    _case("d", goal_contains="CAFÉ"),
    _case("d", goal_contains="İSTAN"),
    _case("", goal_contains="cafe\u0301"),
    _case("", goal_contains="tests the"),
    _case("ade", text="flaky"),
    _case("a", text="Flaky tests"),
    _case("a", text="tests FLAKY fix"),
    _case("", text="flak"),
    _case("b", text="snake_case"),
    _case("", text="snake"),
    _case("ab", text="strasse"),
    _case("ac", text="ci"),
    _case("c", text="100%"),
    _case("d", text="café"),
    _case("abcde", text="!?"),
    _case("a", labels_all={"ci", "test"}),
    _case("ac", labels_all={"ci"}),
    _case("abc", labels_any={"docs", "ci", "nope"}),
    _case("", labels_any={"CI"}),
    _case("bc", priority_min=5),
    _case("de", priority_max=0),
    _case("a", priority_min=1, priority_max=4),
    _case("cde", created_after=NOON + 2 * HOUR),
    _case("ab", created_before=NOON + 2 * HOUR),
    _case("ad", updated_after=NOON + 3 * HOUR),
    _case("e", updated_before=NOON + HOUR),
    _case("ce", created_after=NOON + HOUR + timedelta(microseconds=1), updated_before=NOON + 3 * HOUR),
    _case("a", session_id="s1"),
    _case("a", triggered_by="human"),
    _case("a", metadata={"n": 1}),
    _case("b", metadata={"n": 1.0}),
    _case("c", metadata={"n": "1"}),
    _case("a", metadata={"on": True}),
    _case("b", metadata={"on": 1}),
    _case("b", metadata={"nothing": None}),
    _case("", metadata={"absent": None}),
    _case("c", metadata={"k": Keyword("x")}),
    _case("d", metadata={"k": "x"}),
    _case("a", metadata={"in": {"k": [1, 2]}}),
    _case("a", metadata={"n": 1, "on": True}),
    _case("abcd", has_edge=HasEdge()),
    _case("ac", has_edge=HasEdge(types=frozenset({"blocks"}))),
    _case("a", has_edge=HasEdge(types=frozenset({"blocks"}), direction=Direction.OUT)),
    _case("bc", has_edge=HasEdge(types=frozenset({"blocks", "depends_on"}), direction=Direction.IN)),
    _case("cd", has_edge=HasEdge(types=frozenset({"related_to"}), direction=Direction.OUT)),
    _case("cd", has_edge=HasEdge(types=frozenset({"related_to"}), direction=Direction.IN)),
    _case("", has_edge=HasEdge(types=frozenset({"unknown"}))),
    _case("b", claimed_by="agent-7"),
    _case("", claimed_by="agent"),
    _case("bd", any_of=(IntentFilter(priority_max=-1), IntentFilter(claimed_by="agent-7"))),
    _case("a", status="active", any_of=(IntentFilter(text="flaky"), IntentFilter(labels_any={"docs"}))),  # type: ignore[arg-type]  # frozen by IntentFilter
    _case("bde", not_=IntentFilter(status="active")),  # type: ignore[arg-type]  # frozen by IntentFilter
    _case("abde", not_=IntentFilter(goal_contains="100")),
    _case("bcde", not_=IntentFilter(metadata=plain(n=1))),
    _case("acde", not_=IntentFilter(session_id="s2")),
    _case("e", not_=IntentFilter(has_edge=HasEdge())),
    _case("", not_=IntentFilter()),
    _case("ad", not_=IntentFilter(any_of=(IntentFilter(ids=frozenset("bc")), IntentFilter(ids=frozenset("e"))))),
    _case("ac", not_=IntentFilter(not_=IntentFilter(status="active"))),  # type: ignore[arg-type]  # frozen by IntentFilter
]  # fmt: skip

SORTS = {
    "created_at": "abcde",
    "-created_at": "edcba",
    "updated_at": "ebcda",
    "-updated_at": "adcbe",
    "priority": "deabc",
    "-priority": "bcaed",
    "goal": "ceabd",
    "-goal": "dbaec",
    "id": "abcde",
    "-id": "edcba",
    "connections": "ebdac",
    "-connections": "acbde",
}


class QuestionClaims(Claims):
    """The same question means the same on every storage."""

    # --- filters ---

    @pytest.mark.parametrize(("where", "expected"), FILTERS)
    def test_a_filter_means_what_it_says(self, storage: IntentStorage, where: IntentFilter, expected: str) -> None:
        population(storage)
        assert "".join(ids(storage, where, "id")) == expected
        counted: dict[str, int] = {}
        for intent in storage.select(where, Page(limit=100)).intents:
            counted[intent.status] = counted.get(intent.status, 0) + 1
        assert storage.count(where) == counted

    def test_counts_are_by_status_without_zeros(self, storage: IntentStorage) -> None:
        assert storage.count(IntentFilter()) == {}
        population(storage)
        found = storage.count(IntentFilter())
        assert found == {"active": 2, "completed": 1, "failed": 1, "archived": 1}
        assert all(type(status) is IntentStatus for status in found)

    def test_answers_follow_changes(self, storage: IntentStorage) -> None:
        population(storage)
        where = IntentFilter(text="flaky", labels_any=frozenset({"ci"}))
        assert ids(storage, where) == ["a"]
        put(storage, an_intent("a", "Fix the steady tests", labels=["ci"]))
        put(storage, an_intent("f", "flaky again", labels=["ci"]))
        assert ids(storage, where) == ["f"]
        storage.apply(a_batch(Drop(id="f")))
        assert ids(storage, where) == []
        assert ids(storage, IntentFilter(ids=frozenset("f"))) == []

    def test_a_question_only_the_graph_can_answer_is_refused(self, storage: IntentStorage) -> None:
        population(storage)
        near = IntentFilter(connected_to=ConnectedTo(id="a"))
        for where in (near, IntentFilter(any_of=(near,)), IntentFilter(not_=near)):
            with pytest.raises(QueryInvalid):
                storage.select(where, Page())
            with pytest.raises(QueryInvalid):
                storage.count(where)

    def test_filters_with_many_parts_are_answered(self, storage: IntentStorage) -> None:
        put(storage, *(f"i{n:04}" for n in range(1500)))
        many = frozenset(f"i{n:04}" for n in range(0, 1500, 2))
        assert len(ids(storage, IntentFilter(ids=many))) == 750
        assert len(ids(storage, IntentFilter(not_=IntentFilter(ids=many)))) == 750
        each = tuple(IntentFilter(ids=frozenset({f"i{n:04}"})) for n in range(40))
        assert len(ids(storage, IntentFilter(any_of=each))) == 40

    # --- sorts and pages ---

    @pytest.mark.parametrize(("sort", "expected"), SORTS.items())
    def test_a_sort_is_total_and_pages_follow_it(self, storage: IntentStorage, sort: str, expected: str) -> None:
        population(storage)
        assert "".join(ids(storage, sort=sort)) == expected
        for limit in (1, 2, 3, 5, 6):
            found = list(pages(storage, IntentFilter(), sort, limit))
            assert "".join(intent.id for page in found for intent in page) == expected
            assert all(len(page) == limit for page in found[:-1])
            assert 0 < len(found[-1]) <= limit
        some = IntentFilter(status=frozenset({IntentStatus.ACTIVE, IntentStatus.FAILED, IntentStatus.ARCHIVED}))
        found = list(pages(storage, some, sort, 2))
        assert "".join(intent.id for page in found for intent in page) == expected.replace("b", "")

    def test_equal_keys_are_ordered_by_id_upward(self, storage: IntentStorage) -> None:
        names = ["b", "a", "Z", "é", "ﬀ", "😀", "a b", "a0"]
        put(storage, *(an_intent(name, "Same") for name in names))
        for sort in ("priority", "-priority", "goal", "-goal", "-created_at", "connections", "-connections"):
            assert ids(storage, sort=sort) == sorted(names)
            assert [intent.id for page in pages(storage, IntentFilter(), sort, 3) for intent in page] == sorted(names)
        assert ids(storage, sort="-id") == sorted(names, reverse=True)

    def test_goals_are_ordered_by_code_point(self, storage: IntentStorage) -> None:
        goals = ["a", "B", "b", "ä", "ﬀ", "😀", "A", "~", "中", "a\u0301"]
        put(storage, *(an_intent(f"i{at}", goal) for at, goal in enumerate(goals)))
        for sort, reverse in (("goal", False), ("-goal", True)):
            found = [intent.goal for page in pages(storage, IntentFilter(), sort, 2) for intent in page]
            assert found == sorted(goals, reverse=reverse)

    def test_a_last_full_page_has_no_next(self, storage: IntentStorage) -> None:
        population(storage)
        assert storage.select(IntentFilter(), Page(limit=5)).next is None
        assert storage.select(IntentFilter(), Page(limit=4)).next is not None
        assert storage.select(IntentFilter(ids=frozenset()), Page()).intents == ()

    @pytest.mark.parametrize("sort", ["created_at", "-created_at", "priority", "-id", "goal"])
    def test_pages_neither_skip_nor_repeat_while_others_write(self, storage: IntentStorage, sort: str) -> None:
        names = [f"i{n:02}" for n in range(0, 60, 2)]
        put(
            storage,
            *(an_intent(name, priority=int(name[1:]) % 7, created_at=NOON + int(name[1:]) * HOUR) for name in names),
        )
        seen: list[str] = []
        for at, page in enumerate(pages(storage, IntentFilter(), sort, 4)):
            seen += [intent.id for intent in page]
            fresh = [f"i{n:02}" for n in (at * 6 + 1, 59 - at * 2)]
            put(storage, *(an_intent(name, created_at=NOON + int(name[1:]) * HOUR) for name in fresh))
            if page and at < 5:  # what the cursor stands behind may change or go
                storage.apply(a_batch(Drop(id=page[-1].id), Put(intent=page[0].replace(name="seen"))))
        assert len(seen) == len(set(seen))
        assert set(names) <= set(seen)

    def test_a_cursor_of_another_sort_is_refused(self, storage: IntentStorage) -> None:
        population(storage)
        cursor = storage.select(IntentFilter(), Page(sort=Sort("priority"), limit=2)).next
        for sort in ("-priority", "goal", "created_at"):
            with pytest.raises(QueryInvalid):
                storage.select(IntentFilter(), Page(sort=Sort.parse(sort), after=cursor))
        for junk in ("", "junk", "!", "é", "WzFd", "W10", str(cursor)[:-3]):
            with pytest.raises(QueryInvalid):
                storage.select(IntentFilter(), Page(sort=Sort("priority"), after=junk))
            with pytest.raises(QueryInvalid):
                storage.select(IntentFilter(text="flaky"), Page(sort=Sort("priority"), after=junk))

    # --- words ---

    def test_relevance_is_ordered_and_paged(self, storage: IntentStorage) -> None:
        _library(storage)
        where = IntentFilter(text="needle")
        best = ids(storage, where, "-relevance")
        assert best[0] == "three"
        assert best == list(reversed(ids(storage, where, "relevance")))
        for limit in (1, 2):
            found = [intent.id for page in pages(storage, where, "-relevance", limit) for intent in page]
            assert found == best

    def test_relevance_without_a_text_is_refused(self, storage: IntentStorage) -> None:
        population(storage)
        for sort in ("relevance", "-relevance"):
            with pytest.raises(QueryInvalid):
                storage.select(IntentFilter(), Page(sort=Sort.parse(sort)))

    @needs("searches_text")
    def test_search_finds_every_word_best_first(self, storage: IntentStorage) -> None:
        _library(storage)
        assert _found(storage, "NEEDLE") == ids(storage, IntentFilter(text="needle"), "-relevance")
        assert _found(storage, "needle hay") == ["two"]
        assert _found(storage, "hay needle hay") == ["two"]
        assert _found(storage, "needl") == _found(storage, "") == _found(storage, "?!") == []
        assert len(_found(storage, "needle", 2)) == 2

    @needs("searches_text")
    def test_a_hit_has_a_score_and_a_piece_of_the_text(self, storage: IntentStorage) -> None:
        _library(storage)
        assert isinstance(storage, SearchesText)
        hits = storage.search("needle", 10)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all("needle" in hit.snippet.casefold() for hit in hits)

    @needs("searches_text")
    def test_search_follows_changes(self, storage: IntentStorage) -> None:
        _library(storage)
        put(storage, an_intent("three", "no more of it"), an_intent("new", "one NEEDLE"))
        storage.apply(a_batch(Drop(id="two")))
        assert sorted(_found(storage, "needle")) == ["long", "new", "one"]

    @needs("searches_text")
    def test_hostile_searches_are_words(self, storage: IntentStorage) -> None:
        put(storage, *(an_intent(f"h{at:02}", text) for at, text in enumerate(HOSTILE)))
        for text in (*HOSTILE, '"', "'", "a OR b", "a AND NOT b", "goal:a", "a*", "^a", "(", "a NEAR b", "-a", "a\nb"):
            expected = ids(storage, IntentFilter(text=text)) if words(text) else []
            assert sorted(_found(storage, text)) == sorted(expected), text
        assert _found(storage, "STRASSE") == []
        assert _found(storage, "SS") == _found(storage, "ß") == ["h12", "h13"]


def _library(storage: IntentStorage) -> None:
    put(
        storage,
        an_intent("one", "a needle among other words here"),
        an_intent("two", "needle in the hay today"),
        an_intent("three", "needle needle needle"),
        an_intent("long", "needle " + "and much other text that is about something else " * 5),
        *(an_intent(f"n{n}", "nothing of the kind") for n in range(5)),
    )


def _found(storage: IntentStorage, text: str, limit: int = 50) -> list[str]:
    assert isinstance(storage, SearchesText)
    return [hit.intent.id for hit in storage.search(text, limit)]
