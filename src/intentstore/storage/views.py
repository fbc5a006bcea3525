"""The intents of each status in the order of each sort: sorted lists, built when first asked for and kept since.

Knows ids and sort keys; the intents themselves are its owner's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sortedcontainers import SortedList

from ..ground.query import Sort, sort_key
from ..ground.types import Intent, IntentId, IntentStatus

_ALL: tuple[IntentStatus, ...] = tuple(IntentStatus)


class Views:
    """Sorted views of one graph's intents. False until the first is built: then a change need not be told."""

    def __init__(self) -> None:
        self._views: dict[tuple[str, IntentStatus], SortedList] = {}

    def __bool__(self) -> bool:
        return bool(self._views)

    def discard(self, intent: Intent) -> None:
        """Drops an intent from the views it stands in."""
        for (field, status), view in self._views.items():
            if status is intent.status:
                view.discard((sort_key(intent, Sort(field)), intent.id))

    def add(self, intent: Intent) -> None:
        """Takes an intent into the views it belongs to."""
        for (field, status), view in self._views.items():
            if status is intent.status:
                view.add((sort_key(intent, Sort(field)), intent.id))

    def walk(
        self,
        sort: Sort,
        statuses: Iterable[IntentStatus],
        after: tuple[Any, IntentId] | None,
        intents: Callable[[], Iterator[Intent]],
    ) -> Iterator[tuple[Any, IntentId]]:
        """Yields (key, id) of the intents of these statuses behind ``after``: keys as the sort says, ids always up."""
        if (sort.field, _ALL[0]) not in self._views:
            self._build(sort.field, intents())
        return _merged([self._views[sort.field, each] for each in statuses], after, descending=sort.descending)

    def _build(self, field: str, intents: Iterator[Intent]) -> None:
        built: dict[IntentStatus, list[tuple[Any, IntentId]]] = {each: [] for each in _ALL}
        sort = Sort(field)
        for intent in intents:
            built[intent.status].append((sort_key(intent, sort), intent.id))
        for each, pairs in built.items():
            self._views[field, each] = SortedList(pairs)


def _merged(
    views: Sequence[SortedList], after: tuple[Any, IntentId] | None, *, descending: bool
) -> Iterator[tuple[Any, IntentId]]:
    """Yields the pairs of all views behind ``after``: keys up or down, ids always up among equal keys."""
    walks = [_down(view, after) if descending else _up(view, after) for view in views]
    if len(walks) == 1:
        return walks[0]
    from heapq import merge

    if not descending:
        return merge(*walks)
    return merge(*walks, key=_Reversed)


class _Reversed:
    """Orders pairs by key downward, then by id upward."""

    __slots__ = ("pair",)

    def __init__(self, pair: tuple[Any, IntentId]) -> None:
        self.pair = pair

    def __lt__(self, other: _Reversed) -> bool:
        if self.pair[0] == other.pair[0]:
            return self.pair[1] < other.pair[1]
        return bool(self.pair[0] > other.pair[0])


def _up(view: SortedList, after: tuple[Any, IntentId] | None) -> Iterator[tuple[Any, IntentId]]:
    start = bisect_right(view, after) if after is not None else 0
    return iter(view.islice(start))


def _down(view: SortedList, after: tuple[Any, IntentId] | None) -> Iterator[tuple[Any, IntentId]]:
    """Yields pairs by descending key; a run of equal keys is given with its ids upward."""
    stop = len(view)
    if after is not None:
        key, _ = after
        first = view.bisect_left((key, ""))
        for pair in view.islice(view.bisect_right(after)):
            if pair[0] != key:
                break
            yield pair
        stop = first
    while stop > 0:
        key = view[stop - 1][0]
        first = view.bisect_left((key, ""))
        yield from view.islice(first, stop)
        stop = first
