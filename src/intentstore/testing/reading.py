"""Claims on what comes back: by id, by edge, value for value, whatever the text."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ..codec import encode_intent
from ..graph.traverse import levels
from ..ground.change import Link, Put
from ..ground.protocol import Descends, IntentStorage, ListsGraphs
from ..ground.query import Direction, IntentFilter, Walk, same_value
from ..ground.types import Claim, Edge, EdgeType, Intent, IntentStatus
from ..ground.values import Code, Keyword
from .base import Claims, needs
from .samples import HOSTILE, LINE_BREAKERS, NOON, VALUES, a_batch, an_intent, edges, ids, link, one, plain, put


def whole_intent(id: str = "whole") -> Intent:
    """Returns an intent with every field set."""
    return Intent(
        id=id,
        goal="Ship 1.0 — überall",
        name="ship",
        status=IntentStatus.SUSPENDED,
        priority=-7,
        original_request="please ship it",
        rtfs_source='(intent ship :goal "Ship")',
        constraints={"max-cost": 10.0, "regions": ["eu", Keyword("us")]},  # type: ignore[arg-type]  # frozen by Intent
        preferences={"quiet": True},  # type: ignore[arg-type]  # frozen by Intent
        success_criteria=Code("(fn [r] (> (:score r) 0.9))"),
        session_id="session-1",
        triggered_by="human",
        generation_context={"model": None},  # type: ignore[arg-type]  # frozen by Intent
        labels={"ci", "release"},  # type: ignore[arg-type]  # sorted by Intent
        metadata={"ticket": 42},  # type: ignore[arg-type]  # frozen by Intent
        created_at=NOON,
        updated_at=datetime(2026, 1, 3, tzinfo=UTC),
        claim=Claim(owner="agent-7", token=3, until=NOON),
    )


class ReadingClaims(Claims):
    """What is read is what was written."""

    # --- by id ---

    def test_missing_is_none_in_the_place_of_its_id(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        found = storage.fetch(["b", "x", "a", "b", ""])
        assert [each and each.id for each in found] == ["b", None, "a", "b", None]
        assert storage.fetch([]) == []

    def test_many_ids_are_fetched_at_once(self, storage: IntentStorage) -> None:
        names = [f"i{n:04}" for n in range(1200)]
        put(storage, *names)
        wanted = [*reversed(names), "missing"]
        assert [each and each.id for each in storage.fetch(wanted)] == [*reversed(names), None]

    def test_every_field_comes_back(self, storage: IntentStorage) -> None:
        whole = whole_intent()
        made = put(storage, whole)
        assert encode_intent(one(storage, "whole")) == encode_intent(whole.replace(revision=made.revision))

    @pytest.mark.parametrize("status", IntentStatus)
    def test_every_status_comes_back(self, storage: IntentStorage, status: IntentStatus) -> None:
        put(storage, an_intent("a", status=status))
        assert one(storage, "a").status is status

    def test_extreme_numbers_and_times_come_back(self, storage: IntentStorage) -> None:
        first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
        low = an_intent("low", priority=-(2**63), created_at=first, updated_at=last)
        high = an_intent("high", priority=2**63 - 1, created_at=last, updated_at=first)
        made = put(storage, low, high)
        assert storage.fetch(["low", "high"]) == [each.replace(revision=made.revision) for each in (low, high)]
        assert ids(storage, sort="priority") == ids(storage, sort="created_at") == ["low", "high"]
        assert ids(storage, sort="-priority") == ids(storage, sort="updated_at") == ["high", "low"]

    def test_values_come_back_as_they_were(self, storage: IntentStorage, tmp_path: Path) -> None:
        put(storage, *(an_intent(f"v{at}", metadata={"v": value}) for at, value in enumerate(VALUES)))
        self._check_values(storage)
        if storage.capabilities.persistent:
            again = self.reopen(storage, tmp_path)
            self._check_values(again)
            again.close()

    def _check_values(self, storage: IntentStorage) -> None:
        for at, value in enumerate(VALUES):
            found = one(storage, f"v{at}").metadata["v"]
            assert same_value(found, value), f"{value!r} came back as {found!r}"
            assert _order(found) == _order(value)

    def test_values_that_look_alike_are_kept_apart(self, storage: IntentStorage) -> None:
        put(storage, *(an_intent(f"v{at:02}", metadata={"v": value}) for at, value in enumerate(VALUES)))
        for at, value in enumerate(VALUES):
            found = ids(storage, IntentFilter(metadata=plain(v=value)), "id")
            assert found == [f"v{at:02}"], f"metadata equal to {value!r}"

    def test_any_value_may_be_a_success_criterion(self, storage: IntentStorage) -> None:
        put(storage, *(an_intent(f"v{at}", success_criteria=value) for at, value in enumerate(VALUES)))
        for at, value in enumerate(VALUES):
            assert same_value(one(storage, f"v{at}").success_criteria, value)

    def test_hostile_texts_are_data(self, storage: IntentStorage) -> None:
        whole = [
            an_intent(
                text, text, name=text, labels=[text], session_id=text, triggered_by=text, metadata={text: text},
                claim=Claim(owner=text, token=1, until=NOON),
            )
            for text in HOSTILE
        ]  # fmt: skip
        made = put(storage, *whole, id=HOSTILE[0], actor=HOSTILE[1], reason=HOSTILE[2])
        assert storage.fetch(HOSTILE) == [each.replace(revision=made.revision) for each in whole]
        for text in HOSTILE:
            for where in (
                IntentFilter(ids=frozenset({text})),
                IntentFilter(labels_all=frozenset({text})),
                IntentFilter(labels_any=frozenset({text})),
                IntentFilter(session_id=text),
                IntentFilter(triggered_by=text),
                IntentFilter(claimed_by=text),
                IntentFilter(metadata=plain(**{text: text})),
            ):
                assert ids(storage, where) == [text], where
            assert [each.id for each in storage.fetch([text]) if each] == [text]
            assert len(storage.trail(text)) == 1
            assert sum(storage.count(IntentFilter(goal_contains=text)).values()) >= 1

    def test_hostile_edges_are_data(self, storage: IntentStorage) -> None:
        put(storage, *HOSTILE)
        pairs = list(pairwise(HOSTILE))
        link(storage, *((a, "discovered_from", b) for a, b in pairs))
        assert {edge.key for edge in edges(storage)} == {(a, "discovered_from", b) for a, b in pairs}
        assert storage.neighbours(["%"], Walk(types=frozenset({"discovered_from"}), direction=Direction.OUT))[
            0
        ].key == ("%", "discovered_from", "_")

    def test_text_that_breaks_lines_is_kept(self, storage: IntentStorage, tmp_path: Path) -> None:
        put(storage, an_intent("a", LINE_BREAKERS, name=LINE_BREAKERS), reason=LINE_BREAKERS)
        if storage.capabilities.persistent:
            storage = self.reopen(storage, tmp_path)
        assert (one(storage, "a").goal, one(storage, "a").name) == (LINE_BREAKERS, LINE_BREAKERS)
        assert [commit.reason for commit in storage.entries()] == [LINE_BREAKERS]
        storage.close()

    def test_graph_names_of_any_shape_are_kept_apart(self, tmp_path: Path) -> None:
        names = [*HOSTILE, "a", "A", ".", "..", "a/b", "a%2Fb", "con", "head", "é" * 128]
        for name in names:
            storage = self.make(tmp_path, name)
            storage.open()
            assert storage.revision == 0, f"graph {name!r} is another's"
            put(storage, an_intent("a", f"Of {name}"))
            if isinstance(storage, ListsGraphs):
                assert name in storage.graphs()
            storage.close()

    # --- edges ---

    def test_an_edge_is_seen_from_both_ends(self, storage: IntentStorage) -> None:
        put(storage, "a", "b", "c")
        link(storage, ("a", "depends_on", "b"), ("c", "related_to", "b"))
        tie, kin = ("a", "depends_on", "b"), ("b", "related_to", "c")

        def seen(id: str, direction: Direction) -> list[Any]:
            return [edge.key for edge in storage.neighbours([id], Walk(direction=direction))]

        assert seen("a", Direction.OUT) == seen("a", Direction.BOTH) == [tie]
        assert seen("a", Direction.IN) == []
        assert seen("b", Direction.IN) == seen("b", Direction.BOTH) == [tie, kin]
        assert seen("b", Direction.OUT) == [kin]
        assert seen("c", Direction.OUT) == seen("c", Direction.IN) == seen("c", Direction.BOTH) == [kin]

    def test_edges_come_once_and_in_order(self, storage: IntentStorage) -> None:
        put(storage, *"dcba")
        made = [("d", "blocks", "a"), ("a", "blocks", "b"), ("a", "enables", "b"), ("b", "aa_own_type", "a")]
        link(storage, *made, ("c", "conflicts_with", "a"))
        found = storage.neighbours(["a", "b", "c", "d", "a", "x"], Walk())
        assert [edge.key for edge in found] == sorted([*made, ("a", "conflicts_with", "c")])
        assert storage.neighbours([], Walk()) == []

    def test_a_walk_takes_only_its_types(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        link(storage, ("a", "blocks", "b"), ("a", "enables", "b"), ("b", "own", "a"))
        found = storage.neighbours(["a"], Walk(types=frozenset({"enables", "own"})))
        assert [edge.type for edge in found] == ["enables", "own"]
        assert all(type(edge.type) is EdgeType for edge in found)

    def test_every_field_of_an_edge_comes_back(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        whole = Edge(
            source="a", type=EdgeType("found_by"), target="b", weight=0.25, created_at=NOON,
            metadata=plain(why=Keyword("luck"), n=1.0),
        )  # fmt: skip
        made = storage.apply(a_batch(Link(edge=whole)))
        (found,) = edges(storage)
        assert found == whole.replace(revision=made.revision)
        assert same_value(found.metadata, whole.metadata)

    def test_a_symmetric_edge_is_stored_once(self, storage: IntentStorage) -> None:
        put(storage, "a", "b")
        link(storage, ("b", "conflicts_with", "a"))
        link(storage, ("a", "conflicts_with", "b"))
        assert [edge.key for edge in edges(storage)] == [("a", "conflicts_with", "b")]

    def test_edges_of_many_intents_are_walked_at_once(self, storage: IntentStorage) -> None:
        names = [f"i{n:04}" for n in range(1200)]
        put(storage, "hub", *names)
        link(storage, *((name, "is_subgoal_of", "hub") for name in names))
        assert len(storage.neighbours(["hub"], Walk(direction=Direction.IN))) == 1200
        assert len(storage.neighbours(names, Walk(direction=Direction.OUT))) == 1200

    @needs("descends")
    def test_a_walk_to_the_end_is_the_walk_step_by_step(self, storage: IntentStorage) -> None:
        assert isinstance(storage, Descends)
        luck = Random(2542)  # noqa: S311  no secret
        names = [f"i{n:02}" for n in range(30)]
        put(storage, *names)
        types = ["is_subgoal_of", "depends_on", "related_to", "own_type"]
        ties = {(*luck.sample(names, 2), luck.choice(types)) for _ in range(70)}
        link(storage, *{(min(a, b), t, max(a, b)) if t == "related_to" else (a, t, b) for a, b, t in ties})
        for _ in range(40):
            walk = Walk(types=frozenset(luck.sample(types, luck.randrange(3))), direction=luck.choice(list(Direction)))
            start = luck.sample(names, luck.randrange(1, 4))
            steps = list(levels(_StepByStep(storage), start, walk))
            assert list(levels(storage, start, walk)) == steps
            met = storage.neighbours([*start, *(id for level in steps for id in level)], walk)
            assert storage.descend(start, walk) == [edge.key for edge in met]
        assert storage.descend([], Walk()) == storage.descend(["nope"], Walk()) == []

    # --- facts ---

    def test_the_facts_name_the_place(self, storage: IntentStorage) -> None:
        made = storage.apply(a_batch(Put(intent=an_intent("a"))))
        facts = storage.facts()
        assert facts["kind"]
        assert facts["revision"] == made.revision
        assert facts["durable"] in (True, False)
        assert facts["read_only"] is False


class _StepByStep:
    """A storage that can only take a step at a time."""

    def __init__(self, storage: IntentStorage) -> None:
        self.fetch, self.neighbours, self.definitions = storage.fetch, storage.neighbours, storage.definitions


def _order(value: Any) -> Any:
    """Returns the keys of a map in order, all the way down; equal maps may still differ in it."""
    if hasattr(value, "items"):
        return [(key, _order(item)) for key, item in value.items()]
    return [_order(item) for item in value] if isinstance(value, tuple) else None
