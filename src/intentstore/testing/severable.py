"""A storage whose place can be cut off and mended again: what an outage looks like to whoever uses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..ground.change import Commit
from ..ground.errors import Unavailable
from ..ground.protocol import IntentStorage


class Severable:
    """Passes everything on to a storage, until `cut`; then every call raises `Unavailable`, until `mend`.

    ``loses_replies``: the next so many writes are applied, and their answer is lost with the connection.
    """

    def __init__(self, inner: IntentStorage) -> None:
        self.inner = inner
        self.capabilities = inner.capabilities
        self.is_cut = False
        self.loses_replies = 0

    def cut(self) -> None:
        """Makes the place unreachable."""
        self.is_cut = True

    def mend(self) -> None:
        """Makes the place reachable again."""
        self.is_cut = False

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise Unavailable("the place is cut off", hint="mend it")

    def apply(self, *args: Any, **how: Any) -> Any:
        """Applies a batch, unless the place is cut off; may lose the answer."""
        if self.is_cut:
            self._refuse()
        made = self.inner.apply(*args, **how)
        if self.loses_replies:
            self.loses_replies -= 1
            self.cut()
            raise Unavailable("the reply was lost", hint="ask whether it happened", outcome="unknown")
        return made

    def entries(self, since: int = 0) -> Any:
        """Yields the commits; the place may be cut off in the midst of it."""
        if self.is_cut:
            self._refuse()
        return self._until_cut(self.inner.entries(since))

    def _until_cut(self, commits: Iterator[Commit]) -> Iterator[Commit]:
        for commit in commits:
            yield commit
            if self.is_cut:
                self._refuse()

    def __getattr__(self, name: str) -> Any:
        if name == "revision" and self.is_cut:
            self._refuse()
        return self._refuse if self.is_cut else getattr(self.inner, name)
