"""Claims about the demo: it tells its story to the end on each lasting storage, and its plan is worth telling."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from demo.acks import AckFile, Line, in_the_air, read_lines
from demo.place import PLAN
from intentstore import Edge, Intent, IntentGraph, open_graph
from intentstore.formats import import_into

ROOT = Path(__file__).resolve().parents[1]
HAS_SQLITE = importlib.util.find_spec("intentstore.storage.sqlite") is not None


def run_demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def plan() -> IntentGraph:
    graph = open_graph("memory:")
    import_into(graph, PLAN, format="jsonl")
    return graph


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_the_story_ends_well(scheme: str, tmp_path: Path) -> None:
    if scheme == "sqlite" and not HAS_SQLITE:
        pytest.skip("no SQLite storage here")
    told = run_demo("--store", f"{scheme}:{tmp_path / 'store'}", "--keep", str(tmp_path / "kept"))
    assert told.returncode == 0, told.stdout + told.stderr
    acknowledged, found = re.findall(r"acknowledged (\d+), found (\d+), lost 0", told.stdout)[0]
    assert acknowledged == found
    assert int(found) >= 12
    assert "kill -9 for worker-2" in told.stdout
    assert "seal of the copy" in told.stdout
    assert "\x1b" not in told.stdout
    assert told.stderr == ""
    assert (tmp_path / "kept" / "plan.mmd").stat().st_size > 0


def test_an_acknowledged_write_that_is_missing_is_said_and_fails(tmp_path: Path) -> None:
    store, kept = f"file:{tmp_path / 'store'}", tmp_path / "kept"
    kept.mkdir()
    with open_graph(store, actor="worker-1") as graph:
        graph.store(Intent(id="a", goal="Be there"))
    for worker in ("worker-1", "worker-2"):
        with AckFile(kept / f"{worker}.acks.jsonl") as acks:
            acks.write(Line(kind="ack", graph="default", intent="a", commit=f"{worker}-1", revision=7, did="start"))
    told = subprocess.run(
        [sys.executable, "-m", "demo.after", store, str(kept), "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 1
    assert told.stderr == "LOST: 2 of 2 acknowledged writes, first worker-1-1 on a\n"


def test_a_place_that_cannot_hold_the_story_is_refused(tmp_path: Path) -> None:
    assert run_demo("--store", "memory:").returncode == 2
    with open_graph(f"file:{tmp_path / 'store'}") as graph:
        graph.store(Intent(goal="I was here first"))
    told = run_demo("--store", f"file:{tmp_path / 'store'}", "--keep", str(tmp_path / "kept"))
    assert told.returncode == 2
    assert "already holds goals" in told.stderr


def test_the_plan_is_a_real_one(plan: IntentGraph) -> None:
    intents = list(plan.each())
    assert len(intents) >= 40
    assert all(intent.success_criteria for intent in intents)
    assert len({intent.goal for intent in intents}) == len(intents)
    used = {str(edge.type) for edge in edges_of(plan)}
    assert {"is_subgoal_of", "depends_on", "blocks", "enables", "related_to", "conflicts_with"} <= used
    assert [branch.intent.id for branch in plan.tree()] == ["ship"]


def test_the_plan_has_no_cycle(plan: IntentGraph) -> None:
    order: dict[str, set[str]] = {}
    for edge in edges_of(plan):
        if edge.type == "depends_on":
            order.setdefault(edge.source, set()).add(edge.target)
        elif edge.type in ("blocks", "is_subgoal_of"):  # a parent is worked on after its parts
            order.setdefault(edge.target, set()).add(edge.source)
    assert set(TopologicalSorter(order).static_order()) <= {intent.id for intent in plan.each()}  # raises CycleError


def test_a_line_cut_short_was_never_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "acks"
    with AckFile(path) as acks:
        acks.write(Line(kind="ack", graph="g", intent="a", commit="w-1", revision=1))
        acks.write(Line(kind="begin", graph="g", intent="a", commit="w-2"))
    with path.open("ab") as file:
        file.write(b'{"kind":"ack","gra')
    lines = read_lines(path)
    assert [line.commit for line in lines] == ["w-1", "w-2"]
    assert in_the_air(lines) == lines[-1]
    assert read_lines(tmp_path / "none") == []


def edges_of(graph: IntentGraph) -> list[Edge]:
    return graph.edges_of([intent.id for intent in graph.each()])
