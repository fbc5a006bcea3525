"""What a person reads of the verbs about the past: differences, origins of fields, stages of a life."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .blocks import Block, Line, Row, Short, Table
from .phrases import fact_text, sentence

Result = Mapping[str, Any]


def differences(result: Result, short: Short, when: Short) -> list[Block]:
    """Draws each field that differs, with both its values."""
    rows = [row for change in result["changes"] for row in _difference(change, short, when)]
    return [Table(("WHAT", "HOW", "FIELD", "BEFORE", "AFTER"), rows, "AFTER", "nothing differs")]


def _difference(change: Result, short: Short, when: Short) -> Iterator[Row]:
    thing = change.get("after") or change["before"]
    what = short(thing["id"]) if "goal" in thing else thing["name"] if "do" in thing else sentence(thing, short)
    if change["how"] != "changed":
        side = 3 if change["how"] == "removed" else 4
        row = [what, change["how"], "", "", ""]
        row[side] = thing.get("goal", "")
        yield tuple(row)
    for field in change.get("fields", ()):
        before, after = (_value(field, side, when) for side in ("before", "after"))
        yield (what, change["how"], _path(field), before, after)


def _path(field: Result) -> str:
    return f"{field['field']}.{_plain(field['key'])}" if "key" in field else str(field["field"])


def _plain(key: Any) -> str:
    return key if isinstance(key, str) else fact_text("", key, str)


def _value(field: Result, side: str, when: Short) -> str:
    return fact_text(field["field"], field[side], when) if side in field and field["field"] != "labels" else ""


def merged(result: Result, short: Short, when: Short) -> list[Block]:
    """Draws what was taken over, and of what both had changed which stands."""
    del short
    kinds = ("intents", "edges", "definitions", "notes")
    counts = ", ".join(f"{result[kind]} {kind}" for kind in kinds if result[kind])
    done = "merged" if result["commits"] else "to be merged"
    line = Line(f"{done}: {counts}" if counts else "nothing to merge: this graph has all of the other")
    rows = [
        (
            each["subject"],
            each.get("field", ""),
            *(fact_text("", each[side], when) if side in each else "" for side in ("ours", "theirs")),
            each["kept"],
            each["why"],
        )
        for each in result["conflicts"]
    ]
    if not rows:
        return [line]
    return [line, Table(("CHANGED IN BOTH", "FIELD", "HERE", "THERE", "STANDS", "WHY"), rows, "THERE")]


def git_merged(result: Result, short: Short, when: Short) -> list[Block]:
    """Draws what git's driver did, nothing for a file that stays as it is; or that git will call it from now on."""
    if "driver" in result:
        return [Line(f"git merges {result['store']} by its meaning from now on; commit the files in it")]
    return merged(result, short, when) if result else []


def origins(result: Result, short: Short, when: Short) -> list[Block]:
    """Draws each field with who set it, when and why."""
    del short
    rows = [
        (
            _path(each),
            _value(each, "value", when),
            str(each["revision"]),
            when(each["at"]),
            each.get("actor", ""),
            each.get("reason", ""),
        )
        for each in result["fields"]
    ]
    return [Table(("FIELD", "VALUE", "REVISION", "WHEN", "ACTOR", "REASON"), rows, "VALUE")]


def stages(result: Result, short: Short, when: Short) -> list[Block]:
    """Draws each status with its times."""
    del short
    rows = [
        (
            each["status"] or "deleted",
            when(each["since"]),
            when(each.get("until", "")),
            str(each["revision"]),
            each.get("actor", ""),
            each.get("reason", ""),
        )
        for each in result["timeline"]
    ]
    return [Table(("STATUS", "SINCE", "UNTIL", "REVISION", "ACTOR", "REASON"), rows, "REASON")]
