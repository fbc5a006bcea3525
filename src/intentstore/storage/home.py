"""The directory of a file store: its marker, its graphs' folders, and each graph's head file.

::

    DIR/format.json                  {"intentstore": 2, "encoding": "json"} or "rtfs"; refuses what is newer
    DIR/graphs/NAME/lock             held while writing
    DIR/graphs/NAME/head             one frame: how far the journal certainly goes
    DIR/graphs/NAME/journal-N.jsonl  commits from revision N on
    DIR/graphs/NAME/snapshot-N.tsv   the state after revision N
"""

from __future__ import annotations

import contextlib
import json
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from ..ground.errors import Corrupt, FieldInvalid, TooNew, Unavailable
from .bodies import ENCODINGS
from .disk import Disk, check_directory
from .journal import ZERO, read_frame, write_frame
from .segments import Place

VERSION = 2
_LONGEST = 200
_OURS = frozenset({"lock", "format.json", "format.json.tmp", "graphs"})


class Home:
    """One file store's directory."""

    def __init__(self, disk: Disk, path: Path, encoding: str | None = None) -> None:
        self.disk, self.path, self._asked = disk, path, encoding
        self.encoding = encoding or "json"
        """How commits are written from now on; what is there is read whatever it is."""

    def folder(self, graph: str) -> Path:
        """Returns where a graph is kept; any name gives a plain, distinct file name of bounded length."""
        name = quote(graph, safe=" ").replace(".", "%2E").replace("~", "%7E")
        if len(name) > _LONGEST:
            name = f"{name[:100]}~{sha256(graph.encode()).hexdigest()}"
        return self.path / "graphs" / name

    def graphs(self) -> list[str]:
        """Returns the names of the graphs that are kept here, sorted."""
        folder = self.path / "graphs"
        names = [name for name in self.disk.names(folder) if self.disk.is_there(folder / name / "head")]
        return sorted(unquote(name) if "~" not in name else self._long_name(folder / name) for name in names)

    def _long_name(self, folder: Path) -> str:
        """Returns the name of a graph whose folder bears only a part of it: the journal's header has it whole."""
        first = next(name for name in self.disk.names(folder) if name.startswith("journal-"))
        frame = read_frame(self.disk.read_whole(folder / first).split(b"\n", 1)[0])
        if frame is None:
            raise Corrupt(str(folder / first), "the header does not match its checksum")
        return str(msgspec.json.decode(frame.body)["graph"])

    def enter(self, *, create: bool, read_only: bool, timeout_s: float) -> None:
        """Checks that the directory is a file store of ours, or makes it one where it is new or empty.

        One of an older version says from then on that it is of ours, unless it is only to be read.
        """
        marker = self.path / "format.json"
        if not self.disk.is_there(marker):
            if not create:
                raise Unavailable(
                    f"no file store at {self.path}", hint=f"make one: intent init file:{self.path}", path=str(self.path)
                )
            self._make(marker, timeout_s)
        check_directory(self.path)
        if self.version() < VERSION and not read_only:
            self._make(marker, timeout_s)
        if self._asked not in (None, self.encoding):
            raise FieldInvalid(
                "encoding",
                f"is {self._asked!r}, and {self.path} is written in {self.encoding}",
                hint=f"leave it out, or: intent convert --encoding {self._asked}",
            )

    def convert(self, encoding: str) -> None:
        """Has commits be written in another encoding from now on."""
        self.encoding = encoding
        self._mark()

    def _mark(self) -> None:
        line = msgspec.json.encode({"intentstore": VERSION, "encoding": self.encoding})
        self.disk.write_whole(self.path / "format.json", line + b"\n")

    def _make(self, marker: Path, timeout_s: float) -> None:
        self.disk.make_directory(self.path)
        check_directory(self.path)
        foreign = [name for name in self.disk.names(self.path) if name not in _OURS]
        if foreign:
            raise Unavailable(
                f"{self.path} holds other files ({foreign[0]}, …) and no file store",
                hint="name an empty or new directory",
                path=str(self.path),
            )
        fd = self.disk.open_append(self.path / "lock", create=True)
        try:
            self.disk.lock(fd, timeout_s=timeout_s)
            if not self.disk.is_there(marker) or self.version() < VERSION:
                self.disk.make_directory(self.path / "graphs")
                self._mark()
        finally:
            self.disk.close(fd)

    def version(self) -> int:
        """Returns the format of the store; one that cannot be read here is `TooNew`, no store `Unavailable`."""
        marker = self.path / "format.json"
        if not self.disk.is_there(marker):
            raise Unavailable(f"no file store at {self.path}", hint="name another place", path=str(self.path))
        try:
            found = json.loads(self.disk.read_whole(marker))
            version, encoding = found["intentstore"], found["encoding"]
            if type(version) is not int:
                raise TypeError(version)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Corrupt(str(marker), "is not the marker of a file store", hint="restore the file") from error
        if version > VERSION:
            raise TooNew(
                f"{self.path} has format {version}, this intentstore knows {VERSION}", hint="upgrade intentstore"
            )
        if encoding not in ENCODINGS:
            raise TooNew(f"{self.path} is encoded in {encoding}, unknown here", hint="upgrade intentstore")
        self.encoding = encoding
        return version

    # --- the head of a graph ---

    def read_head(self, graph: str) -> Place:
        """Returns how far the journal of a graph certainly goes."""
        path = self.folder(graph) / "head"
        try:
            data = self.disk.read_whole(path)
        except FileNotFoundError:
            raise Unavailable(
                f"no graph {graph!r} in {self.path}", hint="open it for writing once, or see intent stats", graph=graph
            ) from None
        frame = read_frame(data.removesuffix(b"\n"))
        if frame is None or frame.prev != ZERO:
            raise Corrupt(str(path), "the head does not match its checksum")
        try:
            return msgspec.json.decode(frame.body, type=Place)
        except msgspec.MsgspecError as error:
            raise TooNew(f"{path}: cannot be read here: {error}", hint="upgrade intentstore") from error

    def write_head(self, graph: str, place: Place) -> None:
        """Makes this place the head, old or new at every instant; the journal up to it is durable already."""
        line, _ = write_frame(msgspec.json.encode(place), revision=place.revision, group=place.revision, prev=ZERO)
        self.disk.write_whole(self.folder(graph) / "head", line)

    def size(self, graph: str) -> int:
        """Returns the bytes that a graph's files take."""
        folder = self.folder(graph)
        total = 0
        for name in self.disk.names(folder):
            with contextlib.suppress(FileNotFoundError):  # another process has just removed it
                total += (folder / name).stat().st_size
        return total
