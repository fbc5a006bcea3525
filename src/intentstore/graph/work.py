"""What a fleet does with a graph: claim work and give it back, take over what the dead left, do what the clock demands.

Each is a few reads and one guarded commit per intent or handful, repeated until nobody came between. Owns no state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..ground.change import Change, Guard, Put
from ..ground.errors import Conflict, FieldInvalid, IntentMissing, StaleRevision
from ..ground.protocol import Reader
from ..ground.query import EVERYTHING, IntentFilter
from ..ground.types import OPEN, Claim, Intent, IntentId, IntentStatus, Revision
from ..ground.values import Map, freeze_time
from . import claims, policy
from .cascade import ASLEEP_FOR
from .committing import taking
from .lifecycle import check_move
from .ready import NOT_BEFORE, urgency
from .transaction import put_in
from .traverse import every_intent

if TYPE_CHECKING:
    from .graph import IntentGraph

_S = IntentStatus
_AHEAD = 8
"""So many of the best are read at once, to have another where somebody else was quicker."""
_ROUNDS = 1_000
_TRIES = 50
_TOGETHER = 100
_PAGE = 1_000


# --- moving ---


def moving(
    graph: IntentGraph, ids: list[IntentId], status: IntentStatus, reason: str | None, until: datetime | None
) -> list[Intent]:
    """Moves the intents, all or none; what others change meanwhile is read anew, for a move is meant either way."""
    for left in reversed(range(_TRIES)):
        wanted = graph.intents(ids)
        _check_moves(graph, wanted, status)
        try:
            with graph.transaction(reason=reason) as tx:
                for intent in wanted:
                    tx.update(at_status(intent, status, graph.leases.now().wall, until=until))
        except StaleRevision:
            if not left:
                raise
            continue
        if tx.commit is None:
            return []
        graph.leases.forget([intent for intent in wanted if status is not _S.EXECUTING])
        return [put_in(tx.commit, id) for id in ids]
    raise AssertionError  # the last try raises


def _check_moves(graph: IntentGraph, wanted: Sequence[Intent], status: IntentStatus) -> None:
    if graph.who.token is not None:  # a late holder learns that it is late, not what became of the intent
        live = graph.leases.live(wanted)
        for intent in wanted:
            claims.check_holder(intent, graph.who.holder, live=intent.id in live)

    def allowed(leaving: IntentStatus, entering: IntentStatus) -> bool:
        rules = graph.policies().values()
        moves = [(rule.leaving, rule.entering) for rule in rules if type(rule) is policy.Allow]
        return (leaving, entering) in moves

    for intent in wanted:
        check_move(intent, status, allowed)


# --- claiming ---


def claim(
    graph: IntentGraph, id: IntentId | None, *, owner: str | None, lease_s: float, where: IntentFilter
) -> Intent | None:
    """Claims this intent, or the best that is ready and the filter means; None when there is none."""
    owner = claims.check_owner(owner if owner is not None else graph.actor)
    lease_s = claims.check_lease(lease_s)
    if id is not None:
        return _take(graph, graph.intent(id), owner, lease_s, leaves_only=False)
    for tries in range(_ROUNDS):
        # The best alone first: to find more where little is ready is to look at all that waits (10,000: 5 ms and more).
        found = _best(graph, where, _AHEAD if tries else 1)
        for intent in found:
            try:
                return _take(graph, intent, owner, lease_s, leaves_only=True)
            except (Conflict, IntentMissing):  # somebody was quicker, or it must wait since
                continue
        if not found:
            return None
    raise Conflict("others were quicker each time", hint="try again", tries=_ROUNDS)


def _best(graph: IntentGraph, where: IntentFilter, most: int) -> Sequence[Intent]:
    """Returns the most urgent of what is ready and of what a dead holder left half done."""
    ready = graph.ready(limit=most, where=where)
    left = [intent for intent in lapsed(graph, where) if intent.status is _S.EXECUTING]
    return sorted([*ready, *left], key=urgency)[:most] if left else ready


def lapsed(graph: IntentGraph, where: IntentFilter = EVERYTHING) -> list[Intent]:
    """Returns the intents whose claim has run out and that nobody has taken since."""
    leases = graph.leases
    if leases.aside:
        kept, now = leases.of(None), leases.now()
        # An entry by itself says enough to pass over what is surely live; a claim is then looked at as it stands.
        ids = [id for id, lease in kept.items() if not claims.still(lease, now)]
        there = graph.fetch(ids)
        found = [intent for intent in there if intent is not None]
        leases.tidy(ids, there, kept)
        if where != EVERYTHING and found:
            found = list(graph.each(IntentFilter(ids=frozenset(i.id for i in found), any_of=(where,))))
    else:
        working = where.replace(status=frozenset({_S.ACTIVE, _S.EXECUTING}))
        found = [intent for intent in graph.each(working) if intent.claim is not None]
    claimed = [intent for intent in found if intent.claim is not None and intent.status in OPEN]
    live = leases.live(claimed)
    return [intent for intent in claimed if intent.id not in live]


def _take(graph: IntentGraph, intent: Intent, owner: str, lease_s: float, *, leaves_only: bool) -> Intent:
    leases, moment = graph.leases, graph.leases.now()
    token = claims.next_token(intent)
    until = moment.wall + timedelta(seconds=lease_s)
    taken = intent.replace(
        status=_S.ACTIVE if intent.status is _S.EXECUTING else intent.status,
        claim=Claim(owner=owner, token=token, until=until),
        updated_at=moment.wall,
    )
    reason = f"claimed by {owner}"
    if intent.claim is not None:
        reason = f"the lease of {intent.claim.owner} ended; {reason}"
    guard = taking(leases, moment.wall, leaves_only=leaves_only)
    stored = _put(graph, taken, expected=intent.revision, reason=reason, guard=guard)
    # Until it is kept, the wall clock's `until` holds; who was held up here for too long has lost the claim by now.
    check = _holding(graph, intent.id, claims.Holder(owner, token))
    leases.keep(intent.id, token, lease_s, moment, guard=check)
    return stored


def _put(graph: IntentGraph, intent: Intent, *, expected: Revision, reason: str | None, guard: Guard) -> Intent:
    change = Put(intent=intent, expected=expected)
    commit = graph._writer.commit((change,), graph.who, reason=reason, extra=guard)
    return put_in(commit, intent.id)


def renew(graph: IntentGraph, id: IntentId, *, owner: str | None, token: int | None, lease_s: float) -> Intent:
    """Moves the end of a live claim to ``lease_s`` from now; `LeaseHeld` if it is no longer the holder's."""
    lease_s = claims.check_lease(lease_s)
    holder = claims.Holder(owner if owner is not None else graph.actor, token)
    intent, leases = graph.intent(id), graph.leases
    moment = leases.now()
    check = _holding(graph, id, holder)
    if not leases.aside:
        renewed = _until(intent, moment.wall + timedelta(seconds=lease_s))
        return _put(graph, renewed, expected=intent.revision, reason="lease renewed", guard=_before_it(check))
    check(graph.storage)
    assert intent.claim is not None  # it was checked
    return _until(intent, leases.keep(id, intent.claim.token, lease_s, moment, guard=check))


