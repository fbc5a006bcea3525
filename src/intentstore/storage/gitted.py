"""A file store that is kept in git: which of its files git keeps, and two versions of one journal file made one.

A store is kept in git where it has a `.gitattributes` of ours. It then has one journal file that only grows, and no
snapshot: what git keeps is the history and where it certainly ends; everything else is each working tree's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..codec import encode_commit
from ..ground.change import Commit
from ..ground.errors import Unsupported
from .bodies import read_commit, written_as
from .disk import Disk
from .journal import write_frame
from .scan import frames_of, lines

ATTRIBUTES, IGNORE = ".gitattributes", ".gitignore"
DRIVER = "intentstore"
KEPT = f"# An intentstore: two branches' histories are merged by their meaning.\ngraphs/*/* merge={DRIVER} -text\n"
IGNORED = "lock\naside-*\nsnapshot-*\n*.tmp\n"
_ALL = 2**63 - 1


def is_gitted(disk: Disk, store: Path) -> bool:
    """True if the file store in this directory is kept in git."""
    return disk.is_there(store / ATTRIBUTES)


def put_in_git(disk: Disk, store: Path) -> None:
    """Marks the store as one that git keeps; whatever stands in the two files already, stays."""
    for name, text in ((ATTRIBUTES, KEPT), (IGNORE, IGNORED)):
        path = store / name
        there = disk.read_whole(path).decode() if disk.is_there(path) else ""
        if text not in there:
            disk.write_whole(path, (there + text).encode())
    for graph in disk.names(store / "graphs"):
        for name in disk.names(store / "graphs" / graph):
            if name.startswith("snapshot-"):  # of this branch; another branch's journal may not reach so far
                disk.remove(store / "graphs" / graph / name)


def commits_in(disk: Disk, files: Iterable[Path]) -> Iterator[Commit]:
    """Yields the commits of journal files that follow each other; damage is `Corrupt`."""
    prev: str | None = None
    for path in files:
        frames = frames_of(disk, path, 0, _ALL, prev)
        while True:
            try:
                frame = next(frames)
            except StopIteration as end:
                _, prev = end.value
                break
            yield read_commit(frame.body)


def grown(disk: Disk, path: Path, commits: Iterable[Commit]) -> bytes:
    """Returns the journal file with these commits behind what it holds."""
    fd = disk.open_read(path)
    try:
        held = [line + b"\n" for _, line in lines(disk, fd, 0)]
    finally:
        disk.close(fd)
    *_, digest, body = held[-1].split(b" ", 5)
    if body.startswith(b'{"end"'):
        raise Unsupported(
            f"{path.name} was ended on one branch", hint="open both stores and merge them: intent merge file:OTHER"
        )
    prev = digest.decode()
    encoding = "rtfs" if any(line.split(b" ", 5)[5].startswith(b"{:") for line in held) else "json"
    for commit in commits:
        body = written_as(encoding, encode_commit(commit))
        line, prev = write_frame(body, revision=commit.revision, group=commit.revision, prev=prev)
        held.append(line)
    return b"".join(held)
