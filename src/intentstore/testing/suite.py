"""All claims in one class: what any storage must hold, chosen by what it declares it can do."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from .beside import BesideClaims
from .history import HistoryClaims
from .lasting import LastingClaims
from .machine import machine_for
from .powers import PowerClaims
from .questions import QuestionClaims
from .reading import ReadingClaims
from .searching import SearchClaims
from .writing import WritingClaims


class StorageSuite(
    WritingClaims,
    ReadingClaims,
    QuestionClaims,
    SearchClaims,
    HistoryClaims,
    BesideClaims,
    PowerClaims,
    LastingClaims,
):
    """Stamps a storage: subclass it in a test module and override `make`, five lines in all.

    ``class TestMine(StorageSuite)``, its ``make(self, tmp_path, graph="default")`` returning
    ``MyStorage(tmp_path / "goals", graph)``. Lower ``machine_examples`` where a commit is slow.
    """

    machine_examples = 12
    machine_steps = 20

    def test_any_order_of_acts_agrees_with_plain_dicts(self) -> None:
        run_state_machine_as_test(
            machine_for(lambda place: self.make(Path(place))),
            settings=settings(
                max_examples=self.machine_examples,
                stateful_step_count=self.machine_steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
