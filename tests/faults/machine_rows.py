"""Rows about power, kills and failing calls."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from intentstore.testing.faults import (
    Expected,
    Finding,
    Model,
    check_images,
    ext4,
    faults_of,
    fuse,
    mounted,
    opened,
    record,
    scratch,
    strace,
)
from intentstore.testing.faults.errors import CALLS, fail_each, fill_up, short_writes
from intentstore.testing.faults.processes import kill_writers, race_writers

from .rows import Run, row

WORKER = Path(__file__).with_name("worker.py")


@row("power")
def power(run: Run) -> list[Finding]:
    """The power cut at every point, and the kill, of sessions from the first creation on."""
    missing = fuse.missing()
    found = {each: run.finding(3, f"crash images, {each}", unit="images", missing=missing) for each in Model}
    if missing:
        return list(found.values())
    acts = {"file": run.choose(20, 60), "sqlite": run.choose(7, 25)}[run.subject.name]
    every = {"file": 1, "sqlite": run.choose(7, 3)}[run.subject.name]
    with mounted() as mount:
        for seed in range(run.seed, run.seed + run.choose(1, 4)):
            ops, expected = record(mount, run.subject, seed=seed, acts=acts)
            for model, finding in found.items():
                check_images(
                    run.subject, ops, expected, finding, model=model, seed=seed, each=run.choose(6, 10), every=every,
                    seconds=run.choose(12, 120),
                )  # fmt: skip
    return list(found.values())


@row("lies")
def lies(run: Run) -> list[Finding]:
    """A disk that acknowledges syncs and forgets: the harness must report the loss, or it could not see any."""
    missing = fuse.missing()
    finding = run.finding(5, "a disk that lies, and the loss reported", unit="disks", missing=missing)
    if missing is None:
        inner = run.finding(5, "images", unit="images")
        with mounted() as mount:
            ops, expected = record(mount, run.subject, seed=run.seed, acts=6)
            honest = [op for op in ops if op.kind not in ("sync", "sync_directory")]
            check_images(
                run.subject, honest, expected, inner, model=Model.ORDERED, seed=run.seed, each=4, every=9, seconds=5
            )
        finding.tried = 1
        finding.count("bad images", inner.bad)
        if not inner.bad:
            finding.fault("no loss was seen on a disk that loses everything")
    return [finding]


@row("errors")
def errors(run: Run) -> list[Finding]:
    """Each call fails in turn, once or for good."""
    missing = fuse.missing()
    found = []
    every = {"file": run.choose(2, 1), "sqlite": run.choose(9, 2)}[run.subject.name]
    with mounted() if missing is None else _nothing() as mount:
        for call in CALLS:
            sync = call in ("sync", "sync_directory")
            finding = run.finding(6 if sync else 7, f"{call} fails at every N", unit="errors", missing=missing)
            found.append(finding)
            for number in (errno.EIO, errno.ENOSPC) if mount is not None else ():
                for once in (True, False) if run.long or call == "sync" else (True,):
                    assert mount is not None
                    fail_each(
                        mount, run.subject, finding, call=call, number=number, once=once, seed=run.seed,
                        acts=run.choose(6, 14), every=1 if sync else every,
                    )  # fmt: skip
        finding = run.finding(9, "short writes at every N", unit="writes", missing=missing)
        found.append(finding)
        if mount is not None and (run.long or run.subject.name == "file"):
            short_writes(mount, run.subject, finding, seed=run.seed, acts=run.choose(3, 6))
        finding = run.finding(8, "the disk is full at every size", unit="sizes", missing=missing)
        found.append(finding)
        if mount is not None:
            step = {"file": run.choose(1500, 311), "sqlite": run.choose(9001, 2003)}[run.subject.name]
            fill_up(mount, run.subject, finding, seed=run.seed, acts=run.choose(8, 14), step=step)
    return found


class _nothing:  # noqa: N801  a stand-in for `mounted`
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


@row("kills")
def kills(run: Run) -> list[Finding]:
    """One of three writers is killed, again and again."""
    finding = run.finding(2, "kill -9 of one of 3 writers", unit="kills")
    with tempfile.TemporaryDirectory(prefix="is-kills-") as name:
        kill_writers(run.subject, Path(name), finding, seed=run.seed, writers=3, kills=run.choose(30, 400))
    return [finding]


@row("race")
def race(run: Run) -> list[Finding]:
    """2, 4 and 8 processes write one store while another follows its log."""
    found = []
    for writers in (2, 4, 8):
        finding = run.finding(13, f"{writers} processes write, one follows", unit="writers")
        with tempfile.TemporaryDirectory(prefix="is-race-") as name:
            race_writers(run.subject, Path(name), finding, writers=writers, commits=run.choose(60, 20_000 // writers))
        found.append(finding)
    return found


@row("ext4")
def on_ext4(run: Run) -> list[Finding]:
    """The power cut on a real file system."""
    finding = run.finding(4, "power cut on ext4", unit="cuts", missing=ext4.missing())
    if finding.missing is None:
        ext4.cut_power(run.subject, finding, seed=run.seed, trials=run.choose(3, 40))
    return [finding]


@row("syscalls")
def syscalls(run: Run) -> list[Finding]:
    """A process killed at its every system call, from opening over commits and a compaction to closing."""
    finding = run.finding(1, "kill -9 at every system call", unit="kills", missing=strace.missing())
    if finding.missing:
        return [finding]
    begun = time.monotonic()
    luck = random.Random(f"syscalls {run.seed}")
    with scratch() as place:
        script: list[str | Path] = [WORKER, run.subject.name]
        first, last = strace.window([*script, place / "baseline"])
        with opened(run.subject, place / "baseline") as storage:
            expected = Expected(list(storage.entries()))
        numbers = range(first + 1, last + 1)
        chosen = numbers if run.long else sorted(luck.sample(numbers, min(24, len(numbers))))
        for at in chosen:
            home = place / f"{at}"
            strace.inject([*script, home], "signal=KILL", at=at)
            acks = (home / "acks").read_text().split() if (home / "acks").exists() else []
            finding.tried += 1
            finding.count("acknowledged", len(acks))
            home.mkdir(exist_ok=True)
            if found := faults_of(run.subject, home, expected, acks, twice=_made(place / f"{at}-again")):
                finding.fault(f"killed at call {at} of {first}-{last}: {found[0]}")
    finding.seconds += time.monotonic() - begun
    return [finding]


def _made(place: Path) -> Path:
    place.mkdir()
    return place


@row("limits")
def limits(run: Run) -> list[Finding]:
    """No more descriptors, files no longer than so many bytes: said clearly, nothing acknowledged is lost."""
    finding = run.finding(9, "RLIMIT_FSIZE at every length, no descriptors", unit="limits")
    begun = time.monotonic()
    with scratch() as place:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        sizes = range(0, 40_000, run.choose(3989, 97))
        for number, (name, limit) in enumerate(
            [*(("FSIZE", n) for n in sizes), *(("NOFILE", n) for n in range(3, 14, run.choose(2, 1)))]
        ):
            home = _made(place / f"{number}")
            child = subprocess.run(
                [sys.executable, WORKER, run.subject.name, home, name, str(limit)],
                check=False, capture_output=True, text=True, env=plain,
            )  # fmt: skip
            finding.tried += 1
            acks = (home / "acks").read_text().split() if (home / "acks").exists() else []
            finding.count("acknowledged", len(acks))
            said = child.stdout.split("\n")
            if child.returncode not in (0, 7) or (
                child.returncode == 7 and not any(w.startswith("refused") for w in said)
            ):
                finding.fault(f"{name} {limit}: no clear error: {child.stderr[-300:]}")
                continue
            with scratch() as fresh, opened(run.subject, fresh) as _:
                pass
            with opened(run.subject, home) as storage:
                lost = set(acks) - {commit.id for commit in storage.entries()}
                problems = list(storage.verify())
            if lost or problems:
                finding.fault(f"{name} {limit}: lost {sorted(lost)}, {problems[:1]}")
    finding.seconds += time.monotonic() - begun
    return [finding]


@row("frozen")
def frozen(run: Run) -> list[Finding]:
    """A process stopped in the middle of its writing keeps its lock; others time out clearly, and nothing is lost."""
    finding = run.finding(16, "a frozen writer, a fork, the lock file opened elsewhere", unit="trials")
    begun = time.monotonic()
    from intentstore.ground.errors import Busy, IntentStoreError
    from intentstore.testing import put
    from intentstore.testing.faults.processes import Child, judge, writer

    luck = random.Random(f"frozen {run.seed}")
    with tempfile.TemporaryDirectory(prefix="is-frozen-") as name:
        home = Path(name)
        with opened(run.subject, home):
            pass
        said: list[str] = []
        for trial in range(run.choose(4, 30)):
            child = Child(writer(run.subject, home, f"f{trial}", commits=1_000_000), home / f"said-{trial}")
            while len(child.words()) < 3:
                time.sleep(0.002)
            time.sleep(luck.uniform(0, 0.02))
            child.signal(signal.SIGSTOP)
            for path in [*home.rglob("lock"), *home.rglob("*.db")][:1]:
                os.close(os.open(path, os.O_RDONLY))  # an unrelated close must not lose anybody's lock
            other = run.subject.make(home, timeout_s=0.05)
            try:
                other.open()
                for n in range(3):
                    id = f"o{trial}-{n}"
                    put(other, *(f"{id}.{k}" for k in range(3)), id=id)
                    said.append(id)
                finding.count("wrote beside it")
            except Busy:
                finding.count("timed out clearly")
            except IntentStoreError as error:
                finding.fault(f"beside a frozen writer: {type(error).__name__}: {error}")
            finally:
                other.close()
            child.signal(signal.SIGCONT)
            time.sleep(0.01)
            child.signal(signal.SIGKILL)
            child.wait()
            said += child.words()
            finding.tried += 1
        judge(run.subject, home, finding, said)
    finding.seconds += time.monotonic() - begun
    return [finding]
