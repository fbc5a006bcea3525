"""Paints blocks as aligned text without colour, for pipes and files: whole ids, whole times, nothing cut off."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from .blocks import Block, Card, Line, Prose, Row, Table, Tree, Verbatim
from .view import blocks

GAP = "  "


def text_of(shape: str, result: Mapping[str, Any]) -> str:
    """Returns the result as text; empty when there is nothing to say."""
    return "\n".join(line for block in blocks(shape, result, str, str) for line in _lines(block))


def clean(text: str) -> str:
    r"""Returns the text on one line, every character that a terminal might obey written out.

    >>> clean("two\nlines \x1b[31m")
    'two lines \\x1b[31m'
    """
    if text.isprintable():
        return text
    shown = (
        " " if char in "\r\n\t" else char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )
    return "".join(shown)


def width(text: str) -> int:
    """Returns how many columns a terminal gives the text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block)
        case Card():
            yield from _card(block)
        case Tree():
            yield from _tree(block)
        case Line():
            yield clean(block.text)
        case Prose():
            yield from map(clean, block.text.rstrip("\n").split("\n"))
        case Verbatim():
            yield block.text.removesuffix("\n")
        case _:
            assert_never(block)


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    rows: list[Row] = [table.headings, *(tuple(map(clean, row)) for row in table.rows)]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell + " " * (room - width(cell)) for cell, room in zip(row, widths, strict=True))
        yield GAP.join(cells).rstrip()


def _card(card: Card) -> Iterator[str]:
    if card.title:
        yield clean(card.title)
    room = max((len(name) for name, _ in card.facts), default=0)
    for name, fact in card.facts:
        yield f"{GAP if card.title else ''}{name:<{room}}{GAP}{clean(fact)}"


def _tree(tree: Tree) -> Iterator[str]:
    todo = [(node, 0) for node in reversed(tree.nodes)]
    while todo:
        node, level = todo.pop()
        again = "  (see above)" if node.get("again") else ""
        yield f"{GAP * level}{clean(node['id'])}{GAP}{node['status']}{GAP}{clean(node['goal'])}{again}"
        todo.extend((child, level + 1) for child in reversed(node["children"]))
