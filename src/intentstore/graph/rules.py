"""The rules that propose edges: each a name, keys by which two intents may find each other, and a judgement of the two.

Pure: a rule sees two intents and nothing else. Two find each other where a key that one *asks* for is one the other
*answers* to; a mutual rule asks for what it answers to. Confidences are measured in docs/quality.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from ..ground.query import words
from ..ground.types import SETTLED, EdgeType, Intent, IntentId
from ..ground.values import Map, Resource

Rarity = Callable[[str], float]
"""How much it says that two intents share this key of the rule."""


class Suggestion(NamedTuple):
    """An edge a rule believes in: *source* type *target*, how surely (0 to 1), and why."""

    source: IntentId
    type: str
    target: IntentId
    confidence: float
    because: str


class Rule(NamedTuple):
    """One way to see that two intents belong together. ``judge(asker, answerer, rarity)`` yields what it proposes."""

    name: str
    line: str
    asks: Callable[[Intent], Iterable[str]]
    answers: Callable[[Intent], Iterable[str]]
    judge: Callable[[Intent, Intent, Rarity], Iterable[Suggestion]]
    mutual: bool = False


_MOST_KEYS = 48
"""An intent has no more keys for one rule: a long text costs what a short one does."""


# --- constraints ---


def _scoped(intent: Intent) -> list[str]:
    """Returns one key for each constraint in each surrounding that the intent shares with others."""
    scopes = [f"session {intent.session_id}"] if intent.session_id else []
    scopes += [str(resource) for resource in resources(intent)]
    upper = intent.id.rpartition(".")[0]
    scopes += [f"id {upper}"] if upper else []
    names = {_bare(name) for name in intent.constraints if isinstance(name, str)}
    return [f"{scope}|{name}" for scope in scopes for name in sorted(names)][:_MOST_KEYS]


def _bare(name: str) -> str:
    """Returns what a bound is about: ``max-cost`` and ``min-cost`` are both about ``cost``."""
    return name[4:] if name[:4] in ("max-", "min-") else name


def _clashing(a: Intent, b: Intent, _: Rarity) -> Iterator[Suggestion]:
    shared = set(_scoped(a)) & set(_scoped(b))
    if not shared:
        return
    for confidence, because in _incompatible(a.constraints, b.constraints):
        yield Suggestion(a.id, EdgeType.CONFLICTS_WITH, b.id, confidence, because)
        return


def _incompatible(a: Map, b: Map) -> Iterator[tuple[float, str]]:
    for mine, theirs in ((a, b), (b, a)):
        for name, most in mine.items():
            least = theirs.get(f"min-{name[4:]}") if isinstance(name, str) and name[:4] == "max-" else None
            if _number(most) and _number(least) and least > most:
                yield 0.9, f"one allows {_bare(name)} up to {most}, the other asks for {least} or more"
    for name in a.keys() & b.keys():
        one, other = a[name], b[name]
        if isinstance(one, tuple) and isinstance(other, tuple) and one and other and not set(one) & set(other):
            yield 0.8, f"both restrict {name}, to values that have nothing in common"
        elif _choice(one) and _choice(other) and one != other:
            yield 0.6, f"one demands {name} {one}, the other {other}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _choice(value: Any) -> bool:
    return not isinstance(value, tuple | Map) and not _number(value) and value is not None


# --- resources ---


def resources(intent: Intent) -> list[Resource]:
    """Returns the resources that the intent's constraints, preferences and metadata name, at any depth."""
    found: dict[Resource, None] = {}
    todo: list[Any] = [intent.constraints, intent.preferences, intent.metadata]
    while todo:
        value = todo.pop()
        if isinstance(value, Resource):
            found[value] = None
        elif isinstance(value, Map):
            todo.extend(value.values())
        elif isinstance(value, tuple):
            todo.extend(value)
    return list(islice(found, _MOST_KEYS))


def _resource_keys(intent: Intent) -> list[str]:
    return [str(resource) for resource in resources(intent)]


