"""Several processes on one store: killed at any moment, following each other, forked.

``INTENTSTORE_KILL_SECONDS=60`` kills a writer every half second for a minute; without it, for a few seconds.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from intentstore import Intent, open_graph
from intentstore.graph.graph import IntentGraph
from intentstore.ground.errors import Busy, Closed
from tests.postgres_server import new_database
from tests.process_writer import names

SECONDS = float(os.environ.get("INTENTSTORE_KILL_SECONDS", "5"))
URLS = {"file": "file:{}/store", "sqlite": "sqlite:{}/goals.db"}
KINDS = ["file", "sqlite", "postgresql"]
WRITER = Path(__file__).with_name("process_writer.py")

Process = subprocess.Popen[bytes]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_database() if request.param == "postgresql" else URLS[request.param].format(tmp_path)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[str, str, str], Process]]:
    """Starts `process_writer` in a role, on a store, with a file; whatever still runs at the end is killed."""
    begun: list[Process] = []

    def start(role: str, url: str, name: str) -> Process:
        with (tmp_path / f"{name}.err").open("ab") as errors:
            begun.append(subprocess.Popen([sys.executable, WRITER, role, url, tmp_path / name], stderr=errors))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def lines(path: Path) -> list[tuple[int, str]]:
    """Returns the (revision, commit id) pairs a process has put down; a last line without its end is none."""
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(int(revision), id) for revision, id in (line.split() for line in whole)]


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def check_whole(graph: IntentGraph, commit_id: str) -> None:
    ids = names(commit_id)
    assert all(graph.fetch(ids)), f"{commit_id} is not whole"
    assert {edge.key for edge in graph.edges_of(ids)} == {
        (after, "depends_on", before) for before, after in pairwise(ids)
    }


def test_writers_killed_at_any_moment_lose_nothing_and_followers_miss_nothing(
    url: str, tmp_path: Path, begin: Callable[[str, str, str], Process]
) -> None:
    luck = random.Random(2542)
    open_graph(url).close()
    followers = [begin("follow", url, "follow"), begin("peek", url, "peek")]
    writers = [begin("write", url, f"write{n}") for n in range(3)]
    wait_for(lambda: all(lines(tmp_path / f"write{n}") for n in range(3)), "no writer has begun")
    end, killed = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        time.sleep(luck.uniform(0.3, 0.7))
        at = luck.randrange(3)
        assert writers[at].poll() is None, (tmp_path / f"write{at}.err").read_text()
        writers[at].kill()
        writers[at].wait()
        killed += 1
        writers[at] = begin("write", url, f"write{at}")
    for writer in writers:
        assert writer.poll() is None
        writer.kill()
        writer.wait()
    for follower in followers:
        follower.send_signal(signal.SIGTERM)
    assert [follower.wait(60) for follower in followers] == [0, 0], [
        (tmp_path / f"{name}.err").read_text() for name in ("follow", "peek")
    ]

    acknowledged = [line for n in range(3) for line in lines(tmp_path / f"write{n}")]
    assert killed >= SECONDS // 1
    assert len(acknowledged) > 10 * SECONDS
    with open_graph(url) as graph:
        log = [(commit.revision, commit.id) for commit in graph.entries()]
        revisions = [revision for revision, _ in log]
        assert revisions == sorted(set(revisions))
        assert set(acknowledged) <= set(log)
        for _, commit_id in log:
            check_whole(graph, commit_id)
        assert len(list(graph.each())) == len(log) * len(names(""))
        assert graph.verify().ok
        graph.store(Intent(id="after", goal="Be written after all that"))
    with open_graph(url, read_only=True) as graph:
        assert graph.get("after") is not None
        assert len(list(graph.entries())) == len(log) + 1
    # A commit whole in the journal but killed before it was acknowledged may stand in the log; nothing else may.
    assert lines(tmp_path / "follow") == log
    assert lines(tmp_path / "peek") == log


def test_a_writer_that_stands_still_keeps_its_lock_and_others_time_out_clearly(tmp_path: Path) -> None:
    from intentstore.storage.file import FileStorage
    from intentstore.testing import put

    frozen = FileStorage(tmp_path / "store")
    frozen.open()
    put(frozen, "a")
    other = FileStorage(tmp_path / "store", timeout_s=0.05)
    other.open()
    with frozen._hold.held():
        with pytest.raises(Busy) as refused:
            put(other, "b")
        assert refused.value.retry
        assert refused.value.hint
        late = FileStorage(tmp_path / "store", timeout_s=0.05)
        with pytest.raises(Busy):
            late.open()
        assert other.fetch(["a"]) != [None]
    put(other, "b")
    assert frozen.fetch(["b"]) != [None]
    other.close()
    frozen.close()


def in_child(act: Callable[[], object]) -> str:
    """Returns what the act came to in a forked process: its result, or the name of its error."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)
            try:
                answer = repr(act())
            except BaseException as error:  # noqa: BLE001  a child must never come back to pytest
                answer = type(error).__name__
            os.write(send, answer.encode())
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_fork_with_an_open_store_is_refused_in_the_child_and_harmless_to_the_parent(url: str) -> None:
    with open_graph(url) as graph:
        graph.store(Intent(id="a", goal="Be there before"))
        acts: dict[str, Callable[[], object]] = {
            "get": lambda: graph.get("a"),
            "store": lambda: graph.store(Intent(goal="Never be there")),
            "list": graph.list,
            "entries": lambda: list(graph.entries()),
            "history": lambda: graph.history("a"),
            "revision": lambda: graph.revision,
            "verify": graph.verify,
            "compact": graph.compact,
            "graphs": graph.graphs,
        }

        def reopened() -> bool:
            graph.close()
            graph.storage.open()
            return graph.get("b") is not None

        assert {name: in_child(act) for name, act in acts.items()} == dict.fromkeys(acts, Closed.__name__)
        assert in_child(graph.close) == "None"
        graph.store(Intent(id="b", goal="Be there after"))
        assert in_child(reopened) == "True"

        def another() -> bool:
            with open_graph(url) as mine:
                mine.store(Intent(id="c", goal="Be written by the child"))
                return mine.get("b") is not None

        assert in_child(another) == "True"
        assert graph.get("c") is not None
        graph.store(Intent(id="d", goal="Be written by the parent"))
        assert graph.verify().ok
    with open_graph(url) as graph:
        assert all(graph.fetch(["a", "b", "c", "d"]))
        assert graph.verify().ok
