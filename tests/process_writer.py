"""A process of its own that writes to a store until it is killed, or follows its log until it is told to stop.

::

    python process_writer.py write  URL FILE     each transaction is named in FILE once it was acknowledged
    python process_writer.py follow URL FILE     each commit it sees is named in FILE
    python process_writer.py peek   URL FILE     as follow, but opened read-only

Every line in FILE is on stable storage before the next transaction begins.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from uuid import uuid4

from intentstore import Intent, open_graph

SIZE = 4
"""Intents in a transaction; an edge leads from each but the first to the one before."""


def say(fd: int, line: str) -> None:
    """Puts a line on stable storage."""
    os.write(fd, f"{line}\n".encode())
    os.fdatasync(fd)


def names(commit_id: str) -> list[str]:
    """Returns the ids of the intents that the transaction of this name stores."""
    return [f"{commit_id}.{n}" for n in range(SIZE)]


def write(url: str, fd: int) -> None:
    """Writes transaction after transaction; compacts now and then."""
    me = uuid4().hex[:8]
    with open_graph(url, actor=me) as graph:
        for n in range(1_000_000):
            commit_id = f"{me}-{n}"
            with graph.transaction(commit_id=commit_id) as tx:
                before = None
                for id in names(commit_id):
                    tx.store(Intent(id=id, goal=f"Reach {id}\u2028 and stay"))
                    if before is not None:
                        tx.link(id, "depends_on", before)
                    before = id
            assert tx.commit is not None
            say(fd, f"{tx.commit.revision} {commit_id}")
            if n % 40 == 20:
                graph.compact()


def follow(url: str, fd: int, *, read_only: bool) -> None:
    """Asks for what is new, again and again; after SIGTERM once more, to the end."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    last = 0
    with open_graph(url, read_only=read_only) as graph:
        while True:
            ending = bool(stopped)
            for commit in graph.entries(last):
                last = commit.revision
                os.write(fd, f"{last} {commit.id}\n".encode())
            if ending:
                return
            time.sleep(0.002)


def main(role: str, url: str, path: str) -> None:
    """Plays the role."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    if role == "write":
        write(url, fd)
    else:
        follow(url, fd, read_only=role == "peek")


if __name__ == "__main__":
    main(*sys.argv[1:])
