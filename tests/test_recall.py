"""Claims about questions to the whole history: the index finds what reading the whole log would find."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from intentstore import Entry, HistoryFilter, Intent, IntentFilter, IntentGraph, IntentStatus, open_graph
from intentstore.graph.proposed import approver_of
from intentstore.ground.errors import FieldInvalid, IntentMissing, QueryInvalid

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory:", "file:{}/goals", "sqlite:{}/goals.db"])
def graph(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[IntentGraph]:
    with open_graph(request.param.format(tmp_path), actor="ana", clock=clock) as opened:
        yield opened


def live(graph: IntentGraph, clock: Clock) -> None:
    """A hundred commits by three actors, some approved, the clock stepping back now and then."""
    lot = random.Random(5)
    ids = [graph.store(Intent(id=f"i{n}", goal=f"Goal {n}"), reason="planned").id for n in range(5)]
    for _ in range(100):
        clock.now += MINUTE * lot.choice((1, 2, 5, -3))
        who = graph.acting(actor=lot.choice(("ana", "ben", "cyd")), approver=lot.choice((None, None, "boss", "ana")))
        id = lot.choice(ids)
        what = lot.randrange(5)
        if what == 0:
            who.note(id, "remembered")
        elif what == 1:
            a, b = lot.sample(ids, 2)
            edges = who.edges(a, types=["related_to"])
            if any(b in (edge.source, edge.target) for edge in edges):
                who.unlink(a, "related_to", b, reason="apart")
            else:
                who.link(a, "related_to", b, reason="together")
        else:
            status = lot.choice(tuple(IntentStatus))
            who.update(who.intent(id).replace(status=status), reason=lot.choice((None, "Vendor said no", "all green")))


def read_through(graph: IntentGraph, where: HistoryFilter) -> list[Entry]:
    return [entry for commit in graph.entries() for entry in where.entries_of(commit)]


FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"actor": "ben"},
    {"actor": "nobody"},
    {"approver": "boss"},
    {"approver": "boss", "actor": "cyd"},
    {"since": NOON + 40 * MINUTE, "until": NOON + 90 * MINUTE},
    {"actor": "ana", "since": NOON + 20 * MINUTE},
    {"until": NOON + 30 * MINUTE, "does": {"link", "unlink"}},
    {"status": "failed"},
    {"status": {"failed", "completed"}, "actor": "ben", "reason_contains": "vendor"},
    {"ids": {"i1", "i3"}},
    {"ids": "i2", "does": "note", "actor": "cyd"},
    {"does": "define"},
)


@pytest.mark.parametrize("asked", FILTERS, ids=range(len(FILTERS)))
def test_the_index_finds_what_reading_the_whole_log_finds(
    graph: IntentGraph, clock: Clock, asked: dict[str, Any]
) -> None:
    live(graph, clock)
    where = HistoryFilter(**asked)
    expected = read_through(graph, where)
    found = graph.history(where, limit=10_000)
    assert sorted(found, key=lambda e: (e.revision, repr(e.change))) == sorted(
        expected, key=lambda e: (e.revision, repr(e.change))
    )
    if "actor" not in asked or asked["actor"] != "nobody":
        assert bool(expected) or "does" in asked
    graph.acting(actor="ben", approver="boss").fail("i1") if graph.intent("i1").status == "active" else None
    graph.store(Intent(id="late", goal="Late"), reason="vendor")
    assert len(graph.history(where, limit=10_000)) == len(read_through(graph, where))  # it follows


def test_pages_of_history_neither_skip_nor_repeat(graph: IntentGraph) -> None:
    for number in range(150):
        graph.store(Intent(id=f"n{number}", goal=str(number)))
    told: list[Entry] = []
    before = None
    while page := graph.history(HistoryFilter(actor="ana"), limit=40, before=before):
        told += page
        before = page[-1].revision
    assert [entry.revision for entry in told] == list(range(150, 0, -1))
    with pytest.raises(QueryInvalid):
        graph.history(HistoryFilter(), limit=0)


def test_who_approved_is_in_the_history(graph: IntentGraph) -> None:
    graph.acting(approver="boss").store(Intent(id="a", goal="A"), reason="urgent")
    (entry, approval) = graph.history(HistoryFilter(approver="boss"))
    assert (entry.actor, entry.reason, entry.commit) == ("ana", "urgent", approval.commit)
    assert [approver_of(commit.changes) for commit in graph.entries()] == ["boss"]


def test_outcomes_tell_how_goals_of_a_kind_ended(graph: IntentGraph) -> None:
    for number in range(6):
        graph.store(Intent(id=f"d{number}", goal=f"Deploy region {number}"))
    graph.store(Intent(id="other", goal="Paint"))
    graph.fail("d0", "d1", "other")
    graph.reopen("d1")
    graph.complete("d1", "d2")
    told = graph.outcomes(IntentFilter(text="deploy"))
    assert told.goals == 6
    assert told.now == {IntentStatus.ACTIVE: 3, IntentStatus.COMPLETED: 2, IntentStatus.FAILED: 1}
    assert told.entered[IntentStatus.FAILED] == 2
    assert told.failed == 2 / 6
    assert graph.outcomes(IntentFilter(text="nothing")).failed == 0


def test_what_cannot_be_asked_of_history_is_refused_by_name(graph: IntentGraph) -> None:
    for wrong, told in (
        ({"does": "think"}, "'think' is no kind of change"),
        ({"status": "finished"}, "'finished' is not a status"),
        ({"actor": "\0"}, "actor"),
        ({"does": 3}, "does must be a list"),
        ({"reason_contains": "\ud800"}, "reason_contains"),
    ):
        with pytest.raises(FieldInvalid, match=told):
            HistoryFilter(**wrong)
    with pytest.raises(FieldInvalid, match="an id or a HistoryFilter"):
        graph.history(3)  # type: ignore[arg-type]
    with pytest.raises(IntentMissing):
        graph.history("nope")


def test_history_is_asked_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.test_claims import _intent

    def intent(*words: str) -> Any:
        return _intent("--store", f"sqlite:{tmp_path / 'goals.db'}", *words)

    intent("--actor", "ana", "add", "First", "--id", "first")
    intent("--actor", "ben", "fail", "first", "--reason", "the vendor said no")
    assert [entry["actor"] for entry in intent("history", "first")["entries"]] == ["ana", "ben"]
    assert [entry["actor"] for entry in intent("history")["entries"]] == ["ben", "ana"]
    assert [entry["revision"] for entry in intent("history", "--by", "ben", "--since", "1d")["entries"]] == [2]
    assert [entry["revision"] for entry in intent("history", "first", "--status", "active")["entries"]] == [1]
    assert intent("history", "--reason", "VENDOR", "--does", "put", "--limit", "1")["entries"][0]["reason"]
    assert intent("history", "--before", "2", "--until", "1d")["entries"] == []
    assert intent("history", "--approved-by", "boss") == {"entries": []}
    assert intent("history", "--status", "finished") == 5
    capsys.readouterr()
