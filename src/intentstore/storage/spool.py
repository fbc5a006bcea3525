"""Writes that wait for their store, each an intent of a graph of its own: active while it waits, failed once refused.

Over any storage: memory, where they end with the process, or a file store, where they are as safe as any write. Being
ordinary intents they can be listed, backed up and mended with the ordinary means. Knows no store but its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ..codec import decode_commit, encode_commit
from ..ground.change import PROVISIONAL, Batch, Commit, Drop, Put
from ..ground.errors import FieldInvalid, Full, IntentStoreError
from ..ground.identity import uuid7
from ..ground.protocol import IntentStorage, Unreplayed
from ..ground.query import MAX_PAGE, IntentFilter, Page, Sort
from ..ground.types import MAX_GOAL_BYTES, MAX_INTENT_BYTES, Intent, IntentStatus, Revision
from ..ground.values import Map

LIMIT = 10_000
"""Writes that may wait."""
LIMIT_BYTES = 256 << 20
_PIECE = MAX_INTENT_BYTES // 4
"""Characters of a batch in one intent; escaped and in UTF-8 they may be three times as many bytes."""
_LABEL, _PIECES = "spooled", "spooled-piece"
_OLDEST = Sort("created_at")


class Waiting(msgspec.Struct, frozen=True):
    """A write that waits: the batch as it was asked for, the revision it was given meanwhile, and its record.

    ``after``: for each provisional revision that the batch expects, the id of the commit that has it.
    """

    batch: Batch
    revision: Revision
    after: dict[Revision, str]
    record: Intent


class Spool:
    """Keeps writes in order until they are done with. ``store`` names the store they are for; another's are refused."""

    def __init__(
        self,
        storage: IntentStorage,
        *,
        store: str,
        where: str,
        exclusive: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
        limit: int = LIMIT,
    ) -> None:
        self.storage, self.where, self.exclusive = storage, where, exclusive
        self._store, self._limit = store, limit
        self._bytes = 0

    @property
    def durable(self) -> bool:
        """Whether what waits outlives this process."""
        return self.storage.capabilities.persistent

    def open(self) -> None:
        """Opens the storage; refuses one that holds writes for another store."""
        self.storage.open()
        for status in (IntentStatus.ACTIVE, IntentStatus.FAILED):
            for record in self._records(status):
                meant = record.metadata["store"]
                if meant != self._store:
                    self.storage.close()
                    raise FieldInvalid(
                        "fallback",
                        f"{self.where} holds writes for {meant}, not for {self._store}",
                        hint="name another directory, or open that store with this one to bring it its writes",
                    )

    def close(self) -> None:
        """Lets go of the storage."""
        self.storage.close()

    def add(self, batch: Batch, *, after: dict[Revision, str], check: Callable[[], None]) -> Revision:
        """Keeps a batch, which has an id, and returns the revision it gets. ``check`` may refuse, inside the write."""
        assert batch.id is not None
        text = encode_commit(
            Commit(revision=0, id=batch.id, at=batch.at, actor=batch.actor, reason=batch.reason, changes=batch.changes)
        ).decode()
        self._check_room(len(text))
        pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
        further = [_piece(piece, batch.at) for piece in pieces[1:]]
        record = Intent(
            id=batch.id,
            goal=_summary(batch),
            labels=(_LABEL,),
            created_at=batch.at,
            updated_at=batch.at,
            metadata=Map(
                {
                    "store": self._store,
                    "batch": pieces[0],
                    "pieces": tuple(piece.id for piece in further),
                    "after": tuple((revision, commit) for revision, commit in after.items()),
                }
            ),
        )
        before = self.storage.fetch((record.id,))[0]  # refused once, and now asked for again
        puts = [Put(intent=piece, expected=0) for piece in further]
        puts.append(Put(intent=record, expected=0 if before is None else before.revision))
        # Not under the batch's own id: once done with, the same may come to wait again.
        made = self.storage.apply(Batch(changes=tuple(puts), at=batch.at), guard=lambda *_: check())
        self._bytes += len(text)
        return PROVISIONAL + made.revision

    def _check_room(self, size: int) -> None:
        waiting = self.count()
        if waiting >= self._limit or self._bytes + size > LIMIT_BYTES:
            raise Full(
                f"{waiting} writes wait in {self.where} for {self._store}, and no more may",
                hint="bring the store back, or open it with a larger limit: file:DIR?limit=N",
                waiting=waiting,
                limit=self._limit,
            )

    def count(self) -> int:
        """Returns how many writes wait."""
        return sum(self.storage.count(_spooled(IntentStatus.ACTIVE)).values())

    @property
    def revision(self) -> Revision:
        """The provisional revision of the last thing that happened here."""
        return PROVISIONAL + self.storage.revision

    def waiting(self, since: Revision = 0) -> list[Waiting]:
        """Returns the writes that came to wait after a provisional revision, in the order in which they came."""
        found = [each for each in self._records(IntentStatus.ACTIVE) if PROVISIONAL + each.revision > since]
        return [self._read(record) for record in sorted(found, key=lambda record: record.revision)]

    def find(self, id: str) -> Waiting | None:
        """Returns the write with this commit id, if it waits."""
        record = self.storage.fetch((id,))[0]
        return self._read(record) if record is not None and record.status is IntentStatus.ACTIVE else None

    def conflicts(self) -> tuple[Unreplayed, ...]:
        """Returns the writes that were refused, oldest first."""
        return tuple(map(self._unreplayed, self._records(IntentStatus.FAILED)))

    def _unreplayed(self, record: Intent) -> Unreplayed:
        batch = self._read(record).batch
        return Unreplayed(
            commit=record.id,
            at=batch.at,
            changes=batch.changes,
            actor=batch.actor,
            reason=batch.reason,
            kind=record.metadata["kind"],
            message=record.metadata["message"],
        )

    def done(self, those: Sequence[Waiting], *, at: datetime) -> None:
        """Lets writes go that are done with. Another process may have let some go already."""
        there = self.storage.fetch([each.record.id for each in those])
        gone = [id for record in there if record is not None for id in (record.id, *record.metadata["pieces"])]
        if gone:
            self.storage.apply(Batch(changes=tuple(Drop(id=id) for id in gone), at=at, reason="done"))

    def refused(self, one: Waiting, error: Exception, *, at: datetime) -> None:
        """Keeps a write as refused, with the reason."""
        message = error.message if isinstance(error, IntentStoreError) else f"{type(error).__name__}: {error}"
        failed = one.record.replace(
            status=IntentStatus.FAILED,
            updated_at=at,
            metadata=one.record.metadata.with_(kind=type(error).__name__, message=message),
        )
        put = Put(intent=failed, expected=one.record.revision)
        self.storage.apply(Batch(changes=(put,), at=at, reason=message[:1000]))

    def _records(self, status: IntentStatus) -> Iterator[Intent]:
        after: str | None = None
        while True:
            page = self.storage.select(_spooled(status), Page(sort=_OLDEST, limit=MAX_PAGE, after=after))
            yield from page.intents
            after = page.next
            if after is None:
                return

    def _read(self, record: Intent) -> Waiting:
        told = record.metadata
        pieces = [told["batch"]]
        pieces.extend(piece.metadata["batch"] for piece in self.storage.fetch(told["pieces"]) if piece is not None)
        commit = decode_commit("".join(pieces))
        batch = Batch(changes=commit.changes, at=commit.at, id=commit.id, actor=commit.actor, reason=commit.reason)
        return Waiting(batch, PROVISIONAL + record.revision, dict(told["after"]), record)


def _spooled(status: IntentStatus) -> IntentFilter:
    return IntentFilter(status=frozenset({status}), labels_all=frozenset({_LABEL}))


def _piece(text: str, at: datetime) -> Intent:
    return Intent(
        id=uuid7(),
        goal="a further piece of a long write",
        status=IntentStatus.ARCHIVED,
        labels=(_PIECES,),
        created_at=at,
        updated_at=at,
        metadata=Map({"batch": text}),
    )


def _summary(batch: Batch) -> str:
    """Returns what the batch does, for a person who looks into the spool."""
    if not batch.changes:
        return "nothing"
    first: Any = batch.changes[0]
    what = type(first).__name__.lower()
    match first:
        case Put():
            what = f"put {first.intent.id}: {first.intent.goal}"
        case Drop():
            what = f"drop {first.id}"
    more = f" (and {len(batch.changes) - 1} more)" if len(batch.changes) > 1 else ""
    return f"{' '.join(what.split())[: MAX_GOAL_BYTES // 300]}{more}"
