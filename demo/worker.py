"""A worker process: takes ready goals, works on them in steps, completes them. ``python -m demo.worker URL NAME FILE``.

Owns nothing but its acknowledgement file. May be killed at any moment; that is what it is for.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from intentstore import Intent, IntentGraph, IntentStatus, Put, Transaction, open_graph
from intentstore.ground.errors import StaleRevision

from .acks import AckFile, Line

_STEPS = ("read what is asked", "did it", "checked it against the success criteria")
_PATIENCE_S = 1.5


class Worker:
    """Works through the ready goals of one graph until its quota is met or nothing has been ready for a while."""

    def __init__(self, graph: IntentGraph, name: str, acks: AckFile) -> None:
        self._graph, self._name, self._acks = graph, name, acks
        self._writes = 0

    def work(self, quota: int) -> None:
        """Completes up to ``quota`` goals."""
        idle_since = time.monotonic()
        while quota > 0 and time.monotonic() - idle_since < _PATIENCE_S:
            taken = self._take()
            if taken is None:
                time.sleep(0.02)
                continue
            for step in _STEPS:
                time.sleep(random.uniform(0.004, 0.012))  # the work itself
                self._write(taken, "note", reason=None, step=step)
            self._finish(taken)
            quota -= 1
            idle_since = time.monotonic()

    def _take(self) -> Intent | None:
        for intent in self._graph.ready(limit=3):
            time.sleep(random.uniform(0.002, 0.006))  # deciding; meanwhile the other may take it
            started = intent.replace(status=IntentStatus.EXECUTING)
            try:
                return self._write(started, "start", reason=f"{self._name} takes it", update=started)
            except StaleRevision:  # compare-and-set: another took it since we read it
                self._acks.write(self._line("race", intent))
        return None

    def _finish(self, taken: Intent) -> None:
        outcome = {**dict(taken.metadata), "outcome": f"done by {self._name}"}
        done = taken.replace(status=IntentStatus.COMPLETED, metadata=outcome)
        self._write(done, "complete", reason="success criteria met", update=done, step="handed over")

    def _write(
        self, intent: Intent, did: str, *, reason: str | None, update: Intent | None = None, step: str = ""
    ) -> Intent:
        """Makes one commit of a new content, a remark, or both, and notes before and after what it is about."""
        self._writes += 1
        self._acks.write(self._line("begin", intent, did=did))
        with self._graph.transaction(reason=reason, commit_id=self._commit_id()) as tx:
            _record(tx, intent, update, step)
        assert tx.commit is not None
        self._acks.write(self._line("ack", intent, revision=tx.commit.revision, did=did))
        return next((change.intent for change in tx.commit.changes if isinstance(change, Put)), intent)

    def _commit_id(self) -> str:
        return f"{self._name}-{self._writes}"

    def _line(self, kind: str, intent: Intent, *, revision: int = 0, did: str = "") -> Line:
        commit = self._commit_id()
        return Line(kind=kind, graph=self._graph.name, intent=intent.id, commit=commit, revision=revision, did=did)  # type: ignore[arg-type]  # a literal at each call


def _record(tx: Transaction, intent: Intent, update: Intent | None, step: str) -> None:
    if update is not None:
        tx.update(update)
    if step:
        tx.note(intent.id, step)


def main(url: str, name: str, file: str, graph: str, quota: str) -> None:
    """Opens the store as any process would and works."""
    with AckFile(Path(file)) as acks, open_graph(url, graph=graph, actor=name, create=False) as opened:
        Worker(opened, name, acks).work(int(quota))


if __name__ == "__main__":
    main(*sys.argv[1:])
