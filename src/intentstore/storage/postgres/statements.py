"""The statements of ``statements.sql``, with one graph's numbers in them, and the texts that write many rows at once.

Knows names of tables and columns; has never seen a connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from .exchange import Value

STRIDE = 100
"""How many commits one transaction may make: a revision is ``base + STRIDE * transaction id + place in it``."""


@cache
def texts() -> dict[str, str]:
    """Returns every named statement as it is written."""
    parts = Path(__file__).with_name("statements.sql").read_text(encoding="utf-8").split("-- name: ")[1:]
    return {name: text.strip().rstrip(";") for name, _, text in (part.partition("\n") for part in parts)}


def number(purpose: str, name: str) -> int:
    """Returns the 63-bit number that stands for a graph's name, for one purpose: the same wherever it is asked."""
    return int.from_bytes(sha256(f"intentstore {purpose}\0{name}".encode()).digest()[:8], "big") >> 1


class Statements:
    """The statements for one graph, each an attribute; its key and its two locks beside them."""

    def __init__(self, name: str) -> None:
        self.graph_key = number("graph", name)
        self.writers = number("writers", name)
        """Shared by every transaction that writes, before it takes its id; alone for one that moves the base."""
        self.structure = number("structure", name)
        """Held by transactions that change edges or delete intents."""
        self.meaning = number("meaning", name)
        """Held by transactions that change definitions, shared by those whose guard has read them."""
        numbers = {
            "{g}": self.graph_key,
            "{writers}": self.writers,
            "{structure}": self.structure,
            "{meaning}": self.meaning,
        }
        for each, text in texts().items():
            whole = text
            for sign, value in numbers.items():
                whole = whole.replace(sign, str(value))
            setattr(self, each, whole)

    def __getattr__(self, name: str) -> str:
        raise AttributeError(f"statements.sql has no statement {name!r}")


INTENT = {
    "id": "text",
    "status": "text",
    "priority": "bigint",
    "created_at": "bigint",
    "updated_at": "bigint",
    "head": "bigint",
    "hash": "text",
    "session_id": "text",
    "triggered_by": "text",
    "owner": "text",
    "name": "text",
    "goal": "text",
    "folded": "text",
    "length": "bigint",
    "again": "jsonb",
    "tokens": "text[]",
    "body": "text",
}
EDGE = {"source": "text", "type": "text", "target": "text", "head": "bigint", "hash": "text", "body": "text"}
COMMIT = {"revision": "bigint", "id": "text", "body": "text"}
DEFINITION = {"name": "text", "head": "bigint", "hash": "text", "body": "text"}
HEAD = {"id": "text", "head": "bigint", "hash": "text"}


class Part:
    """One thing a writing statement does to rows of one table, whose values are numbered from ``first`` on."""

    def __init__(self, kind: str, columns: dict[str, str], text: str) -> None:
        self.kind, self.columns, self.text = kind, columns, text

    def said(self, graph: int, first: int, *, many: bool) -> str:
        """Returns the text for one row, a value a column, or for many, an array a column."""
        values = self._many(first) if many else self._one(first)
        return self.text.format(g=graph, names=", ".join(self.columns), values=f"({values}) AS v")

    def _one(self, first: int) -> str:
        cells = [f"${at}::{kind} AS {name}" for at, (name, kind) in enumerate(self.columns.items(), first)]
        return f"SELECT {', '.join(cells)}"

    def _many(self, first: int) -> str:
        # An array of arrays must be rectangular, so tokens come as texts; JSON does as well.
        plain = ["text" if kind in ("text[]", "jsonb") else kind for kind in self.columns.values()]
        arrays = [f"${at}::{kind}[]" for at, kind in enumerate(plain, first)]
        cells = [f"u.{name}::{kind} AS {name}" for name, kind in self.columns.items()]
        return f"SELECT {', '.join(cells)} FROM unnest({', '.join(arrays)}) AS u ({', '.join(self.columns)})"


def _changed(columns: dict[str, str], *key: str) -> str:
    return ", ".join(f"{name} = v.{name}" for name in columns if name not in key)


_SAME_EDGE = "t.graph = {g} AND t.source = v.source AND t.type = v.type AND t.target = v.target"
PARTS = {
    part.kind: part
    for part in (
        Part(
            "commits",
            COMMIT,
            "INSERT INTO intentstore.commits (graph, {names}) SELECT {g}, v.* FROM {values}",
        ),
        Part(
            "new_intents",
            INTENT,
            "INSERT INTO intentstore.intent_rows (graph, {names}) SELECT {g}, v.* FROM {values}",
        ),
        Part(
            "intents",
            INTENT,
            f"UPDATE intentstore.intent_rows t SET {_changed(INTENT, 'id')} FROM {{values}}"
            " WHERE t.graph = {g} AND t.id = v.id",
        ),
        Part(
            "heads",
            HEAD,
            f"UPDATE intentstore.intent_rows t SET {_changed(HEAD, 'id')} FROM {{values}}"
            " WHERE t.graph = {g} AND t.id = v.id",
        ),
        Part(
            "new_edges",
            EDGE,
            "INSERT INTO intentstore.edge_rows (graph, {names}) SELECT {g}, v.* FROM {values}",
        ),
        Part(
            "edges",
            EDGE,
            f"UPDATE intentstore.edge_rows t SET {_changed(EDGE, 'source', 'type', 'target')} FROM {{values}}"
            f" WHERE {_SAME_EDGE}",
        ),
        Part(
            "definitions",
            DEFINITION,
            "INSERT INTO intentstore.definitions (graph, {names}) SELECT {g}, v.* FROM {values}"
            " ON CONFLICT (graph, name) DO UPDATE"
            " SET head = excluded.head, hash = excluded.hash, body = excluded.body",
        ),
    )
}
COPIES = {"commits": "commits", "new_intents": "intent_rows", "new_edges": "edge_rows"}
"""Which parts may also go by COPY, and into which table."""


def copying(kind: str) -> str:
    """Returns the COPY of such a part; its rows begin with the graph."""
    return f"COPY intentstore.{COPIES[kind]} (graph, {', '.join(PARTS[kind].columns)}) FROM STDIN"


@cache
def writing(graph: int, shape: tuple[tuple[str, bool], ...]) -> str:
    """Returns one statement that does all these parts, each for one row or for many (`Part.said`)."""
    texts, first = [], 1
    for kind, many in shape:
        texts.append(PARTS[kind].said(graph, first, many=many))
        first += len(PARTS[kind].columns)
    front = ", ".join(f"p{at} AS ({text})" for at, text in enumerate(texts[:-1]))
    return f"WITH {front} {texts[-1]}" if front else texts[-1]


def values(rows: Sequence[Sequence[Value]]) -> Sequence[Value]:
    """Returns the values that `writing` wants for these rows."""
    return rows[0] if len(rows) == 1 else [_array(column) for column in zip(*rows, strict=True)]


def _array(column: Sequence[Value]) -> str:
    cells = ["NULL" if cell is None else str(cell) if type(cell) is int else _quoted(str(cell)) for cell in column]
    return f"{{{','.join(cells)}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
