"""Calls that fail: for every N, the N-th sync, write, rename, … of a session comes back with an error.

What was refused must not have been acknowledged; what was acknowledged must be there after opening anew and after a
power cut; a full disk is said, and the same handle goes on when there is space.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from random import Random

from ...ground.errors import Closed, Full, IntentStoreError
from ..samples import put
from .crash import Model, images
from .findings import Finding
from .fuse import Mount
from .power import scratch
from .safety import Expected, compare, faults_of, opened, quietly
from .session import Session, Subject

CALLS = ("sync", "write", "sync_directory", "create", "open", "rename", "truncate", "remove", "read", "close", "mkdir")


class Stage:
    """A recording file system with a directory on it that stands for good, and a place for acknowledgements."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self.acks: list[str] = []

    def set(self) -> Path:
        """Empties the file system and returns a new directory, durable, to make a store in."""
        self.acks = []
        return self.mount.fresh()

    def acknowledge(self, id: str) -> None:
        """Notes an acknowledgement, here and in the trace."""
        self.acks.append(id)
        with (self.mount.place / ".ack").open("wb", buffering=0) as file:
            file.write(id.encode())


def undisturbed(stage: Stage, subject: Subject, *, seed: int, acts: int) -> Expected:
    """Returns what a session writes when nothing fails."""
    home = stage.set()
    with quietly():
        Session(subject, home, seed=seed, acts=acts, acknowledge=stage.acknowledge).run()
    with opened(subject, home) as storage:
        return Expected(list(storage.entries()))


def fail_each(
    mount: Mount,
    subject: Subject,
    finding: Finding,
    *,
    call: str,
    number: int,
    once: bool,
    seed: int,
    acts: int,
    every: int = 1,
    goes_on: bool = True,
) -> None:
    """Fails every N-th call of one kind in turn; counts wrong acknowledgements into the finding.

    ``goes_on``: the store is written to after it was opened anew, before the power goes.
    """
    begun = time.monotonic()
    stage = Stage(mount)
    expected = undisturbed(stage, subject, seed=seed, acts=acts)
    at = Random(f"{seed} {call}").randrange(every)
    while True:
        home = stage.set()
        mount.plan(call, at=at, errno=number, once=once)
        session = Session(subject, home, seed=seed, acts=acts, acknowledge=stage.acknowledge)
        refused, escaped = _lived(session)
        _, fired = mount.seen()
        mount.plan()
        if not fired:
            break
        where = f"{call} {at} failed with {errno.errorcode[number]}{'' if once else ' for good'}"
        finding.tried += 1
        finding.count("acknowledged", len(stage.acks))
        finding.count("refused", int(refused))
        found = escaped or _faults(stage, subject, home, expected, goes_on=goes_on)
        if found:
            finding.fault(f"{where}: {found[0]}")
        at += every
    finding.seconds += time.monotonic() - begun


def _lived(session: Session) -> tuple[bool, list[str]]:
    """Runs a session into its fault and closes what is left; returns whether it was refused, and what escaped."""
    refused, escaped = False, []
    with quietly():
        for act in (Session.run, _close):
            try:
                act(session)
            except IntentStoreError:
                refused = True
            except OSError as error:
                escaped.append(f"an error of the system came through: {error!r}")
    return refused, escaped


def _close(session: Session) -> None:
    session.storage.close()


def _faults(stage: Stage, subject: Subject, home: Path, expected: Expected, *, goes_on: bool) -> list[str]:
    """Opens anew what the failed session left, goes on, and then has the power go: all of that must be safe."""
    whole = expected
    try:
        with opened(subject, home) as storage:
            found = list(compare(storage, list(storage.entries()), expected, set(stage.acks)))
            if found:
                return found
            if goes_on:
                put(storage, "goes-on", id="goes-on")
                stage.acknowledge("goes-on")
                whole = Expected(list(storage.entries()))
    except IntentStoreError as error:
        return [f"opened anew: {type(error).__name__}: {error}"]
    ops = stage.mount.trace()
    with scratch() as place:
        for model in (Model.ORDERED, Model.WEAKEST):
            for number, image in enumerate(images(ops, model, seed=len(ops), each=6, since=len(ops) - 1)):
                spot = place / f"{model}{number}"
                spot.mkdir()
                image.lay(spot)
                faults = faults_of(subject, spot / home.name, whole, stage.acks)
                found += [f"then the power goes ({model}): {fault}" for fault in faults]
    return found


def short_writes(mount: Mount, subject: Subject, finding: Finding, *, seed: int, acts: int) -> None:
    """Has every N-th write take a part of its bytes only, of each of a few lengths; the rest must follow."""
    begun = time.monotonic()
    stage = Stage(mount)
    expected = undisturbed(stage, subject, seed=seed, acts=acts)
    at, fired = 0, 1
    while fired:
        for short in (1, 7, 100, 511):
            home = stage.set()
            mount.plan("write", at=at, short=short, once=True)
            _, escaped = _lived(Session(subject, home, seed=seed, acts=acts, acknowledge=stage.acknowledge))
            _, fired = mount.seen()
            mount.plan()
            if not fired:
                break
            finding.tried += 1
            finding.count("acknowledged", len(stage.acks))
            if found := escaped or _faults(stage, subject, home, expected, goes_on=True):
                finding.fault(f"write {at} took {short} bytes: {found[0]}")
        at += 1
    finding.seconds += time.monotonic() - begun


def fill_up(mount: Mount, subject: Subject, finding: Finding, *, seed: int, acts: int, step: int) -> None:
    """Lets the disk be full at every size in turn; the same handle must go on when there is space again."""
    begun = time.monotonic()
    stage = Stage(mount)
    undisturbed(stage, subject, seed=seed, acts=acts)
    largest = sum(len(op.data) for op in mount.trace())
    luck = Random(f"{seed} full")
    for capacity in range(luck.randrange(step), largest, step):
        home = stage.set()
        mount.plan(capacity=capacity)
        fault, was_full = _filled(stage, subject, home, seed, acts)
        mount.plan()
        finding.tried += 1
        finding.count("said to be full", int(was_full))
        finding.count("acknowledged", len(stage.acks))
        if fault:
            finding.fault(f"full at {capacity} bytes: {fault}")
        if not was_full:
            break
    finding.seconds += time.monotonic() - begun


def _filled(stage: Stage, subject: Subject, home: Path, seed: int, acts: int) -> tuple[str | None, bool]:
    """Runs a session until the disk is full, makes space, and goes on with the same handle."""
    session = Session(subject, home, seed=seed, acts=acts, acknowledge=stage.acknowledge)
    with quietly():
        try:
            session.run()
        except Full:
            pass
        except IntentStoreError as error:
            return f"not said to be full: {type(error).__name__}: {error}", True
        else:
            return None, False
        storage = session.storage
        try:
            if stage.acks and storage.commit(stage.acks[-1]) is None:
                return "reads do not work", True
        except Closed:
            pass  # it was full while it opened or closed
        except IntentStoreError as error:
            return f"reads do not work: {error}", True
        stage.mount.plan()
        try:
            try:
                put(storage, "after", id="after")
            except Closed:
                storage.open()
                put(storage, "after", id="after")
            stage.acknowledge("after")
            storage.close()
            with opened(subject, home) as again:
                log = [commit.id for commit in again.entries()]
                lost = set(stage.acks) - set(log)
                problems = [f"{each.where}: {each.what}" for each in again.verify()]
        except IntentStoreError as error:
            return f"does not go on: {type(error).__name__}: {error}", True
    if lost:
        return f"lost though acknowledged: {sorted(lost)}", True
    return (problems[0] if problems else None), True
