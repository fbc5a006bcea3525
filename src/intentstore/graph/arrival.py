"""Reading one's own writes where reads may come from a copy: waits until a revision is there. Knows only the clock."""

from __future__ import annotations

import time

from ..ground.errors import Unavailable
from ..ground.protocol import IntentStorage, LagsBehind
from ..ground.types import Revision

_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.05


def wait_for(storage: IntentStorage, revision: Revision, *, timeout_s: float) -> None:
    """Returns when reads see the commit of this revision; raises `Unavailable` when they do not in time."""
    end, pause = time.monotonic() + timeout_s, _PAUSE_S
    while not _arrived(storage, revision):
        if time.monotonic() >= end:
            raise Unavailable(
                f"revision {revision} has not arrived here within {timeout_s:g} s",
                hint="wait longer, or read where it was written",
                revision=revision,
                timeout_s=timeout_s,
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)


def _arrived(storage: IntentStorage, revision: Revision) -> bool:
    return storage.arrived(revision) if isinstance(storage, LagsBehind) else storage.revision >= revision
