"""What a verb gets from a command line: the graph that is meant, files, standard streams, a progress bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from ..ground.errors import FieldInvalid, IntentStoreError, Unavailable
from ..verbs import Progress
from .parse import Asked

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

    def reads(self, name: str) -> BinaryIO:
        if name == "-":
            return sys.stdin.buffer
        try:
            return self._stack.enter_context(Path(name).open("rb"))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise FieldInvalid("file", f"{name} cannot be read: {why}", hint="name a file that can be read") from None

    @contextmanager
    def writes(self, name: str) -> Iterator[BinaryIO]:
        if name == "-":
            self.stdout_taken = True
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        path = Path(name)
        special = path.exists() and not path.is_file()
        target = path if special else path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with target.open("wb") as file:
                yield file
                file.flush()
                if not special:
                    os.fsync(file.fileno())
            if not special:
                target.replace(path)
        except (OSError, ValueError) as error:
            if isinstance(error, IntentStoreError | BrokenPipeError):
                raise
            why = getattr(error, "strerror", None) or str(error)
            raise Unavailable(f"{name} cannot be written: {why}", hint="name a file that can be written") from None
        finally:
            if not special:
                target.unlink(missing_ok=True)

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress | None]:
        if self._asked.json or self._asked.quiet or not sys.stderr.isatty():
            yield None
            return
        from .progress import bar

        with bar(what) as report:
            yield report
