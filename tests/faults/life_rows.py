"""Rows about what is longer than a commit: snapshots, backups, restores, migrations, killed anywhere."""

from __future__ import annotations

import contextlib
import gzip
import shutil
from datetime import timedelta
from pathlib import Path

from intentstore import Intent, open_graph
from intentstore.graph.transfer import Reading
from intentstore.ground.errors import IntentStoreError
from intentstore.testing import put, state
from intentstore.testing.faults import Expected, Finding, faults_of, fuse, mounted, opened, scratch
from intentstore.testing.faults.crash import Tree
from intentstore.testing.faults.kill import Act, Judge, kill_each, tree_of

from .rows import Run, row
from .subjects import URLS

GOLDEN = Path(__file__).parents[1] / "golden"


def a_store(run: Run, place: Path, *, commits: int = 12) -> Expected:
    """Fills the store in an empty place; returns what it holds."""
    with opened(run.subject, place) as storage:
        for n in range(commits):
            put(storage, f"a{n}", f"b{n}", id=f"c{n}")
    with opened(run.subject, place) as storage:
        return Expected(list(storage.entries()))


@row("lives")
def lives(run: Run) -> list[Finding]:
    """Compaction, backup, restore and the opening of an older version, each killed before its every call."""
    missing = fuse.missing()
    url = URLS[run.subject.name]
    every = run.choose(5, 1)
    found = []
    with mounted() if missing is None else contextlib.nullcontext() as mount, scratch() as place:
        expected = a_store(run, place)
        tree = tree_of(place)

        def tried(what: str, act: Act, judge: Judge, begun: Tree, *, few: int = 1) -> None:
            finding = run.finding(1, f"kill -9 before every call of {what}", unit="kills", missing=missing)
            found.append(finding)
            if mount is not None:
                kill_each(mount, finding, tree=begun, act=act, judge=judge, what=what, seed=run.seed, every=every * few)

        def compact(home: Path) -> None:
            with open_graph(url.format(home)) as graph:
                graph.compact()

        def same(home: Path) -> list[str]:
            return faults_of(run.subject, home, expected, [commit.id for commit in expected.log])

        tried("a compaction", compact, same, tree)
        tried("a backup", lambda home: _back_up(url, home), _backup_whole(run, expected, "new.backup"), tree)
        older = {**tree, "new.backup": _an_older_backup(run, place)}
        tried("a backup over an older one", lambda home: _back_up(url, home), _backup_old_or_new(run, expected), older)
        with open_graph(url.format(place)) as graph:
            graph.backup(place / "whole.backup")
        only: Tree = {"whole.backup": (place / "whole.backup").read_bytes()}
        tried("a restore", lambda home: _restore(url, home), _restored_again(run, url, expected), only, few=3)
        if run.subject.name == "sqlite":  # a file store exchanges folders, which this file system cannot; see its tests
            over = {**tree, "whole.backup": (place / "older.backup").read_bytes()}
            old_or_new = _old_or_new(url, expected)
            tried("a restore over a graph", lambda home: _restore_over(url, home), old_or_new, over, few=2)
            tried("a folding", lambda home: _fold(url, home), _folded_or_not(url, expected), tree, few=2)
        for version in sorted(path.name for path in GOLDEN.glob("v*")):
            tried(*_older(run, url, version), few=2)
    return found


def _back_up(url: str, home: Path) -> None:
    with open_graph(url.format(home)) as graph:
        graph.backup(home / "new.backup")


def _backup_whole(run: Run, expected: Expected, name: str) -> Judge:
    def judge(home: Path) -> list[str]:
        if (home / name).exists() and list(Reading(home / name)) != expected.log:
            return ["the backup is not whole"]
        return faults_of(run.subject, home, expected, [commit.id for commit in expected.log])

    return judge


