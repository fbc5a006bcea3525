"""Proposes edges that nobody has drawn yet: finds who may belong together by an index, and lets rules judge.

Owns the index (which intents share a word, a constraint, a mention) and what may be proposed at all: no edge that is
there, none that would close a cycle. What speaks for an edge is `rules`'s to say. Stores nothing by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ..ground.change import Drop, Put
from ..ground.errors import FieldInvalid
from ..ground.protocol import IntentStorage
from ..ground.query import Walk
from ..ground.types import ORDERING, SYMMETRIC, Edge, EdgeKey, EdgeType, Intent, IntentId, Revision
from ..ground.values import Map
from .rules import RULES, Rule, Suggestion
from .traverse import SUBGOAL, arrow, every_intent

COMMON = 64
"""Keys that more intents share say nothing about any two of them; their lists are let go of."""
PARTNERS = 16
"""So many of the most promising partners are judged, for each intent and rule."""
_TOGETHER = 500
_ANY = Walk()


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An edge that a rule proposes, as it would be stored, how sure the rule is (0 to 1), and why.

    The edge's metadata holds ``rule``, ``confidence``, ``because`` and ``revision``: that of the graph it was seen in.
    """

    edge: Edge
    rule: str
    confidence: float
    because: str


class _Lists:
    """Which intents have a key, for one rule and one side of it."""

    def __init__(self) -> None:
        self._held: dict[str, list[IntentId] | int] = {}

    def add(self, key: str, id: IntentId) -> None:
        held = self._held.setdefault(key, [])
        if isinstance(held, int):
            self._held[key] = held + 1
        elif len(held) == COMMON:
            self._held[key] = COMMON + 1
        else:
            held.append(id)

    def discard(self, key: str, id: IntentId) -> None:
        held = self._held[key]
        if isinstance(held, int):
            self._held[key] = held - 1
            return
        held.remove(id)
        if not held:
            del self._held[key]

    def holding(self, key: str) -> Sequence[IntentId]:
        held = self._held.get(key, ())
        return () if isinstance(held, int) else held

    def count(self, key: str) -> int:
        held = self._held.get(key, ())
        return held if isinstance(held, int) else len(held)


class Inference:
    """Follows one graph and proposes edges for it. Following costs what has changed, not what is there.

    Kept in this process's memory, about a kilobyte an intent. Safe to share between threads.
    """

    def __init__(self, storage: IntentStorage) -> None:
        self._storage = storage
        self._door = threading.Lock()
        self._seen: Revision | None = None
        self._keys: dict[IntentId, tuple[tuple[_Lists, str], ...]] = {}
        self._asks = {rule.name: _Lists() for rule in RULES}
        self._answers = {rule.name: _Lists() for rule in RULES}

    # --- following ---

    def follow(self) -> Revision:
        """Takes in what was written since the last time; returns the revision that is now known."""
        with self._door:
            if self._seen is None:
                self._read_all()
            for commit in self._storage.entries(self._seen or 0):
                for change in commit.changes:
                    if type(change) is Put:
                        self._take(change.intent)
                    elif type(change) is Drop:
                        self._forget(change.id)
                self._seen = commit.revision
            return self._seen or 0

    def _read_all(self) -> None:
        begun = self._storage.revision
        for intent in every_intent(self._storage):
            self._take(intent)
        self._seen = begun

    def _take(self, intent: Intent) -> None:
        self._forget(intent.id)
        keys: dict[tuple[_Lists, str], None] = {}
        for rule in RULES:
            keys.update(((self._asks[rule.name], key), None) for key in rule.asks(intent))
            if not rule.mutual:
                keys.update(((self._answers[rule.name], key), None) for key in rule.answers(intent))
        for lists, key in keys:
            lists.add(key, intent.id)
        self._keys[intent.id] = tuple(keys)

    def _forget(self, id: IntentId) -> None:
        for lists, key in self._keys.pop(id, ()):
            lists.discard(key, id)

    # --- proposing ---

    def propose(self, ids: Iterable[IntentId] | None, *, rules: Sequence[Rule], least: float) -> list[Proposal]:
        """Returns the edges that the rules propose at these intents (at all, for None), surest first."""
        revision = self.follow()
        wanted = list(self._keys) if ids is None else list(dict.fromkeys(ids))
        best: dict[EdgeKey, Proposal] = {}
        for start in range(0, len(wanted), _TOGETHER):
            for rule, hint in self._judged(wanted[start : start + _TOGETHER], rules):
                if hint.confidence >= least:
                    made = _proposal(rule, hint, revision)
                    other = best.get(made.edge.key)
                    if other is None or (made.confidence, made.rule) > (other.confidence, other.rule):
                        best[made.edge.key] = made
        surest = sorted(best.values(), key=lambda each: (-each.confidence, each.edge.key))
        return _fitting(self._storage, surest)

    def _judged(self, ids: Sequence[IntentId], rules: Sequence[Rule]) -> Iterator[tuple[Rule, Suggestion]]:
        mine = [intent for intent in self._storage.fetch(ids) if intent is not None]
        pairs: dict[tuple[str, IntentId, IntentId], Rule] = {}
        with self._door:
            for intent in mine:
                for rule in rules:
                    for asker, answerer in self._pairs(intent, rule):
                        pairs[rule.name, asker, answerer] = rule
        known = {intent.id: intent for intent in mine}
        others = list(dict.fromkeys(id for _, *both in pairs for id in both if id not in known))
        known.update((intent.id, intent) for intent in self._storage.fetch(others) if intent is not None)
        for (_, asker, answerer), rule in pairs.items():
            if asker in known and answerer in known:
                for hint in rule.judge(known[asker], known[answerer], self._rarity(rule)):
                    yield rule, hint

    def _pairs(self, intent: Intent, rule: Rule) -> Iterator[tuple[IntentId, IntentId]]:
        asks = self._asks[rule.name]
        answers = asks if rule.mutual else self._answers[rule.name]
        for other in _promising(intent.id, rule.asks(intent), answers):
            yield (min(intent.id, other), max(intent.id, other)) if rule.mutual else (intent.id, other)
        if not rule.mutual:
            for other in _promising(intent.id, rule.answers(intent), asks):
                yield other, intent.id

    def _rarity(self, rule: Rule) -> _Rarity:
        return _Rarity(self._asks[rule.name], len(self._keys))


