"""Paints blocks on a terminal with rich: colours by status, short ids, relative times, trees. NO_COLOR is honoured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, assert_never

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text
from rich.tree import Tree as RichTree

from .blocks import Card, Line, Prose, Table, Tree, Verbatim
from .names import Names
from .plain import clean, width
from .view import blocks

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph

STATUS = {
    "active": "cyan",
    "executing": "bold yellow",
    "completed": "green",
    "failed": "bold red",
    "suspended": "magenta",
    "archived": "dim",
}
_NUMBERS = frozenset({"PRIORITY", "REVISION", "SCORE", "WEIGHT", "INTENTS", "LINE"})
_IDS = frozenset({"ID", "SOURCE", "TARGET"})
_FOLDING = frozenset({"BECAUSE", "REASON"})
GAP = 2
LEAST = 12
"""What a column that gives way keeps at least."""


def draw(shape: str, result: Mapping[str, Any], graph: IntentGraph | None, console: Console | None = None) -> None:
    """Prints the result on the terminal."""
    console = console or Console(highlight=False)
    names = Names(graph)
    names.learn(result)
    for block in blocks(shape, result, names.short, ago):
        match block:
            case Table():
                _table(block, console)
            case Card():
                _card(block, console)
            case Tree():
                _trees(block, names, console)
            case Prose():
                console.print(Text("\n".join(map(clean, block.text.rstrip("\n").split("\n")))), soft_wrap=True)
            case Line():
                console.print(Text(clean(block.text), style="" if block.good else "bold red"), soft_wrap=True)
            case Verbatim():
                for line in block.text.splitlines():
                    console.print(Text(clean(line)), soft_wrap=True)
            case _:
                assert_never(block)


def ago(text: str, now: datetime | None = None) -> str:
    """Returns how long ago an RFC 3339 time was, in the largest unit that fits.

    >>> ago("2026-05-04T10:00:00Z", datetime(2026, 5, 4, 12, 30, tzinfo=UTC))
    '2h ago'
    """
    if not text:
        return ""
    seconds = int(((now or datetime.now(UTC)) - datetime.fromisoformat(text)).total_seconds())
    size = abs(seconds)
    if size < 5:
        return "now"
    for unit, length in (("y", 31_557_600), ("mo", 2_629_800), ("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60)):
        if size >= length:
            return f"{size // length}{unit} ago" if seconds > 0 else f"in {size // length}{unit}"
    return f"{size}s ago" if seconds > 0 else f"in {size}s"


def _cell(heading: str, text: str) -> Text:
    shown = clean(text)
    if heading == "STATUS":
        return Text(shown, style=STATUS.get(shown, ""))
    return Text(shown, style="bold" if heading in _IDS else "dim" if heading in ("UPDATED", "WHEN") else "")


def _table(table: Table, console: Console) -> None:
    if not table.rows:
        console.print(Text(table.nothing, style="dim"))
        return
    drawn = RichTable(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    for heading, room in zip(table.headings, _widths(table, console.width), strict=True):
        folds = heading in _FOLDING
        drawn.add_column(
            heading,
            justify="right" if heading in _NUMBERS else "left",
            no_wrap=not folds,
            overflow="fold" if folds else "ellipsis",
            width=room,
        )
    for row in table.rows:
        drawn.add_row(*(_cell(heading, text) for heading, text in zip(table.headings, row, strict=True)))
    console.print(drawn)


def _widths(table: Table, columns: int) -> list[int]:
    """Returns the width of each column: what it needs, and for those that may give way what is left."""
    rows = [table.headings, *(tuple(map(clean, row)) for row in table.rows)]
    needed = [max(map(width, column)) for column in zip(*rows, strict=True)]
    yielding = [at for at, heading in enumerate(table.headings) if heading == table.wide or heading in _FOLDING]
    fixed = sum(room for at, room in enumerate(needed) if at not in yielding)
    left = max(LEAST * len(yielding), columns - GAP * (len(needed) - 1) - fixed)
    # The narrowest first: what it does not need of its share goes to the others.
    for others, at in enumerate(sorted(yielding, key=needed.__getitem__)):
        needed[at] = min(needed[at], left // (len(yielding) - others))
        left -= needed[at]
    return needed


def _card(card: Card, console: Console) -> None:
    if card.title:
        console.print(Text(clean(card.title), style="bold"), soft_wrap=True)
    facts = RichTable.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, fact in card.facts:
        value = "\n".join(map(clean, fact.splitlines()))
        facts.add_row(("  " if card.title else "") + name, Text(value, style=STATUS.get(value, "")))
    console.print(facts)


def _trees(tree: Tree, names: Names, console: Console) -> None:
    if not tree.nodes:
        console.print(Text("nothing found", style="dim"))
    for root in tree.nodes:
        top = RichTree(_node(root, names), guide_style="dim")
        todo = [(top, root)]
        while todo:
            drawn, node = todo.pop()
            todo.extend((drawn.add(_node(child, names)), child) for child in node["children"])
        console.print(top, soft_wrap=True)


def _node(node: Mapping[str, Any], names: Names) -> Text:
    status = STATUS.get(node["status"], "")
    text = Text.assemble((clean(names.short(node["id"])), "bold"), "  ", (node["status"], status), "  ")
    text.append(clean(node["goal"]), style="dim" if node["status"] == "archived" else "")
    return text.append("  (see above)", style="dim") if node.get("again") else text
