"""A graph as a backup that CCOS reads: as it came if nothing changed since, else a new one.

What one intent and one edge is written as is the business of the modules beside this one; this one knows the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from ..ground.errors import FieldInvalid
from ..ground.types import Edge, EdgeType, Intent
from .ccos_edge import again_in, origin_of
from .ccos_edge import record_of as edge_record
from .ccos_keeping import kept_in, record_of
from .ccos_rtfs import snapshot_text
from .kept import in_order, thaw
from .pages import Pages

DEFINITION = "ccos"
"""The definition of the graph that keeps what a file says beside its intents and edges."""
VERSIONS = ("1.0", "1.1")


def digest(intents: Any, edges: Any) -> str:
    """Returns what tells whether a graph still says what a file said: a digest of its intents and edges as JSON."""
    return sha256(in_order([intents, edges])).hexdigest()


class _Written(NamedTuple):
    intents: dict[str, dict[str, Any]]
    edges: list[dict[str, Any]]


def write(pages: Pages, *, version: str | None = None, root: str | None = None) -> Iterator[bytes]:
    """Yields one backup: as the file that was imported if nothing changed since and nothing else is asked, else 1.1.

    ``version`` asks for 1.0 or 1.1; ``root`` for a subgraph backup of this intent and all below it.
    """
    if version is not None and version not in VERSIONS:
        raise FieldInvalid("version", f"{version!r} is not known", hint=f"known are {' and '.join(VERSIONS)}")
    intents = [intent for page in pages.intents() for intent in page]
    edges = list(pages.edges())
    kept: Mapping[Any, Any] = {}
    hierarchy = _Hierarchy(edges)
    if root is not None:
        intents, edges = _below(root, intents, edges, pages)
    else:
        kept = pages.graph.definitions(DEFINITION).get(DEFINITION) or {}
    written = _written(intents, edges, hierarchy, thaw(kept.get("edges", ())))
    same_file = kept.get("digest") == digest(written.intents, written.edges)
    if same_file and version in (None, kept.get("version")):
        yield from _rendered(_as_it_came(written, thaw(kept)))
        return
    yield from _rendered(_anew(written, pages, version or VERSIONS[-1], root))


def _below(root: str, intents: list[Intent], edges: list[Edge], pages: Pages) -> tuple[list[Intent], list[Edge]]:
    pages.graph.intent(root)
    below: dict[str, list[str]] = {}
    for edge in edges:
        if edge.type == EdgeType.IS_SUBGOAL_OF:
            below.setdefault(edge.target, []).append(edge.source)
    wanted, todo = {root}, [root]
    while todo:
        for id in below.get(todo.pop(), ()):
            if id not in wanted:
                wanted.add(id)
                todo.append(id)
    pages.numbers = {id: at for at, id in enumerate((id for id in pages.numbers if id in wanted), 1)}
    inside = [edge for edge in edges if edge.source in wanted and edge.target in wanted]
    pages.edges_written = len(inside)
    return [intent for intent in intents if intent.id in wanted], inside


def _written(intents: list[Intent], edges: list[Edge], hierarchy: _Hierarchy, homeless: list[Any]) -> _Written:
    records: dict[str, dict[str, Any]] = {}
    placed: list[tuple[int, dict[str, Any]]] = [(place, raw) for place, raw in homeless]
    for intent in intents:
        records[intent.id] = hierarchy.complete(record_of(intent), intent)
        placed += [(place, raw) for place, raw in thaw(kept_in(intent).get("edges", ()))]
    new = []
    for edge in edges:
        origin = origin_of(edge)
        if origin is None:
            new.append(edge_record(edge))
        elif origin.place is not None:
            placed.append((origin.place, edge_record(edge)))
            placed += again_in(edge)
    return _Written(records, [raw for _, raw in sorted(placed, key=lambda pair: pair[0])] + new)


class _Hierarchy:
    """Which parent and which children each record names: those it named, and those that were linked here since."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self._parents: dict[str, list[tuple[int, str]]] = {}
        self._children: dict[str, list[tuple[int, str]]] = {}
        for edge in edges:
            if edge.type != EdgeType.IS_SUBGOAL_OF:
                continue
            origin = origin_of(edge)
            if origin is None or origin.parent:
                self._parents.setdefault(edge.source, []).append((0 if origin else 1, edge.target))
            if origin is None or origin.child is not None:
                place = 2**32 if origin is None or origin.child is None else origin.child
                self._children.setdefault(edge.target, []).append((place, edge.source))

    def complete(self, record: dict[str, Any], intent: Intent) -> dict[str, Any]:
        """Returns the record with its parent and its children, those that are no edges among them."""
        kept = kept_in(intent)
        parents = sorted(self._parents.get(intent.id, ()))
        named = [id for rank, id in parents if rank == 0] or ([kept["parent"]] if "parent" in kept else [])
        children = [*self._children.get(intent.id, ()), *((place, id) for place, id in kept.get("children", ()))]
        parent = next(iter(named), parents[0][1] if parents else None)
        if "parent_intent" in record or parent is not None:
            record["parent_intent"] = parent
        if "child_intents" in record or children:
            record["child_intents"] = [id for _, id in sorted(children)]
        return record


def _as_it_came(written: _Written, kept: dict[str, Any]) -> dict[str, Any]:
    ids = sorted(written.intents)
    intents = written.intents
    if "order" in kept:
        intents = {ids[at]: written.intents[ids[at]] for at in kept["order"]}
    text = (
        kept["rtfs"] if "rtfs" in kept else snapshot_text(intents.values(), written.edges) if "order" in kept else None
    )
    whole = {**kept["more"], **kept, "intents": intents, "edges": written.edges, "rtfs": text}
    return {name: whole[name] for name in kept["names"]}


def _anew(written: _Written, pages: Pages, version: str, root: str | None) -> dict[str, Any]:
    now = int(pages.graph.clock().timestamp())
    document: dict[str, Any] = {"intents": written.intents, "edges": written.edges}
    if root is not None:
        return {**document, "root_intent_id": root, "version": VERSIONS[0], "timestamp": now}
    document.update(version=version, timestamp=now)
    if version == "1.1":
        document["manifest"] = {"created_by": "intentstore", "source": None, "note": f"the graph {pages.graph.name}"}
        document["rtfs"] = snapshot_text(written.intents.values(), written.edges)
    return document


def _rendered(document: dict[str, Any]) -> Iterator[bytes]:
    """Yields the document as CCOS lays it out, an intent at a time."""
    yield b"{"
    for at, (name, value) in enumerate(document.items()):
        yield b"%b\n  %b: " % (b"," if at else b"", msgspec.json.encode(name))
        if type(value) is dict and name == "intents":
            yield from _entries(value)
        else:
            yield _indented(value, b"\n  ")
    yield b"\n}\n"


def _entries(intents: dict[str, Any]) -> Iterator[bytes]:
    if not intents:
        yield b"{}"
        return
    for at, (id, record) in enumerate(intents.items()):
        yield b"%b\n    %b: %b" % (b"," if at else b"{", msgspec.json.encode(id), _indented(record, b"\n    "))
    yield b"\n  }"


def _indented(value: Any, margin: bytes) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).replace(b"\n", margin)
