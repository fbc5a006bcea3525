"""Verbs about what hangs on what: impact, critical-path, conflicts, cycles, infer."""

from __future__ import annotations

from ..codec import jsonable
from .declare import ID, Argument, Result, Session, Verb, flag, positional
from .reading import resolve, resolve_all

_RULES = ("id-part", "id-order", "mention", "heading", "sequence", "constraint", "resource", "similar")


def impact(session: Session, /, *, id: str, limit: int) -> Result:
    """Returns the intents that wait for this one, nearest first, each with the reason."""
    graph = session.graph
    return {"impact": jsonable(graph.impact(resolve(graph, id), limit=limit))}


def critical_path(session: Session, /, *, id: str | None = None, by: str | None = None) -> Result:
    """Returns the chain of open work that takes longest, in order, and its length."""
    graph = session.graph
    found = graph.critical_path(None if id is None else resolve(graph, id), by=by)
    return {"intents": jsonable(found.intents), "length": found.length}


def conflicts(session: Session, /) -> Result:
    """Returns the conflicts between intents that are being worked on, or could be."""
    return {"conflicts": jsonable(session.graph.conflicts())}


def cycles(session: Session, /) -> Result:
    """Returns the circles in which open intents wait for one another."""
    return {"cycles": jsonable(session.graph.cycles())}


def infer(
    session: Session, /, *, ids: tuple[str, ...] = (), rule: tuple[str, ...] = (), least: float, apply: bool
) -> Result:
    """Returns the edges that rules propose, and how many of them were stored."""
    graph = session.graph
    wanted = resolve_all(graph, ids) if ids else None
    found = graph.infer(wanted, rules=rule or None, least=least, store=apply)
    return {"proposals": jsonable(found), "stored": len(found) if apply else 0}


VERBS = (
    Verb(
        "impact",
        "list what waits for an intent, directly and not",
        impact,
        "impact",
        (ID, Argument("limit", "at most so many; 10000 when left out", kind="integer", default=10_000, metavar="N")),
        about="Lists every unsettled intent that cannot go on before this one is settled: those that depend on it or\n"
        "that it blocks, the goals it is a subgoal of, what waits for those in turn, and the subgoals of what waits.",
        examples=("impact 019a2f",),
    ),
    Verb(
        "critical-path",
        "show the chain of work that takes longest",
        critical_path,
        "critical_path",
        (
            positional("id", "until this is done; until everything is when left out", required=False),
            Argument("by", "the metadata field that holds how long an intent takes; each takes 1 when left out"),
        ),
        about="Shows the open intents that must be done one after another, where the whole takes longest.",
        examples=("critical-path 019a2f", "critical-path --by estimate"),
    ),
    Verb(
        "conflicts",
        "list live conflicts",
        conflicts,
        "conflicts",
        about="Lists the conflicts_with edges whose two ends are both active or executing.",
        examples=("conflicts",),
    ),
    Verb(
        "cycles",
        "explain circles in which intents wait for one another",
        cycles,
        "cycles",
        about="No relation alone can close a circle, but subgoals and dependencies together may: a goal that depends\n"
        "on its own subgoal never becomes ready. Shows a shortest circle of each such knot, step by step.",
        examples=("cycles",),
    ),
    Verb(
        "infer",
        "propose edges that nobody has drawn",
        infer,
        "proposals",
        (
            positional("ids", "only edges at these intents", many=True, required=False, metavar="ID"),
            Argument("rule", "only by this rule", many=True, metavar="RULE", choices=_RULES),
            Argument("least", "how sure a rule must be, 0 to 1", kind="number", default=0.5, metavar="C"),
            flag("apply", "store what is proposed, in one commit"),
        ),
        writes=True,
        about="Proposes edges by rules: ids that continue another's, texts that name another's id, steps in a row,\n"
        "constraints that exclude each other, shared resources, similar goals. docs/quality.md measures each.",
        examples=("infer", "infer 019a2f --least 0.3", "infer --rule id-part --rule mention --apply"),
    ),
)
