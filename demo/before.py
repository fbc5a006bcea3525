"""Tells the first half: a store, a plan in it, what is ready, two workers, and the end of one of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from intentstore import Branch, IntentGraph, open_graph
from intentstore.formats import import_into

from .acks import Line, in_the_air, read_lines
from .place import GOALS_GRAPH, PLAN, PLAN_GRAPH, WORKERS, Place, Unusable, real_goals
from .terminal import MARKS, Terminal

_QUOTA = 16
_PATIENCE_S = 20.0


def tell_before(place: Place, terminal: Terminal) -> int:
    """Tells scenes 1 to 4 or 5; returns the number of the next scene."""
    with open_graph(place.url, graph=PLAN_GRAPH, actor="planner") as graph:
        if graph.revision:
            raise Unusable(f"{place.url} already holds goals; name an empty place.")
        _plan(graph, place, terminal)
        _tree(graph, terminal)
        _ready(graph, terminal)
    _real_goals(place, terminal)
    return _workers(place, terminal) + 1


def _plan(graph: IntentGraph, place: Place, terminal: Terminal) -> None:
    terminal.scene("A place for goals, and a plan in it")
    import_into(graph, PLAN, format="jsonl")
    stats = graph.stats()
    terminal.row("The plan is this project's own: what it takes to make intentstore whole.")
    terminal.say(f"   store {place.url}")
    terminal.good(f"{stats['intents']} intents and {stats['edges']} edges, in one commit: all of them or none")


def _real_goals(place: Place, terminal: Terminal) -> None:
    data = real_goals()
    if data is None:
        return
    terminal.scene("Real goals beside it: another graph in the same store")
    began = time.monotonic()
    with open_graph(place.url, graph=GOALS_GRAPH, actor="importer") as graph:
        import_into(graph, data, format="beads")
        stats = graph.stats()
        terminal.good(
            f"{stats['intents']:,} goals of a team of coding agents and {stats['edges']:,} edges, "
            f"in {time.monotonic() - began:.1f} s"
        )
        terminal.row(f"{len(graph.ready(limit=10_000))} of them are ready, the first three:")
        for intent in graph.ready(limit=3):
            terminal.row(f"  {intent.id:<10} {intent.goal}")
        hit = graph.search("data loss", limit=1)[0].intent
        terminal.row(f"The best match for “data loss”: {hit.id} ({hit.status}) {hit.goal}")


def _tree(graph: IntentGraph, terminal: Terminal) -> None:
    terminal.scene("What is to be done, and what it is for")
    stack = [(branch, 0) for branch in reversed(graph.tree())]
    while stack:
        branch, depth = stack.pop()
        terminal.row(_leaf(branch, depth), style="bold" if depth < 2 else "")
        stack.extend((child, depth + 1) for child in reversed(branch.children))


def _leaf(branch: Branch, depth: int) -> str:
    intent = branch.intent
    return f"{MARKS[intent.status]} {'   ' * depth}{intent.goal}"


def _ready(graph: IntentGraph, terminal: Terminal) -> None:
    terminal.scene("What can be worked on now")
    for intent in graph.ready():
        terminal.row(f"{MARKS[intent.status]} {intent.id:<16} priority {intent.priority:<4} {intent.goal}")
    terminal.row(f"The other {len(graph.blocked())} wait for these, directly or not.")


def _workers(place: Place, terminal: Terminal) -> int:
    number = terminal.scene("Two workers begin, and one of them is killed")
    survivor, victim = WORKERS
    running = {survivor: _start(place, survivor), victim: _start(place, victim)}
    try:
        terminal.row(f"{survivor} is process {running[survivor].pid}, {victim} is process {running[victim].pid}.")
        _kill_in_mid_write(running[victim], place.acks(victim), at_least=random.randint(12, 22))
        lines = read_lines(place.acks(victim))
        last = in_the_air(lines)
        where = "between two writes" if last is None else f"in mid-write ({last.did} {last.intent})"
        terminal.row(f"kill -9 for {victim} after {_count(lines, 'ack')} acknowledged writes, {where}.", style="red")
        _finish(running[survivor], survivor)
        races = sum(_count(read_lines(place.acks(worker)), "race") for worker in WORKERS)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    _tell_survivor(read_lines(place.acks(survivor)), survivor, terminal)
    terminal.row(f"Reached for a goal that the other had just taken: {races} time(s), each refused by compare-and-set.")
    return number


def _tell_survivor(lines: Sequence[Line], survivor: str, terminal: Terminal) -> None:
    done = sum(1 for line in lines if line.kind == "ack" and line.did == "complete")
    terminal.row(f"{survivor} went on by itself: {done} goals completed, {_count(lines, 'ack')} acknowledged writes.")


def _count(lines: Sequence[Line], kind: str) -> int:
    return sum(1 for line in lines if line.kind == kind)


def _start(place: Place, name: str) -> subprocess.Popen[bytes]:
    arguments = [place.url, name, str(place.acks(name)), PLAN_GRAPH, str(_QUOTA)]
    return subprocess.Popen([sys.executable, "-m", "demo.worker", *arguments])


def _kill_in_mid_write(process: subprocess.Popen[bytes], acks: Path, *, at_least: int) -> None:
    """Kills once enough was acknowledged, while a write is under way: the process is stopped first to make sure."""
    until = time.monotonic() + _PATIENCE_S
    while _count(read_lines(acks), "ack") < at_least and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    until = time.monotonic() + 2
    while process.poll() is None:
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if in_the_air(read_lines(acks)) is not None or time.monotonic() > until:
            break
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(random.uniform(0.0005, 0.003))
    process.kill()
    if process.wait() != -signal.SIGKILL:
        raise RuntimeError(f"the worker to be killed ended by itself with status {process.returncode}")


def _finish(process: subprocess.Popen[bytes], name: str) -> None:
    try:
        status = process.wait(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{name} did not finish within {_PATIENCE_S:.0f} s") from None
    if status != 0:
        raise RuntimeError(f"{name} failed with status {status}")
