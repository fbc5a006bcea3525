"""Tells the second half in a process of its own, which knows only the store's URL and the workers' files.

``python -m demo.after URL DIRECTORY FIRST-SCENE``. Exit status 1, with a line that says what, if anything is lost.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from intentstore import Commit, Entry, IntentFilter, IntentGraph, IntentStatus, Link, Note, Put, open_graph
from intentstore.formats import export_from
from intentstore.ground.errors import IntentStoreError

from .acks import Line, in_the_air, read_lines
from .place import GOALS_GRAPH, PLAN_GRAPH, WORKERS, Place
from .terminal import MARKS, Terminal, complain, unheard

_SHOWN = 8


class Lost(Exception):  # what happened, in one word
    """Something that was acknowledged is not there, or what is there cannot be proven."""


def tell_after(place: Place, terminal: Terminal) -> None:
    """Tells the scenes from the reopening to the picture; raises `Lost` if there is anything to be ashamed of."""
    with open_graph(place.url, graph=PLAN_GRAPH, actor="successor", create=False) as graph:
        terminal.scene("A new process opens the store and asks for every acknowledged write")
        _reckon(graph, place, terminal)
        _verify(graph, PLAN_GRAPH, terminal)
        if GOALS_GRAPH in graph.graphs():
            with open_graph(place.url, graph=GOALS_GRAPH, create=False) as goals:
                _verify(goals, GOALS_GRAPH, terminal)
        orphans = _take_over(graph, terminal)
        _waiting(graph, terminal)
        _history(graph, orphans, terminal)
        _backup(graph, place, terminal)
        _picture(graph, place, terminal)


# --- nothing lost ---


class Reckoning(msgspec.Struct, frozen=True):
    """What one worker was told, and what of it the store has."""

    worker: str
    acknowledged: int
    missing: tuple[Line, ...]
    beyond: int
    air: Line | None


def _reckon(graph: IntentGraph, place: Place, terminal: Terminal) -> None:
    reckonings = [_hold_against(graph, worker, place) for worker in WORKERS]
    rows = [_row(each.worker, each.acknowledged, len(each.missing), each.beyond) for each in reckonings]
    terminal.table(("", "acknowledged", "found", "lost", "unheard"), rows)
    acknowledged = sum(each.acknowledged for each in reckonings)
    missing = [line for each in reckonings for line in each.missing]
    for each in reckonings:
        _tell_air(graph, each, terminal)
    if missing:
        first = missing[0]
        raise Lost(f"{len(missing)} of {acknowledged} acknowledged writes, first {first.commit} on {first.intent}")
    terminal.good(f"acknowledged {acknowledged}, found {acknowledged}, lost 0: each looked up by its commit id")


def _row(worker: str, acknowledged: int, lost: int, beyond: int) -> tuple[object, ...]:
    return worker, acknowledged, acknowledged - lost, lost, beyond


def _hold_against(graph: IntentGraph, worker: str, place: Place) -> Reckoning:
    lines = read_lines(place.acks(worker))
    acks = [line for line in lines if line.kind == "ack"]
    if not acks:
        raise Lost(f"{place.acks(worker)} holds no acknowledgement, so there is nothing to hold the store against")
    written = sum(1 for commit in graph.entries() if commit.actor == worker)
    missing = tuple(line for line in acks if not _has(graph.commit(line.commit), line, worker))
    return Reckoning(worker, len(acks), missing, written - len(acks) + len(missing), in_the_air(lines))


def _has(commit: Commit | None, line: Line, worker: str) -> bool:
    """Says whether the commit is there, whole, where it was said to be, and about what it was said to be about."""
    if commit is None or commit.revision != line.revision or commit.actor != worker:
        return False
    return len(commit.changes) == _changes(line) and all(change.subject == line.intent for change in commit.changes)


def _changes(line: Line) -> int:
    return 2 if line.did == "complete" else 1  # the new status and a remark, in one commit


def _tell_air(graph: IntentGraph, reckoning: Reckoning, terminal: Terminal) -> None:
    air = reckoning.air
    if air is None:
        return
    commit = graph.commit(air.commit)
    outcome = "not there, not even in part" if commit is None else f"there as a whole, as revision {commit.revision}"
    terminal.row(f"The write that {reckoning.worker} died in ({air.did} {air.intent}) is {outcome}.")
    if commit is not None and len(commit.changes) != _changes(air):
        raise Lost(f"commit {commit.id} is there in part: {len(commit.changes)} of {_changes(air)} changes")


def _verify(graph: IntentGraph, name: str, terminal: Terminal) -> None:
    report = graph.verify()
    if not report.ok:
        raise Lost(f"verify of {name} found {report.problems[0].where}: {report.problems[0].what}")
    terminal.good(f"verify {name}: ok up to revision {graph.revision:,}, every hash chain whole")


# --- going on ---


def _take_over(graph: IntentGraph, terminal: Terminal) -> Sequence[str]:
    orphans = [intent.id for intent in graph.list(IntentFilter(status=frozenset({IntentStatus.EXECUTING}))).intents]
    terminal.scene("What is ready now, and why the rest waits")
    if orphans:
        graph.reopen(*orphans, reason="its worker is gone")
        terminal.row(f"Left in the middle and given back first: {', '.join(orphans)}.")
    return orphans


def _waiting(graph: IntentGraph, terminal: Terminal) -> None:
    counts = graph.count()
    total = sum(counts.values())
    terminal.row(f"{counts.get(IntentStatus.COMPLETED, 0)} of {total} goals are completed. Ready, most urgent first:")
    for intent in graph.ready(limit=_SHOWN):
        terminal.row(f"{MARKS[intent.status]} {intent.id:<20} priority {intent.priority:<4} {intent.goal}")
    blocked = graph.blocked()
    terminal.row(f"{len(blocked)} wait; the first of them:" if blocked else "Nothing waits.")
    for each in blocked[:_SHOWN]:
        kinds = Counter(_reason(reason.kind) for reason in each.because)
        first = each.because[0]
        more = f" and {sum(kinds.values()) - 1} more" if len(each.because) > 1 else ""
        terminal.row(f"‖ {each.intent.id:<20} {_reason(first.kind)} {first.id} ({first.status}){more}")


def _reason(kind: str) -> str:
    return {
        "depends_on": "depends on",
        "blocks": "is blocked by",
        "ancestor": "is part of what waits itself:",
        "subgoal": "has an open part:",
        "claim": "is claimed by",
    }.get(kind, kind)


def _history(graph: IntentGraph, orphans: Sequence[str], terminal: Terminal) -> None:
    id = orphans[0] if orphans else _last_completed(graph)
    terminal.scene(f"The history of one goal: {id}")
    terminal.row(graph.intent(id).goal)
    for entry in graph.history(id):
        if not isinstance(entry.change, Link) or entry.change.edge.source == id:
            at = entry.at.strftime("%H:%M:%S.%f")[:-3]
            because = f" ({entry.reason})" if entry.reason else ""
            terminal.row(f"rev {entry.revision:<4} {at}  {entry.actor or '-':<10} {_act(entry)}{because}")


def _last_completed(graph: IntentGraph) -> str:
    done = IntentFilter(status=frozenset({IntentStatus.COMPLETED}))
    return graph.list(done, sort="-updated_at", limit=1).intents[0].id


def _act(entry: Entry) -> str:
    match entry.change:
        case Put(intent=intent):
            return f"{intent.status}"
        case Note(text=text):
            return f"“{text}”"
        case Link(edge=edge):
            return f"{edge.type} {edge.target}"
        case other:
            return type(other).__name__.lower()


# --- elsewhere ---


def _backup(graph: IntentGraph, place: Place, terminal: Terminal) -> None:
    terminal.scene("A backup, restored elsewhere into another kind of storage")
    path = place.out / "plan.backup"
    saved = graph.backup(path)
    terminal.say(f"   {path}: {path.stat().st_size:,} bytes")
    with open_graph(place.elsewhere(), graph=PLAN_GRAPH) as copy:
        restored = copy.restore(path)
        report = copy.verify()
        found = copy.receipt()
    terminal.say(f"   restored into {place.elsewhere()}")
    terminal.row(f"seal of the original {saved.seal}")
    terminal.row(f"seal of the copy     {found.seal}")
    if not report.ok or not saved == restored == found == graph.receipt():
        raise Lost("the restored backup is not equal to what was saved")
    terminal.good(f"equal: {found.intents} intents, {found.edges} edges, {found.revision} commits; verify ok")


def _picture(graph: IntentGraph, place: Place, terminal: Terminal) -> None:
    terminal.scene("The whole graph as a picture")
    path = place.out / "plan.mmd"
    export_from(graph, path, format="mermaid")
    lines = path.read_text().splitlines()
    terminal.say(f"   {path}: Mermaid, {len(lines)} lines, for any Markdown page. It begins:")
    for line in lines[:6]:
        terminal.row("   " + line)


def main(url: str, out: str, first: str) -> int:
    """Tells the second half; returns the exit status."""
    try:
        tell_after(Place(url, Path(out)), Terminal(int(first)))
    except Lost as lost:
        complain(f"LOST: {lost}")
        return 1
    except IntentStoreError as error:
        complain(f"LOST: {url} cannot be read: {error}")
        return 1
    except BrokenPipeError:
        return unheard()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
