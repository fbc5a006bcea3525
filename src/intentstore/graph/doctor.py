"""A look at what a store stands on: what is well, what is not, and what each means for the promise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import msgspec

from ..ground.errors import IntentStoreError
from ..ground.protocol import Diagnosis, Examines, IntentStorage

_SLACK = timedelta(seconds=5)


class Health(msgspec.Struct, frozen=True):
    """Everything that was looked at; ``ok`` when all of it is well."""

    ok: bool
    checks: tuple[Diagnosis, ...]


def examine(storage: IntentStorage, *, now: Callable[[], datetime]) -> Health:
    """Returns what there is to say of an open storage."""
    found = tuple(_checks(storage, now))
    return Health(all(each.ok for each in found), found)


def _checks(storage: IntentStorage, now: Callable[[], datetime]) -> Iterator[Diagnosis]:
    yield Diagnosis("python", sys.version_info >= (3, 11), sys.version.split(" ")[0], "3.11 or newer is needed")
    facts = storage.facts()
    durable = bool(facts.get("durable"))
    yield Diagnosis(
        "durable",
        durable,
        str(facts.get("kind")),
        "what is acknowledged outlives a power cut"
        if durable
        else "what is acknowledged may be lost when the power goes",
    )
    if facts.get("recovered"):
        yield Diagnosis(
            "recovered", ok=True, found=str(facts["recovered"]), means="a crash left this, and it was cut off"
        )
    if isinstance(storage, Examines):
        yield from storage.examine()
    yield _clock(storage, now())


def _clock(storage: IntentStorage, now: datetime) -> Diagnosis:
    try:
        last = next(iter(storage.entries(max(0, storage.revision - 1))), None)
    except IntentStoreError as error:
        return Diagnosis("last commit", ok=False, found=str(error), means="the log cannot be read: intent verify")
    ahead = last is not None and last.at > now + _SLACK
    return Diagnosis(
        "clock",
        not ahead,
        f"{now:%Y-%m-%dT%H:%M:%SZ}" + (f", last commit {last.at:%Y-%m-%dT%H:%M:%SZ}" if last is not None else ""),
        "runs before the last commit: times in the history do not grow, and leases may be misjudged"
        if ahead
        else "order comes from revisions; the clock only dates them",
    )
