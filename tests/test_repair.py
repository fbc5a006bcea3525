"""A damaged store is refused with its place; verify names what is wrong; repair brings over what is whole."""

from __future__ import annotations

import json
import random
from pathlib import Path

import apsw
import pytest

from intentstore import AlreadyThere, Corrupt, Intent, Unavailable, Unsupported, open_graph, repair_store
from intentstore.graph.graph import IntentGraph
from intentstore.ground.change import Define
from intentstore.ground.values import Map
from intentstore.storage.journal import ZERO, write_frame
from intentstore.testing import FrozenClock, state
from intentstore.testing.history import eventful
from intentstore.testing.samples import NOON
from tests.test_cli import Command

URLS = {"file": "file:{}/store", "sqlite": "sqlite:{}/goals.db"}


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return URLS[request.param].format(tmp_path)


@pytest.fixture
def intent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(capsys, monkeypatch)


def fill(graph: IntentGraph) -> None:
    for n in range(40):
        graph.store(Intent(id=f"g{n}", goal=f"Goal {n} " + "x" * 300, priority=n))
    graph.link("g1", "is_subgoal_of", "g0")
    graph.link("g2", "depends_on", "g1")
    graph.start("g5")
    graph.delete("g7")


def contents(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_a_whole_store_is_brought_over_to_the_last_digit(url: str, tmp_path: Path) -> None:
    with open_graph(url) as graph:
        eventful(graph.storage)
        fill(graph)
        before, seal = state(graph.storage), graph.seal()
    made = repair_store(url, f"file:{tmp_path / 'new'}")
    assert (made.ok, made.problems) == (True, ())
    with open_graph(f"file:{tmp_path / 'new'}") as again:
        assert state(again.storage) == before
        assert again.verify(against=seal).ok
        assert (made.intents, made.edges, made.commits) == (len(before[0]), len(before[1]), seal.commits)
    with pytest.raises(AlreadyThere):
        repair_store(url, f"file:{tmp_path / 'new'}")


def damaged_journal(url: str, tmp_path: Path, *, compacted: bool = False) -> Path:
    """A file store with a run of bytes overwritten in the middle of its first journal."""
    with open_graph(url) as graph:
        fill(graph)
        if compacted:
            graph.compact()
    journal = min((tmp_path / "store").rglob("journal-*"))
    data = bytearray(journal.read_bytes())
    at = data.index(b'"g20"')
    data[at - 300 : at + 50] = b"#" * 350
    journal.write_bytes(data)
    return journal


def test_a_journal_damaged_in_the_middle_is_refused_named_and_repaired(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'store'}"
    journal = damaged_journal(url, tmp_path)
    before = contents(tmp_path / "store")
    with pytest.raises(Corrupt) as refused:
        open_graph(url, read_only=True)
    assert str(journal) in str(refused.value)
    assert "at byte" in str(refused.value)
    made = repair_store(url, f"sqlite:{tmp_path / 'new.db'}")
    assert not made.ok
    assert any(f"{journal} at byte" in problem.where for problem in made.problems)
    assert any(problem.where.startswith("commit") for problem in made.problems)
    with open_graph(f"sqlite:{tmp_path / 'new.db'}") as again:
        there = {intent.id for intent in again.each()}
        assert {f"g{n}" for n in range(40)} - there <= {"g7", "g19", "g20", "g21"}
        assert again.intent("g5").status == "executing"
        assert {edge.key for edge in again.edges("g1")} == {("g1", "is_subgoal_of", "g0"), ("g2", "depends_on", "g1")}
        assert again.verify().ok
        assert again.history("g0")[0].commit
    assert contents(tmp_path / "store") == before, "the original was touched"


def test_a_snapshot_gives_back_what_the_journal_has_lost(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'store'}"
    damaged_journal(url, tmp_path, compacted=True)
    with open_graph(url, read_only=True) as graph:
        assert not graph.verify().ok
        whole = {intent.id for intent in graph.each()}
    made = repair_store(url, f"file:{tmp_path / 'new'}")
    assert not made.ok
    with open_graph(f"file:{tmp_path / 'new'}") as again:
        assert {intent.id for intent in again.each()} == whole
        assert again.intent("g20").goal.startswith("Goal 20")
        assert again.verify().ok


def test_without_a_place_it_only_lists(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'store'}"
    damaged_journal(url, tmp_path)
    before = contents(tmp_path)
    assert not repair_store(url, None).ok
    assert contents(tmp_path) == before


def test_pages_of_a_database_that_cannot_be_read_are_gone_around(tmp_path: Path) -> None:
    luck = random.Random(3)
    url = f"sqlite:{tmp_path / 'goals.db'}"
    with open_graph(url) as graph:
        fill(graph)
    whole = (tmp_path / "goals.db").read_bytes()
    connection = apsw.Connection(str(tmp_path / "goals.db"))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'commits'").get  # leads to all the log
    connection.close()
    pages = [page for page in range(1, len(whole) // 4096) if page != root - 1]
    for page in luck.sample(pages, 12):
        data = bytearray(whole)
        data[page * 4096 : page * 4096 + 4096] = luck.randbytes(4096)
        (tmp_path / "goals.db").write_bytes(data)
        made = repair_store(url, None)
        lost = {f"g{n}" for n in range(40)} - {"g7"}
        assert made.ok or made.intents < len(lost) or made.problems
        assert made.intents > 0, page
    assert (tmp_path / "goals.db").read_bytes() == bytes(data)


def test_a_row_of_the_log_that_was_edited_is_named_and_left_out(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'goals.db'}"
    with open_graph(url) as graph:
        fill(graph)
    connection = apsw.Connection(str(tmp_path / "goals.db"))
    connection.execute("UPDATE commits SET body = replace(body, 'Goal 3 ', 'Gaol 3 ') WHERE body LIKE '%\"g3\"%'")
    connection.close()
    with open_graph(url, read_only=True) as graph:
        assert next(problem.where for problem in graph.verify().problems) == "commit 4"
    made = repair_store(url, f"file:{tmp_path / 'new'}")
    assert any("does not match its hash" in problem.what for problem in made.problems)
    with open_graph(f"file:{tmp_path / 'new'}") as again:
        assert again.get("g3") is None
        assert again.get("g4") is not None


def test_a_file_that_is_no_database_gives_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "goals.db").write_bytes(b"no database" * 500)
    made = repair_store(f"sqlite:{tmp_path / 'goals.db'}", None)
    assert (made.ok, made.commits) == (False, 0)
    for missing in (f"sqlite:{tmp_path / 'none.db'}", f"file:{tmp_path / 'none'}"):
        with pytest.raises(Unavailable):
            repair_store(missing, None)
    with pytest.raises(Unsupported):
        repair_store("memory:", None)


def test_changes_that_no_longer_fit_are_left_out_by_name(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'store'}"
    with open_graph(url) as graph:
        graph.store(Intent(id="a", goal="a"))
        graph.store(Intent(id="b", goal="b"))
        graph.link("a", "blocks", "b")
        graph.unlink("a", "blocks", "b")
        graph.note("b", "seen")
        graph.delete("b")
    (journal,) = (tmp_path / "store").rglob("journal-*")
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:2], lines[2].replace(b'"b"', b'"x"'), *lines[3:]]))
    made = repair_store(url, None)
    left_out = [problem.what for problem in made.problems if "left out" in problem.what]
    assert len(left_out) == 4
    assert "edge a blocks b has no intent b" in left_out[0]
    assert made.intents == 1


