"""What a local store stands on, looked at without opening it: its file system, its locks, its permissions, its space.

Knows paths and system calls; has never heard of a commit.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ..ground.protocol import Diagnosis
from .disk import Disk, mounted_on, network_kind

_LEAST_FREE = 64 << 20


def examine_place(path: Path) -> Iterator[Diagnosis]:
    """Yields what there is to say of the place of a store, be it a file or a directory."""
    facts = path.lstat()
    yield from _file_system(path)
    yield from _permissions(path, facts)
    free = shutil.disk_usage(path if stat.S_ISDIR(facts.st_mode) else path.parent).free
    yield Diagnosis(
        "free space",
        free > _LEAST_FREE,
        f"{free >> 20} MiB",
        "when it runs out, writes are refused and nothing is lost; reads go on",
    )


def _file_system(path: Path) -> Iterator[Diagnosis]:
    kind = mounted_on(path)
    network = network_kind(path)
    yield Diagnosis(
        "file system",
        network is None,
        kind or "unknown",
        "syncs and locks are those of a local disk"
        if network is None
        else "locks over a network may exclude nobody, and a sync may not reach the disk: use a local disk",
    )
    if kind in ("tmpfs", "ramfs"):
        yield Diagnosis("memory", ok=False, found=kind, means="what is acknowledged does not outlive the machine")


def _permissions(path: Path, facts: os.stat_result) -> Iterator[Diagnosis]:
    open_to = [who for who, bits in (("the group", 0o070), ("everybody", 0o007)) if facts.st_mode & bits]
    yield Diagnosis(
        "permissions",
        not open_to,
        f"{stat.filemode(facts.st_mode)}, owner {facts.st_uid}",
        "nobody else reads or writes it"
        if not open_to
        else f"{' and '.join(open_to)} may read or write it: chmod go= {path}",
    )
    if stat.S_ISLNK(facts.st_mode):
        yield Diagnosis("symbolic link", ok=False, found=str(path), means="is refused: name the place itself")
    if not os.access(path, os.W_OK):
        yield Diagnosis("writable", ok=False, found="no", means="it can be read only, by this user")


def examine_lock(path: Path) -> Iterator[Diagnosis]:
    """Yields whether a lock on this file keeps a second opener out."""
    disk = Disk()
    if not disk.is_there(path) or not os.access(path, os.W_OK):
        return
    fd = disk.open_append(path, create=False)
    try:
        disk.lock(fd, timeout_s=0)
        excludes = disk.lock_excludes(path)
        disk.unlock(fd)
    except Exception:  # noqa: BLE001  somebody holds it: then it excludes
        excludes = True
    finally:
        disk.close(fd)
    yield Diagnosis(
        "lock",
        excludes,
        "excludes" if excludes else "excludes nobody",
        "one process writes at a time" if excludes else "two processes may write at once and destroy each other's work",
    )
