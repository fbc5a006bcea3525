"""From a filter, a page or a walk to one SQL text with bound values, for every storage that speaks SQL.

Owns each piece of SQL that depends on what is asked and that the databases say alike; what they say differently is a
`Dialect`, which each brings. Names come from the lists here; values are only ever bound. Has never seen a connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ..ground.errors import QueryInvalid
from ..ground.query import (
    Direction,
    HasEdge,
    IntentFilter,
    Page,
    Walk,
    microseconds,
    read_cursor,
)
from ..ground.search import Query, parse
from ..ground.types import SYMMETRIC, IntentStatus
from ..ground.values import Map

_INDEXED = frozenset({"created_at", "updated_at", "priority"})
_COLUMNS = {name: f"i.{name}" for name in ("created_at", "updated_at", "priority", "goal", "id")}
_DEGREE = (
    "((SELECT count(*) FROM {edges} e WHERE e.graph = i.graph AND e.source = i.id)"
    " + (SELECT count(*) FROM {edges} e WHERE e.graph = i.graph AND e.target = i.id))"
)
_BOUNDS = {
    "priority_min": "i.priority >= {}",
    "priority_max": "i.priority <= {}",
    "created_after": "i.created_at >= {}",
    "created_before": "i.created_at < {}",
    "updated_after": "i.updated_at >= {}",
    "updated_before": "i.updated_at < {}",
}
_SAME = {"session_id": "i.session_id", "triggered_by": "i.triggered_by", "claimed_by": "i.owner"}


class Dialect(Protocol):
    """What two databases say differently. Whatever it returns is made of its own words and of names bound in ``asked``.

    Conditions are about ``intents i``, true or false and never NULL.
    """

    true: str
    false: str
    zero: str
    """The number 0 as a score."""
    row: str
    """What tells a row of ``intents i`` from the others of its graph."""

    def table(self, name: str) -> str:
        """Returns how ``intents`` or ``edges``, without what was deleted, is named in the text."""
        ...

    def arm(self, text: str, tail: str) -> str:
        """Returns one of several selects put together, of which no more is needed than the tail lets through."""
        ...

    def body(self, asked: Asked) -> str:
        """Returns what joins ``intents b`` to the ``found`` of ``o``, which holds such a `row`; ``o`` comes first."""
        ...

    def place(self, name: str) -> str:
        """Returns how a bound value is named in the text."""
        ...

    def among(self, column: str, values: Sequence[str], asked: Asked) -> str:
        """Returns the condition that the column, never NULL, is one of the values, however many they are."""
        ...

    def same(self, column: str, place: str) -> str:
        """Returns the condition that the column, which may be NULL, holds the value."""
        ...

    def contains(self, field: str, folded: str, asked: Asked) -> str:
        """Returns the condition that the case-folded ``goal`` or ``name`` holds this text."""
        ...

    def sought(self, query: Query, asked: Asked) -> list[str]:
        """Returns the conditions that together mean the query."""
        ...

    def labelled(self, labels: Sequence[str], asked: Asked) -> str:
        """Returns the condition that the intent has one of these labels."""
        ...

    def described(self, metadata: Map, asked: Asked) -> str:
        """Returns the condition that the intent has every entry of this metadata, equal in value and type."""
        ...

    def scored(self, query: Query, asked: Asked) -> Scored:
        """Returns how the intents that the query means are found together with their scores; it has terms."""
        ...


class Scored(Protocol):
    """Pieces of one statement: what it begins with, what it selects from, what else must hold, and the score."""

    @property
    def front(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def meant(self) -> list[str]: ...
    @property
    def score(self) -> str: ...


class Asked:
    """An SQL text in the making: its bound values, the graph it asks, the dialect it is said in."""

    def __init__(self, graph: int, dialect: Dialect) -> None:
        self.graph, self.dialect = graph, dialect
        self.values: dict[str, Any] = {}
        self.intents, self.edges = dialect.table("intents"), dialect.table("edges")

    def bind(self, value: Any) -> str:
        """Returns the name under which the value is bound."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return self.dialect.place(name)

    def among(self, column: str, values: Iterable[str]) -> str:
        """Returns the condition that the column is one of the values."""
        plain = [str.__str__(each) for each in sorted(values)]  # an EdgeType is no str to a driver
        return self.dialect.among(column, plain, self)


