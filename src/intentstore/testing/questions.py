"""Claims on questions: each filter field, each sort, pages, counts and search."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from ..ground.change import Drop, Put
from ..ground.errors import QueryInvalid
from ..ground.protocol import IntentStorage
from ..ground.query import ConnectedTo, IntentFilter, Page, Sort
from ..ground.types import IntentStatus
from ..storage.match import matches
from .base import Claims
from .population import FILTERS, HOUR, SORTS, population, some_filter
from .samples import NOON, a_batch, an_intent, ids, pages, put


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

    def test_any_filter_means_what_the_one_evaluator_says(self, storage: IntentStorage) -> None:
        population(storage)
        everyone = storage.select(IntentFilter(), Page(sort=Sort("id"))).intents

        @settings(max_examples=25, deadline=None, database=None)
        @given(some_filter)
        def agree(where: IntentFilter) -> None:
            meant = [intent for intent in everyone if matches(intent, where, storage)]
            assert ids(storage, where, "id") == [intent.id for intent in meant]
            assert sum(storage.count(where).values()) == len(meant)

        agree()

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
        library(storage)
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


def library(storage: IntentStorage) -> None:
    """Stores intents that hold one word never, once or often, in short and long texts."""
    put(
        storage,
        an_intent("one", "a needle among other words here"),
        an_intent("two", "needle in the hay today"),
        an_intent("three", "needle needle needle"),
        an_intent("long", "needle " + "and much other text that is about something else " * 5),
        *(an_intent(f"n{n}", "nothing of the kind") for n in range(5)),
    )
