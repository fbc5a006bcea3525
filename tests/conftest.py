"""What all tests share: a PostgreSQL server for the run; Hypothesis quick and repeatable.

``HYPOTHESIS_PROFILE=deep`` asks Hypothesis for more; `postgres_server` says how to use another server.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests import postgres_server

settings.register_profile("quick", deadline=None, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

_server = pytest.StashKey[postgres_server.Server | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Starts the server once, in the process that the workers belong to."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.stash[_server] = postgres_server.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops it."""
    server = config.stash.get(_server, None)
    if server is not None:
        server.remove()
