"""Verbs that move goals through their life: start, done, fail, suspend, archive, reopen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..codec import jsonable
from .declare import IDS, REASON, TOKEN, Argument, Result, Session, Verb
from .reading import read_later, resolve_all


def move(
    session: Session,
    /,
    *,
    ids: Sequence[str],
    reason: str | None = None,
    token: int | None = None,
    by: str,
    **more: str,
) -> Result:
    """Moves all the intents in one commit, or none; a move the lifecycle refuses is `TransitionRefused`."""
    graph = session.graph
    acting = graph if token is None else graph.acting(token=token)
    until = {name: read_later(text, name) for name, text in more.items() if text is not None}
    return {"intents": jsonable(getattr(acting, by)(*resolve_all(graph, ids), reason=reason, **until))}


def _verb(name: str, method: str, status: str, line: str, example: str) -> Verb:
    about = f"Moves every named intent to {status} in one commit; if one of them may not go there, none moves."
    run = partial(move, by=method)
    arguments = (IDS, REASON, TOKEN, *([_UNTIL] if name == "suspend" else []))
    return Verb(name, line, run, "moved", arguments, writes=True, about=about, examples=(example,))


_UNTIL = Argument("until", "when sweep is to make them active again: a time, or a span such as 2d", metavar="T")


VERBS = (
    _verb("start", "start", "executing", "begin to work on intents", "start 019a2f"),
    _verb("done", "complete", "completed", "mark intents as reached", 'done 019a2f --reason "all tests pass"'),
    _verb("fail", "fail", "failed", "mark intents as failed", 'fail 019a2f --reason "the vendor said no"'),
    _verb("suspend", "suspend", "suspended", "lay intents aside", "suspend 019a2f 019a31 --until 2d"),
    _verb("archive", "archive", "archived", "put intents away", "archive 019a2f"),
    _verb("reopen", "reopen", "active", "make intents active again", "reopen 019a2f"),
)
