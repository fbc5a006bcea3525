"""Claims about import and export: whole in, unchanged out, all or nothing, every refusal by its line."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intentstore import (
    Code,
    Edge,
    EdgeType,
    ErrorValue,
    Intent,
    IntentGraph,
    Keyword,
    Map,
    Resource,
    Symbol,
    open_graph,
)
from intentstore.formats import FORMATS, Imported, Skipped, export_from, import_into
from intentstore.formats.cycles import closing
from intentstore.formats.source import MAX_LINE
from intentstore.ground.errors import (
    AlreadyThere,
    CycleRefused,
    FieldInvalid,
    IntentStoreError,
    Invalid,
    TooNew,
    Unavailable,
)
from intentstore.ground.types import Claim

ODD = 'a "quoted" \\ line\nand λ 日本語 🧭'
HEADER = {"intentstore": 1, "graph": "default"}


@pytest.fixture
def graph() -> Iterator[IntentGraph]:
    with open_graph("memory:") as opened:
        yield opened


def an_intent(**fields: Any) -> Intent:
    return Intent(**fields)


def lines(*records: Any) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def bring(graph: IntentGraph, *records: Any, **options: Any) -> Imported:
    return import_into(graph, lines(*records), **options)


def out(graph: IntentGraph, format: str = "jsonl") -> bytes:
    written = io.BytesIO()
    export_from(graph, written, format=format)
    return written.getvalue()


def records(graph: IntentGraph, format: str = "beads") -> list[Any]:
    return [json.loads(line) for line in out(graph, format).split(b"\n") if line]


def same_json(a: Any, b: Any) -> bool:
    """True when two decoded documents are equal in keys, values and types: 1, 1.0 and true are three."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def bead(id: str = "b-1", **fields: Any) -> dict[str, Any]:
    plain = {"title": f"Goal {id}", "status": "open", "priority": 2, "issue_type": "task"}
    times = {"created_at": "2026-01-02T03:04:05.123456789-08:00", "updated_at": "2026-01-02T04:00:00Z"}
    return {"id": id, **plain, **times, **fields}


def needs(id: str, other: Any, type: Any = "blocks", **fields: Any) -> dict[str, Any]:
    return {"issue_id": id, "depends_on_id": other, "type": type, **fields}


# --- our own lines ---


def rich_graph(graph: IntentGraph) -> None:
    values = {
        "numbers": (1, 1.0, 1e300, -0.0, True, None),
        "mixed": Map({1: "a", "1": "b", Keyword("k"): Code("(f x)")}),
        "$map": Map({"$keyword": "not one"}),
        "time": datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "like a time": "2025-01-02T03:04:05_678Z",
        "others": (Symbol("ns.sub:v1.2/name"), Resource("resource://x"), ErrorValue("m", ("t",)), UUID(int=7)),
    }
    whole = an_intent(
        id='an "id" / with \\ quotes',
        goal=ODD,
        name=ODD,
        status="failed",
        priority=-(2**63),
        original_request="",
        rtfs_source='(intent "x")',
        constraints=values,
        preferences={"a b.c": 1},
        success_criteria=Code("(= 1 1)"),
        session_id="s",
        triggered_by="t",
        generation_context={"x": ()},
        labels={"b", "a"},
        metadata=values,
        created_at=datetime(2020, 1, 1, tzinfo=UTC),
        updated_at=datetime(2021, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        claim=Claim(owner="o", token=3, until=datetime(2022, 1, 1, tzinfo=UTC)),
    )
    one = graph.store(whole)
    for number, goal in enumerate(("nil", "true", ":x", '(intent "x" :goal "y")')):
        other = graph.store(an_intent(goal=goal, name="the same"))
        graph.link(other.id, "related_to", one.id, weight=0, metadata=values)
        graph.link(other.id, ("depends_on", "blocks", "discovered_from", "enables")[number], one.id, weight=1e-9)


def test_our_own_lines_come_back_exactly(graph: IntentGraph) -> None:
    rich_graph(graph)
    first = out(graph)
    with open_graph("memory:") as other:
        assert import_into(other, io.BytesIO(first)) == Imported(5, 8)
        assert out(other) == first
        for intent in graph.each():
            assert other.intent(intent.id).replace(revision=intent.revision) == intent


def test_our_lines_may_come_in_any_order_with_blanks_and_crlf(graph: IntentGraph) -> None:
    text = b'{"intentstore":1}\r\n\r\n{"edge":{"source":"a","type":"blocks","target":"b"}}\n \t\n'
    text += b'{"intent":{"id":"b","goal":"B"}}\r\n{"intent":{"id":"a","goal":"A\xc2\x85\xe2\x80\xa8"}}'
    assert import_into(graph, io.BytesIO(text)) == Imported(2, 1)
    assert graph.intent("a").goal == "A\x85\u2028"
    assert graph.edges("a")[0].created_at.year > 2000


def test_an_intent_without_id_gets_one(graph: IntentGraph) -> None:
    assert bring(graph, HEADER, {"intent": {"goal": "x"}}, {"intent": {"goal": "x"}}).intents == 2
    assert len({intent.id for intent in graph.each()}) == 2


def test_revisions_are_not_imported(graph: IntentGraph) -> None:
    bring(graph, HEADER, {"intent": {"id": "a", "goal": "x", "revision": 77}})
    assert graph.intent("a").revision == 1


@given(
    goals=st.lists(st.text(min_size=1).filter(lambda text: "\0" not in text and not text.isspace()), max_size=5),
    data=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("$ab.", max_size=3), inner, max_size=3),
        max_leaves=10,
    ),
)
def test_any_graph_survives_our_lines(goals: list[str], data: Any) -> None:
    with open_graph("memory:") as graph, open_graph("memory:") as other:
        for goal in goals:
            graph.store(an_intent(goal=goal, metadata={"data": data}, success_criteria=data))
        import_into(other, io.BytesIO(out(graph)))
        assert out(other) == out(graph)


