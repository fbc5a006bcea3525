"""Claims: who works on an intent, until when, and the token that tells a late holder from a live one.

A claim is set and cleared by commits, so the log shows who worked. A renewal only moves its end: it is kept aside,
where the storage can (space ``lease``), and costs no history. The end is measured by the machine's own time since it
was started, which no step of the wall clock moves; where the machine was started anew, or the storage keeps nothing
aside, by the wall clock; where the storage keeps time for all (`KeepsTime`), by that. Owns what a claim allows; whether
an intent is ready is `ready`'s to say.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec

from ..ground.errors import FieldInvalid, LeaseHeld
from ..ground.protocol import IntentStorage, KeepsTime, Reader, keeping_aside
from ..ground.query import microseconds
from ..ground.types import Claim, Intent, IntentId, check_name

Check = Callable[[Reader], None]
"""Raises unless what the reader shows is as it must be."""
Changed = Callable[[Intent], Intent]

SPACE = "lease"
SHORTEST_S, LONGEST_S = 0.05, 7 * 86_400.0


class Moment(msgspec.Struct, frozen=True):
    """Now, twice: by the wall clock, and as seconds since this machine (``boot``) was started, sleep included."""

    wall: datetime
    boot: str
    since_s: float


class Lease(msgspec.Struct, frozen=True):
    """What is kept aside of a claim: until when it runs, on both clocks (microseconds; seconds since the start)."""

    token: int
    until: int
    boot: str
    ends_s: float


class Holder(msgspec.Struct, frozen=True):
    """Who acts on claimed intents in a commit. ``token`` None: whoever holds it under this name."""

    owner: str | None
    token: int | None = None


class Acting(msgspec.Struct, frozen=True):
    """In whose name commits are made: who acts, who approved, and which claim's token is held."""

    actor: str | None = None
    approver: str | None = None
    token: int | None = None

    @property
    def holder(self) -> Holder:
        """Who acts on what is claimed."""
        return Holder(self.actor, self.token)


@cache
def boot_id() -> str:
    """Returns what names this start of the machine; "" where the system does not tell."""
    try:
        fd = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 64).decode("ascii").strip()
    finally:
        os.close(fd)


def since_start() -> float:
    """Returns the seconds since the machine was started, sleep included where the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _no_boot() -> str:
    return ""  # no machine's own time is shared


class Leases:
    """The leases of one graph: which claims are live, and until when."""

    def __init__(
        self,
        storage: IntentStorage,
        wall: Callable[[], datetime],
        *,
        boot: Callable[[], str] | None = None,
        since: Callable[[], float] = since_start,
    ) -> None:
        shared = isinstance(storage, KeepsTime) and boot is None
        self._storage, self._since = storage, since
        self._wall = storage.now if shared else wall  # type: ignore[attr-defined]  # it keeps time
        self._boot: Callable[[], str] = _no_boot if shared else boot or boot_id
        self._aside = keeping_aside(storage)

    def now(self) -> Moment:
        """Returns the present moment."""
        return Moment(self._wall(), self._boot(), self._since())

    @property
    def aside(self) -> bool:
        """True where renewals are kept aside, and cost no commit."""
        return self._aside is not None

    def of(self, ids: Iterable[IntentId] | None) -> dict[IntentId, Lease]:
        """Returns the leases kept for these intents, or all."""
        if self._aside is None:
            return {}
        found = self._aside.kept(SPACE, None if ids is None else list(ids))
        return {id: _decode(body) for id, body in found.items()}

    def live(self, intents: Sequence[Intent]) -> set[IntentId]:
        """Returns the ids of those that are held by a live claim."""
        claimed = [intent for intent in intents if intent.claim is not None]
        if not claimed:
            return set()
        leases, now = self.of(intent.id for intent in claimed), self.now()
        return {i.id for i in claimed if i.claim is not None and runs(i.claim, leases.get(i.id), now)}

    def keep(self, id: IntentId, token: int, lease_s: float, moment: Moment, guard: Check | None = None) -> datetime:
        """Keeps the lease of a claim; returns its end by the wall clock."""
        until = moment.wall + timedelta(seconds=lease_s)
        if self._aside is not None:
            lease = Lease(token, microseconds(until), moment.boot, moment.since_s + lease_s)
            self._aside.keep(SPACE, {id: msgspec.json.encode(lease)}, guard=guard)
        return until

    def forget(self, were: Sequence[Intent]) -> None:
        """Forgets the leases of claims that have ended; one that is left behind harms nobody, for its token is old."""
        ended = {intent.id: intent.claim.token for intent in were if intent.claim is not None}
        if self._aside is None or not ended:
            return
        served = [id for id, lease in self.of(ended).items() if lease.token <= ended[id]]

        def still_served(_: Reader) -> None:
            if any(lease.token > ended[id] for id, lease in self.of(served).items()):
                raise _Taken

        with contextlib.suppress(_Taken):  # claimed anew in between: left to the next who tidies
            if served:
                self._aside.keep(SPACE, dict.fromkeys(served), guard=still_served)

    def tidy(self, ids: Sequence[IntentId], there: Sequence[Intent | None], kept: Mapping[IntentId, Lease]) -> None:
        """Forgets those of these leases that have run out and stand for no claim any more."""
        left = []
        for id, intent in zip(ids, there, strict=True):
            token = kept[id].token
            if intent is None or intent.claim is None or intent.claim.token > token:
                left.append(Intent(id=id, goal="-", claim=Claim(owner="-", token=token, until=datetime.now(UTC))))
        self.forget(left)


class _Taken(Exception):
    """A lease that was to be forgotten is a newer claim's."""


