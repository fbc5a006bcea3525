"""The two nouns of the graph, `Intent` and `Edge`, and the words for their states and relations.

Frozen, checked when built, shared freely between threads. Knows which values are allowed; does not know
whether an id exists.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import msgspec
from msgspec.structs import force_setattr

from .errors import FieldInvalid
from .seam import text_form
from .values import EMPTY, INT_MAX, INT_MIN, Map, Value, check_text, freeze, freeze_map, freeze_time

IntentId = str
Revision = int
"""The sequence number of a commit in its graph; an intent's revision is that of the commit that last wrote it."""

UNSTORED = datetime.min.replace(tzinfo=UTC)
"""Stands for "not yet": the created_at and updated_at of an intent that no storage has seen."""

MAX_ID_BYTES = 256
MAX_GOAL_BYTES = 64 * 1024
MAX_INTENT_BYTES = 1024 * 1024


class IntentStatus(StrEnum):
    """Where a goal stands in its life. `intentstore.graph.lifecycle` holds the allowed moves."""

    ACTIVE = "active"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    SUSPENDED = "suspended"
    ARCHIVED = "archived"


SETTLED = frozenset({IntentStatus.COMPLETED, IntentStatus.ARCHIVED})
"""The statuses that let what waits for an intent go on."""
OPEN = frozenset({IntentStatus.ACTIVE, IntentStatus.EXECUTING, IntentStatus.SUSPENDED})
"""The statuses in which a subgoal keeps its parent from being worked on."""


class EdgeType(str):
    """What one intent is to another. Seven types have meaning; any ``[a-z][a-z0-9_]*`` is kept.

    >>> EdgeType("discovered_from") == "discovered_from", EdgeType.BLOCKS
    (True, 'blocks')
    """

    __slots__ = ()
    DEPENDS_ON: ClassVar[EdgeType]
    IS_SUBGOAL_OF: ClassVar[EdgeType]
    CONFLICTS_WITH: ClassVar[EdgeType]
    ENABLES: ClassVar[EdgeType]
    RELATED_TO: ClassVar[EdgeType]
    TRIGGERED_BY: ClassVar[EdgeType]
    BLOCKS: ClassVar[EdgeType]

    def __new__(cls, name: str) -> Self:
        if type(name) is cls:
            return name
        known = _KNOWN_TYPES.get(name)
        if known is not None:
            return known  # type: ignore[return-value]  # the class is final in effect
        if not isinstance(name, str) or not _EDGE_TYPE.fullmatch(name):
            raise FieldInvalid(
                "type",
                f"{name!r} is not an edge type",
                hint="use lower-case letters, digits and _: depends_on, is_subgoal_of, blocks, …",
            )
        return str.__new__(cls, name)


_EDGE_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_KNOWN_TYPES: dict[str, EdgeType] = {}
for _name in ("depends_on", "is_subgoal_of", "conflicts_with", "enables", "related_to", "triggered_by", "blocks"):
    _KNOWN_TYPES[_name] = str.__new__(EdgeType, _name)
    setattr(EdgeType, _name.upper(), _KNOWN_TYPES[_name])

SYMMETRIC = frozenset({EdgeType.CONFLICTS_WITH, EdgeType.RELATED_TO})
"""Types stored once and seen from both ends; the smaller id is their source."""
ORDERING = frozenset({EdgeType.DEPENDS_ON, EdgeType.BLOCKS})
"""Types that together say what must wait; no cycle may run through them."""

if TYPE_CHECKING:
    AnyValue = Value
else:

    class _Anything(type):
        def __instancecheck__(cls, thing):
            return True

    class AnyValue(metaclass=_Anything):
        """Names `Value` to the decoder, which hands such a field to its hook."""


class _Door(threading.local):
    trusting = False


_door = _Door()
T = TypeVar("T")