# --- beads: whole in, unchanged out ---


def test_the_table_of_beads(graph: IntentGraph) -> None:
    statuses = ["open", "in_progress", "hooked", "closed", "blocked", "deferred", "pinned", "tombstone", "review"]
    bring(graph, *[bead(status, status=status, priority=at % 5) for at, status in enumerate(statuses)])
    assert [str(graph.intent(status).status) for status in statuses] == [
        *("active", "executing", "executing", "completed", "suspended", "suspended", "suspended", "archived", "active")
    ]
    assert [graph.intent(status).priority for status in statuses[:5]] == [100, 75, 50, 25, 0]


def test_fields_of_beads_become_ours(graph: IntentGraph) -> None:
    bring(graph, bead(title=ODD, description="why", acceptance_criteria="when", labels=["z", "a", "z"]))
    intent = graph.intent("b-1")
    assert (intent.goal, intent.original_request, intent.success_criteria) == (ODD, "why", "when")
    assert intent.labels == ("a", "z")
    assert intent.created_at == datetime(2026, 1, 2, 11, 4, 5, 123456, tzinfo=UTC)


def test_types_of_dependencies_become_edges(graph: IntentGraph) -> None:
    types = ["blocks", "parent-child", "related", "relates-to", "discovered-from", "conflicts-with"]
    listed = [needs("a", f"x{at}", type) for at, type in enumerate(types)]
    assert bring(graph, bead("a", dependencies=listed), *[bead(f"x{at}") for at in range(6)]) == Imported(7, 6)
    assert sorted(edge.type for edge in graph.edges("a")) == [
        *("conflicts_with", "depends_on", "discovered_from", "is_subgoal_of", "related_to", "related_to")
    ]


ODD_RECORDS = [
    {"id": "least", "title": "t"},
    bead("empty", description="", acceptance_criteria="", labels=[], dependencies=[], notes="", assignee=""),
    bead("null", description=None, acceptance_criteria=None, labels=None, dependencies=None, updated_at=None),
    bead("wrong", description=5, acceptance_criteria=["x"], labels=["b", 7, "", None, "a", "a"]),
    bead("beyond", priority=9, status="Review ing", issue_type="my-type"),
    bead("below", priority=-3),
    bead(
        "unknown", **{"$map": [[1]], "x": {"$keyword": "k"}, "": {"1": 1.0, "2": 1, "3": True}, "beads": {"a": 1e300}}
    ),
    bead("zero", created_at="0001-01-01T00:00:00Z", updated_at="0001-01-01T00:00:00Z"),
    bead("ended", status="open", closed_at="2026-01-01T00:00:00Z", close_reason="was closed once", deleted_at=None),
    bead("stone", status="tombstone", deleted_at="2026-01-01T00:00:00+01:00", deleted_by="x", original_type="bug"),
    bead("comments", comments=[{"id": 1, "issue_id": "comments", "text": ODD, "created_at": "x"}]),
    bead("plain", created_at="2026-01-01T00:00:00.000000Z", updated_at="2026-01-01T00:00:00.5Z"),
    bead('an "id"/ λ', title=ODD, metadata={"k": [1, {"a": None}]}),
]


def test_odd_records_of_beads_come_back_equal(graph: IntentGraph) -> None:
    assert bring(graph, *ODD_RECORDS).skipped == ()
    expected = sorted(ODD_RECORDS, key=lambda record: str(record["id"]))
    assert same_json(records(graph), expected)


def test_odd_records_survive_our_own_lines_too(graph: IntentGraph) -> None:
    bring(graph, *ODD_RECORDS)
    with open_graph("memory:") as other:
        import_into(other, io.BytesIO(out(graph)))
        assert same_json(records(other), records(graph))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("$ab_", max_size=3), inner, max_size=3),
    max_leaves=8,
)
IDS = st.sampled_from(["a", "b", "c", "d", "gone"])
DEPENDENCY = st.fixed_dictionaries(
    {"depends_on_id": IDS, "type": st.sampled_from(["blocks", "parent-child", "related", "relates-to", "x-y", "No!"])},
    optional={"created_at": st.just("2026-01-01T00:00:00.5+02:00"), "metadata": JSON, "thread_id": JSON},
)
TIMES = st.datetimes(timezones=st.just(UTC) | st.just(None).map(lambda _: UTC)).map(lambda time: time.isoformat())
RECORD = st.fixed_dictionaries(
    {"title": st.just("t")},
    optional={
        "description": JSON,
        "acceptance_criteria": JSON,
        "status": st.sampled_from(["open", "hooked", "closed", "pinned", "tombstone", "new one", None]),
        "priority": st.integers(-2, 7) | st.none(),
        "labels": st.lists(JSON, max_size=4) | st.none(),
        "created_at": TIMES | st.none(),
        "updated_at": TIMES | st.none(),
        "closed_at": JSON,
        "dependencies": st.lists(DEPENDENCY | JSON, max_size=4) | st.none(),
        "extra": JSON,
    },
)


