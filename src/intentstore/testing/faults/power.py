"""The power cut, at every point: a session on a recording file system, and every image it may leave, checked."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .crash import Model, images
from .findings import Finding
from .fuse import Mount
from .safety import Expected, faults_of, quietly, read_expected
from .session import Session, Subject
from .trace import Op


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory of its own in memory, where there is one: nothing that is checked there needs a disk."""
    shm = "/dev/shm"
    base = shm if os.access(shm, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="is-images-", dir=base) as name:
        yield Path(name)


def record(mount: Mount, subject: Subject, *, seed: int, acts: int) -> tuple[list[Op], Expected]:
    """Lives a session on the recording file system; returns what it did there and what it wrote."""
    home = mount.fresh()
    ack = os.open(mount.place / ".ack", os.O_WRONLY | os.O_CLOEXEC)
    try:
        with quietly():
            Session(subject, home, seed=seed, acts=acts, acknowledge=lambda id: os.write(ack, id.encode())).run()
        ops = mount.trace()
        return ops, read_expected(subject, home)
    finally:
        os.close(ack)


def check_images(
    subject: Subject,
    ops: Sequence[Op],
    expected: Expected,
    finding: Finding,
    *,
    model: Model,
    seed: int,
    each: int,
    every: int = 1,
    since: int = 0,
    seconds: float = 1e9,
    enough: int = 1 << 60,
) -> None:
    """Checks the images that the model allows after each op, for so long, or until so many are bad."""
    begun = time.monotonic()
    with scratch() as place:
        for number, image in enumerate(images(ops, model, seed=seed, each=each, every=every, since=since)):
            if time.monotonic() - begun > seconds or finding.bad >= enough:
                break
            first, second = place / f"{number}", place / f"{number}-again"
            first.mkdir()
            second.mkdir()
            image.lay(first)
            home = next(iter(first.iterdir()), first)
            twice = second / home.name
            acks = [each.decode() for each in image.acks]
            found = faults_of(subject, home, expected, acks, twice=twice)
            finding.tried += 1
            finding.count("acknowledged", len(acks))
            if found:
                finding.fault(f"{model} after op {image.at} ({ops[image.at - 1].kind}): {found[0]}")
            shutil.rmtree(first)
            shutil.rmtree(second)
    finding.seconds += time.monotonic() - begun
