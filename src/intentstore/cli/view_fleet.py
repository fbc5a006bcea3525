"""What a person reads of the verbs of a fleet at work. Imported by `view` when one of these shapes is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .blocks import Block, Card, Line, Short, Table


def impact(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Draws what waits for an intent."""
    del when
    rows = [
        (str(each["distance"]), short(each["intent"]["id"]), each["intent"]["goal"], _because(each, short))
        for each in result["impact"]
    ]
    return [Table(("STEPS", "ID", "GOAL", "BECAUSE"), rows, nothing="nothing waits for it")]


def _because(each: Mapping[str, Any], short: Short) -> str:
    via = short(each["via"])
    said = {"subgoal": "has the subgoal", "ancestor": "stands below", "blocks": "is blocked by"}
    return f"{said.get(each['because'], 'depends on')} {via}"


def critical_path(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Draws the chain in the order in which it must be done."""
    del when
    rows = [
        (str(at), short(intent["id"]), intent["status"], intent["goal"])
        for at, intent in enumerate(result["intents"], 1)
    ]
    table = Table(("STEP", "ID", "STATUS", "GOAL"), rows, nothing="nothing is open")
    return [table, Line(f"length {result['length']:g}")] if rows else [table]


def conflicts(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Draws each conflict with its two goals."""
    del when
    rows = [
        (short(each["left"]["id"]), short(each["right"]["id"]), f"{each['left']['goal']} / {each['right']['goal']}")
        for each in result["conflicts"]
    ]
    return [Table(("A", "B", "GOALS"), rows, "GOALS", "no live conflicts")]


def cycles(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Draws each circle with its steps."""
    del when
    rows = [(" -> ".join(map(short, each["ids"])), "; ".join(each["because"])) for each in result["cycles"]]
    return [Table(("CIRCLE", "BECAUSE"), rows, "BECAUSE", "nobody waits in a circle")]


def proposals(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Draws each proposed edge with its reason."""
    del when
    rows = []
    for each in result["proposals"]:
        edge = each["edge"]
        sentence = f"{short(edge['source'])} {edge['type']} {short(edge['target'])}"
        rows.append((f"{each['confidence']:.2f}", each["rule"], sentence, each["because"]))
    table = Table(("SURE", "RULE", "EDGE", "BECAUSE"), rows, "BECAUSE", "nothing to propose")
    return [table, Line(f"stored {result['stored']} edges")] if result["stored"] else [table]


def claimed(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Draws what was claimed, by whom, with which token, until when."""
    intent = result["intent"]
    if intent is None:
        return [Line("nothing is ready")]
    claim = intent.get("claim", {})
    facts = [("id", intent["id"]), ("owner", claim.get("owner", "")), ("token", str(claim.get("token", "")))]
    facts += [("until", claim.get("until", "")), ("status", intent["status"]), ("priority", str(intent["priority"]))]
    del short, when
    return [Card(intent["goal"], facts)]


def requeued(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Draws what was given back."""
    rows = [(short(intent["id"]), intent["goal"]) for intent in result["requeued"]]
    del when
    return [Table(("ID", "GOAL"), rows, nothing="nothing was left behind")]


def policies(result: Mapping[str, Any], short: Short, when: Short) -> list[Block]:
    """Draws each policy as its kind and its JSON."""
    import msgspec

    del short, when
    rows = [
        (name, rule["kind"], msgspec.json.encode({key: value for key, value in rule.items() if key != "kind"}).decode())
        for name, rule in result["policies"].items()
    ]
    return [Table(("NAME", "KIND", "SAYS"), rows, "SAYS", "no policies")]