def test_on_the_command_line(tmp_path: Path, intent: Command) -> None:
    url = f"file:{tmp_path / 'store'}"
    journal = damaged_journal(url, tmp_path)
    refused = intent("--store", url, "list", "--json")
    assert refused.status == 9
    assert str(journal) in refused.err
    told = intent("--store", url, "repair", "--to", str(tmp_path / "rescued"), "--json")
    assert json.loads(told.out)["intents"] > 30
    assert json.loads(told.out)["ok"] is False
    assert "problems found" in intent("--store", url, "repair").out
    assert intent("--store", f"file:{tmp_path / 'rescued'}", "count", "--json").status == 0
    assert intent("--store", url, "repair", "--to", url).status == 5


# --- what else may be wrong with a place ---


def problems_of(url: str) -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in repair_store(url, None).problems]


def file_store(tmp_path: Path) -> tuple[str, Path]:
    """A file store of two journals and a snapshot that says, besides, that an edge and an intent were deleted."""
    url = f"file:{tmp_path / 'store'}"
    with open_graph(url) as graph:
        for id in "abc":
            graph.store(Intent(id=id, goal=id))
        graph.link("a", "blocks", "b")
        graph.link("a", "blocks", "c")
        graph.unlink("a", "blocks", "b")
        graph.delete("c")
        graph.apply([Define(name="kept", value=Map({"a": 1})), Define(name="gone", value=Map({"b": 2}))])
        graph.apply([Define(name="gone", value=None)])
        graph.compact()
        graph.store(Intent(id="d", goal="d"))
    return url, tmp_path / "store" / "graphs" / "default"


