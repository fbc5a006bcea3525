"""Contexts: of the goals that a new one refers to, how many stood in its window when it was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import fmean

from intentstore import Intent, IntentGraph
from intentstore.graph.context import CANDIDATES, Candidate, count_tokens, fill
from intentstore.graph.telling import Markdown, Told

from .goals import Goals

_BUDGETS = (1_000, 2_000, 8_000)
_OLD = timedelta(days=1)
_TITLE = """## Context

The goals are made, closed and linked again in the order of their times. As each is about to be made, a window is drawn
for it: its text is the query, the parent it is made under (if any) the focus. Of the earlier goals that it is linked
with or names, then or ever after, how many stood in the window? {all} goals have some; {old} have some that were
made more than a day before (*old*). The mean share, by the window's tokens:

{table}
The baselines fill their windows by the same rules: *most recent* with what changed last, *same parent* with the
parent's other subgoals first and then with what changed last. A goal is mostly linked with what was made just before
it, which is why the most recent do so well; among the old ones they do not. The baselines come out alike, for a goal's
siblings are mostly those made just before it.
"""
Window = Callable[[IntentGraph, Intent, str | None, int], set[str]]


def measured(data: Path) -> str:
    """Returns the table of three ways to fill a window."""
    goals = Goals(data)
    ways: dict[str, Window] = {"most recent": _recent, "same parent": _siblings, "`context`": _context}
    shares: dict[tuple[str, int, bool], list[float]] = {}
    counts = [0, 0]
    for graph, intent in goals.lived():
        parent = goals.parent_at_once(intent)
        earlier = {id for id in goals.refers_to(intent) - {parent} if graph.get(id) is not None}
        old = {id for id in earlier if intent.created_at - goals.intents[id].created_at > _OLD}
        counts[0] += bool(earlier)
        counts[1] += bool(old)
        for name, window in ways.items() if earlier else ():
            for budget in _BUDGETS:
                seen = window(graph, intent, parent, budget)
                for wanted, which in ((earlier, False), (old, True)):
                    if wanted:
                        shares.setdefault((name, budget, which), []).append(len(wanted & seen) / len(wanted))
    heads = ["window", *(f"{budget:,}" for budget in _BUDGETS), *(f"{budget:,}, old" for budget in _BUDGETS)]
    rows = [
        [name, *(_share(shares.get((name, budget, old))) for old in (False, True) for budget in _BUDGETS)]
        for name in ways
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---", *["---:"] * 6], *rows]) + "\n"
    return _TITLE.format(all=counts[0], old=counts[1], table=table)


def _share(found: list[float] | None) -> str:
    return f"{fmean(found):.1%}" if found else "none"


def _context(graph: IntentGraph, intent: Intent, parent: str | None, budget: int) -> set[str]:
    focus = [parent] if parent is not None and graph.get(parent) is not None else []
    text = f"{intent.goal} {intent.original_request or ''}"
    return {each.id for each in graph.context(focus=focus, query=text, budget_tokens=budget).included}


def _recent(graph: IntentGraph, _: Intent, __: str | None, budget: int) -> set[str]:
    return _filled(graph.list(sort="-updated_at", limit=CANDIDATES).intents, budget)


def _siblings(graph: IntentGraph, _: Intent, parent: str | None, budget: int) -> set[str]:
    family = graph.children(parent) if parent is not None and graph.get(parent) is not None else []
    family.sort(key=lambda each: each.updated_at, reverse=True)
    here = {each.id for each in family}
    latest = graph.list(sort="-updated_at", limit=CANDIDATES).intents
    return _filled([*family, *(each for each in latest if each.id not in here)], budget)


def _filled(intents: Sequence[Intent], budget: int) -> set[str]:
    chosen = [Candidate(intent, 1.0, ("changed lately",)) for intent in intents]
    made = fill(
        chosen,
        Markdown(),
        lambda each: Told(intent=each.intent, because=each.because),
        budget_tokens=budget,
        tokens=count_tokens,
    )
    return {each.id for each in made.included}
