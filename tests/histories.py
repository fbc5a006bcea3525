"""Histories to ask about: the real goals imported and worked on at random, small random ones, and plain replays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from intentstore import Commit, Intent, IntentGraph, IntentStatus, open_graph
from intentstore.formats import import_into
from intentstore.graph.lifecycle import MOVES
from intentstore.ground.errors import IntentStoreError
from intentstore.testing import copy_log

FOLDER = os.environ.get("INTENTSTORE_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
REAL = Path(FOLDER) / "agent-goals.beads.jsonl.gz"
BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
TYPES = ("depends_on", "is_subgoal_of", "related_to", "blocks", "discovered_from")


class Clock:
    """Goes on a minute at each look, or as far as it is told."""

    def __init__(self, begin: datetime = BEGIN) -> None:
        self.now = begin

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def import_real(graph: IntentGraph) -> None:
    """Imports the real goals; skips the test where they are not at hand."""
    if not REAL.exists():
        pytest.skip("not run: the real goals are not here")
    import_into(graph, str(REAL))


def live(graph: IntentGraph, acts: int, luck: Random, *, mark: str = "") -> None:
    """Works on the graph at random: new goals, moves, edits, labels, notes, links, deletions; one commit an act."""
    ids = [intent.id for intent in graph.each()]
    for act in range(acts):
        _act(graph, f"{mark}{act}", ids, luck)


def _act(graph: IntentGraph, mark: str, ids: list[str], luck: Random) -> None:
    kind = luck.choices(("move", "edit", "new", "link", "unlink", "note", "drop", "label"), (8, 4, 3, 3, 2, 1, 1, 2))[0]
    id = luck.choice(ids) if ids else ""
    if kind == "new" or not ids:
        with graph.transaction(reason=f"new {mark}") as tx:
            made = tx.store(Intent(id=f"new-{mark}", goal=f"Goal {mark} of many", priority=luck.randrange(9)))
            if ids and luck.random() < 0.5:
                tx.link(made.id, luck.choice(TYPES), id)
        ids.append(made.id)
        return
    try:
        _change(graph, kind, id, mark, luck)
    except IntentStoreError:
        return  # a cycle, a second edge: not stored, and not what is looked at here
    if kind == "drop":
        ids.remove(id)


def _change(graph: IntentGraph, kind: str, id: str, mark: str, luck: Random) -> None:
    intent = graph.intent(id)
    match kind:
        case "move":
            wanted = luck.choice(MOVES[intent.status])
            verb = {
                IntentStatus.ACTIVE: graph.reopen, IntentStatus.EXECUTING: graph.start,
                IntentStatus.COMPLETED: graph.complete, IntentStatus.FAILED: graph.fail,
                IntentStatus.SUSPENDED: graph.suspend, IntentStatus.ARCHIVED: graph.archive,
            }[wanted]  # fmt: skip
            verb(id, reason=f"move {mark}")
        case "edit":
            fields: dict[str, Any] = luck.choice(
                [{"priority": luck.randrange(100)}, {"goal": f"{intent.goal} ({mark})"}, {"metadata": {"by": mark}}]
            )
            graph.update(intent.replace(**fields), reason=f"edit {mark}")
        case "label":
            graph.update(intent.replace(labels={*intent.labels, f"l{luck.randrange(5)}"}))
        case "link":
            others = [other.id for other in graph.list(sort=luck.choice(["id", "-priority"]), limit=40).intents]
            graph.link(id, luck.choice(TYPES), luck.choice(others), weight=luck.choice([None, 0.5]))
        case "unlink":
            edges = graph.edges(id)
            if edges:
                graph.unlink(*luck.choice(edges).key)
        case "note":
            graph.note(id, f"noted {mark}")
        case "drop":
            graph.delete(id)


def replayed(commits: Iterable[Commit], moment: datetime = BEGIN) -> IntentGraph:
    """Returns a graph in memory that holds these commits and nothing else: what brute force says of the past."""
    graph = open_graph("memory:", clock=lambda: moment)
    copy_log(commits, graph.storage)
    return graph


def replays(commits: Sequence[Commit], moments: Iterable[datetime]) -> Iterator[tuple[datetime, IntentGraph]]:
    """Yields each moment, in order, and a graph in memory that holds the commits up to it: one replay for them all."""
    now = [BEGIN]
    graph, done = open_graph("memory:", clock=lambda: now[0]), 0
    for moment in sorted(moments):
        until = sum(1 for commit in commits if commit.at <= moment)
        copy_log(commits[done:until], graph.storage)
        done, now[0] = until, moment
        yield moment, graph