def test_a_head_a_snapshot_or_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    url, folder = file_store(tmp_path)
    (folder / "head").write_bytes(b"?")
    assert "head" in problems_of(url)[0]
    (snapshot,) = folder.glob("snapshot-*")
    snapshot.write_bytes(b"?")
    assert "snapshot" in problems_of(url)[1]
    first, second = sorted(folder.glob("journal-*"))
    second.unlink()
    second.symlink_to(first)
    assert any("cannot be read" in problem for problem in problems_of(url))


def test_what_was_deleted_in_a_lost_commit_stays_deleted(tmp_path: Path) -> None:
    url, folder = file_store(tmp_path)
    first, _ = sorted(folder.glob("journal-*"))
    lines = first.read_bytes().split(b"\n")
    first.write_bytes(b"\n".join([*lines[:6], b"", *lines[9:]]))
    made = repair_store(url, f"file:{tmp_path / 'new'}")
    assert [problem.where for problem in made.problems] == ["commits 6 to 8", "commit 9"]
    with open_graph(f"file:{tmp_path / 'new'}") as again:
        assert {intent.id for intent in again.each()} == {"a", "b", "d"}
        assert again.edges("a") == []
        assert again.storage.definitions() == {"kept": Map({"a": 1})}


def test_definitions_are_brought_over_from_the_log_or_else_from_the_snapshot(tmp_path: Path) -> None:
    url, folder = f"file:{tmp_path / 'store'}", tmp_path / "store" / "graphs" / "default"
    with open_graph(url) as graph:
        for name in "abc":
            graph.define(name, {"level": 1})
        graph.define("a", {"level": 2})
        graph.define("b", None)
        graph.compact()
    (journal, _) = sorted(folder.glob("journal-*"))
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:3], b"", *lines[6:]]))  # the third to the fifth commit are lost
    made = repair_store(url, f"file:{tmp_path / 'new'}")
    assert [problem.where for problem in made.problems] == ["commits 3 to 5"]
    with open_graph(f"file:{tmp_path / 'new'}") as again:
        assert again.definitions() == {"a": {"level": 2}, "c": {"level": 1}}


def test_a_torn_end_and_commits_that_only_the_snapshot_has_are_named(tmp_path: Path) -> None:
    url, folder = file_store(tmp_path)
    first, second = sorted(folder.glob("journal-*"))
    lines = first.read_bytes().split(b"\n")
    first.write_bytes(b"\n".join([*lines[:7], lines[7][:99]]))
    second.unlink()
    told = problems_of(url)
    assert "hold no whole record" in told[0]
    assert told[-1].startswith("commits 7 to 9: lost")


def test_records_that_are_whole_but_not_what_they_say_are_left_out(tmp_path: Path) -> None:
    url, folder = file_store(tmp_path)
    first, second = sorted(folder.glob("journal-*"))
    frames = [line.split(b" ", 5) for line in first.read_bytes().split(b"\n")[:-1]]
    bodies = [frame[5] for frame in frames]
    bodies[1] = bodies[1].replace(b'"goal":"a"', b'"goal":"x"')
    bodies[2] = b'{"revision":2,"id":7}'
    bodies[4] = bodies[3]
    made, prev = [], ZERO
    for number, body in enumerate(bodies):
        line, prev = write_frame(body, revision=number, group=number, prev=prev)
        made.append(line)
    first.write_bytes(b"".join(made))
    told = problems_of(url)
    assert sum("does not match its hash" in problem for problem in told) == 1
    assert sum("a record cannot be read" in problem for problem in told) == 1
    assert sum("stands behind revision" in problem for problem in told) == 1
    assert second.exists()


def test_an_edge_of_the_snapshot_without_its_ends_is_left_out(tmp_path: Path) -> None:
    from intentstore import Edge, EdgeType
    from intentstore.graph.repair import repair
    from intentstore.ground.change import Head, Link
    from intentstore.storage.memory import MemoryStorage
    from intentstore.storage.salvage import Remnant

    target = MemoryStorage()
    target.open()
    edge = Edge(source="a", type=EdgeType("blocks"), target="b", created_at=NOON)
    made = repair([Remnant(Link(edge=edge), Head(3, "0" * 64))], target, "", now=lambda: NOON)
    assert [problem.where for problem in made.problems] == ["commits 1 to 3", "edge a blocks b"]


