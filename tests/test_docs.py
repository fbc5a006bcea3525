"""Every Python block in the README and the docs runs, and every docstring's example."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import intentstore
from tests.postgres_server import new_database

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(page, match.group(1)) for page in PAGES for match in BLOCK.finditer(page.read_text())]
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(intentstore.__path__, "intentstore.")
    if not found.name.endswith("__main__")
)


@pytest.mark.parametrize(("page", "code"), BLOCKS, ids=[page.name for page, _ in BLOCKS])
def test_a_code_block_of_the_docs_runs(page: Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "GOALS_URL" in code:
        monkeypatch.setenv("GOALS_URL", new_database())
    exec(compile(code, str(page), "exec"), {"__name__": "docs"})  # the page's own words


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"
