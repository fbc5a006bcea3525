"""What a constraint, a preference or a piece of metadata may hold: immutable data and nothing else.

``Value`` is ``None | bool | int | float | str | Keyword | Symbol | Code | Resource | ErrorValue | datetime |
UUID | tuple | Map``. A value is frozen when it enters (`freeze`), so threads share it freely and no later
change of the caller's list reaches the store. Functions and foreign objects are refused with their path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from .errors import FieldInvalid

MAX_DEPTH = 64
MAX_TEXT = 1024 * 1024
"""The most letters a text within a value may have: no intent may be larger."""
INT_MIN, INT_MAX = -(2**63), 2**63 - 1


class Keyword(msgspec.Struct, frozen=True, order=True):
    """An RTFS keyword, ``:name``; kept apart from the string of the same letters.

    >>> Keyword("eu-west") == "eu-west"
    False
    """

    name: str = msgspec.field(name="$keyword")

    def __str__(self) -> str:
        return f":{self.name}"


class Symbol(msgspec.Struct, frozen=True):
    """An RTFS symbol, kept as a name and never looked up."""

    name: str = msgspec.field(name="$symbol")


class Code(msgspec.Struct, frozen=True):
    """Program text kept as text, never run."""

    text: str = msgspec.field(name="$code")


class Resource(msgspec.Struct, frozen=True):
    """An RTFS resource handle, ``resource://…``."""

    uri: str = msgspec.field(name="$resource")


class ErrorValue(msgspec.Struct, frozen=True):
    """An RTFS error as data: a message and the trace that came with it."""

    message: str
    trace: tuple[str, ...] = ()


