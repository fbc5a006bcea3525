"""A process killed before its every call to the file system, whatever it is about; and what it then left.

For acts that are longer than a commit - a backup, a restore, a compaction, a migration: old or new, never between.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from .crash import Tree
from .findings import Finding
from .fuse import Mount
from .safety import quietly

KINDS = (
    *("create", "mkdir", "open", "read", "write", "truncate", "sync", "sync_directory", "rename", "remove", "close"),
    "readdir",
)

Act = Callable[[Path], object]
Judge = Callable[[Path], list[str]]


def tree_of(place: Path) -> Tree:
    """Returns a directory as a tree, to begin from."""
    return {path.name: tree_of(path) if path.is_dir() else path.read_bytes() for path in sorted(place.iterdir())}


def kill_each(
    mount: Mount, finding: Finding, *, tree: Tree, act: Act, judge: Judge, what: str, seed: int, every: int = 1
) -> None:
    """Kills the act before every (so-many-th) call in turn, from the same tree each time; judges what is left."""
    begun = time.monotonic()
    at = Random(f"{seed} {what}").randrange(every)
    while True:
        home = mount.fresh(tree)
        status = _run(mount, act, home, at)
        _, fired = mount.seen()
        mount.plan()
        if not fired:
            if status:
                finding.fault(f"{what}: fails by itself, status {status}")
            break
        finding.tried += 1
        with quietly():
            try:
                faults = judge(home)
            except Exception as error:  # noqa: BLE001  whatever it is, it is not what was promised
                faults = [f"{type(error).__name__}: {error}"]
        if faults:
            finding.fault(f"{what}, killed before call {at}: {faults[0]}")
        at += every
    finding.seconds += time.monotonic() - begun


def _run(mount: Mount, act: Act, home: Path, at: int) -> int:
    """Runs the act in a process of its own that dies before its ``at``-th call; returns how it ended."""
    waits, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.read(waits, 1)
            with quietly():
                act(home)
            status = 0
        finally:
            os._exit(status)
    os.close(waits)
    mount.plan(*KINDS, at=at, kill=pid)
    os.write(go, b"g")
    os.close(go)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 0 if ended == -signal.SIGKILL else ended
