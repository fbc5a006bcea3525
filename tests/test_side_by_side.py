"""The storages side by side: whatever is done, they give the same commits, states, pages, hits and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from intentstore import IntentFilter, IntentGraph, open_graph
from intentstore.formats import export_from
from intentstore.ground.change import Batch, Commit, Entry, Guard
from intentstore.ground.errors import IntentStoreError
from intentstore.ground.protocol import Capabilities, IntentStorage, Problem, SearchesText
from intentstore.ground.query import Found, Hit, Page, Walk
from intentstore.ground.search import parse
from intentstore.ground.types import Edge, Intent, IntentId, IntentStatus, Revision
from intentstore.ground.values import Map
from intentstore.storage.file import FileStorage
from intentstore.storage.memory import MemoryStorage
from intentstore.storage.postgres import PostgresStorage
from intentstore.storage.sqlite import SqliteStorage
from intentstore.testing import machine_for
from intentstore.testing.samples import as_batch
from tests.histories import import_real
from tests.postgres_server import Places, new_database

PLACES = Places()
_SORTS = ("-priority", "goal", "updated_at", "connections")


class SideBySide:
    """All as one storage, the file store in both encodings: the first commits, the rest repeat it, answers are one."""

    capabilities = Capabilities(persistent=True, multi_process=True, searches_text=True)

    def __init__(self, place: Path) -> None:
        self.all: list[Any] = [
            FileStorage(place / "store"),
            FileStorage(place / "rtfs", encoding="rtfs"),
            SqliteStorage(place / "goals.db"),
            PostgresStorage(PLACES.url(place)),
            MemoryStorage(str(place)),
        ]

    def open(self) -> None:
        for each in self.all:
            each.open()

    def close(self) -> None:
        for each in self.all:
            each.close()

    def _same(self, ask: Callable[[Any], Any]) -> Any:
        said = [_said(ask, each) for each in self.all]
        assert all(other == said[0] for other in said[1:]), said
        if isinstance(said[0], IntentStoreError):
            raise said[0]
        return said[0]

    def apply(self, batch: Batch, *, guard: Guard | None = None) -> Commit:
        first, *others = self.all
        made = _said(lambda each: each.apply(batch, guard=guard), first)
        if isinstance(made, IntentStoreError):
            refused = [_said(lambda each: each.apply(batch, guard=guard), each) for each in others]
            assert [(type(each), str(each)) for each in refused] == [(type(made), str(made))] * len(others)
            raise made
        commit: Commit = made
        assert [each.apply(as_batch(commit)) for each in others] == [commit] * len(others)
        return commit

    def apply_all(self, batches: Sequence[Batch]) -> list[Commit]:
        return [self.apply(batch) for batch in batches]

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        return self._same(lambda each: each.fetch(ids))  # type: ignore[no-any-return]  # any storage's answer

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:
        return self._same(lambda each: each.neighbours(ids, walk))  # type: ignore[no-any-return]  # as above

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        return self._same(lambda each: each.definitions(prefix))  # type: ignore[no-any-return]  # as above

    def select(self, where: IntentFilter, page: Page) -> Found:
        return self._same(lambda each: each.select(where, page))  # type: ignore[no-any-return]  # as above

    def count(self, where: IntentFilter) -> dict[IntentStatus, int]:
        return self._same(lambda each: each.count(where))  # type: ignore[no-any-return]  # as above

    def search(self, text: str, limit: int) -> list[Hit]:
        hits: list[list[Hit]] = [each.search(text, limit) for each in self.all]
        for theirs in hits[1:]:
            assert {hit.intent.id for hit in theirs} == {hit.intent.id for hit in hits[0]}
            assert [hit.score for hit in theirs] == pytest.approx([hit.score for hit in hits[0]], abs=1e-8)
        return hits[0]

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        return iter(self._same(lambda each: list(each.entries(since))))

    def trail(self, id: IntentId) -> list[Entry]:
        return self._same(lambda each: each.trail(id))  # type: ignore[no-any-return]  # as above

    def commit(self, id: str) -> Commit | None:
        return self._same(lambda each: each.commit(id))  # type: ignore[no-any-return]  # as above

    @property
    def revision(self) -> Revision:
        return self._same(lambda each: each.revision)  # type: ignore[no-any-return]  # as above

    def verify(self) -> Iterator[Problem]:
        return iter(self._same(lambda each: list(each.verify())))

    def facts(self) -> Mapping[str, Any]:
        return {"kind": "side by side"}


def _said(ask: Callable[[Any], Any], storage: Any) -> Any:
    try:
        return ask(storage)
    except IntentStoreError as error:
        return error


def test_in_any_order_of_acts_they_agree() -> None:
    run_state_machine_as_test(
        machine_for(SideBySide),
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.slow
def test_the_real_goals_are_the_same_on_postgresql_as_on_sqlite(tmp_path: Path) -> None:
    url = new_database()
    with open_graph(f"sqlite:{tmp_path}/goals.db") as lite, open_graph(url) as server:
        for graph in (lite, server):
            import_real(graph)
        assert _answers(server, tmp_path / "server") == _answers(lite, tmp_path / "lite")
        assert server.verify().ok
        with open_graph(url, graph="another") as other:
            assert list(other.each()) == []
            assert other.revision == 0


def _answers(graph: IntentGraph, folder: Path) -> list[Any]:
    folder.mkdir()
    export_from(graph, folder / "out.jsonl", format="beads")
    storage: IntentStorage = graph.storage
    assert isinstance(storage, SearchesText)
    return [
        [intent.id for intent in graph.ready(limit=10_000)],
        [
            [intent.id for intent in graph.each(sort=sort)]
            for sort in ("-priority", "goal", "updated_at", "connections")
        ],
        [
            [intent.id for intent in graph.each(IntentFilter(text=text, status={"active"}))]  # type: ignore[arg-type]  # made a set
            for text in ("agent", "fix test")
        ],
        [
            [(hit.intent.id, hit.score) for hit in storage.search(parse(text), 50)]
            for text in ("flaky tests", "daemon", "sync the database", "a", "JSON exp*", '"unit tests" -goal:fix')
        ],
        graph.count(),
        (folder / "out.jsonl").read_bytes(),
    ]
