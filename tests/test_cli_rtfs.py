"""The `intent` command on RTFS and CCOS: parse, fmt, add --rtfs, import, export; where it shows what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import ccos_files as ccos
from tests.test_cli import Command

TEXT = """; goals
(intent ship goal "Ship 1.0" :team "core") (plan "p" (f))
(edge :DependsOn "ship" "docs")
"""


@pytest.fixture
def intent(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTENTSTORE_URL", "sqlite:goals.db")
    return Command(capsys, monkeypatch)


# --- parse ---


def test_parse_shows_what_a_text_holds_and_opens_no_store(intent: Command, tmp_path: Path) -> None:
    Path("goals.rtfs").write_text(TEXT)
    found = intent.json("parse", "goals.rtfs")
    assert found.keys() == {"intents", "edges", "others"}
    (one,) = found["intents"]
    assert (one["name"], one["goal"], one["metadata"]) == ("ship", "Ship 1.0", {"rtfs.team": "core"})
    assert one["rtfs_source"] == '(intent ship goal "Ship 1.0" :team "core")'
    assert [(edge["source"], edge["type"], edge["target"]) for edge in found["edges"]] == [
        ("ship", "depends_on", "docs")
    ]
    assert found["others"] == 1
    told = intent("parse", "goals.rtfs").out
    assert "Ship 1.0" in told
    assert "1 intents, 1 edges, 1 other forms" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["goals.rtfs"]


def test_parse_is_strict_unless_asked(intent: Command) -> None:
    written = 'Sure!\n```rtfs\n(intent "a", goal: "A", "priority": null)\n```\nDone.\n'
    assert intent.error("parse", "-", stdin='(intent "a", :goal "A")')[0] == 5
    found = intent.json("parse", "-", "--lenient", stdin=written)
    assert [each["goal"] for each in found["intents"]] == ["A"]
    assert {"line": 3, "column": 12, "what": "a comma read as a space", "times": 2} in found["repaired"]
    assert "a comma read as a space" in intent("parse", "-", "--lenient", stdin=written).out


def test_an_error_shows_the_place_with_a_mark(intent: Command) -> None:
    told = intent("parse", "-", stdin='(intent "a"\n  :goal "A"\n  :x\t\\bad)')
    assert told.status == 5
    lines = told.err.splitlines()
    assert lines[0].startswith("intent: line 3, column 6: ")
    assert lines[1] == "    :x \\bad)"
    assert lines[2] == "       ^"
    assert lines[3].startswith("hint: ")
    status, error = intent.error("parse", "-", stdin="(")
    assert (status, error["kind"], error["fields"]["line"]) == (5, "RtfsSyntaxError", 1)


@pytest.mark.parametrize("verb", ["parse", "fmt"])
def test_files_that_cannot_be_read(intent: Command, verb: str) -> None:
    Path("latin").write_bytes(b'(intent "\xff" :goal "A")')
    Path("marked").write_bytes(b'\xef\xbb\xbf(intent "a" :goal "A")')
    for file in ("none", ".", "latin", "marked"):
        assert intent.error(verb, file)[0] == 5, file


# --- fmt ---


def test_fmt_prints_the_text_laid_out(intent: Command) -> None:
    neat = (
        '; goals\n(intent "ship" :goal "Ship 1.0" :team "core")\n(plan "p" (f))\n'
        '(edge {:from "ship" :to "docs" :type "DependsOn"})\n'
    )
    assert intent("fmt", "-", stdin=TEXT).out == neat
    assert intent("fmt", "-", stdin=neat).out == neat
    assert intent.json("fmt", "-", stdin=TEXT) == {"text": neat, "changed": True}
    assert intent.json("fmt", "-", stdin=neat) == {"text": neat, "changed": False}
    Path("goals.rtfs").write_text(TEXT)
    assert intent("fmt", "goals.rtfs", "--write").out == "goals.rtfs was laid out\n"
    assert Path("goals.rtfs").read_text() == neat
    before = Path("goals.rtfs").stat().st_mtime_ns
    assert intent.json("fmt", "goals.rtfs", "--write") == {"file": "goals.rtfs", "changed": False}
    assert Path("goals.rtfs").stat().st_mtime_ns == before
    assert intent.error("fmt", "-", "--write", stdin=TEXT)[0] == 5


def test_fmt_leaves_a_file_it_cannot_read(intent: Command) -> None:
    Path("goals.rtfs").write_text("(intent")
    assert intent.error("fmt", "goals.rtfs", "--write")[0] == 5
    assert Path("goals.rtfs").read_text() == "(intent"


# --- add ---


def test_add_takes_what_a_model_wrote_and_says_what_it_repaired(intent: Command) -> None:
    form = '(intent "ship",\n  :goal "Ship 1.0",\n  :constraints {:max-cost 25.0, :region null}\n  :priority "high")'
    written = f"Here:\n```\n{form}\n```"
    found = intent.json("add", "--rtfs", "-", stdin=written)
    one = found["intent"]
    assert (one["name"], one["goal"], one["priority"]) == ("ship", "Ship 1.0", 75)
    assert one["constraints"] == {"max-cost": 25.0, "region": None}
    assert one["rtfs_source"] == written
    assert [each["what"] for each in found["repaired"]] == [
        "took what stands in the code fence",
        "a comma read as a space",
        "null read as nil",
    ]
    told = intent("add", "--rtfs", "-", stdin=written).out
    assert "Ship 1.0" in told
    assert "null read as nil" in told
    assert intent("add", "--rtfs", "-", "--quiet", stdin=written).out.count("\n") == 1


def test_goal_and_options_count_before_the_text(intent: Command) -> None:
    parent = intent.json("add", "Parent")["intent"]["id"]
    text = f'(intent "a" :goal "A" :priority 3 :labels ["x"] :constraints {{:k 1 :l 2}} :parent-intent "{parent}")'
    words = ("--priority", "8", "--label", "y", "--constraint", "k=5", "--name", "b", "--id", "i", "--success", "done")
    one = intent.json("add", "B", "--rtfs", "-", *words, stdin=text)["intent"]
    assert (one["id"], one["name"], one["goal"], one["priority"], one["labels"]) == ("i", "b", "B", 8, ["x", "y"])
    assert (one["constraints"], one["success_criteria"]) == ({"k": 5, "l": 2}, "done")
    assert "metadata" not in one or one["metadata"] == {}
    assert [edge["target"] for edge in intent.json("edges", "i")["edges"]] == [parent]


def test_kin_that_is_unknown_stays_named(intent: Command) -> None:
    text = '(intent "a" :goal "A" :parent-intent "nobody" :child-intents ["b" 5])'
    one = intent.json("add", "--rtfs", "-", stdin=text)["intent"]
    assert one["metadata"] == {"rtfs.parent-intent": "nobody", "rtfs.child-intents": ["b", 5]}
    child = intent.json("add", "Child", "--id", "b")["intent"]["id"]
    above = intent.json("add", "--rtfs", "-", "--id", "c", stdin='(intent "c" :goal "C" :child-intents ["b"])')
    assert "metadata" not in above["intent"] or not above["intent"]["metadata"]
    assert [(e["source"], e["target"]) for e in intent.json("edges", "c")["edges"]] == [(child, "c")]


@pytest.mark.parametrize(
    ("words", "stdin", "status"),
    [
        (["add"], "", 2),
        (["add", "--rtfs", "-"], "", 5),
        (["add", "--rtfs", "-"], "no intent at all", 5),
        (["add", "--rtfs", "-"], '(intent "a")', 5),
        (["add", "--rtfs", "-"], '(intent "a" :goal "A") (intent "b" :goal "B")', 5),
        (["add", "--rtfs", "-"], '(intent "a" :goal "A") (edge :Blocks "a" "b")', 5),
        (["add", "--rtfs", "none"], "", 5),
    ],
)
def test_an_add_that_cannot_be(intent: Command, words: list[str], stdin: str, status: int) -> None:
    intent.json("init")
    assert intent.error(*words, stdin=stdin)[0] == status
    assert intent.json("count")["count"] == 0


# --- import and export ---


def test_ccos_files_come_in_and_go_out(intent: Command) -> None:
    document = ccos.backup(
        [ccos.record("a", child_intents=["b"]), ccos.record("b", parent_intent="gone")],
        [ccos.edge("b", "IsSubgoalOf", "a")],
    )
    Path("backup.json").write_bytes(ccos.written(document))
    found = intent.json("import", "backup.json")
    assert (found["intents"], found["edges"], [each["id"] for each in found["skipped"]]) == (2, 1, ["b"])
    assert intent.json("export", "out.json", "--format", "ccos") == {"intents": 2, "edges": 1}
    assert json.loads(Path("out.json").read_text()) == document
    assert json.loads(intent("export", "-", "--format", "ccos", "--ccos-version", "1.0").out)["version"] == "1.0"
    assert json.loads(intent("export", "-", "--format", "ccos", "--root", "b").out)["root_intent_id"] == "b"
    assert intent.error("export", "-", "--format", "jsonl", "--root", "b")[0] == 5
    assert intent.error("export", "-", "--format", "ccos", "--root", "z")[0] == 3


def test_archives_and_snapshots_come_in(intent: Command, tmp_path: Path) -> None:
    ccos.archive(tmp_path / "archive", [ccos.record("a")], [])
    assert intent.json("import", "archive", "--format", "ccos")["intents"] == 1
    assert intent.json("export", "snapshot.rtfs", "--format", "rtfs") == {"intents": 1, "edges": 0}
    assert intent.json("import", "snapshot.rtfs", "--if-exists", "keep")["intents"] == 0
    exported: Any = intent("export", "-", "--format", "rtfs").out
    assert exported == Path("snapshot.rtfs").read_text()
    assert intent("fmt", "snapshot.rtfs").status == 0
    status, error = intent.error("import", ".")
    assert (status, "directory" in error["message"]) == (5, True)
