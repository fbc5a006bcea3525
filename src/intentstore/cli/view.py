"""From a verb's result to what a person reads: tables, cards, trees and lines, as data without colour or width.

`plain` and `colour` paint them. Knows the shapes of results; has never heard of a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import view_fleet, view_past, view_texts
from .blocks import Block, Card, Line, Prose, Row, Short, Table, Tree
from .phrases import fact_text, marked, sentence


def blocks(shape: str, result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Returns what to paint for a result; ``short`` writes an id, ``when`` a time."""
    return _SHAPES[shape](result, short, when)


def _intents(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    rows = [_row(intent, short, when) for intent in result["intents"]]
    found: list[Block] = [Table(("ID", "STATUS", "PRIORITY", "UPDATED", "GOAL"), rows)]
    if result.get("next"):
        found.append(Line(f"more: --after {result['next']}"))
    return found


def _row(intent: Mapping[str, Any], short: Short, when: Short) -> Row:
    updated = when(intent.get("updated_at", ""))
    return (short(intent["id"]), intent["status"], str(intent["priority"]), updated, intent["goal"])


def _intent(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    return _intents({"intents": [result["intent"]]}, short, when)


_TITLE = ("id", "goal")


def _shown(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    found: list[Block] = []
    for intent in result["intents"]:
        facts = [(field, fact_text(field, fact, when)) for field, fact in intent.items() if field not in _TITLE]
        facts.insert(0, ("id", intent["id"]))
        mine = [edge for edge in result["edges"] if intent["id"] in (edge["source"], edge["target"])]
        facts.extend(("edge", sentence(edge, short)) for edge in mine)
        found.append(Card(intent["goal"], facts))
    return found


def _edges(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del when
    rows = [
        (short(edge["source"]), edge["type"], short(edge["target"]), str(edge.get("weight", "")))
        for edge in result["edges"]
    ]
    return [Table(("SOURCE", "TYPE", "TARGET", "WEIGHT"), rows, "TARGET", "no edges")]


def _edge(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del when
    return [Line(sentence(result["edge"], short))]


def _path(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    if result["path"] is None:
        return [Line("no way leads from one to the other")]
    return _edges({"edges": result["path"]}, short, when)


def _tree(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del short, when
    return [Tree(result["tree"])]


def _blocked(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del when
    rows = []
    for each in result["blocked"]:
        because = "; ".join(_reason(reason, short) for reason in each["because"])
        rows.append((short(each["intent"]["id"]), str(each["intent"]["priority"]), each["intent"]["goal"], because))
    return [Table(("ID", "PRIORITY", "GOAL", "BECAUSE"), rows, nothing="nothing waits")]


def _reason(reason: Mapping[str, Any], short: Short) -> str:
    if reason["kind"] in ("claim", "deferred"):
        return f"{'claimed by' if reason['kind'] == 'claim' else 'deferred to'} {reason['id']}"
    status = f" ({reason['status']})" if reason.get("status") else ""
    return f"{reason['kind']} {short(reason['id'])}{status}"


def _hits(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del when
    rows = [
        (
            short(hit["intent"]["id"]),
            f"{hit['score']:.2f}",
            hit["intent"]["status"],
            hit["intent"]["goal"],
            marked(hit["snippet"], hit.get("marks", ())),
        )
        for hit in result["hits"]
    ]
    return [Table(("ID", "SCORE", "STATUS", "GOAL", "BECAUSE"), rows)]


def _entries(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    rows = [
        (str(e["revision"]), when(e["at"]), e.get("actor", ""), _change(e["change"], short), e.get("reason", ""))
        for e in result["entries"]
    ]
    return [Table(("REVISION", "WHEN", "ACTOR", "CHANGE", "REASON"), rows, "CHANGE")]


def _change(change: Mapping[str, Any], short: Short) -> str:
    match change["do"]:
        case "put":
            intent = change["intent"]
            return f"{intent['status']}, priority {intent['priority']}: {intent['goal']}"
        case "drop":
            return "deleted"
        case "link":
            return sentence(change["edge"], short)
        case "unlink":
            return f"no longer: {sentence(change, short)}"
        case "define":
            return f"defined {change['name']}" if "value" in change else f"no longer defined: {change['name']}"
    return f"note: {change.get('text', '')}"


def _entry(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    return _entries({"entries": [result["entry"]]}, short, when)


def _commits(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    rows = []
    for commit in result["commits"]:
        changes = commit.get("changes", [])
        what = _change(changes[0], short) if len(changes) == 1 else f"{len(changes)} changes"
        rows.append(
            (str(commit["revision"]), when(commit["at"]), commit.get("actor", ""), what, commit.get("reason", ""))
        )
    found: list[Block] = [Table(("REVISION", "WHEN", "ACTOR", "CHANGES", "REASON"), rows, "CHANGES", "no commits")]
    if result.get("next") is not None:
        found.append(Line(f"more: --since {result['next']}"))
    return found


def _happened(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    changes = result.get("changes", [])
    what = _change(changes[0], short) if len(changes) == 1 else f"{len(changes)} changes"
    who = f"  {result['actor']}" if "actor" in result else ""
    why = f"  ({result['reason']})" if "reason" in result else ""
    return [Line(f"{result['revision']}  {when(result['at'])}{who}  {what}{why}")]


def _commit(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    if result["commit"] is None:
        return [Line("no changes, so no commit")]
    return _commits({"commits": [result["commit"]]}, short, when)


def _count(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del short, when
    rows = [(status, str(number)) for status, number in result["by"].items()]
    return [Table(("STATUS", "INTENTS"), [*rows, ("in all", str(result["count"]))], "INTENTS")]


def _deleted(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del when
    return [Line(f"deleted {', '.join(map(short, result['deleted']))} and {result['edges']} edges")]


def _imported(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del when
    found: list[Block] = [Line(f"imported {result['intents']} intents and {result['edges']} edges")]
    if result["skipped"]:
        rows = [(str(each["line"] or ""), short(each["id"] or ""), each["why"]) for each in result["skipped"]]
        found.append(Table(("LINE", "ID", "SKIPPED BECAUSE"), rows, "SKIPPED BECAUSE"))
    return found


def _replay(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del short
    rows = [(each["commit"], when(each["at"]), each["kind"], each["message"]) for each in result["conflicts"]]
    told = Line(f"{result['replayed']} brought, {result['waiting']} waiting, {len(rows)} refused", good=not rows)
    return [told, Table(("COMMIT", "WHEN", "REFUSED", "WHY"), rows, "WHY")] if rows else [told]


def _report(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del short, when
    if result["ok"]:
        return [Line("everything agrees with everything else")]
    rows = [(each["where"], each["what"]) for each in result["problems"]]
    return [Table(("WHERE", "WHAT"), rows, "WHAT"), Line(f"{len(rows)} problems found", good=False)]


def _repaired(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    brought = {name: result[name] for name in ("store", "commits", "intents", "edges")}
    return [*_facts(brought, short, when), *_report(result, short, when)]


def _health(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del short, when
    rows = [("ok" if each["ok"] else "!", each["check"], each["found"], each["means"]) for each in result["checks"]]
    bad = sum(not each["ok"] for each in result["checks"])
    said = "all is well" if result["ok"] else f"{bad} things are not as they should be"
    return [Table(("", "CHECK", "FOUND", "MEANS"), rows, "MEANS"), Line(said, good=bool(result["ok"]))]


def _facts(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    del short, when
    return [Card("", list(_flat(result, "")))]


def _flat(facts: Mapping[str, Any], before: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, fact in facts.items():
        if isinstance(fact, dict):
            found.extend(_flat(fact, f"{before}{name}."))
        else:
            found.append((f"{before}{name}", fact_text("", fact, str)))
    return found


_SHAPES: dict[str, Callable[[Mapping[str, Any], Short, Short], list[Block]]] = {
    "added": view_texts.added,
    "blocked": _blocked,
    "claimed": view_fleet.claimed,
    "commit": _commit,
    "commits": _commits,
    "happened": _happened,
    "conflicts": view_fleet.conflicts,
    "context": lambda r, _s, _w: [Prose(r["text"])],
    "count": _count,
    "critical_path": view_fleet.critical_path,
    "cycles": view_fleet.cycles,
    "deleted": _deleted,
    "differences": view_past.differences,
    "edge": _edge,
    "edges": _edges,
    "entries": _entries,
    "entry": _entry,
    "exported": lambda r, _s, _w: [Line(f"exported {r['intents']} intents and {r['edges']} edges")],
    "facts": _facts,
    "health": _health,
    "hits": _hits,
    "impact": view_fleet.impact,
    "imported": _imported,
    "intent": _intent,
    "intents": _intents,
    "git_merged": view_past.git_merged,
    "merged": view_past.merged,
    "moved": _intents,
    "origins": view_past.origins,
    "parsed": view_texts.parsed,
    "path": _path,
    "policies": view_fleet.policies,
    "proposals": view_fleet.proposals,
    "receipt": _facts,
    "repaired": _repaired,
    "replay": _replay,
    "report": _report,
    "requeued": view_fleet.requeued,
    "shown": _shown,
    "stages": view_past.stages,
    "store": lambda r, _s, _w: [Line(f"graph {r['graph']} is kept in {r['store']}")],
    "tidied": view_texts.tidied,
    "tree": _tree,
    "unlinked": lambda r, _s, _w: [Line(f"deleted {r['deleted']} edge")],
}
