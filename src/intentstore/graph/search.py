"""Search by words and by meaning together: what both find, in one order.

Knows queries, hits and closeness; has never heard of an index or a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from ..ground.protocol import IntentStorage, SearchesText
from ..ground.query import Hit, words
from ..ground.search import MAX_TERMS, Query, Term, meets, parse
from ..ground.types import IntentId
from .snippets import shown

if TYPE_CHECKING:
    from .meaning import Meanings

_BY_WORDS = 200
_A_FEW = 32
_BY_MEANING = 200
_COMMON, _LOOKED_AT = 2_500, 8_000
"""A word in so many intents is no clue; and so many places of words are looked at for one text."""
_SHARE = 0.6
"""Of a score, what the words say; the rest is closeness. 0.55 to 0.7 found most on real goals (docs/quality.md)."""


def about(storage: IntentStorage, text: str) -> Query:
    """Returns the query for the rarest words of a text, any of them; nothing in it is syntax.

    The commonest of a long text are left out: they cost the most and tell the least.
    """
    wanted = list(dict.fromkeys(words(text)))[:MAX_TERMS]
    if not isinstance(storage, SearchesText) or not storage.capabilities.searches_text:
        return Query(any=True)
    often = storage.frequencies(wanted, _COMMON)
    kept: list[str] = []
    for word in sorted(wanted, key=lambda each: often[each]):
        looked_at = sum(often[each] for each in kept) + often[word]
        if often[word] == 0 or often[word] >= _COMMON or looked_at > _LOOKED_AT:
            continue
        kept.append(word)
    return Query(tuple(Term((word,)) for word in wanted if word in kept), any=True)


def by_meaning(storage: IntentStorage, meanings: Meanings, text: str, limit: int) -> Sequence[Hit]:
    """Returns the intents that share most words with the text and are closest to it, best first.

    A plain word is a wish; phrases, fields and exclusions are demands. A score is at most 1.
    """
    asked = parse(text)
    found = scores(storage, meanings, " ".join(word for term in asked.terms for word in term.words))
    demanded = Query(tuple(term for term in asked.terms if len(term.words) > 1 or term.field), asked.excluded)
    order = sorted(found, key=lambda each: (-found[each], each))
    return [shown(hit, asked) for hit in islice(_demanded(storage, order, found, demanded), limit)]


def _demanded(
    storage: IntentStorage, order: Sequence[IntentId], found: Mapping[IntentId, float], demanded: Query
) -> Iterator[Hit]:
    """Yields in this order the intents that meet what is demanded, read a few at a time."""
    demands = bool(demanded.terms or demanded.excluded)
    for at in range(0, len(order), _A_FEW):
        for intent in storage.fetch(order[at : at + _A_FEW]):
            if intent is not None and (not demands or meets(intent, demanded)):
                yield Hit(intent=intent, score=found[intent.id])


def scores(storage: IntentStorage, meanings: Meanings, text: str) -> dict[IntentId, float]:
    """Returns how well intents fit a text, by its words and its meaning together; those that fit best, at most 1."""
    if not words(text):
        return {}
    meanings.refresh()
    shared = by_words(storage, about(storage, text), _BY_WORDS)
    top = max(shared.values(), default=1.0)
    close = meanings.closest(text, _BY_MEANING, besides=shared)
    return {
        id: _SHARE * shared.get(id, 0.0) / top + (1 - _SHARE) * max(0.0, close.get(id, 0.0))
        for id in {**close, **shared}
    }


def by_words(storage: IntentStorage, query: Query, most: int) -> dict[IntentId, float]:
    """Returns the scores of the intents that fit a query best; of none where the storage has no text search."""
    if not query.terms or not isinstance(storage, SearchesText):
        return {}
    return {hit.intent.id: hit.score for hit in storage.search(query, most)}
