"""What a sentence of plain language says outright about a goal. Nothing is guessed: no date without its digits."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, NamedTuple

_GOAL = re.compile(r"\bgoal\b\s*(?:is|:)?\s*(?:to\s+)?(.+?)(?:\.(?=\s|$)|$)", re.IGNORECASE | re.DOTALL)
_PRIORITIES = (
    ("critical", re.compile(r"\bcritical(?:ly)?\b", re.IGNORECASE)),
    ("high", re.compile(r"\b(?:high(?:est)?[ -]priority|urgent(?:ly)?|asap)\b", re.IGNORECASE)),
    ("low", re.compile(r"\blow(?:est)?[ -]priority\b", re.IGNORECASE)),
)
_COST = re.compile(r"\$\s?([0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?)")
_DATE = r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(Z|[+-][0-9]{2}:[0-9]{2}))?"
_DEADLINE = re.compile(rf"\b(?:by|before|until|due|deadline)\b[^.;\n]{{0,30}}?\b{_DATE}", re.IGNORECASE)
_WORDS = re.compile(r"[^\W_]+")


class Wishes(NamedTuple):
    """What a prompt says: a name made of its first words, the goal, a priority word or None, bounds."""

    name: str
    goal: str
    priority: str | None
    constraints: tuple[tuple[str, Any], ...]


def wishes_in(prompt: str) -> Wishes:
    """Returns what the prompt says outright.

    >>> wishes_in("The goal is to ship 1.0. It is a low priority, at most $1,200.")
    Wishes(name='ship-1-0', goal='ship 1.0', priority='low', constraints=(('max-cost', 1200.0),))
    """
    said = _GOAL.search(prompt)
    goal = (said[1] if said else prompt).strip()
    name = "-".join(word.lower() for word in _WORDS.findall(goal)[:6])
    priority = next((word for word, pattern in _PRIORITIES if pattern.search(prompt)), None)
    constraints: list[tuple[str, Any]] = []
    cost, deadline = _COST.search(prompt), _DEADLINE.search(prompt)
    if cost is not None:
        constraints.append(("max-cost", float(cost[1].replace(",", ""))))
    if deadline is not None and _is_date(deadline[1]):
        clock, zone = deadline[2] or "00:00:00", deadline[3] or "Z"
        constraints.append(("deadline", f"{deadline[1]}T{clock if len(clock) == 8 else f'{clock}:00'}{zone}"))
    return Wishes(name, goal, priority, tuple(constraints))


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
