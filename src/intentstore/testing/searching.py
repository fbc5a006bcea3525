"""Claims on search: what each form of a query means, and in which order intents come."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..ground.change import Drop
from ..ground.errors import QueryInvalid
from ..ground.protocol import IntentStorage, SearchesText
from ..ground.query import Hit, IntentFilter, Page
from ..ground.search import Query, meets, parse
from ..storage.memory import MemoryStorage
from .base import Claims, needs
from .questions import library
from .samples import HOSTILE, a_batch, an_intent, ids, put

SHELF = (
    an_intent("a", "Fix the flaky unit tests", name="Straße", labels=["ci", "two words"]),
    an_intent("b", "Unit tests for the parser", original_request="They fail on Windows, sometimes."),
    an_intent("c", "Test the unit", success_criteria="no flaky run of the unit tests on windows"),
    an_intent("d", "Release notes", original_request="goal: notes; e-mail them", labels=["release", "ci"]),
    an_intent("e", "Retry a failed release", name="release", original_request="unit\ntests"),
)
MEANT: dict[str, str] = {
    "unit tests": "abce", '"unit tests"': "abce", '"tests unit"': "", "UNIT": "abce",
    "flak*": "ac", "test*": "abce", "re*": "de", "relea* ci": "d", "*": "", "s* w*": "ab",
    "-windows unit": "ae", 'unit -"unit tests"': "", "unit -flak*": "be", "tests -goal:tests": "ce",
    "goal:unit": "abc", "request:unit": "e", "original_request:windows": "b", "criteria:flaky": "c",
    "label:ci": "ad", 'label:"two words"': "a", 'label:"words ci"': "", "label:re*": "d", "name:STRASSE": "a",
    "goal:release": "de", "goal:release -name:release": "d", "GOAL:notes": "d", 'goal:"unit tests"': "ab",
    '"e mail"': "d", "e-mail": "d", "-e-mail ci": "a", "notes:": "d", "goal: notes": "d", "http://release": "",
    '"unclosed unit': "", "un-unit": "", '"unit te"*': "abce", "goal:te*": "abc",
    "": "", "?!": "", "-": "", "-unit": "", '""': "", "goal:": "d", "a": "e",
}  # fmt: skip
"""Queries, and the ids of the intents on the shelf that each finds."""


class SearchClaims(Claims):
    """One syntax, one meaning and one order on every storage."""

    @needs("searches_text")
    @pytest.mark.parametrize("text", MEANT)
    def test_a_search_means_what_its_syntax_says(self, storage: IntentStorage, text: str) -> None:
        put(storage, *SHELF)
        assert "".join(sorted(_ids(storage, text))) == MEANT[text]
        if parse(text).terms:
            assert "".join(ids(storage, IntentFilter(text=text), "id")) == MEANT[text]

    def test_a_filter_takes_the_same_syntax(self, storage: IntentStorage) -> None:
        put(storage, *SHELF)
        for text, expected in (("-windows", "ade"), ('-"unit tests"', "d"), ("-goal:re*", "abc"), ("?!", "abcde")):
            assert "".join(ids(storage, IntentFilter(text=text), "id")) == expected
            assert sorted(ids(storage, IntentFilter(text=text), "-relevance")) == list(expected)
        none = IntentFilter(not_=IntentFilter(text='goal:unit "unit tests"'))
        assert "".join(ids(storage, none, "id")) == "de"
        assert ids(storage, IntentFilter(text="goal:unit", labels_any=frozenset({"ci"}))) == ["a"]

    @needs("searches_text")
    def test_any_of_the_words_is_enough_where_that_is_asked(self, storage: IntentStorage) -> None:
        put(storage, *SHELF)
        for text, expected in (
            ("windows release", "bcde"),
            ('windows "release notes"', "bcd"),
            ("flak* notes -criteria:flaky", "ad"),
            ("goal:release label:ci", "ade"),
            ("nowhere", ""),
            ("-unit", ""),
        ):
            assert "".join(sorted(_ids(storage, text, any=True))) == expected, text

    def test_an_unknown_field_is_refused(self, storage: IntentStorage) -> None:
        put(storage, *SHELF)
        with pytest.raises(QueryInvalid, match="'title' is not a field to search in"):
            storage.select(IntentFilter(text="flaky title:unit"), Page())

    @needs("searches_text")
    def test_any_query_means_what_the_one_evaluator_says(self, storage: IntentStorage) -> None:
        put(storage, *SHELF)

        @settings(max_examples=60, deadline=None, database=None)
        @given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=4), st.booleans())
        def agree(pieces: list[str], any: bool) -> None:  # noqa: FBT001  drawn by position
            query = parse(" ".join(pieces), any=any)
            meant = [intent.id for intent in SHELF if query.terms and meets(intent, query)]
            assert sorted(_ids(storage, " ".join(pieces), any=any)) == meant

        agree()

    @needs("searches_text")
    def test_a_thousand_hostile_searches_are_words_or_one_clear_error(self, storage: IntentStorage) -> None:
        put(storage, *(an_intent(f"h{at:02}", text) for at, text in enumerate(HOSTILE)))
        assert _ids(storage, "STRASSE") == []
        assert _ids(storage, "SS") == _ids(storage, "ß") == ["h12", "h13"]
        everyone = [intent for intent in storage.fetch([f"h{at:02}" for at in range(len(HOSTILE))]) if intent]
        for text in hostile_searches():
            query = _parsed(text)
            if query is None:
                with pytest.raises(QueryInvalid):
                    storage.select(IntentFilter(text=text), Page())
                continue
            meant = [intent.id for intent in everyone if query.terms and meets(intent, query)]
            assert sorted(_ids(storage, text)) == meant, text

    @needs("searches_text")
    def test_how_common_a_word_is_is_counted_up_to_a_number(self, storage: IntentStorage) -> None:
        library(storage)
        assert isinstance(storage, SearchesText)
        assert storage.frequencies(["needle", "nothing", "hay", "absent"], 4) == {
            "needle": 4, "nothing": 4, "hay": 1, "absent": 0,
        }  # fmt: skip
        assert storage.frequencies(["needle"], 2) == {"needle": 2}
        assert storage.frequencies([], 2) == {}

    # --- order ---

    @needs("searches_text")
    def test_search_finds_every_word_best_first(self, storage: IntentStorage) -> None:
        library(storage)
        assert _ids(storage, "NEEDLE") == ids(storage, IntentFilter(text="needle"), "-relevance")
        assert _ids(storage, "needle hay") == _ids(storage, "hay needle hay") == ["two"]
        assert _ids(storage, "needl") == []
        assert len(_ids(storage, "needle", limit=2)) == 2

    @needs("searches_text")
    def test_all_storages_rank_alike(self, storage: IntentStorage) -> None:
        memory = MemoryStorage()
        memory.open()
        for each in (storage, memory):
            library(each)
            put(each, *SHELF)
        for text in (
            "needle",
            "unit tests",
            "te*",
            "needle other",
            'goal:unit "the unit"',
            "nothing -words",
            "and much",
        ):
            for any in (False, True):
                mine, theirs = (_hits(each, text, any=any) for each in (storage, memory))
                assert [hit.intent.id for hit in mine] == [hit.intent.id for hit in theirs], text
                for hit, other in zip(mine, theirs, strict=True):
                    assert hit.score == pytest.approx(other.score, abs=2e-9)

    @needs("searches_text")
    def test_search_follows_changes(self, storage: IntentStorage) -> None:
        library(storage)
        assert len(_ids(storage, "need*")) == 4
        put(storage, an_intent("three", "no more of it"), an_intent("new", "one NEEDLE"))
        storage.apply(a_batch(Drop(id="two")))
        assert sorted(_ids(storage, "needle")) == sorted(_ids(storage, "need*")) == ["long", "new", "one"]
        put(storage, an_intent("new", "one needlework"))
        assert sorted(_ids(storage, "need*")) == ["long", "new", "one"]
        assert sorted(_ids(storage, "needle")) == ["long", "one"]


_PIECES = (*MEANT, "unit", "tests", "-unit", "-te*", '-"the unit"', "label:two", "-label:ci", "windows")


def hostile_searches() -> list[str]:
    """Returns a thousand searches: syntax that other engines obey, and pieces of it put together at random."""
    fixed = (
        *HOSTILE, '"', "'", "a OR b", "a AND NOT b", "goal:a", "a*", "^a", "(", "a NEAR b", "-a", "a\nb", "goal:goal:a",
        "--a", '-"a', '"a"b"', "*a*", "a**", "label:", ":a", "a:", "-goal:a", "{a b}:c", "goal : a", "NEAR(a, 5)", "\0",
    )  # fmt: skip
    luck = random.Random(20260101)  # noqa: S311  the same every time
    pieces = [*"\"*-:() aßé\\'%_^{+", "goal:", "note:", "OR"]
    made = ["".join(luck.choices(pieces, k=luck.randrange(1, 12))) for _ in range(1000 - len(fixed))]
    return [*fixed, *made]


def _parsed(text: str) -> Query | None:
    try:
        return parse(text)
    except QueryInvalid:
        return None


def _hits(storage: IntentStorage, text: str, *, any: bool = False, limit: int = 50) -> list[Hit]:
    assert isinstance(storage, SearchesText)
    return storage.search(parse(text, any=any), limit)


def _ids(storage: IntentStorage, text: str, *, any: bool = False, limit: int = 50) -> list[str]:
    return [hit.intent.id for hit in _hits(storage, text, any=any, limit=limit)]
