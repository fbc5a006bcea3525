"""Beside the floors: what a storage must pass, for our own and for yours. Needs pytest and hypothesis.

`StorageSuite` stamps a storage with five lines; `machine_for` drives it at random against plain dicts;
`break_driver` makes its driver fail; `LossyDisk`, `FailingDisk` and `FrozenClock` stand in for the world.
"""

import pytest

for _module in (
    *("samples", "writing", "reading", "population", "questions", "history", "lasting"),
    *("searching", "machine", "driver", "suite"),
):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

from .base import needs  # noqa: E402 - assertions are rewritten before the modules that hold them are loaded
from .driver import break_driver, calls  # noqa: E402
from .fakes import FailingDisk, FrozenClock, LossyDisk, PowerCut  # noqa: E402
from .machine import StorageMachine, machine_for  # noqa: E402
from .samples import a_batch, an_intent, copy_log, put, state  # noqa: E402
from .severable import Severable  # noqa: E402
from .suite import StorageSuite  # noqa: E402

__all__ = [
    "FailingDisk",
    "FrozenClock",
    "LossyDisk",
    "PowerCut",
    "Severable",
    "StorageMachine",
    "StorageSuite",
    "a_batch",
    "an_intent",
    "break_driver",
    "calls",
    "copy_log",
    "machine_for",
    "needs",
    "put",
    "state",
]
