"""The part of a graph that fits a budget of tokens: chosen by nearness, match, recency, priority and status.

Each intent in it stands in full, in brief or as a line, with the reasons why it is there; never is the text longer
than the budget. The same graph and the same question give the same text. Decides what is told; `telling` says how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import msgspec

from ..ground.errors import FieldInvalid
from ..ground.protocol import IntentStorage
from ..ground.query import EVERYTHING, IntentFilter, Page, Sort, Walk
from ..ground.types import Intent, IntentId, IntentStatus
from .nearness import Near, near
from .search import about, by_words, scores
from .summary import Summaries
from .telling import FORMATS, LEVELS, Level, Piece, Teller, Told, grouped

if TYPE_CHECKING:
    from .meaning import Meanings

Tokens = Callable[[str], int]

CANDIDATES = 400
_RECENT, _AT_WORK, _MATCHES = 300, 40, 100
_LATELY = 12
"""The so-maniest of those changed last counts half as much as the last."""
_LATEST = Sort("updated_at", descending=True)
_STATUS = {
    IntentStatus.EXECUTING: 1.0,
    IntentStatus.ACTIVE: 0.5,
    IntentStatus.FAILED: 0.4,
    IntentStatus.SUSPENDED: 0.3,
    IntentStatus.COMPLETED: 0.15,
    IntentStatus.ARCHIVED: 0.05,
}
_FOCUS, _FULL, _BRIEF = 0.7, 0.4, 0.3
"""Shares of the budget: for what is in focus, for others in full, for others in brief; the rest is for lines."""
_LOOKED_AT = 48
"""Candidates of which the edges and the subtree are read: so many are told in more than a line."""


class Speaks(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for an intent, each from 0 to 1; or how much each of these weighs."""

    near: float
    match: float
    recency: float
    status: float
    priority: float

    def of(self, other: Speaks) -> float:
        """Returns what all of the other's is worth by these weights."""
        return sum(float(getattr(self, each) * getattr(other, each)) for each in self.__struct_fields__)


# Chosen on real goals (docs/quality.md): what is linked later is mostly what was made just before.
_ASKED = Speaks(near=0.2, match=0.28, recency=0.49, status=0.02, priority=0.01)
_UNASKED = Speaks(near=0.0, match=0.0, recency=0.3, status=0.4, priority=0.3)


