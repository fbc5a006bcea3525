"""A file or stream to write to: a file gets its name only when all of it is on the disk.

Knows bytes, gzip and fsync. Has never heard of what is written.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..ground.errors import FieldInvalid, Unavailable


@contextmanager
def writing(target: str | os.PathLike[str] | BinaryIO) -> Iterator[Any]:
    """Yields a binary file. Behind a path, what stood there stays until the block ends well; ``.gz`` compresses."""
    if isinstance(target, str | os.PathLike):
        path = _followed(Path(target))
        # A pipe or a device has no content to replace, and must not lose its name to a file.
        with _straight(path) if path.exists() and not path.is_file() else _replacing(path) as file:
            yield file
        return
    try:
        yield target
        target.flush()
    except BrokenPipeError:
        raise  # the reader went away; how to leave then is the program's decision
    except OSError as error:
        raise _failed("the target", error) from error


def _followed(path: Path) -> Path:
    try:
        return path.resolve() if path.is_file() else path
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: Exception) -> FieldInvalid:
    why = getattr(error, "strerror", None) or error
    return FieldInvalid("target", f"{path} cannot be written: {why}", hint="name a file in a directory")


@contextmanager
def _straight(path: Path) -> Iterator[Any]:
    try:
        with path.open("wb") as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _refused(path, error) from error


@contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    raw = _create(path, temporary)
    try:
        with raw:
            if path.name.endswith(".gz"):
                # No name and no time in the header: the same graph gives the same bytes.
                with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, filename="", mtime=0) as file:
                    yield file
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise _failed(str(path), error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _create(path: Path, temporary: Path) -> BinaryIO:
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    return os.fdopen(fd, "wb")


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _failed(what: str, error: OSError) -> Unavailable:
    return Unavailable(f"{what}: writing failed: {error.strerror or error}", hint="see the disk; nothing was replaced")
