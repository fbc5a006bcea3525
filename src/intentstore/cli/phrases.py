"""How one fact is put into words: a field's value, an edge. Knows the documents; has never heard of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .blocks import Short


def fact_text(field: str, fact: Any, when: Short) -> str:
    """Returns what a person reads of a field's value."""
    if field.endswith("_at"):
        return when(fact)
    if field == "labels":
        return ", ".join(fact)
    if isinstance(fact, str):
        return fact
    import msgspec

    return msgspec.json.encode(fact).decode()


def sentence(edge: Mapping[str, Any], short: Short) -> str:
    """Returns the edge as it is read aloud."""
    weight = f"  (weight {edge['weight']})" if "weight" in edge else ""
    return f"{short(edge['source'])} {edge['type']} {short(edge['target'])}{weight}"


def marked(text: str, marks: Sequence[Sequence[int]]) -> str:
    """Returns the text with these places of it between « and »."""
    for begin, end in reversed(marks):
        text = f"{text[:begin]}«{text[begin:end]}»{text[end:]}"
    return text
