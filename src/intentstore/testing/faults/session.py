"""A life of a store, drawn by a seed: commits of all kinds, several in one sync, compactions, closings, openings.

Every commit has an id of ours; what was acknowledged is said at once, by a word to ``/.ack`` or whoever listens.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

from ...ground.change import Batch, Change, Drop, Link, Note, Put
from ...ground.protocol import Compacts, IntentStorage
from ...ground.types import Edge, EdgeType
from ..samples import LINE_BREAKERS, NOON, an_intent

Acknowledge = Callable[[str], object]


class Subject(NamedTuple):
    """A storage under test: its name, and how one is made, not yet opened, in a directory of its own.

    ``takes_disk``: ``make(place, disk=…)`` puts it on a `Disk` of ours, so that recoveries can lose power too.
    """

    name: str
    make: Callable[..., IntentStorage]
    takes_disk: bool = False


class Session:
    """One life. `run` lives it; afterwards ``storage`` is closed, or what a fault left of it."""

    def __init__(self, subject: Subject, place: Path, *, seed: int, acts: int, acknowledge: Acknowledge) -> None:
        self.subject, self.place = subject, place
        self._luck, self._acts, self._acknowledge = Random(f"session {seed}"), acts, acknowledge
        self._there: list[str] = []
        self._number = 0
        self.storage = subject.make(place)

    def run(self) -> None:
        """Opens, acts so many times, closes."""
        self.storage.open()
        for _ in range(self._acts):
            self._act()
        self.storage.close()

    def _act(self) -> None:
        match self._luck.randrange(12):
            case 0 if isinstance(self.storage, Compacts) and self.storage.capabilities.compacts:
                self.storage.compact()
            case 1:
                self.storage.close()
                self.storage = self.subject.make(self.place)
                self.storage.open()
            case 2 | 3:
                batches = [self._batch() for _ in range(self._luck.randint(2, 4))]
                self.storage.apply_all(batches)
                for batch in batches:
                    self._acknowledge(str(batch.id))
            case _:
                batch = self._batch()
                self.storage.apply(batch)
                self._acknowledge(str(batch.id))

    def _batch(self) -> Batch:
        self._number += 1
        id = f"c{self._number}"
        return Batch(
            changes=tuple(self._changes(id)), at=NOON, id=id, actor="session", reason=self._luck.choice([None, "why"])
        )

    def _changes(self, id: str) -> list[Change]:
        luck = self._luck
        if len(self._there) > 4:
            match luck.randrange(8):
                case 0:
                    gone = self._there.pop(luck.randrange(len(self._there)))
                    return [Drop(id=gone)]
                case 1:
                    return [Note(id=luck.choice(self._there), text=f"seen by {id}")]
                case 2 | 3:
                    a, b = luck.sample(self._there, 2)
                    return [_edge(a, "related_to", b), Put(intent=an_intent(a, f"Changed by {id}"))]
        new = [f"{id}-{n}" for n in range(luck.choice([1, 1, 1, 2, 4]))]
        changes: list[Change] = [Put(intent=an_intent(each, self._goal(each))) for each in new]
        changes += [_edge(after, "depends_on", before) for before, after in pairwise(new)]
        self._there += new
        return changes

    def _goal(self, id: str) -> str:
        size = self._luck.choice([1, 1, 40, 300, 520, 1500, 6000])
        return f"Reach {id} {LINE_BREAKERS} " + "".join(self._luck.choices("abcdefgh λ", k=size))


def _edge(source: str, type: str, target: str) -> Link:
    return Link(edge=Edge(source=source, type=EdgeType(type), target=target, created_at=NOON))
