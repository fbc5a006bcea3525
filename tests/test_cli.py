"""The `intent` command keeps its contract: results, exit statuses, error documents, bad input; on every storage."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from intentstore import __version__
from intentstore.cli import main

SOURCE = Path(__file__).parent.parent / "src"


class Told(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def error(self) -> Any:
        assert self.out == ""
        (line,) = self.err.splitlines()
        return json.loads(line)["error"]


class Command:
    """Runs `intent` in this process, in a directory of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *words: str, stdin: str = "") -> Told:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        status = main(words)
        out, err = self._capsys.readouterr()
        return Told(status, out, err)

    def json(self, *words: str, stdin: str = "") -> Any:
        return self(*words, "--json", stdin=stdin).json

    def error(self, *words: str, stdin: str = "") -> tuple[int, Any]:
        told = self(*words, "--json", stdin=stdin)
        return told.status, told.error


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Command]:
    """The command in an empty directory, with nothing about intentstore in the environment."""
    for name in [name for name in os.environ if name.startswith("INTENTSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Command(capsys, monkeypatch)  # type: ignore[return-value]  # a fixture need not be a generator


@pytest.fixture(params=["memory", "file", "sqlite"])
def intent(bare: Command, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command over a small graph: ship <- test (waits for docs), docs."""
    url = {"memory": f"memory:{uuid4()}", "file": "file:goals", "sqlite": "sqlite:goals.db"}[request.param]
    monkeypatch.setenv("INTENTSTORE_URL", url)
    bare.json("add", "Ship 1.0", "--id", "ship")
    bare.json("add", "Write docs", "--id", "docs", "--priority", "5", "--label", "text")
    bare.json("add", "Pass the suite", "--id", "test", "--parent", "ship", "--depends-on", "docs")
    return bare


# --- results -------------------------------------------------------------------------------------------------------


def test_add_stores_every_option_and_its_edges_in_one_commit(intent: Command) -> None:
    added = intent.json(
        *("add", "Rent a machine", "--name", "rent", "--priority", "-3", "--parent", "ship", "--blocks", "docs"),
        *("--label", "b", "--label", "a", "--constraint", "max-cost=10.0", "--constraint", "where=the moon"),
        *("--prefer", "hours=[1,2]", "--success", "ssh answers", "--meta", "owner=ana", "--actor", "planner"),
    )["intent"]
    id = added["id"]
    assert added["priority"] == -3
    assert added["labels"] == ["a", "b"]
    assert added["constraints"] == {"max-cost": 10.0, "where": "the moon"}
    assert added["preferences"] == {"hours": [1, 2]}
    assert added["success_criteria"] == "ssh answers"
    assert added["metadata"] == {"owner": "ana"}
    assert added["created_at"].endswith("Z")
    shown = intent.json("show", id)
    assert shown["intents"] == [added]
    assert {(edge["source"], edge["type"], edge["target"]) for edge in shown["edges"]} == {
        (id, "is_subgoal_of", "ship"),
        (id, "blocks", "docs"),
    }
    last = intent.json("log", "--limit", "1")["commits"][0]
    assert (last["actor"], len(last["changes"])) == ("planner", 3)


def test_add_keeps_program_text_from_standard_input(intent: Command) -> None:
    assert intent.json("add", "G", "--rtfs", "-", stdin="(intent)\n")["intent"]["rtfs_source"] == "(intent)\n"


def test_list_pages_filters_and_sorts(intent: Command) -> None:
    first = intent.json("list", "--sort", "-priority", "--limit", "2")
    assert first["intents"][0]["id"] == "docs"
    rest = intent.json("list", "--sort", "-priority", "--limit", "2", "--after", first["next"])
    assert rest["next"] is None
    assert {each["id"] for each in [*first["intents"], *rest["intents"]]} == {"ship", "docs", "test"}
    for words, ids in (
        (["--label", "text"], {"docs"}),
        (["--goal", "SHIP"], {"ship"}),
        (["--status", "failed,active", "--priority-min", "1"], {"docs"}),
        (["--created-after", "1h"], {"ship", "docs", "test"}),
        (["--created-before", "2000-01-01"], set()),
        (["--updated-after", "3h ago", "--near", "ship"], {"test", "ship"}),
        (["--where", '{"goal_contains":"s"}', "--label", "text"], {"docs"}),
    ):
        assert {each["id"] for each in intent.json("list", *words)["intents"]} == ids, words


def test_where_takes_a_whole_filter_as_json(intent: Command) -> None:
    for where, ids in (
        ('{"has_edge":{"types":["depends_on"],"direction":"out"}}', ["test"]),
        ('{"any_of":[{"ids":["ship"]},{"labels_all":["text"]}],"not_":{"priority_min":5}}', ["ship"]),
    ):
        assert [each["id"] for each in intent.json("list", "--where", where)["intents"]] == ids
    assert intent.error("list", "--where", '{"has_edge":{"direction":"up"}}')[0] == 5


def test_count_counts_by_status(intent: Command) -> None:
    intent.json("start", "docs")
    assert intent.json("count") == {"count": 3, "by": {"active": 2, "executing": 1}}


def test_set_changes_fields_and_empties_them(intent: Command) -> None:
    words = ("priority=9", "labels=b,a", "constraints.max-cost=5", "metadata.k=v", "name=short")
    changed = intent.json("set", "docs", *words)["intent"]
    assert (changed["priority"], changed["labels"], changed["name"]) == (9, ["a", "b"], "short")
    assert (changed["constraints"], changed["metadata"]) == ({"max-cost": 5}, {"k": "v"})
    revision = str(changed["revision"])
    emptied = intent.json("set", "docs", "--expect", revision, "labels=", "constraints.max-cost=", "name=")["intent"]
    assert not {"labels", "constraints", "name"} & emptied.keys()
    assert emptied["metadata"] == {"k": "v"}


def test_note_stands_in_the_history_only(intent: Command) -> None:
    entry = intent.json("note", "docs", "remember")["entry"]
    assert entry["change"] == {"do": "note", "id": "docs", "text": "remember", **_chain(entry["change"])}
    assert intent.json("history", "docs")["entries"][-1]["change"]["text"] == "remember"


def _chain(change: dict[str, Any]) -> dict[str, Any]:
    return {key: change[key] for key in ("before", "prev", "expected") if key in change}


def test_rm_deletes_with_edges_and_leaves_a_history(intent: Command) -> None:
    assert intent.json("rm", "test") == {"deleted": ["test"], "edges": 2}
    assert intent.json("history", "test")["entries"]


def test_lifecycle_verbs_move_all_or_none(intent: Command) -> None:
    for verb, reached in (
        ("start", "executing"),
        ("suspend", "suspended"),
        ("reopen", "active"),
        ("fail", "failed"),
        ("archive", "archived"),
        ("reopen", "active"),
        ("done", "completed"),
    ):
        assert [each["status"] for each in intent.json(verb, "docs", "--reason", "so")["intents"]] == [reached]
    status, error = intent.error("start", "ship", "docs")
    assert (status, error["kind"]) == (5, "TransitionRefused")
    assert intent.json("show", "ship")["intents"][0]["status"] == "active"


def test_links_are_made_seen_and_undone(intent: Command) -> None:
    edge = intent.json("link", "docs", "related_to", "ship", "--weight", "0.5")["edge"]
    assert (edge["source"], edge["type"], edge["target"], edge["weight"]) == ("docs", "related_to", "ship", 0.5)
    assert len(intent.json("edges", "ship")["edges"]) == 2
    assert intent.json("edges", "ship", "--type", "related_to")["edges"] == [edge]
    assert intent.json("unlink", "ship", "related_to", "docs") == {"deleted": 1}
    assert intent.error("unlink", "ship", "related_to", "docs")[0] == 3


def test_tree_and_path(intent: Command) -> None:
    leaf = {"id": "test", "goal": "Pass the suite", "status": "active", "children": []}
    top = {"id": "ship", "goal": "Ship 1.0", "status": "active", "children": [leaf]}
    assert intent.json("tree", "ship") == {"tree": [top]}
    assert [each["id"] for each in intent.json("tree")["tree"]] == ["ship", "docs"]
    assert intent.json("tree", "ship", "--depth", "0")["tree"][0]["children"] == []
    assert [edge["type"] for edge in intent.json("path", "ship", "docs")["path"]] == ["is_subgoal_of", "depends_on"]
    intent.json("add", "Alone", "--id", "alone")
    assert intent.json("path", "ship", "alone") == {"path": None}


def test_a_goal_with_two_parents_is_unfolded_once(intent: Command) -> None:
    below = "ship"
    for level in range(40):  # 2^40 ways lead down
        for side in "ab":
            intent.json("add", f"{side}{level}", "--id", f"{side}{level}", "--parent", below)
        below = f"j{level}"
        intent.json("add", below, "--id", below, "--parent", f"a{level}", "--parent", f"b{level}")
    text = json.dumps(intent.json("tree", "ship"))
    assert text.count('"again": true') == 39


def test_ready_and_blocked_say_why(intent: Command) -> None:
    assert [each["id"] for each in intent.json("ready")["intents"]] == ["docs"]
    assert {each["intent"]["id"]: each["because"] for each in intent.json("blocked")["blocked"]} == {
        "test": [{"kind": "depends_on", "id": "docs", "status": "active"}],
        "ship": [{"kind": "subgoal", "id": "test", "status": "active"}],
    }
    assert [each["id"] for each in intent.json("ready", "--all-levels")["intents"]] == ["docs", "ship"]


def test_search_returns_hits(intent: Command) -> None:
    (hit,) = intent.json("search", "suite")["hits"]
    assert hit["intent"]["id"] == "test"
    assert {"score", "snippet"} <= hit.keys()


def test_log_goes_on_where_it_stopped(intent: Command) -> None:
    first = intent.json("log", "--since", "0", "--limit", "2")
    assert [commit["revision"] for commit in first["commits"]] == [1, 2]
    rest = intent.json("log", "--since", str(first["next"]), "--limit", "2")
    assert ([commit["revision"] for commit in rest["commits"]], rest["next"]) == ([3], None)
    assert [commit["revision"] for commit in intent.json("log", "--limit", "1")["commits"]] == [3]


def test_what_is_exported_imports_elsewhere(intent: Command, tmp_path: Path) -> None:
    assert intent.json("export", "goals.jsonl") == {"intents": 3, "edges": 2}
    again = ("--store", "sqlite:again.db")
    assert intent.json("import", "goals.jsonl", *again) == {"intents": 3, "edges": 2, "skipped": []}
    status, error = intent.error("import", "goals.jsonl", *again)
    assert (status, error["kind"]) == (4, "AlreadyThere")
    assert intent.json("import", "goals.jsonl", "--if-exists", "keep", *again)["intents"] == 0
    told = intent("export", "-", "--json", *again)
    assert json.loads(told.err) == {"intents": 3, "edges": 2}
    assert sorted(told.out.splitlines()) == sorted((tmp_path / "goals.jsonl").read_text().splitlines())


def test_apply_is_one_commit_and_again_the_same_one(intent: Command) -> None:
    lines = """\
{"do":"put","intent":{"id":"new","goal":"New"}}
{"do":"put","intent":{"goal":"Without an id"}}

{"do":"put","intent":{"id":"docs","goal":"Write better docs"},"expected":2}
{"do":"link","edge":{"source":"new","type":"blocks","target":"ship"}}
{"do":"note","id":"ship","text":"soon"}
{"do":"drop","id":"test"}
"""
    before = intent.json("show", "docs")["intents"][0]
    words = ("apply", "-", "--commit-id", "plan-42", "--reason", "replan")
    commit = intent.json(*words, stdin=lines)["commit"]
    assert (commit["revision"], commit["reason"]) == (4, "replan")
    assert intent.json(*words, stdin=lines)["commit"] == commit
    docs = intent.json("show", "docs")["intents"][0]
    assert (docs["goal"], docs["created_at"], docs["revision"]) == ("Write better docs", before["created_at"], 4)
    assert intent.json("count")["count"] == 4


def test_apply_leaves_no_trace_when_one_line_is_wrong(intent: Command) -> None:
    good = '{"do":"put","intent":{"goal":"G"}}\n'
    for bad, status, kind in (
        ('{"do":"put","intent":{"goal":"G","gaol":1}}', 5, "FieldInvalid"),
        ('{"do":"put","intent":{"goal":"G","priority":NaN}}', 5, "FieldInvalid"),
        ('{"do":"put","intent":{"goal":"G","priority":9223372036854775808}}', 5, "FieldInvalid"),
        ('{"do":"put","intent":{"goal":"G","goal":"H"}}', 5, "FieldInvalid"),
        ('{"do":"put"', 5, "FieldInvalid"),
        ('{"do":"jump"}', 5, "FieldInvalid"),
        ('{"do":"put","intent":{"id":"docs","goal":"G"},"expected":1}', 4, "StaleRevision"),
        ('{"do":"put","intent":{"id":"docs","goal":"G"},"expected":0}', 4, "AlreadyThere"),
        ('{"do":"drop","id":"nope"}', 3, "IntentMissing"),
        ('{"do":"link","edge":{"source":"docs","type":"depends_on","target":"test"}}', 5, "CycleRefused"),
    ):
        assert (got := intent.error("apply", "-", stdin=good + bad))[0] == status, (bad, got)
        assert got[1]["kind"] == kind
    assert intent.json("log", "--since", "3")["commits"] == []
    assert intent.error("apply", "-", stdin=good + '{"do":"jump"}')[1]["fields"]["line"] == 2


def test_an_empty_apply_makes_no_commit(intent: Command) -> None:
    assert intent.json("apply", "-", stdin="\n") == {"commit": None}


def test_backup_restore_and_copy_have_the_same_seal(intent: Command) -> None:
    receipt = intent.json("backup", "b.gz")
    assert (receipt["intents"], receipt["edges"], receipt["revision"]) == (3, 2, 3)
    assert intent.json("restore", "b.gz", "--into", "file:again") == receipt
    assert intent.json("copy", "sqlite:copy.db") == receipt
    assert intent.json("count", "--store", "sqlite:copy.db")["count"] == 3


def test_verify_compact_and_stats(intent: Command) -> None:
    assert intent.json("verify") == {"ok": True, "problems": []}
    stats = intent.json("stats")
    assert (stats["intents"], stats["edges"], stats["by_status"]) == (3, 2, {"active": 3})
    told = intent("compact", "--json")
    assert told.status in (0, 7)


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "kind"),
    [
        (["frobnicate"], 2, "Usage"),
        (["list", "--store", ""], 2, "Usage"),
        (["list", "--graph", ""], 5, "FieldInvalid"),
        (["add", "G", "--actor", ""], 5, "FieldInvalid"),
        (["list", "--frobnicate"], 2, "Usage"),
        (["list", "--limit"], 2, "Usage"),
        (["list", "--limit", "ten"], 2, "Usage"),
        (["list", "--limit", "1_0"], 2, "Usage"),
        (["list", "extra"], 2, "Usage"),
        (["link", "ship"], 2, "Usage"),
        (["export", "x", "--format", "docx"], 2, "Usage"),
        (["ready", "--all-levels=yes"], 2, "Usage"),
        (["show", "nope"], 3, "IntentMissing"),
        (["history", "nope"], 3, "IntentMissing"),
        (["unlink", "ship", "blocks", "docs"], 3, "EdgeMissing"),
        (["add", "G", "--parent", "nope"], 3, "IntentMissing"),
        (["add", "G", "--id", "docs"], 4, "AlreadyThere"),
        (["set", "docs", "priority=1", "--expect", "1"], 4, "StaleRevision"),
        (["add", ""], 5, "FieldInvalid"),
        (["add", "G", "--constraint", "a=NaN"], 5, "FieldInvalid"),
        (["add", "G", "--constraint", 'a={"b":-Infinity}'], 5, "FieldInvalid"),
        (["add", "G", "--constraint", "a=9223372036854775808"], 5, "FieldInvalid"),
        (["add", "G", "--constraint", 'a={"b":1,"b":2}'], 5, "FieldInvalid"),
        (["add", "G", "--constraint", "a=" + "[" * 65 + "]" * 65], 5, "FieldInvalid"),
        (["add", "G", "--constraint", "a"], 5, "FieldInvalid"),
        (["add", "G", "--meta", "a=1", "--meta", "a=2"], 5, "FieldInvalid"),
        (["add", "G", "--meta", "a=\udcff"], 5, "FieldInvalid"),
        (["add", "G\0"], 5, "FieldInvalid"),
        (["add", "G", "--rtfs", "nope.rtfs"], 5, "FieldInvalid"),
        (["set", "docs", "frobs=1"], 5, "FieldInvalid"),
        (["set", "docs", "status=completed"], 5, "FieldInvalid"),
        (["set", "docs", "revision=1"], 5, "FieldInvalid"),
        (["set", "docs", "goal="], 5, "FieldInvalid"),
        (["set", "docs", "priority=high"], 5, "FieldInvalid"),
        (["set", "docs", "priority"], 5, "FieldInvalid"),
        (["set", "docs", "constraints=5"], 5, "FieldInvalid"),
        (["link", "ship", "Depends On", "docs"], 5, "FieldInvalid"),
        (["link", "ship", "blocks", "ship"], 5, "FieldInvalid"),
        (["link", "ship", "blocks", "docs", "--weight", "nan"], 5, "FieldInvalid"),
        (["link", "docs", "depends_on", "test"], 5, "CycleRefused"),
        (["list", "--status", "dead"], 5, "QueryInvalid"),
        (["list", "--sort", "colour"], 5, "QueryInvalid"),
        (["list", "--limit", "0"], 5, "QueryInvalid"),
        (["list", "--after", "?"], 5, "QueryInvalid"),
        (["list", "--where", '{"goals":1}'], 5, "QueryInvalid"),
        (["list", "--where", "{"], 5, "FieldInvalid"),
        (["list", "--created-after", "soon"], 5, "FieldInvalid"),
        (["list", "--created-after", "2026-01-02T03:04:05"], 5, "FieldInvalid"),
        (["list", "--created-after", "999999w"], 5, "FieldInvalid"),
        (["list", "--store", "frobs:x"], 5, "FieldInvalid"),
        (["list", "--store", "x"], 5, "FieldInvalid"),
        (["import", "nope.jsonl"], 5, "FieldInvalid"),
        (["apply", "nope.jsonl"], 5, "FieldInvalid"),
        (["restore", "nope.gz"], 5, "FieldInvalid"),
        (["log", "--since", "-1"], 5, "QueryInvalid"),
        (["tree", "--depth", "-1"], 5, "QueryInvalid"),
        (["ready", "--limit", "0"], 5, "QueryInvalid"),
    ],
)
def test_each_refusal_has_its_status_and_document(intent: Command, words: list[str], status: int, kind: str) -> None:
    got, error = intent.error(*words)
    assert (got, error["kind"]) == (status, kind)
    assert error.keys() == {"kind", "message", "hint", "fields"}
    assert error["message"]
    assert error["hint"]
    told = intent(*words)
    assert told.status == status
    assert told.out == ""
    first, second = told.err.splitlines()
    assert first.startswith("intent: ")
    assert second.startswith("hint: ")
    assert intent.json("log", "--since", "3")["commits"] == []


def test_reading_never_makes_a_store(bare: Command, tmp_path: Path) -> None:
    for url in ("sqlite:none.db", "file:none"):
        assert bare("list", "--store", url).status in (8, 9)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_is_refused_and_untouched(bare: Command, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database, but long enough to have a header of its own" * 20)
    before = (tmp_path / "x.db").read_bytes()
    for verb in (["list"], ["add", "G"]):
        assert bare(*verb, "--store", "sqlite:x.db").status == 9
    assert (tmp_path / "x.db").read_bytes() == before


def test_a_defect_is_told_without_a_traceback(
    intent: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("intentstore.graph.graph.IntentGraph.count", lambda *_: 1 // 0)
    told = intent("count")
    assert told.status == 1
    assert "ZeroDivisionError" in told.err
    assert "report" in told.err
    assert "Traceback" not in told.err
    assert intent.error("count")[1]["kind"] == "Defect"
    monkeypatch.setenv("INTENTSTORE_DEBUG", "1")
    assert "Traceback" in intent("count").err


def test_an_interrupted_command_says_so(intent: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("intentstore.graph.graph.IntentGraph.count", interrupted)
    assert intent("count").status == 130
    assert intent.error("count")[1]["kind"] == "Interrupted"


def test_a_failed_verify_has_a_status_of_its_own(intent: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from intentstore.graph import Report
    from intentstore.ground.protocol import Problem

    report = Report(ok=False, problems=(Problem("row 7", "is not what was written"),))
    monkeypatch.setattr("intentstore.graph.graph.IntentGraph.verify", lambda _, **__: report)
    told = intent("verify", "--json")
    assert told.status == 9
    assert json.loads(told.out) == {"ok": False, "problems": [{"where": "row 7", "what": "is not what was written"}]}
    assert "row 7" in intent("verify").out


# --- words ---------------------------------------------------------------------------------------------------------


def test_options_stand_before_or_after_the_verb(intent: Command) -> None:
    for words in (["--json", "list"], ["list", "--json"], ["--store", os.environ["INTENTSTORE_URL"], "list", "--json"]):
        assert len(intent(*words).json["intents"]) == 3
    assert intent.json("set", "docs", "priority=1", "--actor=me", "name=x")["intent"]["name"] == "x"
    assert intent("--json", "add", "--priority=-1", "--", "--json").json["intent"]["goal"] == "--json"
    assert intent.json("note", "docs", "-5 degrees")["entry"]["change"]["text"] == "-5 degrees"


def test_an_id_may_be_given_by_its_beginning(intent: Command) -> None:
    intent.json("add", "D", "--id", "docs-2")
    assert intent.json("show", "te")["intents"][0]["id"] == "test"
    assert intent.json("show", "docs")["intents"][0]["id"] == "docs"
    status, error = intent.error("show", "do")
    assert (status, error["kind"], error["fields"]["candidates"]) == (5, "FieldInvalid", ["docs", "docs-2"])


def test_near_misses_are_told(bare: Command) -> None:
    assert "ready" in bare("redy").err
    assert "--status" in bare("list", "--statos", "active").err


def test_quiet_prints_ids_of_what_is_added_and_nothing_else(intent: Command) -> None:
    assert intent("add", "G", "--id", "g", "--quiet").out == "g\n"
    assert intent("list", "--quiet").out == ""
    assert intent("show", "nope", "--quiet").err.startswith("intent: ")


def test_named_graphs_are_apart(bare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    bare.json("--store", "sqlite:g.db", "--graph", "a", "add", "G")
    bare.json("--store", "sqlite:g.db", "--graph", "b", "add", "H")
    monkeypatch.setenv("INTENTSTORE_GRAPH", "b")
    assert [each["goal"] for each in bare.json("--store", "sqlite:g.db", "list")["intents"]] == ["H"]


# --- as another process --------------------------------------------------------------------------------------------


def run(*words: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INTENTSTORE_")}
    env = {**clean, "PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "intentstore", *words],
        cwd=cwd, env=env, input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_as_a_process(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"intent {__version__}\n"
    assert run("init", cwd=tmp_path).returncode == 0
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    id = run("add", "Größe", "--quiet", cwd=below).stdout.strip()
    shown = run("show", id, "--json", cwd=below)
    assert json.loads(shown.stdout)["intents"][0]["goal"] == "Größe"
    assert run("show", "nope", cwd=below).returncode == 3
    assert (tmp_path / ".intents" / "goals.db").exists()


def bash(script: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    script = script.replace("intent ", f"{sys.executable} -m intentstore --store sqlite:g.db ")
    return subprocess.run(
        ["bash", "-c", script], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    lines = "".join(f'{{"do":"put","intent":{{"goal":"{"G" * 2000} {n}"}}}}\n' for n in range(500))
    assert run("--store", "sqlite:g.db", "apply", "-", stdin=lines, cwd=tmp_path).returncode == 0
    for words in ("list --limit 500", "list --limit 500 --json", "export -"):
        done = bash(f"intent {words} | head -c 9 >/dev/null; echo ${{PIPESTATUS[0]}}", cwd=tmp_path)
        assert (done.stdout, done.stderr) == ("0\n", ""), words


def test_closed_streams_are_no_defect(tmp_path: Path) -> None:
    assert bash("intent add G >&-", cwd=tmp_path).returncode == 0
    assert bash("intent list --json >&-", cwd=tmp_path).stderr == ""
    assert bash("intent export - >&-", cwd=tmp_path).returncode == 2
    assert bash("intent apply - <&-", cwd=tmp_path).returncode == 2
    assert bash("intent show nope 2>&-", cwd=tmp_path).returncode == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_output_is_an_error(tmp_path: Path) -> None:
    run("--store", "sqlite:g.db", "add", "G", cwd=tmp_path)
    done = bash("intent list --json >/dev/full", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stderr)["error"]["kind"]) == (8, "Full")
