"""The one way from changes to a commit: everything that may refuse them or add to them, inside the write.

Guards see the state before and after while nobody else can write: circles are refused, claims kept, policies and the
process's own guards heeded. What cascades add is found there too, and applied with the rest as one commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from ..ground.change import MAX_CHANGES, Batch, Change, Commit, Define, Guard, Put
from ..ground.errors import Conflict, FieldInvalid, LeaseHeld, StaleRevision
from ..ground.protocol import IntentStorage, Reader
from ..ground.types import Intent, IntentStatus, check_name
from ..ground.values import Map
from . import claims
from .cascade import lacking
from .guards import Guards
from .policies import PREFIX, Policies, judge
from .proposed import APPROVAL, Act, Proposed
from .traverse import refuse_cycles

_TRIES = 20
_WORKING = frozenset({IntentStatus.ACTIVE, IntentStatus.EXECUTING})


class _Unfinished(Exception):
    """The cascades add these changes; never seen outside."""

    def __init__(self, changes: list[Change]) -> None:
        super().__init__("the commit lacks what its cascades add")
        self.changes = changes


class Writer:
    """Commits changes to one storage under everything that guards it. Safe to share between threads."""

    def __init__(self, storage: IntentStorage, clock: Callable[[], datetime], leases: claims.Leases) -> None:
        self._storage, self._clock, self._leases = storage, clock, leases
        self.guards = Guards()
        self.wrote = False
        self._policies, self._coming = Policies(), Policies()

    def commit(
        self,
        changes: tuple[Change, ...],
        acting: claims.Acting,
        *,
        reason: str | None,
        commit_id: str | None = None,
        holder: claims.Holder | None = None,
        extra: Guard | None = None,
    ) -> Commit:
        """Applies the changes as one commit. ``holder`` None: the claims are not asked (``extra`` minds them)."""
        at = self._clock()
        if acting.approver is not None:
            changes = (*changes, approval(acting.approver))
        added: tuple[Change, ...] = ()
        self.wrote = True
        for _ in range(_TRIES):
            batch = Batch(changes=changes + added, at=at, id=commit_id, actor=acting.actor, reason=reason)
            try:
                return self._storage.apply(batch, guard=self.guard(batch, holder, extra))
            except _Unfinished as unfinished:
                added = _together(changes, added, unfinished.changes)
            except StaleRevision as stale:
                if stale.fields.get("id") not in {change.subject for change in added}:
                    raise
                added = ()
        raise Conflict("others kept changing what this commit's cascades move", hint="try again", tries=_TRIES)

    def guard(self, batch: Batch, holder: claims.Holder | None, extra: Guard | None = None) -> Guard:
        """Returns what sees this batch inside the write."""

        def guard(before: Reader, after: Reader, changes: Sequence[Change]) -> None:
            refuse_cycles(before, after, changes)
            proposed = Proposed(before, after, changes, at=batch.at, actor=batch.actor, reason=batch.reason)
            if holder is not None:
                self._keep_claims(proposed, holder)
            if extra is not None:
                extra(before, after, changes)
            self.judge(proposed, holder, cascades=True)

        return guard

    def replaying(self) -> Callable[[Commit], Guard | None]:
        """Returns what gives each commit of a log, in order, the guard that it must pass to be taken over.

        History is judged by the policies that were in force when it was made, and by the guards of this process.
        Circles and claims were minded then; nothing is added.
        """
        bound = bool(self._storage.definitions(PREFIX))

        def guard_of(commit: Commit) -> Guard | None:
            nonlocal bound
            if commit.folded:  # what is left of it: its deeds were judged when they were done
                return None
            bound = bound or any(type(c) is Define and c.name.startswith(PREFIX) for c in commit.changes)
            return partial(self._take_over, commit) if bound or self.guards else None

        return guard_of

    def _take_over(self, commit: Commit, before: Reader, after: Reader, changes: Sequence[Change]) -> None:
        proposed = Proposed(before, after, changes, at=commit.at, actor=commit.actor, reason=commit.reason)
        self.judge(proposed, None, cascades=False)

    def judge(self, proposed: Proposed, holder: claims.Holder | None, *, cascades: bool) -> None:
        """Heeds the policies in force before the commit, and the process's own guards; those to come must be read."""
        policies = self._policies.read(proposed.before.definitions(PREFIX))
        if any(type(change) is Define and change.name.startswith(PREFIX) for change in proposed.changes):
            coming = self._coming.read(proposed.after.definitions(PREFIX))
        else:
            coming = policies
        if policies.judged:
            judge(proposed, policies, claimed=lambda act: self._holds(act, holder))
        if self.guards:
            self.guards.judge(proposed)
        if cascades and coming.cascades:
            moved = [act.after for act in proposed.acts if act.after is not None and _stirs(act)]
            asked = coming.cascades
            more = lacking(proposed.after, moved, proposed.changes, asked, at=proposed.at) if moved else []
            if more:
                raise _Unfinished(more)

    def _holds(self, act: Act, holder: claims.Holder | None) -> bool:
        if act.before is None:
            return False
        if holder is None:  # taken over from a log: leases are not in it, but claims are
            return act.before.claim is not None or act.kind == "claim"
        if not claims.held_by(act.before, holder):
            # who claims, or lets another's lapsed claim go, holds nothing before, but does so rightly
            return act.kind == "claim"
        return act.before.id in self._leases.live([act.before])

    def _keep_claims(self, proposed: Proposed, holder: claims.Holder) -> None:
        """Lets only the holder move, renew or let go of what is claimed; nobody gives a claim by hand."""
        changed = [change.intent for change in proposed.changes if type(change) is Put and change.before]
        if not changed:
            return
        there = {i.id: i for i in proposed.before.fetch([intent.id for intent in changed]) if i is not None}
        touched = []
        for intent in changed:
            was = there.get(intent.id)
            there[intent.id] = intent
            if was is not None and (was.status is not intent.status or was.claim != intent.claim):
                if intent.claim != was.claim and intent.claim is not None:
                    _refuse_by_hand(was, intent)
                touched.append(was)
        live = self._leases.live(touched)
        for was in touched:
            claims.check_holder(was, holder, live=was.id in live)


