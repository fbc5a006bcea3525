"""Claims about what a storage may do by itself: it finds what looking at everything would find, after every change."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ..graph.ready import Plan, urgency
from ..graph.traverse import below, refuse_cycles
from ..ground.change import Batch, Change, Drop, Link, Put, Unlink
from ..ground.errors import AlreadyThere, CycleRefused
from ..ground.protocol import Compacts, FindsBelow, FindsReady, IntentStorage
from ..ground.query import IntentFilter, Page, Sort, Walk
from ..ground.types import Edge, EdgeType, Intent, IntentStatus
from .base import Claims, needs
from .samples import NOON

_TYPES = ("depends_on", "blocks", "is_subgoal_of", "related_to")
_LARGEST = 10_000


class PowerClaims(Claims):
    """Native answers against the general path, on graphs that grow and shrink by lot."""

    @needs("finds_ready")
    def test_what_is_free_is_what_looking_at_everything_finds(self, storage: IntentStorage) -> None:
        assert isinstance(storage, FindsReady)
        for step, _ in enumerate(_changes(storage, seed=7, steps=150)):
            if step % 3 == 0:
                for leaves_only in (True, False):
                    expected = _free(storage, leaves_only=leaves_only)
                    assert storage.next_free(None, limit=_LARGEST, leaves_only=leaves_only) == expected

    @needs("finds_ready")
    def test_free_intents_are_told_page_by_page_whatever_became_of_the_last(self, storage: IntentStorage) -> None:
        assert isinstance(storage, FindsReady)
        for _ in _changes(storage, seed=11, steps=80):
            pass
        whole = storage.next_free(None, limit=_LARGEST, leaves_only=False)
        assert len(whole) > 2
        told: list[Intent] = []
        while block := storage.next_free(told[-1] if told else None, limit=2, leaves_only=False):
            told += block
        assert told == whole
        storage.apply(Batch(changes=(Drop(id=whole[1].id),), at=NOON))
        rest = storage.next_free(whole[1], limit=_LARGEST, leaves_only=False)
        assert {intent.id for intent in whole[2:]} <= {intent.id for intent in rest}

    @needs("finds_below")
    def test_everything_below_is_what_walking_down_finds(self, storage: IntentStorage) -> None:
        for step, _ in enumerate(_changes(storage, seed=3, steps=120)):
            if step % 5 == 0:
                held = _all(storage)[:8]
                assert isinstance(storage, FindsBelow)
                for intent in held:
                    for depth in (None, 0, 1, 2):
                        expected = storage.fetch(below(storage, intent.id, depth))
                        assert storage.below(intent.id, depth) == expected
        assert isinstance(storage, FindsBelow)
        assert storage.below("nobody", None) == []

    @needs("finds_below")
    def test_everything_below_is_found_where_nobody_asked_before(self, storage: IntentStorage, tmp_path: Any) -> None:
        for _ in _changes(storage, seed=13, steps=80):
            pass
        expected = {intent.id: storage.fetch(below(storage, intent.id)) for intent in _all(storage)}
        assert any(expected.values())
        if isinstance(storage, Compacts):
            storage.compact()
        asked = self.reopen(storage, tmp_path) if storage.capabilities.persistent else storage
        assert isinstance(asked, FindsBelow)
        assert {id: asked.below(id) for id in expected} == expected

    @needs("finds_ready", "multi_process")
    def test_what_another_writes_is_free_or_not_at_once(self, storage: IntentStorage, tmp_path: Any) -> None:
        other = self.make(tmp_path)
        other.open()
        assert isinstance(storage, FindsReady)
        for step, _ in enumerate(_changes(other, seed=5, steps=60)):
            if step % 4 == 0:
                expected = _free(storage, leaves_only=True)
                assert storage.next_free(None, limit=_LARGEST, leaves_only=True) == expected
        other.close()

    @needs("finds_ready", "persistent")
    def test_what_is_free_outlives_the_opener(self, storage: IntentStorage, tmp_path: Any) -> None:
        assert isinstance(storage, FindsReady)
        changes = _changes(storage, seed=9, steps=60)
        for _ in range(30):
            next(changes)
        storage.next_free(None, limit=1, leaves_only=True)
        for _ in changes:
            pass
        again = self.reopen(storage, tmp_path)
        with contextlib.closing(again):
            self._check_free(again)

    def _check_free(self, again: IntentStorage) -> None:
        expected = _free(again, leaves_only=True)
        assert isinstance(again, FindsReady)
        assert again.next_free(None, limit=_LARGEST, leaves_only=True) == expected


def _changes(storage: IntentStorage, *, seed: int, steps: int) -> Iterator[None]:
    """Changes the storage by lot, a batch a step."""
    lot = random.Random(seed)  # noqa: S311  a lot that falls the same each time
    for step in range(steps):
        changes = [each for _ in range(lot.choice((1, 1, 3))) for each in _change(storage, lot, step)]
        try:
            storage.apply(Batch(changes=tuple(changes), at=NOON), guard=refuse_cycles)
        except (CycleRefused, AlreadyThere):
            pass
        except Exception as error:  # noqa: BLE001  two changes of one lot may exclude each other
            if type(error).__name__ not in ("IntentMissing", "EdgeMissing"):
                pytest.fail(repr(error))
        yield


def _change(storage: IntentStorage, lot: random.Random, step: int) -> Iterator[Change]:
    there = _all(storage)
    what = lot.choice(("put", "move", "move", "link", "link", "link", "unlink", "drop")) if len(there) > 4 else "put"
    if what == "put":
        born = NOON + timedelta(hours=lot.randrange(4))
        status = lot.choice(tuple(IntentStatus)) if lot.random() < 0.3 else IntentStatus.ACTIVE
        name = f"i{step}-{lot.randrange(99)}"
        yield Put(
            intent=Intent(
                id=name, goal=name, status=status, priority=lot.randrange(3), created_at=born, updated_at=born
            )
        )
    elif what == "move":
        intent = lot.choice(there)
        yield Put(intent=intent.replace(status=lot.choice(tuple(IntentStatus)), priority=lot.randrange(3)))
    elif what == "link":
        a, b = lot.sample(there, 2)
        yield Link(edge=Edge(source=a.id, type=EdgeType(lot.choice(_TYPES)), target=b.id), expected=0)
    elif what == "unlink":
        edges = storage.neighbours([intent.id for intent in there], Walk())
        for edge in lot.sample(edges, min(1, len(edges))):
            yield Unlink(source=edge.source, type=edge.type, target=edge.target)
            if lot.random() < 0.3:
                yield Link(edge=edge)
    else:
        yield Drop(id=lot.choice(there).id)


def _all(storage: IntentStorage) -> list[Intent]:
    return list(storage.select(IntentFilter(), Page(sort=Sort("id"), limit=_LARGEST)).intents)


def _free(storage: IntentStorage, *, leaves_only: bool) -> list[Intent]:
    active = [intent for intent in _all(storage) if intent.status is IntentStatus.ACTIVE]
    plan = Plan(storage, active, now=NOON, held=())
    found = [
        intent
        for intent in active
        if not plan.unsettled(intent.id)
        and not (leaves_only and any(r.kind == "subgoal" for r in plan.because(intent, leaves_only=True)))
    ]
    return sorted(found, key=urgency)
