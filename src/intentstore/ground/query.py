"""Questions as data: what to find, in which order, where a page begins.

The same `IntentFilter` means the same on every storage. Text is compared by Unicode case folding; orders are
total (the id breaks ties), so pages neither skip nor repeat.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec
from msgspec.structs import force_setattr

from .errors import Invalid, QueryInvalid
from .types import EdgeType, Intent, IntentId, IntentStatus, as_status, check_id
from .values import EMPTY, Map, Value, check_text, freeze_map, freeze_time

MAX_PAGE = 10_000
MAX_FILTER_DEPTH = 16


class Direction(StrEnum):
    """Which end of an edge the intent stands at: OUT is its source, IN its target."""

    OUT = "out"
    IN = "in"
    BOTH = "both"


class HasEdge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Matches intents at which some edge of these types (any, if none is given) stands."""

    types: frozenset[str] = frozenset()
    direction: Direction = Direction.BOTH

    def __post_init__(self) -> None:
        force_setattr(self, "types", _edge_types(self.types))
        if type(self.direction) is not Direction:
            force_setattr(self, "direction", _direction(self.direction))


class ConnectedTo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Matches intents within ``depth`` edges of ``id``, along these types in either direction."""

    id: IntentId
    types: frozenset[str] = frozenset()
    depth: int = 1

    def __post_init__(self) -> None:
        check_id(self.id, "connected_to.id")
        force_setattr(self, "types", _edge_types(self.types))
        if type(self.depth) is not int or not 0 <= self.depth <= 1_000_000:
            raise QueryInvalid(f"connected_to.depth is {self.depth!r}", hint="give a number of edges, 1 or more")


class IntentFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which intents are meant; fields are ANDed, a field left out asks nothing.

    ``created_after``/``updated_after`` are inclusive, ``…_before`` exclusive; ``priority_min``/``_max`` are both
    inclusive. ``metadata`` compares the named entries for equality, 1 and 1.0 kept apart. ``text`` asks for intents
    that a search for it means (`ground.search`): every word of it, at its simplest. ``claimed_by`` compares the owner,
    live claim or not.

    >>> IntentFilter(status="active", goal_contains="suite").status
    frozenset({<IntentStatus.ACTIVE: 'active'>})
    """

    ids: frozenset[IntentId] | None = None
    status: frozenset[IntentStatus] | None = None
    name_contains: str | None = None
    goal_contains: str | None = None
    text: str | None = None
    labels_all: frozenset[str] = frozenset()
    labels_any: frozenset[str] = frozenset()
    priority_min: int | None = None
    priority_max: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    session_id: str | None = None
    triggered_by: str | None = None
    metadata: Map = EMPTY
    has_edge: HasEdge | None = None
    connected_to: ConnectedTo | None = None
    claimed_by: str | None = None
    any_of: tuple[IntentFilter, ...] = ()
    not_: IntentFilter | None = None

    def __post_init__(self) -> None:
        if self.ids is not None:
            force_setattr(self, "ids", frozenset(_strings(self.ids, "ids")))
        if self.status is not None:
            force_setattr(self, "status", _statuses(self.status))
        for field in ("labels_all", "labels_any"):
            force_setattr(self, field, frozenset(_strings(getattr(self, field), field)))
        for field in ("name_contains", "goal_contains", "text", "session_id", "triggered_by", "claimed_by"):
            text = getattr(self, field)
            if text is not None:
                if type(text) is not str:
                    raise QueryInvalid(f"{field} must be text, not {type(text).__name__}", hint="give a string")
                check_text(text, field)
        for field in ("priority_min", "priority_max"):
            number = getattr(self, field)
            if number is not None and (type(number) is not int or not -(2**63) <= number < 2**63):
                raise QueryInvalid(f"{field} must be a 64-bit integer", hint="give a whole number")
        for field in ("created_after", "created_before", "updated_after", "updated_before"):
            moment = getattr(self, field)
            if moment is not None:
                force_setattr(self, field, freeze_time(moment, field))
        if type(self.metadata) is not Map:
            force_setattr(self, "metadata", freeze_map(self.metadata, "metadata"))
        self._check_shape()

    def _check_shape(self) -> None:
        for field, kind in (("has_edge", HasEdge), ("connected_to", ConnectedTo), ("not_", IntentFilter)):
            given = getattr(self, field)
            if given is not None and not isinstance(given, kind):
                raise QueryInvalid(f"{field} must be a {kind.__name__}", hint=f"give {field}={kind.__name__}(…)")
        if not isinstance(self.any_of, tuple):
            force_setattr(self, "any_of", tuple(self.any_of))
        if not all(isinstance(given, IntentFilter) for given in self.any_of):
            raise QueryInvalid("any_of must hold filters", hint="give any_of=(IntentFilter(…), …)")
        if self.depth > MAX_FILTER_DEPTH:
            raise QueryInvalid(f"the filter is nested deeper than {MAX_FILTER_DEPTH}", hint="flatten it")

    @property
    def depth(self) -> int:
        """How deep filters stand within this one; 1 for a plain one."""
        below = [inner.depth for inner in self.any_of]
        if self.not_ is not None:
            below.append(self.not_.depth)
        return 1 + max(below, default=0)

    @property
    def asks_the_graph(self) -> bool:
        """True when ``connected_to`` stands in it at any depth: `IntentGraph` resolves it, a storage cannot."""
        inner = [*self.any_of, *([] if self.not_ is None else [self.not_])]
        return self.connected_to is not None or any(each.asks_the_graph for each in inner)

    def refuse_graph_questions(self) -> None:
        """Raises `QueryInvalid` if a storage cannot answer the filter by itself."""
        if self.asks_the_graph:
            raise QueryInvalid("connected_to is resolved by the graph", hint="ask IntentGraph.list")

    def replace(self, **changes: Any) -> IntentFilter:
        """Returns a copy with these fields changed and checked."""
        return msgspec.structs.replace(self, **changes)


