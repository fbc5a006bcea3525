"""The real goals as a history: which were made when, closed when, linked when, and what each refers to."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from intentstore import Intent, IntentGraph, IntentStoreError, Keyword, Map, open_graph
from intentstore.formats import import_into
from intentstore.ground.types import Edge

_ID = re.compile(r"\b[a-z]+-[0-9a-z]+(?:\.\d+)*\b")
_AT_ONCE_S = 60


class Goals:
    """What the file tells of every goal."""

    def __init__(self, data: Path) -> None:
        with open_graph("memory:") as graph:
            import_into(graph, str(data), format="beads")
            self.intents = {intent.id: intent for intent in graph.each()}
            self.edges = graph.edges_of(list(self.intents))
        self.linked: dict[str, set[str]] = {}
        for edge in self.edges:
            self.linked.setdefault(edge.source, set()).add(edge.target)
            self.linked.setdefault(edge.target, set()).add(edge.source)

    def refers_to(self, intent: Intent) -> set[str]:
        """Returns the ids that the goal is linked to, and those that its text names."""
        named = {id for id in _ID.findall(f"{intent.goal} {intent.original_request or ''}") if id in self.intents}
        return (self.linked.get(intent.id, set()) | named) - {intent.id}

    def parent_at_once(self, intent: Intent) -> str | None:
        """Returns the parent that the goal was given as it was made."""
        for edge in self.edges:
            soon = abs((edge.created_at - intent.created_at).total_seconds()) <= _AT_ONCE_S
            if edge.type == "is_subgoal_of" and edge.source == intent.id and soon:
                return edge.target
        return None

    def lived(self) -> Iterator[tuple[IntentGraph, Intent]]:
        """Yields each goal as it is about to be made, and the graph as it was then; one graph that lives on."""
        clock = [datetime(2000, 1, 1, tzinfo=UTC)]
        graph = open_graph("memory:", clock=lambda: clock[0])
        for moment, _, thing in sorted(self._events(), key=lambda event: event[:2]):
            clock[0] = moment
            if isinstance(thing, Intent):
                yield graph, thing
                made = thing.replace(revision=0, status="active", metadata={}, updated_at=thing.created_at)
                graph.store(made)
            elif isinstance(thing, Edge):
                with contextlib.suppress(IntentStoreError):
                    graph.link(thing.source, thing.type, thing.target)
            elif graph.intent(thing).status == "active":
                graph.complete(thing)

    def _events(self) -> Iterator[tuple[datetime, tuple[int, str], Any]]:
        for intent in self.intents.values():
            yield intent.created_at, (0, intent.id), intent
            closed = _closed_at(intent)
            if closed is not None:
                yield max(closed, intent.created_at), (2, intent.id), intent.id
        for edge in self.edges:
            born = max(self.intents[end].created_at for end in (edge.source, edge.target))
            yield max(edge.created_at, born), (1, "\0".join(edge.key)), edge


def _closed_at(intent: Intent) -> datetime | None:
    record: Any = intent.metadata.get("beads", Map())
    text = record.get("closed_at") or record.get(Keyword("closed_at"))
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
