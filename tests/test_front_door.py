"""Claims about `import intentstore`: every name is there, none is fetched before it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import intentstore
from intentstore import Intent, open_graph
from intentstore.ground import errors


@pytest.mark.parametrize("name", intentstore.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(intentstore, name) is not None
    assert name in dir(intentstore)


def test_every_error_of_the_tree_is_public() -> None:
    tree = {name for name, thing in vars(errors).items() if isinstance(thing, type) and issubclass(thing, Exception)}
    assert tree <= set(intentstore.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = intentstore.nonsense


def test_the_version_is_told_without_a_graph() -> None:
    asked = "import sys, intentstore; intentstore.__version__; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert "'intentstore._version'" in loaded
    for heavy in ("msgspec", "apsw", "rich", "intentstore.graph", "intentstore.storage"):
        assert f"'{heavy}'" not in loaded


_LEFT_OUT = {
    "--version": (
        "msgspec",
        "apsw",
        "psycopg",
        "rich",
        "asyncio",
        "hashlib",
        "intentstore.graph",
        "intentstore.storage",
    ),
    "show": (
        "psycopg",
        "rich",
        "asyncio",
        "numpy",
        "concurrent.futures",
        "intentstore.storage.postgres",
        "intentstore.rtfs",
    ),
}


@pytest.mark.parametrize("verb", _LEFT_OUT)
def test_a_command_loads_only_what_it_uses(verb: str, tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/goals.db"
    with open_graph(url) as graph:
        graph.store(Intent(id="a", goal="A"))
    words = ["--version"] if verb == "--version" else ["--store", url, "show", "a"]
    asked = "import sys, runpy, atexit; sys.argv[1:] = %r; atexit.register(lambda: print(sorted(sys.modules)));"
    asked = f"{asked % words} runpy.run_module('intentstore', run_name='__main__')"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}  # it loads more
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, env=plain)
    loaded = done.stdout
    listed = loaded.splitlines()[-1]
    assert "'intentstore.cli'" in listed or "'intentstore._version'" in listed
    assert [heavy for heavy in _LEFT_OUT[verb] if f"'{heavy}'" in listed] == []


def test_the_environment_names_what_is_left_at_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTSTORE_URL", f"file:{tmp_path}/goals")
    monkeypatch.setenv("INTENTSTORE_GRAPH", "work")
    monkeypatch.setenv("INTENTSTORE_ACTOR", "planner")
    with open_graph() as graph:
        graph.store(Intent(id="a", goal="A"))
        assert (graph.name, graph.actor) == ("work", "planner")
    with open_graph(graph="other", actor="me") as graph:
        assert (graph.name, graph.actor, graph.get("a")) == ("other", "me", None)
    with open_graph(f"file:{tmp_path}/goals") as graph:  # named outright: the environment has no say
        assert (graph.name, graph.actor) == ("default", None)
