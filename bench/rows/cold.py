"""A command from nothing: the interpreter's own start against ours with a verb.

Both find their bytecode ready, as after an installation, whatever the environment says of writing it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import intentstore
from intentstore import open_graph

from ..measure import Pair, Row, Side, Target, timed
from ..setting import Kind, Setting

_SOURCE = str(Path(intentstore.__file__).parent.parent)


def _side(words: list[str], bytecode: Path) -> Side:
    environment = {**os.environ, "PYTHONPATH": _SOURCE, "PYTHONPYCACHEPREFIX": str(bytecode)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return timed(partial(_run, words, environment))


def _run(words: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(words[:3])}` gave {done.returncode}: {done.stderr.strip()[-200:]}")


@contextmanager
def _prepare(setting: Setting, words: Callable[[Setting], list[str]]) -> Iterator[Pair]:
    bytecode = setting.folder / "bytecode"
    yield Pair(_side(["-c", "pass"], bytecode), _side(["-m", "intentstore", *words(setting)], bytecode))


def _version(_: Setting) -> list[str]:
    return ["--version"]


def _show(setting: Setting, kind: Kind) -> list[str]:
    url = setting.store(kind, setting.few)
    with open_graph(url) as graph:
        return ["--store", url, "show", graph.list(limit=1).intents[0].id]


ROWS = tuple(
    Row(
        name=f"cold/{name}",
        floor="`python -c pass`",
        ours=said,
        target=Target(5.0),
        prepare=partial(_prepare, words=words),
        rounds=20,
    )
    for name, said, words in (
        ("version", "`intent --version`", _version),
        ("show/file", "`intent show ID`, file store of N/100", partial(_show, kind="file")),
        ("show/sqlite", "`intent show ID`, SQLite store of N/100", partial(_show, kind="sqlite")),
    )
)
