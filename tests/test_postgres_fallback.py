"""Claims about the fallback with a real server: stopped, the graph goes on; started again, it has everything once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from intentstore import Intent, Unavailable, open_graph
from tests.postgres_server import Server

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::intentstore.DegradedWarning")]

CHILD = """
import os, signal, sys, warnings
from intentstore import Intent, open_graph
warnings.simplefilter("ignore")
url, spool, when = sys.argv[1:]
graph = open_graph(url, fallback=f"file:{spool}")
if when == "mid-run":
    graph.store(Intent(id="before", goal="with the server"))
    print("ready", flush=True)
    sys.stdin.readline()
for n in range(1000):
    graph.store(Intent(id=f"i{n}", goal="x"))
print(graph.degraded.waiting, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.mark.parametrize("when", ["at opening", "mid-run"])
def test_a_thousand_writes_go_on_without_the_server_and_are_in_it_once(
    server: Server, tmp_path: Path, when: str
) -> None:
    url, spool = server.url(timeout_s="2"), tmp_path / "spool"
    with open_graph(url) as graph:
        graph.store(Intent(id="first", goal="with the server"))
    if when == "at opening":
        server.stop()
        with pytest.raises(Unavailable):
            open_graph(url)
    command = [sys.executable, "-c", CHILD, url, str(spool), when]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if when == "mid-run":
            assert child.stdout.readline() == "ready\n"
            server.stop()
            child.stdin.write("go on\n")
            child.stdin.flush()
        assert child.stdout.readline() == "1000\n"
        assert child.wait(60) == -signal.SIGKILL
    server.start()
    with open_graph(url, fallback=f"file:{spool}") as graph:
        assert graph.degraded is None
        assert graph.health()["fallback"]["waiting"] == 0
        subjects = [str(change.subject) for commit in graph.entries() for change in commit.changes]
        before = ["first"] if when == "at opening" else ["first", "before"]
        assert subjects == [*before, *(f"i{n}" for n in range(1000))]
        assert graph.verify().ok


def test_a_wrong_database_is_no_outage(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not exist") as refused:
        open_graph(server.url("nowhere", timeout_s="5"), fallback=f"file:{tmp_path}/spool")
    assert refused.value.outage is False


def test_commits_of_another_process_are_told_at_once(server: Server) -> None:
    url = server.url(timeout_s="20")
    with open_graph(url) as graph:
        seen = graph.store(Intent(id="first", goal="x")).revision
        writer = "import sys; from intentstore import *; open_graph(sys.argv[1]).store(Intent(id='b', goal='x'))"
        with subprocess.Popen([sys.executable, "-c", writer, url]) as child:
            commit = next(graph.watch(seen, timeout_s=60.0))
            assert child.wait(60) == 0
        assert commit.changes[0].subject == "b"
        server.kill()
        server.start()
        graph.store(Intent(id="c", goal="x"))
        assert [str(each.changes[0].subject) for each in graph.watch(commit.revision, timeout_s=1.0)] == ["c"]
