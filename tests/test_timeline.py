"""Claims about diff, undo, blame and timeline: each is the list of commits read in another way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from intentstore import (
    Commit,
    CommitMissing,
    Conflict,
    CycleRefused,
    Edge,
    Intent,
    IntentGraph,
    IntentMissing,
    IntentStatus,
    Keyword,
    RevisionMissing,
    StaleRevision,
    open_graph,
)
from intentstore.cli import main
from intentstore.codec import encode_edge, encode_intent
from intentstore.graph.facets import ABSENT, changed, facets, with_facets
from intentstore.graph.undo import Undoing
from intentstore.ground.types import Claim
from intentstore.testing import state
from tests.histories import Clock, import_real, live

URLS = ["memory:", "file:{}/goals", "sqlite:{}/goals.db"]
Content = tuple[dict[str, bytes], dict[tuple[str, str, str], bytes]]


@pytest.fixture(params=URLS, ids=["memory", "file", "sqlite"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IntentGraph]:
    with open_graph(request.param.format(tmp_path), actor="tester", clock=Clock()) as opened:
        yield opened


def content(graph: IntentGraph) -> Content:
    """Returns all intents and edges but for revisions and update times."""
    still = Clock().now
    return (
        {i.id: encode_intent(i.replace(revision=0, updated_at=still)) for i in graph.each()},
        {e.key: encode_edge(e.replace(revision=0)) for e in graph.edges_of([i.id for i in graph.each()])},
    )


def last(graph: IntentGraph) -> Commit:
    return next(iter(graph.entries(graph.revision - 1)))


# --- facets ---


def test_an_intent_is_its_facets() -> None:
    intent = Intent(goal="Ship", labels={"a", "b"}, metadata={"k": None, Keyword("k"): 1}, priority=3)  # type: ignore[arg-type]  # frozen
    bare = Intent(goal="Ship")
    assert with_facets(bare, {**facets(intent)}) == intent
    gone = {facet: ABSENT for facet in facets(intent) if facet not in facets(bare)}
    assert with_facets(intent, {**gone, ("priority", None): 0}) == bare
    assert changed(facets(bare), facets(intent))["metadata", "k"] == (ABSENT, None)
    assert changed({("metadata", "k"): 1}, {("metadata", "k"): 1.0}) == {("metadata", "k"): (1, 1.0)}
    assert with_facets(intent, {("name", None): ABSENT}).name is None


# --- diff ---


@pytest.mark.parametrize("seed", [1, 2])
def test_a_diff_is_what_two_states_do_not_share(graph: IntentGraph, seed: int) -> None:
    live(graph, 100, Random(seed))
    luck = Random(seed)
    for _ in range(8):
        a, b = luck.randrange(graph.revision + 1), luck.randrange(graph.revision + 1)
        found: dict[Any, tuple[Any, Any]] = {}
        for each in graph.diff(a, b):
            thing = each.after or each.before
            assert isinstance(thing, Intent | Edge)
            found[thing.id if isinstance(thing, Intent) else thing.key] = (each.before, each.after)
        intents = [{intent.id: intent for intent in graph.at(at).each()} for at in (a, b)]
        edges = [
            {e.key: e for e in graph.at(at).edges_of(list(these))} for at, these in zip((a, b), intents, strict=True)
        ]
        sides: list[dict[Any, Any]] = [{**i, **e} for i, e in zip(intents, edges, strict=True)]
        for subject in sides[0].keys() | sides[1].keys():
            old, new = (side.get(subject) for side in sides)
            if subject in found:
                assert found.pop(subject) == (old, new)
            else:
                assert old is not None is not new
                assert _same_but_for_the_commit(old, new)
        assert found == {}


def _same_but_for_the_commit(a: Intent | Edge, b: Intent | Edge) -> bool:
    if isinstance(a, Edge):
        return a.replace(revision=0, created_at=b.created_at) == b.replace(revision=0)
    assert isinstance(b, Intent)
    return a.replace(revision=0, updated_at=b.updated_at) == b.replace(revision=0)


def test_a_diff_names_the_fields_and_goes_both_ways(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A", labels={"old"}, metadata={"k": 1, "same": 2}))  # type: ignore[arg-type]  # frozen
    graph.store(Intent(id="b", goal="B"))
    graph.link("a", "blocks", "b", weight=0.5)
    a = graph.intent("a")
    graph.update(a.replace(labels={"new"}, metadata={"k": 2, "same": 2}, name="short"))
    graph.delete("b")
    told = [(each.how, [(f.field, f.key, f.before, f.after) for f in each.fields]) for each in graph.diff(3)]
    changes = [
        ("name", None, ABSENT, "short"), ("metadata", "k", 1, 2),
        ("labels", "old", True, ABSENT), ("labels", "new", ABSENT, True),
    ]  # fmt: skip
    assert [how for how, _ in told] == ["changed", "removed", "removed"]
    assert sorted(map(repr, told[0][1])) == sorted(map(repr, changes))
    back = graph.diff(graph.revision, 3)
    assert [each.how for each in back] == ["changed", "added", "added"]
    assert back[1].after == graph.at(3).get("b")
    assert graph.diff(2, 2) == []
    assert graph.diff(0, 0) == []
    with pytest.raises(RevisionMissing):
        graph.diff(2, 99)


def test_a_note_is_no_difference(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    graph.note("a", "remember")
    assert graph.diff(1) == []
    graph.start("a")
    assert [each.fields[0].after for each in graph.diff(2)] == [IntentStatus.EXECUTING]


# --- undo ---


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_undoing_the_last_commit_restores_what_was_before_it(graph: IntentGraph, seed: int) -> None:
    live(graph, 30, Random(seed))
    for act in range(25):
        before = content(graph)
        live(graph, 1, Random(seed * 100 + act), mark=f"u{act}-")
        after, commit = content(graph), last(graph)
        if after == before:
            continue  # a note, or nothing
        undone = graph.undo(commit.id)
        assert content(graph) == before
        graph.undo(undone.id)
        assert content(graph) == after
    assert graph.verify().ok


def test_an_undo_leaves_what_came_later_alone(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    graph.store(Intent(id="b", goal="B"))
    started = graph.start("a")[0].revision
    graph.complete("b")
    commit = graph.undo(next(iter(graph.entries(started - 1))).id, reason="too early")
    assert (commit.reason, commit.actor, len(commit.changes)) == ("too early", "tester", 1)
    assert [graph.intent(id).status for id in "ab"] == ["active", "completed"]


def test_an_undo_over_a_later_change_is_refused_naming_it(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    graph.start("a")
    started = last(graph)
    graph.complete("a")
    done = last(graph)
    with pytest.raises(Conflict, match=f"intent a was changed since, by commit {done.id}") as refused:
        graph.undo(started.id)
    assert (refused.value.by, refused.value.commit, refused.value.subject) == (done.id, started.id, "intent a")
    assert graph.revision == 3
    graph.undo(done.id)
    with pytest.raises(Conflict):  # the undo itself came later, and touched the same
        graph.undo(done.id)


def test_an_undo_that_would_take_later_edges_away_is_refused(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    made = last(graph)
    graph.store(Intent(id="b", goal="B"))
    graph.link("a", "blocks", "b")
    linked = last(graph)
    with pytest.raises(Conflict, match=f"edge a blocks b was changed since, by commit {linked.id}"):
        graph.undo(made.id)
    graph.undo(linked.id)
    graph.undo(made.id)
    assert graph.get("a") is None


def test_an_undo_of_a_deletion_brings_the_edges_back_unless_their_ends_are_gone(graph: IntentGraph) -> None:
    for name in "abc":
        graph.store(Intent(id=name, goal=name))
    graph.link("a", "blocks", "b", weight=0.25, metadata={"why": "so"})
    graph.link("b", "related_to", "c")
    edges = graph.edges("b")
    before = content(graph)
    deleted = graph.delete("b")
    assert deleted is not None
    graph.undo(deleted.id)
    assert content(graph) == before
    assert [edge.created_at for edge in graph.edges("b")] == [edge.created_at for edge in edges]
    again = graph.delete("b")
    graph.delete("c")
    gone = last(graph)
    assert again is not None
    with pytest.raises(Conflict, match=f"intent c was changed since, by commit {gone.id}"):
        graph.undo(again.id)


def test_an_undo_of_a_deletion_is_refused_when_the_id_came_and_went(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    first = graph.delete("a")
    graph.store(Intent(id="a", goal="Another"))
    second = graph.delete("a")
    assert first is not None
    assert second is not None
    with pytest.raises(Conflict, match=second.id):
        graph.undo(first.id)
    graph.undo(second.id)
    assert graph.intent("a").goal == "Another"
    with pytest.raises(Conflict):
        graph.undo(first.id)


def test_an_undo_does_not_bring_a_claim_back_and_keeps_one_that_is_there(graph: IntentGraph) -> None:
    claim = Claim(owner="agent", token=1, until=Clock().now)
    held = graph.store(Intent(id="a", goal="A", claim=claim))
    graph.update(held.replace(priority=5))
    graph.undo(last(graph).id)
    assert (graph.intent("a").claim, graph.intent("a").priority) == (claim, 0)
    graph.update(graph.intent("a").replace(claim=None))
    graph.undo(last(graph).id)
    assert graph.intent("a").claim is None


def test_an_undo_that_would_close_a_cycle_is_refused(graph: IntentGraph) -> None:
    for name in "ab":
        graph.store(Intent(id=name, goal=name))
    graph.link("a", "depends_on", "b")
    graph.unlink("a", "depends_on", "b")
    unlinked = last(graph)
    graph.link("b", "depends_on", "a")
    with pytest.raises(CycleRefused):
        graph.undo(unlinked.id)
    assert len(graph.edges("a")) == 1


def test_what_is_only_a_note_or_no_commit_cannot_be_undone(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    noted = graph.note("a", "remember")
    with pytest.raises(Conflict, match="holds only notes"):
        graph.undo(noted.commit)
    with pytest.raises(CommitMissing, match="no commit 'nope'"):
        graph.undo("nope")


def test_a_write_between_the_look_and_the_undo_is_not_overwritten(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    graph.start("a")
    undoing = Undoing(graph.storage, last(graph), now=Clock().now)
    changes = undoing.changes()
    graph.complete("a")
    with pytest.raises(StaleRevision):
        graph._writer.commit(tuple(changes), graph.who, reason=None, extra=undoing.guard)
    assert graph.intent("a").status == "completed"


# --- blame and timeline ---


@pytest.mark.parametrize("seed", [4, 5])
def test_blame_is_the_last_revision_at_which_a_field_changed(graph: IntentGraph, seed: int) -> None:
    live(graph, 60, Random(seed))
    for intent in graph.list(sort="-updated_at", limit=6).intents:
        origins = graph.blame(intent.id)
        assert {(each.field, each.key): each.value for each in origins} == facets(intent)
        for each in origins:
            here = facets(graph.at(each.revision).get(intent.id))
            before = facets(graph.at(each.revision - 1).get(intent.id))
            assert here[each.field, each.key] == each.value
            assert before.get((each.field, each.key), ABSENT) != each.value
            for later in range(each.revision, graph.revision + 1):
                assert facets(graph.at(later).get(intent.id))[each.field, each.key] == each.value


def test_definitions_have_a_past_that_can_be_asked_compared_and_undone(graph: IntentGraph) -> None:
    graph.define("rule/a", {"level": 1})
    graph.define("rule/b", {"level": 1})
    graph.store(Intent(goal="Between"))
    graph.define("rule/a", {"level": 2})
    graph.define("rule/b", None)
    second, third = [commit.id for commit in graph.entries(3)]
    for revision, expected in enumerate([[], ["a"], ["a", "b"], ["a", "b"], ["a", "b"], ["a"]]):
        past = graph.at(revision)
        assert [name[-1] for name in past.definitions("rule/")] == expected
        assert (past.definitions("rule/a") == {"rule/a": {"level": 2}}) == (revision >= 4)
    told = [(each.how, [change.field for change in each.fields]) for each in graph.diff(3, 5)]
    assert told == [("changed", ["value"]), ("removed", [])]
    graph.undo(third)
    assert graph.definitions() == {"rule/a": {"level": 2}, "rule/b": {"level": 1}}
    graph.undo(second)
    assert graph.definitions() == {"rule/a": {"level": 1}, "rule/b": {"level": 1}}
    with pytest.raises(Conflict, match="definition rule/a was changed since"):
        graph.undo(second)
    assert graph.verify().ok


def test_blame_of_what_is_deleted_or_never_was_is_missing(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    graph.delete("a")
    for id in ("a", "nope"):
        with pytest.raises(IntentMissing):
            graph.blame(id)
    with pytest.raises(IntentMissing):
        graph.timeline("nope")


def test_a_timeline_tells_every_status_with_its_times_and_reason(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    graph.start("a", reason="go")
    graph.update(graph.intent("a").replace(priority=1))
    graph.note("a", "n")
    graph.complete("a", reason="all green")
    graph.delete("a")
    graph.store(Intent(id="a", goal="Again"))
    stages = graph.timeline("a")
    assert [each.status for each in stages] == ["active", "executing", "completed", None, "active"]
    assert [each.reason for each in stages] == [None, "go", "all green", None, None]
    times: list[datetime | None] = [each.since for each in stages]
    assert [each.until for each in stages] == [*times[1:], None]
    for each in stages:
        there = graph.at(each.revision).get("a")
        assert (None if there is None else there.status) == each.status


# --- on the real goals, and on the command line ---


def test_a_real_history_can_be_taken_back_to_its_beginning(tmp_path: Path) -> None:
    with open_graph(f"sqlite:{tmp_path}/goals.db", clock=Clock()) as graph:
        import_real(graph)
        before = state(graph.storage)
        live(graph, 60, Random(6))
        for commit in reversed(list(graph.entries(1))):
            if any(type(change).__name__ != "Note" for change in commit.changes):
                graph.undo(commit.id)
        assert [each for each in graph.diff(1) if each.how != "changed"] == []
        assert graph.diff(1) == []
        assert content(graph)[0].keys() == before[0].keys()
        imported = next(iter(graph.entries()))
        with pytest.raises(Conflict):
            graph.undo(imported.id)


def test_the_verbs_tell_the_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTENTSTORE_URL", f"sqlite:{tmp_path}/goals.db")

    def intent(*words: str) -> Any:
        status = main([*words, "--json"])
        said = capsys.readouterr()
        return (status, json.loads(said.err)["error"]) if status else json.loads(said.out)

    intent("add", "Ship", "--id", "ship", "--meta", "k=1", "--label", "x", "--actor", "ana")
    intent("start", "ship", "--reason", "go")
    intent("set", "ship", "metadata.k=2")
    assert [f["field"] for f in intent("diff", "1", "2")["changes"][0]["fields"]] == ["status"]
    (change,) = intent("diff", "2")["changes"]
    assert change["fields"] == [{"field": "metadata", "key": "k", "before": 1, "after": 2}]
    assert (change["how"], change["after"]["metadata"]) == ("changed", {"k": 2})
    assert intent("diff", "1d")["changes"][0]["how"] == "added"
    assert {f"{f['field']}.{f.get('key', '')}": f["revision"] for f in intent("blame", "shi")["fields"]} == {
        "goal.": 1, "status.": 2, "priority.": 1, "metadata.k": 3, "labels.x": 1, "created_at.": 1,
    }  # fmt: skip
    stages = intent("timeline", "ship")["timeline"]
    assert [(each["status"], each.get("reason")) for each in stages] == [("active", None), ("executing", "go")]
    assert intent("undo", "3")["commit"]["revision"] == 4
    assert intent("show", "ship")["intents"][0]["metadata"] == {"k": 1}
    assert intent("undo", "3")[1]["kind"] == "Conflict"
    assert intent("undo", "nope")[1]["kind"] == "CommitMissing"
    assert intent("diff", "99")[1]["kind"] == "RevisionMissing"
    assert intent("list", "--as-of", "99")[1]["kind"] == "RevisionMissing"
    assert intent("list", "--as-of", "soon")[1]["fields"]["field"] == "as_of"
    assert intent("add", "More", "--as-of", "1") == (
        2,
        {"kind": "Usage", "message": "add does not look at the past", "fields": {},
         "hint": "--as-of is for verbs that only read the graph"},
    )  # fmt: skip
    assert intent("list", "--as-of", "0") == {"intents": [], "next": None}
    assert intent("show", "ship", "--as-of", "1")["intents"][0]["status"] == "active"
    assert intent("log", "--as-of", "2")["commits"][-1]["revision"] == 2
    assert intent("verify", "--as-of", "2") == {"ok": True, "problems": []}
    assert intent("backup", f"{tmp_path}/old.backup", "--as-of", "2")["revision"] == 2
