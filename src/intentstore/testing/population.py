"""Five intents that differ in all a filter can ask, every question about them, and what each must answer."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from ..ground.protocol import IntentStorage
from ..ground.query import Direction, HasEdge, IntentFilter
from ..ground.types import Claim, IntentStatus
from ..ground.values import Keyword
from .samples import NOON, an_intent, link, plain, put

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
    # The set's own repr follows the hash seed, and parallel test workers must agree on names.
    shown = {field: sorted(map(str, value)) if isinstance(value, set) else value for field, value in fields.items()}
    name = " ".join(f"{field}={value!r}" for field, value in shown.items())
    return pytest.param(
        where, expected, id=re.sub(r"frozenset\(\{[^)]*\}\)", "set", name).encode("ascii", "replace").decode()[:100]
    )


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

some_moment = st.integers(-1, 5).map(lambda hours: NOON + hours * HOUR)
some_text = st.sampled_from(["", "tests", "STRASSE", "flaky", "_", "%", "a_b", "ci", "é", "flaky tests", "100%", "!"])
some_edge = st.builds(
    HasEdge,
    types=st.frozensets(st.sampled_from(["depends_on", "blocks", "related_to", "unknown"]), max_size=2),
    direction=st.sampled_from(Direction),
)
some_metadata = st.sampled_from(
    [
        {"n": 1},
        {"n": 1.0},
        {"n": "1"},
        {"on": True},
        {"on": 1},
        {"nothing": None},
        {"k": Keyword("x")},
        {"k": "x", "n": 1},
    ]
)
some_question: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "ids": st.frozensets(st.sampled_from("abcdex")),
        "status": st.frozensets(st.sampled_from(IntentStatus)),
        "name_contains": some_text,
        "goal_contains": some_text,
        "text": some_text,
        "labels_all": st.frozensets(st.sampled_from(["ci", "test", "docs"]), max_size=2),
        "labels_any": st.frozensets(st.sampled_from(["ci", "test", "docs", "nope"]), max_size=2),
        "priority_min": st.integers(-4, 6),
        "priority_max": st.integers(-4, 6),
        "created_after": some_moment,
        "created_before": some_moment,
        "updated_after": some_moment,
        "updated_before": some_moment,
        "session_id": st.sampled_from(["s1", "S1", "s2", ""]),
        "triggered_by": st.sampled_from(["human", "a", ""]),
        "claimed_by": st.sampled_from(["agent-7", "agent-8", "agent"]),
        "metadata": some_metadata,
        "has_edge": some_edge,
    },
)
some_filter = st.recursive(
    some_question.map(lambda fields: IntentFilter(**fields)),
    lambda inner: st.builds(
        lambda fields, any_of, not_: IntentFilter(**fields, any_of=any_of, not_=not_),
        some_question,
        st.lists(inner, max_size=3).map(tuple),
        st.none() | inner,
    ),
    max_leaves=5,
)
