"""Faults at single system calls of a real process, by ``strace``: killed at each, or one of them failing.

The process runs a script that says ``begin`` to standard output once its interpreter is up; calls before that are
not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

CALLS = (
    "write,pwrite64,pwritev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,fallocate,mkdir,"
    "openat,close,flock,fcntl,read,pread64,lseek,fstat,newfstatat,getdents64,mmap,munmap"
)
WRITING = "write,pwrite64,pwritev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,fallocate,mkdir"


def missing() -> str | None:
    """Returns what keeps this machine from injecting faults, None if nothing does."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True)
    return None if tried.returncode == 0 else "strace may not trace here"


def _environment() -> dict[str, str]:
    # The same calls in each run: no hash seeds, no byte code written, no coverage of the child.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def _run(options: Sequence[str], script: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-qq", *options, sys.executable, *map(str, script)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=_environment(), timeout=300)


def window(script: Sequence[str | Path], calls: str = CALLS) -> tuple[int, int]:
    """Returns how many of these calls the script has made when it says ``begin``, and how many at its end."""
    with tempfile.NamedTemporaryFile(prefix="is-strace-", mode="r") as log:
        done = _run(["-o", log.name, "-e", f"trace={calls}"], script)
        if done.returncode:
            raise OSError(f"the script failed by itself: {done.stderr[-500:]}")
        lines = [line for line in log if "resumed>" not in line and "+++" not in line and "---" not in line]
    begun = next(number for number, line in enumerate(lines, 1) if 'write(1, "begin' in line)
    return begun, len(lines)


def inject(script: Sequence[str | Path], what: str, *, at: int, calls: str = CALLS) -> subprocess.CompletedProcess[str]:
    """Runs the script with ``what`` (``signal=KILL``, ``error=EIO``) happening at its ``at``-th call."""
    return _run(["-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:{what}:when={at}"], script)
