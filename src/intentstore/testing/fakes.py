"""Two fakes stricter than life: a disk that loses whatever was not synced, and a clock that obeys.

`LossyDisk` works on real files, so whatever the storage reads is what a system would read; it remembers which
bytes and which names are on stable storage, and `crash` leaves exactly those.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from ..storage.disk import Disk


class PowerCut(BaseException):
    """The machine is off: raised at the call at which it went off, and at every later one."""


class _File:
    """What a file's content would be after a power cut, whatever its name by then; and what was done since its sync."""

    def __init__(self, synced: bytes = b"") -> None:
        self.synced = synced
        self.since: list[tuple[int, bytes | None]] = []
        """Writes as (offset, data); (length, None) is a cut to this length."""

    def survives(self, luck: Random | None) -> bytes:
        """Returns what is found after a power cut: with luck a part of what was done since, the last of it torn."""
        content = bytearray(self.synced)
        if luck is None or not self.since:
            return bytes(content)
        kept = luck.randint(0, len(self.since))
        for at, (place, data) in enumerate(self.since[:kept]):
            if data is None:
                del content[place:]
                continue
            piece = data[: luck.randint(0, len(data))] if at == kept - 1 else data
            content.extend(bytes(max(0, place - len(content))))
            content[place : place + len(piece)] = piece
        return bytes(content)


class LossyDisk(Disk):
    """A `Disk` that can lose power. Of a file, what `sync` reached stays; of a directory, what `sync_directory` did.

    ``cut_at=N`` cuts the power at the N-th call that changes something (0: the first), before it takes effect.
    After `crash`, use a new disk; this one only raises `PowerCut`.
    """

    def __init__(self, *, cut_at: int | None = None) -> None:
        self.cut_at = cut_at
        self.calls = 0
        """How many calls changed something, or tried to."""
        self.off = False
        self._open: dict[int, Path] = {}
        self._now: dict[Path, _File | None] = {}
        """Each name touched, and the file it stands for now; None where it stands for none."""
        self._kept: dict[Path, _File | None] = {}
        """Each name touched, and the file it would stand for after a power cut."""

    # --- what survives ---

    def _change(self) -> None:
        self._alive()
        if self.cut_at is not None and self.calls >= self.cut_at:
            self.off = True
            raise PowerCut(f"power cut at call {self.calls}")
        self.calls += 1

    def _alive(self) -> None:
        if self.off:
            raise PowerCut("the machine is off")

    def _adopt(self, path: Path) -> None:
        """Takes what stood here before this disk came as safely stored."""
        if path not in self._now:
            there = _File(path.read_bytes()) if path.is_file() else None
            self._now[path] = self._kept[path] = there

    def crash(self, luck: Random | None = None) -> None:
        """Turns the power off and leaves on the real disk what would be found when it comes back.

        Without ``luck`` all that was not synced is lost. With it, each file may keep a part of what was written
        since, and each directory entry its old or new state.
        """
        self.off = True
        wanted: dict[Path, bytes] = {}
        for path in self._kept:
            entries = self._now if luck is not None and luck.random() < 0.5 else self._kept
            file = entries[path]
            if file is not None:
                wanted[path] = file.survives(luck)
        for fd in list(self._open):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._open.clear()
        for path in self._kept:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
        for path, content in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)

    # --- the calls ---

    def make_directory(self, path: Path) -> None:
        self._change()
        super().make_directory(path)

    def names(self, path: Path) -> list[str]:
        self._alive()
        return super().names(path)

    def is_there(self, path: Path) -> bool:
        self._alive()
        return super().is_there(path)

    def open_append(self, path: Path, *, create: bool) -> int:
        return self._opened(path, super().open_append, create=create)

    def open_write(self, path: Path, *, create: bool) -> int:
        return self._opened(path, super().open_write, create=create)

    def _opened(self, path: Path, opens: Callable[..., int], *, create: bool) -> int:
        self._alive()
        self._adopt(path)
        made = create and self._now[path] is None
        if made:
            self._change()
        fd = opens(path, create=create)
        if made:
            self._now[path] = _File()
        self._open[fd] = path
        return fd

    def open_read(self, path: Path) -> int:
        self._alive()
        self._adopt(path)
        fd = super().open_read(path)
        self._open[fd] = path
        return fd

    def close(self, fd: int) -> None:
        self._alive()
        self._open.pop(fd, None)
        super().close(fd)

    def size(self, fd: int) -> int:
        self._alive()
        return super().size(fd)

    def read(self, fd: int, offset: int, length: int) -> bytes:
        self._alive()
        return super().read(fd, offset, length)

    def append(self, fd: int, data: bytes) -> None:
        self._change()
        self._since(fd, os.fstat(fd).st_size, data)
        super().append(fd, data)

    def write(self, fd: int, offset: int, data: bytes) -> None:
        self._change()
        self._since(fd, offset, data)
        super().write(fd, offset, data)

    def truncate(self, fd: int, length: int) -> None:
        self._change()
        self._since(fd, length, None)
        super().truncate(fd, length)

    def _since(self, fd: int, place: int, data: bytes | None) -> None:
        file = self._now[self._open[fd]]
        if file is not None:
            file.since.append((place, data))

    def sync(self, fd: int) -> None:
        self._change()
        super().sync(fd)
        file = self._now[self._open[fd]]
        if file is not None:
            file.synced, file.since = os.pread(fd, os.fstat(fd).st_size, 0), []

    def sync_directory(self, path: Path) -> None:
        self._change()
        super().sync_directory(path)
        for name, file in self._now.items():
            if name.parent == path:
                self._kept[name] = file

    def rename(self, source: Path, target: Path) -> None:
        self._change()
        self._adopt(source)
        self._adopt(target)
        super().rename(source, target)
        self._now[target], self._now[source] = self._now[source], None
        self._open = {fd: target if path == source else path for fd, path in self._open.items()}

    def remove(self, path: Path) -> None:
        self._alive()
        self._adopt(path)
        if self._now[path] is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        self._change()
        super().remove(path)
        self._now[path] = None

    def lock(self, fd: int, *, timeout_s: float) -> None:
        self._alive()
        super().lock(fd, timeout_s=timeout_s)

    def unlock(self, fd: int) -> None:
        self._alive()
        super().unlock(fd)


class FailingDisk(Disk):
    """A `Disk` on which, once ``error`` is set, every call named in ``on`` (all, if none is) raises that errno."""

    def __init__(self, *on: str) -> None:
        self.on = frozenset(on)
        self.error: int | None = None

    def __getattribute__(self, name: str) -> object:
        found = object.__getattribute__(self, name)
        if name.startswith("_") or name in ("on", "error", "close") or self.error is None:
            return found
        if self.on and name not in self.on:
            return found
        number = self.error

        def fail(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        return fail


class FrozenClock:
    """A clock that stands still until told otherwise, and may be told to step back.

    >>> clock = FrozenClock()
    >>> (clock.step(-1.5) - FrozenClock()()).total_seconds()
    -1.5
    """

    def __init__(self, now: datetime = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Returns the moment at which the clock stands."""
        return self.now

    def step(self, seconds: float) -> datetime:
        """Moves the clock, backward where the number is negative, and returns the new moment."""
        self.now += timedelta(seconds=seconds)
        return self.now
