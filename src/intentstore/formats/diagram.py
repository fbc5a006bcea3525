"""Pictures of a graph as text for other tools: Mermaid, Graphviz DOT, GraphML. Write only.

Knows how each of them quotes. Nodes are numbered, so that no id can break a picture; ids stand beside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from ..ground.types import SYMMETRIC, Edge, EdgeType, Intent, IntentStatus
from .pages import Pages

_LONGEST = 120
_COLOURS = {
    IntentStatus.ACTIVE: "#ffffff",
    IntentStatus.EXECUTING: "#cfe8ff",
    IntentStatus.COMPLETED: "#d5f0d5",
    IntentStatus.FAILED: "#f9d0d0",
    IntentStatus.SUSPENDED: "#fff2c8",
    IntentStatus.ARCHIVED: "#e4e4e4",
}
# No C0 or C1 control, no lone surrogate, neither of the two code points that XML refuses.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def unseen(text: str) -> str:
    """Returns the text with a mark in the place of each character that no picture can show."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def caption(intent: Intent) -> str:
    r"""Returns what stands in the box: the name, else the goal, on one line and cut to 120 characters.

    >>> caption(Intent(goal="Ship\nit"))
    'Ship it'
    """
    text = " ".join(_UNSEEN.sub(" ", intent.name or intent.goal).split()) or intent.id
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


# --- Mermaid ---

_MERMAID = str.maketrans({character: f"#{ord(character)};" for character in '#"<>&`\\[]{}()|;'})


def mermaid(pages: Pages) -> Iterator[bytes]:
    """Yields a Mermaid flowchart, coloured by status."""
    yield b"flowchart LR\n"
    for intents in pages.intents():
        for intent in intents:
            number = pages.numbers[intent.id]
            yield f'  n{number}["{caption(intent).translate(_MERMAID)}"]:::{intent.status}\n'.encode()
    for edge in pages.edges():
        source, target = pages.numbers[edge.source], pages.numbers[edge.target]
        yield f'  n{source} {_arrow(edge)}|"{_words(edge)}"| n{target}\n'.encode()
    for status, colour in _COLOURS.items():
        yield f"  classDef {status} fill:{colour},stroke:#555,color:#111\n".encode()


def _arrow(edge: Edge) -> str:
    if edge.type in SYMMETRIC:
        return "---"
    return "-.->" if edge.type == EdgeType.IS_SUBGOAL_OF else "-->"


def _words(edge: Edge) -> str:
    return edge.type.replace("_", " ")


# --- DOT ---


def dot(pages: Pages) -> Iterator[bytes]:
    """Yields a Graphviz digraph, coloured by status; each node's ``id`` attribute is the intent's id."""
    yield f"digraph {_quoted(pages.graph.name)} {{\n".encode()
    yield b'  rankdir=LR;\n  node [shape=box, style="rounded,filled", fontname="sans-serif"];\n'
    for intents in pages.intents():
        for intent in intents:
            facts = f"label={_quoted(caption(intent))}, id={_quoted(intent.id)}"
            yield f'  n{pages.numbers[intent.id]} [{facts}, fillcolor="{_COLOURS[intent.status]}"];\n'.encode()
    for edge in pages.edges():
        ends = f"n{pages.numbers[edge.source]} -> n{pages.numbers[edge.target]}"
        drawn = ", dir=none" if edge.type in SYMMETRIC else ""
        yield f"  {ends} [label={_quoted(_words(edge))}{drawn}];\n".encode()
    yield b"}\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    # Graphviz reads HTML entities in a label; an ampersand that is meant as one is written as an entity itself.
    return f'"{escaped.replace("&", "&amp;")}"'


# --- GraphML ---

_KEYS = (
    ("node", "id", "string"),
    ("node", "goal", "string"),
    ("node", "name", "string"),
    ("node", "status", "string"),
    ("node", "priority", "long"),
    ("node", "labels", "string"),
    ("edge", "type", "string"),
    ("edge", "weight", "double"),
)


def graphml(pages: Pages) -> Iterator[bytes]:
    """Yields GraphML with id, goal, name, status, priority and labels of the nodes, type and weight of the edges."""
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    for owner, name, kind in _KEYS:
        yield f'  <key id="{owner}-{name}" for="{owner}" attr.name="{name}" attr.type="{kind}"/>\n'.encode()
    yield b'  <graph edgedefault="directed">\n'
    for intents in pages.intents():
        for intent in intents:
            yield f'    <node id="n{pages.numbers[intent.id]}">{_node(intent)}</node>\n'.encode()
    for edge in pages.edges():
        ends = f'source="n{pages.numbers[edge.source]}" target="n{pages.numbers[edge.target]}"'
        drawn = ' directed="false"' if edge.type in SYMMETRIC else ""
        facts = _datum("edge-type", edge.type) + ("" if edge.weight is None else _datum("edge-weight", edge.weight))
        yield f"    <edge {ends}{drawn}>{facts}</edge>\n".encode()
    yield b"  </graph>\n</graphml>\n"


def _node(intent: Intent) -> str:
    facts: list[tuple[str, object]] = [("id", intent.id), ("goal", intent.goal)]
    if intent.name is not None:
        facts.append(("name", intent.name))
    facts += [("status", intent.status), ("priority", intent.priority)]
    if intent.labels:
        facts.append(("labels", ", ".join(intent.labels)))
    return "".join(_datum(f"node-{name}", value) for name, value in facts)


def _datum(key: str, value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    # A bare CR would be read as LF; XML has no way to write the other controls at all.
    clean = "&#13;".join(_UNSEEN.sub("\N{REPLACEMENT CHARACTER}", escape(part)) for part in text.split("\r"))
    return f'<data key="{key}">{clean}</data>'
