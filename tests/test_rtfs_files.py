"""Claims about RTFS files: every intent and edge of them in, the rest counted, a snapshot that says everything."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intentstore import Edge, Intent, IntentGraph, Keyword, Map, Symbol, open_graph
from intentstore.codec import encode_edge, encode_intent
from intentstore.formats import FORMATS, Imported, export_from, import_into
from intentstore.ground.errors import AlreadyThere, CycleRefused, FieldInvalid, IntentStoreError, RtfsSyntaxError
from intentstore.ground.values import freeze_map
from tests import invented
from tests.postgres_server import new_database

ODD = invented.ODD


@pytest.fixture
def graph() -> Iterator[IntentGraph]:
    with open_graph("memory:") as opened:
        yield opened


def bring(graph: IntentGraph, text: str | bytes, **options: Any) -> Imported:
    return import_into(graph, io.BytesIO(text.encode() if isinstance(text, str) else text), **options)


def out(graph: IntentGraph, format: str = "rtfs") -> bytes:
    written = io.BytesIO()
    export_from(graph, written, format=format)
    return written.getvalue()


def intents(graph: IntentGraph) -> list[Intent]:
    return list(graph.list(sort="id", limit=1000).intents)


def relations(graph: IntentGraph) -> list[tuple[str, str, str]]:
    edges = graph.edges_of([intent.id for intent in intents(graph)])
    return sorted({(edge.source, str(edge.type), edge.target) for edge in edges})


def content(graph: IntentGraph) -> tuple[list[bytes], list[bytes]]:
    """Everything a graph holds but for its revisions."""
    found = intents(graph)
    edges = {edge.key: edge for edge in graph.edges_of([intent.id for intent in found])}
    return (
        [encode_intent(intent.replace(revision=0)) for intent in found],
        [encode_edge(edges[key].replace(revision=0)) for key in sorted(edges)],
    )


FULL = [name for name, each in FORMATS.items() if each.readable and each.write is not None and name != "beads"]


def filled(graph: IntentGraph) -> IntentGraph:
    """A graph with what is hard to carry, section by section of what is promised."""
    goals = (ODD, "nil", "true", ":x", '(intent "x" :goal "y")', "2025-01-02T03:04:05_678Z", "#| a |# :b")
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    for at, goal in enumerate(goals):
        constraints = {
            "one": 1,
            "one point": 1.0,
            "large": 1e300,
            "minus": -0.0,
            "keys": {1: Keyword("a"), "1": Keyword("b"), Keyword("1"): Keyword("c")},
            "version": Symbol("ns.sub:v1.2/name"),
            "deep": deep,
        }
        graph.store(
            Intent(
                id=f'id "{at}" /λ/'.replace(" ", "_"),
                goal=goal,
                name="twin",
                constraints=freeze_map(constraints, "constraints"),
                metadata=freeze_map({"with space": 1, 'quo"te': 2, "d.o.t": 3, "$map": 4}, "metadata"),
                labels=("b", "a"),
            )
        )
    ids = [intent.id for intent in intents(graph)]
    graph.link(ids[0], "is_subgoal_of", ids[1], weight=0)
    graph.link(ids[2], "depends_on", ids[1], weight=1e-9, metadata={"why": ODD})
    graph.link(ids[3], "discovered_from", ids[1])
    return graph


@pytest.mark.parametrize("format", FULL)
@pytest.mark.parametrize(
    "url", ["memory:", "file:{}/store", "file:{}/store?encoding=rtfs", "sqlite:{}/goals.db", "postgresql"]
)
def test_every_format_and_storage_gives_the_same_graph_back(url: str, format: str, tmp_path: Path) -> None:
    with open_graph("memory:") as first:
        filled(first)
        data = out(first, format)
        with open_graph(new_database() if url == "postgresql" else url.format(tmp_path)) as second:
            bring(second, data)
            if format != "ccos":
                assert content(second) == content(first)
            assert content(second)[0] == content(first)[0]
            assert out(second, format).replace(b"timestamp", b"") == data.replace(b"timestamp", b"")


@given(st.lists(invented.intents(invented.ids), min_size=1, max_size=4, unique_by=lambda intent: intent.id))
def test_any_intents_go_through_every_format(given: list[Intent]) -> None:
    with open_graph("memory:") as first:
        with first.transaction() as tx:
            for intent in given:
                tx.store(intent.replace(revision=0))
        for format in FULL:
            with open_graph("memory:") as second:
                bring(second, out(first, format), format=format)
                assert content(second) == content(first), format


@given(invented.edges)
def test_any_edge_goes_through_every_format_that_dates_edges(edge: Edge) -> None:
    with open_graph("memory:") as first:
        for end in (edge.source, edge.target):
            first.store(Intent(id=end, goal="End"))
        first.link(edge.source, edge.type, edge.target, weight=edge.weight, metadata=dict(edge.metadata))
        for format in ("jsonl", "rtfs"):
            with open_graph("memory:") as second:
                bring(second, out(first, format), format=format)
                assert content(second) == content(first), format


# --- what is in a file ---

WRITTEN = """
; goals of the week
(intent "ship" :goal "Ship 1.0" :priority 75
  :constraints {:max-cost 25.0} ; in dollars
  :team "core")