def _an_older_backup(run: Run, place: Path) -> bytes:
    with scratch() as other:
        with opened(run.subject, other) as storage:
            put(storage, "older", id="older")
        with open_graph(URLS[run.subject.name].format(other)) as graph:
            graph.backup(place / "older.backup")
    return (place / "older.backup").read_bytes()


def _backup_old_or_new(run: Run, expected: Expected) -> Judge:
    def judge(home: Path) -> list[str]:
        ids = [commit.id for commit in Reading(home / "new.backup")]
        if ids != ["older"] and ids != [commit.id for commit in expected.log]:
            return ["the backup is neither the old nor the new one"]
        return []

    return judge


def _restore(url: str, home: Path) -> None:
    with open_graph(url.format(home)) as graph:
        graph.restore(home / "whole.backup")


def _restore_over(url: str, home: Path) -> None:
    with open_graph(url.format(home)) as graph:
        graph.restore(home / "whole.backup", replace=True)


def _old_or_new(url: str, expected: Expected) -> Judge:
    def judge(home: Path) -> list[str]:
        with open_graph(url.format(home)) as graph:
            ids = [commit.id for commit in graph.entries()]
            problems = [f"{each.where}: {each.what}" for each in graph.verify().problems]
        if ids not in (["older"], [commit.id for commit in expected.log]):
            return ["the graph is neither the old nor the new one"]
        return problems

    return judge


def _fold(url: str, home: Path) -> None:
    with open_graph(url.format(home)) as graph:
        graph.compact(keep=timedelta(days=-1))


def _folded_or_not(url: str, expected: Expected) -> Judge:
    def judge(home: Path) -> list[str]:
        with open_graph(url.format(home)) as graph:
            if [commit.hash for commit in graph.entries()] != [commit.hash for commit in expected.log]:
                return ["the log is another"]
            if state(graph.storage) != expected.state(len(expected.log)):
                return ["the state is another"]
            return [f"{each.where}: {each.what}" for each in graph.verify().problems]

    return judge


def _restored_again(run: Run, url: str, expected: Expected) -> Judge:
    def judge(home: Path) -> list[str]:
        if found := faults_of(run.subject, home, expected, []):
            return found
        with scratch() as place:  # what was begun is gone on with, and comes to the same; the check above wrote to it
            shutil.copyfile(home / "whole.backup", place / "whole.backup")
            _restore(url, place)
            return faults_of(run.subject, place, expected, [commit.id for commit in expected.log])

    return judge


def _older(run: Run, url: str, version: str) -> tuple[str, Act, Judge, Tree]:
    """Returns the opening of a store of an older version, and the check that it lost nothing by being killed."""
    from intentstore.codec import decode_commit

    log = [decode_commit(line) for line in (GOLDEN / version / "log.jsonl").read_bytes().split(b"\n")[:-1]]
    if run.subject.name == "file":
        tree: Tree = {"store": tree_of(GOLDEN / version / "file-killed")}
    else:
        names = sorted(path.name for path in (GOLDEN / version).glob("killed.db*.gz"))
        tree = {
            name.replace("killed", "goals").removesuffix(".gz"): gzip.decompress((GOLDEN / version / name).read_bytes())
            for name in names
        }

    def act(home: Path) -> None:
        with open_graph(url.format(home)) as graph:
            graph.store(Intent(id="after", goal="Be written by this version"))
            graph.compact()

    def judge(home: Path) -> list[str]:
        try:
            with open_graph(url.format(home)) as graph:
                there = list(graph.entries())
                if there[: len(log)] != log or len(there) > len(log) + 1:
                    return ["the log is another"]
                if problems := graph.verify().problems:
                    return [f"{problems[0].where}: {problems[0].what}"]
                graph.store(Intent(id="again", goal="Be written after the kill"))
            with open_graph(url.format(home)) as graph:
                return [] if graph.get("again") is not None and graph.verify().ok else ["does not go on"]
        except IntentStoreError as error:
            return [f"{type(error).__name__}: {error}"]

    return f"the first opening of format {version}", act, judge, tree
