"""Claims on the nouns: what may be stored, what is refused and where it says so, questions, cursors, errors."""

from __future__ import annotations

import base64
import copy
import pickle
import re
import threading
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intentstore.ground import errors
from intentstore.ground.change import MAX_CHANGES, Batch, Drop, Link, Note, Put, Unlink
from intentstore.ground.errors import (
    CommitMissing,
    Corrupt,
    CycleRefused,
    DefinitionMissing,
    EdgeMissing,
    FieldInvalid,
    IntentMissing,
    IntentStoreError,
    Invalid,
    QueryInvalid,
    RevisionMissing,
    RtfsSyntaxError,
    StaleRevision,
    StorageError,
    TransitionRefused,
)
from intentstore.ground.identity import utc_now, uuid7
from intentstore.ground.query import (
    SORT_FIELDS,
    ConnectedTo,
    HasEdge,
    IntentFilter,
    Page,
    Sort,
    Walk,
    microseconds,
    read_cursor,
    same_value,
    searchable,
    sort_key,
    words,
    write_cursor,
)
from intentstore.ground.types import Edge, EdgeType, Intent, IntentStatus, edge_key
from intentstore.ground.values import Code, ErrorValue, Keyword, Map, Resource, Symbol, freeze, is_plain
from intentstore.testing import FrozenClock
from intentstore.testing.samples import HOSTILE, NOON, VALUES, deep

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what is to be refused
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


class Colour(IntEnum):
    RED = 1