(plan "p" :body (do (step "a" (f))))
(ccos/intent "docs" :goal "Write the docs" :parent-intent "ship")
{:type "intent" :name "press" :goal "Tell the press"}
(intent review goal "Review" :child-intents ["docs" "nobody"])
(edge {:from "press" :to "ship" :type "DependsOn" :weight 0.5})
(edge :DependsOn "docs" "review")
(defn f [x] x)
"""


def test_intents_and_edges_are_taken_and_the_rest_is_counted(graph: IntentGraph) -> None:
    found = bring(graph, WRITTEN)
    assert (found.intents, found.edges) == (4, 4)
    assert [(skipped.line, skipped.why) for skipped in found.skipped] == [
        (7, "2 other forms (plans, functions, data) hold no intents of their own"),
        (10, "its child-intents 'nobody' is not known"),
    ]
    by_name = {intent.name: intent for intent in intents(graph)}
    ids = {name: intent.id for name, intent in by_name.items()}
    assert relations(graph) == sorted(
        [
            (ids["press"], "depends_on", ids["ship"]),
            (ids["docs"], "depends_on", ids["review"]),
            (ids["docs"], "is_subgoal_of", ids["ship"]),
            (ids["docs"], "is_subgoal_of", ids["review"]),
        ]
    )
    ship = by_name["ship"]
    assert (ship.goal, ship.priority, ship.constraints) == ("Ship 1.0", 75, Map({"max-cost": 25.0}))
    assert ship.metadata == {"rtfs.team": "core"}
    assert ship.rtfs_source is not None
    assert ship.rtfs_source.startswith('(intent "ship"')
    assert "; in dollars" in ship.rtfs_source
    assert by_name["review"].metadata == {"rtfs.child-intents": ("nobody",)}
    assert "rtfs.parent-intent" not in by_name["docs"].metadata


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_missing_last_one_do_not_matter(graph: IntentGraph, end: str) -> None:
    text = WRITTEN.strip().replace("\n", end)
    assert bring(graph, text).intents == 4
    assert [intent.rtfs_source for intent in intents(graph) if intent.name == "ship"][0].count(end) == 2  # type: ignore[union-attr]  # noqa: RUF015


def test_names_that_several_have_must_be_ids(graph: IntentGraph) -> None:
    twins = '(intent "a" :goal "A") (intent "a" :goal "B")\n(intent "c" :goal "C")'
    assert bring(graph, twins).intents == 3
    with pytest.raises(FieldInvalid, match="line 3: the edge names 'a', which several intents are called"):
        bring(graph, twins + '\n(edge :DependsOn "c" "a")')


def test_a_snapshot_is_known_by_itself_and_its_edges_may_come_first(graph: IntentGraph) -> None:
    text = """;; Intent Graph Snapshot (hybrid backup)
