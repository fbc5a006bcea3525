"""Claims about the strict door, the canonical form and the digests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intentstore import (
    Batch,
    Code,
    Commit,
    Drop,
    Edge,
    EdgeType,
    ErrorValue,
    Intent,
    Keyword,
    Link,
    Map,
    Note,
    Put,
    Resource,
    Symbol,
    Unlink,
)
from intentstore.codec import (
    change_from,
    decode_change,
    decode_commit,
    decode_edge,
    decode_intent,
    edge_from,
    encode_change,
    encode_commit,
    encode_edge,
    encode_intent,
    filter_from,
    intent_from,
    jsonable,
    strict_loads,
    value_from_json,
)
from intentstore.codec.wire import to_wire
from intentstore.ground.errors import Corrupt, FieldInvalid, QueryInvalid
from intentstore.ground.query import ConnectedTo, HasEdge, IntentFilter, same_value
from intentstore.ground.types import Claim

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
names = texts.filter(bool)
whole = st.integers(-(2**63), 2**63 - 1)
times = st.datetimes(timezones=st.just(UTC)).map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000))
leaves = (
    st.none()
    | st.booleans()
    | whole
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | names.map(Keyword)
    | names.map(Symbol)
    | names.map(Code)
    | names.map(Resource)
    | st.builds(ErrorValue, texts, st.tuples(texts))
    | times
    | st.uuids()
)
keys = texts | names.map(Keyword) | whole | st.just("$map")
values = st.recursive(
    leaves, lambda below: st.lists(below, max_size=4).map(tuple) | st.dictionaries(keys, below, max_size=4).map(Map)
)
intents = st.builds(
    Intent,
    id=st.just("a"),
    goal=names.filter(lambda text: not text.isspace()),
    name=st.none() | texts,
    priority=whole,
    constraints=st.dictionaries(keys, values, max_size=3),
    metadata=st.dictionaries(keys, values, max_size=3),
    success_criteria=values,
    created_at=st.datetimes(timezones=st.just(UTC)),
    updated_at=st.datetimes(timezones=st.just(UTC)),
    claim=st.none() | st.builds(Claim, owner=st.just("w"), token=whole, until=st.datetimes(timezones=st.just(UTC))),
)


@given(intents)
def test_an_intent_comes_back_from_its_bytes_and_through_the_strict_door(intent: Intent) -> None:
    data = encode_intent(intent)
    assert decode_intent(data) == intent
    assert encode_intent(decode_intent(data)) == data
    assert encode_intent(intent_from(strict_loads(data))) == data
    assert json.loads(data) == jsonable(intent)


@given(values)
def test_a_value_comes_back_from_json_with_its_kind(value: object) -> None:
    again = value_from_json(strict_loads(json.dumps(to_wire(value))), "value")
    assert same_value(again, value)  # type: ignore[arg-type]  # a Value


def test_times_always_have_six_digits() -> None:
    assert b'"created_at":"2026-01-02T03:04:05.000000Z"' in encode_intent(
        Intent(id="a", goal="g", created_at=AT, updated_at=AT.replace(microsecond=7))
    )


CHANGES = (
    Put(intent=Intent(id="a", goal="g", created_at=AT, updated_at=AT), before=3, prev="ff"),
    Link(edge=Edge(source="a", type=EdgeType("discovered_from"), target="b", weight=0, created_at=AT), expected=0),
    Drop(id="a", expected=7),
    Unlink(source="a", type=EdgeType.BLOCKS, target="b", before=1, prev="0"),
    Note(id="a", text="t"),
)


def test_changes_and_commits_come_back_from_their_bytes() -> None:
    for change in CHANGES:
        assert decode_change(encode_change(change)) == change
    commit = Commit(revision=3, id="c", at=AT, actor="x", reason="y", changes=CHANGES, hash="ab")
    assert decode_commit(encode_commit(commit)) == commit
    assert jsonable(commit)["changes"][2] == {"do": "drop", "expected": 7, "id": "a"}
    assert jsonable(Batch(changes=(), at=AT))["at"] == "2026-01-02T03:04:05.000000Z"


def test_damaged_bytes_of_ours_are_corrupt_never_a_value() -> None:
    for decode in (decode_intent, decode_edge, decode_change, decode_commit):
        for data in (b"", b"{", b'{"goal":1}', b"\xff", b'{"id":"a","goal":"g","status":"lost"}'):
            with pytest.raises(Corrupt):
                decode(data)
    edge = Edge(source="a", type=EdgeType.BLOCKS, target="b")
    assert decode_edge(encode_edge(edge)) == edge


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a":1,"a":2}', "twice"),
        ('{"a":{"b":1,"b":2}}', "twice"),
        ("NaN", "NaN"),
        ('{"a":-Infinity}', "NaN"),
        ("1e999", "out of range"),
        ("9223372036854775808", "64 bits"),
        ('"\\ud800"', "not JSON"),
        ('"\\u0000"', "NUL"),
        ('{"\\u0000":1}', "NUL"),
        ("[" * 100 + "]" * 100, "nested"),
        ("[" * 100_000, "nested"),
        ('{"a":' * 90 + "1" + "}" * 90, "nested"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1,]", "not JSON"),
        ("1 2", "not JSON"),
        ("\ufeff1", "byte-order"),
        (b'"\xff"', "UTF-8"),
        ("9" * 5000, "out of range"),
    ],
)
def test_what_is_not_exactly_json_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(FieldInvalid, match=says):
        strict_loads(text)


def test_a_map_with_other_keys_nests_as_deep_as_any() -> None:
    deep: object = 1
    for _ in range(64):
        deep = {"$map": [[1, deep]]}
    assert value_from_json(strict_loads(json.dumps(deep)), "v")
    for bad in ({"$map": [[1, deep]]}, {"$map": 1}, {"$map": [1]}):
        with pytest.raises(FieldInvalid):
            value_from_json(strict_loads(json.dumps(bad)), "v")


def test_text_that_looks_like_a_repeated_key_is_text() -> None:
    assert strict_loads('{"a":"x\\":","b":1}') == {"a": 'x":', "b": 1}


@pytest.mark.parametrize(
    "thing",
    [
        {"$nope": 1},
        {"$keyword": 1},
        {"$keyword": ""},
        {"$uuid": "x"},
        {"$timestamp": "2026-01-01"},
        {"$timestamp": "2026-01-01T00:00:00.0001Z"},
        {"$map": [[1]]},
        {"$map": [["a", 1], ["a", 2]]},
        {"$map": [[True, 2]]},
        {"$error": {}},
        {"$error": 1},
    ],
)
def test_a_malformed_tag_is_refused(thing: object) -> None:
    with pytest.raises(FieldInvalid):
        value_from_json(thing, "constraints")


def test_nesting_of_64_passes_and_65_is_refused() -> None:
    deep: object = 1
    for _ in range(64):
        deep = [deep]
    assert value_from_json(deep, "v")
    for wrap in ([deep], {"a": deep}):
        with pytest.raises(FieldInvalid, match="64"):
            value_from_json(wrap, "v")


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        ([], "must be an object"),
        ({"goal": "g", "colour": 1}, "colour is not a field"),
        ({}, "goal"),
        ({"goal": ""}, "goal is empty"),
        ({"goal": 3}, "goal must be text"),
        ({"goal": "g", "priority": True}, "priority"),
        ({"goal": "g", "priority": 1.5}, "priority"),
        ({"goal": "g", "constraints": [1]}, "constraints"),
        ({"goal": "g", "status": "done"}, "status"),
        ({"goal": "g", "created_at": "yesterday"}, "created_at"),
        ({"goal": "g", "created_at": "2026-01-01T00:00:00"}, "created_at has no time zone"),
        ({"goal": "g", "labels": "x"}, "labels"),
        ({"goal": "g", "claim": {"owner": "o"}}, "claim"),
        ({"goal": "g", "claim": {"until": "2026-01-01T00:00:00Z", "token": 1}}, "owner"),
    ],
)
def test_an_intent_from_outside_is_checked_field_by_field(thing: object, says: str) -> None:
    with pytest.raises(FieldInvalid, match=says):
        intent_from(thing)


def test_edges_and_changes_from_outside() -> None:
    made = edge_from(
        {"source": "b", "type": "related_to", "target": "a", "metadata": {"x": 1}, "created_at": "2026-01-01T00:00:00Z"}
    )
    assert made.key == ("a", "related_to", "b")
    assert isinstance(change_from({"do": "put", "intent": {"goal": "g", "id": "a"}}), Put)
    assert isinstance(change_from({"do": "link", "edge": {"source": "a", "type": "blocks", "target": "b"}}), Link)
    assert isinstance(change_from({"do": "drop", "id": "a"}), Drop)
    assert change_from({"do": "unlink", "source": "b", "type": "related_to", "target": "a"}) == Unlink(
        source="a", type=EdgeType.RELATED_TO, target="b"
    )
    assert isinstance(change_from({"do": "note", "id": "a", "text": "t"}), Note)
    for bad in ({"do": "burn"}, {"do": "put"}, {"do": "note", "id": "a"}, {"do": "link", "edge": {}}, {"x": 1}, 3):
        with pytest.raises(FieldInvalid):
            change_from(bad)


def test_a_filter_from_outside() -> None:
    asked = {
        "status": ["active"],
        "created_after": "2026-01-01T00:00:00Z",
        "metadata": {"k": 1},
        "has_edge": {"types": ["blocks"], "direction": "in"},
        "connected_to": {"id": "a", "depth": 2},
        "any_of": [{"goal_contains": "x"}],
        "not_": {"ids": ["b"]},
    }
    found = filter_from(asked)
    assert isinstance(found, IntentFilter)
    assert found.has_edge == HasEdge(types=frozenset({"blocks"}), direction="in")  # type: ignore[arg-type]  # a StrEnum
    assert found.connected_to == ConnectedTo(id="a", depth=2)
    with pytest.raises(QueryInvalid, match="colour"):
        filter_from({"colour": 1})


def test_uuid_is_kept_apart_from_its_text() -> None:
    uuid = UUID("01234567-89ab-cdef-0123-456789abcdef")
    assert not same_value(value_from_json(jsonable(uuid), "v"), str(uuid))
