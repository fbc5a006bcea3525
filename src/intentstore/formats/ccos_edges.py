"""Every relation a CCOS file states: which become edges, and which are told and kept loose.

It states them in its list of edges and in the parents and children of its intents; the list wins. What is no edge here
(an end that is nowhere, a cycle, a second one of its kind) stays with an intent of the file and comes back on export.
Knows all records of a file together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..ground.errors import FieldInvalid
from ..ground.types import Edge, EdgeKey, EdgeType
from .arrivals import Arrivals
from .ccos_edge import edge_of, kept_of, with_origin
from .ccos_intent import Named
from .ccos_keeping import with_kept
from .cycles import closing, written

_BELOW = EdgeType.IS_SUBGOAL_OF


class _Stated(msgspec.Struct):
    """A relation on its way to be an edge: its edge, and where the file states it."""

    edge: Edge
    kept: dict[str, Any]
    raw: Any = None

    @property
    def listed(self) -> bool:
        return "place" in self.kept


class Relations:
    """Settles what the file states, in file order, and hands intents and edges to the arrivals."""

    def __init__(self, arrivals: Arrivals, named: Mapping[str, Named]) -> None:
        self._arrivals, self._named = arrivals, named
        self._stated: dict[EdgeKey, _Stated] = {}
        self._above: dict[str, list[str]] = {}
        self._loose: dict[str, dict[str, list[Any]]] = {}
        self.homeless: list[tuple[int, Any]] = []
        """The places and records of edges between ids that are no intents of the file."""

    def settle(self, edges: list[Any]) -> None:
        """Decides on every relation."""
        self._arrivals.look(self._ends(edges))
        for place, raw in enumerate(edges):
            self._list(place, raw)
        for id, named in self._named.items():
            self._fields(id, named)
        self._refuse_cycles()
        self._hand_over()

    def _ends(self, edges: list[Any]) -> Iterator[str]:
        for raw in edges:
            if type(raw) is dict:
                yield from (raw[end] for end in ("from", "to") if type(raw.get(end)) is str)
        for named in self._named.values():
            yield from ([named.parent] if named.parent is not None else [])
            yield from named.children

    # --- the list ---

    def _list(self, place: int, raw: Any) -> None:
        try:
            edge = edge_of(raw, place)
        except FieldInvalid as error:
            self._leave(place, raw, f"cannot be an edge: {error}")
            return
        unknown = [end for end in (raw["from"], raw["to"]) if not self._arrivals.known(end)]
        if unknown:
            self._leave(place, raw, f"leads to {unknown[0]!r}, which is neither in the file nor in the graph")
            return
        first = self._stated.get(edge.key)
        if first is not None:
            first.kept.setdefault("again", []).append((place, raw))
            self._tell(raw, "says what another edge of the list says already")
            return
        self._stated[edge.key] = _Stated(edge, kept_of(edge), raw)
        if edge.type == _BELOW:
            self._above.setdefault(edge.source, []).append(edge.target)

    def _leave(self, place: int, raw: Any, why: str) -> None:
        """Keeps an edge loose, with the intent it leads from, or to, or by itself."""
        self._tell(raw, why)
        ends = [raw.get(end) for end in ("from", "to")] if type(raw) is dict else []
        home = next((end for end in ends if end in self._named), None)
        if home is None:
            self.homeless.append((place, raw))
        else:
            self._loose.setdefault(home, {}).setdefault("edges", []).append((place, raw))

    def _tell(self, raw: Any, why: str) -> None:
        what = raw if type(raw) is dict else {}
        source = what.get("from")
        id = source if type(source) is str else None
        line = self._arrivals.lines.get(id, 0) if id else 0
        self._arrivals.skip(line, id, f"the edge {what.get('edge_type')} to {what.get('to')!r} {why}")

    # --- the fields ---

    def _fields(self, id: str, named: Named) -> None:
        if named.parent is not None:
            stated = self._state(id, named.parent, id, "parent_intent")
            if stated is None:
                self._loose.setdefault(id, {})["parent"] = [named.parent]
            else:
                stated.kept["parent"] = True
        for place, child in enumerate(named.children):
            stated = self._state(child, id, id, "child_intents")
            if stated is None or "child" in stated.kept:
                self._loose.setdefault(id, {}).setdefault("children", []).append((place, child))
                continue
            stated.kept["child"] = place
            other = self._named.get(child)
            if other is not None and other.parent not in (None, id) and not stated.listed:
                self._arrivals.skip(
                    self._arrivals.lines.get(id, 0),
                    id,
                    f"names {child!r} as its child, which names {other.parent!r} as its parent; both were taken",
                )

    def _state(self, below: str, above: str, id: str, field: str) -> _Stated | None:
        """Returns the relation a field of ``id`` states, None where it cannot be one."""
        key = (below, _BELOW, above)
        stated = self._stated.get(key)
        if stated is not None:
            return stated
        other = above if id == below else below
        if other == id or not self._arrivals.known(other):
            what = "itself" if other == id else f"{other!r}, which is neither in the file nor in the graph"
            why = f"its {field} names {what}"
        elif below in self._above:
            why = f"its {field} says that {below!r} is below {above!r}; the edges say {self._above[below][0]!r}"
        else:
            self._stated[key] = _Stated(Edge(source=below, type=_BELOW, target=above), {})
            return self._stated[key]
        self._arrivals.skip(self._arrivals.lines.get(id, 0), id, why)
        return None

    # --- deciding ---

    def _refuse_cycles(self) -> None:
        ways = closing([stated.edge for stated in self._stated.values()], self._arrivals.graph, self._gone())
        for key, way in ways.items():
            stated = self._stated.pop(key)
            why = f"would close a cycle: {written(way)}"
            if stated.listed:
                self._leave(stated.kept["place"], stated.raw, why)
                for place, raw in stated.kept.get("again", ()):
                    self._leave(place, raw, why)
            else:
                line = self._arrivals.lines.get(key[0], 0)
                self._arrivals.skip(line, key[0], f"being below {key[2]!r} {why}")
            if stated.kept.get("parent"):
                self._loose.setdefault(key[0], {})["parent"] = [key[2]]
            if "child" in stated.kept:
                children = self._loose.setdefault(key[2], {}).setdefault("children", [])
                children.append((stated.kept["child"], key[0]))

    def _gone(self) -> dict[EdgeKey, Edge]:
        """Returns the stored edges between replaced intents of the file, which then has them all."""
        replaced = set(self._arrivals.replaced())
        stored = self._arrivals.stored_edges(replaced) if replaced else ()
        return {edge.key: edge for edge in stored if edge.source in replaced and edge.target in replaced}

    def _hand_over(self) -> None:
        gone = self._gone()
        there = {edge.key: edge for edge in self._arrivals.stored_edges(key[0] for key in self._stated)}
        for key, stated in self._stated.items():
            line = self._arrivals.lines.get(key[0], 0)
            old = there.get(key)
            if old is not None and key not in gone and self._arrivals.if_exists == "keep":
                self._arrivals.skip(line, key[0], "the edge is in the graph already and was kept as it is")
                continue
            edge = with_origin(stated.edge, stated.kept)
            self._arrivals.link(edge, line, expected=0 if old is None else None)
            gone.pop(key, None)
        for key in gone:
            self._arrivals.unlink(key)
        for intent in self._arrivals.coming():
            loose = self._loose.get(intent.id)
            if loose:
                parent = loose.pop("parent", [None])[0]
                self._arrivals.change(with_kept(intent, parent=parent, **loose))
