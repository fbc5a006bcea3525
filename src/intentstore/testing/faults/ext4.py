"""Power cuts on real ext4: a file system in a file, shut down by ioctl while a process writes, mounted again.

The ioctl (``EXT4_IOC_SHUTDOWN``, without flushing the journal) drops whatever is not on the disk, as the power does.
Needs root, mkfs.ext4 and loop devices.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from .findings import Finding
from .processes import Child, judge, writer
from .safety import opened
from .session import Subject

_SHUTDOWN = 0x8004587D
_NO_FLUSH = struct.pack("I", 2)


def missing() -> str | None:
    """Returns what keeps this machine from mounting ext4, None if nothing does."""
    if os.geteuid() != 0:
        return "only root mounts a file system"
    for program in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not os.path.exists("/dev/loop-control"):
        return "there are no loop devices"
    return None


class Disk4:
    """One ext4 in a file."""

    def __init__(self, base: Path) -> None:
        self.image, self.place = base / "image", base / "mount"
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)

    def mount(self) -> None:
        """Mounts it, which replays its journal."""
        subprocess.run(["mount", "-o", "loop", self.image, self.place], check=True)

    def unmount(self) -> None:
        """Unmounts it."""
        deadline = time.monotonic() + 30
        while subprocess.run(["umount", self.place], check=False, capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise OSError(f"{self.place} cannot be unmounted")
            time.sleep(0.02)

    def cut(self) -> None:
        """Cuts the power."""
        fd = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _NO_FLUSH)
        finally:
            os.close(fd)


@contextlib.contextmanager
def ext4() -> Iterator[Disk4]:
    """An ext4, mounted for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="is-ext4-") as name:
        disk = Disk4(Path(name))
        disk.mount()
        try:
            yield disk
        finally:
            if os.path.ismount(disk.place):
                disk.unmount()


def cut_power(subject: Subject, finding: Finding, *, seed: int, trials: int) -> None:
    """Cuts the power at a random moment while three processes write, so many times; all on one growing store."""
    begun = time.monotonic()
    luck = Random(f"ext4 {seed}")
    with tempfile.TemporaryDirectory(prefix="is-said-") as name, ext4() as disk:
        said = Path(name)
        words: list[str] = []
        for trial in range(trials):
            home = disk.place / "home"
            home.mkdir(exist_ok=True)
            with opened(subject, home):
                pass
            children = [
                Child(writer(subject, home, f"t{trial}w{n}", commits=100_000), said / f"t{trial}w{n}") for n in range(3)
            ]
            time.sleep(luck.uniform(0.02, 0.25))
            # What is acknowledged while the ioctl runs may be from after the cut: it counts as unknown.
            words += [word for child in children for word in child.words()]
            disk.cut()
            for child in children:
                child.signal(signal.SIGKILL)
                child.wait()
            disk.unmount()
            disk.mount()
            finding.tried += 1
            finding.counts.clear()
            judge(subject, home, finding, words)
    finding.seconds += time.monotonic() - begun
