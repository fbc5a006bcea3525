"""From a URL or a `StorageConfig` to a storage, not yet opened. The only place that names the backends.

A third party registers one by the entry point group ``intentstore.storage``: the entry's name is the URL scheme,
its object is called as ``factory(rest_of_url, graph=…, read_only=…, create=…, durability=…)``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ..ground.change import Batch, Guard
from ..ground.errors import FieldInvalid, Unavailable, Unsupported
from ..ground.protocol import IntentStorage

if TYPE_CHECKING:
    from .older import Migration
    from .salvage import Whole


class InMemory(msgspec.Struct, frozen=True):
    """``memory:`` or ``memory:NAME``: shared under its name within this process."""

    name: str | None = None


class File(msgspec.Struct, frozen=True):
    """``file:DIR``: a directory of journals."""

    path: str | Path
    encoding: str | None = None


class Sqlite(msgspec.Struct, frozen=True):
    """``sqlite:PATH``: one SQLite file."""

    path: str | Path


class Postgres(msgspec.Struct, frozen=True):
    """``postgresql://…``: a libpq connection URL, or a string of ``key=value``. Several hosts may be named.

    ``timeout_s``: how long connecting, a question or a write may take at most (30). ``pool_size``: how many connections
    at most (10). ``pooler="transaction"``: PgBouncer gives each transaction another server connection.
    """

    connection_string: str
    timeout_s: float | None = None
    pool_size: int | None = None
    pooler: str | None = None

    def __repr__(self) -> str:
        return f"Postgres({shown(self.connection_string)!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("connection_string", shown(self.connection_string))]


class Servers(msgspec.Struct, frozen=True):
    """Graphs spread over places by their names: the first pattern that a name matches decides. Also ``servers:FILE``.

    ``*`` stands for anything, ``?`` for one character. The file holds the same as a JSON object of URLs.

    >>> Servers({"team-a-*": "sqlite:a.db", "*": "sqlite:rest.db"}).place_of("team-b-planning")
    'sqlite:rest.db'
    """

    places: Mapping[str, str | StorageConfig]

    def place_of(self, graph: str) -> str | StorageConfig:
        """Returns where the graph of this name is kept; `FieldInvalid` if nothing says so."""
        from fnmatch import fnmatchcase

        for pattern, where in self.places.items():
            if fnmatchcase(graph, pattern):
                return where
        raise FieldInvalid("graph", f"{graph!r} is on none of the servers", hint='add a pattern for it, or "*" for all')

    def __repr__(self) -> str:
        return f"Servers({[*self.places]})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("patterns", [*self.places])]


StorageConfig = InMemory | File | Sqlite | Postgres | Servers

_HIDDEN = r"(?<=://)([^/?#:]*):[^?#]*@|\b((?:ssl)?password|passfile)\s*=\s*(?:'(?:[^'\\]|\\.)*'|[^\s&]*)"


def shown(url: str) -> str:
    """Returns the URL as it may be printed: where it holds a password, stars.

    >>> shown("postgresql://planner:geheim@db/goals?password=geheim")
    'postgresql://planner:***@db/goals?password=***'
    """
    return re.sub(_HIDDEN, lambda found: f"{found[1]}:***@" if found[2] is None else f"{found[2]}=***", url)


_HINT = "use memory:, file:DIR, sqlite:PATH or postgresql://…"


def parse_url(url: str) -> StorageConfig | tuple[str, str]:
    """Returns what a URL names: a config of ours, or (scheme, rest) for a third party's.

    >>> parse_url("sqlite:goals.db")
    Sqlite(path='goals.db')
    """
    scheme, colon, rest = url.partition(":")
    if not colon or not scheme or "\0" in url:
        raise FieldInvalid("store", f"{shown(url)!r} is not a store URL", hint=_HINT)
    match scheme:
        case "memory":
            return InMemory(rest or None)
        case "file":
            path, _, query = rest.partition("?")
            return File(_path(path, url), _encoding(query, url))
        case "sqlite":
            return Sqlite(_path(rest, url))
        case "postgresql" | "postgres":
            return Postgres(url)
        case "servers":
            return _servers(Path(_path(rest, url)))
    return scheme, rest


def _path(text: str, url: str) -> str:
    path = text.removeprefix("//") if text.startswith("///") else text
    if not path or path.startswith("//"):
        raise FieldInvalid("store", f"{url!r} names no path", hint=_HINT)
    return path


def _encoding(query: str, url: str) -> str | None:
    options = dict(parse_qsl(query, keep_blank_values=True))
    encoding = options.pop("encoding", None)
    if options or encoding not in (None, "json", "rtfs"):
        raise FieldInvalid("store", f"{url!r} has an unknown option", hint="file:DIR, file:DIR?encoding=rtfs")
    return encoding


def choose(where: str | StorageConfig, *, graph: str, read_only: bool, create: bool, durability: str) -> IntentStorage:
    """Returns the storage that a URL or config names; an unknown scheme is `FieldInvalid` listing the known ones."""
    config = parse_url(where) if isinstance(where, str) else where
    common: dict[str, Any] = {"graph": graph, "read_only": read_only}
    lasting = {**common, "create": create, "durability": durability}
    match config:
        case InMemory(name=name):
            from .memory import MemoryStorage

            return MemoryStorage(name, **common)
        case File(path=path, encoding=encoding):
            from .file import FileStorage

            return FileStorage(path, encoding=encoding, **lasting)
        case Sqlite(path=path):
            from .sqlite import SqliteStorage

            return SqliteStorage(path, **lasting)
        case Postgres(connection_string=connection, timeout_s=timeout_s, pool_size=pool_size, pooler=pooler):
            return _postgres(connection, {**lasting, "timeout_s": timeout_s, "pool_size": pool_size, "pooler": pooler})
        case Servers():
            return choose(
                config.place_of(graph), graph=graph, read_only=read_only, create=create, durability=durability
            )
        case tuple():
            return _third_party(*config, lasting)
        case _:
            assert_never(config)


def _servers(path: Path) -> Servers:
    from ..codec.strict import strict_loads

    try:
        found = strict_loads(path.read_bytes(), str(path))
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", hint='write a file of {"PATTERN": "URL"}') from error
    if not isinstance(found, dict) or not all(isinstance(where, str) for where in found.values()):
        raise FieldInvalid(str(path), "is not an object of URLs", hint='write {"team-a-*": "postgresql://…", "*": "…"}')
    return Servers(found)


def _postgres(connection: str, options: dict[str, Any]) -> IntentStorage:
    try:
        from .postgres import PostgresStorage
    except ImportError as error:
        if error.name is not None and not error.name.startswith("psycopg"):
            raise
        raise Unsupported(
            f"PostgreSQL needs its driver, which is not installed: {error}",
            hint="install it: pip install 'intentstore[postgres]'",
        ) from error
    return PostgresStorage(connection, **options)


def _third_party(scheme: str, rest: str, options: dict[str, Any]) -> IntentStorage:
    from importlib.metadata import entry_points

    for entry in entry_points(group="intentstore.storage", name=scheme):
        storage: IntentStorage = entry.load()(rest, **options)
        return storage
    raise FieldInvalid("store", f"has the unknown scheme {scheme!r}", hint=_HINT)


def salvage(where: str | StorageConfig, *, graph: str) -> Iterator[Whole]:
    """Yields what is provably whole of a graph whose store may be too damaged to open; changes nothing there."""
    config = parse_url(where) if isinstance(where, str) else where
    match config:
        case File(path=path):
            from .salvage import salvage_file

            return salvage_file(Path(path), graph)
        case Sqlite(path=path):
            from .salvage import salvage_sqlite

            return salvage_sqlite(Path(path), graph)
    raise Unsupported("only file and SQLite stores are repaired here", hint="use the database's own tools")


def convert(where: str | StorageConfig, encoding: str) -> list[str]:
    """Writes every graph of a file store anew in an encoding; returns their names. Others may go on meanwhile."""
    config = parse_url(where) if isinstance(where, str) else where
    if encoding not in ("json", "rtfs"):
        raise FieldInvalid("encoding", f"is {encoding!r}", hint="json or rtfs")
    if not isinstance(config, File):
        raise Unsupported("only file stores have an encoding", hint="intent copy file:DIR?encoding=rtfs")
    from .file import FileStorage

    with contextlib.closing(FileStorage(config.path, create=False)) as first:
        first.open()
        names = first.graphs()
    for name in names:
        with contextlib.closing(FileStorage(config.path, name, create=False)) as storage:
            storage.open()
            storage.convert(encoding)
    return names


def migration(where: str | StorageConfig) -> Migration:
    """Returns what would bring a store to the present format; changes nothing."""
    config = parse_url(where) if isinstance(where, str) else where
    match config:
        case File(path=path):
            from .disk import Disk
            from .home import VERSION as FILE
            from .home import Home
            from .older import planned

            found = Home(Disk(), Path(path)).version()
            return planned("file", Path(path), found=found, wanted=FILE)
        case Sqlite(path=path):
            from .older import planned
            from .sqlite_connections import VERSION as SQLITE
            from .sqlite_connections import version_of

            return planned("sqlite", Path(path), found=version_of(Path(path)), wanted=SQLITE)
    raise Unsupported("only file and SQLite stores are brought up to date here", hint="nothing needs to be done")


def with_fallback(
    primary: IntentStorage,
    fallback: str,
    *,
    where: str | StorageConfig,
    graph: str,
    guard_of: Callable[[Batch], Guard | None],
    read_only: bool,
    clock: Callable[[], datetime],
) -> IntentStorage:
    """Returns the storage with a fallback: ``memory`` or ``file:DIR``, either with ``?limit=N`` writes that may wait.

    ``guard_of`` gives what a write that waited must pass when it comes to the primary.
    """
    from .fallback import FallbackStorage
    from .spool import LIMIT, Spool

    place, _, query = fallback.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    limit = options.pop("limit", str(LIMIT))
    kind, _, path = place.partition(":")
    known = (kind, bool(path)) in (("memory", False), ("file", True))
    if options or not known or not limit.isdigit() or not int(limit):
        raise FieldInvalid("fallback", f"is {fallback!r}", hint='use "memory" or "file:DIR", with ?limit=N if you like')
    common: dict[str, Any] = {"store": named(where, graph), "limit": int(limit)}
    from .memory import MemoryStorage

    if kind == "memory":
        spool = Spool(MemoryStorage(graph=graph), where="memory", **common)
    else:
        from .disk import Disk, alone_in
        from .file import FileStorage
        from .home import Home

        directory = Path(_path(path, fallback)).absolute()
        reads = read_only and not (Home(Disk(), directory).folder(graph) / "head").exists()
        storage = MemoryStorage(graph=graph) if reads else FileStorage(directory, graph, read_only=read_only)
        spool = Spool(storage, where=f"file:{directory}", exclusive=lambda: alone_in(directory, "replay"), **common)
    return FallbackStorage(primary, spool, guard_of=guard_of, read_only=read_only, clock=clock)


def named(where: str | StorageConfig, graph: str) -> str:
    """Returns a name of the graph's store that is the same from every directory and holds no secret.

    >>> named("postgresql://planner:secret@db.example/goals?connect_timeout=3", "default")
    'postgresql://db.example/goals'
    """
    config = parse_url(where) if isinstance(where, str) else where
    match config:
        case InMemory(name=name):
            return f"memory:{name or ''}"
        case File(path=path):
            return f"file:{Path(path).absolute()}"
        case Sqlite(path=path):
            return f"sqlite:{Path(path).absolute()}"
        case Postgres(connection_string=text):
            parts = urlsplit(text)
            places = [f"{name}={value}" for name, value in parse_qsl(parts.query) if name in ("host", "port", "dbname")]
            hosts = parts.netloc.rpartition("@")[2]
            return f"postgresql://{hosts}{parts.path}" + ("?" + "&".join(sorted(places)) if places else "")
        case Servers():
            return named(config.place_of(graph), graph)
        case (scheme, rest):
            from hashlib import sha256

            return f"{scheme}:{sha256(rest.encode()).hexdigest()[:16]}"
        case _:
            assert_never(config)
