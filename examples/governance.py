"""A governance kernel: rules that the graph carries, a guard of this process, and questions to the history.

::

    python examples/governance.py sqlite:governed.db

The policies are kept in the graph, so they bind every process that opens it; run it twice, they are there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from intentstore import (
    Cascade,
    Forbid,
    Intent,
    IntentFilter,
    IntentGraph,
    Policy,
    PolicyRefused,
    Proposed,
    Require,
    When,
    open_graph,
)

URGENT = IntentFilter(priority_min=90)
KEPT = IntentFilter(labels_any=frozenset({"audit"}))


def charter(graph: IntentGraph) -> None:
    """Gives the graph its rules."""
    rules: dict[str, Policy] = {
        "urgent": Require(
            needs=frozenset({"approver"}),
            approvers=frozenset({"ana", "ben"}),
            when=When(acts=frozenset({"store", "update"}), where=URGENT),
            why="what is urgent displaces other work",
        ),
        "learn": Require(needs=frozenset({"reason"}), when=When(entering=frozenset({"failed"}))),  # type: ignore[arg-type]
        "records": Forbid(when=When(acts=frozenset({"delete"}), where=KEPT), why="auditors will ask"),
        "reached": Cascade(what="complete_parents"),
    }
    for name, rule in rules.items():
        if name not in graph.policies():
            graph.define_policy(name, rule, reason="charter")


def office_hours(proposed: Proposed) -> str | None:
    """Refuses to start anything at night. A guard of this process: it binds no other."""
    starting = any(act.kind == "move" and act.intent and act.intent.status == "executing" for act in proposed.acts)
    return "nothing is started between midnight and six" if starting and proposed.at.hour < 6 else None


def attempt(what: str, deed: Callable[[], object], say: Callable[[str], None]) -> None:
    """Does it, and says what came of it."""
    try:
        deed()
        say(f"{what}: done")
    except PolicyRefused as refused:
        say(f"{what}: {refused.message}")


def run(graph: IntentGraph, say: Callable[[str], None] = print) -> None:
    """Tries what the rules allow and what they do not, and asks the history."""
    charter(graph)
    graph.guard("office hours", office_hours)
    outage = Intent(goal="Stop the outage", priority=95, labels=("audit",))
    attempt("an urgent goal, unapproved", lambda: graph.store(outage), say)
    attempt("an urgent goal, approved by oneself", lambda: graph.acting(approver=graph.actor).store(outage), say)
    attempt("an urgent goal, approved by ana", lambda: graph.acting(approver="ana").store(outage), say)
    (stored,) = graph.list(URGENT, sort="-created_at", limit=1).intents
    attempt("deleting it", lambda: graph.delete(stored.id), say)
    attempt("failing it without a reason", lambda: graph.fail(stored.id), say)
    attempt("failing it with one", lambda: graph.fail(stored.id, reason="the vendor is down too"), say)
    for entry in graph.history(stored.id):
        say(f"  revision {entry.revision}: {entry.actor}, {entry.reason or 'no reason given'}")


def main(words: Sequence[str] | None = None) -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="where the graph is kept: sqlite:PATH, file:DIR, memory:")
    asked = parser.parse_args(words)
    with open_graph(asked.store, actor="planner") as graph:
        run(graph)


if __name__ == "__main__":
    main()
