"""Claims about `import intentstore`: every name is there, none is fetched before it is asked for."""

from __future__ import annotations

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
