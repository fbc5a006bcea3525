"""Our own JSON lines: a header, then one intent or edge a line, whole and exact but for the revisions.

Knows what a line says; files, gzip and transactions are its neighbours' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..codec import edge_from, intent_from, jsonable
from ..ground.errors import FieldInvalid, TooNew
from ..ground.types import Edge
from .arrivals import Arrivals
from .linking import link_all
from .pages import Pages
from .source import Line, at_line, placing

VERSION = 1
_KINDS = ("intent", "edge")


def sniff(first: dict[str, Any]) -> bool:
    """True when this is the header of such a file."""
    return "intentstore" in first


def read(source: Iterator[Line], arrivals: Arrivals) -> None:
    """Gathers what the lines say; refuses the first that is wrong, a missing end and a cycle by their line."""
    header = next(source, None)
    if header is None:
        raise at_line(_headless(), 1)
    _check_header(header)
    edges: list[tuple[int, Edge]] = []
    for line in source:
        kind, inner = _kind(line)
        with placing(line.number):
            if kind == "edge":
                edges.append((line.number, edge_from(inner).replace(revision=0)))
                continue
            intent = intent_from(inner)
            intent = intent.replace(revision=0) if intent.revision else intent
        arrivals.add(intent, line.number)
    arrivals.meet()
    link_all(edges, arrivals)


def _check_header(line: Line) -> None:
    header = line.record()
    version = header.get("intentstore")
    if type(version) is not int or not header.keys() <= {"intentstore", "graph"}:
        raise at_line(_headless(), line.number)
    if version > VERSION:
        raise at_line(TooNew("a newer intentstore wrote this file", hint="upgrade intentstore"), line.number)


def _headless() -> FieldInvalid:
    return FieldInvalid("the header", "is missing", hint='begin with {"intentstore":1,"graph":"…"}')


def _kind(line: Line) -> tuple[str, Any]:
    record = line.record()
    if len(record) != 1 or next(iter(record)) not in _KINDS:
        keys = ", ".join(map(repr, record)) or "nothing"
        strange = FieldInvalid("the record", f"holds {keys}", hint='write {"intent":{…}} or {"edge":{…}}')
        raise at_line(strange, line.number)
    return next(iter(record.items()))


def write(pages: Pages) -> Iterator[bytes]:
    """Yields the lines: the header, every intent by id, every edge by source."""
    yield _line({"intentstore": VERSION, "graph": pages.graph.name})
    for intents in pages.intents():
        for intent in intents:
            yield _line({"intent": _without_revision(jsonable(intent))})
    for edge in pages.edges():
        yield _line({"edge": _without_revision(jsonable(edge))})


def _without_revision(written: dict[str, Any]) -> dict[str, Any]:
    written.pop("revision", None)
    return written


def _line(thing: Any) -> bytes:
    return msgspec.json.encode(thing) + b"\n"
