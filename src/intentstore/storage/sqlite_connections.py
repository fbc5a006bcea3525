"""The connections to one SQLite file: that it is ours, how each is set up, and what the driver's errors mean.

Owns the path, the PRAGMAs (each read back), the version of the tables and their upgrade. Knows no graph and no commit.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

from ..ground.errors import Busy, Closed, Corrupt, Full, IntentStoreError, ReadOnly, StorageError, TooNew, Unavailable
from .disk import Disk
from .older import keep_sqlite_copy
from .sqlite_query import FUNCTIONS
from .sqlite_rows import texts
from .sqlite_wal import write_again

APPLICATION_ID = 0x696E7473
"""``ints`` in the file's header: the file is ours."""
VERSION = 2
PAGE_BYTES = 4096
"""At 2048 one commit takes 0.9 of the time, but a row with its body no longer fits: 1.45 for imports, 1.26 on disk."""
CHECKPOINT_PAGES = 2000
_MAGIC = b"SQLite format 3\0"
_PAUSE_S, _LONGEST_PAUSE_S = 0.0002, 0.005
_LEVELS = {1: "normal", 2: "full"}
_READ_ONLY = apsw.SQLITE_OPEN_READONLY
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE


def version_of(path: Path) -> int:
    """Returns the format an SQLite store says it has; changes nothing."""
    if not path.is_file():
        raise Unavailable(f"no SQLite store at {path}", hint="name another place", path=str(path))
    connection = apsw.Connection(str(path), flags=_READ_ONLY)
    try:
        return int(str(connection.pragma("user_version")))
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise Corrupt(str(path), f"cannot be read: {error}") from error
    finally:
        connection.close()