(intent-graph
  (edges
    (edge {:from "i-2" :to "i-1" :type "IsSubgoalOf" :weight 1 }))
  (intents
    (intent {:id "i-1" :goal "a \\"b\\" \\\\ c
d" :status "Completed" :priority 5 })
    (intent {:id "i-2" :goal "Two" :status "Active" :priority 0 :name "two" })
  ))
"""
    bring(graph, text)
    assert [(intent.id, intent.goal, str(intent.status)) for intent in intents(graph)] == [
        ("i-1", 'a "b" \\ c\nd', "completed"),
        ("i-2", "Two", "active"),
    ]
    assert relations(graph) == [("i-2", "is_subgoal_of", "i-1")]


PAIR = '(intent {:id "a" :goal "A"}) (intent {:id "b" :goal "B"})'


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ('(intent "a" :goal "A")\n(intent "b"', RtfsSyntaxError, "line 2"),
        ('(intent "a" :goal "A")\n(intent "b")', RtfsSyntaxError, "line 2, column 1: the intent has no goal"),
        (
            '(intent "a" :goal "A")\n\n(intent "b" :goal "B" :status "asleep")',
            FieldInvalid,
            "line 3, column 31: status",
        ),
        ('(intent {:id "a" :goal "A"})\n(intent {:id "a" :goal "A"})', FieldInvalid, "line 2: id 'a' stands on line 1"),
        ('(intent {:id "a" :goal "A"})\n(edge :Blocks "a" "x")', FieldInvalid, "line 2: target 'x' is neither"),
        (f'{PAIR}\n(edge :DependsOn "a" "b")\n(edge :DependsOn "b" "a")', CycleRefused, "line 3"),
        ('(intent "a" :goal "A") (intent "b", :goal "B")', RtfsSyntaxError, "line 1"),
        (b'\xef\xbb\xbf(intent "a" :goal "A")', IntentStoreError, "byte-order mark"),
        (b'(intent "a" :goal "\xff")', IntentStoreError, "UTF-8"),
        ("(" * 100_000, RtfsSyntaxError, "line 1"),
    ],
)
def test_a_bad_file_is_refused_by_its_line_and_nothing_is_imported(
    graph: IntentGraph, text: str | bytes, kind: type[IntentStoreError], said: str
) -> None:
    with pytest.raises(kind, match=said) as refused:
        bring(graph, text, format="rtfs")
    assert refused.value.hint.startswith("nothing was imported")
    assert graph.revision == 0


def test_every_truncation_of_a_file_is_whole_or_refused(graph: IntentGraph) -> None:
    data = WRITTEN.encode()
    before = graph.revision
    for end in range(0, len(data), 5):
        with open_graph("memory:") as other:
            try:
                bring(other, data[:end], format="rtfs")
            except IntentStoreError as error:
                assert error.hint.startswith("nothing was imported")  # noqa: PT017  it may also be whole
                assert other.revision == 0
    assert graph.revision == before


@pytest.mark.parametrize("choice", ["refuse", "replace", "keep"])
def test_an_intent_that_is_there_already(graph: IntentGraph, choice: Any) -> None:
    bring(graph, PAIR + ' (edge :Enables "a" "b")')
    text = PAIR.replace('"A"', '"A2"') + ' (edge {:from "a" :to "b" :type "Enables" :weight 2})'
    if choice == "refuse":
        with pytest.raises(AlreadyThere, match="line 1: intent a"):
            bring(graph, text)
        return
    found = bring(graph, text, if_exists=choice)
    assert (found.intents, graph.intent("a").goal) == ((2, "A2") if choice == "replace" else (0, "A"))
    (edge,) = graph.edges_of(["a"])
    assert edge.weight == (2 if choice == "replace" else None)


def test_a_snapshot_is_for_people_too(graph: IntentGraph) -> None:
    ship = graph.store(Intent(id="i-1", goal="Ship", priority=50))
    graph.store(Intent(id="i-2", goal=ODD))
    graph.link("i-2", "is_subgoal_of", "i-1")
    lines = out(graph).decode().split("\n")
    assert lines[:3] == [";; The intents and edges of default", "(intent-graph", "  (intents"]
    assert lines[3].startswith("    (intent ")
    assert (':id "i-1"' in lines[3], f':goal "{ship.goal}"' in lines[3], len(lines)) == (True, True, 10)
    assert lines[5:7] == ["  )", "  (edges"]


def test_progress_is_told(graph: IntentGraph, tmp_path: Path) -> None:
    path = tmp_path / "goals.rtfs"
    path.write_text("".join(f'(intent "{at}" :goal "Goal {at}")\n' for at in range(5000)))
    told: list[tuple[int, int | None]] = []
    import_into(graph, path, progress=lambda done, of: told.append((done, of)))
    size = path.stat().st_size
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 2
