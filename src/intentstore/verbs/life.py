"""Verbs that move goals through their life: start, done, fail, suspend, archive, reopen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..codec import jsonable
from .declare import IDS, REASON, Result, Session, Verb
from .reading import resolve_all


def move(session: Session, /, *, ids: Sequence[str], reason: str | None = None, by: str) -> Result:
    """Moves all the intents in one commit, or none; a move the lifecycle refuses is `TransitionRefused`."""
    graph = session.graph
    return {"intents": jsonable(getattr(graph, by)(*resolve_all(graph, ids), reason=reason))}


def _verb(name: str, method: str, status: str, line: str, example: str) -> Verb:
    about = f"Moves every named intent to {status} in one commit; if one of them may not go there, none moves."
    run = partial(move, by=method)
    return Verb(name, line, run, "moved", (IDS, REASON), writes=True, about=about, examples=(example,))


VERBS = (
    _verb("start", "start", "executing", "begin to work on intents", "start 019a2f"),
    _verb("done", "complete", "completed", "mark intents as reached", 'done 019a2f --reason "all tests pass"'),
    _verb("fail", "fail", "failed", "mark intents as failed", 'fail 019a2f --reason "the vendor said no"'),
    _verb("suspend", "suspend", "suspended", "lay intents aside", "suspend 019a2f 019a31"),
    _verb("archive", "archive", "archived", "put intents away", "archive 019a2f"),
    _verb("reopen", "reopen", "active", "make intents active again", "reopen 019a2f"),
)