class Included(msgspec.Struct, frozen=True, kw_only=True):
    """One intent in a context: how much of it is told, why, its score, and what it takes of the budget."""

    id: IntentId
    level: Level
    because: tuple[str, ...]
    score: float
    tokens: int


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A text of at most the budget, its length in tokens, what is in it, and how many candidates found no room."""

    text: str
    tokens: int
    included: tuple[Included, ...]
    left_out: int


class Candidate(msgspec.Struct, frozen=True):
    """An intent that may be told, what speaks for it, and how loudly."""

    intent: Intent
    score: float
    because: tuple[str, ...]
    in_focus: bool = False


def count_tokens(text: str) -> int:
    """Returns about how many tokens a text is: a quarter of its characters, rounded up."""
    return -(-len(text) // 4)


# --- choosing ---


def candidates(storage: IntentStorage, focus: Sequence[IntentId], matched: Mapping[IntentId, float]) -> list[Candidate]:
    """Returns what may be told, what matters most first; ``matched`` are the scores of what fits the query."""
    around = near(storage, focus) if focus else {}
    newest = storage.select(EVERYTHING, Page(sort=_LATEST, limit=_RECENT)).intents
    at_work = IntentFilter(status=frozenset({IntentStatus.EXECUTING}))
    working = storage.select(at_work, Page(sort=_LATEST, limit=_AT_WORK)).intents
    there = {intent.id: intent for intent in (*newest, *working)}
    wanted = [id for id in {**around, **matched} if id not in there]
    there.update((intent.id, intent) for intent in storage.fetch(wanted) if intent is not None)
    weights = _ASKED if focus or matched else _UNASKED
    age = {intent.id: at for at, intent in enumerate(newest)}
    top = max((intent.priority for intent in there.values()), default=0)
    found = []
    for intent in there.values():
        speaks = Speaks(
            near=around[intent.id].worth if intent.id in around else 0.0,
            match=matched.get(intent.id, 0.0) / max(matched.values(), default=1.0),
            recency=1 / (1 + age[intent.id] / _LATELY) if intent.id in age else 0.0,
            status=_STATUS[intent.status],
            priority=max(0.0, intent.priority / top) if top > 0 else 0.0,
        )
        because = _because(intent, speaks, around.get(intent.id))
        found.append(Candidate(intent, round(weights.of(speaks), 6), because, intent.id in focus))
    place = {id: at for at, id in enumerate(focus)}
    found.sort(key=lambda each: (place.get(each.intent.id, len(place)), -each.score, each.intent.id))
    return found[:CANDIDATES]


def matches(storage: IntentStorage, query: str, meanings: Meanings | None) -> dict[IntentId, float]:
    """Returns how well intents fit a query that is a text like theirs, not a search: by words, or by meaning too."""
    if meanings is not None:
        return scores(storage, meanings, query)
    return by_words(storage, about(storage, query), _MATCHES)


def _because(intent: Intent, speaks: Speaks, step: Near | None) -> tuple[str, ...]:
    found = [step.because] if step is not None else []
    if speaks.match > 0:
        found.append(f"matches the query ({speaks.match:.0%} of the best)")
    if intent.status is IntentStatus.EXECUTING:
        found.append("is being worked on")
    if speaks.recency > 0.5:
        found.append("was among the last to change")
    if speaks.priority > 0.5:
        found.append(f"has priority {intent.priority}")
    return tuple(found or ["changed not long ago"])


# --- filling ---


def fill(
    chosen: Sequence[Candidate],
    teller: Teller,
    told: Callable[[Candidate], Told],
    *,
    budget_tokens: int,
    tokens: Tokens,
) -> Context:
    """Returns the text of as many candidates as fit the budget, in their order; `FieldInvalid` if the focus does not.

    What matters most is told in full up to a share of the budget, then in brief, then a line each.
    """
    placed: list[tuple[Candidate, Piece]] = []
    used = tokens(teller.whole([], left_out=len(chosen)))
    lines = [tokens(teller.piece(told(each), "line").text) for each in chosen if each.in_focus]
    if used + sum(lines) > budget_tokens and lines:
        _refuse(budget_tokens, used + sum(lines))
    for at, each in enumerate(chosen):
        whole, kept = told(each), sum(lines[at + 1 :])  # for those in focus that come after this one
        for level in LEVELS:
            room = _room(level, budget_tokens, in_focus=each.in_focus) - kept - used
            if room <= 0:
                continue
            piece = teller.piece(whole, level)
            size = tokens(piece.text)
            if size <= room:
                placed.append((each, msgspec.structs.replace(piece, tokens=size)))
                used += size
                break
    return _fitted(placed, teller, len(chosen), budget_tokens=budget_tokens, tokens=tokens)


def _room(level: Level, budget: int, *, in_focus: bool) -> float:
    if level == "line":
        return budget
    return budget * (_FOCUS if in_focus else _FULL if level == "full" else _FULL + _BRIEF)


def _fitted(
    placed: list[tuple[Candidate, Piece]], teller: Teller, of: int, *, budget_tokens: int, tokens: Tokens
) -> Context:
    """Returns the whole, the last pieces taken away while the tokenizer counts more of them together than apart."""
    while True:
        pieces = [piece for _, piece in placed]
        for said in (of - len(placed), 0):  # rather than an intent, what goes first is the word on how many there are
            text = teller.whole(pieces, left_out=said)
            size = tokens(text)
            if size <= budget_tokens:
                break
        if size <= budget_tokens:
            break
        if not placed or placed[-1][0].in_focus:
            _refuse(budget_tokens, size)
        placed = placed[:-1]
    included = tuple(
        Included(id=each.intent.id, level=piece.level, because=each.because, score=each.score, tokens=piece.tokens)
        for each, piece in placed
    )
    return Context(text=text, tokens=size, included=included, left_out=of - len(placed))


def _refuse(budget_tokens: int, least: int) -> NoReturn:
    raise FieldInvalid(
        "budget_tokens",
        f"is {budget_tokens}, and what must be told takes {least}",
        hint=f"give at least {least}, or fewer intents in focus",
        least=least,
    )


def context(
    storage: IntentStorage,
    *,
    focus: Sequence[IntentId],
    matched: Mapping[IntentId, float],
    budget_tokens: int,
    format: str,
    tokens: Tokens | None,
    summaries: Summaries,
) -> Context:
    """Returns the part of the graph that fits the budget; see `IntentGraph.context`."""
    if format not in FORMATS:
        raise FieldInvalid("format", f"is {format!r}", hint=f"use one of: {', '.join(FORMATS)}")
    if type(budget_tokens) is not int or budget_tokens < 1:
        raise FieldInvalid("budget_tokens", f"is {budget_tokens!r}", hint="give a number of tokens, 1 or more")
    chosen = candidates(storage, focus, matched)
    first = [each.intent for each in chosen[:_LOOKED_AT]]
    edges = grouped(storage.neighbours([intent.id for intent in first], Walk()))
    summed = summaries.of(first)

    def told(each: Candidate) -> Told:
        id = each.intent.id
        return Told(
            intent=each.intent, because=each.because, edges=tuple(edges.get(id, ())), summary=summed.get(id, "")
        )

    return fill(chosen, FORMATS[format](), told, budget_tokens=budget_tokens, tokens=tokens or count_tokens)
