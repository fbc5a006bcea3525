"""Verbs of a fleet at work: claim, renew, release, recover, defer, stale, sweep, policies."""

from __future__ import annotations

from typing import Any

from ..codec import jsonable, strict_loads
from .declare import ID, REASON, TOKEN, Argument, Result, Session, Verb, flag, positional
from .reading import read_filter, read_later, read_text, resolve


def claim(
    session: Session, /, *, id: str | None = None, owner: str | None = None, lease: float, **given: Any
) -> Result:
    """Claims the intent, or the best ready one that the filter means; ``intent`` is None when there is none."""
    graph = session.graph
    if id is not None:
        return {"intent": jsonable(graph.claim(resolve(graph, id), owner=owner, lease_s=lease))}
    return {"intent": jsonable(graph.claim(owner=owner, lease_s=lease, where=read_filter(graph, given)))}


def renew(session: Session, /, *, id: str, owner: str | None = None, token: int | None = None, lease: float) -> Result:
    """Moves the end of a live claim; the intent comes back with it."""
    graph = session.graph
    return {"intent": jsonable(graph.renew(resolve(graph, id), owner=owner, token=token, lease_s=lease))}


def release(
    session: Session,
    /,
    *,
    id: str,
    owner: str | None = None,
    token: int | None = None,
    reason: str | None = None,
) -> Result:
    """Gives a claimed intent back."""
    graph = session.graph
    return {"intent": jsonable(graph.release(resolve(graph, id), owner=owner, token=token, reason=reason))}


def recover(session: Session, /, *, owner: str, unclaimed: bool) -> Result:
    """Gives back what a dead owner held, and what any holder let run out."""
    return {"requeued": jsonable(session.graph.recover(owner, unclaimed=unclaimed))}


def defer(session: Session, /, *, id: str, until: str | None = None, reason: str | None = None) -> Result:
    """Keeps the intent from being ready before a moment; without one, lets it be ready again."""
    graph = session.graph
    when = None if until is None else read_later(until, "until")
    return {"intent": jsonable(graph.defer(resolve(graph, id), when, reason=reason))}


def stale(session: Session, /, *, days: float, limit: int) -> Result:
    """Returns the open intents nobody has changed for so long, the longest forgotten first."""
    return {"intents": jsonable(session.graph.stale(days=days, limit=limit))}


def sweep(session: Session, /) -> Result:
    """Does what the clock demands and returns what it moved."""
    return {"intents": jsonable(session.graph.sweep())}


def policies(
    session: Session,
    /,
    *,
    name: str | None = None,
    set: str | None = None,
    drop: bool,
    reason: str | None = None,
) -> Result:
    """Returns the policies of the graph by name; defines or takes away the named one before that."""
    from ..graph.policies import policy_from, written
    from .errors import Usage

    graph = session.graph
    if name is None and (set is not None or drop):
        raise Usage("no policy is named", hint="intent policies NAME --set FILE")
    if set is not None and drop:
        raise Usage("--set and --drop exclude each other", hint="give one of the two")
    if name is not None and set is not None:
        found = strict_loads(read_text(session.source(set), "policy"), "policy")
        if not isinstance(found, dict):
            raise Usage("the policy is not a JSON object", hint='write {"kind": "require", "needs": ["approver"], …}')
        graph.define_policy(name, policy_from(found), reason=reason)
    elif name is not None and drop:
        graph.define_policy(name, None, reason=reason)
    rules = graph.policies()
    shown = rules if name is None else {key: rule for key, rule in rules.items() if key == name}
    return {"policies": {key: jsonable(written(rule)) for key, rule in shown.items()}}


_OWNER = Argument("owner", "who claims; the actor when left out", metavar="O")
_LEASE = Argument("lease", "for so many seconds; 300 when left out", kind="number", default=300.0, metavar="SECONDS")

VERBS = (
    Verb(
        "claim",
        "take an intent to work on",
        claim,
        "claimed",
        (
            positional("id", "the intent; the best ready one when left out", required=False),
            _OWNER,
            _LEASE,
            Argument("label", "only with this label", many=True, metavar="LABEL"),
            Argument("priority_min", "only of this priority or higher", kind="integer", metavar="N"),
            Argument("where", "only what a filter means, as JSON", metavar="JSON"),
        ),
        writes=True,
        about="Claims an intent for one owner until the lease ends: nobody else can claim or move it meanwhile. Its\n"
        "token grows with every claim; name it with start, done and fail to be refused once another took over.",
        examples=("claim --owner agent-7 --lease 600 --json", "claim 019a2f --owner agent-7"),
    ),
    Verb(
        "renew",
        "keep what is claimed for longer",
        renew,
        "claimed",
        (ID, _OWNER, TOKEN, _LEASE),
        writes=True,
        about="Moves the end of a live claim to so many seconds from now. Costs no entry in the history.",
        examples=("renew 019a2f --owner agent-7 --lease 600",),
    ),
    Verb(
        "release",
        "give a claimed intent back",
        release,
        "intent",
        (ID, _OWNER, TOKEN, REASON),
        writes=True,
        about="Gives the intent back: it can be claimed again, and is active where it was executing.",
        examples=('release 019a2f --owner agent-7 --reason "out of disk"',),
    ),
    Verb(
        "recover",
        "give back what a dead owner held",
        recover,
        "requeued",
        (
            Argument("owner", "the owner that starts anew", required=True, metavar="O"),
            flag("unclaimed", "also what is executing and claimed by nobody"),
        ),
        writes=True,
        about="Gives back what this owner held before it died, and what any holder let run out, with the reason in\n"
        "the history; each once, whoever else recovers at the same time.",
        examples=("recover --owner agent-7",),
    ),
    Verb(
        "defer",
        "let an intent wait until a moment",
        defer,
        "intent",
        (ID, Argument("until", "2026-01-02T03:04:05Z, 2026-01-02, or a span such as 2d", metavar="T"), REASON),
        writes=True,
        about="Keeps the intent from being ready before that moment; without --until it may be ready again.",
        examples=("defer 019a2f --until 2d", "defer 019a2f"),
    ),
    Verb(
        "stale",
        "list what nobody has touched for long",
        stale,
        "intents",
        (
            Argument("days", "for so many days; 14 when left out", kind="number", default=14.0, metavar="N"),
            Argument("limit", "at most so many; 50 when left out", kind="integer", default=50, metavar="N"),
        ),
        about="Lists the active, executing and suspended intents that nobody has changed for so many days.",
        examples=("stale --days 30",),
    ),
    Verb(
        "sweep",
        "do what the clock demands",
        sweep,
        "moved",
        writes=True,
        about="Wakes the suspended whose time has come, and moves what has stood longer than a policy allows.",
        examples=("sweep",),
    ),
    Verb(
        "policies",
        "show, define or drop the graph's policies",
        policies,
        "policies",
        (
            positional("name", "one policy; all when left out", required=False),
            Argument("set", "define it from this file of JSON, or - for the standard input", metavar="FILE"),
            flag("drop", "take it away"),
            REASON,
        ),
        writes=True,
        about="Shows the policies that bind everybody who opens the graph. --set defines one, --drop takes it away;\n"
        "docs/lifecycle.md lists the kinds.",
        examples=("policies", "policies urgent --set urgent.json", "policies urgent --drop"),
    ),
)
