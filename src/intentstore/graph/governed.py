"""What may take the place of a graph that has policies: a history that kept its own, and has those at its end."""

from __future__ import annotations

from pathlib import Path

from ..ground.errors import PolicyRefused
from ..ground.protocol import IntentStorage
from ..storage.memory import MemoryStorage
from .policies import PREFIX
from .replaying import Judge
from .transfer import restore


def check_replacement(path: Path, target: IntentStorage, judge: Judge) -> None:
    """Raises `PolicyRefused` unless the backup may replace the target: tried in memory, before anything is written."""
    trial = MemoryStorage()
    trial.open()
    restore(path, trial, judge=judge)
    there = trial.definitions(PREFIX)
    for name, value in target.definitions(PREFIX).items():
        if there.get(name) != value:
            policy = name.removeprefix(PREFIX)
            raise PolicyRefused(
                f"policy {policy}: the backup is of a graph without it, and cannot replace this one",
                hint="restore to a new place, or take the policy away first",
                policy=policy,
                reason="it would give way",
            )
