"""A mounted file system that records and fails: `mounted` gives one, its `Mount` takes the orders.

Needs ``/dev/fuse``, libfuse3 and mfusepy; `missing` says which of them is not there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from .crash import Tree
from .trace import Op, load_trace

_SERVER = Path(__file__).with_name("fuse_server.py")


def missing() -> str | None:
    """Returns what keeps this machine from mounting a file system of ours, None if nothing does."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if shutil.which("fusermount3") is None or find_library("fuse3") is None:
        return "the packages fuse3 and libfuse3-3 are not installed"
    if find_spec("mfusepy") is None:
        return "mfusepy is not installed"
    return None


class Mount:
    """A mounted file system: ``place`` is where, the methods are its orders."""

    def __init__(self, place: Path, server: subprocess.Popen[bytes]) -> None:
        self.place, self._server = place, server
        self._number = 0

    def _order(self, do: str, **order: Any) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        data = msgspec.msgpack.encode({"do": do, **order})
        self._server.stdin.write(len(data).to_bytes(4, "big") + data)
        self._server.stdin.flush()
        head = self._server.stdout.read(4)
        if len(head) < 4:
            raise OSError("the recording file system has died")
        answer: dict[str, Any] = msgspec.msgpack.decode(self._server.stdout.read(int.from_bytes(head, "big")))
        return answer

    def reset(self, tree: Tree | None = None) -> None:
        """Empties the file system, or makes it hold this tree, all durable; forgets trace and plan.

        Nothing may be open there. The kernel remembers names: use new ones, as `fresh` does.
        """
        self._order("reset", tree=tree or {})

    def fresh(self, tree: Tree | None = None) -> Path:
        """Empties the file system and returns a durable directory, never of a name used before, that holds the tree."""
        self._number += 1
        home = self.place / f"home{self._number}"
        self.reset({home.name: tree or {}})
        return home

    def plan(self, *kinds: str, **order: Any) -> None:
        """Has calls of these kinds go wrong: ``at`` the how-manieth from now (0: the next), ``once`` or for good.

        ``errno`` fails it, ``kill`` kills this process id, ``short`` takes so many bytes of a write; ``suffix``
        restricts it to names that end so. ``lies``: syncs promise and do nothing. ``capacity``: bytes that fit.
        """
        self._order("plan", kinds=list(kinds), **order)

    def seen(self) -> tuple[int, int]:
        """Returns how many calls the plan has watched, and how many went wrong."""
        answer = self._order("status")
        return answer["seen"], answer["fired"]

    def trace(self) -> list[Op]:
        """Returns every change since the reset."""
        return load_trace(self._order("trace")["trace"])


@contextlib.contextmanager
def mounted() -> Iterator[Mount]:
    """Mounts an empty recording file system for as long as the block runs."""
    place = Path(tempfile.mkdtemp(prefix="is-faults-"))
    server = subprocess.Popen(
        [sys.executable, _SERVER, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ""},
    )
    try:
        deadline = time.monotonic() + 60
        while not os.path.ismount(place):
            if server.poll() is not None or time.monotonic() > deadline:
                raise OSError("the recording file system could not be mounted")
            time.sleep(0.005)
        yield Mount(place, server)
    finally:
        unmount = ["fusermount3", "-u", "-z", str(place)]
        subprocess.run(unmount, check=False, capture_output=True)
        for pipe in (server.stdin, server.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        with contextlib.suppress(OSError):
            place.rmdir()
