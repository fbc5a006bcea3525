"""A fleet of processes on one store: some killed, some stopped past their lease; each task is completed once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples import governance, orchestrator
from intentstore import Intent, IntentGraph, IntentStatus, Put, open_graph
from tests.fleet_worker import OPEN
from tests.postgres_server import new_database

WORKER = Path(__file__).with_name("fleet_worker.py")
URLS = {"file": "file:{}/store", "sqlite": "sqlite:{}/goals.db", "postgresql": ""}
TASKS = 200
DEADLINE_S = 120

Process = subprocess.Popen[bytes]
Begin = Callable[[str, str, str], Process]


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return URLS[request.param].format(tmp_path) or new_database()


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    begun: list[Process] = []

    def start(url: str, name: str, role: str) -> Process:
        with (tmp_path / f"{name}.err").open("ab") as errors:
            begun.append(subprocess.Popen([sys.executable, WORKER, url, name, tmp_path / name, role], stderr=errors))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def said(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def stopped(process: Process) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def holding(path: Path) -> str:
    return [words[1] for words in said(path) if words[0] == "claimed"][-1]


def tasks(graph: IntentGraph) -> None:
    with graph.transaction() as tx:
        for number in range(TASKS):
            tx.store(Intent(id=f"t{number:03}", goal=f"Do {number}", priority=number % 3))
            if number % 10 == 9:  # some wait for others
                tx.link(f"t{number:03}", "depends_on", f"t{number - 1:03}")


def test_each_task_is_completed_once_though_holders_are_killed_and_stopped_past_their_lease(
    url: str, tmp_path: Path, begin: Begin
) -> None:
    with open_graph(url) as graph:
        tasks(graph)
    roles = ["hang", "hang", "stop", "stop", "steady", "steady", "steady", "steady"]
    fleet = {f"w{at}": (role, begin(url, f"w{at}", role)) for at, role in enumerate(roles)}
    hanging = [name for name, (role, _) in fleet.items() if role == "hang"]
    stopping = [name for name, (role, _) in fleet.items() if role == "stop"]
    steady = [name for name, (role, _) in fleet.items() if role == "steady"]

    def third(name: str) -> bool:
        return sum(words[0] == "claimed" for words in said(tmp_path / name)) >= 3

    wait_for(lambda: all(third(name) for name in hanging), "nobody hangs")
    for name in hanging:
        fleet[name][1].kill()  # while it holds a task
    wait_for(lambda: all(stopped(fleet[name][1]) for name in stopping), "nobody stopped")
    for name in steady:
        assert fleet[name][1].wait(DEADLINE_S) == 0, (tmp_path / f"{name}.err").read_text()
    with open_graph(url) as graph:
        assert graph.count(OPEN) == {}  # the dead and the stopped were waited for, and their tasks taken over
    for name in stopping:
        fleet[name][1].send_signal(signal.SIGCONT)
    for name in stopping:
        assert fleet[name][1].wait(DEADLINE_S) == 0, (tmp_path / f"{name}.err").read_text()
        assert [words[0] for words in said(tmp_path / name)][-1] == "late"

    with open_graph(url) as graph:
        assert graph.count() == {IntentStatus.COMPLETED: TASKS}
        assert graph.verify().ok
        completed: Counter[str] = Counter()
        holder: dict[str, tuple[str, int]] = {}
        for commit in graph.entries():
            for change in commit.changes:
                if type(change) is not Put:
                    continue
                intent = change.intent
                if intent.status is IntentStatus.COMPLETED:
                    completed[intent.id] += 1
                    assert commit.actor == holder[intent.id][0], "completed by another than its holder"
                if intent.claim is not None:
                    now = (intent.claim.owner, intent.claim.token)
                    assert intent.id not in holder or now[1] >= holder[intent.id][1], "a token from before"
                    holder[intent.id] = now
        assert set(completed.values()) == {1}
        assert len(completed) == TASKS
        for name in [*hanging, *stopping]:
            reasons = [entry.reason or "" for entry in graph.history(holding(tmp_path / name))]
            assert sum(f"the lease of {name} ended" in reason for reason in reasons) == 1
    done = [words[1] for name in fleet for words in said(tmp_path / name) if words[0] == "done"]
    assert sorted(done) == sorted(completed)


def test_ten_orchestrators_give_back_five_hundred_orphans_once(url: str, tmp_path: Path, begin: Begin) -> None:
    with open_graph(url, actor="dead") as graph:
        with graph.transaction() as tx:
            for number in range(500):
                tx.store(Intent(id=f"t{number:03}", goal=f"Do {number}"))
        for number in range(500):
            graph.claim(f"t{number:03}", owner="dead", lease_s=86_400)
            graph.start(f"t{number:03}") if number % 2 else None
        begun = graph.revision
    crowd = [begin(url, f"o{at}", "recover") for at in range(10)]
    for process in crowd:
        assert process.wait(DEADLINE_S) == 0, [(tmp_path / f"o{at}.err").read_text() for at in range(10)]
    told = Counter(words[1] for at in range(10) for words in said(tmp_path / f"o{at}"))
    assert len(told) == 500
    assert set(told.values()) == {1}
    with open_graph(url) as graph:
        logged = Counter(
            change.intent.id for commit in graph.entries(begun) for change in commit.changes if type(change) is Put
        )
        assert logged == told
        assert {intent.status for intent in graph.each()} == {IntentStatus.ACTIVE}
        assert all(intent.claim is None for intent in graph.each())
        assert {commit.reason for commit in graph.entries(begun)} == {"requeued: dead, who held it, starts anew"}


# --- examples ---


def test_the_orchestrator_survives_kill_9_and_goes_on_where_it_was(url: str, tmp_path: Path) -> None:
    command = [sys.executable, orchestrator.__file__, url, "--name", "alpha", "--pace"]
    out = tmp_path / "said"
    with out.open("wb") as file:
        first = subprocess.Popen([*command, "0.3"], stdout=file)
        wait_for(lambda: out.read_text().count("done") >= 2, "nothing was done")
        with open_graph(url) as graph:
            wait_for(lambda: any(i.status == "executing" for i in graph.each()), "nothing was begun")
        first.kill()
        first.wait()
    done = [line for line in out.read_text().splitlines() if line.endswith("done")]
    again = subprocess.run([*command, "0"], capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    lines = again.stdout.splitlines()
    assert "goes back" in lines[0]
    assert len(done) + len([line for line in lines if line.endswith("done")]) == len(orchestrator.STEPS) + 1
    with open_graph(url) as graph:
        assert graph.count() == {IntentStatus.COMPLETED: len(orchestrator.STEPS) + 1}
        assert [commit.id for commit in graph.entries()].count("plan-release") == 1
        for number in range(len(orchestrator.STEPS)):
            puts = [entry.change for entry in graph.history(f"release.{number}") if type(entry.change) is Put]
            assert sum(put.intent.status is IntentStatus.COMPLETED for put in puts) == 1


def test_the_governance_example_tells_what_its_rules_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:{tmp_path / 'governed.db'}"
    for _ in range(2):  # the second time the rules are there
        governance.main([url])
        told = capsys.readouterr().out
        assert "unapproved: policy urgent: store of intent" in told
        assert "approved by oneself: policy urgent" in told
        assert "approved by ana: done" in told
        assert "auditors will ask" in told
        assert "without a reason: policy learn" in told
        assert "the vendor is down too" in told
    with open_graph(url) as graph:
        assert set(graph.policies()) == {"urgent", "learn", "records", "reached"}
