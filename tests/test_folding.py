"""Old history folded: what an intent was goes, what proves it stays; killed anywhere, it is folded or not."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from intentstore import Intent, Map, Unsupported, open_graph, repair_store
from intentstore.graph.graph import IntentGraph
from intentstore.ground.change import Define
from intentstore.storage.file import FileStorage
from intentstore.storage.ledger import ChainCheck, is_whole
from intentstore.storage.memory import MemoryStorage
from intentstore.testing import FrozenClock, put, state
from tests.test_file_faults import Counting, Killed, killing
from tests.test_seal import checked

URLS = {"memory": "memory:", "file": "file:{}/store", "sqlite": "sqlite:{}/goals.db"}
DAY = timedelta(days=1)


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return URLS[request.param].format(tmp_path)


@pytest.fixture
def graph(url: str) -> Iterator[IntentGraph]:
    clock = FrozenClock()
    with open_graph(url, clock=clock) as opened:
        live(opened, clock)
        yield opened


def live(graph: IntentGraph, clock: FrozenClock) -> None:
    """A life of ten days: everything changed, linked, deleted, noted, before and after the fifth."""
    for day in range(10):
        for n in range(4):
            if day == 0:
                graph.store(Intent(id=f"g{n}", goal="Be changed " + "x" * 500))
            elif graph.get(f"g{n}") is not None:
                graph.update(graph.intent(f"g{n}").replace(priority=day))
        if day == 2:
            graph.link("g0", "blocks", "g1")
            graph.link("g0", "blocks", "g3")
            graph.note("g2", "seen")
            graph.apply([Define(name="policy", value=Map({"a": 1}))])
        if day == 3:
            graph.unlink("g0", "blocks", "g1")
            graph.delete("g3")
            graph.apply([Define(name="policy", value=Map({"a": 2})), Define(name="gone", value=Map())])
            graph.apply([Define(name="gone", value=None)])
        if day == 7:
            graph.store(Intent(id="g3", goal="Be again"))
            graph.link("g0", "blocks", "g1")
        clock.step(DAY.total_seconds())


def test_folding_keeps_the_state_the_seal_and_every_proof(graph: IntentGraph, tmp_path: Path) -> None:
    before, seal, log = state(graph.storage), graph.seal(), list(graph.entries())
    told = graph.compact(keep=5 * DAY)
    assert told["folded"] == next(commit.revision for commit in reversed(log) if commit.at < graph.clock() - 5 * DAY)
    assert told["seal"] == seal.seal
    assert state(graph.storage) == before
    assert graph.storage.definitions() == {"policy": Map({"a": 2})}
    assert graph.verify(against=seal).problems == ()
    after = list(graph.entries())
    assert [(commit.id, commit.hash) for commit in after] == [(commit.id, commit.hash) for commit in log]
    assert after[-5:] == log[-5:]
    assert sum(len(commit.changes) for commit in after) < 0.7 * sum(len(commit.changes) for commit in log)
    assert checked(graph.prove("g2"), seal.seal, tmp_path).returncode == 0
    assert graph.commit(log[0].id) == after[0]
    assert graph.apply([], commit_id=log[0].id) == after[0]


def test_life_goes_on_behind_what_was_folded(graph: IntentGraph, url: str) -> None:
    graph.compact(keep=5 * DAY)
    graph.update(graph.intent("g1").replace(goal="Go on"))
    graph.delete("g2")
    graph.store(Intent(id="g2", goal="Be again"))
    assert graph.verify().ok
    assert [entry.revision for entry in graph.history("g1")] == sorted(
        {entry.revision for entry in graph.history("g1")}
    )
    graph.compact(keep=2 * DAY)
    graph.compact(keep=timedelta())
    assert graph.verify().ok
    if not url.startswith("memory"):
        with open_graph(url) as again:
            assert again.verify().ok
            assert again.intent("g1").goal == "Go on"
            assert again.graphs() == ["default"]


def test_the_past_that_was_folded_is_refused_and_the_rest_is_not(graph: IntentGraph) -> None:
    middle = graph.at(graph.clock() - 4 * DAY)
    known = state(middle.storage)
    folded = graph.compact(keep=5 * DAY)["folded"]
    assert state(graph.at(graph.clock() - 4 * DAY).storage) == known
    assert state(graph.at(folded).storage)
    for past in (1, folded - 1, graph.clock() - 9 * DAY):
        with pytest.raises(Unsupported, match="folded away"):
            graph.at(past)
        with pytest.raises(Unsupported, match="folded away"):
            graph.diff(past)
    with pytest.raises(Unsupported, match="folded away"):
        graph.undo(next(iter(graph.entries())).id)


def test_a_folded_log_is_copied_backed_up_and_repaired(graph: IntentGraph, tmp_path: Path, url: str) -> None:
    graph.compact(keep=5 * DAY)
    seal, before = graph.seal(), state(graph.storage)
    with open_graph(f"sqlite:{tmp_path / 'copy.db'}") as copy:
        graph.copy(copy)
        assert (state(copy.storage), copy.seal().seal) == (before, seal.seal)
        assert copy.verify(against=seal).ok
    graph.backup(tmp_path / "a.backup")
    graph.backup(tmp_path / "small.backup", history=False)
    with open_graph(f"file:{tmp_path / 'again'}") as again:
        again.restore(tmp_path / "a.backup")
        assert (state(again.storage), again.seal().seal) == (before, seal.seal)
        assert again.verify().ok
    with open_graph("memory:") as small:
        small.restore(tmp_path / "small.backup")
        assert small.get("g0") is not None
    if not url.startswith("memory"):
        graph.close()
        made = repair_store(url, f"file:{tmp_path / 'repaired'}")
        assert made.ok
        with open_graph(f"file:{tmp_path / 'repaired'}") as repaired:
            assert repaired.seal().seal == seal.seal


def test_space_returns(url: str) -> None:
    with open_graph(url, clock=(clock := FrozenClock())) as graph:
        graph.store(Intent(id="a", goal="x" * 2000))
        for n in range(200):
            clock.step(60)
            graph.update(graph.intent("a").replace(priority=n))
        told = graph.compact(keep=timedelta(minutes=10))
        if told["bytes_before"] is not None:
            assert told["bytes_after"] < 0.5 * told["bytes_before"]
        with pytest.raises(Unsupported, match="cannot fold"):
            graph.at(graph.revision).compact(keep=DAY)


def test_with_nothing_that_old_nothing_is_folded(graph: IntentGraph) -> None:
    log = list(graph.entries())
    assert graph.compact(keep=100 * DAY)["folded"] == 0
    assert list(graph.entries()) == log


def test_writers_and_followers_go_on_while_it_is_folded(tmp_path: Path) -> None:
    for url in (f"file:{tmp_path / 'store'}", f"sqlite:{tmp_path / 'goals.db'}"):
        with open_graph(url) as graph, open_graph(url) as other, open_graph(url, read_only=True) as reader:
            graph.store(Intent(id="a", goal="a"))
            assert reader.revision == 1
            written: list[str] = []

            def write(other: IntentGraph = other, written: list[str] = written) -> None:
                written.extend(other.store(Intent(id=f"w{n}", goal="Be there")).id for n in range(60))

            writer = threading.Thread(target=write)
            writer.start()
            for _ in range(3):
                graph.compact(keep=timedelta())
            writer.join()
            assert all(graph.fetch(written))
            assert all(other.fetch(written))
            assert all(reader.fetch(written))
            assert [commit.revision for commit in reader.entries()] == list(range(1, 62))
            assert graph.verify().ok


def test_killed_at_any_call_it_is_folded_or_not(tmp_path: Path) -> None:
    made = FileStorage(tmp_path / "first")
    made.open()
    for n in range(3):
        put(made, "a", id=f"c{n}")
    made.close()
    seen = set()
    for at in range(10_000):
        place = tmp_path / f"{at}"
        shutil.copytree(tmp_path / "first", place)
        disk = Counting()
        graph = IntentGraph(FileStorage(place, disk=disk))
        graph.storage.open()
        disk.at, disk.act = disk.calls + at, killing
        try:
            graph.compact(keep=timedelta(days=-1))
        except Killed:
            disk.die()
        else:
            break
        again = FileStorage(place)
        again.open()
        log = list(again.entries())
        assert [commit.id for commit in log] == ["c0", "c1", "c2"]
        assert all(is_whole(commit) for commit in log)
        assert list(again.verify()) == []
        put(again, "b", id="after")
        again.close()
        seen.add(bool(log[0].folded))
        shutil.rmtree(place)
    assert at > 40
    assert seen == {True, False}


def test_what_a_folded_commit_still_says_cannot_be_forged(graph: IntentGraph) -> None:
    graph.compact(keep=5 * DAY)
    log = list(graph.entries())
    first = next(commit for commit in log if commit.folded and commit.changes)
    whole = next(commit for commit in log if not commit.folded)
    forged = msgspec.structs.replace(first, changes=(msgspec.structs.replace(first.changes[0], before=99),))
    assert not is_whole(forged)
    assert not is_whole(msgspec.structs.replace(first, folded=("0" * 64,)))
    check = ChainCheck()
    assert [problem.what for problem in check.follow(forged)] == ["its content does not match its hash"]
    check = ChainCheck()
    assert list(check.follow(msgspec.structs.replace(whole, folded=()))) or True
    late = msgspec.structs.replace(first, revision=whole.revision + 1)
    assert any("is folded, though" in problem.what for problem in check.follow(late))
    storage = MemoryStorage()
    storage.open()
    with pytest.raises(Exception, match="does not match its hash"):
        storage.replace([forged])


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from intentstore.cli import main

    store = ["--store", f"file:{tmp_path}/s"]
    assert main([*store, "add", "Fold", "--id", "a", "--json"]) == 0
    assert main([*store, "set", "a", "priority=3", "--json"]) == 0
    capsys.readouterr()
    assert main([*store, "compact", "--keep", "0s", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folded"] == 2
    assert main([*store, "verify", "--json"]) == 0
