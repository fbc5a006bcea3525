"""Other stores as their users get them, each with the same few verbs; what each promises at a write is stated.

They are not installed for development: `make bench` installs them, and a row whose peer is missing says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from intentstore.codec import encode_intent

from ..measure import Absent
from ..samples import Sample
from ..setting import Setting

Record = dict[str, Any]
SIZE = 1000
FAN = 4


class Store(Protocol):
    """What every peer can do with records, or `Absent` where it has no such thing."""

    def fill(self, records: Sequence[Record]) -> None:
        """Puts many in, as fast as it can."""

    def put(self, record: Record) -> object:
        """Puts one in for ever, as far as the peer goes."""

    def get(self, id: str) -> object:
        """Returns the record."""

    def by_status(self, status: str) -> object:
        """Returns the hundred oldest of a status."""

    def urgent(self, status: str) -> object:
        """Returns the hundred most urgent of a status."""

    def below(self, id: str) -> Sequence[object]:
        """Returns the records below one."""


class Peer(msgspec.Struct, frozen=True):
    """A peer: how it opens in a setting, what of ours it is held against, and its settings in words."""

    name: str
    opened: Callable[[Setting], AbstractContextManager[Store]]
    against: str
    settings: str


def record(intent: Sample, *, parent: str = "") -> Record:
    """Returns the intent as plain data, with the id of what it is below."""
    found: Record = msgspec.json.decode(encode_intent(intent))
    return {**found, "parent": parent}


def module(name: str) -> Any:
    """Returns a peer's module; where it is not installed, `Absent`."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Absent(f"{name} is not installed; make bench installs it") from error


def walked(children: Callable[[str], Sequence[Record]], root: str) -> list[Record]:
    """Returns what is below, a question for each record, for who has no better one."""
    found: list[Record] = []
    level = [root]
    while level:
        fresh = [child for id in level for child in children(id)]
        found += fresh
        level = [child["id"] for child in fresh]
    return found


def gathered(records: Iterable[Record], root: str) -> list[Record]:
    """Returns what is below, out of all records, for who has nothing to ask for children."""
    children: dict[str, list[Record]] = {}
    for each in records:
        children.setdefault(each["parent"], []).append(each)
    return walked(lambda parent: children.get(parent, ()), root)


def oldest(record: Record) -> tuple[str, str]:
    """The order of time."""
    return record["created_at"], record["id"]


def urgent(record: Record) -> tuple[int, str]:
    """The order of priority."""
    return -record.get("priority", 0), record["id"]