def test_a_graph_that_is_not_in_the_file_is_said_so(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'goals.db'}"
    open_graph(url).close()
    with pytest.raises(Unavailable, match="no graph 'other'"):
        repair_store(url, None, graph="other")


class Broken:
    """A connection to a log of one row, number 40, before which nothing can be read behind row 3."""

    def __init__(self, row: int) -> None:
        self.row, self.key = row, 0

    def execute(self, _: str, asked: tuple[int, int]) -> Broken:
        self.key = asked[0]
        if 3 <= self.key < self.row - 1:
            raise apsw.CorruptError("malformed")
        return self

    def fetchall(self) -> list[tuple[int, str]]:
        return [(next_, f"row {next_}") for next_ in (1, 2, 3, self.row) if next_ > self.key][:1]


def test_rows_that_cannot_be_read_are_gone_around_to_the_next_that_can() -> None:
    from intentstore.ground.protocol import Problem
    from intentstore.storage import sqlite_salvage

    found = list(sqlite_salvage._rows(Broken(40), 1, "goals.db"))  # type: ignore[arg-type]  # what is asked of one
    assert [each for each in found if isinstance(each, str)] == ["row 1", "row 2", "row 3", "row 40"]
    (problem,) = [each for each in found if isinstance(each, Problem)]
    assert "from behind row 3 up to row 40" in problem.what
    *_, last = sqlite_salvage._rows(Broken(1 << 63), 1, "goals.db")  # type: ignore[arg-type]  # what is asked of one
    assert isinstance(last, Problem)
    assert "up to the end" in last.what


# --- the doctor ---


def test_the_doctor_says_what_each_thing_means(url: str) -> None:
    with open_graph(url) as graph:
        graph.store(Intent(goal="Be well"))
        health = graph.doctor()
        found = {check.check: check for check in health.checks}
        assert {"python", "durable", "clock"} <= found.keys()
        if url.startswith("file:"):
            assert {"file system", "lock", "permissions", "free space"} <= found.keys()
        assert all(check.means for check in health.checks)
        assert found["durable"].ok


def test_the_doctor_sees_a_place_that_is_open_to_others(tmp_path: Path) -> None:
    with open_graph(f"file:{tmp_path / 'store'}") as graph:
        (tmp_path / "store").chmod(0o755)
        (permissions,) = [check for check in graph.doctor().checks if check.check == "permissions"]
        assert not permissions.ok
        assert "chmod" in permissions.means


def test_the_doctor_sees_a_clock_that_was_set_back(url: str) -> None:
    clock = FrozenClock()
    with open_graph(url, clock=clock) as graph:
        graph.store(Intent(goal="Be written before"))
        clock.step(-3600)
        (seen,) = [check for check in graph.doctor().checks if check.check == "clock"]
        assert not seen.ok


def test_the_doctor_on_the_command_line(tmp_path: Path, intent: Command) -> None:
    assert intent("--store", f"file:{tmp_path}/s", "init").status == 0
    told = json.loads(intent("--store", f"file:{tmp_path}/s", "doctor", "--json").out)
    assert {"ok", "checks"} == told.keys()
    assert "free space" in intent("--store", f"file:{tmp_path}/s", "doctor").out


def test_a_place_is_looked_at_without_being_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from intentstore.storage import examine
    from intentstore.storage.disk import Disk

    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert [check.ok for check in examine.examine_place(link) if check.check == "symbolic link"] == [False]
    monkeypatch.setattr(examine, "mounted_on", lambda _: "tmpfs")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert {check.check for check in examine.examine_place(tmp_path) if not check.ok} >= {"memory", "writable"}
    monkeypatch.setattr(examine, "network_kind", lambda _: "nfs4")
    assert not next(check for check in examine.examine_place(tmp_path) if check.check == "file system").ok
    monkeypatch.undo()
    assert list(examine.examine_lock(tmp_path / "none")) == []
    disk, lock = Disk(), tmp_path / "lock"
    fd = disk.open_append(lock, create=True)
    disk.lock(fd, timeout_s=0)
    assert [check.ok for check in examine.examine_lock(lock)] == [True]
    disk.close(fd)
    monkeypatch.setattr(Disk, "lock_excludes", lambda *_: False)
    assert [check.ok for check in examine.examine_lock(lock)] == [False]