class _Rarity:
    """How little a key of a rule says: the rarer it is, the more two that share it have in common."""

    def __init__(self, lists: _Lists, total: int) -> None:
        self._lists, self._total = lists, total

    def __call__(self, key: str) -> float:
        from math import log

        return log(1 + self._total / max(1, self._lists.count(key)))


def _promising(id: IntentId, keys: Iterable[str], lists: _Lists) -> list[IntentId]:
    scores: dict[IntentId, float] = {}
    for key in keys:
        held = lists.holding(key)
        for other in held:
            if other != id:
                scores[other] = scores.get(other, 0.0) + 1.0 / len(held)
    if len(scores) <= PARTNERS:
        return list(scores)
    return sorted(scores, key=lambda each: (-scores[each], each))[:PARTNERS]


def _proposal(rule: Rule, hint: Suggestion, revision: Revision) -> Proposal:
    said = {"rule": rule.name, "confidence": hint.confidence, "because": hint.because, "revision": revision}
    edge = Edge(
        source=hint.source,
        type=EdgeType(hint.type),
        target=hint.target,
        weight=hint.confidence,
        metadata=Map({"inferred": said}),
    )
    return Proposal(edge=edge, rule=rule.name, confidence=hint.confidence, because=hint.because)


def chosen(names: Iterable[str] | None) -> list[Rule]:
    """Returns the rules of these names, all for None; an unknown one is `FieldInvalid`, listing those there are."""
    if names is None:
        return list(RULES)
    known = {rule.name: rule for rule in RULES}
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in known:
            raise FieldInvalid("rules", f"{name!r} is not a rule", hint=f"use some of: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(wanted)]


# --- what may be proposed ---


def _fitting(storage: IntentStorage, proposals: list[Proposal]) -> list[Proposal]:
    """Returns those whose edge is not there, that say more than what is there, and that close no cycle."""
    ends = list(dict.fromkeys(end for each in proposals for end in (each.edge.source, each.edge.target)))
    there: dict[frozenset[IntentId], set[EdgeType]] = {}
    for start in range(0, len(ends), _TOGETHER):
        for edge in storage.neighbours(ends[start : start + _TOGETHER], _ANY):
            there.setdefault(frozenset((edge.source, edge.target)), set()).add(edge.type)
    ways = _Ways(storage)
    found = []
    for each in proposals:
        edge, types = each.edge, there.setdefault(frozenset((each.edge.source, each.edge.target)), set())
        if edge.type in types or (edge.type in SYMMETRIC and types) or ways.closes_cycle(edge):
            continue
        ways.add(edge)
        types.add(edge.type)
        found.append(each)
    return found


class _Ways:
    """Where the arrows of the two relations that may not run in circles lead, read as far as it is asked."""

    def __init__(self, storage: IntentStorage) -> None:
        self._storage = storage
        self._leads: dict[str, dict[IntentId, set[IntentId]]] = {"waiting": {}, "subgoal": {}}
        self._new: dict[str, dict[IntentId, set[IntentId]]] = {"waiting": {}, "subgoal": {}}

    def closes_cycle(self, edge: Edge) -> bool:
        relation = _relation(edge)
        if relation is None:
            return False
        tail, tip = arrow(edge)
        seen, level = {tip}, [tip]
        while level:
            self._read(relation, level)
            held, new = self._leads[relation], self._new[relation]
            reached = {tip for id in level for tip in held.get(id, set()) | new.get(id, set())} - seen
            if tail in reached:
                return True
            seen |= reached
            level = sorted(reached)
        return False

    def add(self, edge: Edge) -> None:
        relation = _relation(edge)
        if relation is not None:
            tail, tip = arrow(edge)
            self._new[relation].setdefault(tail, set()).add(tip)

    def _read(self, relation: str, ids: Sequence[IntentId]) -> None:
        held = self._leads[relation]
        unread = [id for id in ids if id not in held]
        held.update((id, set()) for id in unread)
        types = frozenset({SUBGOAL}) if relation == "subgoal" else ORDERING
        for edge in self._storage.neighbours(unread, Walk(types=types)) if unread else ():
            tail, tip = arrow(edge)
            if tail in held:
                held[tail].add(tip)


def _relation(edge: Edge) -> str | None:
    if edge.type == SUBGOAL:
        return "subgoal"
    return "waiting" if edge.type in ORDERING else None
