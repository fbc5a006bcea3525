"""What a person sees: complete help, tables and trees, short ids, relative times, no colour where none is wanted."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from intentstore import Intent, IntentGraph, IntentStatus, open_graph
from intentstore.cli import main
from intentstore.cli.colour import ago, draw
from intentstore.cli.manual import help_of, overview, parser_of
from intentstore.cli.names import Names
from intentstore.cli.options import GLOBALS
from intentstore.cli.parse import _assigned, _sorted, parse
from intentstore.cli.plain import clean, text_of, width
from intentstore.cli.view import _SHAPES
from intentstore.formats import FORMATS
from intentstore.verbs import GROUPS, OUTCOMES, VERBS, Usage, document, outcome, verb
from intentstore.verbs.files import EXPORTS, IMPORTS


@pytest.fixture
def graph() -> Iterator[IntentGraph]:
    with open_graph("memory:") as opened:
        opened.store(Intent(id="ship-it-at-last", goal="Ship [bold]1.0[/bold]\x1b[31m"))
        opened.store(Intent(id="ship-it-again", goal="Größe 大きさ", status=IntentStatus.COMPLETED))
        opened.link("ship-it-again", "is_subgoal_of", "ship-it-at-last")
        yield opened


def drawn(shape: str, result: dict[str, Any], graph: IntentGraph | None = None, *, columns: int = 100) -> str:
    file = io.StringIO()
    draw(shape, result, graph, Console(file=file, width=columns, force_terminal=True, no_color=True, highlight=False))
    return file.getvalue()


# --- declarations --------------------------------------------------------------------------------------------------


def test_every_verb_is_declared_once_where_the_table_says() -> None:
    for module, (_, names) in GROUPS.items():
        declared = [each.name for each in import_module(f"intentstore.verbs.{module}").VERBS]
        assert sorted(declared) == sorted(names)
    contract = "init add show list count set note rm start done fail suspend archive reopen link unlink edges tree path"
    contract += " impact critical-path conflicts cycles infer watch replay"
    contract += " ready blocked search context history log diff undo blame timeline"
    contract += " import export apply backup restore copy verify compact stats"
    contract += " seal prove repair migrate doctor"
    contract += " claim renew release recover defer stale sweep policies"
    contract += " parse fmt merge git-merge convert graph"
    assert sorted(VERBS) == sorted(contract.split())


@pytest.mark.parametrize("name", list(VERBS))
def test_a_verbs_function_takes_what_it_declares(name: str) -> None:
    chosen = verb(name)
    taken = inspect.signature(chosen.run)
    given = {argument.name: argument.default for argument in chosen.arguments}
    taken.bind(None, **given)
    assert chosen.shape in _SHAPES
    assert {each.name for each in chosen.arguments}.isdisjoint(each.name for each in GLOBALS)


@pytest.mark.parametrize("name", list(VERBS))
def test_help_is_complete(name: str) -> None:
    chosen = verb(name)
    text = help_of(chosen)
    for argument in (*chosen.arguments, *GLOBALS):
        assert (argument.metavar if argument.positional else argument.option) in text
        assert argument.help
    assert chosen.about
    assert chosen.examples
    for example in chosen.examples:
        assert f"intent {example}" in text
        assert example.split()[0] == name
    assert f"{name} " in overview()


@pytest.mark.parametrize("name", list(VERBS))
def test_the_examples_can_be_parsed(name: str) -> None:
    import shlex

    for example in verb(name).examples:
        words = shlex.split(example.split(" <")[0])
        asked = parse(words)
        assert asked.verb is not None
        assert asked.verb.name == name


def test_formats_offered_are_those_there_are() -> None:
    assert set(EXPORTS) == {name for name, each in FORMATS.items() if each.write}
    assert set(IMPORTS) == {"auto"} | {name for name, each in FORMATS.items() if each.readable}


WORDS = st.lists(
    st.sampled_from(["a", "b=1", "-", "-5", "--", "x", "both", "in", "--limit", "7", "--limit=7", "--sort", "--json"])
    | st.sampled_from(
        ["--status=a", "--status", "--direction", "--all-levels", "--type", "--weight=1e3", "--weight", ""]
    ),
    max_size=6,
)


@given(name=st.sampled_from(["list", "set", "link", "edges", "ready", "tree"]), words=WORDS)
def test_reading_words_without_argparse_is_reading_them_with_it(name: str, words: list[str]) -> None:
    chosen = verb(name)
    try:
        options, places = _sorted(words, chosen)
    except Usage:
        return
    quick = _assigned(options, places, chosen)
    if quick is None or "--" in places:  # argparse loses a "--" that is meant
        return
    assert vars(parser_of(chosen).parse_args([*options, "--", *places] if places else options)) == quick


def test_every_error_has_an_outcome() -> None:
    from intentstore.ground import errors

    expected = {
        "Missing": 3, "IntentMissing": 3, "EdgeMissing": 3, "DefinitionMissing": 3, "CommitMissing": 3,
        "RevisionMissing": 3, "Conflict": 4, "AlreadyThere": 4, "StaleRevision": 4, "LeaseHeld": 4,
        "Invalid": 5, "FieldInvalid": 5, "TransitionRefused": 5, "CycleRefused": 5, "QueryInvalid": 5,
        "RtfsSyntaxError": 5, "PolicyRefused": 6, "Unsupported": 7, "Unavailable": 8, "Busy": 8, "Full": 8,
        "StorageError": 9, "Corrupt": 9, "TooNew": 9, "ReadOnly": 9, "Closed": 9, "Locked": 9, "IntentStoreError": 1,
    }  # fmt: skip
    found = {
        name: outcome(kind.__new__(kind)).exit
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.IntentStoreError)
    }
    assert found == expected
    assert outcome(RuntimeError()).exit == 1
    assert all(row.http >= 400 and row.mcp < 0 for row in OUTCOMES.values())


def test_an_error_document_holds_plain_data() -> None:
    from intentstore import EdgeType
    from intentstore.ground.errors import Invalid

    body = document(Invalid("m", hint="h", a=(1, EdgeType.BLOCKS), b={1: Path("x")}))["error"]
    assert body == {"kind": "Invalid", "message": "m", "hint": "h", "fields": {"a": [1, "blocks"], "b": {"1": "x"}}}
    assert type(body["fields"]["a"][1]) is str


# --- on a terminal -------------------------------------------------------------------------------------------------


def test_a_table_shows_short_ids_and_no_control_characters(graph: IntentGraph) -> None:
    from intentstore.codec import jsonable

    text = drawn("intents", {"intents": jsonable(graph.list().intents), "next": "CURSOR"}, graph)
    assert "ship-it-at" in text
    assert "ship-it-at-last" not in text
    assert "[bold]1.0[/bold]\\x1b[31m" in text
    assert "more: --after CURSOR" in text
    assert "\x1b[31m" not in text


def test_every_shape_is_painted_both_ways(graph: IntentGraph) -> None:
    from intentstore.codec import jsonable

    intent = jsonable(graph.intent("ship-it-again"))
    edges = jsonable(graph.edges("ship-it-again"))
    entries = jsonable(graph.history("ship-it-again"))
    commits = jsonable(list(graph.entries()))
    leaf = {"id": "b", "goal": "G", "status": "failed", "children": [], "again": True}
    results: dict[str, dict[str, Any]] = {
        "added": {"intent": intent},
        "blocked": {"blocked": [{"intent": intent, "because": [{"kind": "claim", "id": "ana"}]}]},
        "claimed": {"intent": {**intent, "claim": {"owner": "o", "token": 3, "until": "2026-01-02T03:04:05.000000Z"}}},
        "commit": {"commit": commits[0]},
        "commits": {"commits": commits, "next": 3},
        "conflicts": {"conflicts": [{"edge": edges[0], "left": intent, "right": intent}]},
        "critical_path": {"intents": [intent], "length": 1.0},
        "cycles": {"cycles": [{"ids": ["a", "b"], "because": ["a waits for b", "b waits for a"]}]},
        "context": {"text": "## In full\n\n\x1b[31mG\n", "tokens": 3, "included": [], "left_out": 0},
        "count": {"count": 1, "by": {"active": 1}},
        "deleted": {"deleted": ["a"], "edges": 1},
        "differences": {
            "changes": [
                {"how": "added", "after": intent},
                {"how": "removed", "before": edges[0]},
                {
                    "how": "changed",
                    "before": intent,
                    "after": intent,
                    "fields": [
                        {"field": "priority", "before": 1, "after": 2},
                        {"field": "metadata", "key": {"$keyword": "k"}},
                        {"field": "labels", "key": "ci", "after": True},
                    ],
                },
            ]
        },
        "edge": {"edge": {**edges[0], "weight": 0.5}},
        "edges": {"edges": edges},
        "entries": {"entries": entries},
        "entry": {"entry": {**entries[0], "change": {"do": "note", "id": "a", "text": "t"}}},
        "exported": {"intents": 1, "edges": 1},
        "facts": {"a": {"b": 1}, "c": None},
        "health": {"ok": False, "checks": [{"check": "c", "ok": False, "found": "f", "means": "m"}]},
        "happened": {**commits[0], "actor": "ana", "reason": "why"},
        "hits": {"hits": [{"intent": intent, "score": 1.0, "snippet": ""}]},
        "impact": {"impact": [{"intent": intent, "distance": 1, "because": "blocks", "via": "a"}]},
        "imported": {"intents": 1, "edges": 1, "skipped": [{"line": 1, "id": None, "why": "odd"}]},
        "intent": {"intent": intent},
        "intents": {"intents": [intent]},
        "moved": {"intents": [intent]},
        "origins": {"fields": [{"field": "goal", "value": "G", "revision": 1, "commit": "c", "at": entries[0]["at"]}]},
        "git_merged": {"driver": "x", "store": "goals"},
        "merged": {
            "shared": 4,
            "commits": ["c"],
            "intents": 1,
            "edges": 0,
            "definitions": 0,
            "notes": 0,
            "conflicts": [
                {"subject": "intent i", "field": "goal", "ours": "A", "theirs": "B", "kept": "ours", "why": "later"}
            ],
        },
        "parsed": {"intents": [{**intent, "metadata": {"k": 1}}], "edges": edges, "others": 1, "repaired": []},
        "path": {"path": None},
        "policies": {"policies": {"urgent": {"kind": "require", "needs": ["approver"]}}},
        "proposals": {
            "proposals": [{"edge": edges[0], "rule": "mention", "confidence": 0.5, "because": "its text says so"}],
            "stored": 1,
        },
        "receipt": {"intents": 1, "edges": 1, "revision": 1, "seal": "00"},
        "repaired": {"ok": True, "store": "", "intents": 1, "edges": 1, "commits": 1, "problems": []},
        "replay": {
            "replayed": 1,
            "waiting": 0,
            "conflicts": [{"commit": "c", "at": commits[0]["at"], "kind": "AlreadyThere", "message": "it is there"}],
        },
        "report": {"ok": False, "problems": [{"where": "here", "what": "odd"}]},
        "requeued": {"requeued": [intent]},
        "shown": {"intents": [{**intent, "labels": ["a"], "metadata": {"k": 1}}], "edges": edges},
        "stages": {"timeline": [{"status": None, "since": entries[0]["at"], "revision": 1, "commit": "c"}]},
        "store": {"store": "sqlite:x", "graph": "g"},
        "tidied": {"text": "(intent)\n", "changed": False},
        "tree": {"tree": [{**leaf, "id": "a", "children": [leaf]}]},
        "unlinked": {"deleted": 1},
    }
    assert results.keys() == _SHAPES.keys()
    for shape, result in results.items():
        assert drawn(shape, result, graph).strip(), shape
        assert drawn(shape, result, columns=40).strip(), shape
        plain = text_of(shape, result)
        assert plain.strip(), shape
        assert "\x1b" not in plain
        assert "\t" not in plain
    assert "nothing found" in drawn("intents", {"intents": []})
    assert "nothing found" in drawn("tree", {"tree": []})
    assert text_of("intents", {"intents": []}) == ""
    for shape in ("report", "commit"):
        assert text_of(shape, {"ok": True, "problems": [], "commit": None})


def test_a_deep_tree_is_drawn(graph: IntentGraph) -> None:
    nodes: list[dict[str, Any]] = []
    for level in range(200):
        nodes = [{"id": str(level), "goal": "G", "status": "active", "children": nodes}]
    assert drawn("tree", {"tree": nodes}, graph, columns=2000).count("active") == 200


def test_plain_columns_are_aligned_whatever_the_script() -> None:
    result = {"by": {"大": 1, "active": 22}, "count": 23}
    lines = text_of("count", result).splitlines()
    assert {width(line[: line.rindex("  ") + 2]) for line in lines} == {8}


def test_a_terminal_gets_colour_and_a_pipe_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:{tmp_path / 'g.db'}"
    main(["--store", store, "add", "G", "--id", "a-rather-long-id"])
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    capsys.readouterr()
    main(["--store", store, "list"])
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["--store", store, "list"])
    assert "\x1b[36m" not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    main(["--store", store, "list"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "a-rather-long-id" in out


def test_long_work_shows_a_bar_on_a_terminals_stderr_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:{tmp_path / 'g.db'}"
    main(["--store", store, "add", "G"])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    capsys.readouterr()
    assert main(["--store", store, "backup", str(tmp_path / "b.gz")]) == 0
    told = capsys.readouterr()
    assert "backing up" not in told.out
    assert main(["--store", store, "backup", str(tmp_path / "c.gz"), "--json"]) == 0
    assert capsys.readouterr().err == ""


# --- small things --------------------------------------------------------------------------------------------------


@given(st.text())
def test_cleaned_text_prints_on_one_line(text: str) -> None:
    assert clean(text).isprintable()


def test_short_ids_name_one_intent_only() -> None:
    with open_graph("memory:") as graph:
        ids = ["abcdef", "abcdef-long-tail", "abcdef-long-tree", "abcdef-other-one", "zzz-a-lonely-one"]
        for id in ids:
            graph.store(Intent(id=id, goal="G"))
        for many in (False, True):
            names = Names(graph)
            names.learn({"intents": [{"id": id} for id in ids] + [{"id": f"x{n}"} for n in range(200 * many)]})
            for id in ids:
                short = names.short(id)
                assert short in ids or [each for each in ids if each.startswith(short)] == [id]
            assert names.short("zzz-a-lonely-one") == "zzz-a-"
            assert names.short("abcdef") == "abcdef"
        assert names.short("not learned at all") == "not learned at all"


@pytest.mark.parametrize(
    ("then", "text"),
    [
        ("2026-05-04T11:59:58Z", "now"),
        ("2026-05-04T11:59:30Z", "30s ago"),
        ("2026-05-04T11:15:00Z", "45m ago"),
        ("2026-05-02T12:00:00Z", "2d ago"),
        ("2025-01-01T12:00:00Z", "1y ago"),
        ("2026-05-04T15:00:00Z", "in 3h"),
        ("2026-05-04T12:00:30Z", "in 30s"),
        ("", ""),
    ],
)
def test_times_are_told_from_now(then: str, text: str) -> None:
    assert ago(then, datetime(2026, 5, 4, 12, tzinfo=UTC)) == text


def test_the_overview_and_help_need_no_store(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["help"], ["-h", "--json"]):
        assert main(words) == 0
        assert capsys.readouterr().out.strip() == overview().strip()
    for words in (["help", "add"], ["add", "--help"], ["--help", "add"], ["add", "G", "-h"]):
        assert main(words) == 0
        assert capsys.readouterr().out.strip() == help_of(verb("add"))
    assert main(["--version"]) == main(["--quiet", "--version"]) == 0
    assert main(["--quiet"]) == main(["help", "frobnicate"]) == 2


@pytest.mark.parametrize("columns", [60, 100])
def test_a_table_keeps_to_the_screen_and_cuts_goals_only(columns: int) -> None:
    intent = {"id": "a-b", "goal": "word " * 60, "status": "completed", "priority": 5, "updated_at": ""}
    lines = drawn("intents", {"intents": [intent]}, columns=columns).replace("\x1b[0m", "").splitlines()
    assert "PRIORITY" in lines[0]
    assert all(whole in lines[1] for whole in ("a-b", "completed", "…"))
