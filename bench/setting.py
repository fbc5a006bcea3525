"""What every row shares: the size, a folder of its own, and stores filled once and used by several rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, TypeVar

from intentstore import IntentGraph, open_graph
from tests import postgres_server

from . import floors
from .samples import intents

Kind = Literal["memory", "file", "sqlite"]
T = TypeVar("T")
KINDS: tuple[Kind, ...] = ("memory", "file", "sqlite")
_TOGETHER = 1000


class Setting:
    """A run: ``n`` intents in the large stores, a hundredth of them in the small ones."""

    def __init__(self, folder: Path, *, n: int = 100_000, rounds: int = 200, seconds: float = 60.0) -> None:
        self.folder, self.n, self.rounds, self.seconds = folder, n, rounds, seconds
        self.kept = ExitStack()
        self._urls: dict[tuple[Kind, int], str] = {}
        self._floors: dict[int, Path] = {}
        self._made: dict[str, Any] = {}
        self._fresh = 0
        self._server: postgres_server.Server | None = None
        self._databases: dict[tuple[str, int], str] = {}

    @property
    def few(self) -> int:
        """How many intents the small stores hold."""
        return max(1, self.n // 100)

    def fresh(self, name: str) -> Path:
        """Returns a path under which nothing stands."""
        self._fresh += 1
        return self.folder / f"{self._fresh}-{name}"

    def url(self, kind: Kind, path: Path) -> str:
        """Returns the URL of a store of this kind there."""
        return f"{kind}:{path}"

    def store(self, kind: Kind, n: int) -> str:
        """Returns the URL of a store that holds the first ``n`` sample intents (and what rows added since)."""
        if (kind, n) not in self._urls:
            url = self.url(kind, self.fresh(f"{kind}-{n}"))
            graph = open_graph(url)
            fill(graph, n)
            if kind == "memory":
                self.kept.callback(graph.close)
            else:
                graph.close()
            self._urls[kind, n] = url
        return self._urls[kind, n]

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Returns what was made under this name before, or makes it."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    # --- PostgreSQL ---

    def database(self) -> str:
        """Returns the URL of a new database on a server that syncs: its own, or in a test run that of all tests."""
        if postgres_server.HANDED in os.environ or postgres_server.GIVEN in os.environ:
            return postgres_server.new_database()
        if self._server is None:
            self._server = postgres_server.Server(()).start()
            self.kept.callback(self._server.remove)
        self._fresh += 1
        name = f"bench{self._fresh}"
        with self._server.connect() as admin:
            admin.execute(f"CREATE DATABASE {name}")
        return self._server.url(name)

    def filled_database(self, n: int) -> str:
        """Returns the URL of a database in which a graph holds the first ``n`` sample intents, and so does a floor."""
        if ("both", n) not in self._databases:
            url = self._databases["both", n] = self.database()
            with open_graph(url) as graph:
                fill(graph, n)
                graph.compact()
            with floors.open_postgres(url) as connection:
                floors.copy_all(connection, list(intents(n)))
                connection.execute("ANALYZE floor")
        return self._databases["both", n]

    # --- floors ---

    def floor_database(self, n: int) -> Path:
        """Returns the path of an SQLite floor that holds the same ``n`` records (and what rows added since)."""
        if n in self._floors:
            return self._floors[n]
        path = self._floors[n] = self.fresh(f"floor-{n}.db")
        connection = floors.open_database(path)
        floors.insert_all(connection, list(intents(n)))
        connection.close()
        return path


def fill(graph: IntentGraph, n: int) -> None:
    """Stores the first ``n`` sample intents, a thousand a commit."""
    block = []
    for intent in intents(n):
        block.append(intent)
        if len(block) == _TOGETHER:
            _store(graph, block)
            block = []
    if block:
        _store(graph, block)


def _store(graph: IntentGraph, block: list[floors.Sample]) -> None:
    with graph.transaction() as tx:
        for intent in block:
            tx.store(intent)
