"""Processes that write one store and are killed, frozen, forked: forked from this one, so that hundreds are cheap."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NoReturn

from ...ground.change import Put
from ...ground.errors import IntentStoreError
from ..samples import a_batch, an_intent
from .findings import Finding
from .safety import opened, quietly
from .session import Subject

SIZE = 3
"""Intents in each commit: half of them would show."""


class Child:
    """A forked process that runs an act and leaves; what it says goes to a file, each word on stable storage."""

    def __init__(self, act: Callable[[Callable[[str], None]], None], said: Path) -> None:
        self.said = said
        self.pid = os.fork()
        if self.pid == 0:
            self._be(act)

    def _be(self, act: Callable[[Callable[[str], None]], None]) -> NoReturn:
        status = 1
        try:
            fd = os.open(self.said, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

            def say(word: str) -> None:
                os.write(fd, f"{word}\n".encode())

            try:
                act(say)
                status = 0
            except BaseException as error:  # noqa: BLE001  a child must never come back
                say(f"! {type(error).__name__}: {error}".replace("\n", " "))
        finally:
            os._exit(status)

    def words(self) -> list[str]:
        """Returns what it has said so far, a last word without its end left out."""
        return self.said.read_text().split("\n")[:-1] if self.said.exists() else []

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Waits for its end; returns its exit status, negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def writer(
    subject: Subject, place: Path, name: str, *, commits: int, compact_every: int = 25
) -> Callable[[Callable[[str], None]], None]:
    """Returns an act that writes so many commits, each said once acknowledged, and compacts now and then."""

    def act(say: Callable[[str], None]) -> None:
        with quietly():
            storage = subject.make(place)
            storage.open()
            for n in range(commits):
                id = f"{name}-{n}"
                storage.apply(a_batch(*(Put(intent=an_intent(f"{id}.{k}")) for k in range(SIZE)), id=id))
                say(id)
                if n % compact_every == compact_every - 1 and storage.capabilities.compacts:
                    storage.compact()  # type: ignore[attr-defined]  # declared
            storage.close()

    return act


def kill_writers(subject: Subject, place: Path, finding: Finding, *, seed: int, writers: int, kills: int) -> None:
    """Has so many writers at one store, kills one of them at a time so many times, and looks for what is lost."""
    begun = time.monotonic()
    luck = Random(f"kill {seed}")
    with opened(subject, place):
        pass
    number = 0

    def start() -> Child:
        nonlocal number
        number += 1
        name = f"w{number}"
        return Child(writer(subject, place, name, commits=1_000_000), place / f"said-{name}")

    everyone = alive = [start() for _ in range(writers)]
    everyone = list(alive)
    try:
        for _ in range(kills):
            time.sleep(luck.uniform(0.005, 0.06))
            at = luck.randrange(writers)
            alive[at].signal(signal.SIGKILL)
            if alive[at].wait() != -signal.SIGKILL:
                finding.fault(f"a writer ended by itself: {alive[at].words()[-1:]}")
            finding.tried += 1
            alive[at] = start()
            everyone.append(alive[at])
    finally:
        for child in alive:
            child.signal(signal.SIGKILL)
            child.wait()
    judge(subject, place, finding, [word for child in everyone for word in child.words()])
    finding.seconds += time.monotonic() - begun


def race_writers(subject: Subject, place: Path, finding: Finding, *, writers: int, commits: int) -> None:
    """Has so many processes write so many commits each, undisturbed, and a follower read along."""
    begun = time.monotonic()
    with opened(subject, place):
        pass

    def follow(say: Callable[[str], None]) -> None:
        last, deadline = 0, time.monotonic() + 600
        with opened(subject, place) as storage:
            while time.monotonic() < deadline:
                ended = (place / "ended").exists()
                for commit in storage.entries(last):
                    last = commit.revision
                    say(f"{last} {commit.id}")
                if ended:
                    return
                time.sleep(0.002)

    follower = Child(follow, place / "said-follower")
    children = [Child(writer(subject, place, f"w{n}", commits=commits), place / f"said-w{n}") for n in range(writers)]
    for child in children:
        if child.wait() != 0:
            finding.fault(f"a writer failed: {child.words()[-1:]}")
    (place / "ended").touch()
    if follower.wait() != 0:
        finding.fault(f"the follower failed: {follower.words()[-1:]}")
    finding.tried += writers
    log = judge(subject, place, finding, [word for child in children for word in child.words()])
    if follower.words() != log:
        finding.fault("the follower saw another log")
    finding.seconds += time.monotonic() - begun


def judge(subject: Subject, place: Path, finding: Finding, said: list[str]) -> list[str]:
    """Compares what was acknowledged with what is there; returns the log as words."""
    try:
        with opened(subject, place) as storage:
            log = list(storage.entries())
            there = {commit.id for commit in log}
            revisions = [commit.revision for commit in log]
            for word in said:
                if word.startswith("!"):
                    finding.fault(word)
            acknowledged = {word for word in said if not word.startswith("!")}
            finding.count("acknowledged", len(acknowledged))
            finding.count("lost", len(acknowledged - there))
            finding.count("not known to be", len(there - acknowledged))
            if acknowledged - there:
                finding.fault(f"lost though acknowledged: {sorted(acknowledged - there)[:5]}")
            if revisions != sorted(set(revisions)):
                finding.fault("revisions are not unique and growing")
            for commit in log:
                if None in storage.fetch([f"{commit.id}.{k}" for k in range(SIZE)]):
                    finding.fault(f"{commit.id} is not whole")
                    break
            for problem in storage.verify():
                finding.fault(f"{problem.where}: {problem.what}")
            return [f"{commit.revision} {commit.id}" for commit in log]
    except IntentStoreError as error:
        finding.fault(f"{type(error).__name__}: {error}")
        return []