# --- values ---


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"a": [1, print]}, "constraints.a[1] holds a function, which is not data"),
        ({"a": {"b": lambda: 1}}, "constraints.a.b holds a function"),
        ({"a": object()}, "constraints.a holds a object"),
        ({"a": {1, 2}}, "constraints.a holds a set"),
        ({"a": b"bytes"}, "constraints.a holds a bytes"),
        ({"a": (0, float("nan"))}, "constraints.a[1] is nan"),
        ({"a": float("inf")}, "constraints.a is inf"),
        ({"a": 2**63}, "constraints.a is an integer beyond 64 bits"),
        ({"a": -(2**63) - 1}, "constraints.a is an integer beyond 64 bits"),
        ({"a": 10**5000}, "constraints.a is an integer beyond 64 bits"),
        ({"a": "x\0y"}, "constraints.a contains a NUL"),
        ({"a": ["\ud800"]}, "constraints.a[0] contains a lone surrogate"),
        ({"a\0": 1}, "a key of constraints contains a NUL"),
        ({1.5: 1}, "constraints has a key of type float"),
        ({True: 1}, "constraints has a key of type bool"),
        ({None: 1}, "constraints has a key of type NoneType"),
        ({2**64: 1}, "a key of constraints is an integer beyond 64 bits"),
        ({Keyword("a\0"): 1}, "a key of constraints contains a NUL"),
        ({"a": NAIVE}, "constraints.a has no time zone"),
        ({"a": datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)}, "constraints.a is finer than a millisecond"),
        ({"a": datetime.min.replace(tzinfo=timezone(timedelta(hours=3)))}, "constraints.a is outside the years"),
        ({"a": deep(64)}, "constraints is nested deeper than 64"),
        ({"a": CYCLE}, "constraints is nested deeper than 64, or contains itself"),
        ({"a": Code("")}, "constraints.a holds an empty Code"),
        ({"a": Keyword(7)}, "constraints.a holds an empty Keyword"),  # type: ignore[arg-type]  # wrong on purpose
        ({"a": ErrorValue("x", ("\0",))}, "constraints.a contains a NUL"),
        ([1], "constraints must be a mapping, not list"),
        ("text", "constraints must be a mapping, not str"),
        (None, "constraints must be a mapping, not NoneType"),
    ],
)  # fmt: skip
def test_what_is_not_data_is_refused_with_its_path(given: Any, says: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        Intent(goal="g", constraints=given)
    assert says in str(refused.value)
    assert refused.value.hint
    assert isinstance(refused.value, ValueError)


def test_a_value_may_be_nested_sixty_four_deep_and_no_deeper() -> None:
    deepest = freeze({"a": deep(63)}, "it")
    with pytest.raises(FieldInvalid):
        freeze({"a": deepest}, "it")
    with pytest.raises(FieldInvalid):
        freeze([deepest], "it")


def test_what_is_frozen_no_longer_follows_the_callers_lists() -> None:
    given: dict[str, Any] = {"a": [1, {"b": 2}]}
    intent = Intent(goal="g", constraints=given)  # type: ignore[arg-type]  # frozen by Intent
    given["a"][1]["b"] = 99
    given["c"] = 1
    assert intent.constraints == {"a": (1, {"b": 2})}
    assert type(intent.constraints["a"]) is tuple
    with pytest.raises(AttributeError):
        intent.constraints.plain = False
    with pytest.raises(AttributeError):
        intent.goal = "other"  # type: ignore[misc]  # refused, as it should be


def test_subclasses_of_builtins_are_stored_as_the_builtin() -> None:
    class Name(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "disguised"

    frozen = freeze({"a": Name("x"), "b": Colour.RED, Name("c"): 1.5}, "it")
    assert [type(value) for value in frozen.values()] == [str, int, float]
    assert (frozen["a"], [type(key) for key in frozen]) == ("x", [str, str, str])


def test_times_are_kept_in_utc() -> None:
    there = datetime(2026, 1, 2, 12, tzinfo=timezone(timedelta(hours=5)))
    frozen = freeze(there, "it")
    assert frozen == there
    assert frozen.tzinfo is UTC
    assert Intent(goal="g", created_at=there).created_at.tzinfo is UTC


def test_a_map_is_a_mapping_that_never_changes() -> None:
    some = Map({"a": [1], "k": {"x": 1}})
    assert dict(some) == {"a": (1,), "k": {"x": 1}}
    assert {some: 1}[Map({"k": {"x": 1}, "a": [1]})] == 1
    assert some.with_(a=2) == {"a": 2, "k": {"x": 1}}
    assert some["a"] == (1,)
    assert repr(Map({"a": 1})) == "Map({'a': 1})"
    assert copy.copy(some) is some
    assert copy.deepcopy(some) is some
    assert pickle.loads(pickle.dumps(some)) == some
    assert Map() == {}


def test_a_plain_map_needs_no_tags() -> None:
    assert Map({"a": [1, {"b": None}]}).plain
    for tagged in ({"$a": 1}, {1: 1}, {"a": Keyword("k")}, {"a": [{"b": Symbol("s")}]}, {Keyword("k"): 1}):
        assert not Map(tagged).plain
    assert is_plain((1, "a", None))
    assert not is_plain(Resource("resource://x"))


def test_values_that_python_calls_equal_are_told_apart() -> None:
    for at, value in enumerate(VALUES):
        for other_at, other in enumerate(VALUES):
            assert same_value(value, other) is (at == other_at), (value, other)
    assert same_value(UUID(int=1), UUID(int=1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab$é", max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_freezing_twice_changes_nothing(value: Any) -> None:
    once = freeze(value, "it")
    assert same_value(freeze(once, "it"), once)
    assert hash(once) == hash(freeze(value, "it"))


# --- intents and edges ---


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"goal": ""}, "goal"),
        ({"goal": " \n\t"}, "goal"),
        ({"goal": 7}, "goal"),
        ({"goal": None}, "goal"),
        ({"goal": "a\0b"}, "goal"),
        ({"goal": "\udfff"}, "goal"),
        ({"goal": "x" * 65537}, "goal"),
        ({"goal": "é" * 32769}, "goal"),
        ({"id": 7}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"id": "a\u202eb"}, "id"),
        ({"id": "x" * 257}, "id"),
        ({"id": "é" * 129}, "id"),
        ({"id": "\ud800"}, "id"),
        ({"status": "done"}, "status"),
        ({"status": 1}, "status"),
        ({"status": None}, "status"),
        ({"priority": True}, "priority"),
        ({"priority": 1.0}, "priority"),
        ({"priority": "1"}, "priority"),
        ({"priority": 2**63}, "priority"),
        ({"priority": -(2**63) - 1}, "priority"),
        ({"priority": 10**5000}, "priority"),
        ({"revision": -1}, "revision"),
        ({"name": 7}, "name"),
        ({"name": "\0"}, "name"),
        ({"original_request": ["x"]}, "original_request"),
        ({"rtfs_source": b"x"}, "rtfs_source"),
        ({"session_id": 1}, "session_id"),
        ({"triggered_by": 1}, "triggered_by"),
        ({"preferences": []}, "preferences"),
        ({"generation_context": 1}, "generation_context"),
        ({"metadata": "x"}, "metadata"),
        ({"success_criteria": print}, "success_criteria"),
        ({"success_criteria": "\0"}, "success_criteria"),
        ({"labels": "ci"}, "labels"),
        ({"labels": 7}, "labels"),
        ({"labels": ["ok", ""]}, "labels[1]"),
        ({"labels": ["a\nb"]}, "labels[0]"),
        ({"created_at": "2026-01-01"}, "created_at"),
        ({"updated_at": NAIVE}, "updated_at"),
    ],
)
def test_an_intent_names_the_field_that_is_wrong(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        Intent(**{"goal": "g", **fields})
    assert refused.value.field == field
    assert str(refused.value).startswith(field)
    assert refused.value.hint
    with pytest.raises(FieldInvalid):
        Intent(goal="g").replace(**fields)


def test_the_limits_of_an_intent_are_inclusive() -> None:
    whole = Intent(id="é" * 128, goal="x" * 65536, priority=2**63 - 1, labels=["b", "a", "b"])  # type: ignore[arg-type]  # sorted by Intent
    assert whole.labels == ("a", "b")
    assert Intent(goal="é" * 32768, priority=-(2**63)).priority == -(2**63)
    for text in HOSTILE:
        assert Intent(id=text, goal=text, labels=[text]).id == text  # type: ignore[arg-type]  # as above


def test_an_unknown_field_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(FieldInvalid, match="colour is not a field of an intent") as refused:
        Intent(goal="g").replace(colour="red")
    assert "goal" in refused.value.hint
    with pytest.raises(FieldInvalid, match="colour is not a field of an edge"):
        Edge(source="a", type=EdgeType.BLOCKS, target="b").replace(colour="red")
    with pytest.raises(TypeError):
        Intent(goal="g", colour="red")  # type: ignore[call-arg]  # refused, as it should be


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"target": "a"}, "target"),
        ({"source": ""}, "source"),
        ({"target": 7}, "target"),
        ({"type": "Blocks"}, "type"),
        ({"type": ""}, "type"),
        ({"type": "1st"}, "type"),
        ({"type": "é"}, "type"),
        ({"type": "a" * 65}, "type"),
        ({"type": "blocks\n"}, "type"),
        ({"type": 7}, "type"),
        ({"weight": True}, "weight"),
        ({"weight": "1"}, "weight"),
        ({"weight": float("nan")}, "weight"),
        ({"metadata": 7}, "metadata"),
        ({"metadata": {"a": print}}, "metadata.a"),
        ({"created_at": NAIVE}, "created_at"),
        ({"revision": -1}, "revision"),
    ],
)
def test_an_edge_names_the_field_that_is_wrong(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        Edge(**{"source": "a", "type": "blocks", "target": "b", **fields})
    assert refused.value.field == field


def test_a_symmetric_edge_is_kept_in_the_order_of_its_ends() -> None:
    for kind in (EdgeType.RELATED_TO, EdgeType.CONFLICTS_WITH):
        assert Edge(source="b", type=kind, target="a").key == ("a", kind, "b") == edge_key("b", kind, "a")
    one_way = Edge(source="b", type=EdgeType.BLOCKS, target="a", weight=1)
    assert one_way.key == ("b", "blocks", "a") == edge_key("b", "blocks", "a")
    assert (one_way.other("a"), one_way.other("b")) == ("b", "a")
    assert type(one_way.weight) is float


def test_edge_types_are_words_and_seven_have_names() -> None:
    assert EdgeType("blocks") is EdgeType.BLOCKS
    assert EdgeType(EdgeType.BLOCKS) is EdgeType.BLOCKS
    assert type(EdgeType("discovered_from")) is EdgeType
    assert pickle.loads(pickle.dumps(EdgeType("own"))) == "own"


def test_nouns_survive_pickling() -> None:
    intent = Intent(id="a", goal="g", metadata={"k": Keyword("x")}, labels=["ci"])  # type: ignore[arg-type]  # frozen by Intent
    edge = Edge(source="a", type=EdgeType.BLOCKS, target="b", created_at=NOON)
    assert pickle.loads(pickle.dumps((intent, edge))) == (intent, edge)


# --- changes ---


def test_a_batch_refuses_what_no_storage_keeps() -> None:
    note = Note(id="a", text="n")
    for fields, field in (
        ({"changes": (note,) * (MAX_CHANGES + 1)}, "changes"),
        ({"at": NAIVE}, "at"),
        ({"id": ""}, "commit_id"),
        ({"actor": "a\nb"}, "actor"),
        ({"reason": 7}, "reason"),
        ({"reason": "\0"}, "reason"),
        ({"reason": "x" * 65537}, "reason"),
        ({"revision": 0}, "revision"),
        ({"revision": True}, "revision"),
    ):
        with pytest.raises(FieldInvalid) as refused:
            Batch(**{"changes": (note,), "at": NOON, **fields})  # type: ignore[arg-type]  # wrong on purpose
        assert refused.value.field == field


@pytest.mark.parametrize("text", ["", "  ", None, 7, "\0", "é" * 32769])
def test_a_note_must_say_something(text: Any) -> None:
    with pytest.raises(FieldInvalid):
        Note(id="a", text=text)


def test_a_change_knows_what_it_is_about() -> None:
    edge = Edge(source="a", type=EdgeType.BLOCKS, target="b")
    assert Put(intent=Intent(id="a", goal="g")).subject == Drop(id="a").subject == Note(id="a", text="n").subject == "a"
    assert Link(edge=edge).subject == Unlink(source="a", type=EdgeType.BLOCKS, target="b").subject == edge.key


# --- questions ---


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "done"},
        {"status": {"active", "nope"}},
        {"status": 7},
        {"ids": 7},
        {"ids": {7}},
        {"labels_all": [None]},
        {"labels_any": {"a\0"}},
        {"goal_contains": 7},
        {"name_contains": b"x"},
        {"text": "\ud800"},
        {"priority_min": True},
        {"priority_max": 2**63},
        {"priority_min": 1.0},
        {"created_after": "2026"},
        {"updated_before": NAIVE},
        {"metadata": [1]},
        {"metadata": {"a": print}},
        {"has_edge": "blocks"},
        {"connected_to": "a"},
        {"not_": {}},
        {"any_of": [1]},
    ],
)
def test_a_filter_refuses_what_cannot_be_asked(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        IntentFilter(**fields)
    assert refused.value.hint


def test_a_filter_takes_plain_words_for_sets() -> None:
    where = IntentFilter(status="active", ids=["a", "b"], labels_all="ci", any_of=[IntentFilter()], metadata={"a": [1]})  # type: ignore[arg-type]  # converted by IntentFilter
    assert where.status == frozenset({IntentStatus.ACTIVE})
    assert where.ids == frozenset({"a", "b"})
    assert where.labels_all == {"ci"}
    assert where.any_of == (IntentFilter(),)
    assert where.metadata["a"] == (1,)
    assert where.replace(text="x").text == "x"
    assert hash(where) == hash(where.replace())


def test_a_filter_may_be_nested_sixteen_deep_and_no_deeper() -> None:
    where = IntentFilter()
    for _ in range(7):
        where = IntentFilter(not_=IntentFilter(any_of=(where,)))
    assert IntentFilter(any_of=(where,)).depth == 16
    with pytest.raises(QueryInvalid, match="nested deeper than 16"):
        IntentFilter(not_=IntentFilter(any_of=(where,)))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: HasEdge(types={"Bad"}),  # type: ignore[arg-type]  # wrong on purpose, as all below
        lambda: Walk(types=["bad type"]),  # type: ignore[arg-type]
        lambda: ConnectedTo(id="a", depth=-1),
        lambda: ConnectedTo(id="a", depth=True),
        lambda: ConnectedTo(id="", depth=1),
        lambda: Page(limit=0),
        lambda: Page(limit=True),
        lambda: Page(limit="5"),  # type: ignore[arg-type]
        lambda: Sort.parse("colour"),
        lambda: Sort.parse("--id"),
        lambda: Sort.parse(""),
        lambda: Sort.parse(None),  # type: ignore[arg-type]
        lambda: sort_key(Intent(goal="g"), Sort("connections")),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(ask: Any) -> None:
    with pytest.raises(Invalid) as refused:
        ask()
    assert refused.value.hint


def test_a_page_is_capped() -> None:
    assert Page(limit=10**9).limit == 10_000
    assert Walk(types="blocks").types == {"blocks"}  # type: ignore[arg-type]  # one word stands for a set of one


def test_sorts_are_read_and_written_alike() -> None:
    for field in SORT_FIELDS:
        for text in (field, f"-{field}"):
            assert str(Sort.parse(text)) == text
    assert Sort.parse(Sort("id")) == Sort("id")


@given(st.text("aé😀\n"), st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_cursor_comes_back_as_it_was(id: str, key: float) -> None:
    assert read_cursor(write_cursor(Sort("priority"), key, id), Sort("priority")) == (key, id)
    assert read_cursor(write_cursor(Sort("goal", descending=True), id, id), Sort.parse("-goal")) == (id, id)


def _encoded(thing: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(thing)).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "====", "é", "\0", "a b", "../..", 7, None, write_cursor(Sort("id"), "k", "a"),
        write_cursor(Sort("priority", descending=True), 1, "a"), _encoded(["priority", "1", "a"]),
        _encoded(["priority", None, "a"]), _encoded(["priority", [1], "a"]), _encoded(["priority", 1]),
        _encoded(["priority", 1, 2]), _encoded({"priority": 1}), _encoded(["priority", 1, "a", 4]),
        write_cursor(Sort("priority"), 1, "a")[:-2], write_cursor(Sort("priority"), 1, "a") + "!",
        base64.urlsafe_b64encode(b'["priority",1e999,"a"]').decode(),
        base64.urlsafe_b64encode(b'["priority",NaN,"a"]').decode(),
    ],
)  # fmt: skip
def test_a_cursor_that_was_tampered_with_is_refused(cursor: Any) -> None:
    with pytest.raises(QueryInvalid):
        read_cursor(cursor, Sort("priority"))


