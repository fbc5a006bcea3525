"""From a filter, a page or a walk to one SQL text with bound values, and the functions that the text calls.

Owns every piece of SQL that depends on what is asked. Names come from the lists here; values are only ever bound.
Knows the tables of ``sqlite.sql``; has never seen a connection's state, a lock or a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec

from ..codec import encode_intent
from ..codec.wire import decode_hook
from ..ground.errors import QueryInvalid
from ..ground.query import (
    Direction,
    HasEdge,
    IntentFilter,
    Page,
    Sort,
    Walk,
    microseconds,
    read_cursor,
    same_value,
    words,
)
from ..ground.types import SYMMETRIC, Intent, IntentStatus
from ..ground.values import EMPTY, Map

_INDEXED = frozenset({"created_at", "updated_at", "priority"})
_COLUMNS = {name: f"i.{name}" for name in ("created_at", "updated_at", "priority", "goal", "id")}
_DEGREE = (
    "((SELECT count(*) FROM edges e WHERE e.graph = i.graph AND e.source = i.id)"
    " + (SELECT count(*) FROM edges e WHERE e.graph = i.graph AND e.target = i.id))"
)
_BOUNDS = {
    "priority_min": "i.priority >= {}",
    "priority_max": "i.priority <= {}",
    "created_after": "i.created_at >= {}",
    "created_before": "i.created_at < {}",
    "updated_after": "i.updated_at >= {}",
    "updated_before": "i.updated_at < {}",
    # IS, not =: a missing value is then false rather than NULL, and NOT of it true.
    "session_id": "i.session_id IS {}",
    "triggered_by": "i.triggered_by IS {}",
    "claimed_by": "i.owner IS {}",
}
_json = msgspec.json.Encoder()


class Asked:
    """An SQL text in the making: its bound values, and the graph it asks."""

    def __init__(self, graph: int) -> None:
        self.graph = graph
        self.values: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        """Returns the name under which the value is bound."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def bind_all(self, values: Iterable[str]) -> str:
        """Returns a subquery that yields the values, however many they are."""
        plain = [str.__str__(each) for each in sorted(values)]  # an EdgeType is no str to the encoder
        return f"(SELECT value FROM json_each({self.bind(_json.encode(plain).decode())}))"


# --- Filters ---------------------------------------------------------------------------------------


def condition(where: IntentFilter, asked: Asked, *, with_status: bool = True) -> str:
    """Returns an SQL condition over ``intents i``, true or false and never NULL, that means the filter."""
    if where.connected_to is not None:
        raise QueryInvalid("connected_to is resolved by the graph", hint="ask IntentGraph.list")
    parts = [*_plain(where, asked), *_worded(where, asked), *_related(where, asked)]
    if with_status and where.status is not None:
        parts.append(f"i.status IN {asked.bind_all(where.status)}")
    if where.any_of:
        parts.append("(" + " OR ".join(condition(inner, asked) for inner in where.any_of) + ")")
    if where.not_ is not None:
        parts.append(f"NOT {condition(where.not_, asked)}")
    return "(" + " AND ".join(parts) + ")" if parts else "1"


def _plain(where: IntentFilter, asked: Asked) -> list[str]:
    parts = []
    if where.ids is not None:
        parts.append(f"i.id IN {asked.bind_all(where.ids)}")
    for field, text in _BOUNDS.items():
        value = getattr(where, field)
        if value is not None:
            timed = field.startswith(("created", "updated"))
            parts.append(text.format(asked.bind(microseconds(value) if timed else value)))
    return parts


def _worded(where: IntentFilter, asked: Asked) -> list[str]:
    parts = []
    if where.goal_contains is not None:
        parts.append(f"instr(fold(i.goal), {asked.bind(where.goal_contains.casefold())})")
    if where.name_contains is not None:
        parts.append(f"instr(fold(coalesce(i.name, '')), {asked.bind(where.name_contains.casefold())})")
    match = matching(where.text) if where.text is not None else None
    if match is not None:
        table = f"fts_{asked.graph}"
        parts.append(f"i.key IN (SELECT rowid FROM {table} WHERE {table} MATCH {asked.bind(match)})")
    return parts


def matching(text: str) -> str | None:
    """Returns the FTS5 expression that asks for every word of the text, or None if it has no word."""
    wanted = dict.fromkeys(words(text))
    return " ".join(f'"{word}"' for word in wanted) or None  # a word holds no quote: \w only


def _related(where: IntentFilter, asked: Asked) -> list[str]:
    parts = [
        f"i.key IN (SELECT intent FROM labels WHERE graph = {asked.graph} AND label = {asked.bind(label)})"
        for label in sorted(where.labels_all)
    ]
    if where.labels_any:
        given = asked.bind_all(where.labels_any)
        parts.append(f"i.key IN (SELECT intent FROM labels WHERE graph = {asked.graph} AND label IN {given})")
    if where.metadata:
        wanted = encode_intent(Intent(goal="-", metadata=where.metadata)).decode()
        parts.append(f"has_metadata(i.body, {asked.bind(wanted)})")
    if where.has_edge is not None:
        parts.append(_has_edge(where.has_edge, asked))
    return parts


def _has_edge(asks: HasEdge, asked: Asked) -> str:
    sides = [
        f"EXISTS (SELECT 1 FROM edges e WHERE e.graph = i.graph AND e.{end} = i.id{limited})"
        for end, limited in _ends(Walk(types=asks.types, direction=asks.direction), asked)
    ]
    return "(" + " OR ".join(sides) + ")"