_decode = msgspec.json.Decoder(Lease).decode


def runs(claim: Claim, lease: Lease | None, now: Moment) -> bool:
    """True while the claim is live."""
    if lease is None or lease.token != claim.token:
        return claim.until > now.wall
    return still(lease, now)


def still(lease: Lease, now: Moment) -> bool:
    """True while the lease runs: by this machine's own time, or by the wall clock if it was kept before its start."""
    if lease.boot == now.boot and lease.boot:
        return now.since_s < lease.ends_s
    return lease.until > microseconds(now.wall)


def check_lease(lease_s: object) -> float:
    """Returns the length of a lease in seconds, if it may be one."""
    if isinstance(lease_s, bool) or not isinstance(lease_s, int | float) or not SHORTEST_S <= lease_s <= LONGEST_S:
        raise FieldInvalid(
            "lease_s",
            f"is {lease_s!r}",
            hint=f"give seconds, {SHORTEST_S:g} to {LONGEST_S:g}; renew a lease to hold it for longer",
        )
    return float(lease_s)


def next_token(intent: Intent) -> int:
    """Returns a token greater than any that a claim of this intent ever had.

    A claim's token is at most the revision it was given at, and every claim, release and completion makes a new one.
    """
    return max(intent.revision, intent.claim.token if intent.claim is not None else 0) + 1


def held_by(intent: Intent, holder: Holder) -> bool:
    """True when this holder, by its token or else by its name, is the one the claim names."""
    claim = intent.claim
    if claim is None:
        return False
    return claim.token == holder.token if holder.token is not None else claim.owner == holder.owner


def check_holder(intent: Intent, holder: Holder, *, live: bool) -> None:
    """Raises `LeaseHeld` unless the holder may move the intent on, claim, or let go of it.

    Whoever names a token must hold the live claim with it. Whoever names none must be the owner, or find it unheld.
    """
    claim = intent.claim
    if holder.token is not None and (claim is None or claim.token != holder.token):
        raise refusal(intent, f"token {holder.token} is from before", "claim it again; the work may be another's now")
    if claim is None:
        return
    if live and not held_by(intent, holder):
        raise refusal(intent, f"it is claimed by {claim.owner}", "wait for the lease to end, or give its token")
    if not live and held_by(intent, holder):
        raise refusal(intent, f"the lease of {claim.owner} has ended", "claim it again before going on")


def refusal(intent: Intent, what: str, hint: str) -> LeaseHeld:
    """Returns the error that says why, and names who holds the intent."""
    claim = intent.claim
    return LeaseHeld(
        f"intent {intent.id}: {what}",
        hint=hint,
        id=intent.id,
        owner=None if claim is None else claim.owner,
        token=None if claim is None else claim.token,
        until=None if claim is None else claim.until.astimezone(UTC).isoformat(),
    )


def check_owner(owner: object) -> str:
    """Returns the owner's name if it may be one; the rules are those of an id."""
    if owner is None:
        raise FieldInvalid("owner", "is missing", hint="say who claims: owner=…, or open the graph with an actor")
    return check_name(owner, "owner")
