"""A progress bar on standard error, on a terminal only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from ..verbs import Progress
from .plain import clean


@contextmanager
def bar(what: str) -> Iterator[Progress]:
    """Shows how far the work is while the block lasts; it leaves nothing behind."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(clean(what), total=None)

        def move(done: int, total: int | None) -> None:
            shown.update(task, completed=done, total=total)

        yield move
