"""Claims about CCOS's files: whole in, equal out, contradictions told, nothing half imported."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intentstore import Code, Edge, Intent, IntentGraph, IntentStatus, Keyword, open_graph
from intentstore.codec import encode_edge, encode_intent
from intentstore.formats import Imported, ccos_edge, export_from, import_into
from intentstore.formats.ccos_keeping import intent_of, record_of
from intentstore.formats.ccos_value import older_value
from intentstore.ground.change import Note
from intentstore.ground.errors import AlreadyThere, FieldInvalid, IntentMissing, IntentStoreError, Invalid
from intentstore.ground.values import Map, freeze, freeze_map
from tests import ccos_files as ccos
from tests import invented
from tests.postgres_server import new_database

ODD = ccos.ODD


@pytest.fixture
def graph() -> Iterator[IntentGraph]:
    with open_graph("memory:") as opened:
        yield opened


def bring(graph: IntentGraph, document: Any, **options: Any) -> Imported:
    data = document if isinstance(document, bytes) else ccos.written(document)
    return import_into(graph, io.BytesIO(data), **options)


def out(graph: IntentGraph, **options: Any) -> Any:
    written = io.BytesIO()
    export_from(graph, written, format="ccos", **options)
    return json.loads(written.getvalue())


def spelled(document: Any) -> str:
    """Equal for two documents exactly when they are equal as JSON, 1 and 1.0 apart."""
    return json.dumps(document, sort_keys=True)


def ids(graph: IntentGraph) -> list[str]:
    return [intent.id for intent in graph.list(sort="id", limit=1000).intents]


def change(graph: IntentGraph, id: str, **fields: Any) -> None:
    graph.update(graph.intent(id).replace(**fields))


def told(graph: IntentGraph, id: str) -> list[str]:
    return [entry.change.text for entry in graph.history(id) if isinstance(entry.change, Note)]


# --- whole in, equal out ---


def test_a_backup_of_every_combination_of_fields_comes_back_equal(graph: IntentGraph) -> None:
    document = ccos.many()
    found = bring(graph, document)
    assert (found.intents, found.skipped) == (500, ())
    assert spelled(out(graph)) == spelled(document)
    with open_graph("memory:") as second:
        bring(second, out(graph))
        assert spelled(out(second)) == spelled(document)
        assert ids(graph) == ids(second)
        assert all(
            graph.intent(id) == second.intent(id).replace(revision=graph.intent(id).revision) for id in ids(graph)
        )


@pytest.mark.parametrize(
    "url", ["memory:", "file:{}/store", "file:{}/store?encoding=rtfs", "sqlite:{}/goals.db", "postgresql"]
)
def test_a_backup_comes_back_equal_from_every_storage_and_across_them(url: str, tmp_path: Path) -> None:
    document = ccos.many(seed=7)
    url = new_database() if url == "postgresql" else url.format(tmp_path)
    with open_graph(url) as graph:
        bring(graph, document)
        assert spelled(out(graph)) == spelled(document)
        lines = io.BytesIO()
        export_from(graph, lines, format="jsonl")
        there = {id: encode_intent(graph.intent(id).replace(revision=0)) for id in ids(graph)}
    with open_graph(url) as again, open_graph("memory:") as other:
        if url != "memory:":
            assert spelled(out(again)) == spelled(document)
        lines.seek(0)
        import_into(other, lines)
        assert {id: encode_intent(other.intent(id).replace(revision=0)) for id in ids(other)} == there
        assert spelled(out(other)["intents"]) == spelled(document["intents"])


@pytest.mark.parametrize(
    "document",
    [
        {"intents": {}, "edges": [], "version": "1.0", "timestamp": 5},
        {"version": "1.1", "intents": {}, "timestamp": 5, "edges": [], "manifest": None, "rtfs": None},
        {"intents": {"a": ccos.record("a")}, "edges": [], "version": "1.0", "timestamp": 1.0, "new": {"x": [1, 1.0]}},
        ccos.backup([ccos.record("b"), ccos.record("a", ODD, extra=True)]),
        ccos.backup([ccos.record("a")], rtfs=None, manifest=None),
        {"edges": [], "intents": {"a": ccos.record("a")}, "root_intent_id": "a", "version": "1.0", "timestamp": 1},
    ],
    ids=["empty 1.0", "empty 1.1", "unknown fields", "two", "live file", "subgraph"],
)
def test_a_file_nothing_was_changed_of_comes_back_as_it_came(graph: IntentGraph, document: Any) -> None:
    bring(graph, document)
    found = out(graph)
    assert (spelled(found), list(found)) == (spelled(document), list(document))


@given(invented.intents(invented.ids))
def test_any_intent_goes_into_a_record_and_comes_back(intent: Intent) -> None:
    intent = intent.replace(revision=0)
    record = json.loads(json.dumps(record_of(intent)))
    back = intent_of(record)
    assert encode_intent(back) == encode_intent(intent)
    assert spelled(record_of(back)) == spelled(record)


@given(invented.edges)
def test_any_edge_goes_into_a_record_and_comes_back(edge: Edge) -> None:
    record = json.loads(json.dumps(ccos_edge.record_of(edge)))
    back = ccos_edge.edge_of(record, 0)
    assert spelled(ccos_edge.record_of(back)) == spelled(record)
    bare = {key: value for key, value in edge.metadata.items() if key != "ccos"}
    again = {key: value for key, value in back.metadata.items() if key != "ccos"}
    wanted = edge.replace(metadata=bare, revision=0)
    assert encode_edge(back.replace(metadata=again, revision=0)) == encode_edge(wanted)


_texts = st.sampled_from(ccos.TEXTS) | invented.texts
_metadata = st.dictionaries(
    st.sampled_from(["a", "b c", "status_transition_1_0", "ccos", "intentstore", "$map", "k.d"]) | invented.texts,
    _texts,
    max_size=4,
)
_entries = st.dictionaries(invented.texts, _texts, max_size=3)
_older = st.recursive(
    st.sampled_from(
        (
            *("Nil", "Null", {"Integer": 3}, {"Float": 1.0}, {"Keyword": "k"}, {"Symbol": "s"}, {"Timestamp": "then"}),
            *(
                {"String": 'keyword:Keyword("a")'},
                {"String": "uuid:zz"},
                {"Uuid": "550e8400-e29b-41d4-a716-446655440000"},
                5,
                True,
                None,
            ),
        )
    ),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: {"Vector": items})
        | st.dictionaries(st.sampled_from(('Keyword(Keyword("a"))', 'String("b")', "c")), inner, max_size=2).map(
            lambda items: {"Map": items}
        )
    ),
    max_leaves=4,
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    given: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {
                "goal": invented.goals,
                "name": invented.perhaps_text,
                "constraints": _entries,
                "preferences": _entries,
                "success_criteria": st.none() | _texts,
                "status": st.sampled_from((*ccos.STATUSES, "active")),
                "priority": st.integers(0, 2**32 - 1),
                "created_at": st.integers(0, 2**33),
                "metadata": _metadata,
            },
            optional={"extra": st.sampled_from((1, 1.0, True, {"a": [1]})), "session_id": invented.perhaps_text},
        )
    )
    record = ccos.record(draw(invented.ids), **given)
    if draw(st.booleans()):
        for field in ("rtfs_intent_source", "generation_context", "priority", "triggered_by", "session_id"):
            record.pop(field, None)
        for field in ("constraints", "metadata"):
            record[field] = draw(st.dictionaries(invented.texts, _older, max_size=2))
    return record


@given(records())
def test_any_record_comes_back_as_it_was(record: dict[str, Any]) -> None:
    assert spelled(record_of(intent_of(record))) == spelled(record)


_ours = st.sampled_from(
    (
        *('{"labels":["x"]}', '{"labels":5}', "{", "[]", '{"unknown":1}', '{"metadata":5}', '{"priority":7}'),
        *('{"metadata":{"a":1},"order":["a","b"]}', '{"order":5}', '{"type":"x_y"}', '{"created_at":"then"}'),
    )
)


@given(records(), _ours)
def test_what_others_put_where_ours_travels_comes_back(record: dict[str, Any], text: str) -> None:
    record["metadata"] = {**record["metadata"], "intentstore": text}
    assert spelled(record_of(intent_of(record))) == spelled(record)


_edge_records = st.fixed_dictionaries(
    {
        "from": invented.ids,
        "to": invented.ids,
        "edge_type": st.sampled_from((*ccos.TYPES, "IsSubgoalOf", "Custom", "blocks")),
    },
    optional={
        "metadata": st.none() | st.dictionaries(invented.texts | st.just("ccos"), invented.texts, max_size=3),
        "weight": st.sampled_from((None, 0, 1, 0.5, 1.0, 1e-9, 0.0)),
        "extra": st.just({"a": [1, 1.0]}),
    },
).filter(lambda record: record["from"] != record["to"])


@given(_edge_records, st.none() | _ours)
def test_any_record_of_an_edge_comes_back_as_it_was(record: dict[str, Any], ours: str | None) -> None:
    if ours is not None:
        record = {**record, "metadata": {**(record.get("metadata") or {}), "intentstore": ours}}
    assert spelled(ccos_edge.record_of(ccos_edge.edge_of(record, 3))) == spelled(record)


# --- what it means here ---


def test_a_record_is_an_intent_with_values(graph: IntentGraph) -> None:
    context: dict[str, Any] = {
        "arbiter_version": "1.0.0",
        "generation_timestamp": 5,
        "input_context": {},
        "reasoning_trace": "r",
    }
    bring(
        graph,
        ccos.backup(
            [
                ccos.record(
                    "i",
                    "nil",
                    name="twin",
                    session_id="s",
                    original_request="please",
                    constraints={"max-cost": "25.0", "region": "[:eu :us]", "note": "done by friday", "n": "1"},
                    success_criteria="(< cost 100.0)",
                    generation_context=context,
                    status="Suspended",
                    priority=7,
                    updated_at=ccos.START + 1,
                )
            ]
        ),
    )
    intent = graph.intent("i")
    assert (intent.goal, intent.name, intent.session_id, intent.original_request) == ("nil", "twin", "s", "please")
    assert intent.constraints == {
        "max-cost": 25.0,
        "region": (Keyword("eu"), Keyword("us")),
        "note": Code("done by friday"),
        "n": 1,
    }
    assert type(intent.constraints["n"]) is int
    assert intent.success_criteria == Code("(< cost 100.0)")
    assert (intent.status, intent.priority, intent.generation_context) == (IntentStatus.SUSPENDED, 7, Map(context))
    assert (intent.updated_at - intent.created_at).total_seconds() == 1
    assert intent.rtfs_source == '(intent "i" :goal "nil")'


def test_what_was_changed_here_shows_and_the_rest_is_as_it_came(graph: IntentGraph) -> None:
    records = [
        ccos.record("a", constraints={"x": " 5 ", "y": "1.50"}, priority=3, extra=1, metadata={"k": "v"}),
        ccos.record("b", name="b"),
    ]
    document = ccos.backup(records, [ccos.edge("b", "DependsOn", "a", weight=0.5)])
    bring(graph, document)
    change(graph, "a", constraints={"x": 5, "y": 2.5}, labels=["urgent"], priority=4)
    graph.unlink("b", "depends_on", "a")
    graph.link("b", "is_subgoal_of", "a")
    found = out(graph)
    a = found["intents"]["a"]
    assert (a["constraints"], a["priority"], a["extra"]) == ({"x": " 5 ", "y": "2.5"}, 4, 1)
    assert json.loads(a["metadata"]["intentstore"])["labels"] == ["urgent"]
    assert (a["metadata"]["k"], a["child_intents"]) == ("v", ["b"])
    assert spelled({**found["intents"]["b"], "parent_intent": None}) == spelled(records[1])
    assert found["intents"]["b"]["parent_intent"] == "a"
    assert [(edge["from"], edge["edge_type"], edge["to"]) for edge in found["edges"]] == [("b", "IsSubgoalOf", "a")]
    assert found["version"] == "1.1"
    with open_graph("memory:") as again:
        bring(again, found)
        for id in ("a", "b"):
            assert again.intent(id).labels == graph.intent(id).labels
            assert again.intent(id).constraints == graph.intent(id).constraints
            assert again.intent(id).updated_at == graph.intent(id).updated_at, "to the microsecond"
        assert spelled(out(again)) == spelled(found)


def test_what_ccos_has_no_field_for_goes_through_it(graph: IntentGraph) -> None:
    value = freeze({"a": 1, 3: (Keyword("k"), None)}, "value")
    stored = graph.store(
        Intent(
            goal=ODD,
            labels=("b", "a"),
            metadata=freeze_map({"v": value, "$map": "t", "ccos": 5}, ""),
            success_criteria=Map({"q": 1}),
            priority=-5,
            triggered_by="cron",
            constraints=freeze_map({"two words": Code("(f x)"), 4: "x", Keyword("k"): 1e300}, ""),
        )
    )
    other = graph.store(Intent(goal="Other"))
    graph.link(other.id, "discovered_from", stored.id, weight=1e-9, metadata={"v": value, "t": "text"})
    document = out(graph)
    record = document["intents"][stored.id]
    assert (record["priority"], record["triggered_by"], record["status"]) == (0, "HumanRequest", "Active")
    assert all(type(text) is str for text in record["metadata"].values())
    assert document["edges"][0]["edge_type"] == "RelatedTo"
    assert set(document) == {"intents", "edges", "version", "timestamp", "manifest", "rtfs"}
    with open_graph("memory:") as again:
        bring(again, document)
        assert encode_intent(again.intent(stored.id).replace(revision=0)) == encode_intent(stored.replace(revision=0))
        (edge,) = again.edges_of([other.id])
        assert (edge.type, edge.weight, edge.metadata["v"]) == ("discovered_from", 1e-9, value)
        assert edge.created_at == next(iter(graph.edges_of([other.id]))).created_at
        assert spelled(out(again)) == spelled(document)


def test_moves_of_status_become_history_once(graph: IntentGraph) -> None:
    moves = {
        "status_transition_1750000009_1": "1750000009: Executing -> Completed (reason: done)",
        "status_transition_1750000005_0": "1750000005: Active -> Executing (reason: λ)",
    }
    document = ccos.backup([ccos.record("a", status="Completed", metadata=moves)])
    bring(graph, document)
    assert told(graph, "a") == [moves["status_transition_1750000005_0"], moves["status_transition_1750000009_1"]]
    bring(graph, document, if_exists="replace")
    assert len(told(graph, "a")) == 2
    assert spelled(out(graph)) == spelled(document)


def test_what_ccos_flattened_is_read_back_where_it_is_certain() -> None:
    for flat, value in (
        ({"String": 'keyword:Keyword("eu")'}, Keyword("eu")),
        ({"String": "keyword::eu"}, Keyword("eu")),
        ({"String": "keyword:not a word"}, "keyword:not a word"),
        ({"String": "timestamp:soon"}, "timestamp:soon"),
        (
            {"Vector": [{"Float": 1.0}, {"Map": {'Keyword(Keyword("a"))': "Nil", "Integer(3)": {"String": "x"}}}]},
            (1.0, Map({Keyword("a"): None, 3: "x"})),
        ),
        ("<<function>>", "<<function>>"),
        ({"a": 1, "b": 2}, Map({"a": 1, "b": 2})),
    ):
        assert older_value(flat, "x") == value
    wrong: list[Any] = [{"Uuid": "no"}, {"Vector": 5}, {"Map": []}, {"Error": {}}, {"Keyword": 5}]
    for malformed in wrong:
        with pytest.raises(FieldInvalid, match="x"):
            older_value(malformed, "x")


# --- relations ---


def relations(graph: IntentGraph) -> set[tuple[str, str, str]]:
    return {(edge.source, str(edge.type), edge.target) for edge in graph.edges_of(ids(graph))}


def test_parents_and_children_are_edges_whoever_says_so(graph: IntentGraph) -> None:
    records = [
        ccos.record("root", child_intents=["by-list", "by-both"]),
        ccos.record("by-list"),
        ccos.record("by-both", parent_intent="root"),
        ccos.record("by-parent", parent_intent="root"),
        ccos.record("by-edge"),
    ]
    document = ccos.backup(records, [ccos.edge("by-edge", "IsSubgoalOf", "root", weight=1.0)])
    assert bring(graph, document).skipped == ()
    assert relations(graph) == {(id, "is_subgoal_of", "root") for id in ("by-list", "by-both", "by-parent", "by-edge")}
    assert spelled(out(graph)) == spelled(document)


def test_a_child_list_that_contradicts_the_edges_is_told_and_the_edges_win(graph: IntentGraph) -> None:
    records = [
        ccos.record("a", child_intents=["c"]),
        ccos.record("b"),
        ccos.record("c", parent_intent="a"),
        ccos.record("d", child_intents=["e"]),
        ccos.record("e", parent_intent="a"),
    ]
    document = ccos.backup(records, [ccos.edge("c", "IsSubgoalOf", "b")])
    found = bring(graph, document)
    assert relations(graph) == {("c", "is_subgoal_of", "b"), ("e", "is_subgoal_of", "a"), ("e", "is_subgoal_of", "d")}
    whys = [(skipped.id, skipped.why) for skipped in found.skipped]
    assert ("c", "its parent_intent says that 'c' is below 'a'; the edges say 'b'") in whys
    assert ("a", "its child_intents says that 'c' is below 'a'; the edges say 'b'") in whys
    assert any(id == "d" and "both were taken" in why for id, why in whys)
    assert all(skipped.line > 1 for skipped in found.skipped)
    assert spelled(out(graph)) == spelled(document)


def test_what_cannot_be_an_edge_is_told_and_comes_back(graph: IntentGraph) -> None:
    edges = [
        ccos.edge("a", "DependsOn", "nowhere"),
        ccos.edge("a", "DependsOn", "a"),
        ccos.edge("a", "DependsOn", "b", weight=0.5),
        ccos.edge("a", "DependsOn", "b", weight=0.7),
        ccos.edge("b", "DependsOn", "c"),
        ccos.edge("c", "DependsOn", "a"),
        ccos.edge("x", "Blocks", "y"),
        {"from": "a", "to": 5, "edge_type": "Blocks"},
        "no edge",
        ccos.edge("b", "ConflictsWith", "a"),
    ]
    records = [
        ccos.record("a", parent_intent="gone", child_intents=["a", "gone", "b", "b"]),
        ccos.record("b", parent_intent="c"),
        ccos.record("c", parent_intent="a"),
    ]
    document = ccos.backup(records, edges)
    found = bring(graph, document)
    whys = " · ".join(skipped.why for skipped in found.skipped)
    for expected in ("'nowhere', which is neither", "cannot be an edge", "says already", "close a cycle", "'gone'"):
        assert expected in whys, whys
    assert ("a", "depends_on", "b") in relations(graph)
    assert ("c", "depends_on", "a") not in relations(graph)
    assert spelled(out(graph)) == spelled(document)
    change(graph, "a", goal="Another")
    again = out(graph)
    assert spelled(again["edges"]) == spelled(edges)
    assert again["intents"]["a"]["child_intents"] == ["a", "gone", "b", "b"]


def test_parents_in_a_circle_are_told_and_come_back(graph: IntentGraph) -> None:
    records = [
        ccos.record("a", parent_intent="b", child_intents=["b"]),
        ccos.record("b", parent_intent="a"),
        ccos.record("c"),
        ccos.record("d"),
    ]
    edges = [
        ccos.edge("c", "IsSubgoalOf", "d"),
        ccos.edge("d", "IsSubgoalOf", "c"),
        ccos.edge("d", "IsSubgoalOf", "c", weight=1.0),
    ]
    document = ccos.backup(records, edges)
    found = bring(graph, document)
    assert len(relations(graph)) == 2
    assert [skipped.id for skipped in found.skipped if "would close a cycle" in skipped.why]
    assert spelled(out(graph)) == spelled(document)


def test_a_subgraph_backup_whose_root_has_a_parent_outside(graph: IntentGraph) -> None:
    document = {
        "intents": {
            "root": ccos.record("root", parent_intent="outside", child_intents=["leaf"]),
            "leaf": ccos.record("leaf", parent_intent="root"),
        },
        "edges": [ccos.edge("leaf", "IsSubgoalOf", "root")],
        "root_intent_id": "root",
        "version": "1.0",
        "timestamp": 5,
    }
    found = bring(graph, document)
    assert [(skipped.id, skipped.why) for skipped in found.skipped] == [
        ("root", "its parent_intent names 'outside', which is neither in the file nor in the graph")
    ]
    assert spelled(out(graph)) == spelled(document)


def test_a_subgraph_is_exported_by_its_root(graph: IntentGraph) -> None:
    bring(
        graph,
        ccos.backup(
            [
                ccos.record("top", child_intents=["root"]),
                ccos.record("root", parent_intent="top", child_intents=["leaf"]),
                ccos.record("leaf", parent_intent="root"),
                ccos.record("beside"),
            ],
            [ccos.edge("leaf", "DependsOn", "beside"), ccos.edge("leaf", "RelatedTo", "root")],
        ),
    )
    found = out(graph, root="root")
    assert list(found) == ["intents", "edges", "root_intent_id", "version", "timestamp"]
    assert sorted(found["intents"]) == ["leaf", "root"]
    assert found["intents"]["root"]["parent_intent"] == "top"
    assert [edge["edge_type"] for edge in found["edges"]] == ["RelatedTo"]
    assert (found["root_intent_id"], found["version"]) == ("root", "1.0")
    with open_graph("memory:") as other:
        assert bring(other, found).intents == 2
        assert spelled(out(other)) == spelled(found)
    with pytest.raises(IntentMissing):
        out(graph, root="none")


def test_versions_are_chosen(graph: IntentGraph) -> None:
    bring(graph, ccos.backup([ccos.record("a")]))
    older = out(graph, version="1.0")
    assert list(older) == ["intents", "edges", "version", "timestamp"]
    assert older["version"] == "1.0"
    assert spelled(out(graph)["intents"]) == spelled(older["intents"])
    with pytest.raises(FieldInvalid, match=r"'2\.0' is not known"):
        out(graph, version="2.0")
    choices: list[dict[str, Any]] = [{"version": "1.0"}, {"root": "a"}]
    for choice in choices:
        with pytest.raises(FieldInvalid, match="means nothing to jsonl") as refused:
            export_from(graph, io.BytesIO(), format="jsonl", **choice)
        assert "export ccos" in refused.value.hint


# --- the text beside the JSON ---


def test_a_text_that_contradicts_the_json_is_told_and_comes_back(graph: IntentGraph) -> None:
    records = [ccos.record("a", "Ship"), ccos.record("b")]
    edges = [ccos.edge("a", "DependsOn", "b")]
    others = [ccos.record("a", "Sink", status="Failed"), ccos.record("c")]
    document = ccos.backup(records, edges, rtfs=ccos.backup(others, [ccos.edge("a", "Blocks", "c")])["rtfs"])
    found = bring(graph, document)
    assert [skipped.why for skipped in found.skipped] == [
        f"the file's RTFS text {why}; its JSON was taken"
        for why in (
            "says another goal of a",
            "says another rtfs_intent_source of a",
            "says another status of a",
            "lacks the intent b",
            "has the intent c, which the JSON lacks",
            "has the edge a blocks c, which the JSON lacks",
            "lacks the edge a depends_on b",
        )
    ]
    assert graph.intent("a").goal == "Ship"
    assert spelled(out(graph)) == spelled(document)


def test_a_text_that_cannot_be_read_is_told_and_comes_back(graph: IntentGraph) -> None:
    document = ccos.backup([ccos.record("a")], rtfs="(intent-graph (intents")
    found = bring(graph, document)
    assert "cannot be read" in found.skipped[0].why
    assert spelled(out(graph)) == spelled(document)


def test_a_text_with_the_same_content_in_another_order_is_no_contradiction(graph: IntentGraph) -> None:
    records = [ccos.record(id, ODD) for id in ("a", "b", "c")]
    document = ccos.backup(records, rtfs=ccos.backup(records[::-1])["rtfs"])
    assert bring(graph, document).skipped == ()
    assert spelled(out(graph)) == spelled(document)


def test_the_text_follows_what_was_changed_here(graph: IntentGraph) -> None:
    bring(graph, ccos.backup([ccos.record("a", "Ship"), ccos.record("b")]))
    change(graph, "a", goal=ODD)
    text = out(graph)["rtfs"]
    assert 'say "a' not in text
    assert 'a \\"quoted\\" \\\\ line\nand λ' in text


def test_many_contradictions_are_counted_and_a_long_text_is_not_kept(graph: IntentGraph) -> None:
    records = [ccos.record(f"{at:03}", ODD * 400) for at in range(30)]
    document = ccos.backup(records, rtfs=ccos.backup([*records[5:], ccos.record("x")])["rtfs"].replace("λ", "l"))
    whys = [skipped.why for skipped in bring(graph, document).skipped]
    assert (len(whys), "differs in" in whys[20], "too long to keep" in whys[21]) == (22, True, True)
    found = out(graph)
    assert spelled(found["intents"]) == spelled(document["intents"])
    with open_graph("memory:") as other:
        assert bring(other, found).skipped == ()


# --- intents that are there already ---


@pytest.mark.parametrize("choice", ["refuse", "replace", "keep"])
def test_what_is_in_the_graph_already_is_refused_replaced_or_kept(graph: IntentGraph, choice: Any) -> None:
    records = [ccos.record("a", child_intents=["b"]), ccos.record("b"), ccos.record("c")]
    bring(graph, ccos.backup(records, [ccos.edge("a", "DependsOn", "c"), ccos.edge("b", "Enables", "c")]))
    graph.store(Intent(id="mine", goal="Mine"))
    graph.link("a", "depends_on", "mine")
    changed = [ccos.record("a", "Ship it"), ccos.record("b"), ccos.record("c"), ccos.record("d", parent_intent="a")]
    document = ccos.backup(changed, [ccos.edge("b", "Enables", "c", weight=0.5)])
    before = graph.revision
    if choice == "refuse":
        with pytest.raises(AlreadyThere, match=r"line \d+: intent a is in the graph already"):
            bring(graph, document)
        assert graph.revision == before
        return
    found = bring(graph, document, if_exists=choice)
    assert found.intents == (4 if choice == "replace" else 1)
    assert graph.intent("a").goal == ("Ship it" if choice == "replace" else "Ship")
    expected = {("a", "depends_on", "mine"), ("b", "enables", "c"), ("d", "is_subgoal_of", "a")}
    if choice == "keep":
        expected |= {("a", "depends_on", "c"), ("b", "is_subgoal_of", "a")}
    assert relations(graph) == expected


# --- archives ---


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.json")}


def test_an_archive_gives_only_what_its_index_names(graph: IntentGraph, tmp_path: Path) -> None:
    old, new, kept = ccos.record("a", "Old"), ccos.record("a", "New", updated_at=ccos.START + 9), ccos.record("b", ODD)
    ccos.archive(tmp_path, [new, kept], [ccos.edge("a", "DependsOn", "b")])
    for gone in (old, ccos.record("deleted")):
        ccos.filed(tmp_path / "intents", gone)
    (tmp_path / "intents" / "intent_index.json").write_text("{}")
    (tmp_path / "intents" / ".archive_lock").write_text("")
    assert len(files(tmp_path)) == 8
    found = import_into(graph, tmp_path)
    assert (found.intents, found.edges, found.skipped) == (2, 1, ())
    assert [intent.goal for intent in graph.list(sort="id").intents] == ["New", ODD]
    assert relations(graph) == {("a", "depends_on", "b")}
    assert spelled(out(graph)["intents"]) == spelled({"a": new, "b": kept})


def test_an_archive_of_intents_alone_and_its_odd_edges(graph: IntentGraph, tmp_path: Path) -> None:
    ccos.archive(tmp_path, [ccos.record("a"), ccos.record("b")], [ccos.edge("b", "Blocks", "gone", weight="heavy")])
    assert "cannot be an edge" in import_into(graph, tmp_path).skipped[0].why
    assert "(intent " in out(graph)["rtfs"]
    (tmp_path / "edges" / "index.json").unlink()
    assert import_into(graph, tmp_path, if_exists="keep").intents == 0


def test_of_two_records_of_one_id_the_later_counts(graph: IntentGraph, tmp_path: Path) -> None:
    later = ccos.record("a", "Later", updated_at=ccos.START + 1)
    ccos.archive(tmp_path, [later, ccos.record("a", "Sooner")])
    found = import_into(graph, tmp_path, format="ccos")
    assert graph.intent("a").goal == "Later"
    assert [skipped.id for skipped in found.skipped] == ["a"]


def test_older_records_of_an_archive_hold_values(graph: IntentGraph, tmp_path: Path) -> None:
    older = {
        "intent_id": "old",
        "name": "old",
        "original_request": "please",
        "goal": "Ship",
        "constraints": {"max-cost": {"Float": 25.0}, "where": {"Vector": [{"Keyword": "eu"}]}},
        "preferences": {"who": "Nil"},
        "success_criteria": {"Boolean": True},
        "status": "Completed",
        "created_at": 5,
        "updated_at": 6,
        "metadata": {"n": {"Integer": 3}},
    }
    ccos.archive(tmp_path, [older])
    import_into(graph, tmp_path)
    intent = graph.intent("old")
    assert intent.constraints == {"max-cost": 25.0, "where": (Keyword("eu"),)}
    assert (intent.preferences, intent.success_criteria, intent.metadata["n"]) == (Map({"who": None}), True, 3)
    assert spelled(out(graph)["intents"]["old"]) == spelled(older)


def _missing(part: Path) -> None:
    next(path for path in part.rglob("*.json") if path.name != "index.json").unlink()


def _altered(part: Path) -> None:
    path = next(path for path in part.rglob("*.json") if path.name != "index.json")
    path.write_text(path.read_text().replace("Ship", "Sink"))


def _outside(part: Path) -> None:
    ccos.indexed(part, {"ab": "../../etc/passwd"})


def _linked(part: Path) -> None:
    (part / "out.json").symlink_to(part.parent.parent)
    ccos.indexed(part, {"ab": "out.json/x"})


def _odd_index(part: Path) -> None:
    (part / "index.json").write_text("[]")


def _cut_index(part: Path) -> None:
    (part / "index.json").write_text('{"a":')


def _no_intent(part: Path) -> None:
    ccos.indexed(part, dict([ccos.filed(part, {"intent_id": "a"})]))


def _directory(part: Path) -> None:
    (part / "ab").mkdir()
    ccos.indexed(part, {"ab": "ab"})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_directory, "intents/ab cannot be read"),
        (_missing, r"\.json is missing, though the index names it"),
        (_altered, r"\.json was altered"),
        (_outside, "lies outside the archive"),
        (_linked, "leads out of the archive"),
        (_odd_index, r"intents/index\.json must be an object"),
        (_cut_index, r"intents/index\.json is not JSON"),
        (_no_intent, r"intents/../../\w+\.json: goal is missing"),
    ],
)
def test_an_archive_that_is_not_whole_is_refused_by_its_file(
    graph: IntentGraph, tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    ccos.archive(tmp_path / "archive", [ccos.record("a")], [])
    harm(tmp_path / "archive" / "intents")
    with pytest.raises(Invalid, match=said) as refused:
        import_into(graph, tmp_path / "archive")
    assert refused.value.hint.startswith("nothing was imported")
    assert graph.revision == 0


# --- bad files ---


def test_a_backup_cut_short_anywhere_is_refused_inside_it(graph: IntentGraph) -> None:
    data = ccos.written(ccos.backup([ccos.record("a", ODD), ccos.record("b")], [ccos.edge("a", "Blocks", "b")]))
    lines = data.count(b"\n") + 1
    for end in range(1, len(data) - 1, 7):
        with pytest.raises(IntentStoreError) as refused:
            bring(graph, data[:end], format="ccos")
        assert 1 <= refused.value.fields.get("line", 1) <= lines
        assert "nothing was imported" in refused.value.hint
    assert graph.revision == 0


def _with(**fields: Any) -> dict[str, Any]:
    return ccos.backup([ccos.record("z"), ccos.record("a", **fields)])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (ccos.backup([], version="9.9"), r"version '9\.9' is not one we know"),
        (ccos.backup([], version=None), "version None"),
        ({"edges": [], "version": "1.1"}, "the file has no intents"),
        (ccos.backup([], intents=[]), "intents must be an object"),
        ({**ccos.backup([]), "edges": {}}, "edges must be a list"),
        (_with(status="Sleeping"), r"line 28: status 'Sleeping' is no status of CCOS"),
        (_with(goal=None), r"line \d+: goal"),
        (_with(goal="  "), r"line \d+: goal"),
        (_with(priority=1.5), r"line \d+: priority must be an integer"),
        (_with(created_at=-1), r"line \d+: created_at"),
        (_with(created_at=2**60), r"line \d+: created_at"),
        (_with(constraints=[]), r"line \d+: constraints must be an object"),
        (_with(constraints={"x": "a\0b"}), r"line 28: the file contains a NUL"),
        (_with(child_intents={}), r"line \d+: child_intents must be a list"),
        (_with(child_intents=[5]), r"line \d+: child_intents\[0\]"),
        (_with(parent_intent=5), r"line \d+: parent_intent"),
        (_with(metadata=None), r"line \d+: metadata must be an object"),
        (ccos.backup([], intents={"a": ccos.record("b")}), r"line \d+: intent_id is 'b', but its key is 'a'"),
        (ccos.backup([], intents={"a": 5}), r"line \d+: the intent must be an object"),
    ],
)
def test_a_bad_backup_is_refused_by_its_line_and_nothing_is_imported(
    graph: IntentGraph, document: Any, said: str
) -> None:
    with pytest.raises(IntentStoreError, match=said) as refused:
        bring(graph, document, format="ccos")
    assert refused.value.hint.startswith("nothing was imported")
    assert graph.revision == 0


def test_trouble_in_the_middle_of_a_file_is_placed(graph: IntentGraph) -> None:
    data = ccos.written(ccos.backup([ccos.record("a"), ccos.record("b")], [ccos.edge("a", "Blocks", "b")]))
    half = data.index(b'"b": {')
    line = data.count(b"\n", 0, half) + 1
    head, tail = data[:half], data[half:]
    for harmed in (
        head + tail.replace(b'"goal"', b'"name"', 1),
        head + tail.replace(b'"Ship"', b'"\\ud800"', 1),
        head + tail.replace(b'"Ship"', b'"\xff"', 1),
        head + tail.replace(b'"Ship"', b"1e999", 1),
        head + tail.replace(b'"Ship"', b"[" * 99 + b"]" * 99, 1),
    ):
        with pytest.raises(Invalid, match=r"line \d+: the file") as refused:
            bring(graph, harmed, format="ccos")
        assert line <= refused.value.fields["line"] < line + 26
    with pytest.raises(Invalid, match="holds the key 'a' twice"):
        bring(graph, data.replace(b'    "b": {', b'    "a": {', 1), format="ccos")


def test_a_deep_or_doubled_file_is_refused(graph: IntentGraph) -> None:
    for data in (b'{"intents":' + b"[" * 100_000, b'{"intents":{"a":1,"a":2},"version":"1.0"}', b"\xef\xbb\xbf{}", b""):
        with pytest.raises(Invalid):
            bring(graph, data, format="ccos")
    assert graph.revision == 0


def test_a_directory_that_is_no_archive_is_refused(graph: IntentGraph, tmp_path: Path) -> None:
    for format in ("auto", "ccos", "rtfs", "jsonl"):
        with pytest.raises(FieldInvalid, match="it is a directory") as refused:
            import_into(graph, tmp_path, format=format)
        assert refused.value.hint.startswith("nothing was imported")


def test_a_file_is_known_by_its_content(graph: IntentGraph) -> None:
    for document in (
        {"timestamp": 1, "version": "1.0", "intents": {}, "edges": []},
        {"root_intent_id": "a", "intents": {"a": ccos.record("a")}, "version": "1.0"},
    ):
        assert bring(graph, document, if_exists="keep").edges == 0
    assert graph.intent("a").goal == "Ship"