def _ends(walk: Walk, asked: Asked) -> list[tuple[str, str]]:
    """Returns, for each end an edge may be seen from, the condition on its type."""
    given = f" AND e.type IN {asked.bind_all(walk.types)}" if walk.types else ""
    if walk.direction is Direction.BOTH:
        return [("source", given), ("target", given)]
    near, far = ("source", "target") if walk.direction is Direction.OUT else ("target", "source")
    both_ways = sorted(walk.types & SYMMETRIC if walk.types else SYMMETRIC)
    ends = [(near, given)]
    if both_ways:
        ends.append((far, f" AND e.type IN {asked.bind_all(both_ways)}"))
    return ends


# --- Whole statements ------------------------------------------------------------------------------


def neighbours(ids: Iterable[str], walk: Walk, asked: Asked) -> str:
    """Returns the statement that gives the bodies of the edges at the ids, each once, ordered by key."""
    wanted = asked.bind_all(set(ids))
    arms = [
        f"SELECT e.source, e.type, e.target, e.body FROM edges e"
        f" WHERE e.graph = {asked.graph} AND e.{end} IN {wanted}{limited}"
        for end, limited in _ends(walk, asked)
    ]
    return " UNION ".join(arms) + " ORDER BY 1, 2, 3"


def counting(where: IntentFilter, asked: Asked) -> str:
    """Returns the statement that gives (status, number) of the intents the filter means."""
    meant = condition(where, asked)
    return f"SELECT i.status, count(*) FROM intents i WHERE i.graph = {asked.graph} AND {meant} GROUP BY i.status"


def selecting(where: IntentFilter, page: Page, asked: Asked) -> str:
    """Returns the statement that gives (body, sort key, id) of one page, and of one intent more if there is one."""
    sort = page.sort
    direction = " DESC" if sort.descending else ""
    tail = f" ORDER BY 2{direction}, 3 LIMIT {page.limit + 1}"
    if sort.field in _INDEXED and where.ids is None and where.text is None:
        return _by_index(where, page, asked) + tail
    scored, key = _key(where, sort, asked)
    rest = where.replace(text=None) if scored else where  # what is scored holds the words already
    meant = f"i.graph = {asked.graph} AND {condition(rest, asked)}"
    source = "scored s CROSS JOIN intents i ON i.key = s.rowid" if scored else "intents i"
    # The bodies join last: what is sorted stays small.
    inner = f"SELECT i.key AS found, {key} AS k, i.id AS id FROM {source} WHERE {meant}"
    ordered = f"SELECT found, k, id FROM ({inner}) WHERE {_behind('k', 'id', page, asked)}{tail}"
    return f"{scored}SELECT b.body, o.k, o.id FROM ({ordered}) o CROSS JOIN intents b ON b.key = o.found{tail}"


def _by_index(where: IntentFilter, page: Page, asked: Asked) -> str:
    """Returns one arm per status, each in the order of its index; SQLite merges them and stops at the limit."""
    key = _COLUMNS[page.sort.field]
    meant = condition(where, asked, with_status=False)
    behind = _behind(key, "i.id", page, asked)
    statuses = sorted(where.status) if where.status is not None else list(IntentStatus)
    arms = [
        f"SELECT i.body, {key} AS k, i.id AS id FROM intents i"
        f" WHERE i.graph = {asked.graph} AND i.status = {asked.bind(str(status))} AND {meant} AND {behind}"
        for status in statuses
    ]
    return " UNION ALL ".join(arms or ["SELECT '' AS body, 0 AS k, '' AS id WHERE 0"])


def _key(where: IntentFilter, sort: Sort, asked: Asked) -> tuple[str, str]:
    """Returns what stands before the statement, and the expression it is sorted by."""
    if sort.field == "connections":
        return "", _DEGREE
    if sort.field != "relevance":
        return "", _COLUMNS[sort.field]
    if where.text is None:
        raise QueryInvalid("relevance needs a text to be relevant to", hint="give the filter a text")
    match = matching(where.text)
    if match is None:
        return "", "0.0"
    table = f"fts_{asked.graph}"
    scores = f"SELECT rowid, round(-bm25({table}), 9) AS score FROM {table} WHERE {table} MATCH {asked.bind(match)}"
    return f"WITH scored AS MATERIALIZED ({scores}) ", "s.score"


def _behind(key: str, id: str, page: Page, asked: Asked) -> str:
    if page.after is None:
        return "1"
    after_key, after_id = read_cursor(page.after, page.sort)
    k, i = asked.bind(after_key), asked.bind(after_id)
    if page.sort.descending:
        return f"{key} <= {k} AND ({key} < {k} OR {id} > {i})"
    return f"{key} >= {k} AND ({key} > {k} OR {id} > {i})"


# --- Functions that the statements call ------------------------------------------------------------


class _JustMetadata(msgspec.Struct):
    metadata: Map = EMPTY


_just_metadata = msgspec.json.Decoder(_JustMetadata, dec_hook=decode_hook)


@lru_cache(maxsize=64)
def _wanted(body: str) -> Map:
    return _just_metadata.decode(body).metadata


def has_metadata(body: str, wanted: str) -> bool:
    """True when the intent with this body holds every entry of ``wanted``'s metadata, equal in value and type."""
    held = _just_metadata.decode(body).metadata
    return all(key in held and same_value(held[key], value) for key, value in _wanted(wanted).items())


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {"fold": (1, str.casefold), "has_metadata": (2, has_metadata)}
"""By name: how many arguments, and what is called. Every connection that asks must know them."""
