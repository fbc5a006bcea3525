"""The present state as a log of its own: what a backup without history carries.

Knows the log it reads; has never heard of a file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import msgspec

from ..ground.change import NO_HEAD, Batch, Commit, Define, Drop, Head, Note, Put, Subject, Unlink
from ..ground.protocol import IntentStorage
from ..ground.query import Walk
from ..ground.types import Edge, EdgeKey, Intent, IntentId, Revision
from ..storage.ledger import settle


class _Blank:
    """A state in which everything may be linked and nothing has a past: what a fresh log is settled against."""

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        return cast("list[Intent | None]", [True] * len(ids))

    def linked(self, keys: Sequence[EdgeKey]) -> list[Edge | None]:
        return [None] * len(keys)

    def heads(self, subjects: Sequence[Subject]) -> list[Head]:
        return [NO_HEAD] * len(subjects)

    def neighbours(self, ids: Sequence[IntentId], walk: Walk) -> list[Edge]:  # noqa: ARG002  a protocol's arguments
        return []

    def definitions(self, prefix: str = "") -> dict[str, Any]:  # noqa: ARG002  a protocol's argument
        return {}


def present_state(storage: IntentStorage) -> Iterator[Commit]:
    """Yields a fresh log whose end is the state as it is now: intents first, each as last put, then all else.

    Reads the log three times, so that writers do not tear the state; holds a number for each subject.
    """
    until = storage.revision
    last: dict[Subject, Revision] = {}
    for commit in _until(storage, until):
        last.update((change.subject, commit.revision) for change in commit.changes if type(change) is not Note)
    revision = 0
    for intents in (True, False):
        for commit in _until(storage, until):
            kept = tuple(
                msgspec.structs.replace(change, before=0, prev="", expected=None)
                for change in _standing(commit.changes)
                if (type(change) is Put) is intents and last[change.subject] == commit.revision
            )
            if kept:
                revision += 1
                batch = Batch(changes=kept, at=commit.at, id=f"state-{revision}", actor=commit.actor, revision=revision)
                yield settle(batch, _Blank(), last=revision - 1, new_id=str, guard=None).commit


def _until(storage: IntentStorage, until: Revision) -> Iterator[Commit]:
    return itertools.takewhile(lambda commit: commit.revision <= until, storage.entries())


def _standing(changes: Iterable[Any]) -> list[Any]:
    """Returns the last change of each subject in one commit, where it leaves something."""
    final = {change.subject: change for change in changes if type(change) is not Note}
    return [change for change in final.values() if not _removes(change)]


def _removes(change: Any) -> bool:
    return isinstance(change, Drop | Unlink) or (isinstance(change, Define) and change.value is None)