_set = object.__setattr__
_TEXT = frozenset({str})
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""The types of values that are JSON as they stand."""


class Map(Mapping[Any, Any]):
    """An immutable mapping that keeps its order; keys are strings, keywords or integers.

    Equal to a plain ``dict`` with equal items, so ``intent.constraints == {"max-cost": 10.0}`` reads as it should.

    >>> costs = Map({"max-cost": 10.0})
    >>> costs["max-cost"], costs == {"max-cost": 10.0}
    (10.0, True)
    """

    __slots__ = ("_hash", "_items", "plain")
    _items: dict[Any, Any]
    plain: bool
    """True when this map and all below it are JSON as they stand: string keys without ``$``, no tagged values."""

    def __init__(self, items: Mapping[Any, Any] | None = None) -> None:
        frozen = freeze_map(items or {}, "map")
        self._items, self.plain = frozen.raw, frozen.plain

    @classmethod
    def trusted(cls, items: dict[Any, Any], *, plain: bool) -> Map:
        """Wraps items that `freeze` or a decoder has already checked; the caller gives the dict away."""
        self = cls.__new__(cls)
        _set_items(self, items)  # past __setattr__, which would cost three times the rest
        _set_plain(self, plain)
        return self

    @classmethod
    def of(cls, items: dict[Any, Any]) -> Map:
        """Wraps items whose keys and values are frozen already; the caller gives the dict away."""
        if not items:
            return EMPTY
        plain = _TEXT.issuperset(map(type, items)) and "\0$" not in "\0" + "\0".join(items)
        if plain and not _PLAIN.issuperset(map(type, items.values())):
            plain = all(map(is_plain, items.values()))
        return cls.trusted(items, plain=plain)

    @property
    def raw(self) -> dict[Any, Any]:
        """The items as they are held: to be read by an encoder, never to be changed."""
        return self._items

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, name):
            raise AttributeError("a Map is immutable")
        object.__setattr__(self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        found: int | None = getattr(self, "_hash", None)
        if found is None:
            found = hash(frozenset(self._items.items()))
            _set(self, "_hash", found)  # another thread may have been here: it has found the same
        return found

    def __repr__(self) -> str:
        return f"Map({self._items!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Map, (self._items,))

    def __copy__(self) -> Map:
        return self

    def __deepcopy__(self, memo: Any) -> Map:
        return self

    def with_(self, **items: Any) -> Map:
        """Returns a map with these string keys added or replaced."""
        return Map({**self._items, **items})


_set_items, _set_plain = vars(Map)["_items"].__set__, vars(Map)["plain"].__set__
EMPTY = Map.trusted({}, plain=True)

Value = (
    None
    | bool
    | int
    | float
    | str
    | Keyword
    | Symbol
    | Code
    | Resource
    | ErrorValue
    | datetime
    | UUID
    | tuple[Any, ...]
    | Map
)


def check_text(text: str, where: str) -> str:
    """Returns the text if every storage can keep it; refuses NUL and lone surrogates."""
    if "\0" in text:
        raise FieldInvalid(where, "contains a NUL character", hint="remove the NUL; PostgreSQL cannot keep one")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise FieldInvalid(
                where, f"contains a lone surrogate at position {error.start}", hint="give whole Unicode characters"
            ) from None
    return text


def freeze_map(given: Any, where: str) -> Map:
    """Returns the mapping as a `Map`, every value in it frozen; refuses what is not a mapping."""
    if type(given) is Map:
        return given
    if not isinstance(given, Mapping):
        raise FieldInvalid(where, f"must be a mapping, not {_name(given)}", hint='give {"name": value, …}')
    frozen: Map = freeze(given, where)
    return frozen


def freeze(given: Any, where: str, depth: int = 0) -> Any:
    """Returns ``given`` as an immutable `Value`, or refuses it with the path to the part that is not data.

    ``where`` names the field for errors. Raises `FieldInvalid` for a callable, a foreign object, NaN or
    infinity, an integer beyond 64 bits, a naive or too fine time, NUL or lone surrogates, nesting over 64.

    >>> freeze({"deadline": [1, 2]}, "constraints")
    Map({'deadline': (1, 2)})
    >>> freeze({"deadline": [1, print]}, "constraints")
    Traceback (most recent call last):
        ...
    intentstore.ground.errors.FieldInvalid: constraints.deadline[1] holds a function, which is not data
    """
    kind = type(given)
    if kind is str:
        return _short(given, where)
    if given is None or kind is bool or kind is Map:
        if kind is Map and depth and depth + _depth(given) > MAX_DEPTH:
            raise _too_deep(where)
        return given
    if kind is int:
        return _whole(given, where)
    if kind is float:
        return _finite(given, where)
    if kind is tuple or kind is list:
        if depth >= MAX_DEPTH:
            raise _too_deep(where)
        return tuple([freeze(item, f"{where}[{at}]", depth + 1) for at, item in enumerate(given)])
    if isinstance(given, Mapping):
        if depth >= MAX_DEPTH:
            raise _too_deep(where)
        return _freeze_mapping(given, where, depth)
    return _freeze_other(given, where)


def _freeze_mapping(given: Mapping[Any, Any], where: str, depth: int) -> Map:
    items: dict[Any, Any] = {}
    plain = True
    for key, item in given.items():
        frozen_key = freeze_key(key, where)
        if frozen_key in items:
            raise FieldInvalid(where, f"holds the key {key!r} twice", hint="keep one of the two")
        value = freeze(item, f"{where}.{key}", depth + 1)
        items[frozen_key] = value
        plain = plain and type(frozen_key) is str and not frozen_key.startswith("$") and is_plain(value)
    return Map.trusted(items, plain=plain) if items else EMPTY


def freeze_key(key: Any, where: str) -> Any:
    """Returns a map key as it is kept: a string, a keyword or a 64-bit integer."""
    if isinstance(key, str):
        return check_text(str.__str__(key), f"a key of {where}")
    if isinstance(key, Keyword):
        check_text(key.name, f"a key of {where}")
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return _whole(int(key), f"a key of {where}")
    raise FieldInvalid(where, f"has a key of type {_name(key)}", hint="keys are strings, keywords or integers")


_SCALARS = frozenset({str, int, float, bool, type(None)})


def flat_map(items: dict[str, Any]) -> Map | None:
    """Returns a decoder's dict as a `Map` as it stands, None where a tag or a container in it must be read first."""
    for key, value in items.items():
        if type(value) not in _SCALARS or key[:1] == "$":
            return None
    return Map.trusted(items, plain=True) if items else EMPTY