SortField = Literal["created_at", "updated_at", "priority", "goal", "id", "connections", "relevance"]
SORT_FIELDS: tuple[str, ...] = ("created_at", "updated_at", "priority", "goal", "id", "connections", "relevance")


class Sort(msgspec.Struct, frozen=True):
    """A total order: one field, up or down, the id upward as the tie break.

    ``goal`` and ``id`` order by code point; ``connections`` counts edges; ``relevance`` needs a filter with ``text``.

    >>> Sort.parse("-updated_at")
    Sort(field='updated_at', descending=True)
    """

    field: str = "created_at"
    descending: bool = False

    @classmethod
    def parse(cls, text: str | Sort) -> Sort:
        """Reads ``"-priority"`` and the like; any other name is `QueryInvalid` listing the names."""
        if isinstance(text, Sort):
            return text
        name = text.removeprefix("-") if isinstance(text, str) else ""
        if name not in SORT_FIELDS:
            raise QueryInvalid(
                f"{text!r} is not a sort", hint=f"use one of: {', '.join(SORT_FIELDS)}, '-' in front to reverse"
            )
        return cls(name, text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.field}" if self.descending else self.field


OLDEST = Sort("created_at")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an answer, in which order, from where. ``limit`` is capped at 10,000."""

    sort: Sort = OLDEST
    limit: int = 50
    after: str | None = None

    def __post_init__(self) -> None:
        if type(self.limit) is not int or self.limit < 1:
            raise QueryInvalid(f"limit is {self.limit!r}", hint="give a whole number, 1 or more")
        if self.limit > MAX_PAGE:
            force_setattr(self, "limit", MAX_PAGE)


class Found(msgspec.Struct, frozen=True):
    """One page of intents, and the cursor of the next: None when this is the last.

    ``partial``: the store is away (`Degraded`), and these are only those that are known here.
    """

    intents: tuple[Intent, ...]
    next: str | None = None
    partial: bool = False


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """Which edges to follow: these types (all, if none is given), in this direction."""

    types: frozenset[str] = frozenset()
    direction: Direction = Direction.BOTH

    def __post_init__(self) -> None:
        force_setattr(self, "types", _edge_types(self.types))
        if type(self.direction) is not Direction:
            force_setattr(self, "direction", _direction(self.direction))


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One intent that a search found, its score (larger is better) and a piece of its text with the matches.

    ``marks`` are the places of the matches in the snippet: (begin, end) of each, in characters.
    """

    intent: Intent
    score: float
    snippet: str = ""
    marks: tuple[tuple[int, int], ...] = ()


# --- Cursors ---------------------------------------------------------------------------------------


