"""Owns how the story looks: numbered scenes, wrapped text, colour only on a terminal that wants it.

Knows nothing of graphs. Rich is imported only when it will be used.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

MARKS = {"completed": "✓", "executing": "▶", "active": "·", "suspended": "‖", "failed": "✗", "archived": "-"}
_MOST_COLUMNS = 110


class Terminal:
    """Writes the story to standard output; plain text unless that is a terminal and NO_COLOR is unset.

    ``first`` is the number of the first scene, so that a second process goes on counting.
    """

    def __init__(self, first: int = 1) -> None:
        self._next = first
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without ✓ still gets the story
        self.width = min(shutil.get_terminal_size((100, 24)).columns, _MOST_COLUMNS)
        self._console = _console(self.width)

    def scene(self, title: str) -> int:
        """Opens the next scene and returns its number."""
        number, self._next = self._next, self._next + 1
        self.say()
        self.say(f"{number}. {title}", style="bold cyan")
        self.say("─" * min(self.width, len(title) + 3), style="cyan")
        return number

    def say(self, text: str = "", *, style: str = "") -> None:
        """Writes one line, cut at the width unless it is a path or a result that must be read whole."""
        if self._console is None:
            print(text, flush=True)
        else:
            self._console.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def row(self, text: str, *, style: str = "") -> None:
        """Writes one indented line, shortened to fit."""
        self.say(shorten("   " + text, self.width), style=style)

    def good(self, text: str) -> None:
        """Writes something that was proven."""
        self.say("   " + text, style="green")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Writes aligned columns: the first to the left, numbers to the right."""
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[at]) for row in [list(head), *cells]) for at in range(len(head))]
        for number, row in enumerate([list(head), *cells]):
            first, *rest = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            line = "   ".join([first.strip().ljust(widths[0]), *rest])
            self.row(line, style="" if number else "bold")


def shorten(text: str, width: int) -> str:
    """Returns the text if it fits, else its beginning and an ellipsis."""
    return text if len(text) <= width else text[: width - 1] + "…"


def complain(text: str) -> None:
    """Writes one line to standard error, after everything said so far."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def unheard() -> int:
    """Lets the process end in silence when nobody reads on (``| head``); returns the exit status for that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141  # what a shell reports for SIGPIPE


def _console(width: int) -> Any:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return None
    from rich.console import Console

    return Console(width=width)
