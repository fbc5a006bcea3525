"""A graph's folder exchanged for another, whole and at once: how a restore takes the place of what was there.

The new folder is built in a store of its own beside the graphs, made durable, and exchanged by one call; a crash
leaves the old or the new one, and what is left over beside it is removed the next time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..ground.change import Commit
from ..ground.protocol import IntentStorage
from ..ground.types import Revision
from .disk import Disk
from .ledger import as_batch, check_same

SPARE = ".restoring"
_TOGETHER = 500


@contextmanager
def building(disk: Disk, home: Path, *, timeout_s: float) -> Iterator[Path]:
    """Gives an empty place for a store beside the graphs of ``home``, to one at a time; removed afterwards."""
    lock = disk.open_append(home / "lock", create=True)
    try:
        disk.lock(lock, timeout_s=timeout_s)
        spare = home / SPARE
        disk.remove_tree(spare)
        yield spare
        disk.remove_tree(spare)
    finally:
        disk.close(lock)


def fill(storage: IntentStorage, commits: Iterable[Commit]) -> Revision:
    """Opens a storage, applies the commits behind what it holds, closes it; returns its last revision."""
    rest = iter(commits)
    storage.open()
    try:
        while some := list(itertools.islice(rest, _TOGETHER)):
            made = storage.apply_all([as_batch(commit) for commit in some])
            for commit, copy in zip(some, made, strict=True):
                check_same(commit, copy)
        return storage.revision
    finally:
        storage.close()


def exchange(disk: Disk, new: Path, old: Path) -> None:
    """Gives each folder the other's place, at once and durably; the caller holds the old one's lock."""
    disk.exchange(new, old)
    for above in (old.parent, new.parent):
        disk.sync_directory(above)
