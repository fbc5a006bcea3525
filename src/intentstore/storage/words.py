"""Word lists and BM25 for storages without a text index of their own; the formula is SQLite FTS5's.

``score = Σ idf · f·(k1+1) / (f + k1·(1 - b + b·length/average))`` with k1 = 1.2, b = 0.75 and
``idf = max(ln((N - n + 0.5) / (n + 0.5)), 1e-6)``: N texts, n of them with the word, f times in this one. What ranks is
the words and beginnings of a query wherever they stand (`Query.weighed`); fields and phrases only decide what is found.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from sortedcontainers import SortedSet

from ..ground.query import searchable, words
from ..ground.search import Query, Term
from ..ground.types import Intent, IntentId

K1, B = 1.2, 0.75


class WordIndex:
    """Which intents hold which words, and how often."""

    def __init__(self, intents: Iterable[Intent]) -> None:
        self._holding: dict[str, dict[IntentId, int]] = {}
        self._length: dict[IntentId, int] = {}
        self._total = 0
        self._sorted: SortedSet | None = None
        """Every word in order, made when the first beginning is looked for."""
        for intent in intents:
            self.add(intent)

    def add(self, intent: Intent) -> None:
        """Takes up the words of an intent not yet held."""
        counts = Counter(words(searchable(intent)))
        self._length[intent.id] = counts.total()
        self._total += counts.total()
        for word, times in counts.items():
            holding = self._holding.get(word)
            if holding is None:
                holding = self._holding[word] = {}
                if self._sorted is not None:
                    self._sorted.add(word)
            holding[intent.id] = times

    def discard(self, intent: Intent) -> None:
        """Drops the words of an intent that `add` took up."""
        self._total -= self._length.pop(intent.id)
        for word in set(words(searchable(intent))):
            holding = self._holding[word]
            del holding[intent.id]
            if not holding:
                del self._holding[word]
                if self._sorted is not None:
                    self._sorted.discard(word)

    def frequency(self, word: str) -> int:
        """Returns in how many intents the word stands."""
        return len(self._holding.get(word, ()))

    def candidates(self, query: Query) -> set[IntentId]:
        """Returns a superset of the ids the query means; exactly those if it is `Query.plain`."""
        if not query.terms:
            return set(self._length)
        if query.any:
            return set().union(*(self._every(term) for term in query.terms))
        return _common([self._every(term) for term in query.terms])

    def _every(self, term: Term) -> AbstractSet[IntentId]:
        """Returns the ids of the intents that hold every word of the term, in whatever order and place."""
        last = len(term.words) - 1
        found = [self._times(word, begins=term.begins and at == last) for at, word in enumerate(term.words)]
        return found[0].keys() if len(found) == 1 else _common([each.keys() for each in found])

    def _times(self, word: str, *, begins: bool) -> Mapping[IntentId, int]:
        """Returns how often each intent that holds the word, or a word that begins so, holds it."""
        if not begins:
            return self._holding.get(word, {})
        if self._sorted is None:
            self._sorted = SortedSet(self._holding)
        found: Counter[IntentId] = Counter()
        for each in self._sorted.irange(word):
            if not each.startswith(word):
                break
            found.update(self._holding[each])
        return found

    def scores(self, query: Query, ids: Iterable[IntentId]) -> dict[IntentId, float]:
        """Returns the BM25 score of each of these intents."""
        found = dict.fromkeys(ids, 0.0)
        every = len(self._length)
        average = self._total / every if every else 0.0
        for term in query.weighed:
            holding = self._times(term.words[-1], begins=term.begins)
            idf = max(math.log((every - len(holding) + 0.5) / (len(holding) + 0.5)), 1e-6)
            for id in found if len(found) < len(holding) else holding:
                times = holding.get(id)
                if times is not None and id in found:
                    weight = K1 * (1 - B + B * self._length[id] / average)
                    found[id] += idf * times * (K1 + 1) / (times + weight)
        return found


def _common(lists: list[AbstractSet[IntentId]]) -> set[IntentId]:
    lists.sort(key=len)
    found = set(lists[0])
    for each in lists[1:]:
        found = {id for id in found if id in each}  # the shorter is walked; set & keys would walk the longer
    return found
