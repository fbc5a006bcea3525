"""What a file brings, gathered with its lines until all is known, then recorded as one transaction.

Owns ``if_exists``: what happens to an intent that is in the graph already. Has never heard of a format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from ..codec import encode_edge, encode_intent
from ..graph import IntentGraph, Transaction
from ..ground.change import MAX_CHANGES, Link, Put, Unlink
from ..ground.errors import AlreadyThere, FieldInvalid, IntentStoreError
from ..ground.types import MAX_INTENT_BYTES, UNSTORED, Edge, EdgeKey, Intent
from ..ground.values import Map
from .source import at_line

IfExists = Literal["refuse", "replace", "keep"]
CHOICES: tuple[IfExists, ...] = ("refuse", "replace", "keep")
_TOGETHER = 1_000
_ROOM = 1_000  # what a storage writes around an intent


class Skipped(msgspec.Struct, frozen=True):
    """One thing an import left out: the line it stood on, the id of its record, and why."""

    line: int
    id: str | None
    why: str


class Imported(msgspec.Struct, frozen=True):
    """How many intents and edges an import stored, and what it left out."""

    intents: int
    edges: int
    skipped: tuple[Skipped, ...] = ()


class Arrivals:
    """The intents and edges of one file on their way into a graph."""

    def __init__(self, graph: IntentGraph, if_exists: IfExists) -> None:
        self.graph, self.if_exists = graph, if_exists
        self.place: Callable[[IntentStoreError, int], IntentStoreError] = at_line
        """How an error says where in the file it happened, given the line."""
        self.skipped: list[Skipped] = []
        self.lines: dict[str, int] = {}
        """The ids in the file and the line of each."""
        self.kept: set[str] = set()
        """The ids in the file that stay in the graph as they are there."""
        self._intents: dict[str, Intent] = {}
        self._nameless: list[Intent] = []
        self._there: dict[str, Intent | None] = {}
        self._links: dict[EdgeKey, tuple[Edge, int | None, int]] = {}
        self._unlinks: list[EdgeKey] = []
        self._notes: list[tuple[str, str]] = []
        self._definitions: dict[str, Map] = {}

    def __len__(self) -> int:
        edges = len(self._links) + len(self._unlinks)
        return len(self._intents) + len(self._nameless) + edges + len(self._notes)

    # --- gathering ---

    def add(self, intent: Intent, line: int) -> None:
        """Takes an intent; a second one of the same id in the file is refused."""
        self._refuse_many(line)
        if not intent.id:
            self._nameless.append(intent)
            return
        first = self.lines.setdefault(intent.id, line)
        if first != line or intent.id in self._intents:
            twice = FieldInvalid("id", f"{intent.id!r} stands on line {first} already", hint="keep one of the two")
            raise self.place(twice, line)
        self._intents[intent.id] = intent

    def meet(self) -> None:
        """Compares what was taken with the graph: refuses, keeps or will replace what is there already."""
        self.look(self._intents)
        for id in [id for id in self._intents if self.there(id) is not None]:
            if self.if_exists == "refuse":
                hint = "import with if_exists replace or keep"
                there = AlreadyThere(f"intent {id} is in the graph already", hint=hint, id=id)
                raise self.place(there, self.lines[id])
            if self.if_exists == "keep":
                self.kept.add(id)
                self.skip(self.lines[id], id, "is in the graph already and was kept as it is")
                del self._intents[id]

    def look(self, ids: Iterable[str]) -> None:
        """Asks the graph for these ids, together, so that `there` and `known` can answer."""
        wanted = [id for id in dict.fromkeys(ids) if id not in self._there]
        for start in range(0, len(wanted), _TOGETHER):
            chunk = wanted[start : start + _TOGETHER]
            found = self.graph.fetch(chunk) if self.graph.revision else [None] * len(chunk)
            self._there.update(zip(chunk, found, strict=True))

    def there(self, id: str) -> Intent | None:
        """Returns the intent as the graph has it before the import."""
        if id not in self._there:
            self.look([id])
        return self._there[id]

    def known(self, id: str) -> bool:
        """True when the id will be in the graph after the import."""
        return id in self._intents or self.there(id) is not None

    def coming(self) -> Iterator[Intent]:
        """Yields the intents that will be stored, in file order."""
        yield from list(self._intents.values())

    def replaced(self) -> list[str]:
        """Returns the ids whose intent in the graph will be replaced."""
        return [id for id in self._intents if self.there(id) is not None]

    def stored_edges(self, ids: Iterable[str]) -> Iterator[Edge]:
        """Yields the edges the graph has at any of the ids; one at two of them may come twice."""
        present = [id for id in dict.fromkeys(ids) if self.there(id) is not None]
        for start in range(0, len(present), _TOGETHER):
            yield from self.graph.edges_of(present[start : start + _TOGETHER])

    def change(self, intent: Intent) -> None:
        """Takes the final form of an intent: one gathered before, or one of the graph that changes with it."""
        self._intents[intent.id] = intent

    def link(self, edge: Edge, line: int, *, expected: int | None = 0) -> None:
        """Takes an edge; ``expected`` as in `Link`."""
        self._refuse_many(line)
        self._links[edge.key] = (edge, expected, line)

    def unlink(self, key: EdgeKey) -> None:
        """Takes a stored edge away."""
        self._unlinks.append(key)

    def note(self, id: str, text: str) -> None:
        """Takes a remark for an intent's history."""
        self._refuse_many(self.lines.get(id, 0))
        self._notes.append((id, text))

    def define(self, name: str, value: Map) -> None:
        """Takes a definition of the graph's."""
        self._definitions[name] = value

    def skip(self, line: int, id: str | None, why: str) -> None:
        """Notes what was left out."""
        self.skipped.append(Skipped(line, id, why))

    def _refuse_many(self, line: int) -> None:
        if len(self) >= MAX_CHANGES:
            many = FieldInvalid("the file", f"holds more than {MAX_CHANGES} changes", hint="import it in parts")
            raise self.place(many, line)

    # --- recording ---

    def record(self, tx: Transaction) -> Imported:
        """Records everything in the transaction and returns what it will store."""
        for intent in [*self._nameless, *self._intents.values()]:
            self._put(tx, intent)
        intents = len(self._nameless) + sum(1 for id in self._intents if id in self.lines and id not in self.kept)
        for source, type, target in self._unlinks:
            tx.apply(Unlink(source=source, type=type, target=target))
        for edge, expected, _ in self._links.values():
            if edge.created_at is UNSTORED and expected == 0:
                tx.link(edge.source, edge.type, edge.target, weight=edge.weight, metadata=edge.metadata)
            else:
                tx.apply(Link(edge=edge, expected=expected))
        for id, text in self._notes:
            tx.note(id, text)
        for name, value in self._definitions.items():
            tx.define(name, value)
        return Imported(intents, len(self._links), tuple(self.skipped))

    def blame(self, error: FieldInvalid) -> IntentStoreError:
        """Returns the storage's refusal with the line of what is too large, if that is why."""
        sizes = ((self.lines.get(intent.id, 0), encode_intent(intent)) for intent in self._intents.values())
        edges = ((line, encode_edge(edge)) for edge, _, line in self._links.values())
        for line, body in (*sizes, *edges) if error.field in ("intent", "edge") else ():
            if len(body) > MAX_INTENT_BYTES - _ROOM:
                return self.place(error, line)
        return error

    def _put(self, tx: Transaction, intent: Intent) -> None:
        old = self.there(intent.id) if intent.id else None
        dated = intent.created_at is not UNSTORED and intent.updated_at is not UNSTORED
        if old is None and (not intent.id or not dated):
            tx.store(intent)
        elif old is None or dated:
            tx.apply(Put(intent=intent, expected=old.revision if old else 0))
        else:
            created = old.created_at if intent.created_at is UNSTORED else intent.created_at
            tx.update(intent.replace(created_at=created, revision=old.revision))
