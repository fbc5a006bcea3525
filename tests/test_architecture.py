"""The house stands: imports point down, files stay small, every module says what it owns, locks name no address."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "intentstore"


def layers(container: str) -> tuple[tuple[str, ...], ...]:
    """Returns the floors that pyproject.toml draws for import-linter, bottom first: the one place that names them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (drawn,) = [each["layers"] for each in contracts if each.get("containers") == [container]]
    return tuple(tuple(re.findall(r"\w+", layer)) for layer in reversed(drawn))


# The front door ('') reads the floors below the interfaces, and nothing reads it.
FLOORS = (("_version",), *layers("intentstore"), ("__main__", ""))
SHELVES = layers("intentstore.storage")
LIMIT = 400
WIDE = {"graph/graph.py": 1_000}
"""The public face: a few delegating lines a verb, in one place for whoever looks for a verb."""

Import = tuple[str, int, bool]
"""What is imported (dotted, within intentstore), at which line, and whether only for the type checker."""


def modules(source: Path) -> dict[str, Path]:
    """Returns every module under the package by its dotted name below `intentstore`; the front door is ''."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    """Yields what a module imports from the house, wherever in it the import stands."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    for node, typing_only in _nodes(ast.parse(path.read_text()), typing_only=False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "intentstore":
                    yield ".".join(alias.name.split(".")[1:]), node.lineno, typing_only
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
            elif node.module and node.module.split(".")[0] == "intentstore":
                base = []
            else:
                continue
            written = (node.module or "").split(".") if node.level else (node.module or "").split(".")[1:]
            below = [*base, *filter(None, written)]
            for alias in node.names:
                whole = ".".join([*below, alias.name])
                yield (whole if whole in known else ".".join(below)), node.lineno, typing_only


def _nodes(tree: ast.AST, *, typing_only: bool) -> Iterator[tuple[ast.AST, bool]]:
    for node in ast.iter_child_nodes(tree):
        yield node, typing_only
        inside = typing_only or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        yield from _nodes(node, typing_only=inside)


def floor_of(name: str, floors: tuple[tuple[str, ...], ...]) -> int | None:
    return next((at for at, names in enumerate(floors) if name in names), None)


def refusals(source: Path) -> list[str]:
    """Returns every import that points upward or sideways, every cycle, every module without a floor."""
    known = modules(source)
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        for target, line, typing_only in imports(name, path, known):
            where = f"{path.relative_to(source)}:{line}"
            if not typing_only and target != name:
                graph.setdefault(name, set()).add(target)
            found += [f"{where}: {why}" for why in _refused(name, target)]
    return found + [f"cycle: {' -> '.join(cycle)}" for cycle in _cycles(graph)]


def _refused(name: str, target: str) -> Iterator[str]:
    mine, theirs = name.split(".", maxsplit=1)[0], target.split(".", maxsplit=1)[0]
    if mine == theirs:
        if mine == "storage" and "." in name and "." in target:
            yield from _pointing(name.split(".")[1], target.split(".")[1], SHELVES, "storage.")
        return
    yield from _pointing(mine, theirs, FLOORS, "")


def _pointing(mine: str, theirs: str, floors: tuple[tuple[str, ...], ...], prefix: str) -> Iterator[str]:
    here, there = floor_of(mine, floors), floor_of(theirs, floors)
    if here is None or there is None:
        yield f"{prefix}{mine if here is None else theirs} has no floor; give it one in pyproject.toml"
    elif mine != theirs and there > here:
        yield f"{prefix}{mine} imports {prefix}{theirs}, which stands above it"
    elif mine != theirs and there == here:
        yield f"{prefix}{mine} imports {prefix}{theirs}, which stands beside it"


def _cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Returns one path for each import that closes a cycle at run time."""
    done: set[str] = set()
    found: list[list[str]] = []

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, [*path, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


# --- the claims ---


def test_imports_point_down_only() -> None:
    assert refusals(SOURCE) == []


@pytest.mark.parametrize(
    ("path", "line", "why"),
    [
        ("ground/query.py", "from ..codec import encode_intent", "codec, which stands above"),
        ("ground/types.py", "import intentstore.storage.disk", "storage, which stands above"),
        ("ground/types.py", "from intentstore import open_graph", "intentstore itself"),
        ("codec/body.py", "def late():\n    from ..storage.index import Index", "storage, which stands above"),
        ("storage/memory.py", "from .file import FileStorage", "storage.file, which stands beside"),
        ("storage/ledger.py", "from .memory import MemoryStorage", "storage.memory, which stands above"),
        ("storage/disk.py", "from . import index", "storage.index, which stands above"),
        ("storage/file.py", "from .choose import choose", "storage.choose, which stands above"),
        ("storage/file.py", "from ..graph import IntentGraph", "graph, which stands above"),
        ("graph/ready.py", "from ..opening import open_graph", "opening, which stands above"),
        ("graph/ready.py", "from ..testing import StorageSuite", "testing, which stands above"),
        ("opening.py", "from .cli import main", "cli, which stands above"),
        ("newcomer.py", "from .ground import types", "newcomer has no floor"),
        ("codec/wire.py", "from .body import encode_intent", "codec.wire -> codec.body"),
    ],
)
def test_a_planted_import_is_refused(tmp_path: Path, path: str, line: str, why: str) -> None:
    planted = tmp_path / "intentstore"
    shutil.copytree(SOURCE, planted, ignore=shutil.ignore_patterns("__pycache__"))
    with (planted / path).open("a") as file:
        file.write(f"\n{line}\n")
    found = refusals(planted)
    assert any(why.replace("intentstore itself", "imports , which stands above") in each for each in found), found


def test_import_linter_agrees() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if command is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run([command, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [str(path.relative_to(SOURCE)) for path in modules(SOURCE).values()])
def test_a_module_is_small_and_says_what_it_owns(path: str) -> None:
    text = (SOURCE / path).read_text()
    assert text.count("\n") <= WIDE.get(path, LIMIT), "a noun is missing: split it"
    assert (ast.get_docstring(ast.parse(text)) or "").strip(), "open it with what it owns and what it will not know"


def test_no_recursion_limit_is_moved_and_nothing_is_unpickled() -> None:
    for path in modules(SOURCE).values():
        found = re.search(
            r"\bsetrecursionlimit\b|\bpickle\.loads?\b|\bextractall\b|\beval\(|\bexec\(", path.read_text()
        )
        assert found is None, f"{path.name}: {found}"


def test_the_locks_name_no_address() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        found = re.search(r"https?:|file:|--index|--extra-index|--find-links", path.read_text())
        assert found is None, f"{path.name} holds an address: {found}"


def test_the_example_storage_stays_readable() -> None:
    for path in (ROOT / "docs" / "examples").glob("*.py"):
        assert path.read_text().count("\n") <= 200
