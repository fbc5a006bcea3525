"""Verbs that ask the whole graph: ready, blocked, search, history, log, watch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from ..codec import jsonable
from ..ground.errors import IntentMissing, QueryInvalid
from .declare import Argument, Result, Session, Verb, flag, positional
from .reading import read_when, resolve, resolve_all

CONTEXTS = ("markdown", "json", "rtfs")


def ready(session: Session, /, *, limit: int, all_levels: bool) -> Result:
    """Returns the intents that can be worked on now, best first."""
    return {"intents": jsonable(session.graph.ready(limit=_limit(limit), leaves_only=not all_levels))}


def blocked(session: Session, /) -> Result:
    """Returns the active intents that must wait, and for what."""
    return {"blocked": jsonable(session.graph.blocked())}


def search(session: Session, /, *, text: str, limit: int, any: bool, semantic: bool) -> Result:
    """Returns the intents that the text means, best first."""
    found = session.graph.search(text, limit=_limit(limit), any=any, semantic=semantic)
    return {"hits": [{"snippet": "", **jsonable(hit)} for hit in found]}


def context(
    session: Session,
    /,
    *,
    budget: int,
    format: str,
    focus: Sequence[str] = (),
    query: str | None = None,
    semantic: bool = False,
) -> Result:
    """Returns the part of the graph that fits a budget of tokens, as one text, and why each intent is in it."""
    graph = session.graph
    found = graph.context(
        focus=resolve_all(graph, focus, "focus"), query=query, budget_tokens=budget, format=format, semantic=semantic
    )
    return {
        "text": found.text,
        "tokens": found.tokens,
        "included": jsonable(found.included),
        "left_out": found.left_out,
    }


def history(session: Session, /, *, limit: int, id: str | None = None, **asked: Any) -> Result:
    """Returns every change of an intent and of the edges at it; or what a filter means of the whole history."""
    graph = session.graph
    given = {name: value for name, value in asked.items() if value not in (None, ())}
    if id is not None and not given:
        try:
            found = graph.history(id)
        except IntentMissing:
            found = graph.history(resolve(graph, id))
        return {"entries": jsonable(found)}
    from ..graph.recall import HistoryFilter

    before = given.pop("before", None)
    for field in ("since", "until"):
        if field in given:
            given[field] = read_when(given[field], field)
    where = HistoryFilter(**_renamed(given), ids=None if id is None else frozenset({resolve(graph, id)}))
    return {"entries": jsonable(graph.history(where, limit=_limit(limit), before=before))}


def _renamed(given: dict[str, Any]) -> dict[str, Any]:
    names = {"by": "actor", "approved_by": "approver", "reason": "reason_contains"}
    return {names.get(name, name): value for name, value in given.items()}


def log(session: Session, /, *, limit: int, since: int | None = None) -> Result:
    """Returns commits in order, and from where to go on; without ``since`` the last ones."""
    graph = session.graph
    limit = _limit(limit)
    begin = max(0, graph.revision - limit) if since is None else since
    if begin < 0:
        raise QueryInvalid(f"since is {begin}", hint="give a revision, 0 or more")
    found = list(islice(graph.entries(begin), limit + 1))
    more = len(found) > limit
    return {"commits": jsonable(found[:limit]), "next": found[limit - 1].revision if more else None}


def watch(session: Session, /, *, since: int | None = None) -> Iterator[Result]:
    """Yields commits as they happen, after ``since`` or from now on; never ends by itself."""
    if since is not None and since < 0:
        raise QueryInvalid(f"since is {since}", hint="give a revision, 0 or more")
    return map(jsonable, session.graph.watch(since))


def _limit(limit: int) -> int:
    if limit < 1:
        raise QueryInvalid(f"limit is {limit}", hint="give a whole number, 1 or more")
    return min(limit, 10_000)


def _limited(default: int) -> Argument:
    return Argument("limit", f"at most so many; {default} when left out", kind="integer", default=default, metavar="N")


_KINDS = ("put", "drop", "link", "unlink", "note", "define")

VERBS = (
    Verb(
        "ready",
        "list what can be worked on now",
        ready,
        "intents",
        (_limited(20), flag("all_levels", "also goals that still have open subgoals")),
        about="Lists the active intents that wait for nothing, the most urgent first, then the oldest.",
        examples=("ready", "ready --limit 1 --json"),
    ),
    Verb(
        "blocked",
        "list what waits, and for what",
        blocked,
        "blocked",
        about="Lists the other active intents, each with every reason why it is not ready.",
        examples=("blocked",),
    ),
    Verb(
        "search",
        "find intents by their words",
        search,
        "hits",
        (
            positional("text", "words, '\"a phrase\"', beginnings*, -what not, field:words"),
            flag("any", "one of the words is enough"),
            flag("semantic", "find what is close in meaning too (extra: semantic)"),
            _limited(20),
        ),
        about="Searches name, goal, request, success criteria and labels; the best match first. Fields are named\n"
        "name:, goal:, request:, criteria: and label:. What is not written so is words.",
        examples=("search 'flaky tests'", "search '\"unit tests\" -windows goal:re*'", "search 'release deploy' --any"),
    ),
    Verb(
        "context",
        "write what matters into a budget of tokens",
        context,
        "context",
        (
            Argument("focus", "an intent it is about", many=True, metavar="ID"),
            Argument("query", "a text it is about; nothing in it is syntax", metavar="TEXT"),
            Argument("budget", "at most so many; 8000 when left out", kind="integer", default=8000, metavar="TOKENS"),
            Argument("format", "how it is written", choices=CONTEXTS, default="markdown"),
            flag("semantic", "find what is close in meaning too (extra: semantic)"),
        ),
        about="Chooses intents by nearness to the focus, match, recency, status and priority, and tells each in full,\n"
        "in brief or in a line. A token counts as four characters.",
        examples=("context --focus 019a2f", "context --query 'flaky tests' --budget 2000 --json"),
    ),
    Verb(
        "history",
        "show every change of an intent, or what a filter means of all",
        history,
        "entries",
        (
            positional("id", "the intent; the whole graph when left out", required=False),
            Argument("by", "only what this actor did", metavar="NAME"),
            Argument("approved_by", "only what this approver approved", metavar="NAME"),
            Argument("since", "only from then on", metavar="T"),
            Argument("until", "only before then", metavar="T"),
            Argument("does", "only this kind of change", many=True, metavar="KIND", choices=_KINDS),
            Argument("status", "only what left an intent in this status", many=True, metavar="S"),
            Argument("reason", "only where the reason holds this text", metavar="TEXT"),
            Argument("before", "only commits before this revision: the next page", kind="integer", metavar="REV"),
            _limited(50),
        ),
        about="Shows the changes of an intent and of the edges at it, oldest first; of deleted ones too. With any\n"
        "other option, or without an id, the changes that are meant, the latest first.",
        examples=("history 019a2f", "history --by ana --since 7d", "history --status failed --reason vendor"),
    ),
    Verb(
        "log",
        "show the commits of the graph",
        log,
        "commits",
        (
            Argument("since", "only what came after this revision; 0 is the beginning", kind="integer", metavar="REV"),
            _limited(50),
        ),
        about="Shows commits in order: the last ones, or with --since those after a revision.",
        examples=("log", "log --since 0 --limit 100 --json"),
    ),
    Verb(
        "watch",
        "show commits as they happen",
        watch,
        "happened",
        (Argument("since", "begin after this revision; from now on when left out", kind="integer", metavar="REV"),),
        streams=True,
        about="Shows each commit when it happens, of every process that writes to the store: one JSON document a\n"
        "line, on a terminal a line to read. It goes on until it is interrupted. Begun again with --since and the\n"
        "revision of the last commit seen, it misses none.",
        examples=("watch", "watch --since 120 --json"),
    ),
)
