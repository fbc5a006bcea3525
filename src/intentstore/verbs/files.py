"""Verbs that carry goals in and out of files: import, export, graph, apply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from ..codec import change_from, jsonable
from ..ground.change import Change, Link, Put
from ..ground.identity import utc_now
from ..ground.types import UNSTORED, Intent
from .declare import REASON, Argument, Result, Session, Verb, positional
from .goals import FILTERS
from .reading import read_filter, resolve

if TYPE_CHECKING:
    from ..formats.arrivals import IfExists
    from ..graph.transaction import Transaction

IMPORTS = ("auto", "jsonl", "beads", "ccos", "rtfs")
EXPORTS = ("jsonl", "beads", "ccos", "rtfs", "mermaid", "dot", "graphml", "svg", "html")
PICTURES = ("html", "svg", "mermaid", "dot", "graphml")


def import_(session: Session, /, *, file: str, format: str, if_exists: IfExists) -> Result:
    """Reads a file of goals in one transaction."""
    from ..formats import import_into

    source = session.source(file)
    with session.progress(f"importing {file}") as progress:
        done = import_into(session.graph, source, format=format, if_exists=if_exists, progress=progress)
    skipped = [{"line": each.line, "id": each.id, "why": each.why} for each in done.skipped]
    return {"intents": done.intents, "edges": done.edges, "skipped": skipped}


def export(
    session: Session, /, *, file: str, format: str, ccos_version: str | None = None, root: str | None = None
) -> Result:
    """Writes the graph as one file, or for CCOS what is below one intent."""
    from ..formats import export_from

    graph = session.graph
    root = None if root is None else resolve(graph, root)
    target = session.target(file)
    with session.progress(f"exporting to {file}") as progress:
        done = export_from(graph, target, format=format, version=ccos_version, root=root, progress=progress)
    return {"intents": done.intents, "edges": done.edges}


def draw(session: Session, /, *, file: str, format: str | None = None, root: str | None = None, **given: Any) -> Result:
    """Writes a picture of what a filter means, or of a goal and all below it; its kind by the file's name."""
    from ..formats import export_from

    graph = session.graph
    where = read_filter(graph, given)
    if root is not None:
        top = resolve(graph, root, "root")
        below = frozenset({top, *(intent.id for intent in graph.descendants(top))})
        where = where.replace(ids=below if where.ids is None else below & where.ids)
    kind = format or next((each for each in PICTURES if file.endswith(f".{each}")), "svg")
    with session.progress(f"drawing {file}") as progress:
        done = export_from(graph, session.target(file), format=kind, where=where, progress=progress)
    return {"intents": done.intents, "edges": done.edges}


def apply(session: Session, /, *, file: str, reason: str | None = None, commit_id: str | None = None) -> Result:
    """Applies JSON lines of changes as one commit; an intent without id is new, one with a known id is changed."""
    graph = session.graph
    changes = list(read_changes(session.source(file)))
    wanted = list({change.intent.id for change in changes if isinstance(change, Put) and change.intent.id})
    known = {intent.id: intent for intent in graph.fetch(wanted) if intent is not None}
    with graph.transaction(reason=reason, commit_id=commit_id) as tx:
        for change in changes:
            match change:
                case Put(intent=intent, expected=expected):
                    stored = _put(tx, intent, expected, known.get(intent.id))
                    known[stored.id] = stored
                case Link(edge=edge) if edge.created_at is UNSTORED:
                    tx.apply(Link(edge=edge.replace(created_at=utc_now()), expected=change.expected))
                case _:
                    tx.apply(change)
    return {"commit": None if tx.commit is None else jsonable(tx.commit)}


def _put(tx: Transaction, intent: Intent, expected: int | None, current: Intent | None) -> Intent:
    if expected == 0 or (current is None and not expected):
        return tx.store(intent)
    if current is not None and intent.created_at is UNSTORED:
        intent = intent.replace(created_at=current.created_at)
    return tx.update(intent.replace(revision=expected or 0))


def read_changes(given: str | BinaryIO) -> Iterator[Change]:
    """Yields the changes that stand on the lines, blank ones left out; an error names its line."""
    from ..formats.source import Source, placing

    source = Source(given)
    try:
        for line in source:
            record = line.record()
            with placing(line.number):
                yield change_from(record)
    finally:
        source.close()


VERBS = (
    Verb(
        "import",
        "read goals from a file",
        import_,
        "imported",
        (
            positional("file", "the file, or the directory of a CCOS archive; - is standard input"),
            Argument("format", "what the file is", choices=IMPORTS, default="auto"),
            Argument(
                "if_exists",
                "what to do about an id that is taken",
                choices=("refuse", "replace", "keep"),
                default="refuse",
            ),
        ),
        writes=True,
        about="Reads the whole file in one transaction: all of it is stored, or nothing.",
        examples=(
            "import goals.jsonl",
            "import issues.beads.jsonl --format beads --if-exists keep",
            "import ccos-backup.json",
        ),
    ),
    Verb(
        "export",
        "write the graph to a file",
        export,
        "exported",
        (
            positional("file", "the file; - is standard output"),
            Argument("format", "what to write", choices=EXPORTS, default="jsonl"),
            Argument("ccos_version", "for ccos: the version of the backup", choices=("1.0", "1.1")),
            Argument("root", "for ccos: a subgraph backup of this intent and all below it", metavar="ID"),
        ),
        about="Writes every intent and every edge. To standard output only the export itself is written; with --json\n"
        "its result then goes to standard error.",
        examples=("export goals.jsonl", "export - --format mermaid", "export backup.json --format ccos"),
    ),
    Verb(
        "graph",
        "draw the graph, or a part of it",
        draw,
        "exported",
        (
            positional("file", "the file; - is standard output"),
            Argument("format", "what to draw; by the file's name when left out, else svg", choices=PICTURES),
            Argument("root", "this goal and all below it", metavar="ID"),
            *FILTERS,
        ),
        about="Draws trees of subgoals from left to right and the other relations as curves. What is settled, with\n"
        "nothing open below, is one dashed box, so that thousands of goals can be read. The page and the picture\n"
        "need nothing else and run nothing.",
        examples=(
            "graph goals.html",
            "graph - --root 019a2f --format mermaid",
            "graph open.svg --status active,executing",
        ),
    ),
    Verb(
        "apply",
        "apply JSON lines of changes as one commit",
        apply,
        "commit",
        (
            positional("file", "the file; - is standard input"),
            REASON,
            Argument("commit_id", "the same id again is the same commit, applied once", metavar="ID"),
        ),
        writes=True,
        about='Each line is one change: {"do":"put","intent":{…}}, {"do":"link","edge":{…}}, {"do":"drop","id":…},\n'
        '{"do":"unlink","source":…,"type":…,"target":…}, {"do":"note","id":…,"text":…}; "expected" is the revision\n'
        "you saw, 0 for none. All of them are applied, or none.",
        examples=("apply changes.jsonl --reason replan", "apply - --commit-id plan-42 <changes.jsonl"),
    ),
)
