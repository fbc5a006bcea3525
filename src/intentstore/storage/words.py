"""Word lists and BM25 for storages without a text index of their own; the formula is SQLite FTS5's.

``score = Σ idf · f·(k1+1) / (f + k1·(1 - b + b·length/average))`` with k1 = 1.2, b = 0.75 and
``idf = max(ln((N - n + 0.5) / (n + 0.5)), 1e-6)``: N texts, n of them with the word, f times in this one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from ..ground.query import searchable, words
from ..ground.types import Intent, IntentId

K1, B = 1.2, 0.75


class WordIndex:
    """Which intents hold which words, and how often."""

    def __init__(self, intents: Iterable[Intent]) -> None:
        self._holding: dict[str, dict[IntentId, int]] = {}
        self._length: dict[IntentId, int] = {}
        self._total = 0
        for intent in intents:
            self.add(intent)

    def add(self, intent: Intent) -> None:
        """Takes up the words of an intent not yet held."""
        counts = Counter(words(searchable(intent)))
        self._length[intent.id] = counts.total()
        self._total += counts.total()
        for word, times in counts.items():
            self._holding.setdefault(word, {})[intent.id] = times

    def discard(self, intent: Intent) -> None:
        """Drops the words of an intent that `add` took up."""
        self._total -= self._length.pop(intent.id)
        for word in set(words(searchable(intent))):
            holding = self._holding[word]
            del holding[intent.id]
            if not holding:
                del self._holding[word]

    def holding(self, text: str) -> set[IntentId]:
        """Returns the ids of the intents that hold every word of the text; all of them if it has no word."""
        wanted = set(words(text))
        if not wanted:
            return set(self._length)
        lists = sorted((self._holding.get(word, {}) for word in wanted), key=len)
        found = set(lists[0])
        for each in lists[1:]:
            found &= each.keys()
        return found

    def scores(self, text: str) -> dict[IntentId, float]:
        """Returns the BM25 score of each intent that holds every word of the text."""
        found = dict.fromkeys(self.holding(text), 0.0)
        average = self._total / len(self._length) if self._length else 0.0
        for word in dict.fromkeys(words(text)):
            holding = self._holding.get(word, {})
            idf = max(math.log((len(self._length) - len(holding) + 0.5) / (len(holding) + 0.5)), 1e-6)
            for id in found:
                times = holding[id]
                weight = K1 * (1 - B + B * self._length[id] / average)
                found[id] += idf * times * (K1 + 1) / (times + weight)
        return found


def snippet(text: str, wanted: Iterable[str], *, width: int = 160) -> str:
    """Returns a piece of the text, at most about ``width`` characters, around the first wanted word."""
    flat = " ".join(text.split())
    if len(flat) <= width:
        return flat
    folded = flat.casefold()
    places = [place for place in (folded.find(word) for word in wanted) if place >= 0]
    start = max(0, min(places, default=0) - width // 3)
    if start:
        start = flat.find(" ", start, start + 24) + 1 or start
    piece = flat[start : start + width].rsplit(" ", 1)[0] if start + width < len(flat) else flat[start:]
    return ("…" if start else "") + piece + ("…" if start + width < len(flat) else "")