# --- Filters ---------------------------------------------------------------------------------------


def condition(where: IntentFilter, asked: Asked, *, with_status: bool = True) -> str:
    """Returns an SQL condition over ``intents i``, true or false and never NULL, that means the filter."""
    if where.connected_to is not None:
        raise QueryInvalid("connected_to is resolved by the graph", hint="ask IntentGraph.list")
    parts = [*_plain(where, asked), *_worded(where, asked), *_related(where, asked)]
    if with_status and where.status is not None:
        parts.append(asked.among("i.status", where.status))
    if where.any_of:
        parts.append("(" + " OR ".join(condition(inner, asked) for inner in where.any_of) + ")")
    if where.not_ is not None:
        parts.append(f"NOT {condition(where.not_, asked)}")
    return "(" + " AND ".join(parts) + ")" if parts else asked.dialect.true


def _plain(where: IntentFilter, asked: Asked) -> list[str]:
    parts = []
    if where.ids is not None:
        parts.append(asked.among("i.id", where.ids))
    for field, text in _BOUNDS.items():
        value = getattr(where, field)
        if value is not None:
            timed = field.startswith(("created", "updated"))
            parts.append(text.format(asked.bind(microseconds(value) if timed else value)))
    for field, column in _SAME.items():
        value = getattr(where, field)
        if value is not None:
            parts.append(asked.dialect.same(column, asked.bind(value)))
    return parts


def _worded(where: IntentFilter, asked: Asked) -> list[str]:
    parts = []
    if where.goal_contains is not None:
        parts.append(asked.dialect.contains("goal", where.goal_contains.casefold(), asked))
    if where.name_contains is not None:
        parts.append(asked.dialect.contains("name", where.name_contains.casefold(), asked))
    if where.text is not None:
        parts.extend(asked.dialect.sought(parse(where.text), asked))
    return parts


def _related(where: IntentFilter, asked: Asked) -> list[str]:
    parts = [asked.dialect.labelled([label], asked) for label in sorted(where.labels_all)]
    if where.labels_any:
        parts.append(asked.dialect.labelled(sorted(where.labels_any), asked))
    if where.metadata:
        parts.append(asked.dialect.described(where.metadata, asked))
    if where.has_edge is not None:
        parts.append(_has_edge(where.has_edge, asked))
    return parts


def _has_edge(asks: HasEdge, asked: Asked) -> str:
    sides = [
        f"EXISTS (SELECT 1 FROM {asked.edges} e WHERE e.graph = i.graph AND e.{end} = i.id{limited})"
        for end, limited in ends(Walk(types=asks.types, direction=asks.direction), asked)
    ]
    return "(" + " OR ".join(sides) + ")"


def ends(walk: Walk, asked: Asked) -> list[tuple[str, str]]:
    """Returns, for each end an edge may be seen from, the condition on its type."""
    given = f" AND {asked.among('e.type', walk.types)}" if walk.types else ""
    if walk.direction is Direction.BOTH:
        return [("source", given), ("target", given)]
    near, far = ("source", "target") if walk.direction is Direction.OUT else ("target", "source")
    both_ways = sorted(walk.types & SYMMETRIC if walk.types else SYMMETRIC)
    ends = [(near, given)]
    if both_ways:
        ends.append((far, f" AND {asked.among('e.type', both_ways)}"))
    return ends


# --- Whole statements ------------------------------------------------------------------------------