@given(given=st.dictionaries(st.sampled_from("abcd"), RECORD, max_size=4), split=st.integers(0, 4))
def test_any_records_of_beads_come_back_equal_in_one_file_or_two(given: dict[str, Any], split: int) -> None:
    all_of_them = [{"id": id, **record} for id, record in given.items()]
    with open_graph("memory:") as graph:
        for part in (all_of_them[:split], all_of_them[split:]):
            bring(graph, *part, format="beads")
        assert same_json(records(graph), sorted(all_of_them, key=lambda record: str(record["id"])))
        assert graph.verify().ok
        bring(graph, *all_of_them[:split], format="beads", if_exists="replace")
        assert same_json(records(graph), sorted(all_of_them, key=lambda record: str(record["id"])))


# --- beads: dependencies that are no edges ---


def test_a_dependency_on_an_absent_id_waits_until_it_arrives(graph: IntentGraph) -> None:
    a = bead("a", dependencies=[needs("a", "x", metadata="{}"), needs("a", "b")])
    found = bring(graph, a, bead("b"))
    assert found == Imported(
        2,
        1,
        (Skipped(1, "a", "the dependency blocks 'x' waits for an id that is neither in the file nor in the graph"),),
    )
    assert same_json(records(graph), [a, bead("b")])
    assert bring(graph, bead("c")) == Imported(1, 0)
    assert bring(graph, bead("x")) == Imported(1, 1)
    assert {edge.target for edge in graph.edges("a")} == {"b", "x"}
    assert same_json(records(graph), [a, bead("b"), bead("c"), bead("x")])
    assert "beads_waiting" not in graph.intent("a").metadata


def test_a_dependency_becomes_an_edge_when_its_intent_came_another_way(graph: IntentGraph) -> None:
    bring(graph, bead("a", dependencies=[needs("a", "x")]))
    graph.store(an_intent(id="x", goal="from here"))
    assert bring(graph, bead("b")) == Imported(1, 1)


def test_a_dependency_that_closes_a_cycle_stays_with_its_record(graph: IntentGraph) -> None:
    ring = [bead(id, dependencies=[needs(id, other)]) for id, other in ("ab", "bc", "ca")]
    found = bring(graph, *ring)
    assert (found.intents, found.edges) == (3, 2)
    (skipped,) = found.skipped
    assert (skipped.line, skipped.id) == (3, "c")
    assert skipped.why == "the dependency blocks 'a' would close a cycle: c -> a -> b -> c"
    assert same_json(records(graph), ring)


def test_a_cycle_through_edges_of_the_graph_is_found(graph: IntentGraph) -> None:
    for id in "xyz":
        graph.store(an_intent(id=id, goal=id))
    graph.link("y", "blocks", "x")
    graph.link("y", "depends_on", "z")
    a, later = bead("a", dependencies=[needs("a", "later")]), bead("later", dependencies=[needs("later", "x")])
    bring(graph, a)
    graph.link("z", "depends_on", "a")
    found = bring(graph, later)
    assert (found.edges, [(each.line, each.id) for each in found.skipped]) == (1, [(1, "a")])
    assert found.skipped[0].why.endswith("would close a cycle: a -> later -> x -> y -> z -> a")
    assert same_json(records(graph)[:2], [a, later])


def test_a_waiting_dependency_that_closes_a_cycle_on_arrival_stays(graph: IntentGraph) -> None:
    a, b = bead("a", dependencies=[needs("a", "b")]), bead("b", dependencies=[needs("b", "a")])
    bring(graph, a)
    found = bring(graph, b)
    assert (found.intents, found.edges, len(found.skipped)) == (1, 1, 1)
    assert "would close a cycle: a -> b -> a" in found.skipped[0].why
    assert same_json(records(graph), [a, b])


def test_subgoals_and_waiting_are_two_relations(graph: IntentGraph) -> None:
    found = bring(
        graph, bead("a", dependencies=[needs("a", "b", "parent-child")]), bead("b", dependencies=[needs("b", "a")])
    )
    assert found == Imported(2, 2)


def test_a_long_chain_and_a_long_ring_import_without_recursion(graph: IntentGraph) -> None:
    many = 5_000
    ring = [bead(f"{at:05}", dependencies=[needs(f"{at:05}", f"{(at + 1) % many:05}")]) for at in range(many)]
    found = bring(graph, *reversed(ring))
    assert (found.intents, found.edges, len(found.skipped)) == (many, many - 1, 1)
    assert "… 4981 more …" in found.skipped[0].why


