"""A file system in memory that writes down every call which changes it, and fails or kills where it is told to.

::

    python fuse_server.py MOUNTPOINT     then orders on standard input, answers on standard output

Run as a script by `fuse.mounted`: it imports nothing of the package, so that it is there at once. An order and its
answer are msgpack behind four bytes of length. Words written to ``/.ack`` become acknowledgements in the trace.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import threading
import time
from typing import Any

import mfusepy
import msgspec

ROOT = 1
ACK = "/.ack"


class Plan:
    """What is to go wrong: nothing, or the ``at``-th of the watched kinds of call (and with it all later ones)."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.kinds = frozenset(order.get("kinds", ()))
        self.suffix = order.get("suffix", "")
        self.at = order.get("at", 1 << 60)
        self.once = order.get("once", True)
        self.errno = order.get("errno", 0)
        self.kill = order.get("kill", 0)
        self.short = order.get("short", 0)
        self.lies = order.get("lies", False)
        self.capacity = order.get("capacity", 1 << 60)
        self.seen = 0
        self.fired = 0


class Recorder(mfusepy.Operations):  # type: ignore[misc]  # mfusepy has no types
    """The file system. One thread calls it, another brings orders; the lock is between the two."""

    use_ns = True

    def __init__(self) -> None:
        self.door = threading.RLock()
        self.next = ROOT  # never used twice: the kernel may let go of an old handle late
        self.handles: dict[int, int] = {}
        self.reset({})

    def reset(self, order: dict[str, Any]) -> None:
        """Begins anew: empty, or with the given tree, all of which counts as durable."""
        self.trace: list[tuple[Any, ...]] = []
        self.plan = Plan({})
        self.files: dict[int, bytearray] = {}
        self.directories: dict[int, dict[str, int]] = {ROOT: {}}
        self.names: dict[int, str] = {ROOT: ""}
        self.times: dict[int, int] = {}
        self.modes: dict[int, int] = {}
        self._plant(ROOT, order.get("tree", {}))

    def _plant(self, directory: int, tree: dict[str, Any]) -> None:
        for name, thing in tree.items():
            inode = self._new(directory, name, "mkdir" if isinstance(thing, dict) else "create", 0)
            if isinstance(thing, dict):
                self._plant(inode, thing)
            else:
                self.files[inode] = bytearray(thing)
                self._note("write", inode, 0, bytes(thing))
                self._note("sync", inode)
        self._note("sync_directory", directory)

    # --- what goes wrong ---

    def _meet(self, kind: str, name: str) -> int:
        """Counts a call; fails or kills at the planned one; returns how many bytes of a write to take, 0 for all."""
        plan = self.plan
        if kind not in plan.kinds or not name.endswith(plan.suffix):
            return 0
        plan.seen += 1
        if plan.seen <= plan.at or (plan.once and plan.fired):
            return 0
        plan.fired += 1
        if plan.kill:
            os.kill(plan.kill, signal.SIGKILL)
            raise mfusepy.FuseOSError(errno.EINTR)
        if plan.errno:
            raise mfusepy.FuseOSError(plan.errno)
        return int(plan.short)

    def _note(self, kind: str, inode: int = 0, offset: int = 0, data: bytes = b"", *names: Any) -> None:
        self.trace.append((kind, inode, offset, data, *names))

    # --- names ---

    def _find(self, path: str) -> int:
        inode = ROOT
        for part in path.split("/"):
            if part:
                entries = self.directories.get(inode)
                if entries is None or part not in entries:
                    raise mfusepy.FuseOSError(errno.ENOENT if entries is not None else errno.ENOTDIR)
                inode = entries[part]
        return inode

    def _above(self, path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        return self._find(above), name

    def _new(self, directory: int, name: str, kind: str, mode: int) -> int:
        self.next += 1
        inode = self.next
        if kind == "mkdir":
            self.directories[inode] = {}
        else:
            self.files[inode] = bytearray()
        self.directories[directory][name] = inode
        self.names[inode], self.modes[inode] = name, mode
        self.times[inode] = time.time_ns()
        self._note(kind, inode, 0, b"", directory, name)
        return inode

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        with self.door:
            if path == ACK:
                return self._facts(stat.S_IFREG | 0o600, 0, 1 << 40, 0)
            inode = self.handles[fh] if fh else self._find(path or "")
            at = self.times.get(inode, 0)
            if inode in self.directories:
                return self._facts(stat.S_IFDIR | (self.modes.get(inode, 0o700) & 0o7777 or 0o700), 0, inode, at)
            mode = stat.S_IFREG | (self.modes[inode] & 0o7777 or 0o600)
            return self._facts(mode, len(self.files[inode]), inode, at)

    def _facts(self, mode: int, size: int, inode: int, at: int) -> dict[str, Any]:
        whom = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        when = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), at)
        return {"st_mode": mode, "st_size": size, "st_ino": inode, "st_nlink": 1, **whom, **when}

    def chmod(self, path: str, mode: int) -> int:
        self.modes[self._find(path)] = mode
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 20, "f_bavail": 1 << 20, "f_bfree": 1 << 20}

    def opendir(self, path: str) -> int:
        with self.door:
            return self._opened(self._find(path))

    def readdir(self, path: str | None, fh: int) -> list[str]:
        with self.door:
            inode = self.handles[fh]
            self._meet("readdir", self.names[inode])
            return [".", "..", *self.directories[inode]]

    def releasedir(self, path: str | None, fh: int) -> int:
        return self.release(path, fh)

    def fsyncdir(self, path: str | None, datasync: int, fh: int) -> int:
        return self._sync("sync_directory", fh)

    def mkdir(self, path: str, mode: int) -> int:
        with self.door:
            self._meet("mkdir", path)
            directory, name = self._above(path)
            self._new(directory, name, "mkdir", mode)
            return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        with self.door:
            self._meet("create", path)
            directory, name = self._above(path)
            return self._opened(self._new(directory, name, "create", mode))

    def _opened(self, inode: int) -> int:
        self.next += 1
        self.handles[self.next] = inode
        return self.next

    def unlink(self, path: str) -> int:
        with self.door:
            self._meet("remove", path)
            directory, name = self._above(path)
            if name not in self.directories[directory]:
                raise mfusepy.FuseOSError(errno.ENOENT)
            del self.directories[directory][name]
            self._note("remove", 0, 0, b"", directory, name)
            return 0

    def rmdir(self, path: str) -> int:
        with self.door:
            if self.directories[self._find(path)]:
                raise mfusepy.FuseOSError(errno.ENOTEMPTY)
            return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        with self.door:
            self._meet("rename", new)
            (source, name), (target, name2) = self._above(old), self._above(new)
            over = self.directories[target].get(name2)
            if over is not None and self.directories.get(over):
                raise mfusepy.FuseOSError(errno.ENOTEMPTY)
            moved = self.directories[target][name2] = self.directories[source].pop(name)
            self.names[moved] = name2
            self._note("rename", 0, 0, b"", source, name, target, name2)
            return 0

    # --- bytes ---

    def open(self, path: str, flags: int) -> int:
        with self.door:
            if path == ACK:
                return 0
            self._meet("open", path)
            return self._opened(self._find(path))

    def release(self, path: str | None, fh: int) -> int:
        with self.door:
            self.handles.pop(fh, None)
            return 0

    def flush(self, path: str | None, fh: int) -> int:
        with self.door:
            inode = self.handles.get(fh, 0)
            if inode in self.names:
                self._meet("close", self.names[inode])
        return 0

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        with self.door:
            inode = self.handles[fh]
            self._meet("read", self.names[inode])
            return bytes(self.files[inode][offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        with self.door:
            if not fh:
                self._note("ack", 0, 0, data)
                return len(data)
            inode = self.handles[fh]
            file = self.files[inode]
            short = self._meet("write", self.names[inode])
            data = data[:short] if 0 < short < len(data) else data
            data = data[: self._room(inode, offset + len(data)) - offset]
            if offset > len(file):
                file.extend(bytes(offset - len(file)))
            file[offset : offset + len(data)] = data
            self._note("write", inode, offset, data)
            return len(data)

    def _room(self, inode: int, length: int) -> int:
        """Returns how long a file that is to be so long may be on this disk; none longer than it is: ENOSPC."""
        now: int = len(self.files[inode])
        free: int = self.plan.capacity - sum(map(len, self.files.values()))
        if length - now <= max(0, free):
            return length
        if free <= 0:
            raise mfusepy.FuseOSError(errno.ENOSPC)
        return now + free  # as a real disk does it: a part of the write first, the error at the next

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        with self.door:
            inode = self._find(path)
            self._meet("truncate", self.names[inode])
            if self._room(inode, length) < length:
                raise mfusepy.FuseOSError(errno.ENOSPC)
            file = self.files[inode]
            del file[length:]
            file.extend(bytes(length - len(file)))
            self._note("truncate", inode, length)
            return 0

    def fallocate(self, path: str | None, mode: int, offset: int, size: int, fh: int) -> int:
        raise mfusepy.FuseOSError(errno.EOPNOTSUPP)

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        return self._sync("sync", fh)

    def _sync(self, kind: str, fh: int) -> int:
        with self.door:
            inode = self.handles[fh]
            try:
                self._meet(kind, self.names[inode])
            except OSError:
                if kind == "sync":
                    self._note("sync_failed", inode)
                raise
            if not self.plan.lies:
                self._note(kind, inode)
            return 0

    # --- orders ---

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Does what was ordered and returns the answer."""
        with self.door:
            match order["do"]:
                case "reset":
                    self.reset(order)
                case "plan":
                    self.plan = Plan(order)
                case "trace":
                    return {"trace": msgspec.msgpack.encode(self.trace)}
            return {"seen": self.plan.seen, "fired": self.plan.fired}


def take(length: int) -> bytes:
    """Returns so many bytes of standard input, fewer at its end."""
    data = b""
    while len(data) < length and (more := os.read(0, length - len(data))):
        data += more
    return data


def listen(recorder: Recorder) -> None:
    """Takes orders until there are no more."""
    while head := take(4):
        order = msgspec.msgpack.decode(take(int.from_bytes(head, "big")))
        answer = msgspec.msgpack.encode(recorder.obey(order))
        answer = len(answer).to_bytes(4, "big") + answer
        while answer:
            answer = answer[os.write(1, answer) :]


if __name__ == "__main__":
    served = Recorder()
    threading.Thread(target=listen, args=(served,), daemon=True).start()
    # hard_remove: a file removed while open just has no name; else libfuse would rename it, as no disk does.
    mfusepy.FUSE(served, sys.argv[1], foreground=True, nothreads=True, fsname="faults", hard_remove=True)