def _sharing(a: Intent, b: Intent, _: Rarity) -> Iterator[Suggestion]:
    shared = sorted(set(_resource_keys(a)) & set(_resource_keys(b)))
    if not shared:
        return
    both_need = set(_needed(a)) & set(_needed(b))
    type, confidence = (EdgeType.CONFLICTS_WITH, 0.6) if both_need else (EdgeType.RELATED_TO, 0.5)
    yield Suggestion(a.id, type, b.id, confidence, f"both need {', '.join(shared)}")


def _needed(intent: Intent) -> list[str]:
    return _resource_keys(Intent(goal=intent.goal, constraints=intent.constraints))


# --- text ---

_FILLER = frozenset(words("a an and are as at be by for from in into is it of on or that the this to with not no"))


def _telling(intent: Intent) -> list[str]:
    return list(dict.fromkeys(word for word in words(intent.goal) if word not in _FILLER and len(word) > 1))[
        :_MOST_KEYS
    ]


def _resembling(a: Intent, b: Intent, rarity: Rarity) -> Iterator[Suggestion]:
    mine, theirs = set(_telling(a)), set(_telling(b))
    shared = mine & theirs
    if len(shared) < 2:
        return
    whole = sum(rarity(word) for word in mine | theirs)
    if mine == theirs and {a.status, b.status} & SETTLED:
        return  # the same goal again, after it was reached: a repetition
    score = 0.8 * sum(rarity(word) for word in shared) / whole
    told = ", ".join(sorted(shared, key=lambda word: (-rarity(word), word))[:5])
    yield Suggestion(a.id, EdgeType.RELATED_TO, b.id, round(score, 3), f"their goals share {told}")


# --- ids and titles ---

_MENTION = re.compile(r"[A-Za-z0-9][\w.\-]{3,62}\w")
_PHRASES: tuple[tuple[str, str, bool, float], ...] = (
    # what stands before the mention, the edge, whether it is the mentioned one that comes first, how sure
    (r"block(?:ed|ing)? by|depends? on|requires?|needs?|wait(?:s|ing)? (?:for|on)|after", "depends_on", False, 0.5),
    (r"blocks|unblocks|prerequisite (?:for|of)|enables", "depends_on", True, 0.5),
    (r"part of|child of|sub-?task of|parent(?: epic| issue)?:?|epic:?|under", "is_subgoal_of", False, 0.6),
    (r"discovered (?:from|while|during|in)|found (?:while|during|in)", "discovered_from", False, 0.6),
    (r"duplicates?(?: of)?|same as", "duplicates", False, 0.7),
    (r"supersedes|replaces", "supersedes", False, 0.7),
)
_BEFORE = tuple(
    (re.compile(rf"(?:{phrase})\W*(?:\w+\W+){{0,2}}$", re.IGNORECASE), type, turned, sure)
    for phrase, type, turned, sure in _PHRASES
)


def _text(intent: Intent) -> str:
    criteria = intent.success_criteria
    parts = (intent.goal, intent.original_request, criteria if isinstance(criteria, str) else None)
    return "\n".join(part for part in parts if part)


def _mentions(intent: Intent) -> list[str]:
    """Returns the words of the intent's text that may be somebody's id: long enough, with a digit or a dash."""
    found = {
        word: None
        for word in _MENTION.findall(_text(intent))
        if any(sign.isdigit() for sign in word) or "-" in word[1:-1]
    }
    return list(islice(found, _MOST_KEYS))


def _named(intent: Intent) -> list[str]:
    return [intent.id]


def _mentioning(a: Intent, b: Intent, _: Rarity) -> Iterator[Suggestion]:
    text = _text(a)
    at = text.find(b.id)
    if at < 0:
        return
    before = text[max(0, at - 40) : at]
    for pattern, type, turned, sure in _BEFORE:
        said = pattern.search(before)
        if said is not None:
            ends = (b.id, a.id) if turned else (a.id, b.id)
            yield Suggestion(ends[0], type, ends[1], sure, f"its text says: {said[0].strip()} {b.id}")
            return
    yield Suggestion(a.id, EdgeType.RELATED_TO, b.id, 0.2, f"its text names {b.id}")


