"""A watch with a name: how far it came is kept in the store, so that the next of that name goes on there.

Where it stands is kept aside: it is no part of the history, and losing the last of it only repeats some commits.
"""

from __future__ import annotations

from typing import Self

from ..ground.change import Commit
from ..ground.errors import Corrupt, StorageError, Unsupported
from ..ground.protocol import IntentStorage, KeepsAside, keeping_aside
from ..ground.types import Revision, check_name
from .watch import Watch

SPACE = "cursor"


class Subscription(Watch):
    """Yields every commit at least once, whoever dies in between. Asking for the next says that one is dealt with.

    Where it stands is kept after 64 commits at most, before each wait, and when its block ends without an error:

    >>> from intentstore import open_graph, Intent
    >>> with open_graph("memory:") as graph:
    ...     goal = graph.store(Intent(goal="Ship 1.0"))
    ...     with graph.subscribe("indexer", timeout_s=0) as commits:
    ...         first = [commit.revision for commit in commits]
    ...     with graph.subscribe("indexer", timeout_s=0) as commits:
    ...         again = [commit.revision for commit in commits]
    >>> first, again
    ([1], [])
    """

    def __init__(
        self, storage: IntentStorage, name: str, since: Revision, *, timeout_s: float | None, patience_s: float
    ) -> None:
        self.name, self._aside = check_name(name, "subscription"), _aside(storage)
        found = cursors(storage, name)
        super().__init__(storage, found.get(name, since), timeout_s=timeout_s, patience_s=patience_s)
        self._dealt_with = self._kept = self._given = self.at
        if name not in found:
            self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.dealt_with(self._given)
        self.keep()

    def __next__(self) -> Commit:
        self.dealt_with(self._given)
        commit = super().__next__()
        self._given = commit.revision
        return commit

    def take(self, most: int) -> list[Commit]:
        self.keep()
        return super().take(most)

    def dealt_with(self, revision: Revision) -> None:
        """Says that everything up to this revision is dealt with."""
        self._dealt_with = max(self._dealt_with, revision)

    def keep(self) -> None:
        """Keeps where it stands, if that has changed; a store that is away now is told the next time."""
        if self._dealt_with > self._kept:
            try:
                self._write()
            except StorageError as error:
                if not error.retry:
                    raise

    def _write(self) -> None:
        self._aside.keep(SPACE, {self.name: str(self._dealt_with).encode()})
        self._kept = self._dealt_with


def cursors(storage: IntentStorage, *names: str) -> dict[str, Revision]:
    """Returns where the subscriptions stand, by name: these, or all."""
    return {
        name: _revision(name, kept) for name, kept in sorted(_aside(storage).kept(SPACE, list(names) or None).items())
    }


def forget(storage: IntentStorage, name: str) -> None:
    """Forgets where a subscription stands."""
    _aside(storage).keep(SPACE, {check_name(name, "subscription"): None})


def _aside(storage: IntentStorage) -> KeepsAside:
    aside = keeping_aside(storage)
    if aside is None:
        raise Unsupported("this storage keeps nothing aside", hint="keep the revision yourself, and use watch(since)")
    return aside


def _revision(name: str, kept: bytes) -> Revision:
    if not kept.isdigit():
        raise Corrupt(f"subscription {name}", "does not stand at a revision", hint="unsubscribe, and begin anew")
    return int(kept)
