"""How SQLite says what `sql_query` leaves to a dialect, and the functions that the statements call.

Knows the tables of ``sqlite.sql``; has never seen a connection's state, a lock or a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec

from ..codec import decode_intent, encode_intent
from ..codec.wire import decode_hook
from ..ground.query import EVERYTHING, Page, Sort, same_value
from ..ground.search import Query, Term, meets
from ..ground.types import Intent
from ..ground.values import EMPTY, Map
from . import sql_query
from .sql_query import counting, neighbours, selecting

__all__ = [
    "FUNCTIONS",
    "Asked",
    "counting",
    "counting_word",
    "finding",
    "has_metadata",
    "matching",
    "neighbours",
    "selecting",
]

_json = msgspec.json.Encoder()


class _Scored(NamedTuple):
    front: str
    source: str
    meant: list[str]
    score: str


class _Sqlite:
    """A `sql_query.Dialect`: lists are JSON, folding and metadata are functions of ours, words lie in FTS5."""

    true, false, zero = "1", "0", "0.0"
    row = "i.key"

    def table(self, name: str) -> str:
        return name

    def arm(self, text: str, tail: str) -> str:  # noqa: ARG002  SQLite merges the arms, and stops by itself
        return text

    def body(self, asked: sql_query.Asked) -> str:  # noqa: ARG002  a key says its graph here; not everywhere
        return "CROSS JOIN intents b ON b.key = o.found"  # CROSS: as it stands, from left to right

    def place(self, name: str) -> str:
        return f":{name}"

    def among(self, column: str, values: Sequence[str], asked: sql_query.Asked) -> str:
        return f"{column} IN (SELECT value FROM json_each({asked.bind(_json.encode(values).decode())}))"

    def same(self, column: str, place: str) -> str:
        return f"{column} IS {place}"

    def contains(self, field: str, folded: str, asked: sql_query.Asked) -> str:
        text = "i.goal" if field == "goal" else "coalesce(i.name, '')"
        return f"instr(fold({text}), {asked.bind(folded)})"

    def sought(self, query: Query, asked: sql_query.Asked) -> list[str]:
        held = [self._among_words(query, asked)] if query.terms else []
        return held + self._besides(query, asked)

    def _besides(self, query: Query, asked: sql_query.Asked) -> list[str]:
        """Returns the conditions of a query that its words alone do not meet."""
        lacking = [term for term in query.excluded if _is_plain(term)]
        parts = [f"NOT {self._among_words(Query((term,)), asked)}" for term in lacking]
        if len(lacking) < len(query.excluded) or not all(map(_is_plain, query.terms)):
            parts.append(f"meets(i.body, {asked.bind(_json.encode(query).decode())})")
        return parts

    def _among_words(self, query: Query, asked: sql_query.Asked) -> str:
        table = f"fts_{asked.graph}"
        return f"i.key IN (SELECT rowid FROM {table} WHERE {table} MATCH {asked.bind(matching(query))})"

    def labelled(self, labels: Sequence[str], asked: sql_query.Asked) -> str:
        given = f"label = {asked.bind(labels[0])}" if len(labels) == 1 else asked.among("label", labels)
        return f"i.key IN (SELECT intent FROM labels WHERE graph = {asked.graph} AND {given})"

    def described(self, metadata: Map, asked: sql_query.Asked) -> str:
        wanted = encode_intent(Intent(goal="-", metadata=metadata)).decode()
        return f"has_metadata(i.body, {asked.bind(wanted)})"

    def scored(self, query: Query, asked: sql_query.Asked) -> _Scored:
        table = f"fts_{asked.graph}"
        match = asked.bind(matching(query))
        scores = f"SELECT rowid, round(-bm25({table}), 9) AS score FROM {table} WHERE {table} MATCH {match}"
        source = "scored s CROSS JOIN intents i ON i.key = s.rowid"
        front = f"WITH scored AS MATERIALIZED ({scores}) "
        return _Scored(front, source, self._besides(query, asked), "s.score")


SQLITE = _Sqlite()


class Asked(sql_query.Asked):
    """An SQL text in the making, for SQLite."""

    def __init__(self, graph: int) -> None:
        super().__init__(graph, SQLITE)


def matching(query: Query) -> str:
    """Returns the FTS5 expression for what a query weighs: all of it, or any where any is asked for."""
    wanted = (f'"{term.words[0]}"{"*" if term.begins else ""}' for term in query.weighed)
    return (" OR " if query.any else " AND ").join(wanted)  # a word holds no quote: \w only


def finding(query: Query, limit: int, asked: Asked) -> str:
    """Returns the statement that gives (body, score, id) of the intents that a query with terms means, best first."""
    if not query.plain:
        best = Page(sort=Sort("relevance", descending=True), limit=limit)
        return selecting(EVERYTHING, best, asked, query=query)
    scored = SQLITE.scored(query, asked)
    # Only rows that can be among the best meet the table: of a thousand found, a third of the time.
    least = f"SELECT score FROM scored ORDER BY score DESC LIMIT 1 OFFSET {limit - 1}"
    worthy = f"SELECT rowid, score FROM scored WHERE score >= coalesce(({least}), -1)"
    return (
        f"{scored.front}SELECT b.body, s.score, b.id FROM ({worthy}) s CROSS JOIN intents b ON b.key = s.rowid"
        f" ORDER BY 2 DESC, 3 LIMIT {limit}"
    )


def counting_word(graph: int, word: str, most: int) -> tuple[str, tuple[str, int]]:
    """Returns the statement that counts the intents in which a word stands, up to a number, and its values."""
    table = f"fts_{graph}"
    found = f"SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT ?"
    return f"SELECT count(*) FROM ({found})", (matching(Query((Term((word,)),))), most)


def _is_plain(term: Term) -> bool:
    return len(term.words) == 1 and term.field is None


# --- Functions that the statements call ------------------------------------------------------------


class _JustMetadata(msgspec.Struct):
    metadata: Map = EMPTY


@cache  # made when it is first needed: few questions need it
def _just_metadata() -> msgspec.json.Decoder[_JustMetadata]:
    return msgspec.json.Decoder(_JustMetadata, dec_hook=decode_hook)


@lru_cache(maxsize=64)
def _wanted(body: str) -> Map:
    return _just_metadata().decode(body).metadata


def has_metadata(body: str, wanted: str) -> bool:
    """True when the intent with this body holds every entry of ``wanted``'s metadata, equal in value and type."""
    held = _just_metadata().decode(body).metadata
    return all(key in held and same_value(held[key], value) for key, value in _wanted(wanted).items())


_decode_query = lru_cache(maxsize=64)(msgspec.json.Decoder(Query).decode)


def _meets(body: str, query: str) -> bool:
    return meets(decode_intent(body), _decode_query(query))


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "fold": (1, str.casefold),
    "has_metadata": (2, has_metadata),
    "meets": (2, _meets),
}
"""By name: how many arguments, and what is called. Every connection that asks must know them."""
