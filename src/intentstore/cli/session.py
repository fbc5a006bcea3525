"""What a verb gets from a command line: the graph that is meant, files, standard streams, a progress bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from ..verbs import Progress
from .options import Asked

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph


class CommandSession:
    """Opens things as a verb asks for them, and closes them all at its end."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._stack = ExitStack()
        self.opened: IntentGraph | None = None
        self.stdout_taken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def where(self) -> str | None:
        return self._asked.store

    @property
    def graph_name(self) -> str | None:
        return self._asked.graph or os.environ.get("INTENTSTORE_GRAPH") or None

    @property
    def graph(self) -> IntentGraph:
        if self.opened is None:
            assert self._asked.verb is not None
            self.opened = self.open(self._asked.store, create=self._asked.verb.writes)
        return self.opened

    def open(self, where: str | None, *, create: bool) -> IntentGraph:
        """Opens a store for a reading verb read-only: reading leaves no trace, and never makes an empty store."""
        from ..locate import located
        from ..opening import open_graph

        found = located(where)
        opened = open_graph(
            found.store,
            graph=self._asked.graph or found.graph,
            actor=self._asked.actor or os.environ.get("INTENTSTORE_ACTOR") or None,
            create=create,
            read_only=not create,
        )
        return self._stack.enter_context(opened)

    def source(self, name: str) -> str | BinaryIO:
        return sys.stdin.buffer if name == "-" else name

    def target(self, name: str) -> str | BinaryIO:
        if name != "-":
            return name
        self.stdout_taken = True
        return sys.stdout.buffer

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress | None]:
        if self._asked.json or self._asked.quiet or not sys.stderr.isatty():
            yield None
            return
        from .progress import bar

        with bar(what) as report:
            yield report
