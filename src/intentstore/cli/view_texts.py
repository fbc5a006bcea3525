"""What a person reads of RTFS texts: the intents in them, what was put right, the text laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .blocks import Block, Card, Line, Row, Short, Table, Verbatim
from .phrases import fact_text

Result = Mapping[str, Any]
_TITLE = ("goal", "rtfs_source")


def added(result: Result, short: Short, when: Short) -> list[Block]:
    """Draws the intent that was stored, and what was put right in the text it came from."""
    intent = result["intent"]
    row: Row = (
        short(intent["id"]),
        intent["status"],
        str(intent["priority"]),
        when(intent["updated_at"]),
        intent["goal"],
    )
    return [Table(("ID", "STATUS", "PRIORITY", "UPDATED", "GOAL"), [row]), *_repaired(result)]


def parsed(result: Result, short: Short, when: Short) -> list[Block]:
    """Draws each intent of a text, its edges, how much else it holds."""
    found: list[Block] = []
    for intent in result["intents"]:
        facts = [
            (field, fact_text(field, fact, when)) for field, fact in intent.items() if field not in _TITLE and fact
        ]
        found.append(Card(intent["goal"], facts))
    if result["edges"]:
        rows = [(short(e["source"]), e["type"], short(e["target"]), str(e.get("weight", ""))) for e in result["edges"]]
        found.append(Table(("SOURCE", "TYPE", "TARGET", "WEIGHT"), rows, "TARGET"))
    held = f"{len(result['intents'])} intents, {len(result['edges'])} edges, {result['others']} other forms"
    return [*found, Line(held), *_repaired(result)]


def _repaired(result: Result) -> list[Block]:
    rows = [
        (str(each["line"]), str(each["column"]), each["what"], str(each["times"]))
        for each in result.get("repaired", ())
    ]
    return [Table(("LINE", "COLUMN", "PUT RIGHT", "TIMES"), rows, "PUT RIGHT")] if rows else []


def tidied(result: Result, short: Short, when: Short) -> list[Block]:
    """Draws the text, or what became of its file."""
    del short, when
    if "text" in result:
        return [Verbatim(result["text"])]
    return [Line(f"{result['file']} {'was laid out' if result['changed'] else 'is laid out already'}")]
