"""An orchestrator whose plan survives it: kill it in the middle, start it again, and it goes on where it was.

::

    python examples/orchestrator.py sqlite:plan.db --name alpha

It recovers what it held when it died, plans once, then claims what is ready, works on it and completes it, several of
them side by side if you like (under different names). Each step is done under a lease and completed by its token.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

from intentstore import Conflict, Intent, IntentGraph, open_graph

STEPS = ("Fetch the sources", "Build", "Test", "Write the notes", "Publish")
LEASE_S = 30.0


def plan(graph: IntentGraph) -> None:
    """Stores the plan; a second time it is the same commit, so nothing is planned twice."""
    with graph.transaction(reason="planned", commit_id="plan-release") as tx:
        goal = tx.store(Intent(id="release", goal="Release 1.0"))
        before = None
        for number, step in enumerate(STEPS):
            part = tx.store(Intent(id=f"release.{number}", goal=step))
            tx.link(part.id, "is_subgoal_of", goal.id)
            if before is not None:
                tx.link(part.id, "depends_on", before)
            before = part.id


def run(graph: IntentGraph, name: str, work: Callable[[Intent], None], say: Callable[[str], None] = print) -> None:
    """Works until nothing is left, on whatever is ready and nobody else holds."""
    for intent in graph.recover(name):
        say(f"{name}: {intent.goal}: was left half done, goes back")
    plan(graph)
    while graph.intent("release").status != "completed":
        claimed = graph.claim(owner=name, lease_s=LEASE_S)
        if claimed is None:  # others hold what is ready
            time.sleep(0.05)
            continue
        assert claimed.claim is not None
        mine = graph.acting(actor=name, token=claimed.claim.token)
        try:
            mine.start(claimed.id)
            work(claimed)
            mine.complete(claimed.id, reason=f"done by {name}")
            say(f"{name}: {claimed.goal}: done")
        except Conflict as lost:  # we were too slow, and somebody took over
            say(f"{name}: {claimed.goal}: {lost}")


def main(words: Sequence[str] | None = None) -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="where the plan is kept: sqlite:PATH, file:DIR")
    parser.add_argument("--name", default="orchestrator", help="who this is; no two living ones share a name")
    parser.add_argument("--pace", type=float, default=0.2, help="seconds that a step takes")
    asked = parser.parse_args(words)
    with open_graph(asked.store, actor=asked.name) as graph:
        run(graph, asked.name, lambda _: time.sleep(asked.pace), say=lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