def is_plain(value: Any) -> bool:
    """True when the value's JSON needs no ``$`` tag at any depth."""
    kind = type(value)
    if kind is Map:
        return bool(value.plain)
    if kind is tuple:
        return all(is_plain(item) for item in value)
    return kind in _PLAIN


def _freeze_other(given: Any, where: str) -> Any:
    match given:
        case Keyword(name=text) | Symbol(name=text) | Code(text=text) | Resource(uri=text):
            if not isinstance(text, str) or not text:
                raise FieldInvalid(where, f"holds an empty {type(given).__name__}", hint="give it its text")
            check_text(text, where)
            return given
        case ErrorValue(message=message, trace=trace):
            for text in (message, *trace):
                check_text(text, where)
            return given
        case datetime():
            return freeze_time(given, where, finest="millisecond")
        case UUID():
            return given
        case str():
            return _short(str.__str__(given), where)
        case int():
            return _whole(int(given), where)
        case float():
            return _finite(float(given), where)
    what = "a function" if callable(given) and hasattr(given, "__name__") else f"a {_name(given)}"
    raise FieldInvalid(
        where,
        f"holds {what}, which is not data",
        hint="store plain data; keep program text as Code(text)",
    )


def freeze_time(given: datetime, where: str, *, finest: str = "microsecond") -> datetime:
    """Returns the moment in UTC; refuses a naive time, and one finer than ``finest``."""
    if not isinstance(given, datetime):
        raise FieldInvalid(where, f"must be a datetime, not {_name(given)}", hint="give an aware datetime")
    if given.tzinfo is None or given.utcoffset() is None:
        raise FieldInvalid(where, "has no time zone", hint="give an aware datetime, e.g. datetime.now(UTC)")
    if finest == "millisecond" and given.microsecond % 1000:
        raise FieldInvalid(
            where,
            "is finer than a millisecond, which RTFS cannot write",
            hint="round it: t.replace(microsecond=t.microsecond // 1000 * 1000)",
        )
    if given.tzinfo is UTC:
        return given
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise FieldInvalid(where, "is outside the years 1 to 9999 in UTC", hint="give a nearer time") from None


def _short(text: str, where: str) -> str:
    if len(text) > MAX_TEXT:
        raise FieldInvalid(
            where, f"is longer than {MAX_TEXT} letters", hint="keep long text elsewhere, and its place here"
        )
    return check_text(text, where)


def _whole(number: int, where: str) -> int:
    if not INT_MIN <= number <= INT_MAX:
        raise FieldInvalid(where, "is an integer beyond 64 bits", hint=f"keep it within {INT_MIN}…{INT_MAX}")
    return number


def _finite(number: float, where: str) -> float:
    if not math.isfinite(number):
        raise FieldInvalid(where, f"is {number}, which no storage keeps", hint="use null, or a finite number")
    return number


def _too_deep(where: str) -> FieldInvalid:
    field = where.split(".", 1)[0].split("[", 1)[0]
    return FieldInvalid(field, f"is nested deeper than {MAX_DEPTH}, or contains itself", hint="flatten it")


def _depth(value: Any) -> int:
    deepest, todo = 0, [(value, 1)]
    while todo:
        item, depth = todo.pop()
        if type(item) is Map or type(item) is tuple:
            deepest = max(deepest, depth)
            todo.extend((below, depth + 1) for below in (item.values() if type(item) is Map else item))
    return deepest


def _name(given: Any) -> str:
    return type(given).__name__


def listed(given: Any, field: str) -> list[str]:
    """Returns names that were given as a list, a set or one string."""
    if isinstance(given, str):
        return [given]
    try:
        return list(given)
    except TypeError:
        raise FieldInvalid(field, f"must be a list, not {type(given).__name__}", hint="give a list of names") from None
