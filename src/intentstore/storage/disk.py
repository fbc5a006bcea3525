"""Every call the file storage makes on the file system, in one object that tests can replace.

Knows descriptors, syncs, renames and locks. Has never heard of a commit. Files are made 0600, directories 0700.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ..ground.errors import Busy, Corrupt, Full, IntentStoreError, Locked, ReadOnly, StorageError, Unavailable

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "afs", "ceph", "glusterfs"})


class Disk:
    """The real file system. Every method raises `OSError` as the system call does."""

    def make_directory(self, path: Path) -> None:
        """Makes the directory and those above it, and syncs each directory that gained an entry."""
        missing = []
        while not path.exists():
            missing.append(path)
            path = path.parent
        # Whoever made the last of those that are there may have died before its name was safe.
        with contextlib.suppress(PermissionError):
            self.sync_directory(path.parent)
        for directory in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o700)
            self.sync_directory(directory.parent)

    def names(self, path: Path) -> list[str]:
        """Returns the names in a directory, sorted."""
        return sorted(os.listdir(path))

    def is_there(self, path: Path) -> bool:
        """True when the path names something; a symbolic link counts."""
        return os.path.lexists(path)

    def open_append(self, path: Path, *, create: bool) -> int:
        """Opens a file for appending, refusing a symbolic link."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        return os.open(path, flags, 0o600)

    def open_write(self, path: Path, *, create: bool) -> int:
        """Opens a file for writing in place, refusing a symbolic link."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        return os.open(path, flags, 0o600)

    def open_read(self, path: Path) -> int:
        """Opens a file for reading, refusing a symbolic link."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close(self, fd: int) -> None:
        """Closes a descriptor."""
        os.close(fd)

    def size(self, fd: int) -> int:
        """Returns the file's length now, other processes' appends included. 0.3 us; `fstat` takes 1.2."""
        return os.lseek(fd, 0, os.SEEK_END)

    def identity(self, fd: int) -> int:
        """Returns the number by which the file system knows the open file."""
        return os.fstat(fd).st_ino

    def read(self, fd: int, offset: int, length: int) -> bytes:
        """Returns up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        pieces = []
        while length > 0:
            piece = os.pread(fd, min(length, 1 << 30), offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def append(self, fd: int, data: bytes) -> None:
        """Writes all of the data at the end of the file; a short write is carried on, an error raised."""
        done = os.write(fd, data)
        if done < len(data):
            view = memoryview(data)
            while done < len(data):
                done += os.write(fd, view[done:])

    def write(self, fd: int, offset: int, data: bytes) -> None:
        """Writes all of the data in place from ``offset``; a short write is carried on, an error raised."""
        done = os.pwrite(fd, data, offset)
        if done < len(data):
            view = memoryview(data)
            while done < len(data):
                done += os.pwrite(fd, view[done:], offset + done)

    def sync(self, fd: int) -> None:
        """Returns when the file's data and length are on stable storage."""
        os.fdatasync(fd)

    def truncate(self, fd: int, length: int) -> None:
        """Cuts the file to this length."""
        os.ftruncate(fd, length)

    def sync_directory(self, path: Path) -> None:
        """Returns when the directory's entries are on stable storage."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Gives the file its new name in the same directory, replacing what had it."""
        os.replace(source, target)

    def exchange(self, one: Path, other: Path) -> None:
        """Gives two paths each other's content, at once: at every instant both are there."""
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        call = getattr(libc, "renameat2", None)
        if call is None or call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
            number = ctypes.get_errno() if call is not None else errno.ENOSYS
            raise OSError(number, os.strerror(number), str(one))

    def remove_tree(self, path: Path) -> None:
        """Removes a directory and all in it; one that is not there is no error."""
        import shutil

        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)

    def is_still(self, fd: int, path: Path | str) -> bool:
        """True when the path still names the open file."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(path))
        except FileNotFoundError:
            return False

    def remove(self, path: Path) -> None:
        """Removes a file."""
        os.unlink(path)

    def lock(self, fd: int, *, timeout_s: float) -> None:
        """Takes the exclusive lock of an open file; `Busy` when others keep it beyond the deadline."""
        deadline = time.monotonic() + timeout_s
        pause = 0.0002
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    raise
            if time.monotonic() >= deadline:
                raise Busy(
                    f"another process kept the store locked for {timeout_s:g} s",
                    hint="try again, or see which process holds it open",
                    timeout_s=timeout_s,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.005)

    def unlock(self, fd: int) -> None:
        """Lets the lock go."""
        fcntl.flock(fd, fcntl.LOCK_UN)

    def lock_excludes(self, path: Path) -> bool:
        """True when a lock held on this file really keeps a second opener out."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def write_whole(self, path: Path, data: bytes) -> None:
        """Makes the file hold exactly this, old or new at every instant: temporary, sync, rename, sync directory."""
        temporary = path.with_name(path.name + ".tmp")
        with contextlib.suppress(FileNotFoundError):
            self.remove(temporary)
        fd = self.open_append(temporary, create=True)
        try:
            self.append(fd, data)
            self.sync(fd)
        except OSError:
            with contextlib.suppress(OSError):  # it takes space on what may be a full disk
                self.remove(temporary)
            raise
        finally:
            self.close(fd)
        self.rename(temporary, path)
        self.sync_directory(path.parent)

    def read_whole(self, path: Path) -> bytes:
        """Returns all the bytes of a file."""
        fd = self.open_read(path)
        try:
            return self.read(fd, 0, self.size(fd))
        finally:
            self.close(fd)


