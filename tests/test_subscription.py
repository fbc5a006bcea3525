"""Claims about subscriptions: each commit at least once, wherever the one before died."""

from __future__ import annotations

import contextlib
from pathlib import Path

import anyio
import pytest

from docs.examples.dict_storage import DictStorage
from intentstore import (
    Corrupt,
    FieldInvalid,
    Intent,
    IntentGraph,
    ReadOnly,
    Unavailable,
    Unsupported,
    open_graph,
    open_graph_async,
)
from intentstore.storage.memory import MemoryStorage
from intentstore.testing import Severable


@pytest.fixture(params=["memory", "file", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory:{tmp_path}" if request.param == "memory" else f"{request.param}:{tmp_path}/goals"


def store(graph: IntentGraph, n: int) -> None:
    for _ in range(n):
        graph.store(Intent(goal="x"))


def test_the_next_of_the_name_goes_on_behind_what_was_dealt_with(url: str) -> None:
    with open_graph(url) as graph:
        store(graph, 5)
        with graph.subscribe("indexer", timeout_s=0) as commits:
            assert [next(commits).revision for _ in range(3)] == [1, 2, 3]
        if not url.startswith("memory"):
            graph.storage.close()
            graph.storage.open()
        assert graph.subscriptions() == {"indexer": 3}
        with graph.subscribe("indexer", timeout_s=0) as commits:
            assert [commit.revision for commit in commits] == [4, 5]
        with graph.subscribe("late", since=4, timeout_s=0) as commits:
            assert [commit.revision for commit in commits] == [5]
        assert graph.subscriptions() == {"indexer": 5, "late": 5}
        graph.unsubscribe("indexer")
        graph.unsubscribe("never there")
        assert graph.subscriptions() == {"late": 5}
        assert graph.revision == 5  # it stands in no history


def test_what_failed_or_was_never_finished_comes_again(url: str) -> None:
    with open_graph(url) as graph:
        store(graph, 3)
        with pytest.raises(KeyError), graph.subscribe("mail", timeout_s=0) as commits:
            for commit in commits:
                if commit.revision == 2:
                    raise KeyError
        assert graph.subscriptions() == {"mail": 1}
        abandoned = graph.subscribe("mail", timeout_s=0)
        assert [next(abandoned).revision, next(abandoned).revision] == [2, 3]
        again = graph.subscribe("mail", timeout_s=0)  # the other died without a word
        assert next(again).revision == 2
        again.dealt_with(3)
        again.keep()
        assert graph.subscriptions() == {"mail": 3}


def test_a_new_name_holds_its_beginning_at_once(url: str) -> None:
    with open_graph(url) as graph:
        store(graph, 2)
        graph.subscribe("from now", since=graph.revision)
        store(graph, 1)
        assert [commit.revision for commit in graph.subscribe("from now", timeout_s=0)] == [3]


def test_where_it_stands_is_kept_on_the_way(url: str) -> None:
    with open_graph(url) as graph:
        store(graph, 70)
        commits = graph.subscribe("slow", timeout_s=0)
        for _ in range(66):
            next(commits)
        assert graph.subscriptions() == {"slow": 64}


def test_a_store_that_is_away_is_told_later() -> None:
    storage = Severable(MemoryStorage())
    storage.open()
    graph = IntentGraph(storage)
    store(graph, 2)
    commits = graph.subscribe("patient", timeout_s=0)
    next(commits)
    commits.dealt_with(1)
    storage.cut()
    commits.keep()
    storage.mend()
    assert graph.subscriptions() == {"patient": 0}
    commits.keep()
    assert graph.subscriptions() == {"patient": 1}
    storage.cut()
    with pytest.raises(Unavailable):
        graph.subscribe("other")


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with open_graph(f"sqlite:{tmp_path}/goals.db") as graph:
        with pytest.raises(FieldInvalid, match="subscription"):
            graph.subscribe("")
        with pytest.raises(FieldInvalid, match="since"):
            graph.subscribe("x", since=-1)
        graph.storage.keep("cursor", {"odd": b"not a number"})  # type: ignore[attr-defined]  # declared
        with pytest.raises(Corrupt, match="does not stand at a revision"):
            graph.subscribe("odd")
    with open_graph(f"sqlite:{tmp_path}/goals.db", read_only=True) as graph, pytest.raises(ReadOnly):
        graph.subscribe("reader")
    kept: dict[str, bytes] = {}
    storage = DictStorage(kept)
    storage.open()
    with pytest.raises(Unsupported, match="keeps nothing aside"):
        IntentGraph(storage).subscribe("x")
    storage.close()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.anyio
async def test_an_awaited_subscription_is_the_same(url: str) -> None:
    async with open_graph_async(url) as graph:
        store(graph.sync, 5)
        with anyio.fail_after(60):
            async with contextlib.aclosing(graph.subscribe("indexer", timeout_s=0)) as commits:
                async for commit in commits:
                    if commit.revision == 3:
                        break
            assert await graph.subscriptions() == {"indexer": 2}  # the third was not said to be dealt with
            assert [commit.revision async for commit in graph.subscribe("indexer", timeout_s=0)] == [3, 4, 5]
            assert await graph.subscriptions() == {"indexer": 5}
            await graph.unsubscribe("indexer")
            assert await graph.subscriptions() == {}
