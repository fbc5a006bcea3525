"""What there is to paint: tables, cards, trees, lines, prose and texts, as data without colour or width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Row = tuple[str, ...]
Short = Callable[[str], str]


class Table(NamedTuple):
    """Rows under headings; the column named by ``wide`` takes what room is left."""

    headings: Row
    rows: Sequence[Row]
    wide: str = "GOAL"
    nothing: str = "nothing found"


class Card(NamedTuple):
    """One thing with its facts, a line each."""

    title: str
    facts: list[tuple[str, str]]


class Tree(NamedTuple):
    """Nodes of (id, goal, status, children, again)."""

    nodes: list[dict[str, Any]]


class Line(NamedTuple):
    """A sentence. ``good`` is False for bad news."""

    text: str
    good: bool = True


class Prose(NamedTuple):
    """A text of several lines, to be read as it stands."""

    text: str


class Verbatim(NamedTuple):
    """A text that is printed as it is, line ends included."""

    text: str


Block = Table | Card | Tree | Line | Prose | Verbatim
