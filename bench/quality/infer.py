"""Edges that rules propose against edges that people drew: the drawn ones are hidden, inferred anew, compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from intentstore import Edge, EdgeType, IntentGraph, open_graph
from intentstore.formats import import_into
from intentstore.graph.infer import Inference, Proposal
from intentstore.graph.rules import RULES
from intentstore.graph.traverse import every_edge

Key = tuple[str, str, str]
_LEAST = 0.5
_TITLE = """## Inferred edges

{goals} goals; the {edges} edges among them are hidden, each rule proposes what it can, and the two are compared.
*Right*: the same edge was drawn. *Right pair*: an edge of some type was drawn between the two. A proposal nobody drew
need not be wrong: people draw few edges ({related} `related_to` here), so precision is a lower bound.
"""


def measured(data: Path) -> str:
    """Returns the tables of every rule and of every type of edge."""
    with open_graph("memory:") as whole, open_graph("memory:") as bare:
        import_into(whole, str(data), format="beads")
        drawn = list(every_edge(whole.storage))
        with bare.transaction() as tx:
            for intent in whole.each():
                tx.store(intent)
        types = Counter(str(edge.type) for edge in drawn)
        title = _TITLE.format(goals=len(list(whole.each())), edges=len(drawn), related=types["related_to"])
        return "\n".join([title, _by_rule(bare, drawn), _by_type(bare, drawn, types)])


def _by_rule(bare: IntentGraph, drawn: list[Edge]) -> str:
    inference = Inference(bare.storage)
    rows = []
    for rule in RULES:
        made = inference.propose(None, rules=[rule], least=0.0)
        rows.append(_row(f"`{rule.name}`", made, drawn, lambda _: True))
    sure = inference.propose(None, rules=RULES, least=_LEAST)
    rows.append(_row(f"all, at {_LEAST} or surer", sure, drawn, lambda _: True))
    return _table("rule", rows)


def _by_type(bare: IntentGraph, drawn: list[Edge], types: Counter[str]) -> str:
    made = Inference(bare.storage).propose(None, rules=RULES, least=0.0)
    rows = []
    for name, _ in types.most_common():
        kind = EdgeType(name)
        of_kind = [each for each in made if each.edge.type == kind]
        rows.append(_row(f"`{name}`", of_kind, drawn, lambda edge, kind=kind: edge.type == kind))  # type: ignore[misc]
    return _table("type, by all rules at any confidence", rows)


def _row(name: str, made: Sequence[Proposal], drawn: list[Edge], counts: Callable[[Edge], bool]) -> list[str]:
    wanted = {edge.key for edge in drawn if counts(edge)}
    pairs = {frozenset((edge.source, edge.target)) for edge in drawn}
    right = sum(each.edge.key in wanted for each in made)
    right_pairs = sum(frozenset((each.edge.source, each.edge.target)) in pairs for each in made)
    precision = f"{right / len(made):.0%}" if made else "-"
    pair_precision = f"{right_pairs / len(made):.0%}" if made else "-"
    recall = f"{right / len(wanted):.1%}" if wanted else "-"
    return [name, str(len(made)), str(right), precision, pair_precision, recall]


def _table(what: str, rows: list[list[str]]) -> str:
    heads = [what, "proposed", "right", "precision", "right pair", "recall"]
    lines = ["| " + " | ".join(row) + " |" for row in [heads, ["---", *["---:"] * 5], *rows]]
    return "\n".join(lines) + "\n"
