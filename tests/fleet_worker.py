"""A worker process of a fleet: claims, works, completes by its token, until nothing is left.

::

    python fleet_worker.py URL NAME FILE [steady|hang|stop]   the third task of a hanging one never ends; a stopping one
                                                              stops itself while it holds its third task
    python fleet_worker.py URL NAME FILE recover              gives back what "dead" held

What it does stands in FILE, a line each.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from intentstore import IntentFilter, open_graph
from intentstore.ground.errors import LeaseHeld

LEASE_S = 1.5
OPEN = IntentFilter(status={"active", "executing", "suspended"})  # type: ignore[arg-type]  # made a set


def main(url: str, name: str, path: str, role: str) -> None:
    """Plays the role."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def say(*words: object) -> None:
        os.write(fd, f"{' '.join(map(str, words))}\n".encode())

    with open_graph(url, actor=name) as graph:
        if role == "recover":
            for intent in graph.recover("dead"):
                say("requeued", intent.id)
            return
        claims = 0
        while True:
            claimed = graph.claim(owner=name, lease_s=LEASE_S)
            if claimed is None:
                if not graph.count(OPEN):
                    return
                time.sleep(0.02)
                continue
            assert claimed.claim is not None
            claims += 1
            mine = graph.acting(token=claimed.claim.token)
            say("claimed", claimed.id, claimed.claim.token)
            try:
                mine.start(claimed.id)
                if claims == 3 and role == "hang":
                    time.sleep(600)
                if claims == 3 and role == "stop":
                    os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(0.005)
                mine.complete(claimed.id)
                say("done", claimed.id)
            except LeaseHeld as late:
                say("late", claimed.id, str(late).replace(" ", "_"))


if __name__ == "__main__":
    main(*sys.argv[1:])