def _until(intent: Intent, until: datetime) -> Intent:
    claim = intent.claim
    if claim is None:
        return intent
    return intent.replace(claim=Claim(owner=claim.owner, token=claim.token, until=until))


def release(graph: IntentGraph, id: IntentId, *, owner: str | None, token: int | None, reason: str | None) -> Intent:
    """Gives a claimed intent back: it has no claim then, and is active where it was executing."""
    holder = claims.Holder(owner if owner is not None else graph.actor, token)
    intent = graph.intent(id)
    free = _freed(intent, graph.leases.now().wall)
    stored = _put(graph, free, expected=intent.revision, reason=reason, guard=_before_it(_holding(graph, id, holder)))
    graph.leases.forget([intent])
    return stored


def _freed(intent: Intent, now: datetime) -> Intent:
    status = _S.ACTIVE if intent.status is _S.EXECUTING else intent.status
    return intent.replace(status=status, claim=None, updated_at=now)


def _holding(graph: IntentGraph, id: IntentId, holder: claims.Holder) -> claims.Check:
    """Returns what raises `LeaseHeld` unless the holder's claim is live."""

    def check(reader: Reader) -> None:
        (intent,) = reader.fetch([id])
        if intent is None:
            raise IntentMissing(id)
        if intent.claim is None:
            raise claims.refusal(intent, "nobody has claimed it", "claim it first")
        claims.check_holder(intent, holder, live=id in graph.leases.live([intent]))

    return check


def _before_it(check: claims.Check) -> Guard:
    def guard(before: Reader, _after: Reader, _changes: Sequence[Change]) -> None:
        check(before)

    return guard


# --- what the dead left, what the clock demands ---


def recover(graph: IntentGraph, owner: str, *, unclaimed: bool) -> list[Intent]:
    """Gives back what this owner held, and what any holder let run out; each once, whoever else does so too."""
    owner = claims.check_owner(owner)

    def left() -> Iterator[tuple[Intent, str]]:
        mine = IntentFilter(claimed_by=owner, status=OPEN)
        for intent in every_intent(graph.storage, mine):
            yield intent, f"requeued: {owner}, who held it, starts anew"
        for intent in lapsed(graph):
            if intent.claim is not None and intent.claim.owner != owner:
                yield intent, f"requeued: the lease of {intent.claim.owner} ended"
        if unclaimed:
            for intent in every_intent(graph.storage, IntentFilter(status=_S.EXECUTING)):  # type: ignore[arg-type]  # made a set
                if intent.claim is None:
                    yield intent, "requeued: executing, and nobody holds it"

    begun = graph.revision  # what was written since is no dead owner's
    old = [(intent, why) for intent, why in left() if intent.revision <= begun]
    return _each_once(graph, old, lambda intent: _freed(intent, graph.leases.now().wall))