@contextlib.contextmanager
def alone_in(directory: Path, what: str, *, timeout_s: float = 30.0) -> Iterator[None]:
    """Holds a lock of this name in the directory, so that one process at a time does what it stands for."""
    disk = Disk()
    try:
        fd = disk.open_append(directory / f"{what}.lock", create=True)
        try:
            disk.lock(fd, timeout_s=timeout_s)
            yield
        finally:
            disk.close(fd)
    except OSError as error:
        raise storage_error(error, directory, f"locking for {what}") from error


def check_directory(path: Path) -> None:
    """Refuses a data directory that is a symbolic link, no directory, or open for others to write."""
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        raise Unavailable(f"{path} is a symbolic link", hint="name the directory itself", path=str(path))
    if not stat.S_ISDIR(facts.st_mode):
        raise Unavailable(f"{path} is not a directory", hint="a file store is a directory", path=str(path))
    if facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
        raise Unavailable(f"{path} can be written by anyone", hint=f"chmod o-w {path}", path=str(path))


def network_kind(path: Path) -> str | None:
    """Returns the type of the file system under the path if its locks cannot be trusted; else None."""
    kind = mounted_on(path)
    return kind if kind in _NETWORK else None


def mounted_on(path: Path) -> str:
    """Returns the type of the file system under the path; nothing where the system does not say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    full = str(path.resolve())
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = left.split(" ")[4]
        if len(mount) >= len(best) and (full + "/").startswith(mount.rstrip("/") + "/"):
            best, kind = mount, right.split(" ")[0]
    return kind


def storage_error(error: OSError, path: Path, doing: str) -> IntentStoreError:
    """Returns what an `OSError` means here: the one place where the system's errors become ours."""
    what = f"{path}: {doing} failed: {error.strerror or error}"
    kind: type[StorageError]
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            kind, hint = Full, "free some space; nothing of this write was kept"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            kind, hint = ReadOnly, "make it writable, or open it with read_only=True"
        case errno.ELOOP:
            kind, hint = Unavailable, "name the file itself, not a symbolic link"
        case errno.EIO if doing.startswith("read"):
            return Corrupt(str(path), f"{doing} failed: {error.strerror}", hint="restore a backup to another disk")
        case errno.ENOLCK:
            kind, hint = Locked, "use a file system with working locks"
        case _:
            kind, hint = Unavailable, "see that the directory is there and its disk works, then open it again"
    return kind(what, hint=hint, path=str(path), errno=error.errno)
