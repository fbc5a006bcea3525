"""Verbs about how goals relate: link, unlink, edges, tree, path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codec import jsonable
from ..ground.errors import QueryInvalid
from ..ground.types import edge_key
from .declare import ID, REASON, Argument, Result, Session, Verb, flag, positional
from .reading import resolve

if TYPE_CHECKING:
    from ..graph.graph import Branch

DEEPEST = 200
"""How deep a tree may nest in one answer: JSON readers everywhere give up somewhere beyond."""


def link(
    session: Session, /, *, source: str, type: str, target: str, weight: float | None = None, reason: str | None = None
) -> Result:
    """Stores the edge *source* type *target*."""
    graph = session.graph
    a, b = resolve(graph, source, "source"), resolve(graph, target, "target")
    return {"edge": jsonable(graph.link(a, type, b, weight=weight, reason=reason))}


def unlink(session: Session, /, *, source: str, type: str, target: str, reason: str | None = None) -> Result:
    """Deletes the edge *source* type *target*."""
    graph = session.graph
    key = edge_key(resolve(graph, source, "source"), type, resolve(graph, target, "target"))
    graph.unlink(*key, reason=reason)
    return {"deleted": 1}


def edges(session: Session, /, *, id: str, type: tuple[str, ...] = (), direction: str = "both") -> Result:
    """Returns the edges at an intent."""
    graph = session.graph
    return {"edges": jsonable(graph.edges(resolve(graph, id), types=type, direction=direction))}


def path(session: Session, /, *, source: str, target: str, weighted: bool) -> Result:
    """Returns the edges of a shortest way, None when there is none."""
    graph = session.graph
    way = graph.path(resolve(graph, source, "source"), resolve(graph, target, "target"), weighted=weighted)
    return {"path": None if way is None else jsonable(way)}


def tree(session: Session, /, *, id: str | None = None, depth: int | None = None) -> Result:
    """Returns goals with their subgoals below them; what stood there before is named again, not unfolded again."""
    graph = session.graph
    if depth is not None and depth < 0:
        raise QueryInvalid(f"depth is {depth}", hint="give a whole number, 0 or more")
    found = graph.tree(None if id is None else resolve(graph, id), depth=depth)
    return {"tree": _unfold(found)}


def _unfold(branches: list[Branch]) -> list[dict[str, Any]]:
    top: list[dict[str, Any]] = []
    seen: set[str] = set()
    todo = [(branch, top, 1) for branch in reversed(branches)]
    while todo:
        branch, into, level = todo.pop()
        if level > DEEPEST:
            raise QueryInvalid(f"the tree is deeper than {DEEPEST} levels", hint=f"ask with --depth {DEEPEST - 1}")
        intent = branch.intent
        below: list[dict[str, Any]] = []
        node: dict[str, Any] = {"id": intent.id, "goal": intent.goal, "status": str(intent.status), "children": below}
        into.append(node)
        if intent.id in seen and branch.children:
            node["again"] = True
            continue
        seen.add(intent.id)
        todo.extend((child, below, level + 1) for child in reversed(branch.children))
    return top


_ENDS = (
    positional("source", "the intent the sentence begins with", metavar="A"),
    positional("type", "depends_on, is_subgoal_of, blocks, enables, conflicts_with, related_to, triggered_by, …"),
    positional("target", "the intent it ends with", metavar="B"),
)

VERBS = (
    Verb(
        "link",
        "relate two intents",
        link,
        "edge",
        (*_ENDS, Argument("weight", "a finite number", kind="number", metavar="W"), REASON),
        writes=True,
        about="Stores one edge, read as a sentence: A depends_on B. A type of your own is any word of a-z, 0-9 and _.\n"
        "Cycles among depends_on and blocks, or among is_subgoal_of, are refused.",
        examples=("link 019a2f depends_on 019a31", "link 019a2f related_to 019a40 --weight 0.5"),
    ),
    Verb(
        "unlink",
        "take an edge away",
        unlink,
        "unlinked",
        (*_ENDS, REASON),
        writes=True,
        about="Deletes the edge A TYPE B.",
        examples=("unlink 019a2f depends_on 019a31",),
    ),
    Verb(
        "edges",
        "list the edges at an intent",
        edges,
        "edges",
        (
            ID,
            Argument("type", "only of this type", many=True, metavar="TYPE"),
            Argument("direction", "out: it is the source", choices=("out", "in", "both"), default="both"),
        ),
        about="Lists the edges at the intent, from either end.",
        examples=("edges 019a2f", "edges 019a2f --type depends_on --direction out"),
    ),
    Verb(
        "tree",
        "draw goals with their subgoals",
        tree,
        "tree",
        (
            positional("id", "where to begin; every goal without a parent when left out", required=False),
            Argument("depth", "how many levels below", kind="integer", metavar="N"),
        ),
        about="Draws goals with their subgoals below them. A goal with several parents stands below each,\n"
        "unfolded the first time only.",
        examples=("tree", "tree 019a2f --depth 2"),
    ),
    Verb(
        "path",
        "find the shortest way between two intents",
        path,
        "path",
        (_ENDS[0], _ENDS[2], flag("weighted", "the way whose weights add up to least; without a weight: 1")),
        about="Finds the fewest edges that lead from A to B, along edges of any type in either direction.",
        examples=("path 019a2f 019a31",),
    ),
)