ARROWS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.booleans()), max_size=14)


@given(arrows=ARROWS)
def test_exactly_the_edges_that_close_a_cycle_are_found(arrows: list[tuple[str, str, bool]]) -> None:
    edges = {}
    for tail, tip, turned in arrows:
        if tail != tip:
            type, source, target = ("blocks", tip, tail) if turned else ("depends_on", tail, tip)
            edge = Edge(source=source, type=EdgeType(type), target=target)
            edges[edge.key] = (edge, tail, tip)
    leads: set[tuple[str, str]] = set()
    with open_graph("memory:") as graph:
        found = closing([edge for edge, _, _ in edges.values()], graph)
    for key, (_, tail, tip) in edges.items():
        reached, before = {tip}, set[str]()
        while reached != before:
            before = reached
            reached = reached | {end for start, end in leads if start in reached}
        assert (tail in reached) == (key in found)
        if key in found:
            assert found[key][:2] == (tail, tip)
            assert found[key][-1] == tail
            assert set(pairwise(found[key][1:])) <= leads
        else:
            leads.add((tail, tip))


def test_a_second_dependency_of_a_kind_is_kept_and_goes_with_its_edge(graph: IntentGraph) -> None:
    listed = [needs("a", "b", "related"), needs("a", "c"), needs("a", "b", "relates-to")]
    a, b = bead("a", dependencies=listed), bead("b", dependencies=[needs("b", "a", "related")])
    found = bring(graph, a, b, bead("c"))
    assert (found.edges, [(each.line, each.id) for each in found.skipped]) == (2, [(1, "a"), (2, "b")])
    assert same_json(records(graph), [a, b, bead("c")])
    graph.unlink("b", "related_to", "a")
    first, second, _ = records(graph)
    assert first["dependencies"] == [needs("a", "c")]
    assert "dependencies" not in second


@pytest.mark.parametrize(
    "strange",
    [
        7,
        None,
        {},
        needs("other", "b"),
        needs("a", "a"),
        needs("a", 5),
        needs("a", "b", "No!"),
        needs("a", "b", 5),
        needs("a", "b", created_at="then"),
        needs("a", ""),
        {"depends_on_id": "b", "type": None},
    ],
)
def test_what_cannot_be_an_edge_is_kept(graph: IntentGraph, strange: Any) -> None:
    a = bead("a", dependencies=[strange, needs("a", "b")])
    found = bring(graph, a, bead("b"))
    assert (found.edges, len(found.skipped)) == (1, 1)
    assert "cannot be an edge" in found.skipped[0].why
    assert same_json(records(graph), [a, bead("b")])


# --- beads: what is changed here shows ---


