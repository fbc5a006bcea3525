"""What a search asks for, as data: words, "phrases", beginnings*, -what not, field:words. Parsed here and nowhere else.

A search is never a syntax error: whatever is not written as one of these is words, or nothing. Only a field that does
not exist is refused, because what was meant by it cannot be answered. Knows texts; has never heard of an index.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from .errors import QueryInvalid
from .query import words
from .types import Intent

FIELDS: dict[str, str] = {
    "name": "name",
    "goal": "goal",
    "request": "original_request",
    "criteria": "success_criteria",
    "label": "labels",
}
"""The fields a search looks at, by the name under which it asks for one; the field's own name is good too."""
_NAMES = {**FIELDS, **{field: field for field in FIELDS.values()}}
MAX_TERMS = 64

_TERM = re.compile(
    r"""(?P<not>-(?=["\w]))?           # only where a word could begin: e-mail is two words
        (?:(?P<field>[A-Za-z_]+):(?=["\w]))?
        (?:"(?P<phrase>[^"]*)"(?P<star>\*?)|(?P<run>[^\s"]+))""",
    re.VERBOSE,
)


class Term(msgspec.Struct, frozen=True):
    """One thing to look for: a word, several in a row, or (``begins``) the beginning of a word; in a field or any."""

    words: tuple[str, ...]
    field: str | None = None
    begins: bool = False

    def __str__(self) -> str:
        """Returns the term as it is written in a search."""
        text = " ".join(self.words)
        if len(self.words) > 1:
            text = f'"{text}"'
        return f"{self.field}:" * (self.field is not None) + text + "*" * self.begins


class Query(msgspec.Struct, frozen=True):
    """What is looked for: every term (or, ``any``, at least one), and none of what is excluded."""

    terms: tuple[Term, ...] = ()
    excluded: tuple[Term, ...] = ()
    any: bool = False

    @property
    def plain(self) -> bool:
        """True when it asks for nothing but words and beginnings of words anywhere."""
        return not self.excluded and all(len(term.words) == 1 and term.field is None for term in self.terms)

    @property
    def bare(self) -> Query:
        """The same for words and beginnings wherever they stand: it finds what this one does, and perhaps more."""
        return Query(self.weighed, (), self.any)

    @property
    def weighed(self) -> tuple[Term, ...]:
        """The words and beginnings that ranking weighs, each once, wherever in an intent they stand."""
        single = (Term((word,)) for term in self.terms if not term.begins for word in term.words)
        return tuple(dict.fromkeys((*single, *(Term(term.words, begins=True) for term in self.terms if term.begins))))


@lru_cache(maxsize=256)
def parse(text: str, *, any: bool = False) -> Query:
    """Returns what the text asks for; an unknown field is `QueryInvalid`, anything else that is odd is words.

    >>> parse('flaky "unit tests" -windows goal:re*').terms[1:]
    (Term(words=('unit', 'tests'), field=None, begins=False), Term(words=('re',), field='goal', begins=True))
    """
    terms: dict[Term, None] = {}
    excluded: dict[Term, None] = {}
    for found in _TERM.finditer(text):
        field = _field(found)
        if found["not"] is not None:
            excluded.update(dict.fromkeys(_row(found, field)))
        else:
            terms.update(dict.fromkeys(_apart(found, field)))
    if len(terms) + len(excluded) > MAX_TERMS:
        raise QueryInvalid(
            f"the search holds {len(terms) + len(excluded)} words, more than {MAX_TERMS}",
            hint="search for fewer of them",
        )
    return Query(tuple(terms), tuple(excluded), any)


def _field(found: re.Match[str]) -> str | None:
    name = found["field"]
    if name is None:
        return None
    if name.lower() not in _NAMES:
        raise QueryInvalid(
            f"{name!r} is not a field to search in",
            hint=f'fields: {", ".join(FIELDS)}; a colon that is meant stands in quotes: "{name}:"',
            field=name,
        )
    return _NAMES[name.lower()]


def _begins(found: re.Match[str]) -> bool:
    return bool(found["star"]) or (found["run"] is not None and re.search(r"\w\*+$", found["run"]) is not None)


def _apart(found: re.Match[str], field: str | None) -> list[Term]:
    """Returns what is looked for: a phrase in one piece, other words one by one, the last as a beginning if starred."""
    if found["phrase"] is not None:
        row = tuple(words(found["phrase"]))
        return [Term(row, field, _begins(found))] if row else []
    row = tuple(words(found["run"]))
    last = len(row) - 1
    return [Term((word,), field, _begins(found) and at == last) for at, word in enumerate(row)]


def _row(found: re.Match[str], field: str | None) -> list[Term]:
    """Returns what is excluded: -e-mail excludes the two words in a row, not every mail."""
    row = tuple(words(found["phrase"] if found["phrase"] is not None else found["run"]))
    return [Term(row, field, _begins(found))] if row else []


# --- texts ---


def texts(intent: Intent) -> dict[str, str]:
    """Returns the text of each field that search looks at, those without any left out."""
    criteria = intent.success_criteria
    found = {
        "name": intent.name,
        "goal": intent.goal,
        "original_request": intent.original_request,
        "success_criteria": criteria if type(criteria) is str else None,
        "labels": "\n".join(intent.labels),
    }
    return {field: text for field, text in found.items() if text}


def meets(intent: Intent, query: Query) -> bool:
    """True when the intent holds what is looked for; the one meaning of a search, in no index.

    >>> meets(Intent(goal="Fix flaky unit tests"), parse('"unit tests" -windows fla*'))
    True
    """
    rows = {field: words(text) for field, text in texts(intent).items()}
    if any(_holds(rows, term) for term in query.excluded):
        return False
    if not query.terms:
        return True
    return (any if query.any else all)(_holds(rows, term) for term in query.terms)


def _holds(rows: dict[str, list[str]], term: Term) -> bool:
    return any(_in_row(row, term) for field, row in rows.items() if term.field in (None, field))


def _in_row(row: list[str], term: Term) -> bool:
    wanted, size = list(term.words), len(term.words)
    if not term.begins:
        return any(row[at : at + size] == wanted for at in range(len(row) - size + 1))
    head, last = wanted[:-1], wanted[-1]
    return any(
        row[at : at + size - 1] == head and row[at + size - 1].startswith(last) for at in range(len(row) - size + 1)
    )