def neighbours(ids: Iterable[str], walk: Walk, asked: Asked, *, columns: str = "e.body") -> str:
    """Returns the statement that gives key and body of the edges at the ids, each once, ordered by key."""
    wanted = sorted(set(ids))
    arms = [
        f"SELECT e.source, e.type, e.target, {columns} FROM {asked.edges} e"
        f" WHERE e.graph = {asked.graph} AND {asked.among(f'e.{end}', wanted)}{limited}"
        for end, limited in ends(walk, asked)
    ]
    return " UNION ".join(arms) + " ORDER BY 1, 2, 3"


def counting(where: IntentFilter, asked: Asked) -> str:
    """Returns the statement that gives (status, number) of the intents the filter means."""
    meant = condition(where, asked)
    return (
        f"SELECT i.status, count(*) FROM {asked.intents} i WHERE i.graph = {asked.graph} AND {meant} GROUP BY i.status"
    )


def selecting(where: IntentFilter, page: Page, asked: Asked, *, query: Query | None = None) -> str:
    """Returns the statement that gives (body, sort key, id) of one page, and of one intent more if there is one.

    ``query``: what relevance is about, and what is meant besides; the filter's ``text`` if it is not given.
    """
    sort = page.sort
    if sort.field in _INDEXED and where.ids is None and where.text is None:
        return _by_index(where, page, _tail(page), asked) + _tail(page)
    source = f"{asked.intents} i"
    if sort.field == "relevance":
        if query is None and where.text is None:
            raise QueryInvalid("relevance needs a text to be relevant to", hint="give the filter a text")
        query = parse(where.text or "") if query is None else query
        if query.terms:
            scored, rest = asked.dialect.scored(query, asked), where.replace(text=None)
            meant = [condition(rest, asked), *scored.meant]
            return scored.front + _sorted(scored.score, scored.source, meant, page, asked)
        return _sorted(asked.dialect.zero, source, [condition(where, asked)], page, asked)
    key = _DEGREE.format(edges=asked.edges) if sort.field == "connections" else _COLUMNS[sort.field]
    return _sorted(key, source, [condition(where, asked)], page, asked)


def _tail(page: Page) -> str:
    return f" ORDER BY 2{' DESC' if page.sort.descending else ''}, 3 LIMIT {page.limit + 1}"


def _sorted(key: str, source: str, meant: list[str], page: Page, asked: Asked) -> str:
    where = " AND ".join([f"i.graph = {asked.graph}", *meant])
    # The bodies join last: what is sorted stays small.
    inner = f"SELECT {asked.dialect.row} AS found, {key} AS k, i.id AS id FROM {source} WHERE {where}"
    ordered = f"SELECT found, k, id FROM ({inner}) p WHERE {_behind('k', 'id', page, asked)}{_tail(page)}"
    return f"SELECT b.body, o.k, o.id FROM ({ordered}) o {asked.dialect.body(asked)}{_tail(page)}"


def _by_index(where: IntentFilter, page: Page, tail: str, asked: Asked) -> str:
    """Returns one arm per status, each in the order of its index; the database merges them and stops at the limit."""
    key = _COLUMNS[page.sort.field]
    meant = condition(where, asked, with_status=False)
    behind = _behind(key, "i.id", page, asked)
    statuses = sorted(where.status) if where.status is not None else list(IntentStatus)
    select = f"SELECT i.body, {key} AS k, i.id AS id FROM {asked.intents} i WHERE i.graph = {asked.graph}"
    arms = [f"{select} AND i.status = {asked.bind(str(status))} AND {meant} AND {behind}" for status in statuses]
    if len(arms) > 1:
        arms = [asked.dialect.arm(arm, tail) for arm in arms]
    return " UNION ALL ".join(arms or [f"SELECT '' AS body, 0 AS k, '' AS id WHERE {asked.dialect.false}"])


def _behind(key: str, id: str, page: Page, asked: Asked) -> str:
    if page.after is None:
        return asked.dialect.true
    after_key, after_id = read_cursor(page.after, page.sort)
    k, i = asked.bind(after_key), asked.bind(after_id)
    if page.sort.descending:
        return f"{key} <= {k} AND ({key} < {k} OR {id} > {i})"
    return f"{key} >= {k} AND ({key} > {k} OR {id} > {i})"