def changes(before: Any, after: Any) -> dict[str, Any]:
    return {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def test_an_edited_field_is_exported_as_it_is_now_and_no_other(graph: IntentGraph) -> None:
    came = bead(status="hooked", labels=["z", "a"], description=None, owner="ada", extra=[1.0])
    bring(graph, came)
    graph.update(graph.intent("b-1").replace(goal="New", priority=100, original_request="now"))
    (record,) = records(graph)
    changed = changes(came, record)
    assert changed.pop("updated_at").endswith("Z")
    assert changed == {"title": "New", "priority": 0, "description": "now"}
    graph.update(graph.intent("b-1").replace(labels=("a", "b"), success_criteria=Map({"x": 1})))
    (record,) = records(graph)
    assert (record["labels"], record["acceptance_criteria"], record["status"]) == (["a", "b"], '{"x":1}', "hooked")


def test_completing_gives_the_time_and_reopening_takes_it(graph: IntentGraph) -> None:
    bring(graph, bead("a"), bead("b", status="closed", closed_at="2026-01-01T00:00:00Z", close_reason="done"))
    graph.complete("a")
    graph.archive("b")
    graph.reopen("b")
    a, b = records(graph)
    assert a["status"] == "closed"
    assert a["closed_at"] == a["updated_at"]
    assert b["status"] == "open"
    assert not {"closed_at", "close_reason"} & b.keys()
    graph.archive("a")
    a = records(graph)[0]
    assert (a["status"], a["deleted_at"]) == ("tombstone", a["updated_at"])


def test_edges_made_and_removed_here_show_as_dependencies(graph: IntentGraph) -> None:
    listed = [needs("a", "b", "discovered-from"), needs("a", "c", created_by="x"), needs("a", "gone")]
    bring(graph, bead("a", dependencies=listed), bead("b"), bead("c"))
    graph.unlink("a", "discovered_from", "b")
    graph.link("a", "is_subgoal_of", "b")
    graph.link("a", "blocks", "b")
    a, b, c = records(graph)
    assert a["dependencies"][:2] == listed[1:]
    (made,) = a["dependencies"][2:]
    assert made == needs("a", "b", "parent-child", created_at=made["created_at"])
    assert [(each["depends_on_id"], each["type"]) for each in b["dependencies"]] == [("a", "blocks")]
    assert "dependencies" not in c


def test_one_sentence_said_twice_is_written_once(graph: IntentGraph) -> None:
    for id in "ab":
        graph.store(an_intent(id=id, goal=id))
    graph.link("a", "depends_on", "b")
    graph.link("b", "blocks", "a")
    assert [len(record.get("dependencies", ())) for record in records(graph)] == [1, 0]


def test_what_never_was_a_record_exports_as_one_that_comes_back(graph: IntentGraph) -> None:
    statuses = ["active", "executing", "completed", "suspended", "archived"]
    for status in statuses:
        graph.store(an_intent(id=status, goal=ODD, status=status, priority=60, labels={"x"}, metadata={"mine": 1}))
    graph.link("active", "related_to", "executing")
    first = records(graph)
    assert first[0] == {
        "id": "active",
        "title": ODD,
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        "labels": ["x"],
        **{key: first[0][key] for key in ("created_at", "updated_at", "dependencies")},
    }
    with open_graph("memory:") as other:
        import_into(other, io.BytesIO(out(graph, "beads")))
        assert {intent.id: str(intent.status) for intent in other.each()} == {status: status for status in statuses}
        assert same_json(records(other), first)


def test_whatever_stands_in_the_kept_record_the_export_goes_on(graph: IntentGraph) -> None:
    odd = [
        {"status": 5, "labels": {"a": 1}, "priority": "x", "created_at": "no", "id": "other"},
        7,
        {"dependencies": 3},
    ]
    for at, kept in enumerate(odd):
        metadata = {"beads": kept, "beads_absent": 5, "beads_loose": 7, "beads_waiting": True}
        graph.store(an_intent(id=str(at), goal="x", metadata=metadata))
    graph.link("0", "related_to", "1", metadata={"beads": {"depends_on_id": "2"}, "beads_place": "x"})
    assert [record["id"] for record in records(graph)] == ["0", "1", "2"]
    bring(graph, bead("new"))


# --- if_exists ---


def test_an_intent_that_is_there_refuses_the_file(graph: IntentGraph) -> None:
    bring(graph, bead("a"))
    with pytest.raises(AlreadyThere, match="line 2: intent a is in the graph already"):
        bring(graph, bead("b"), bead("a"))
    with pytest.raises(AlreadyThere, match="line 2"):
        bring(graph, HEADER, {"intent": {"id": "a", "goal": "x"}})
    assert graph.get("b") is None


def test_replace_makes_the_graph_say_what_the_file_says(graph: IntentGraph) -> None:
    bring(graph, bead("a", dependencies=[needs("a", "b"), needs("a", "c", "related")]), bead("b"), bead("c"))
    graph.link("a", "is_subgoal_of", "c")
    graph.link("b", "enables", "a")
    new = bead("a", title="New", dependencies=[needs("a", "c", "relates-to"), needs("a", "b", thread_id="t")])
    assert bring(graph, new, if_exists="replace") == Imported(1, 2)
    assert same_json(records(graph)[0], new)
    assert {(edge.source, edge.type) for edge in graph.edges("a")} == {
        *(("a", "depends_on"), ("a", "related_to"), ("b", "enables"))
    }


def test_keep_leaves_what_is_there_and_takes_the_rest(graph: IntentGraph) -> None:
    bring(graph, bead("a"))
    before = graph.intent("a")
    new = bead("a", title="New", dependencies=[needs("a", "b")])
    found = bring(graph, new, bead("b", dependencies=[needs("b", "a")]), if_exists="keep")
    assert found == Imported(1, 1, (Skipped(1, "a", "is in the graph already and was kept as it is"),))
    assert graph.intent("a") == before


def test_our_lines_replace_and_keep_too(graph: IntentGraph) -> None:
    def edge(weight: float) -> dict[str, Any]:
        return {"edge": {"source": "a", "type": "blocks", "target": "b", "weight": weight}}

    both = [{"intent": {"id": id, "goal": "old"}} for id in "ab"]
    bring(graph, HEADER, *both, edge(1.0))
    created = graph.intent("a").created_at
    with pytest.raises(AlreadyThere, match="line 2: the edge 'a' blocks 'b' is in the graph already"):
        bring(graph, HEADER, edge(2.0))
    kept = bring(graph, HEADER, {"intent": {"id": "a", "goal": "new"}}, edge(2.0), if_exists="keep")
    assert (kept.intents, kept.edges, len(kept.skipped)) == (0, 0, 2)
    new = bring(graph, HEADER, {"intent": {"id": "a", "goal": "new"}}, edge(2.0), if_exists="replace")
    assert new == Imported(1, 1)
    intent = graph.intent("a")
    assert (intent.goal, intent.created_at, graph.edges("a")[0].weight) == ("new", created, 2.0)


# --- bad input: one error, its line, nothing imported ---

BAD_BEADS: list[tuple[bytes, str]] = [
    (b'{"id":"x","title":""}', "line 3: goal is empty"),
    (b'{"id":"x","title":7}', "line 3: goal must be text"),
    (b'{"id":"x"}', "line 3: title is missing"),
    (b'{"title":"x"}', "line 3: id is missing"),
    (b'{"id":"","title":"x"}', "line 3: id is 0 bytes"),
    (b'{"id":5,"title":"x"}', "line 3: id must be text"),
    (b'{"id":"a","title":"x"}', "line 3: id 'a' stands on line 1 already"),
    (b'{"id":"x","title":"x","status":5}', "line 3: status must be text"),
    (b'{"id":"x","title":"x","priority":true}', "line 3: priority must be an integer"),
    (b'{"id":"x","title":"x","priority":1.0}', "line 3: priority must be an integer"),
    (b'{"id":"x","title":"x","labels":"a"}', "line 3: labels must be a list"),
    (b'{"id":"x","title":"x","dependencies":{"a":1}}', "line 3: dependencies must be a list"),
    (b'{"id":"x","title":"x","created_at":"yesterday"}', "line 3: created_at 'yesterday' is not a time"),
    (b'{"id":"x","title":"x","created_at":"2026-01-01T00:00:00"}', "line 3: created_at has no time zone"),
    (b'{"id":"x","title":"x","n":1e999}', "line 3: the record holds a number out of range"),
    (b'{"id":"x","title":"x","n":NaN}', "line 3: the record holds NaN"),
    (b'{"id":"x","title":"x","n":9223372036854775808}', "line 3: the record holds an integer beyond"),
    (b'{"id":"x","title":"x","n":1,"n":1}', "line 3: the record holds the key 'n' twice"),
    (b'{"id":"x","title":"x\\u0000"}', "line 3: the record contains a NUL"),
    (b'{"id":"x","title":"\\ud800"}', "line 3: "),
    (b'{"id":"x","title":"\xff"}', "line 3: "),
    (b'{"id":"x","title":"x","n":' + b"[" * 65 + b"]" * 65 + b"}", "line 3: "),
    (b'{"id":"x","title":"x","n":' + b"[" * 9000 + b"]" * 9000 + b"}", "line 3: "),
    (b'{"id":"x","title":"x"', "line 3: the record is not JSON"),
    (b"[1]", "line 3: the record is not an object"),
    (b"\x00\x00", "line 3: the record is not JSON"),
    (b'{"id":"x","title":"' + b"x" * MAX_LINE + b'"}', "line 3: the line is longer than"),
]


@pytest.mark.parametrize(("line", "said"), BAD_BEADS, ids=range(len(BAD_BEADS)))
def test_a_bad_record_refuses_the_whole_file_by_its_line(graph: IntentGraph, line: bytes, said: str) -> None:
    good = b'{"id":"a","title":"A"}\n\n'
    for text in (good + line, good + line + b'\n{"id":"c","title":"C"}\n'):
        with pytest.raises(Invalid) as refused:
            import_into(graph, io.BytesIO(text))
        assert str(refused.value).startswith(said)
        assert refused.value.line == 3
        assert refused.value.hint.startswith("nothing was imported")
        assert graph.revision == 0


BAD_LINES: list[tuple[Any, str, type[IntentStoreError]]] = [
    ({"intent": {"goal": ""}}, "line 2: goal is empty", FieldInvalid),
    ({"intent": {"goal": "x", "colour": 1}}, "line 2: colour is not a field", FieldInvalid),
    ({"intent": 5}, "line 2: intent must be an object", FieldInvalid),
    ({"intent": {"goal": "x"}, "edge": {}}, "line 2: the record holds 'intent', 'edge'", FieldInvalid),
    ({}, "line 2: the record holds nothing", FieldInvalid),
    ({"plan": {}}, "line 2: the record holds 'plan'", FieldInvalid),
    ({"edge": {"source": "a", "type": "blocks", "target": "a"}}, "line 2: target is the source itself", FieldInvalid),
    ({"edge": {"source": "a", "type": "blocks", "target": "z"}}, "line 2: target 'z' is neither", FieldInvalid),
    ({"edge": {"source": "z", "type": "Blocks", "target": "a"}}, "line 2: type 'Blocks' is not", FieldInvalid),
    ({"edge": {"source": "a", "type": "blocks", "target": "b"}}, "line 5: the edge stands on line 2", FieldInvalid),
    ({"edge": {"source": "a", "type": "depends_on", "target": "b"}}, "line 5: the depends_on/blocks", CycleRefused),
]


@pytest.mark.parametrize(("record", "said", "kind"), BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_of_ours_is_refused(
    graph: IntentGraph, record: Any, said: str, kind: type[IntentStoreError]
) -> None:
    edge = {"edge": {"source": "a", "type": "blocks", "target": "b"}}
    with pytest.raises(kind) as refused:
        bring(graph, HEADER, record, *[{"intent": {"id": id, "goal": id}} for id in "ab"], edge)
    assert str(refused.value).startswith(said)
    assert refused.value.hint.startswith("nothing was imported")
    assert graph.revision == 0


@pytest.mark.parametrize("header", [{"intentstore": "1"}, {"intentstore": True}, {"intentstore": 1, "x": 2}, {"a": 1}])
def test_a_bad_header_is_refused(graph: IntentGraph, header: Any) -> None:
    with pytest.raises(FieldInvalid, match="line 1: the header is missing"):
        bring(graph, header, format="jsonl")


def test_a_file_of_a_newer_intentstore_is_refused(graph: IntentGraph) -> None:
    with pytest.raises(TooNew, match="line 1: a newer intentstore wrote this file"):
        bring(graph, {"intentstore": 2})


def test_an_empty_file_is_no_lines_of_ours_and_no_records_of_beads(graph: IntentGraph) -> None:
    assert import_into(graph, io.BytesIO(b"\n \n"), format="beads") == Imported(0, 0)
    with pytest.raises(FieldInvalid, match="header is missing"):
        import_into(graph, io.BytesIO(), format="jsonl")
    with pytest.raises(FieldInvalid, match="is empty"):
        import_into(graph, io.BytesIO())


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_is_refused(graph: IntentGraph, mark: bytes) -> None:
    for text in (mark + b'{"id":"a","title":"A"}\n', mark + b"\n"):
        with pytest.raises(FieldInvalid, match="line 1: the file begins with a byte-order mark"):
            import_into(graph, io.BytesIO(text))


def test_what_we_do_not_know_is_said_with_what_we_do(graph: IntentGraph, tmp_path: Path) -> None:
    with pytest.raises(FieldInvalid) as refused:
        bring(graph, {"a": 1})
    assert "jsonl, beads" in refused.value.hint
    with pytest.raises(FieldInvalid) as refused:
        bring(graph, {"intentstore-backup": 1})
    assert "restore" in refused.value.hint
    for format in ("yaml", "dot"):
        with pytest.raises(FieldInvalid) as refused:
            bring(graph, HEADER, format=format)
        assert refused.value.hint == f"use one of: {', '.join(name for name, each in FORMATS.items() if each.readable)}"
    with pytest.raises(FieldInvalid) as refused:
        export_from(graph, tmp_path / "x", format="auto")
    assert refused.value.hint == f"use one of: {', '.join(FORMATS)}"
    with pytest.raises(FieldInvalid, match="if_exists is 'merge'"):
        bring(graph, HEADER, if_exists="merge")


def test_a_text_stream_is_refused(graph: IntentGraph) -> None:
    with pytest.raises(FieldInvalid, match="gives text, not bytes"):
        import_into(graph, io.StringIO("{}"))  # type: ignore[arg-type]  # the mistake itself


def test_more_than_a_transaction_holds_is_refused_early(graph: IntentGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intentstore.formats.arrivals.MAX_CHANGES", 3)
    with pytest.raises(FieldInvalid, match="line 4: the file holds more than 3 changes"):
        bring(graph, *[bead(id) for id in "abcd"])
    with pytest.raises(FieldInvalid, match="line 2: the file holds more than 3 changes"):
        bring(graph, bead("a"), bead("b", dependencies=[needs("b", "a"), needs("b", "a", "related")]))


def test_what_is_too_large_to_keep_is_refused_by_its_line(graph: IntentGraph) -> None:
    large = "x" * (600 * 1024)
    with pytest.raises(FieldInvalid, match=r"line 2: intent is \d+ bytes encoded"):
        bring(graph, bead("a"), bead("b", notes=large, design=large))
    with pytest.raises(FieldInvalid, match=r"line 2: edge is \d+ bytes encoded"):
        bring(graph, bead("a"), bead("b", dependencies=[needs("b", "a", metadata=[large, large])]))
    with pytest.raises(FieldInvalid, match=r"line 1: record.beads.notes is longer than"):
        bring(graph, bead("a", notes=large + large))
    with pytest.raises(FieldInvalid, match=r"line 2: goal is longer"):
        bring(graph, HEADER, {"intent": {"goal": large}})
    assert graph.revision == 0


# --- files ---


@pytest.mark.parametrize("name", ["goals.jsonl", "goals.jsonl.gz"])
def test_a_file_comes_back_and_the_name_decides_on_gzip(graph: IntentGraph, tmp_path: Path, name: str) -> None:
    rich_graph(graph)
    exported = export_from(graph, tmp_path / name)
    assert (exported.intents, exported.edges) == (5, 8)
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    with open_graph("memory:") as other:
        assert import_into(other, str(tmp_path / name)) == Imported(5, 8)
        assert out(other) == out(graph)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_gzip_is_seen_by_content_in_a_stream_and_in_several_members(graph: IntentGraph) -> None:
    text = gzip.compress(b'{"id":"a","title":"A"}\n{"id":') + gzip.compress(b'"b","title":"B"}\n')
    assert import_into(graph, io.BytesIO(text)).intents == 2


def test_damaged_gzip_is_refused_by_the_line_it_reached(graph: IntentGraph, tmp_path: Path) -> None:
    rows = b"".join(b'{"id":"%d","title":"%s"}\n' % (at, os.urandom(400).hex().encode()) for at in range(2000))
    whole = gzip.compress(rows)
    path = tmp_path / "cut.gz"
    for damaged in (whole[: len(whole) // 2], whole[:-1], whole[:3], whole[:-8] + bytes(8), whole + b"rubbish"):
        path.write_bytes(damaged)
        with pytest.raises(FieldInvalid, match=r"line \d+: source (ends in the middle|is a damaged)"):
            import_into(graph, path)
    path.write_bytes(b'{"id":"a","title":"A"}')
    with pytest.raises(FieldInvalid, match="is not a gzip file"):
        import_into(graph, path)
    assert graph.revision == 0


def test_a_gzip_bomb_stops_at_the_line_limit(graph: IntentGraph) -> None:
    bomb = gzip.compress(b" " * (64 * 1024 * 1024))
    with pytest.raises(FieldInvalid, match="line 1: the line is longer"):
        import_into(graph, io.BytesIO(bomb))


def test_a_line_at_the_limit_passes(graph: IntentGraph) -> None:
    text = b'{"id":"a","title":"A"' + b" " * (MAX_LINE - 22) + b"}"
    assert len(text) == MAX_LINE
    assert import_into(graph, io.BytesIO(text + b"\n")).intents == 1


def test_a_missing_file_and_a_directory_are_refused(graph: IntentGraph, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, "nul\0l"):
        with pytest.raises(FieldInvalid, match=r"source .* cannot be read"):
            import_into(graph, path)
    for path in (tmp_path / "none" / "x", tmp_path, "nul\0l"):
        with pytest.raises(FieldInvalid, match=r"target .* cannot be written"):
            export_from(graph, path)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_stream_is_unavailable_not_invalid(graph: IntentGraph) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(Unavailable, match="line 1: the source cannot be read: Input/output error"):
        import_into(graph, Failing())
    with pytest.raises(Unavailable, match="writing failed: No space left"):
        export_from(graph, Failing())


def test_a_failed_export_leaves_what_stood_there(
    graph: IntentGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "goals.jsonl"
    path.write_bytes(b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("intentstore.formats.target.os.fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        export_from(graph, path)
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["goals.jsonl"]


def test_export_writes_through_a_link_and_into_a_pipe(graph: IntentGraph, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").touch()
    export_from(graph, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == out(graph)
    export_from(graph, "/dev/null")
    assert not Path("/dev/null").is_file()


def test_progress_ends_at_the_whole(graph: IntentGraph, tmp_path: Path) -> None:
    path = tmp_path / "goals.jsonl.gz"
    seen: list[tuple[int, int | None]] = []
    path.write_bytes(gzip.compress(b"".join(json.dumps(bead(str(at))).encode() + b"\n" for at in range(600))))
    import_into(graph, path, progress=lambda done, total: seen.append((done, total)))
    size = path.stat().st_size
    assert len(seen) == 4
    assert seen == sorted(seen, key=lambda pair: pair[0])
    assert seen[-1] == (size, size)
    seen.clear()
    export_from(graph, io.BytesIO(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (600, 600)


# --- pictures ---


def test_pictures_hold_every_intent_and_edge_and_quote_what_is_odd(graph: IntentGraph) -> None:
    from xml.etree import ElementTree as ET

    nasty = 'a "b" <c> & #d; \\n `e` [f] {g} (h) | i\x01\r\n\uffff ]]> --> "];\n end'
    one = graph.store(an_intent(id='an "id" <&>', goal=nasty, labels={"x,y"}))
    two = graph.store(an_intent(goal="g" * 500, name="short"))
    graph.link(one.id, "related_to", two.id, weight=0.5)
    graph.link(one.id, "is_subgoal_of", two.id)
    tree = ET.fromstring(out(graph, "graphml"))
    data = [datum.text for datum in tree.iter("{http://graphml.graphdrawing.org/xmlns}data")]
    assert nasty.replace("\x01", "\ufffd").replace("\uffff", "\ufffd") in data
    assert one.id in data
    drawing = out(graph, "dot").decode()
    assert '\\"b\\"' in drawing
    assert drawing.count("->") == 2 + drawing.count("--&gt;") + nasty.count("->")
    chart = out(graph, "mermaid").decode()
    assert chart.count("\n") == 1 + 2 + 2 + 6
    assert '"short"' in chart
    label = chart.split('["')[1 if chart.index("#34;b#34;") < chart.index("short") else 2].split('"]')[0]
    assert not set(label) & set('"<>&`\\[]{}()|')


def test_an_empty_graph_draws_an_empty_picture(graph: IntentGraph) -> None:
    for format in ("mermaid", "dot", "graphml"):
        assert export_from(graph, io.BytesIO(), format=format).intents == 0


# --- the real records ---


def real_data() -> Path:
    shared = os.environ.get("INTENTSTORE_SHARED_DATA") or Path(__file__).parent.parent.parent / "shared" / "data"
    path = Path(shared) / "agent-goals.beads.jsonl.gz"
    if not path.exists():
        pytest.skip("the real goals are not here (INTENTSTORE_SHARED_DATA names their directory)")
    return path


def test_the_real_goals_come_back_every_one(graph: IntentGraph) -> None:
    path = real_data()
    assert import_into(graph, path) == Imported(2542, 1008)
    with gzip.open(path) as file:
        assert same_json(records(graph), [json.loads(line) for line in file])
    assert (len(graph.ready(limit=5000)), len(graph.ready(limit=5000, leaves_only=False))) == (78, 80)
    with open_graph("memory:") as other:
        import_into(other, io.BytesIO(out(graph)))
        assert out(other) == out(graph)
        assert out(other, "beads") == out(graph, "beads")
