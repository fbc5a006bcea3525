"""What else must move when something moves: parents that are reached, dependants that fail or fall asleep and wake.

Pure: from the state after a commit and what it did, to the changes it still lacks. Each intent moves at most once, so
that no circle keeps it going; what somebody has claimed is left to its holder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from ..ground.change import Change, Note, Put
from ..ground.protocol import Reader
from ..ground.query import Direction, Walk
from ..ground.types import OPEN, ORDERING, SETTLED, Edge, Intent, IntentId, IntentStatus
from .lifecycle import MOVES
from .policy import Cascade, Policy
from .traverse import DOWNWARD, UPWARD, arrow

ASLEEP_FOR = "suspended_for"
"""The entry of a suspended intent's metadata that names whom it waits for; a cascade wrote it, and takes it away."""
_WAITING = Walk(types=ORDERING, direction=Direction.BOTH)
_S = IntentStatus
_WORKING = frozenset({_S.ACTIVE, _S.EXECUTING})


def modes(policies: Iterable[Policy]) -> dict[str, str]:
    """Returns how each cascade is to go: automatic where any policy says so, else suggest; off ones are left out."""
    found: dict[str, str] = {}
    for policy in policies:
        if type(policy) is Cascade and policy.mode != "off" and found.get(policy.what) != "automatic":
            found[policy.what] = policy.mode
    return found


def lacking(
    after: Reader, moved: Sequence[Intent], given: Sequence[Change], asked: Mapping[str, str], *, at: datetime
) -> list[Change]:
    """Returns the changes that the cascades add to a commit which moved these intents; none when it is complete."""
    wave = _Wave(after, moved, asked, at)
    while wave.level:
        wave.roll()
    told = {(change.id, change.text) for change in given if type(change) is Note}
    return [change for change in wave.changes if type(change) is not Note or (change.id, change.text) not in told]


class _Wave:
    def __init__(self, after: Reader, moved: Sequence[Intent], asked: Mapping[str, str], at: datetime) -> None:
        self._after, self._asked, self._at = after, asked, at
        self._now: dict[IntentId, Intent] = {intent.id: intent for intent in moved}
        self._fixed = set(self._now)
        self.level: list[Intent] = list(moved)
        self.changes: list[Change] = []

    def roll(self) -> None:
        """Goes one step: from those that moved last to those that move because of them."""
        level, self.level = self.level, []
        for what, find in (
            ("complete_parents", self._reached),
            ("fail_dependants", self._failing),
            ("suspend_dependants", self._sleeping),
            ("suspend_dependants", self._waking),
        ):
            if what in self._asked:
                for intent, status, because in find(level):
                    self._move(intent, status, because, mode=self._asked[what])

    def _move(self, intent: Intent, status: IntentStatus, because: IntentId, *, mode: str) -> None:
        if intent.id in self._fixed or intent.claim is not None or status not in MOVES[intent.status]:
            return
        self._fixed.add(intent.id)
        if mode == "suggest":
            self.changes.append(Note(id=intent.id, text=f"suggested: {status}, because of {because}"))
            return
        metadata = {key: value for key, value in intent.metadata.items() if key != ASLEEP_FOR}
        if status is _S.SUSPENDED:
            metadata[ASLEEP_FOR] = because
        moved = intent.replace(status=status, metadata=metadata, updated_at=self._at)
        self._now[intent.id] = moved
        self.changes.append(Put(intent=moved, expected=intent.revision))
        self.level.append(moved)

    def _fetch(self, ids: Iterable[IntentId]) -> dict[IntentId, Intent]:
        wanted = list(dict.fromkeys(ids))
        unknown = [id for id in wanted if id not in self._now]
        found = {i.id: i for i in (self._after.fetch(unknown) if unknown else ()) if i is not None}
        return found | {id: self._now[id] for id in wanted if id in self._now}

    def _reached(self, level: list[Intent]) -> Iterator[tuple[Intent, IntentStatus, IntentId]]:
        settled = {intent.id for intent in level if intent.status in SETTLED}
        above = list(self._after.neighbours(sorted(settled), UPWARD)) if settled else []
        because = {edge.target: edge.source for edge in reversed(above)}
        parents = {id: i for id, i in self._fetch(because).items() if i.status in _WORKING}
        families: dict[IntentId, list[IntentId]] = {}
        for edge in self._after.neighbours(sorted(parents), DOWNWARD) if parents else ():
            families.setdefault(edge.target, []).append(edge.source)
        children = self._fetch(child for family in families.values() for child in family)
        for id, family in families.items():
            statuses = [children[child].status for child in family if child in children]
            if _S.COMPLETED in statuses and all(status in SETTLED for status in statuses):
                yield parents[id], _S.COMPLETED, because[id]

    def _failing(self, level: list[Intent]) -> Iterator[tuple[Intent, IntentStatus, IntentId]]:
        for waiter, awaited in self._waiters(level, frozenset({_S.FAILED})):
            if waiter.status in OPEN:
                yield waiter, _S.FAILED, awaited

    def _sleeping(self, level: list[Intent]) -> Iterator[tuple[Intent, IntentStatus, IntentId]]:
        for waiter, awaited in self._waiters(level, frozenset({_S.FAILED, _S.SUSPENDED})):
            if waiter.status in _WORKING:
                yield waiter, _S.SUSPENDED, awaited

    def _waking(self, level: list[Intent]) -> Iterator[tuple[Intent, IntentStatus, IntentId]]:
        for waiter, awaited in self._waiters(level, _WORKING | SETTLED):
            if waiter.status is _S.SUSPENDED and waiter.metadata.get(ASLEEP_FOR) == awaited:
                yield waiter, _S.ACTIVE, awaited

    def _waiters(self, level: list[Intent], statuses: frozenset[IntentStatus]) -> Iterator[tuple[Intent, IntentId]]:
        moved = {intent.id for intent in level if intent.status in statuses}
        edges: list[Edge] = self._after.neighbours(sorted(moved), _WAITING) if moved else []
        pairs = [pair for pair in map(arrow, edges) if pair[1] in moved]
        waiters = self._fetch(waiter for waiter, _ in pairs)
        for waiter, awaited in pairs:
            if waiter in waiters:
                yield waiters[waiter], awaited
