"""What every group of claims stands on: how a storage is made, and which claims are asked of it.

A claim that needs a power says so (`needs`); it is asked only of a storage whose `Capabilities` declare it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ..ground.protocol import IntentStorage

Test = TypeVar("Test", bound=Callable[..., Any])


def needs(*powers: str) -> Callable[[Test], Test]:
    """Marks a claim as asked only of storages that declare all these capabilities."""

    def mark(test: Test) -> Test:
        test.needs = powers  # type: ignore[attr-defined]  # read back by the fixture below
        return test

    return mark


class Claims:
    """A group of claims about any storage. A suite overrides `make`, and `reopen` if opening anew takes more."""

    def make(self, tmp_path: Path, graph: str = "default") -> IntentStorage:
        """Returns a storage, not yet opened, of this graph in the one store that belongs to ``tmp_path``."""
        raise NotImplementedError(f"{type(self).__name__} must say how its storage is made")

    def reopen(self, storage: IntentStorage, tmp_path: Path, graph: str = "default") -> IntentStorage:
        """Closes the storage and returns a new one, opened, at the same place."""
        storage.close()
        again = self.make(tmp_path, graph)
        again.open()
        return again

    @pytest.fixture(autouse=True)
    def _chosen(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        declared = self.make(tmp_path).capabilities
        for power in getattr(request.function, "needs", ()):
            if not getattr(declared, power):
                pytest.skip(f"the storage does not declare {power}")

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[IntentStorage]:
        """An opened, empty storage, closed after the claim."""
        storage = self.make(tmp_path)
        storage.open()
        yield storage
        storage.close()