def write_cursor(sort: Sort, key: float | str, id: IntentId) -> str:
    """Returns an opaque cursor that stands behind the intent with this sort key and id."""
    return base64.urlsafe_b64encode(msgspec.json.encode([str(sort), key, id])).decode().rstrip("=")


def read_cursor(cursor: str, sort: Sort) -> tuple[Any, IntentId]:
    """Returns the (sort key, id) a cursor stands behind; a foreign or damaged one is `QueryInvalid`."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        made_for, key, id = msgspec.json.decode(
            base64.b64decode(padded, b"-_", validate=True), type=tuple[str, int | float | str, str]
        )
    except (msgspec.MsgspecError, ValueError, UnicodeError, AttributeError):
        raise QueryInvalid(
            "the cursor is not one of ours", hint="pass the 'next' of the page before, unchanged"
        ) from None
    textual = sort.field in ("goal", "id")
    if made_for != str(sort) or isinstance(key, str) != textual:
        raise QueryInvalid(
            f"the cursor belongs to a list sorted by {made_for}, not {sort}", hint="keep the sort, or start anew"
        )
    return key, id


def stands_behind(key: Any, id: IntentId, cursor: tuple[Any, IntentId], sort: Sort) -> bool:
    """True when an intent with this sort key comes after the one a cursor stands behind (see `read_cursor`)."""
    if key == cursor[0]:
        return id > cursor[1]
    return bool(key < cursor[0]) if sort.descending else bool(key > cursor[0])


def sort_key(intent: Intent, sort: Sort) -> int | str:
    """Returns what the sort compares, for the sorts that the intent alone decides; times in microseconds."""
    match sort.field:
        case "created_at":
            return microseconds(intent.created_at)
        case "updated_at":
            return microseconds(intent.updated_at)
        case "priority":
            return intent.priority
        case "goal":
            return intent.goal
        case "id":
            return intent.id
    raise QueryInvalid(f"an intent alone has no {sort.field}", hint="ask the storage")


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def microseconds(moment: datetime) -> int:
    """Returns the whole microseconds since 1970 in UTC; exact for every datetime."""
    gap = moment - _EPOCH
    return (gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds


# --- Words -----------------------------------------------------------------------------------------

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Returns the words of a text, case-folded, in order: what search and ``text`` compare.

    >>> words("Flaky TESTS, straße")
    ['flaky', 'tests', 'strasse']
    """
    return _WORD.findall(text.casefold())


def searchable(intent: Intent) -> str:
    """Returns the text of an intent that search looks at: name, goal, request, criteria and labels."""
    criteria = intent.success_criteria
    parts = (intent.name, intent.goal, intent.original_request, criteria if type(criteria) is str else None)
    return "\n".join([part for part in parts if part] + list(intent.labels))


def _edge_types(given: Iterable[str]) -> frozenset[str]:
    names = (given,) if isinstance(given, str) else given
    try:
        return frozenset(EdgeType(name) for name in names)
    except Invalid as error:
        raise QueryInvalid(str(error), hint=error.hint) from None


def _direction(given: str) -> Direction:
    try:
        return Direction(given)
    except ValueError:
        raise QueryInvalid(f"{given!r} is not a direction", hint=f"use one of: {', '.join(Direction)}") from None


def _statuses(given: Any) -> frozenset[IntentStatus]:
    names = (given,) if isinstance(given, str) else given
    try:
        return frozenset(as_status(name) for name in names)
    except Invalid as error:
        raise QueryInvalid(str(error), hint=error.hint) from None
    except TypeError:
        raise QueryInvalid(
            f"status must be a set of statuses, not {type(given).__name__}", hint='give {"active"}'
        ) from None


def _strings(given: Any, field: str) -> Iterable[str]:
    names = (given,) if isinstance(given, str) else given
    try:
        found = list(names)
    except TypeError:
        raise QueryInvalid(
            f"{field} must be a set of strings, not {type(given).__name__}", hint='give {"a", "b"}'
        ) from None
    for name in found:
        if type(name) is not str:
            raise QueryInvalid(f"{field} must hold strings, not {type(name).__name__}", hint='give {"a", "b"}')
        check_text(name, field)
    return found


def same_value(a: Value, b: Value) -> bool:
    """True when two values are equal and of equal type throughout: 1, 1.0 and True are three values."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Map) and isinstance(b, Map):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same_value, a, b))
    if isinstance(a, float) and a == 0:
        return str(a) == str(b)
    return a == b


EVERYTHING = IntentFilter()