def trusted(decode: Callable[[bytes | str], T]) -> Callable[[bytes | str], T]:
    """Returns the decoder for bytes that were checked before they were written: what it builds is not checked anew.

    Reading an intent then takes 3 us instead of 15; types and field names are still the decoder's to check.
    """

    def decode_trusted(data: bytes | str) -> T:
        _door.trusting = True
        try:
            return decode(data)
        finally:
            _door.trusting = False

    return decode_trusted


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who works on an intent, until when, and the fencing token that tells a late holder from a live one."""

    owner: str
    token: int
    until: datetime


class Intent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One goal and all that is known about it. Only ``goal`` is required; everything is checked when built.

    ``priority`` is a signed 64-bit integer, larger is more urgent. ``created_at`` and ``updated_at`` are aware
    UTC datetimes, `UNSTORED` until a graph stores the intent; so are ``id`` ("") and ``revision`` (0).
    ``labels`` is kept sorted without repeats. Raises `FieldInvalid` naming the first field that is wrong.

    >>> test = Intent(goal="Pass the suite", priority=8, constraints={"max-cost": 10.0}, labels={"ci"})
    >>> test.status, test.labels, test.replace(priority=9).priority
    (<IntentStatus.ACTIVE: 'active'>, ('ci',), 9)
    """

    id: IntentId = ""
    goal: str
    name: str | None = None
    status: IntentStatus = msgspec.field(default_factory=lambda: IntentStatus.ACTIVE)
    priority: int = msgspec.field(default_factory=int)
    original_request: str | None = None
    rtfs_source: str | None = None
    constraints: Map = EMPTY
    preferences: Map = EMPTY
    success_criteria: AnyValue | None = None
    session_id: str | None = None
    triggered_by: str | None = None
    generation_context: Map = EMPTY
    labels: tuple[str, ...] = ()
    metadata: Map = EMPTY
    created_at: datetime = UNSTORED
    updated_at: datetime = UNSTORED
    revision: Revision = msgspec.field(default_factory=int)
    claim: Claim | None = None

    def __post_init__(self) -> None:
        if not _door.trusting:
            self._check()

    def _check(self) -> None:  # noqa: C901, PLR0912  written out: a loop takes twice as long
        if self.id != "":
            check_id(self.id, "id")
        _check_goal(self.goal)
        if type(self.status) is not IntentStatus:
            force_setattr(self, "status", as_status(self.status))
        check_integer(self.priority, "priority")
        check_integer(self.revision, "revision", least=0)
        if self.name is not None:
            _check_str(self.name, "name")
        if self.original_request is not None:
            _check_str(self.original_request, "original_request")
        if self.rtfs_source is not None:
            _check_str(self.rtfs_source, "rtfs_source")
        if self.session_id is not None:
            _check_str(self.session_id, "session_id")
        if self.triggered_by is not None:
            _check_str(self.triggered_by, "triggered_by")
        if type(self.constraints) is not Map:
            force_setattr(self, "constraints", freeze_map(self.constraints, "constraints"))
        if type(self.preferences) is not Map:
            force_setattr(self, "preferences", freeze_map(self.preferences, "preferences"))
        if type(self.generation_context) is not Map:
            force_setattr(self, "generation_context", freeze_map(self.generation_context, "generation_context"))
        if type(self.metadata) is not Map:
            force_setattr(self, "metadata", freeze_map(self.metadata, "metadata"))
        if type(self.success_criteria) is not str and self.success_criteria is not None:
            force_setattr(self, "success_criteria", freeze(self.success_criteria, "success_criteria"))
        elif self.success_criteria is not None:
            check_text(self.success_criteria, "success_criteria")
        if self.labels != ():
            force_setattr(self, "labels", _labels(self.labels))
        if getattr(self.created_at, "tzinfo", None) is not UTC:
            force_setattr(self, "created_at", freeze_time(self.created_at, "created_at"))
        if getattr(self.updated_at, "tzinfo", None) is not UTC:
            force_setattr(self, "updated_at", freeze_time(self.updated_at, "updated_at"))

    def at_revision(self, revision: Revision) -> Intent:
        """Returns the intent as stored by the commit of this revision; nothing else changes, nothing is rechecked."""
        stored: Intent = self.__copy__()  # type: ignore[attr-defined]  # msgspec's own, missing from its stubs
        force_setattr(stored, "revision", revision)
        return stored

    def stamped(self, *, id: IntentId, created_at: datetime, updated_at: datetime) -> Intent:
        """Returns the intent with this id, these times and no revision; only what is new is checked."""
        stamped = self.at_revision(0)
        if id != self.id:
            force_setattr(stamped, "id", check_id(id, "id"))
        if created_at is not self.created_at:
            force_setattr(stamped, "created_at", freeze_time(created_at, "created_at"))
        if updated_at is not self.updated_at:
            force_setattr(stamped, "updated_at", freeze_time(updated_at, "updated_at"))
        return stamped

    def replace(self, **changes: Any) -> Intent:
        """Returns a copy with these fields changed and checked; an unknown field is `FieldInvalid`."""
        for field in changes:
            if field not in self.__struct_fields__:
                raise FieldInvalid(field, "is not a field of an intent", hint=f"fields: {', '.join(INTENT_FIELDS)}")
        return msgspec.structs.replace(self, **changes)

    def to_rtfs(self, *, width: int | None = 80) -> str:
        """Returns the intent as an RTFS form that `from_rtfs` reads back, broken over lines if wider (None: never).

        >>> Intent(name="ship", goal="Ship 1.0", constraints={"max-cost": 10.0}).to_rtfs()
        '(intent "ship" :goal "Ship 1.0" :constraints {:max-cost 10.0})'
        """
        return text_form().write_intent(self, width=width)

    @classmethod
    def from_rtfs(cls, text: str | bytes, *, lenient: bool = False) -> Intent:
        """Returns the one intent of an RTFS text in any spelling; ``rtfs_source`` keeps the text, unknown keys stay.

        Text that `to_rtfs` wrote is no source to be kept. ``lenient`` repairs what language models get wrong. Raises
        `RtfsSyntaxError` or another `Invalid`, with line and column; `intentstore.rtfs.parse` reads whole files.

        >>> Intent.from_rtfs('(intent "ship" :goal "Ship 1.0" :team :core)').metadata
        Map({'rtfs.team': Keyword(name='core')})
        """
        return text_form().read_intent(text, lenient=lenient)


