"""Files of other programs, and our own, into and out of a graph; one line of `FORMATS` for each.

Knows files, formats and all-or-nothing. Has never heard of a storage, and decides nothing about what an intent means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ..codec import strict_loads
from ..graph import IntentGraph
from ..ground.errors import FieldInvalid, Invalid
from ..ground.query import EVERYTHING, IntentFilter
from . import beads, ccos, diagram, jsonl, picture, rtfs
from .arrivals import CHOICES, Arrivals, IfExists, Imported, Skipped
from .pages import Pages
from .source import Line, Progress, Source
from .target import writing

__all__ = ["FORMATS", "Exported", "Format", "Imported", "Skipped", "export_from", "import_into"]

_EVERY = 256


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """What a format can do: tell itself by its first record, bytes or files; be read by lines or whole; be written."""

    sniff: Callable[[dict[str, Any]], bool] | None = None
    looks: Callable[[bytes], bool] | None = None
    holds: Callable[[Path], bool] | None = None
    read: Callable[[Iterator[Line], Arrivals], None] | None = None
    read_whole: Callable[[Source, Arrivals], None] | None = None
    write: Callable[..., Iterator[bytes]] | None = None
    choices: frozenset[str] = frozenset()
    """The names of what can be chosen when it is written."""

    @property
    def readable(self) -> bool:
        """True when it can be imported."""
        return self.read is not None or self.read_whole is not None


FORMATS: dict[str, Format] = {
    "jsonl": Format(sniff=jsonl.sniff, read=jsonl.read, write=jsonl.write),
    "beads": Format(sniff=beads.sniff, read=beads.read, write=beads.write),
    "ccos": Format(
        looks=ccos.looks,
        holds=ccos.is_archive,
        read_whole=ccos.read,
        write=ccos.write,
        choices=frozenset({"version", "root"}),
    ),
    "rtfs": Format(looks=rtfs.looks, read_whole=rtfs.read, write=rtfs.write),
    "mermaid": Format(write=diagram.mermaid),
    "dot": Format(write=diagram.dot),
    "graphml": Format(write=diagram.graphml),
    "svg": Format(write=picture.svg),
    "html": Format(write=picture.html),
}


class Exported(msgspec.Struct, frozen=True):
    """How many intents and edges an export wrote."""

    intents: int
    edges: int


def import_into(
    graph: IntentGraph,
    source: str | os.PathLike[str] | BinaryIO,
    *,
    format: str = "auto",
    if_exists: IfExists = "refuse",
    progress: Progress | None = None,
) -> Imported:
    """Stores what a file or binary stream holds, in one transaction, and returns how much; all of it or nothing.

    ``if_exists`` says what becomes of an intent that is in the graph already: ``refuse`` the file, ``replace`` it,
    ``keep`` it. ``progress`` is called with the bytes read and the size of the file (None for a stream). Gzip is
    undone. Raises `Invalid`, naming the line, for what cannot be read or breaks a rule, `AlreadyThere` for refused.

    >>> import io
    >>> from intentstore import open_graph
    >>> with open_graph("memory:") as graph:
    ...     found = import_into(graph, io.BytesIO(b'{"id":"b-1","title":"Ship"}'), format="beads")
    ...     found.intents, graph.intent("b-1").goal
    (1, 'Ship')
    """
    if format != "auto":
        _named(format, [name for name, each in FORMATS.items() if each.readable], "imported")
    if if_exists not in CHOICES:
        raise FieldInvalid("if_exists", f"is {if_exists!r}", hint=f"use one of: {', '.join(CHOICES)}")
    opened = Source(source)
    try:
        chosen = _told(opened) if format == "auto" else format
        arrivals = Arrivals(graph, if_exists)
        imported = _carry(chosen, opened, arrivals, progress)
    finally:
        opened.close()
    if progress is not None:
        progress(opened.position, opened.size)
    return imported


def _carry(format: str, source: Source, arrivals: Arrivals, progress: Progress | None) -> Imported:
    chosen = FORMATS[format]
    if chosen.read_whole is not None:
        source.progress = progress
        chosen.read_whole(source, arrivals)
    else:
        assert chosen.read is not None
        chosen.read(_watched(source, progress), arrivals)
    try:
        with arrivals.graph.transaction(reason=f"import {format}") as tx:
            return arrivals.record(tx)
    except FieldInvalid as error:
        raise arrivals.blame(error) from error.__cause__


def export_from(
    graph: IntentGraph,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str = "jsonl",
    version: str | None = None,
    root: str | None = None,
    where: IntentFilter = EVERYTHING,
    progress: Progress | None = None,
) -> Exported:
    """Writes the graph to a file or binary stream and returns how much it wrote.

    A file gets its name when all of it is on the disk; until then, and after a failure, what stood there stays. A
    name that ends in ``.gz`` is compressed. ``where`` chooses intents; the edges between them go with them.
    ``progress`` is called with the intents written and how many there are.
    For ``ccos``, ``version`` chooses 1.0 or 1.1, and ``root`` a subgraph backup of this intent and all below it.

    >>> import io
    >>> from intentstore import Intent, open_graph
    >>> with open_graph("memory:") as graph:
    ...     ship = graph.store(Intent(goal="Ship"))
    ...     export_from(graph, io.BytesIO(), format="dot")
    Exported(intents=1, edges=0)
    """
    chosen = _named(format, [name for name, each in FORMATS.items() if each.write is not None], "exported")
    assert chosen.write is not None
    choices = {name: value for name, value in (("version", version), ("root", root)) if value is not None}
    for name in choices.keys() - chosen.choices:
        able = [each for each, other in FORMATS.items() if name in other.choices]
        raise FieldInvalid(name, f"means nothing to {format}", hint=f"leave it out, or export {' or '.join(able)}")
    pages = Pages(graph, progress, where)
    with writing(target) as file:
        for piece in chosen.write(pages, **choices):
            file.write(piece)
    return Exported(len(pages.numbers), pages.edges_written)


def _named(format: str, able: list[str], done: str) -> Format:
    if format not in able:
        known = f"cannot be {done}" if format in FORMATS else "is not a format"
        raise FieldInvalid("format", f"{format!r} {known}", hint=f"use one of: {', '.join(able)}")
    return FORMATS[format]


def _told(source: Source) -> str:
    if source.folder is not None:
        for name, each in FORMATS.items():
            if each.holds is not None and each.holds(source.folder):
                return name
    head = source.head()
    for name, each in FORMATS.items():
        if each.looks is not None and each.looks(head):
            return name
    first = source.first()
    if first is None:
        raise FieldInvalid("the file", "is empty; nothing tells its format", hint="name the format")
    try:
        record = strict_loads(first.text)
    except Invalid:
        first.record()  # raises the same with its line
        raise
    for name, each in FORMATS.items():
        if type(record) is dict and each.sniff is not None and each.sniff(record):
            return name
    readable = ", ".join(name for name, each in FORMATS.items() if each.readable)
    hint = f"nothing was imported; name the format: {readable}"
    if type(record) is dict and "intentstore-backup" in record:
        hint = "nothing was imported; a backup is brought back with restore"
    raise FieldInvalid("the file", f"is none that we know by its line {first.number}", hint=hint)


def _watched(source: Source, progress: Progress | None) -> Iterator[Line]:
    for count, line in enumerate(source):
        if progress is not None and count % _EVERY == 0:
            progress(source.position, source.size)
        yield line
