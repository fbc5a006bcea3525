"""What a verb gets from a command line: the graph that is meant, files, standard streams, a progress bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from ..verbs import Progress, Usage
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
        return os.environ.get("INTENTSTORE_GRAPH") or None if self._asked.graph is None else self._asked.graph

    @property
    def graph(self) -> IntentGraph:
        if self.opened is None:
            assert self._asked.verb is not None
            fallback = self._asked.fallback or os.environ.get("INTENTSTORE_FALLBACK") or None
            opened = self._open(self._asked.store, create=self._asked.verb.writes, fallback=fallback)
            self.opened = opened if self._asked.as_of is None else self._past(opened, self._asked.as_of)
        return self.opened

    def _past(self, graph: IntentGraph, as_of: str) -> IntentGraph:
        """Returns the graph as it was: the one place where the past comes in, so every reading verb has it."""
        from ..verbs.reading import read_point

        return self._stack.enter_context(graph.at(read_point(as_of, "as_of")))

    def open(self, where: str | None, *, create: bool) -> IntentGraph:
        return self._open(where, create=create, fallback=None)

    def _open(self, where: str | None, *, create: bool, fallback: str | None) -> IntentGraph:
        """Opens a store for a reading verb read-only: reading leaves no trace, and never makes an empty store."""
        from ..locate import located
        from ..opening import open_graph

        if where == "":
            raise Usage("the store's URL is empty", hint="use sqlite:PATH or file:DIR")
        found = located(where)
        if fallback is not None:  # every reply says it, in words of its own
            import warnings

            from ..ground.errors import DegradedWarning

            warnings.simplefilter("ignore", DegradedWarning)
        opened = open_graph(
            found.store,
            graph=found.graph if self._asked.graph is None else self._asked.graph,
            actor=os.environ.get("INTENTSTORE_ACTOR") or None if self._asked.actor is None else self._asked.actor,
            create=create,
            read_only=not create,
            fallback=fallback,
        )
        self._stack.enter_context(opened)
        return opened if self._asked.approver is None else opened.acting(approver=self._asked.approver)

    def degraded(self) -> dict[str, Any] | None:
        """Returns how the named store does while it is away; None when it is there, or has no fallback."""
        from ..ground.protocol import FallsBack

        if self.opened is None or not isinstance(self.opened.storage, FallsBack):
            return None
        from ..codec import jsonable

        found: dict[str, Any] | None = jsonable(self.opened.degraded)
        return found

    def source(self, name: str) -> str | BinaryIO:
        if name != "-":
            return name
        if sys.stdin is None:
            raise Usage("standard input is closed", hint="name a file")
        return sys.stdin.buffer

    def target(self, name: str) -> str | BinaryIO:
        if name != "-":
            return name
        if sys.stdout is None:
            raise Usage("standard output is closed", hint="name a file")
        self.stdout_taken = True
        return sys.stdout.buffer

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress | None]:
        if self._asked.json or self._asked.quiet or sys.stderr is None or not sys.stderr.isatty():
            yield None
            return
        from .progress import bar

        with bar(what) as report:
            yield report
