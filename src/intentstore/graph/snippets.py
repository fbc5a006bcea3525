"""A piece of an intent's text around what was found in it, and where in the piece the matches stand.

Knows texts and queries; has never heard of an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..ground.query import Hit, words
from ..ground.search import Query, Term, texts

WIDTH = 160
_WORD = re.compile(r"\w+")
Span = tuple[int, int]


def shown(hit: Hit, query: Query) -> Hit:
    """Returns the hit with the piece of its intent's text in which the most terms of the query stand."""
    best: tuple[int, str, list[Span]] = (-1, "", [])
    for field, text in texts(hit.intent).items():
        flat = " ".join(text.split())
        found = matches(flat, [term for term in query.terms if term.field in (None, field)])
        number, start = _window(found)
        if number > best[0]:
            best = (number, *_cut(flat, start, [span for span, _ in found]))
    return Hit(intent=hit.intent, score=hit.score, snippet=best[1], marks=tuple(best[2]))


def matches(text: str, terms: Sequence[Term]) -> list[tuple[Span, Term]]:
    """Returns where in the text the terms stand, a phrase as one piece, in order and without overlap."""
    folded = text.casefold()
    wanted = [term for term in terms if term.words[0] in folded]
    if not wanted:
        return []
    row, places = _row(text)
    found: dict[Span, Term] = {}
    for term in wanted:
        for at in _places(row, term):
            found.setdefault((places[at][0], places[at + len(term.words) - 1][1]), term)
    kept: list[tuple[Span, Term]] = []
    for span in sorted(found, key=lambda span: (span[0], -span[1])):
        if not kept or span[0] >= kept[-1][0][1]:
            kept.append((span, found[span]))
    return kept


def _row(text: str) -> tuple[list[str], list[Span]]:
    """Returns the words of the text, and where each stands in it; a letter may fold into two words."""
    if text.isascii():
        return words(text), [found.span() for found in _WORD.finditer(text)]
    pairs = [(word, found.span()) for found in _WORD.finditer(text) for word in words(found.group())]
    return [word for word, _ in pairs], [span for _, span in pairs]


def _places(row: list[str], term: Term) -> Iterator[int]:
    """Yields where in the row of words the term begins."""
    head, last, size = list(term.words[:-1]), term.words[-1], len(term.words)
    for at in range(len(row) - size + 1):
        word = row[at + size - 1]
        if (word == last or (term.begins and word.startswith(last))) and row[at : at + size - 1] == head:
            yield at


def _window(found: list[tuple[Span, Term]]) -> tuple[int, int]:
    """Returns how many different terms the best window holds, and where its first match begins."""
    best = (0, 0)
    for at, (span, _) in enumerate(found):
        terms = {term for (_, end), term in found[at : at + 40] if end - span[0] <= WIDTH * 2 // 3}
        if len(terms) > best[0]:
            best = (len(terms), span[0])
    return best


def _cut(text: str, first: int, spans: list[Span]) -> tuple[str, list[Span]]:
    """Returns at most about `WIDTH` characters of the text around this place, and the spans that lie in them."""
    if len(text) <= WIDTH:
        return text, spans
    start = max(0, first - WIDTH // 3)
    if start:
        start = text.find(" ", start, min(first, start + 24)) + 1 or start
    end = len(text)
    if start + WIDTH < end:
        end = text.rfind(" ", start + WIDTH * 2 // 3, start + WIDTH)
        end = start + WIDTH if end < 0 else end
    before, after = "…" if start else "", "…" if end < len(text) else ""
    moved = len(before) - start
    inside = [(begin + moved, stop + moved) for begin, stop in spans if start <= begin and stop <= end]
    return f"{before}{text[start:end]}{after}", inside