def _stirs(act: Act) -> bool:
    """True for what may move others: a move, or a new intent that does not begin its life as others do."""
    return act.kind == "move" or (act.kind == "store" and act.after is not None and act.after.status not in _WORKING)


def _refuse_by_hand(before: Intent, after: Intent) -> None:
    mine, theirs = before.claim, after.claim
    if theirs is not None and (mine is None or (mine.owner, mine.token) != (theirs.owner, theirs.token)):
        raise FieldInvalid("claim", "cannot be set by hand", hint="claim the intent: graph.claim(id, owner=…)")


def approval(approver: str) -> Define:
    """Returns the change by which a commit carries who approved it."""
    return Define(name=APPROVAL, value=Map({"by": check_name(approver, "approver")}))


def _together(changes: tuple[Change, ...], added: tuple[Change, ...], more: list[Change]) -> tuple[Change, ...]:
    """Returns all that is to be added; a second change of an intent in one commit compares with nothing."""
    mine = {change.subject for change in (*changes, *added)}
    found = (
        *added,
        *(msgspec.structs.replace(c, expected=None) if type(c) is Put and c.subject in mine else c for c in more),
    )
    if len(changes) + len(found) > MAX_CHANGES:
        raise Conflict(
            f"the cascades of this commit make more than {MAX_CHANGES} changes", hint="move fewer intents at once"
        )
    return found


def taking(leases: claims.Leases, now: datetime, *, leaves_only: bool) -> Guard:
    """Returns the guard of a commit that claims: nobody else holds the intent, and it may be worked on."""
    from .ready import waits

    def guard(before: Reader, after: Reader, changes: Sequence[Change]) -> None:
        (change,) = [each for each in changes if type(each) is Put]
        (was,) = before.fetch([change.intent.id])
        assert was is not None  # the change expects its revision
        if was.status not in _WORKING or was.id in leases.live([was]):
            owner = was.claim.owner if was.claim is not None else None
            raise LeaseHeld(
                f"intent {was.id} is {was.status}" + (f" and claimed by {owner}" if owner else ""),
                hint="claim another, or wait for the lease to end",
                id=was.id,
                owner=owner,
            )
        reasons = waits(after, change.intent, now=now, leaves_only=leaves_only)
        if reasons:
            told = ", ".join(f"{each.kind} {each.id}" for each in reasons)
            raise Conflict(f"intent {was.id} is not ready: {told}", hint="intent blocked lists the reasons", id=was.id)

    return guard