INTENT_FIELDS: tuple[str, ...] = Intent.__struct_fields__


class Edge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One relation, read as a sentence: *source* ``depends_on`` *target*.

    There is one edge per (source, type, target). The ends of a symmetric type are kept in order of their ids.
    Raises `FieldInvalid` for a self edge, a type that is no word, a weight that is not finite.

    >>> Edge(source="b", type="conflicts_with", target="a").key
    ('a', 'conflicts_with', 'b')
    """

    source: IntentId
    type: EdgeType
    target: IntentId
    weight: float | None = None
    metadata: Map = EMPTY
    created_at: datetime = UNSTORED
    revision: Revision = msgspec.field(default_factory=int)

    def __post_init__(self) -> None:
        if not _door.trusting:
            self._check()

    def _check(self) -> None:
        check_id(self.source, "source")
        check_id(self.target, "target")
        if type(self.type) is not EdgeType:
            force_setattr(self, "type", EdgeType(self.type))
        if self.source == self.target:
            raise FieldInvalid(
                "target", f"is the source itself: {self.source} {self.type} {self.source}", hint="link two intents"
            )
        if self.type in SYMMETRIC and self.source > self.target:
            source = self.source
            force_setattr(self, "source", self.target)
            force_setattr(self, "target", source)
        if self.weight is not None:
            force_setattr(self, "weight", _weight(self.weight))
        if type(self.metadata) is not Map:
            force_setattr(self, "metadata", freeze_map(self.metadata, "metadata"))
        check_integer(self.revision, "revision", least=0)
        if self.created_at is not UNSTORED and getattr(self.created_at, "tzinfo", None) is not UTC:
            force_setattr(self, "created_at", freeze_time(self.created_at, "created_at"))

    @property
    def key(self) -> EdgeKey:
        """What identifies the edge: (source, type, target)."""
        return (self.source, self.type, self.target)

    def other(self, end: IntentId) -> IntentId:
        """Returns the end that is not ``end``."""
        return self.target if end == self.source else self.source

    def replace(self, **changes: Any) -> Edge:
        """Returns a copy with these fields changed and checked; an unknown field is `FieldInvalid`."""
        for field in changes:
            if field not in self.__struct_fields__:
                raise FieldInvalid(field, "is not a field of an edge", hint=f"fields: {', '.join(EDGE_FIELDS)}")
        return msgspec.structs.replace(self, **changes)


EDGE_FIELDS: tuple[str, ...] = Edge.__struct_fields__
EdgeKey = tuple[IntentId, EdgeType, IntentId]


def edge_key(source: IntentId, type: str, target: IntentId) -> EdgeKey:
    """Returns the key under which such an edge is stored, the ends of a symmetric type in order."""
    kind = EdgeType(type)
    return (target, kind, source) if kind in SYMMETRIC and source > target else (source, kind, target)


def check_id(given: object, field: str) -> str:
    """Returns the id if it may be one: 1-256 bytes of printable text, spaces inside allowed."""
    if type(given) is not str:
        raise FieldInvalid(field, f"must be text, not {type(given).__name__}", hint="ids are strings")
    size = len(given) if given.isascii() else len(check_text(given, field).encode())
    if not 1 <= size <= MAX_ID_BYTES:
        raise FieldInvalid(field, f"is {size} bytes long", hint=f"ids have 1 to {MAX_ID_BYTES} bytes")
    if not given.isprintable():
        raise FieldInvalid(field, f"{given!r} holds a character that does not print", hint="use printable text")
    return given


def check_name(given: object, field: str) -> str:
    """Returns a name (graph, actor, owner, commit id) if it may be one; the rules are those of an id."""
    return check_id(given, field)


def as_status(given: str) -> IntentStatus:
    """Returns the status of this name; any other is `FieldInvalid` listing the six."""
    try:
        return IntentStatus(given)
    except ValueError:
        names = ", ".join(IntentStatus)
        raise FieldInvalid("status", f"{given!r} is not a status", hint=f"use one of: {names}") from None


def check_integer(given: object, field: str, *, least: int = INT_MIN) -> int:
    """Returns the integer if it is one (a bool is not) and fits 64 bits."""
    if type(given) is not int:
        raise FieldInvalid(field, f"must be an integer, not {type(given).__name__}", hint=f"give a number for {field}")
    if not least <= given <= INT_MAX:
        raise FieldInvalid(
            field,
            f"is {given if abs(given) < 1e30 else 'an integer beyond 64 bits'}",
            hint=f"keep it within {least}…{INT_MAX}",
        )
    return given


def _check_goal(goal: object) -> None:
    if type(goal) is not str:
        raise FieldInvalid("goal", f"must be text, not {type(goal).__name__}", hint="say what is to be achieved")
    if not goal or goal.isspace():
        raise FieldInvalid("goal", "is empty", hint="say what is to be achieved")
    check_text(goal, "goal")
    if len(goal) * 4 > MAX_GOAL_BYTES and len(goal.encode()) > MAX_GOAL_BYTES:
        raise FieldInvalid(
            "goal", f"is longer than {MAX_GOAL_BYTES} bytes", hint="put the long text into original_request"
        )


def _check_str(text: object, field: str) -> None:
    if type(text) is not str:
        raise FieldInvalid(field, f"must be text, not {type(text).__name__}", hint=f"give a string for {field}")
    check_text(text, field)


def _labels(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise FieldInvalid("labels", f"must be a list of strings, not {type(given).__name__}", hint='give ["a", "b"]')
    labels = list(given)
    for at, label in enumerate(labels):
        check_id(label, f"labels[{at}]")
    return tuple(sorted(set(labels)))


def _weight(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise FieldInvalid("weight", f"must be a number, not {type(given).__name__}", hint="give a finite number")
    weight: float = freeze(float(given), "weight")
    return weight
