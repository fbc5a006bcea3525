"""The seal and what it shows; proofs checked without the library; backups that go on from a seal, or leave it."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from intentstore import AlreadyThere, Corrupt, FieldInvalid, Intent, IntentMissing, TooNew, Unavailable, open_graph
from intentstore.graph import seal as seals
from intentstore.graph.graph import IntentGraph
from intentstore.graph.transfer import Reading, read_seal
from intentstore.testing import copy_log, state
from intentstore.testing.history import eventful

CHECK = Path(__file__).parents[1] / "docs" / "check_proof.py"
KINDS = ["memory:", "file:{}/store", "sqlite:{}/goals.db"]


@pytest.fixture(params=KINDS, ids=["memory", "file", "sqlite"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IntentGraph]:
    with open_graph(request.param.format(tmp_path), actor="me") as opened:
        yield opened


def fill(graph: IntentGraph, count: int = 3, word: str = "goal") -> None:
    for n in range(count):
        graph.store(Intent(id=f"{word}{n}", goal=f"{word} {n}"))


# --- the seal ---


def test_equal_histories_have_equal_seals_on_every_storage(graph: IntentGraph) -> None:
    eventful(graph.storage)
    with open_graph("memory:") as other:
        copy_log(graph.entries(), other.storage)
        assert other.seal().seal == graph.seal().seal == graph.receipt().seal == other.receipt().seal


def test_what_was_sealed_is_found_again_and_what_was_not_is_named(graph: IntentGraph, tmp_path: Path) -> None:
    fill(graph)
    seal = graph.seal()
    seal.write(tmp_path / "s.seal")
    assert read_seal(str(tmp_path / "s.seal")) == seal
    fill(graph, 2, "more")
    for given in (seal, str(tmp_path / "s.seal"), seal.seal, seal.seal.upper()):
        assert graph.verify(against=given).ok
    assert seals.grown(graph.storage, seal)
    forged = msgspec.structs.replace(seal, seal="0" * 64)
    assert [problem.where for problem in graph.verify(against=forged).problems] == ["commit 3"]
    assert not graph.verify(against="0" * 64).ok
    with pytest.raises(Corrupt, match="not the one that was sealed"):
        seals.grown(graph.storage, forged)


def test_an_end_that_was_cut_off_is_shown_by_a_seal_alone(tmp_path: Path) -> None:
    with open_graph("memory:") as whole, open_graph("memory:") as cut:
        fill(whole, 5)
        copy_log(list(whole.entries())[:3], cut.storage)
        assert cut.verify().ok
        (problem,) = cut.verify(against=whole.seal()).problems
        assert problem.where == "commit 3"
        assert "2 commits before the sealed revision 5" in problem.what
        with pytest.raises(Corrupt, match="has 3 commits"):
            seals.grown(cut.storage, whole.seal())


def test_an_empty_graph_has_a_seal(graph: IntentGraph) -> None:
    seal = graph.seal()
    assert (seal.commits, seal.revision) == (0, 0)
    assert graph.verify(against=seal).ok
    assert graph.verify(against=seal.seal).ok


def test_what_is_no_seal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        read_seal(str(tmp_path / "nothing"))
    (tmp_path / "other").write_text("{}")
    with pytest.raises(FieldInvalid, match="holds none"):
        read_seal(str(tmp_path / "other"))
    with pytest.raises(Unavailable):
        seals.Seal(graph="g", revision=0, commits=0, seal="").write(tmp_path / "no" / "such")


@pytest.mark.parametrize("url", KINDS[1:], ids=["file", "sqlite"])
def test_closing_keeps_a_seal_that_the_next_verify_looks_at(tmp_path: Path, url: str) -> None:
    where = url.format(tmp_path)
    for round in range(3):
        with open_graph(where) as graph:
            fill(graph, 3, f"round{round}-")
            sealed = graph.seal()
        with open_graph(where, read_only=True) as graph:
            kept = seals.seal_of_last_close(graph.storage)
            assert kept is not None
            assert (kept.revision, kept.commits, kept.seal) == (sealed.revision, sealed.commits, sealed.seal)
            assert graph.verify().ok
    with open_graph(where) as graph:
        space = {seals.KEY: msgspec.json.encode({"revision": 9, "commits": 10, "peaks": ["00" * 32, "11" * 32]})}
        graph.storage.keep(seals.SPACE, space)  # type: ignore[attr-defined]  # it keeps aside
        (problem,) = graph.verify().problems
        assert "before the sealed revision" in problem.what
        graph.storage.keep(seals.SPACE, {seals.KEY: b"?"})  # type: ignore[attr-defined]  # it keeps aside
        assert graph.verify().ok
        graph.store(Intent(goal="Go on"))
    with open_graph(where) as graph:
        assert seals.seal_of_last_close(graph.storage) is not None


def test_a_closing_after_very_much_leaves_the_seal_to_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "_FEW", 2)
    with open_graph(f"file:{tmp_path / 'store'}") as graph:
        fill(graph, 3)
    with open_graph(f"file:{tmp_path / 'store'}") as graph:
        assert seals.seal_of_last_close(graph.storage) is None
        assert graph.verify().ok


# --- proofs ---


def checked(proof: object, seal: str, place: Path) -> subprocess.CompletedProcess[str]:
    (place / "proof.json").write_text(json.dumps(proof))
    command = [sys.executable, "-I", str(CHECK), str(place / "proof.json"), seal]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_proof_is_checked_without_the_library(graph: IntentGraph, tmp_path: Path) -> None:
    fill(graph)
    graph.update(graph.intent("goal1").replace(goal="changed"), reason="why")
    fill(graph, 4, "more")
    seal = graph.seal()
    told = checked(graph.prove("goal1"), seal.seal, tmp_path)
    found = json.loads(told.stdout)
    assert (found["revision"], found["actor"], found["reason"], found["intent"]["goal"]) == (4, "me", "why", "changed")
    assert (
        json.loads(checked(graph.prove("goal1", revision=3), seal.seal, tmp_path).stdout)["intent"]["goal"] == "goal 1"
    )
    seal.write(tmp_path / "s.seal")
    assert checked(graph.prove("more3"), str(tmp_path / "s.seal"), tmp_path).returncode == 0
    graph.delete("goal1")
    assert graph.prove("goal1")["revision"] == 9
    with pytest.raises(IntentMissing):
        graph.prove("goal1", revision=1)


def test_a_proof_that_was_altered_anywhere_is_refused(tmp_path: Path) -> None:
    with open_graph("memory:", actor="me") as graph:
        fill(graph, 5)
        proof, seal = graph.prove("goal2"), graph.seal().seal
    for name, value in {
        "header": proof["header"].replace("me", "you"),
        "change": proof["change"].replace("goal 2", "goal 7"),
        "index": 1,
        "path": proof["path"][::-1],
        "changes": ["0" * 64],
    }.items():
        assert checked({**proof, name: value}, seal, tmp_path).returncode != 0, name
    assert checked(proof, "0" * 64, tmp_path).returncode != 0


# --- backups ---


def test_a_backup_goes_on_from_a_seal_or_from_an_earlier_backup(graph: IntentGraph, tmp_path: Path) -> None:
    fill(graph)
    first = graph.backup(tmp_path / "first.backup")
    graph.seal().write(tmp_path / "first.seal")
    graph.delete("goal0")
    fill(graph, 2, "more")
    for since in ("first.backup", "first.seal"):
        second = graph.backup(tmp_path / "second.backup", since=str(tmp_path / since))
        assert (second.intents, second.revision, second.seal) == (4, 6, graph.seal().seal)
        assert Reading(tmp_path / "second.backup").header.since == 3
        assert len(list(Reading(tmp_path / "second.backup"))) == 3
    with open_graph("memory:") as again:
        with pytest.raises(AlreadyThere, match="goes on"):
            again.restore(tmp_path / "second.backup")
        assert again.restore(tmp_path / "first.backup") == first
        assert again.restore(tmp_path / "second.backup") == second
        assert again.restore(tmp_path / "second.backup") == second
        assert state(again.storage) == state(graph.storage)
        assert again.verify(against=str(tmp_path / "second.backup")).ok


def test_a_backup_does_not_go_on_from_another_history(tmp_path: Path) -> None:
    with open_graph("memory:") as one, open_graph("memory:") as other:
        fill(one)
        fill(other, word="other")
        with pytest.raises(Corrupt, match="does not continue"):
            other.backup(tmp_path / "x.backup", since=one.seal())
        with pytest.raises(Unavailable, match="needs the history"):
            one.backup(tmp_path / "x.backup", since=one.seal(), history=False)
        with pytest.raises(Unavailable, match="needs the history"):
            one.backup(tmp_path / "x.backup", since=one.seal().seal)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_without_history_carries_the_state_alone(graph: IntentGraph, tmp_path: Path) -> None:
    eventful(graph.storage)
    receipt = graph.backup(tmp_path / "small.backup", history=False)
    assert receipt.revision < graph.revision
    with open_graph(f"file:{tmp_path / 'again'}") as again:
        assert again.restore(tmp_path / "small.backup") == receipt
        assert again.verify().ok
        found = {intent.id: intent.replace(revision=0) for intent in again.each()}
        assert found == {intent.id: intent.replace(revision=0) for intent in graph.each()}
        assert {edge.key for edge in again.edges_of(list(found))} == {edge.key for edge in graph.edges_of(list(found))}


def test_a_backup_under_write_load_is_one_moment_of_the_graph(tmp_path: Path) -> None:
    with open_graph(f"file:{tmp_path / 'store'}") as graph:
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                with graph.transaction() as tx:
                    tx.store(Intent(id=f"a{number}", goal="One of two"))
                    tx.store(Intent(id=f"b{number}", goal="The other"))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                for history in (True, False):
                    graph.backup(tmp_path / "live.backup", history=history)
                    with open_graph("memory:") as again:
                        again.restore(tmp_path / "live.backup")
                        ids = {intent.id for intent in again.each()}
                        assert {f"b{id[1:]}" for id in ids if id.startswith("a")} == {
                            id for id in ids if id.startswith("b")
                        }
                        assert again.verify().ok, number
        finally:
            stop.set()
            writer.join()


def test_a_damaged_backup_is_refused_with_its_place_and_nothing_is_written(tmp_path: Path) -> None:
    luck = random.Random(7)
    path = tmp_path / "a.backup"
    with open_graph("memory:") as graph:
        fill(graph, 6)
        receipt = graph.backup(path)
    whole = path.read_bytes()
    damaged = [whole[:at] for at in range(0, len(whole), 3)]
    damaged += [
        whole[:at] + bytes([whole[at] ^ (1 << luck.randrange(8))]) + whole[at + 1 :] for at in range(len(whole))
    ]
    harmless = 0
    with open_graph("memory:") as target:
        for number, data in enumerate(damaged):
            path.write_bytes(data)
            refusal = refused(target, path)
            if refusal is not None:
                assert str(path) in refusal
                assert target.revision == 0, number
            else:  # a bit that gzip does not look at, as the time in its header
                assert target.receipt() == receipt
                harmless += 1
                target.storage = type(target.storage)()
                target.storage.open()
    assert harmless < 100


def refused(target: IntentGraph, path: Path) -> str | None:
    try:
        target.restore(path)
    except (Corrupt, TooNew) as error:
        return str(error)
    return None


def test_lines_of_a_backup_that_were_moved_are_seen_though_gzip_is_content(tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    with open_graph("memory:") as graph:
        fill(graph, 4)
        graph.backup(path)
    lines = gzip.decompress(path.read_bytes()).split(b"\n")[:-1]
    for changed in (
        [*lines[:2], *lines[3:]],
        [*lines[:2], lines[3], lines[2], *lines[4:]],
        [*lines, lines[1]],
        lines[:-1],
        [*lines[:1], lines[-1]],
    ):
        path.write_bytes(gzip.compress(b"\n".join(changed) + b"\n"))
        with open_graph("memory:") as target, pytest.raises(Corrupt):
            target.restore(path)
