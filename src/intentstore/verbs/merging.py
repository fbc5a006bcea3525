"""Verbs that make one of two copies: merge, and the driver that git calls."""

from __future__ import annotations

import shlex
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..codec import jsonable
from ..ground.errors import FieldInvalid, Unavailable, Unsupported
from .declare import Result, Session, Verb, flag, positional

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph
    from ..graph.merge import Merged

_TOGETHER = 1000


def merge(session: Session, /, *, other: str, unrelated: bool = False, dry_run: bool = False) -> Result:
    """Makes this graph what it and another copy are together; the other stays as it is."""
    source = session.open(other, create=False)
    return _told(session.graph.merge(source, unrelated=unrelated, dry_run=dry_run))


def git_merge(
    session: Session,
    /,
    *,
    base: str | None = None,
    ours: str | None = None,
    theirs: str | None = None,
    path: str | None = None,
    install: bool = False,
) -> Result:
    """Merges two versions of a file of a store that git keeps; or sets git up to call this."""
    if install:
        return _install(session)
    if ours is None or theirs is None or path is None:
        raise FieldInvalid("path", "is missing", hint="git calls this; set it up: intent git-merge --install")
    del base  # the logs say themselves where they were last the same
    return _merge_file(Path(ours), Path(theirs), Path(path))


def _merge_file(ours: Path, theirs: Path, path: Path) -> Result:
    """Leaves in ``ours`` what the file ``path`` of the store is to be."""
    from ..storage.disk import Disk
    from ..storage.gitted import grown

    if path.name == "head":  # a place that the journal reaches for certain: ours is the beginning of the merged one
        return {}
    if not path.name.startswith("journal-"):
        raise Unsupported(f"{path} is no journal", hint="take one of the two: git checkout --ours, or --theirs")
    earlier = sorted(each for each in path.parent.glob("journal-*.jsonl") if each.name < path.name)
    with _loaded([*earlier, ours]) as mine, _loaded([*earlier, theirs]) as other:
        end = mine.revision
        merged = mine.merge(other)
        ours.write_bytes(grown(Disk(), ours, mine.entries(end)))
    return _told(merged)


def _told(merged: Merged) -> Result:
    nothing = {"commits": [], "intents": 0, "edges": 0, "definitions": 0, "notes": 0, "conflicts": []}
    return {**nothing, **jsonable(merged)}


def _loaded(files: list[Path]) -> IntentGraph:
    from ..graph.graph import IntentGraph
    from ..graph.replaying import apply_as_they_were
    from ..storage.disk import Disk
    from ..storage.gitted import commits_in
    from ..storage.memory import MemoryStorage

    storage = MemoryStorage()
    storage.open()
    commits = commits_in(Disk(), files)
    while some := list(islice(commits, _TOGETHER)):
        apply_as_they_were(some, storage)
    return IntentGraph(storage, graph="the other branch")


def _install(session: Session) -> Result:
    from ..locate import located
    from ..storage.disk import Disk
    from ..storage.gitted import DRIVER, put_in_git

    found = located(session.where).store
    kind, _, directory = found.partition(":")
    if kind != "file":
        raise Unsupported(
            f"{found} is no file store", hint="git keeps file stores: intent copy file:DIR, and install it there"
        )
    session.open(found, create=False)  # it must be a store, and whole
    store = Path(directory.partition("?")[0])
    command = f"{shlex.quote(sys.executable)} -m intentstore git-merge %O %A %B %P"
    for key, value in (("name", "merges intentstore histories by their meaning"), ("driver", command)):
        _git(store, "config", f"merge.{DRIVER}.{key}", value)
    put_in_git(Disk(), store)
    return {"store": str(store), "driver": command}


def _git(where: Path, *words: str) -> None:
    try:
        said = ["git", "-C", str(where), *words]
        done = subprocess.run(said, capture_output=True, text=True, check=False)  # noqa: S603  git, as it is found
    except FileNotFoundError:
        raise Unavailable("there is no git here", hint="install git") from None
    if done.returncode:
        raise Unavailable(f"git: {done.stderr.strip()}", hint="is the store inside a git working tree? git init")


VERBS = (
    Verb(
        "merge",
        "take over what another copy did",
        merge,
        "merged",
        (
            positional("other", "the store of the other copy"),
            flag("unrelated", "though the two share no commit"),
            flag("dry_run", "say what would be done, and do nothing"),
        ),
        writes=True,
        about="Makes this graph what both copies are together, in one commit. What both changed differently since\n"
        "they were the same is decided by rule, told, and kept in the history. The other copy stays as it is:\n"
        "merge there too, and both are the same. Merging again changes nothing.",
        examples=("merge file:/mnt/laptop/goals", "merge sqlite:other.db --dry-run"),
    ),
    Verb(
        "git-merge",
        "merge stores that git keeps; --install sets git up",
        git_merge,
        "git_merged",
        (
            positional("base", "git's file of the common beginning", required=False),
            positional("ours", "git's file of this branch; it is overwritten", required=False),
            positional("theirs", "git's file of the other branch", required=False),
            positional("path", "what the file is called in the working tree", required=False),
            flag("install", "set up git for this file store, in this clone"),
        ),
        opens=False,
        about="With --install, writes the store's .gitattributes and .gitignore and tells this clone's git to merge\n"
        "the store's files by their meaning; each clone says it once. Git then calls it by itself.",
        examples=("git-merge --install", "git-merge --install --store file:goals"),
    ),
)
