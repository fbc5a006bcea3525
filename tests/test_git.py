"""Claims about a file store kept in git: two branches merge by their meaning, and nothing of either is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from intentstore import Corrupt, Intent, Unsupported, open_graph
from intentstore.cli import main
from intentstore.graph.graph import IntentGraph
from intentstore.ground.errors import Unavailable
from intentstore.storage.disk import Disk
from intentstore.storage.gitted import is_gitted, put_in_git

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="not run: there is no git here")


class Repository:
    """A repository with a store in it, and what a person does there."""

    def __init__(self, path: Path) -> None:
        self.path, self.store = path, path / "goals"
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "a@example.org")
        self.git("config", "user.name", "A")

    def git(self, *words: str, fails: bool = False) -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(["git", *words], cwd=self.path, capture_output=True, text=True, env=env, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def open(self) -> IntentGraph:
        return open_graph(f"file:{self.store}")

    def commit(self, said: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", said)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "work")
    with made.open() as graph:
        for id in ("a", "b", "c"):
            graph.store(Intent(id=id, goal=f"Goal {id}"))
        graph.link("b", "depends_on", "a")
    return made


@needs_git
def test_two_branches_that_both_added_and_completed_goals_merge(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--store", f"file:{repository.store}", "git-merge", "--install"]) == 0
    assert "by its meaning" in capsys.readouterr().out
    repository.commit("A store")
    repository.git("checkout", "-q", "-b", "feature")
    with repository.open() as graph:
        graph.store(Intent(id="feature", goal="Made on the branch"))
        graph.link("feature", "is_subgoal_of", "c")
        graph.complete("a")
        graph.update(graph.intent("c").replace(goal="Goal c, as the branch says"))
    repository.commit("On the branch")
    repository.git("checkout", "-q", "main")
    with repository.open() as graph:
        assert graph.get("feature") is None
        graph.store(Intent(id="main", goal="Made on main"))
        graph.complete("b")
        graph.update(graph.intent("c").replace(priority=5))
    repository.commit("On main")
    repository.git("merge", "-q", "--no-edit", "feature")
    assert repository.git("status", "--short") == ""
    with repository.open() as graph:
        assert {intent.id for intent in graph.each()} == {"a", "b", "c", "main", "feature"}
        assert [graph.intent(id).status for id in "ab"] == ["completed", "completed"]
        assert (graph.intent("c").goal, graph.intent("c").priority) == ("Goal c, as the branch says", 5)
        assert graph.parents("feature")
        assert graph.verify().ok
        graph.note("a", "And it goes on")
    repository.commit("It goes on")
    repository.git("checkout", "-q", "feature")
    with repository.open() as graph:
        graph.fail("c")
    repository.commit("The branch goes on too")
    repository.git("merge", "-q", "--no-edit", "main")
    with repository.open() as graph:
        assert graph.intent("c").status == "failed"
        assert graph.intent("main").goal == "Made on main"
        assert graph.verify().ok


@needs_git
def test_without_the_driver_what_git_leaves_is_refused_with_the_way_out(repository: Repository) -> None:
    repository.commit("A store")
    repository.git("checkout", "-q", "-b", "feature")
    with repository.open() as graph:
        graph.store(Intent(id="feature", goal="F"))
    repository.commit("On the branch")
    repository.git("checkout", "-q", "main")
    with repository.open() as graph:
        graph.store(Intent(id="main", goal="M"))
    repository.commit("On main")
    repository.git("merge", "feature", fails=True)
    repository.git("checkout", "--ours", "goals/graphs/default/head")
    with pytest.raises(Corrupt, match="conflict marks") as refused:
        repository.open()
    assert "git-merge --install" in refused.value.hint
    assert "journal-" in str(refused.value)


def test_a_store_kept_in_git_stays_one_file_and_will_not_be_compacted(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with open_graph(f"file:{store}") as graph:
        graph.storage.compact()  # type: ignore[attr-defined]
    assert list(store.glob("graphs/*/snapshot-*"))
    put_in_git(Disk(), store)
    put_in_git(Disk(), store)
    assert is_gitted(Disk(), store)
    assert (store / ".gitattributes").read_text().count("merge=") == 1
    assert not list(store.glob("graphs/*/snapshot-*"))
    with open_graph(f"file:{store}") as graph:
        for n in range(400):
            graph.store(Intent(goal="A goal of some length " * 20, priority=n))
        with pytest.raises(Unsupported, match="kept in git"):
            graph.compact()
        with pytest.raises(Unsupported, match="kept in git"):
            graph.storage.replace([])  # type: ignore[attr-defined]
    assert not list(store.glob("graphs/*/snapshot-*"))
    with open_graph(f"file:{store}") as graph:
        assert graph.revision == 400


def test_what_cannot_be_merged_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", f"sqlite:{tmp_path}/s.db", "git-merge", "--install"]) != 0
    assert "no file store" in capsys.readouterr().err
    assert main(["git-merge"]) != 0
    assert "--install" in capsys.readouterr().err
    assert main(["git-merge", "b", "o", "t", "goals/format.json"]) != 0
    assert "no journal" in capsys.readouterr().err
    with open_graph(f"file:{tmp_path}/store") as graph:
        graph.store(Intent(goal="A"))
        graph.compact()
    first = next((tmp_path / "store").glob("graphs/*/journal-*1.jsonl"))
    assert main(["git-merge", "", str(first), str(first), str(first)]) != 0
    assert "ended on one branch" in capsys.readouterr().err
    assert main(["git-merge", "", str(first), str(first), "goals/graphs/default/head"]) == 0
    assert capsys.readouterr().out == ""  # the merged journal begins with ours, as the head says


@needs_git
def test_outside_of_git_nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with open_graph(f"file:{tmp_path}/store"):
        pass
    assert main(["--store", f"file:{tmp_path}/store", "git-merge", "--install"]) != 0
    assert not is_gitted(Disk(), tmp_path / "store")
    monkeypatch.setenv("PATH", "")
    assert main(["--store", f"file:{tmp_path}/store", "git-merge", "--install"]) != 0


def test_two_copies_merge_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = f"file:{tmp_path}/one", f"sqlite:{tmp_path}/two.db"
    with open_graph(one) as graph, open_graph(two) as other:
        graph.store(Intent(id="a", goal="A"))
        graph.copy(other)
        graph.update(graph.intent("a").replace(goal="Here"))
        other.update(other.intent("a").replace(goal="There"))
        other.store(Intent(id="b", goal="B"))
    assert main(["--store", one, "merge", two, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "to be merged: 2 intents" in said
    assert "There" in said
    assert main(["--store", one, "merge", two]) == 0
    assert main(["--store", one, "merge", two]) == 0
    assert "nothing to merge" in capsys.readouterr().out
    with pytest.raises(Unavailable):
        open_graph(f"file:{tmp_path}/none", create=False)
    assert main(["--store", one, "merge", f"file:{tmp_path}/none"]) != 0
