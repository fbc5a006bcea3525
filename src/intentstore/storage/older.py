"""Stores of older formats: which format one has, what brings it to the present one, the copy that is kept first.

An upgrade is a row of numbered steps, each whole or not at all, so that one that was killed goes on where it stopped.
Before the first of them a copy of the store as it was is made beside it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from .disk import Disk


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """What brings a store to the present format: from which, to which, by which steps; where its copy is kept."""

    store: str
    found: int
    wanted: int
    steps: tuple[str, ...] = ()
    copy: str | None = None


STEPS = {
    "sqlite": {1: "the log's rows are keyed by graph and revision; tables for definitions and for what is kept aside"},
    "file": {1: "the journal is ended where it is, and another begun that is written into space laid ahead"},
}
"""What each step does, by the format it begins from."""


def planned(kind: str, path: Path, *, found: int, wanted: int) -> Migration:
    """Returns what brings a store from one format to another."""
    steps = tuple(STEPS[kind][version] for version in range(found, wanted))
    copy = str(copy_path(path, found)) if steps and kind == "sqlite" else None  # a file store rewrites nothing
    return Migration(store=f"{kind}:{path}", found=found, wanted=wanted, steps=steps, copy=copy)


def copy_path(path: Path, version: int) -> Path:
    """Returns where the copy of a store of this format is kept."""
    return path.with_name(f"{path.name}.format-{version}")


def keep_sqlite_copy(path: Path, version: int) -> Path:
    """Copies the database beside it, as one transaction sees it; durable, and whole or not there."""
    import apsw

    target = copy_path(path, version)
    temporary = target.with_name(f"{target.name}.tmp")
    disk = Disk()
    if disk.is_there(temporary):
        disk.remove(temporary)
    disk.close(disk.open_append(temporary, create=True))  # for its owner alone, from the beginning
    source, other = apsw.Connection(str(path)), apsw.Connection(str(temporary))
    try:
        with other.backup("main", source, "main") as copying:
            copying.step(-1)
        other.pragma("journal_mode", "delete")
    finally:
        source.close()
        other.close()
    fd = disk.open_append(temporary, create=False)
    try:
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.rename(temporary, target)
    disk.sync_directory(target.parent)
    return target
