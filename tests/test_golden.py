"""Every format that was ever released opens for ever: the files in ``tests/golden/vN`` hold what version N wrote."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from intentstore import Commit, Intent, open_graph
from intentstore.codec import decode_commit
from intentstore.graph.graph import IntentGraph
from intentstore.graph.transfer import read_backup
from intentstore.ground.identity import uuid7
from intentstore.testing import copy_log, state
from tests.golden.make import GRAPHS

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.glob("v*"))


def log_of(version: str) -> list[Commit]:
    return [decode_commit(line) for line in (GOLDEN / version / "log.jsonl").read_bytes().splitlines(keepends=False)]


def unpacked(version: str, name: str, place: Path) -> str:
    """Lays one golden store into a place of its own; returns its URL."""
    source = GOLDEN / version / name
    if source.is_dir():
        shutil.copytree(source, place / "store")
        return f"file:{place / 'store'}"
    for packed in sorted(source.parent.glob(f"{name}*.gz")):
        (place / packed.name.removesuffix(".gz")).write_bytes(gzip.decompress(packed.read_bytes()))
    return f"sqlite:{place / name}"


def check(graph: IntentGraph, log: list[Commit], *, extra: int = 0) -> None:
    assert list(graph.entries())[: len(log)] == log
    assert graph.revision == len(log) + extra
    assert graph.verify().ok
    with open_graph("memory:") as model:
        copy_log(graph.entries(), model.storage)
        assert state(graph.storage) == state(model.storage)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["file", "file-killed", "goals.db", "killed.db"])
def test_a_store_of_every_version_opens_whole_and_goes_on(tmp_path: Path, version: str, name: str) -> None:
    url, log = unpacked(version, name, tmp_path), log_of(version)
    for each in GRAPHS if "killed" not in name else GRAPHS[:1]:
        with open_graph(url, graph=each) as graph:
            check(graph, log)
            assert [hit.intent.id for hit in graph.search("again")] == ["g2"]
            graph.store(Intent(id="new", goal="Be written by a newer version"))
            graph.compact()
        with open_graph(url, graph=each, new_id=uuid7) as graph:
            check(graph, log, extra=1)
            assert graph.get("new") is not None
            assert graph.commit("twice") == next(commit for commit in log if commit.id == "twice")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_backup_of_every_version_is_read_whole(tmp_path: Path, version: str) -> None:
    assert list(read_backup(GOLDEN / version / "whole.backup")) == log_of(version)
    with open_graph(f"file:{tmp_path / 'again'}") as graph:
        graph.restore(GOLDEN / version / "whole.backup")
        check(graph, log_of(version))
