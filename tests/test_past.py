"""Claims about the past: a view of any revision is what replaying the log to it gives, on every storage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intentstore import (
    Change,
    ConnectedTo,
    HasEdge,
    Intent,
    IntentFilter,
    IntentGraph,
    IntentStatus,
    Put,
    RevisionMissing,
    open_graph,
)
from intentstore.cli import main
from intentstore.graph.log import commits_at, revision_at
from intentstore.graph.past import Past
from intentstore.ground.errors import FieldInvalid, QueryInvalid, ReadOnly
from intentstore.ground.protocol import IntentStorage
from intentstore.ground.query import SORT_FIELDS, Page, Sort, Walk
from intentstore.testing import a_batch, an_intent, put, state
from intentstore.testing.population import some_filter
from intentstore.verbs import VERBS
from intentstore.verbs import verb as verb_named
from tests.histories import BEGIN, Clock, import_real, live, replayed, replays

URLS = ["memory:", "file:{}/goals", "sqlite:{}/goals.db"]


@pytest.fixture(params=URLS, ids=["memory", "file", "sqlite"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IntentGraph]:
    with open_graph(request.param.format(tmp_path), actor="tester", clock=Clock()) as opened:
        yield opened


def answers(graph: IntentGraph) -> dict[str, object]:
    """Returns what the reading verbs say of a graph."""
    ids = [intent.id for intent in graph.each()]
    few = ids[:: max(1, len(ids) // 7)]
    active = IntentFilter(status={"active", "executing"})  # type: ignore[arg-type]  # made a set of statuses
    linked = IntentFilter(has_edge=HasEdge(types=frozenset({"blocks", "related_to"})))
    return {
        "state": state(graph.storage),
        "revision": graph.revision,
        "counts": [graph.count(where) for where in (IntentFilter(), linked, IntentFilter(text="goal"))],
        "pages": [_paged(graph, sort, active) for sort in ("created_at", "-updated_at", "-priority", "-connections")],
        "linked": [intent.id for intent in graph.each(linked)],
        "ready": [intent.id for intent in graph.ready(limit=50)],
        "blocked": [(each.intent.id, each.because) for each in graph.blocked()],
        "tree": _tree(graph),
        "shown": [(graph.get(id), graph.edges_of([id]), graph.parents(id), graph.descendants(id)) for id in few],
        "near": [graph.count(IntentFilter(connected_to=ConnectedTo(id=id, depth=2))) for id in few],
        "history": [graph.history(id) for id in few],
        "found": [
            sorted(hit.intent.id for hit in graph.search(text, limit=10_000, any=any))
            for text in ("goal", 'goal:many -"1 of" label:l*', "goal new -l1", "?")
            for any in (False, True)
        ],
        "log": [commit.hash for commit in graph.entries()],
    }


def _paged(graph: IntentGraph, sort: str, where: IntentFilter) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        page = graph.list(where, sort=sort, limit=7, after=after)
        found += [intent.id for intent in page.intents]
        after = page.next
        if after is None or len(found) > 100:
            return found


def _tree(graph: IntentGraph) -> list[object]:
    todo, found = list(graph.tree()), list[object]()
    while todo:
        branch = todo.pop()
        found.append((branch.intent.id, [child.intent.id for child in branch.children]))
        todo.extend(branch.children)
    return found


# --- equal to brute force ---


@pytest.mark.parametrize("seed", [1, 2])
def test_every_reading_verb_answers_for_any_revision_as_a_replay_does(graph: IntentGraph, seed: int) -> None:
    live(graph, 120, Random(seed))
    log = list(graph.entries())
    for revision in {0, 1, len(log), *Random(seed).sample(range(len(log)), 9)}:
        truth = replayed(log[:revision], graph.at(revision).clock())
        assert answers(graph.at(revision)) == answers(truth), revision


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000), share=st.floats(0, 1), where=some_filter, sort=st.sampled_from(SORT_FIELDS),
    down=st.booleans(), limit=st.integers(1, 9),
)  # fmt: skip
def test_any_question_to_the_past_has_the_answer_of_a_replay(
    seed: int, share: float, where: IntentFilter, sort: str, *, down: bool, limit: int
) -> None:
    graph = open_graph("memory:", clock=Clock())
    live(graph, 40, Random(seed))
    log = list(graph.entries())
    revision = int(share * len(log))
    truth, past = replayed(log[:revision]), graph.at(revision)
    order = Sort(sort, down)
    if sort == "relevance":
        if where.text is None:
            with pytest.raises(QueryInvalid):
                past.list(where, sort=order)
            return
        assert {i.id for i in past.each(where, sort=order)} == {i.id for i in truth.each(where, sort=order)}
        return
    after: str | None = None
    while True:
        mine, theirs = (each.list(where, sort=order, limit=limit, after=after) for each in (past, truth))
        assert mine == theirs
        after = theirs.next
        if after is None:
            break
    assert past.count(where) == truth.count(where)


@pytest.mark.parametrize("url", URLS, ids=["memory", "file", "sqlite"])
def test_a_replayed_history_of_real_goals_is_seen_as_it_was_at_any_time(url: str, tmp_path: Path) -> None:
    clock = Clock()
    with open_graph(url.format(tmp_path), clock=clock) as graph:
        import_real(graph)
        live(graph, 600, Random(3))
        log = list(graph.entries())
        luck = Random(4)
        for moment, truth in replays(log, [BEGIN + luck.random() * (clock.now - BEGIN) for _ in range(50)]):
            past = graph.at(moment)
            assert past.revision == truth.revision
            where = IntentFilter(status={"active"})  # type: ignore[arg-type]  # made a set of statuses
            for sort in ("-priority", "-updated_at"):
                assert past.list(where, sort=sort, limit=100) == truth.list(where, sort=sort, limit=100)
            assert past.ready(limit=100) == truth.ready(limit=100)
            assert _tree(past) == _tree(truth)
            some = [intent.id for intent in truth.list(sort="-updated_at", limit=5).intents]
            assert past.intents(some) == truth.intents(some)
            assert past.edges_of(some) == truth.edges_of(some)
            assert past.count() == truth.count()


def test_the_command_line_looks_at_the_past_of_real_goals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTENTSTORE_URL", f"sqlite:{tmp_path}/goals.db")
    with open_graph(clock=Clock()) as graph:
        import_real(graph)
        live(graph, 300, Random(5))
        log = list(graph.entries())
    luck, truth = Random(6), tmp_path / "truth.db"
    for moment, copy in replays(log, [log[0].at + luck.random() * (log[-1].at - log[0].at) for _ in range(50)]):
        with open_graph(f"sqlite:{truth}") as kept:
            copy.copy(kept)
        some = [intent.id for intent in copy.list(sort="-updated_at", limit=3).intents]
        for words in (["list", "--sort=-updated_at"], ["ready"], ["show", *some], ["tree"]):
            said = []
            for extra in (["--as-of", moment.isoformat()], ["--store", f"sqlite:{truth}"]):
                assert main([*words, *extra, "--json"]) == 0
                said.append(json.loads(capsys.readouterr().out))
            assert said[0] == said[1], (words, moment)


def test_every_reading_verb_looks_at_the_past(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:{tmp_path}/goals.db"
    with open_graph(url) as graph:
        for id in "abc":
            graph.store(Intent(id=id, goal=f"Goal {id}"))
        graph.link("b", "depends_on", "a")
        then = graph.revision
        graph.delete("a", "c")
    given = {
        "show": ["a"], "edges": ["a"], "path": ["b", "a"], "impact": ["a"], "search": ["goal"], "diff": ["1"],
        "blame": ["a"], "timeline": ["a"], "prove": ["a"], "export": [f"{tmp_path}/out.jsonl"],
        "graph": [f"{tmp_path}/out.svg"], "backup": [f"{tmp_path}/out.backup"], "copy": [f"sqlite:{tmp_path}/copy.db"],
    }  # fmt: skip
    reading = [verb for verb in map(verb_named, VERBS) if verb.opens and not verb.writes and verb.name != "watch"]
    assert len(reading) > 25
    for verb in reading:
        words = ["--store", url, "--as-of", str(then), "--json", verb.name, *given.get(verb.name, [])]
        assert main(words) == 0, (verb.name, capsys.readouterr().err)
    capsys.readouterr()
    for name, there in (("show", "Goal a"), ("list", "Goal c"), ("search", "Goal c"), ("ready", "Goal a")):
        assert main(["--store", url, "--as-of", str(then), "--json", name, *given.get(name, [])]) == 0
        assert there in capsys.readouterr().out
    assert "Goal c" in (tmp_path / "out.jsonl").read_text()
    assert "Goal c" in (tmp_path / "out.svg").read_text()
    with open_graph(f"sqlite:{tmp_path}/copy.db") as copy:
        assert {intent.id for intent in copy.each()} == {"a", "b", "c"}


# --- old revisions verify ---


def test_old_revisions_verify(graph: IntentGraph) -> None:
    live(graph, 60, Random(7))
    for revision in (0, 10, 40, 60):
        assert graph.at(min(revision, graph.revision)).verify().ok


def test_a_view_that_disagrees_with_the_log_is_found_out(graph: IntentGraph) -> None:
    live(graph, 60, Random(8))
    past = Past(graph.storage, graph.revision - 5)
    past.count(IntentFilter())
    wrong = next(iter(past._laid.intents()))
    past._laid._intents[wrong.id] = wrong.replace(goal="Something else")
    assert [problem.where for problem in past.verify()] == [f"intent {wrong.id}"]


# --- others write meanwhile ---


def test_a_view_stays_as_it_is_while_others_write(graph: IntentGraph) -> None:
    live(graph, 80, Random(9))
    revision = graph.revision - 10
    before = answers(replayed(list(graph.entries())[:revision], graph.at(revision).clock()))
    past, stop = graph.at(revision), Event()

    def write() -> None:
        luck, act = Random(10), 0
        while not stop.is_set() and act < 3000:
            live(graph, 1, luck, mark=f"later-{act}-")
            act += 1

    writer = Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            assert answers(past) == before
            past.close()
    finally:
        stop.set()
        writer.join()
    assert answers(past) == before


class Restless:
    """A storage in which somebody changes an intent at every look."""

    def __init__(self, storage: IntentStorage) -> None:
        self._storage, self.capabilities, self._looks = storage, storage.capabilities, 0

    def __getattr__(self, name: str) -> object:
        found = getattr(self._storage, name)
        if name in ("select", "count", "fetch", "neighbours"):
            self._looks += 1
            there = self._storage.fetch(["a"])[0]
            assert there is not None
            put(self._storage, there.replace(goal=f"Look {self._looks}", status=list(IntentStatus)[self._looks % 6]))
        return found


def test_a_count_comes_to_an_end_though_others_never_pause() -> None:
    graph = open_graph("memory:")
    put(graph.storage, *"abcdef", "a")
    put(graph.storage, "b", "c")
    for _ in range(4):
        put(graph.storage, "d")
    past = Past(Restless(graph.storage), 2)  # type: ignore[arg-type]  # passes everything on
    assert past.count(IntentFilter()) == {IntentStatus.ACTIVE: 6}
    assert len(past.select(IntentFilter(), Page()).intents) == 6
    assert [intent and intent.goal for intent in past.fetch(["a", "b"])] == ["Reach a", "Reach b"]


# --- which revision ---


def test_a_time_means_the_last_commit_at_or_before_it(graph: IntentGraph) -> None:
    goals = [graph.store(Intent(goal=goal)) for goal in ("First", "Second")]
    first, second = (commit.at for commit in graph.entries())
    assert graph.at(first).revision == graph.at(second - timedelta(microseconds=1)).revision == 1
    assert graph.at(first - timedelta(microseconds=1)).revision == 0
    assert graph.at(second + timedelta(days=9)).revision == 2
    assert graph.at(second).list().intents == tuple(goals)


def test_a_log_with_gaps_is_bisected_too() -> None:
    graph = open_graph("memory:")
    for revision, hour in ((5, 1), (6, 2), (90, 3), (91, 4)):
        graph.storage.apply(a_batch(at=BEGIN + timedelta(hours=hour), revision=revision))
    for hour, revision in ((0, 0), (1, 5), (2, 6), (3, 90), (4, 91), (9, 91)):
        assert revision_at(graph.storage, BEGIN + timedelta(hours=hour)) == revision
    assert [commit.revision for commit in graph.at(50).entries()] == [5, 6]
    assert [commit.revision for commit in commits_at(graph.storage, [5, 90, 91])] == [5, 90, 91]
    with pytest.raises(RevisionMissing, match="no longer in the log"):
        list(commits_at(graph.storage, [5, 50]))


def test_a_revision_that_is_not_there_yet_is_missing(graph: IntentGraph) -> None:
    graph.store(Intent(goal="Only"))
    with pytest.raises(RevisionMissing, match="revision 2 is not there yet; the last one is 1"):
        graph.at(2)
    with pytest.raises(FieldInvalid):
        graph.at(-1)
    with pytest.raises(FieldInvalid):
        graph.at(BEGIN.replace(tzinfo=None))


def test_the_past_of_the_past_is_the_past(graph: IntentGraph) -> None:
    live(graph, 30, Random(11))
    assert state(graph.at(20).at(10).storage) == state(graph.at(10).storage)
    with pytest.raises(RevisionMissing):
        graph.at(10).at(20)


def test_the_past_cannot_be_changed(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    past = graph.at(1)
    with pytest.raises(ReadOnly, match="revision 1 is the past"):
        past.store(Intent(goal="B"))
    with pytest.raises(ReadOnly):
        past.storage.apply_all([])
    assert past.health()["read_only"] is True
    assert past.stats()["store"]["revision"] == 1
    assert past.graphs() == ["default"]
    past.close()
    assert past.get("a") is not None


def test_a_claim_is_seen_as_it_was_then(graph: IntentGraph) -> None:
    graph.store(Intent(id="a", goal="A"))
    assert graph.at(1).clock() == BEGIN + timedelta(minutes=2)
    assert graph.at(0).clock() > BEGIN


def test_an_intent_asked_for_by_its_id_is_read_from_its_chain_alone(graph: IntentGraph) -> None:
    put(graph.storage, "a", "b", "c")
    graph.link("a", "related_to", "b")
    graph.note("a", "noted")
    graph.storage.apply_all([a_batch(*put_changes(n)) for n in range(300)])
    past = graph.at(3)
    assert past.edges("b")[0].key == ("a", "related_to", "b")
    assert [intent and intent.goal for intent in past.fetch(["a", "c", "n9"])] == ["Reach a", "Reach c", None]
    assert past.storage._span.after == {}  # type: ignore[attr-defined]  # nothing else was read
    assert past.storage.neighbours(["a", "b"], Walk()) == past.edges("a")


def put_changes(n: int) -> list[Change]:
    return [Put(intent=an_intent("a", f"Round {n}")), Put(intent=an_intent(f"n{n}"))]