def sweep(graph: IntentGraph) -> list[Intent]:
    """Wakes the suspended whose time has come, and moves what stood longer than a `Timeout` policy allows."""
    now = graph.leases.now().wall
    due: list[tuple[Intent, str]] = []
    to: dict[IntentId, IntentStatus] = {}
    for intent in every_intent(graph.storage, IntentFilter(status=_S.SUSPENDED)):  # type: ignore[arg-type]  # made a set
        until = intent.metadata.get(WAKE_AT)
        if isinstance(until, datetime) and until <= now:
            due.append((intent, "woken: its time has come"))
            to[intent.id] = _S.ACTIVE
    for name, rule in graph.policies().items():
        if type(rule) is policy.Timeout:
            stood = rule.where.replace(status=frozenset({rule.status}), updated_before=_ago(now, rule.after_s))
            held = list(every_intent(graph.storage, stood))
            live = graph.leases.live(held)
            for intent in held:
                if intent.id not in to and intent.id not in live:
                    due.append((intent, f"policy {name}: {rule.status} for longer than {rule.after_s:g} s"))
                    to[intent.id] = rule.to

    def moved(intent: Intent) -> Intent:
        check_move(intent, to[intent.id])
        return at_status(intent, to[intent.id], now)

    return _each_once(graph, due, moved)


def _ago(now: datetime, seconds: float) -> datetime:
    return now - timedelta(seconds=seconds)


def _each_once(graph: IntentGraph, due: list[tuple[Intent, str]], change: claims.Changed) -> list[Intent]:
    """Stores each changed as asked, a hundred a commit with one reason; what others changed first is left alone."""
    done: list[Intent] = []
    seen: set[IntentId] = set()
    reasons: dict[str, list[Intent]] = {}
    for intent, why in due:
        if intent.id not in seen:
            seen.add(intent.id)
            reasons.setdefault(why, []).append(intent)
    for why, intents in reasons.items():
        for start in range(0, len(intents), _TOGETHER):
            done += _those_unchanged(graph, intents[start : start + _TOGETHER], why, change)
    graph.leases.forget([intent for intent, _ in due])
    return done


def _those_unchanged(graph: IntentGraph, intents: list[Intent], why: str, change: claims.Changed) -> list[Intent]:
    while intents:
        puts = tuple(Put(intent=change(intent), expected=intent.revision) for intent in intents)
        try:
            commit = graph._writer.commit(puts, graph.who, reason=why)
        except (StaleRevision, IntentMissing):
            there = graph.fetch([intent.id for intent in intents])
            same = zip(intents, there, strict=True)
            intents = [was for was, now in same if now is not None and now.revision == was.revision]
            continue
        wanted = {intent.id for intent in intents}
        return [each.intent for each in commit.changes if type(each) is Put and each.intent.id in wanted]
    return []


# --- times ---

WAKE_AT = "wake_at"
"""The entry of a suspended intent's metadata that says when `sweep` makes it active again."""


def at_status(intent: Intent, status: IntentStatus, now: datetime, *, until: datetime | None = None) -> Intent:
    """Returns the intent moved to a status: without its claim unless it is being worked on, without old times."""
    kept = intent.claim if status is _S.EXECUTING else None
    metadata = intent.metadata
    if WAKE_AT in metadata or ASLEEP_FOR in metadata or until is not None:
        items = {key: value for key, value in metadata.items() if key not in (WAKE_AT, ASLEEP_FOR)}
        metadata = Map(items if until is None else {**items, WAKE_AT: until})
    return intent.replace(status=status, claim=kept, metadata=metadata, updated_at=now)


def deferred(intent: Intent, until: datetime | None) -> Intent:
    """Returns the intent not ready before a moment; None takes that away."""
    items = {key: value for key, value in intent.metadata.items() if key != NOT_BEFORE}
    if until is not None:
        items[NOT_BEFORE] = moment(until, "until")
    return intent.replace(metadata=items)


def moment(given: object, field: str) -> datetime:
    """Returns the aware moment, to the millisecond that a value in metadata keeps."""
    if not isinstance(given, datetime):
        raise FieldInvalid(field, f"must be a datetime, not {type(given).__name__}", hint="give an aware datetime")
    when = freeze_time(given, field)
    return when.replace(microsecond=when.microsecond // 1000 * 1000)
