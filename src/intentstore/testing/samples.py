"""Small things that claims are made of: intents, batches, writes, and a storage's whole state to compare.

Knows the protocol and nothing of any storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ..codec import encode_edge, encode_intent
from ..ground.change import Batch, Change, Commit, Link, Put
from ..ground.protocol import IntentStorage
from ..ground.query import EVERYTHING, OLDEST, IntentFilter, Page, Sort, Walk
from ..ground.types import Edge, Intent
from ..ground.values import Code, ErrorValue, Keyword, Map, Resource, Symbol, freeze

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
"""The moment at which claims happen unless they say otherwise."""

HOSTILE: tuple[str, ...] = (
    "'; DROP TABLE intents; --",
    '" OR ""="',
    "%",
    "_",
    "100% of a_b",
    "back\\slash",
    "../../etc/passwd",
    "$where",
    '{"$gt": ""}',
    "NEAR(a b) OR goal:*",
    "{{7*7}} ${x} `id`",
    "<script>alert(1)</script>",
    "ß",
    "SS",
    "İstanbul",
    "e\u0301",
    "é",
    "😀",
    "ﬀ",
    "中文",
    "x" * 256,
)
"""Texts that have broken stores before. Each may be an id, a label, a goal, a search: data, never syntax."""

LINE_BREAKERS = "line\none\r\ntwo\u2028three\u0085four\x0bfive\x1csix\ttab"
"""A goal that `str.splitlines` would take apart."""


def concerns(change: Change, id: str) -> bool:
    """True when the change is one of the intent, or of an edge at it."""
    subject = change.subject
    return subject == id or (not isinstance(subject, str) and len(subject) == 3 and id in (subject[0], subject[2]))


def deep(levels: int) -> Any:
    """Returns lists within lists, so many levels of them."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


_PLAIN: list[Any] = [
    None, True, False, 0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63),
    0.0, -0.0, 1.0, 0.1, 5e-324, 1e16, 1e22, 1e300, -1.7976931348623157e308,
    "", "1", "1.0", "true", "null", "a\nb", 'quote " and \\', "\u2028", "😀", "e\u0301", "é",
    Keyword("eu-west"), "eu-west", ":eu-west", Symbol("eu-west"), Code("(fn [x] x)"), Resource("resource://r/1"),
    ErrorValue("broke", ("here", "there")), ErrorValue("broke"),
    datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), "2026-01-02T03:04:05.006Z",
    [], [[]], [1, 1.0, True], {}, {"a": {}}, {"$keyword": "eu-west"}, {"$a": 1, "b": 2}, {"": 1},
    {Keyword("k"): 1, "k": 2, 1: 3, "1": 4}, {"b": 1, "a": 2}, deep(62),
]  # fmt: skip
VALUES: tuple[Any, ...] = tuple(freeze(value, "sample") for value in _PLAIN)
"""Values that must come back as they went in, each apart from every other."""


def an_intent(id: str, goal: str | None = None, **fields: Any) -> Intent:
    """Returns an intent with this id, made at `NOON`, its goal said after the id."""
    return Intent(id=id, goal=goal or f"Reach {id}", **{"created_at": NOON, "updated_at": NOON, **fields})


def a_batch(*changes: Change, **fields: Any) -> Batch:
    """Returns these changes as a batch at `NOON`."""
    return Batch(changes=changes, **{"at": NOON, **fields})


def put(storage: IntentStorage, *intents: Intent | str, **fields: Any) -> Commit:
    """Stores these intents (or sample ones of these ids) in one commit."""
    whole = [an_intent(each) if isinstance(each, str) else each for each in intents]
    return storage.apply(a_batch(*(Put(intent=each) for each in whole), **fields))


def link(storage: IntentStorage, *edges: tuple[str, str, str]) -> Commit:
    """Stores these edges in one commit."""
    made = [Edge(source=source, type=type, target=target, created_at=NOON) for source, type, target in edges]  # type: ignore[arg-type]  # checked and converted by Edge
    return storage.apply(a_batch(*(Link(edge=edge) for edge in made)))


def growing(commits: Sequence[Commit]) -> bool:
    """True when each revision is larger than the one before; a storage may leave gaps between them."""
    return all(before.revision < after.revision for before, after in pairwise(commits))


def one(storage: IntentStorage, id: str) -> Intent:
    """Returns the intent, which must be there."""
    (found,) = storage.fetch([id])
    assert found is not None, f"{id!r} is not there"
    return found


def ids(storage: IntentStorage, where: IntentFilter = EVERYTHING, sort: str | Sort = OLDEST) -> list[str]:
    """Returns the ids the filter means, in order."""
    return [intent.id for intent in storage.select(where, Page(sort=Sort.parse(sort), limit=10_000)).intents]


def pages(storage: IntentStorage, where: IntentFilter, sort: str, limit: int) -> Iterator[list[Intent]]:
    """Yields page after page, following the cursors; ends when there is none."""
    after: str | None = None
    while True:
        found = storage.select(where, Page(sort=Sort.parse(sort), limit=limit, after=after))
        yield list(found.intents)
        if found.next is None:
            return
        after = found.next


def edges(storage: IntentStorage) -> list[Edge]:
    """Returns every edge, ordered by key."""
    return storage.neighbours(ids(storage), Walk())


def state(storage: IntentStorage) -> tuple[dict[str, bytes], dict[tuple[str, str, str], bytes]]:
    """Returns all intents and edges in their canonical bytes: equal states are the same to the last digit."""
    intents = storage.select(EVERYTHING, Page(limit=10_000)).intents
    return (
        {intent.id: encode_intent(intent) for intent in intents},
        {edge.key: encode_edge(edge) for edge in edges(storage)},
    )


def as_batch(commit: Commit) -> Batch:
    """Returns the batch that makes the same commit again in another storage."""
    return Batch(
        changes=commit.changes,
        at=commit.at,
        id=commit.id,
        actor=commit.actor,
        reason=commit.reason,
        revision=commit.revision,
    )


def copy_log(commits: Iterable[Commit], target: IntentStorage) -> list[Commit]:
    """Applies the commits to the target at their own revisions; returns what it made of them."""
    return target.apply_all([as_batch(commit) for commit in commits])


def plain(**items: Any) -> Map:
    """Returns a map of these items."""
    return Map(items)
