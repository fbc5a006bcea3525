"""How PostgreSQL says what `sql_query` leaves to a dialect.

Knows the tables of ``schema.sql`` and the tokens of `rows`.
Search ranks by BM25 as every storage does (`storage.words` has the formula): how many intents there are and how long
they are on average is counted when it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...ground.query import Walk
from ...ground.values import Map
from .. import sql_query
from ..words import K1, B
from .rows import array, label_token, metadata_tokens, word_token

_K1, _MOST, _B, _LEAST, _HALF = (f"{number!r}::float8" for number in (K1, K1 + 1, B, 1 - B, 0.5))
"""As they are in `storage.words`; without their type PostgreSQL would count in decimals, ten times slower."""


class _Scored(NamedTuple):
    front: str
    source: str
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

    def holds(self, wanted: Sequence[str], asked: sql_query.Asked) -> str:
        return self._tokens("@>", map(word_token, wanted), asked)

    def labelled(self, labels: Sequence[str], asked: sql_query.Asked) -> str:
        return self._tokens("&&", map(label_token, labels), asked)

    def described(self, metadata: Map, asked: sql_query.Asked) -> str:
        return self._tokens("@>", metadata_tokens(metadata), asked)

    def _tokens(self, operator: str, tokens: Any, asked: sql_query.Asked) -> str:
        return f"i.tokens {operator} {asked.bind(array(list(tokens)))}::text[]"

    def scored(self, wanted: Sequence[str], asked: sql_query.Asked) -> _Scored:
        here = f"i.graph = {asked.graph}"
        counts, terms = [], []
        for at, word in enumerate(map(word_token, wanted)):
            token = asked.bind(word)
            holding = f"{here} AND i.tokens @> ARRAY[{token}]::text[]"
            counts.append(f"(SELECT count(*)::float8 FROM {asked.intents} i WHERE {holding}) AS d{at}")
            idf = f"greatest(ln((s.n - s.d{at} + {_HALF}) / (s.d{at} + {_HALF})), 1e-6::float8)"
            times = f"coalesce((i.again ->> {token})::float8, 1)"
            weight = f"{_K1} * ({_LEAST} + {_B} * i.length::float8 / s.average)"
            terms.append(f"{idf} * {times} * {_MOST} / ({times} + {weight})")
        every = asked.bind(array([word_token(word) for word in wanted]))
        stats = (
            f"SELECT count(*)::float8 AS n, coalesce(avg(length), 0)::float8 AS average, {', '.join(counts)}"
            f" FROM {asked.intents} i WHERE {here}"
        )
        source = f"stats s JOIN {asked.intents} i ON {here} AND i.tokens @> {every}::text[]"
        score = f"round(({' + '.join(terms)})::numeric, 9)::float8"
        return _Scored(f"WITH stats AS MATERIALIZED ({stats}) ", source, score)


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