@given(st.binary(max_size=30))
def test_no_bytes_break_the_cursor_reader(junk: bytes) -> None:
    for text in (base64.urlsafe_b64encode(junk).decode(), junk.decode("latin-1")):
        try:
            read_cursor(text, Sort("priority"))
        except QueryInvalid:
            continue


def test_moments_are_whole_microseconds() -> None:
    assert microseconds(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == -1
    last = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert microseconds(last) - microseconds(last - timedelta(microseconds=1)) == 1


def test_search_looks_at_what_a_person_wrote() -> None:
    intent = Intent(goal="Goal", name="Name", original_request="Request", success_criteria="Criteria", labels=["label"])  # type: ignore[arg-type]  # sorted by Intent
    assert words(searchable(intent)) == ["name", "goal", "request", "criteria", "label"]
    assert words(searchable(Intent(goal="Goal", success_criteria=Code("(code)")))) == ["goal"]


# --- errors, ids, time ---


def every_error() -> list[IntentStoreError]:
    special: dict[type, tuple[tuple[Any, ...], dict[str, Any]]] = {
        FieldInvalid: (("goal", "is empty"), {"hint": "say it"}),
        TransitionRefused: (("a", "completed", "active", ("archived",)), {}),
        CycleRefused: (("depends_on", ("a", "b", "a")), {}),
        RtfsSyntaxError: (("odd",), {"line": 3, "column": 7}),
        IntentMissing: (("a",), {}),
        EdgeMissing: (("a", "blocks", "b"), {}),
        CommitMissing: (("c",), {}),
        RevisionMissing: ((9, 4), {}),
        DefinitionMissing: (("policy/a",), {}),
        StaleRevision: (("a",), {"expected": 1, "actual": 2}),
        Corrupt: (("journal-1.jsonl", "is damaged"), {}),
    }
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, IntentStoreError)]
    made = []
    for kind in kinds:
        args, fields = special.get(kind, (("it happened",), {"hint": "do this", "path": "x"}))
        made.append(kind(*args, **fields))
    return made


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_its_facts(error: IntentStoreError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.hint, again.fields) == (type(error), str(error), error.hint, error.fields)
    assert "\n" not in str(error)
    assert all(getattr(again, name) == fact for name, fact in error.fields.items())
    assert not hasattr(again, "no_such_fact")
    assert again.__doc__


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    drawn = set(re.findall(r"[A-Z]\w+", errors.__doc__ or "")) - {"Every", "An"}
    there = {type(error).__name__ for error in every_error()}
    assert there - drawn == set()
    assert {type(error).__name__ for error in every_error() if error.retry} == {"Unavailable", "Busy", "Full"}
    for error in every_error():
        if isinstance(error, StorageError):
            assert not isinstance(error, LookupError | ValueError), "a storage failure is never a missing intent"


def test_an_error_says_what_to_do() -> None:
    stale = StaleRevision("7f3a", expected=8, actual=9)
    assert (stale.expected, stale.actual, stale.id) == (8, 9, "7f3a")
    moved = TransitionRefused("a", "completed", "active", ())
    assert "allowed from completed: none" in str(moved)
    assert "a -> b -> a" in str(CycleRefused("depends_on", ("a", "b", "a")))


def test_new_ids_sort_in_the_order_they_were_made() -> None:
    made = [uuid7() for _ in range(3000)]
    assert made == sorted(made)
    assert len(set(made)) == 3000
    assert {UUID(id).version for id in made} == {7}
    assert {UUID(id).variant for id in made} == {"specified in RFC 4122"}


def test_new_ids_of_many_threads_are_different() -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend([uuid7() for _ in range(500)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2000


def test_the_present_is_aware_and_the_frozen_clock_obeys() -> None:
    assert utc_now().tzinfo is UTC
    clock = FrozenClock()
    first = clock()
    assert clock() == first
    assert clock.step(-3600) == clock() == first - timedelta(hours=1)