def _upper_id(intent: Intent) -> list[str]:
    upper = intent.id.rpartition(".")[0]
    return [upper] if upper else []


def _within(a: Intent, b: Intent, _: Rarity) -> Iterator[Suggestion]:
    yield Suggestion(a.id, EdgeType.IS_SUBGOAL_OF, b.id, 0.9, f"its id continues that of {b.id}")


def _turn(intent: Intent, ahead: int) -> list[str]:
    upper, _, number = intent.id.rpartition(".")
    return [f"{upper}.{int(number) - ahead}"] if upper and number.isascii() and number.isdigit() else []


def _next_id(a: Intent, b: Intent, _: Rarity) -> Iterator[Suggestion]:
    yield Suggestion(a.id, EdgeType.DEPENDS_ON, b.id, 0.3, f"its id comes after {b.id}")


def _headings(intent: Intent) -> list[str]:
    """Returns what stands before a colon or a dash in the goal, or in brackets at its begin: a larger goal's name."""
    found = [head for head in re.split(r":\s|\s[-\u2013\u2014]\s", intent.goal, maxsplit=2)[:-1] if head]
    bracketed = re.match(r"[\[(](.{3,60}?)[\])]", intent.goal)
    return [_title(head) for head in [*found, *([bracketed[1]] if bracketed else [])] if _title(head)]


def _title(text: str) -> str:
    told = words(text)
    return " ".join(told) if 2 <= len(told) <= 12 else ""


def _titled(intent: Intent) -> list[str]:
    return [title for title in {_title(intent.goal), _title(intent.name or "")} if title]


def _heading(a: Intent, b: Intent, _: Rarity) -> Iterator[Suggestion]:
    yield Suggestion(a.id, EdgeType.IS_SUBGOAL_OF, b.id, 0.7, f"its goal stands under {b.goal!r}")


# --- sequence ---

_STEP = re.compile(r"\b(phase|step|part|stage|milestone|iteration|round)\s*#?(\d{1,3})\b", re.IGNORECASE)


def _places(intent: Intent, ahead: int) -> list[str]:
    said = _STEP.search(intent.goal)
    if said is None:
        return []
    kind, number = said[1].casefold(), int(said[2]) - ahead
    rest = " ".join(words(_STEP.sub(" ", intent.goal, count=1)))
    upper = intent.id.rpartition(".")[0]
    scopes = [f"id {upper}"] if upper else []
    scopes += [f"session {intent.session_id}"] if intent.session_id else []
    scopes += [f"goal {rest}"] if len(rest.split()) > 1 else []
    return [f"{scope}|{kind}|{number}" for scope in scopes]


def _following(a: Intent, b: Intent, _: Rarity) -> Iterator[Suggestion]:
    later, earlier = _STEP.search(a.goal), _STEP.search(b.goal)
    if later is not None and earlier is not None:
        yield Suggestion(a.id, EdgeType.DEPENDS_ON, b.id, 0.7, f"{later[0]} follows {earlier[0]}")


def _alone(_: Intent) -> list[str]:
    return []


RULES: tuple[Rule, ...] = (
    Rule("id-part", "an id that continues another's: x.1 is a subgoal of x", _upper_id, _named, _within),
    Rule("id-order", "ids that count: x.2 waits for x.1", partial(_turn, ahead=1), partial(_turn, ahead=0), _next_id),
    Rule("mention", "a text that names another's id, and how", _mentions, _named, _mentioning),
    Rule("heading", "a goal that begins with another's title", _headings, _titled, _heading),
    Rule("sequence", "phase 2 after phase 1", partial(_places, ahead=1), partial(_places, ahead=0), _following),
    Rule("constraint", "constraints that exclude each other", _scoped, _alone, _clashing, mutual=True),
    Rule("resource", "both name the same resource", _resource_keys, _alone, _sharing, mutual=True),
    Rule("similar", "goals that share their rarest words", _telling, _alone, _resembling, mutual=True),
)
"""Every rule there is."""
