"""How PostgreSQL says what `sql_query` leaves to a dialect.

Knows the tables of ``schema.sql`` and the tokens of `rows`.
Search ranks by BM25 as every storage does (`storage.words` has the formula): how many intents there are and how long
they are on average is counted when it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...ground.query import Walk
from ...ground.search import Query, Term
from ...ground.values import Map
from .. import sql_query
from ..words import K1, B
from .rows import array, label_token, metadata_tokens, word_token

_K1, _MOST, _B, _LEAST, _HALF = (f"{number!r}::float8" for number in (K1, K1 + 1, B, 1 - B, 0.5))
"""As they are in `storage.words`; without their type PostgreSQL would count in decimals, ten times slower."""


class _Scored(NamedTuple):
    front: str
    source: str
    meant: list[str]
    score: str


class _Postgres:
    """A `sql_query.Dialect`: lists are arrays, what an intent is found by stands in its tokens."""

    true, false, zero = "TRUE", "FALSE", "0.0::float8"
    row = "i.id"

    def table(self, name: str) -> str:
        return f"intentstore.{name}"

    def arm(self, text: str, tail: str) -> str:
        return f"({text}{tail})"

    def body(self, asked: sql_query.Asked) -> str:
        return f"JOIN intentstore.intents b ON b.graph = {asked.graph} AND b.id = o.found"

    def place(self, name: str) -> str:
        return f"${int(name[1:]) + 1}"

    def among(self, column: str, values: Sequence[str], asked: sql_query.Asked) -> str:
        return f"{column} = ANY ({asked.bind(array(values))}::text[])"

    def same(self, column: str, place: str) -> str:
        return f"{column} IS NOT DISTINCT FROM {place}"

    def contains(self, field: str, folded: str, asked: sql_query.Asked) -> str:
        text = "coalesce(i.folded, i.goal)" if field == "goal" else "coalesce(i.name, '')"
        return f"strpos({text}, {asked.bind(folded)}) > 0"

    def sought(self, query: Query, asked: sql_query.Asked) -> list[str]:
        """As `sql_query.Dialect` says, of a query that `is_native`; of any other, what finds at least as much."""
        words = [word_token(term.words[0]) for term in query.weighed if not term.begins]
        beginnings = [term.words[-1] for term in query.weighed if term.begins]
        parts = [self._tokens("&&" if query.any else "@>", words, asked)] if words else []
        parts += [self._beginning("i.tokens", word, asked) for word in beginnings]
        parts = [f"({' OR '.join(parts)})"] if query.any and parts else parts
        lacking = [term for term in query.excluded if is_native(Query((term,)))]
        return parts + [f"NOT {self._tokens('@>', [word_token(term.words[0])], asked)}" for term in lacking]

    def _beginning(self, tokens: str, word: str, asked: sql_query.Asked) -> str:
        """Returns the condition that a token begins with the word, or stands for a word too long to tell."""
        begun = f"starts_with(t, {asked.bind(word)}) OR starts_with(t, '#')"
        return f"EXISTS (SELECT FROM unnest({tokens}) t WHERE {begun})"

    def labelled(self, labels: Sequence[str], asked: sql_query.Asked) -> str:
        return self._tokens("&&", map(label_token, labels), asked)

    def described(self, metadata: Map, asked: sql_query.Asked) -> str:
        return self._tokens("@>", metadata_tokens(metadata), asked)

    def _tokens(self, operator: str, tokens: Any, asked: sql_query.Asked) -> str:
        return f"i.tokens {operator} {asked.bind(array(list(tokens)))}::text[]"

    def scored(self, query: Query, asked: sql_query.Asked) -> _Scored:
        here = f"i.graph = {asked.graph}"
        counts, terms = [], []
        for at, term in enumerate(query.weighed):
            holding, times = self._weighed(term, asked)
            counts.append(f"(SELECT count(*)::float8 FROM {asked.intents} i WHERE {here} AND {holding}) AS d{at}")
            idf = f"greatest(ln((s.n - s.d{at} + {_HALF}) / (s.d{at} + {_HALF})), 1e-6::float8)"
            weight = f"{_K1} * ({_LEAST} + {_B} * i.length::float8 / s.average)"
            terms.append(f"{idf} * {times} * {_MOST} / ({times} + {weight})")
        stats = (
            f"SELECT count(*)::float8 AS n, coalesce(avg(length), 0)::float8 AS average, {', '.join(counts)}"
            f" FROM {asked.intents} i WHERE {here}"
        )
        source = f"stats s JOIN {asked.intents} i ON {' AND '.join([here, *self.sought(query.bare, asked)])}"
        score = f"round(({' + '.join(terms)})::numeric, 9)::float8"
        besides = self.sought(Query((), query.excluded), asked)
        return _Scored(f"WITH stats AS MATERIALIZED ({stats}) ", source, besides, score)

    def _weighed(self, term: Term, asked: sql_query.Asked) -> tuple[str, str]:
        """Returns the condition that an intent holds what is weighed, and how often it does."""
        if term.begins:
            begun = f"FROM unnest(i.tokens) t WHERE starts_with(t, {asked.bind(term.words[-1])})"
            times = f"(SELECT coalesce(sum(coalesce((i.again ->> t)::float8, 1)), 0) {begun})"
            return f"EXISTS (SELECT {begun})", times
        token = asked.bind(word_token(term.words[0]))
        holding = f"i.tokens @> ARRAY[{token}]::text[]"
        return holding, f"CASE WHEN {holding} THEN coalesce((i.again ->> {token})::float8, 1) ELSE 0 END"


def is_native(query: Query) -> bool:
    """True when the tokens decide alone what the query means: it asks for words, anywhere."""
    return all(
        len(term.words) == 1 and term.field is None and not term.begins for term in (*query.terms, *query.excluded)
    )


def candidates(query: Query, asked: Asked) -> str:
    """Returns the statement that gives (id, body) of at least the intents that the query means."""
    meant = " AND ".join([f"i.graph = {asked.graph}", *POSTGRES.sought(query, asked)])
    return f"SELECT i.id, i.body FROM {asked.intents} i WHERE {meant}"


def counting_word(word: str, most: int, asked: Asked) -> str:
    """Returns the statement that counts the intents in which a word stands, up to a number."""
    holding = f"i.tokens @> ARRAY[{asked.bind(word_token(word))}]::text[]"
    found = f"SELECT 1 FROM {asked.intents} i WHERE i.graph = {asked.graph} AND {holding} LIMIT {most:d}"
    return f"SELECT count(*) FROM ({found}) f"


POSTGRES = _Postgres()


def descending(ids: Sequence[str], walk: Walk, asked: Asked) -> str:
    """Returns the statement that gives the keys of the edges that a walk from these ids meets, in their order."""
    steps, meets = [], []
    for near, limited in sql_query.ends(walk, asked):
        far = "target" if near == "source" else "source"
        here = f"FROM {asked.edges} e WHERE e.graph = {asked.graph} AND e.{near} ="
        steps.append(f"SELECT e.{far} AS id {here} r.id{limited}")
        meets.append(f"SELECT e.source, e.type, e.target {here} ANY (ARRAY (SELECT id FROM r)){limited}")
    begin = f'SELECT unnest({asked.bind(array(ids))}::text[]) COLLATE "C"'
    step = f"SELECT o.id FROM r CROSS JOIN LATERAL ({' UNION ALL '.join(steps)}) o"
    return f"WITH RECURSIVE r (id) AS ({begin} UNION {step}) {' UNION '.join(meets)} ORDER BY 1, 2, 3"


class Asked(sql_query.Asked):
    """An SQL text in the making, for PostgreSQL; its values in the order of their numbers."""

    def __init__(self, graph: int) -> None:
        super().__init__(graph, POSTGRES)

    @property
    def given(self) -> list[Any]:
        """The bound values."""
        return list(self.values.values())
