"""Which store is meant when none is named: ``$INTENTSTORE_URL``, else the nearest ``.intents/`` upward.

Owns that directory and its ``config.json``; opens no store. Anything odd there is refused, never guessed around.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from .ground.errors import AlreadyThere, Corrupt, FieldInvalid, Missing, Unavailable
from .storage.choose import shown

HOME = ".intents"
CONFIG = "config.json"
DEFAULT_STORE = "sqlite:goals.db"
DEFAULT_GRAPH = "default"
_LARGEST = 64 * 1024
_LOCAL = ("sqlite:", "file:")


class NoStore(Missing):
    """No store was named, and none is to be found from here."""


class Located(NamedTuple):
    """A store's URL, its path absolute, and the graph that is meant in it."""

    store: str
    graph: str


def locate(where: str | None = None, start: Path | None = None) -> str:
    """Returns the URL that was named, else ``$INTENTSTORE_URL``, else that of the nearest ``.intents/`` upward.

    >>> locate("memory:")
    'memory:'
    """
    return located(where, start).store


def located(where: str | None = None, start: Path | None = None) -> Located:
    """Returns the store that `locate` means and its graph; raises `NoStore` when there is none."""
    named = where or os.environ.get("INTENTSTORE_URL")
    graph = os.environ.get("INTENTSTORE_GRAPH")
    if named:
        return Located(named, graph or DEFAULT_GRAPH)
    beginning = home_of(start)
    for directory in (beginning, *beginning.parents):
        home = directory / HOME
        if _exists(home):
            found = read_config(home)
            return Located(found.store, graph or found.graph)
    raise NoStore(
        f"no {HOME}/ in {beginning} or above, and INTENTSTORE_URL is not set",
        hint="make one here with: intent init; or name a store: --store sqlite:goals.db",
        start=str(beginning),
    )


def home_of(start: Path | None) -> Path:
    """Returns the directory where the search begins, absolute; the current one when none is given."""
    try:
        return (start or Path.cwd()).absolute()
    except OSError as error:
        raise Unavailable(f"the current directory cannot be read: {error.strerror}", hint="go to another") from error


def _exists(home: Path) -> bool:
    try:
        mode = home.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if home.is_symlink():
            raise Corrupt(str(home), "is a link that leads nowhere", hint="mend or remove it") from None
        return False
    except OSError as error:
        raise Unavailable(f"{home}: {error.strerror}", hint="name a store with --store") from error
    if not stat.S_ISDIR(mode):
        raise Corrupt(str(home), "is not a directory", hint="move it away, then: intent init")
    return True


def read_config(home: Path) -> Located:
    """Returns what ``config.json`` in this directory names; a missing or odd one is `Corrupt`, with the reason."""
    path = home / CONFIG
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Corrupt(str(path), "is not a file", hint="move it away, then: intent init")
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise Corrupt(str(home), f"holds no {CONFIG}", hint="run intent init beside it, naming its store") from None
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", hint="see its permissions, or use --store") from error
    if len(text) > _LARGEST:
        raise Corrupt(str(path), f"is larger than {_LARGEST} bytes", hint="move it away, then: intent init")
    from .codec import strict_loads

    try:
        found = strict_loads(text, "it")
    except FieldInvalid as error:
        raise Corrupt(str(path), error.message, hint='write {"store": URL, "graph": NAME}') from None
    return _read(found, home, path)


def _read(found: object, home: Path, path: Path) -> Located:
    hint = 'write {"store": URL, "graph": NAME}'
    if not isinstance(found, dict) or not all(isinstance(each, str) and each for each in found.values()):
        raise Corrupt(str(path), "is not an object of texts", hint=hint)
    odd = sorted(found.keys() - {"store", "graph"})
    if odd or "store" not in found:
        what = f"holds the unknown key {odd[0]!r}" if odd else "names no store"
        raise Corrupt(str(path), what, hint=hint)
    return Located(_absolute(found["store"], home), found.get("graph", DEFAULT_GRAPH))


def _absolute(url: str, base: Path) -> str:
    """Returns the URL with its path made absolute, seen from ``base``; a URL without a path as it is."""
    for scheme in _LOCAL:
        if url.startswith(scheme):
            rest, question, options = url.removeprefix(scheme).partition("?")
            path = rest.removeprefix("//") if rest.startswith("///") else rest
            if not path:
                raise FieldInvalid("store", f"{url!r} names no path", hint="use sqlite:PATH or file:DIR")
            return f"{scheme}{os.path.normpath(base / path)}{question}{options}"
    return url


def establish(url: str | None, *, graph: str | None = None, home: Path) -> Located:
    """Makes ``.intents/`` in this directory, naming the store; done twice it is the same, another store is refused.

    A path in ``url`` is seen from the directory; without a URL the store lies inside ``.intents/``.
    """
    directory = home / HOME
    store = _absolute(url, home) if url else _absolute(DEFAULT_STORE, directory)
    if store.startswith("memory:"):
        raise FieldInvalid("url", "is memory:, which keeps nothing until the next command", hint="use sqlite:PATH")
    if ":" not in store:
        raise FieldInvalid("url", f"{shown(store)!r} is not a store URL", hint="use sqlite:PATH or file:DIR")
    wanted = Located(store, graph or DEFAULT_GRAPH)
    if _exists(directory) and (directory / CONFIG).exists():
        there = read_config(directory)
        if (url and there.store != store) or (graph and there.graph != graph):
            raise AlreadyThere(
                f"{directory} names {shown(there.store)}, graph {there.graph}",
                hint=f"edit {directory / CONFIG}, or name the other with --store",
                store=shown(there.store),
                graph=there.graph,
            )
        return there
    _write(directory, wanted, home)
    return wanted


def _write(directory: Path, wanted: Located, home: Path) -> None:
    import json

    text = json.dumps({"store": _portable(wanted.store, directory, home), "graph": wanted.graph}, ensure_ascii=False)
    temporary = directory / f".{CONFIG}.{os.getpid()}.tmp"
    try:
        directory.mkdir(exist_ok=True)
        # A server's URL may hold a password; a path does not.
        mode = 0o644 if wanted.store.startswith(_LOCAL) else 0o600
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(directory / CONFIG)
    except OSError as error:
        raise Unavailable(f"{directory}: {error.strerror}", hint="see its permissions and space") from error
    finally:
        temporary.unlink(missing_ok=True)


def _portable(store: str, directory: Path, home: Path) -> str:
    """Returns the URL with a path inside the project made relative, so that the project can be moved as a whole."""
    for scheme in _LOCAL:
        path = Path(store.removeprefix(scheme))
        if store.startswith(scheme) and path.is_relative_to(home):
            return scheme + os.path.relpath(path, directory)
    return store
