"""Questions to the whole history: who did what, when, why, with whose approval; how goals of a kind have ended.

Owns an index of the log in this process's memory, by actor, approver and time: three numbers a commit, which follow the
log. The first question reads the log once; every later one costs what has changed, and what it answers.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from msgspec.structs import force_setattr

from ..ground.change import Commit, Define, Drop, Entry, Link, Note, Put, Unlink
from ..ground.errors import FieldInvalid
from ..ground.protocol import IntentStorage
from ..ground.query import microseconds
from ..ground.types import IntentId, IntentStatus, Revision, as_status, check_name
from ..ground.values import check_text, freeze_time, listed
from .log import commits_at, ids_in
from .proposed import approver_of

_KINDS = {"put": Put, "drop": Drop, "link": Link, "unlink": Unlink, "note": Note, "define": Define}
_TOGETHER = 64


class HistoryFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which changes of the history are meant; fields are ANDed, a field left out asks nothing.

    ``since`` is inclusive, ``until`` exclusive. ``does`` names kinds of change (put drop link unlink note define),
    ``status`` the statuses that a put leaves its intent in, ``ids`` the intents it is about, or its edge is at.
    """

    actor: str | None = None
    approver: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: frozenset[IntentId] | None = None
    does: frozenset[str] = frozenset()
    status: frozenset[IntentStatus] = frozenset()
    reason_contains: str | None = None

    def __post_init__(self) -> None:
        for field in ("actor", "approver"):
            if getattr(self, field) is not None:
                check_name(getattr(self, field), field)
        for field in ("since", "until"):
            if getattr(self, field) is not None:
                force_setattr(self, field, freeze_time(getattr(self, field), field))
        if self.ids is not None:
            force_setattr(self, "ids", frozenset(listed(self.ids, "ids")))
        force_setattr(self, "does", frozenset(listed(self.does, "does")))
        for name in self.does:
            if name not in _KINDS:
                raise FieldInvalid("does", f"{name!r} is no kind of change", hint=f"use: {', '.join(_KINDS)}")
        force_setattr(self, "status", frozenset(as_status(name) for name in listed(self.status, "status")))
        if self.reason_contains is not None:
            check_text(self.reason_contains, "reason_contains")

    def entries_of(self, commit: Commit) -> Iterator[Entry]:
        """Yields the changes of a commit that are meant."""
        if not self._means_commit(commit):
            return
        kinds = tuple(_KINDS[name] for name in self.does)
        for change in commit.changes:
            if (
                (not kinds or isinstance(change, kinds))
                and (self.ids is None or not self.ids.isdisjoint(ids_in(change.subject)))
                and (not self.status or (type(change) is Put and change.intent.status in self.status))
            ):
                yield Entry(
                    revision=commit.revision,
                    commit=commit.id,
                    at=commit.at,
                    actor=commit.actor,
                    reason=commit.reason,
                    change=change,
                )

    def _means_commit(self, commit: Commit) -> bool:
        said = self.reason_contains
        return (
            (self.actor is None or commit.actor == self.actor)
            and (self.approver is None or approver_of(commit.changes) == self.approver)
            and (self.since is None or commit.at >= self.since)
            and (self.until is None or commit.at < self.until)
            and (said is None or said.casefold() in (commit.reason or "").casefold())
        )


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """How goals of a kind have ended: how many were looked at, where they stand, how often each status was entered.

    ``failed`` is the share of those that ever failed, 0 to 1; 0 when there are none.
    """

    goals: int
    now: dict[IntentStatus, int]
    entered: dict[IntentStatus, int]
    failed: float


class _Line:
    """Revisions in order of time: two arrays of integers."""

    def __init__(self) -> None:
        self._at, self._revisions = array("q"), array("q")

    def add(self, at: int, revision: Revision) -> None:
        place = len(self._at) if not self._at or at >= self._at[-1] else bisect_right(self._at, at)
        self._at.insert(place, at)
        self._revisions.insert(place, revision)

    def between(self, since: int | None, until: int | None) -> array[int]:
        begin = 0 if since is None else bisect_left(self._at, since)
        end = len(self._at) if until is None else bisect_left(self._at, until)
        return self._revisions[begin:end]


class Recall:
    """Follows one log and finds commits in it. Safe to share between threads."""

    def __init__(self, storage: IntentStorage) -> None:
        self._storage = storage
        self._door = threading.Lock()
        self._seen: Revision = 0
        self._all = _Line()
        self._by: dict[tuple[str, str], _Line] = {}

    def _follow(self) -> None:
        for commit in self._storage.entries(self._seen):
            at = microseconds(commit.at)
            self._all.add(at, commit.revision)
            for role, name in (("actor", commit.actor), ("approver", approver_of(commit.changes))):
                if name is not None:
                    self._by.setdefault((role, name), _Line()).add(at, commit.revision)
            self._seen = commit.revision

    def _candidates(self, where: HistoryFilter) -> array[int]:
        since = None if where.since is None else microseconds(where.since)
        until = None if where.until is None else microseconds(where.until)
        with self._door:
            self._follow()
            lines = [
                self._by.get((role, name), _Line())
                for role, name in (("approver", where.approver), ("actor", where.actor))
                if name is not None
            ]
            return min([each.between(since, until) for each in lines or [self._all]], key=len)

    def find(self, where: HistoryFilter, *, limit: int, before: Revision | None) -> list[Entry]:
        """Returns the changes that are meant, of commits before a revision, the latest in time first."""
        if where.ids is not None and len(where.ids) <= _TOGETHER:
            return self._of_intents(where, limit, before)
        revisions = self._candidates(where)
        found: list[Entry] = []
        end = len(revisions)
        while end and len(found) < limit:
            begin = max(0, end - _TOGETHER)
            some = sorted(each for each in revisions[begin:end] if before is None or each < before)
            for commit in reversed(list(commits_at(self._storage, some))):
                found.extend(where.entries_of(commit))
            end = begin
        return found[:limit]

    def _of_intents(self, where: HistoryFilter, limit: int, before: Revision | None) -> list[Entry]:
        revisions = {
            entry.revision
            for id in sorted(where.ids or ())
            for entry in self._storage.trail(id)
            if before is None or entry.revision < before
        }
        commits = reversed(list(commits_at(self._storage, sorted(revisions))))
        return [entry for commit in commits for entry in where.entries_of(commit)][:limit]


def outcomes(storage: IntentStorage, ids: Iterable[IntentId]) -> Outcomes:
    """Returns how these intents have ended, read from the history of each."""
    now: dict[IntentStatus, int] = {}
    entered: dict[IntentStatus, int] = {}
    goals = failed = 0
    for id in ids:
        goals += 1
        statuses = [e.change.intent.status for e in storage.trail(id) if type(e.change) is Put]
        moves = [status for status, was in zip(statuses, [None, *statuses], strict=False) if status is not was]
        for status in moves:
            entered[status] = entered.get(status, 0) + 1
        if statuses:
            now[statuses[-1]] = now.get(statuses[-1], 0) + 1
        failed += IntentStatus.FAILED in moves
    return Outcomes(goals=goals, now=now, entered=entered, failed=failed / goals if goals else 0.0)