class Connections:
    """One that writes, one that keeps aside, any number that read; each used by one thread at a time."""

    def __init__(self, path: Path, *, read_only: bool, create: bool, durability: str, timeout_s: float) -> None:
        self.path, self.read_only, self.durability, self.timeout_s = path, read_only, durability, timeout_s
        self._create = create and not read_only
        self.idle: list[apsw.Connection] = []
        self.opened = False
        self.synchronous = "full"
        """What every commit of the writer does; read back when it was set."""
        self._all: list[apsw.Connection] = []
        self._writer: apsw.Connection | None = None
        self._side: apsw.Connection | None = None
        self._door = threading.Lock()

    # --- opening and closing ---

    def open(self) -> apsw.Connection:
        """Returns a connection to the file, made and brought to the present version where one may write."""
        self._enter()
        if self.read_only:
            reader = self.reader()
            found = reader.pragma("user_version")
            self._check_marks(reader.pragma("application_id"), found)
            if found < VERSION:
                raise Unavailable(
                    f"{self.path} has format {found}, read here as {VERSION}", hint="open it for writing once"
                )
            return reader
        self._writer = self._connect(_READ_WRITE)
        self._prepare(self._writer)
        return self._writer

    def _enter(self) -> None:
        """Checks the path before SQLite sees it, or makes an empty file."""
        disk = Disk()
        if not disk.is_there(self.path):
            if not self._create:
                raise Unavailable(f"no SQLite store at {self.path}", hint=f"make one: intent init sqlite:{self.path}")
            disk.make_directory(self.path.parent)
            disk.close(disk.open_append(self.path, create=True))
            disk.sync_directory(self.path.parent)
        facts = self.path.lstat()
        if not stat.S_ISREG(facts.st_mode):
            kind = "a symbolic link" if stat.S_ISLNK(facts.st_mode) else "not a file"
            raise Unavailable(f"{self.path} is {kind}", hint="name the SQLite file itself", path=str(self.path))
        fd = disk.open_read(self.path)
        try:
            header = disk.read(fd, 0, 100)
        finally:
            disk.close(fd)
        if not any(self.beside(end) for end in ("-wal", "-journal")):  # with one, only SQLite knows the header
            self._check_header(header)

    def beside(self, end: str) -> int:
        """Returns the size of a file of SQLite's beside ours; 0 if it is not there."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(f"{self.path}{end}").st_size
        return 0

    def _check_header(self, header: bytes) -> None:
        if not header and self._create:
            return
        if header[:16] != _MAGIC or len(header) < 100:
            raise Corrupt(str(self.path), "is not an SQLite file", hint="name another path, or restore a backup")
        numbers = [int.from_bytes(header[at : at + 4], "big") for at in (68, 60)]
        self._check_marks(*numbers)

    def _check_marks(self, application: int, version: int) -> None:
        if application != APPLICATION_ID:
            raise Corrupt(
                str(self.path), "is an SQLite file of another program", hint="name another path; it was not touched"
            )
        if version > VERSION:
            raise TooNew(
                f"{self.path} has format {version}, this intentstore knows {VERSION}", hint="upgrade intentstore"
            )

    def _connect(self, flags: int) -> apsw.Connection:
        connection = apsw.Connection(str(self.path.absolute()), flags=flags, statementcachesize=200)
        self._all.append(connection)
        deadline = 0.0

        def wait(tries: int) -> bool:
            nonlocal deadline
            now = time.monotonic()
            if tries == 0:
                deadline = now + self.timeout_s
            time.sleep(min(_PAUSE_S * 1.5 ** min(tries, 20), _LONGEST_PAUSE_S))
            return now < deadline

        connection.set_busy_handler(wait)
        for name, (arguments, function) in FUNCTIONS.items():
            connection.create_scalar_function(name, function, arguments, deterministic=True)
        return connection

    def _set(self, connection: apsw.Connection, name: str, value: int | str, *, wanted: int | str) -> None:
        """Sets a PRAGMA and reads it back: one that did not take would lose commits without a word."""
        connection.pragma(name, value)
        found = connection.pragma(name)
        if found != wanted:
            raise Unavailable(f"{self.path}: PRAGMA {name} is {found!r}, not {wanted!r}", hint="use a local disk")

    def _prepare(self, connection: apsw.Connection) -> None:
        """Makes the tables if there are none, in one transaction of the rollback journal; then turns the WAL on."""
        # Asked of SQLite and not of the file: one whose making was cut short is empty only once that is rolled back.
        if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
            self._set(connection, "synchronous", 3, wanted=3)
            connection.pragma("page_size", PAGE_BYTES)
            with transaction(connection, "EXCLUSIVE"):
                if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
                    connection.execute(texts()["schema"])
                    connection.pragma("application_id", APPLICATION_ID)
                    connection.pragma("user_version", VERSION)
        self._check_marks(connection.pragma("application_id"), connection.pragma("user_version"))
        self._set(connection, "synchronous", 2, wanted=2)
        self._turn_on_wal(connection)
        with transaction(connection, "IMMEDIATE"):
            write_again(Path(f"{self.path}-wal"))
        connection.wal_autocheckpoint(CHECKPOINT_PAGES)
        self._upgrade(connection)
        level = 2 if self.durability == "full" else 1
        self._set(connection, "synchronous", level, wanted=level)
        self.synchronous = _LEVELS[level]

    def _upgrade(self, connection: apsw.Connection) -> None:
        """Brings older tables to the present version, each step whole or not at all; keeps a copy first."""
        found = connection.pragma("user_version")
        if found < VERSION:
            keep_sqlite_copy(self.path, int(found))
        while connection.pragma("user_version") < VERSION:
            with transaction(connection, "IMMEDIATE"):
                version = connection.pragma("user_version")
                if version < VERSION:  # or another process was quicker
                    connection.execute(texts()[f"upgrade_{version}"])
                    connection.pragma("user_version", version + 1)

    def _turn_on_wal(self, connection: apsw.Connection) -> None:
        # Two that open a new file at once stand in each other's way here, and SQLite does not wait.
        deadline = time.monotonic() + self.timeout_s
        while True:
            try:
                self._set(connection, "journal_mode", "wal", wanted="wal")
                return
            except apsw.BusyError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_LONGEST_PAUSE_S)

    def close(self, *, forked: bool, dead: bool) -> None:
        """Closes all; after a fork leaves them alone, after a failed write keeps the WAL from reaching the file."""
        self.opened = False
        with self._door:
            everyone, self._all, self.idle, self._writer, self._side = self._all, [], [], None, None
        if forked:
            return
        for connection in everyone:
            with contextlib.suppress(apsw.Error):
                if dead:
                    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                connection.close()

    def forked(self) -> None:
        """Keeps the parent process's connections for ever: to close one here would touch its files and locks."""
        import ctypes

        for connection in self._all:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))

    # --- one for each use ---

    @property
    def writer(self) -> apsw.Connection:
        """The connection that writes; its owner lets one thread use it at a time."""
        if self._writer is None:
            raise Closed(f"{self.path} is closed", hint="open it again")
        return self._writer

    @property
    def side(self) -> apsw.Connection:
        """The connection for what is kept aside, whose commits wait for no sync."""
        if self._side is None:
            side = self._connect(_READ_WRITE)
            self._set(side, "synchronous", 1, wanted=1)
            self._side = side
        return self._side

    def reader(self) -> apsw.Connection:
        """Returns a connection that no other thread uses now; `give_back` returns it."""
        try:
            return self.idle.pop()
        except IndexError:
            pass
        connection = self._connect(_READ_ONLY if self.read_only else _READ_WRITE)
        self._set(connection, "query_only", 1, wanted=1)
        return connection

    def give_back(self, connection: apsw.Connection) -> None:
        """Takes a reader back; when all is closed meanwhile, so is it."""
        if self.opened:
            self.idle.append(connection)
        else:
            with contextlib.suppress(apsw.Error):
                connection.close()

    # --- the border ---

    def storage_error(self, error: apsw.Error, doing: str) -> IntentStoreError:
        """Returns what a driver's error means here: the one place where SQLite's errors become ours."""
        what = f"{self.path}: {doing} failed: {error}"
        path = str(self.path)
        match error:
            case apsw.CorruptError() | apsw.NotADBError() | apsw.FormatError():
                return Corrupt(path, f"{doing} failed: {error}")
            case apsw.FullError() | apsw.IOError() if _is_full(error):
                return Full(what, hint="free some space; nothing of this write was kept", path=path)
            case apsw.BusyError() | apsw.LockedError():
                return Busy(what, hint="try again, or see which process holds it open", timeout_s=self.timeout_s)
            case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
                return ReadOnly(what, hint="make it writable, or open it with read_only=True", path=path)
            case apsw.CantOpenError() | apsw.IOError():
                hint = "see that the file and its directory are there and the disk works, then open it again"
                # A commit whose sync failed may yet be found by the recovery after a crash.
                outcome = {"outcome": "unknown"} if doing == "writing" else {}
                return Unavailable(what, hint=hint, path=path, **outcome)
            case apsw.ConnectionClosedError() if not self.opened:
                return Closed(f"{self.path} was closed meanwhile", hint="open it again")
        return StorageError(what, hint="open the store again; if it stays so, run intent verify", path=path)


def _is_full(error: apsw.Error) -> bool:
    """True when there is no space left; SQLite calls it an I/O error where its shared memory is to grow."""
    return isinstance(error, apsw.FullError) or getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE


@contextlib.contextmanager
def transaction(connection: apsw.Connection, kind: str) -> Iterator[None]:
    """Commits what the block did, or takes it back whatever it raises."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: apsw.Connection) -> bool:
    """Ends the transaction without a trace; False if even that failed."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except apsw.Error:
        return False
    return True
