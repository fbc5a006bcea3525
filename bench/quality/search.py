"""Search: from one goal's title to the goals that people linked it with, by words, by meaning, by both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from intentstore import Intent, IntentGraph, open_graph
from intentstore.formats import import_into
from intentstore.graph.meaning import Meanings
from intentstore.graph.model import offline
from intentstore.graph.search import about, by_words, scores

from .goals import Goals

_BEST, _DEEP = 10, 200
_TITLE = """## Search

The title of each of the {asked} linked goals is searched for among all {goals}, the goal itself left out: how many of
the goals that people linked it with (by any edge) stand among the first ten (*recall@10*, of ten where there are
more), and how high the first of them stands (*MRR*, the mean of one over its place).

{table}
*Words, every one* is what a search does by itself; *any* is `any=True`. By meaning and by both: the model
`{model}`, which the extra `semantic` brings.
"""
Ranking = Callable[[Intent], Sequence[str]]


def measured(data: Path) -> str:
    """Returns the table of the four ways to search."""
    goals = Goals(data)
    with open_graph("memory:") as graph:
        import_into(graph, str(data), format="beads")
        model = offline()
        meanings = Meanings(graph.storage, model)
        meanings.refresh()
        asked = [goals.intents[id] for id in sorted(goals.linked)]

        def by_any(intent: Intent) -> Sequence[str]:
            return _ranked(by_words(graph.storage, about(graph.storage, intent.goal), _DEEP))

        rows = [
            _row("words, every one", _every(graph), goals, asked),
            _row("words, any", by_any, goals, asked),
            _row("meaning", lambda intent: _ranked(meanings.closest(intent.goal, _DEEP)), goals, asked),
            _row("both", lambda intent: _ranked(scores(graph.storage, meanings, intent.goal)), goals, asked),
        ]
    head = ["| by | recall@10 | MRR |", "| --- | ---: | ---: |"]
    table = "\n".join([*head, *rows]) + "\n"
    return _TITLE.format(asked=len(asked), goals=len(goals.intents), table=table, model=model.name)


def _every(graph: IntentGraph) -> Ranking:
    def ranked(intent: Intent) -> Sequence[str]:
        text = " ".join(term.words[0] for term in about(graph.storage, intent.goal).terms)
        return [hit.intent.id for hit in graph.search(text, limit=_DEEP)]

    return ranked


def _ranked(found: dict[str, float]) -> list[str]:
    return sorted(found, key=lambda each: (-found[each], each))


def _row(name: str, ranking: Ranking, goals: Goals, asked: Sequence[Intent]) -> str:
    recalls, ranks = [], []
    for intent in asked:
        wanted = goals.linked[intent.id]
        found = [id for id in ranking(intent) if id != intent.id]
        recalls.append(len(wanted.intersection(found[:_BEST])) / min(_BEST, len(wanted)))
        ranks.append(next((1 / place for place, id in enumerate(found, 1) if id in wanted), 0.0))
    return f"| {name} | {fmean(recalls):.3f} | {fmean(ranks):.3f} |"
