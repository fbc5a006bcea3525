"""A whole text of forms: its intents and edges, wherever they stand in it; the rest is counted.

Plans, functions and actions around them are passed over by their brackets, so that what this library does not know
hinders nothing. Knows forms; has never heard of a graph.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..ground.errors import FieldInvalid, RtfsSyntaxError
from ..ground.types import Edge, Intent
from .block import HEAD, read_block
from .code import bracket_end
from .edges import edge_from
from .intents import intent_from
from .reader import More, Reader
from .spelling import Spelled, take_apart, taken_apart
from .stream import Places
from .window import Source, Window
from .writer import write_intent

if TYPE_CHECKING:
    from .lenient import Repair

_TOP = re.compile(
    r"""[ \t\r\n]++ | ;[^\n]*+ | \#\|(?:[^|]++|\|(?!\#))*+\|\#
    | (?P<through>\((?:do|intent-graph|intents|edges)(?=[\s();]|\Z)) | (?P<open>[(\[{]) | (?P<close>[)\]}])
    | (?P<string>"(?:[^"\\]++|\\.)*+") | (?P<endless>"|\#\|)
    | (?P<word>resource://[^ \t\r\n]++|(?:[^ \t\r\n;"()\[\]{}\#]++|\#(?!\|))++)""",
    re.VERBOSE | re.DOTALL,
)
_OURS = re.compile(r'\((?:(?:ccos/)?(intent)|(edge))(?=[\s"{:()\[\];])')
_MAP_FORM = re.compile(r'\s*"?:?type"?\s+"intent"')
QUOTES = "`~@^'#"
"""What turns the form behind it into code."""
_DEEPEST = 10_000  # code that is passed over may nest deeper than data
_AHEAD = 4096  # no name is longer


class Statement(NamedTuple):
    """One form of a text: an intent, an edge, or something else.

    ``snapshot`` says that it stands in an ``(intent-graph …)``, which was generated and is nobody's source.
    """

    kind: Literal["intent", "edge", "other"]
    text: str
    line: int
    column: int
    snapshot: bool = False
    spelled: Spelled | None = None

    def intent(self, *, goal: str | None = None) -> Intent:
        """Returns the intent this is; ``goal`` stands in for a missing one."""
        return intent_from(self.taken_apart(), goal=goal, source=not self.snapshot)

    def edge(self) -> Edge:
        """Returns the edge this is; its ends are what stands there, ids or names."""
        return edge_from(self.taken_apart())

    def taken_apart(self) -> Spelled:
        """Returns its name and its fields, each with its place."""
        return self.spelled or take_apart(self.text, line=self.line, column=self.column)


class Document(NamedTuple):
    """What a text holds: its intents and edges in order, how many other forms, and what was repaired to read it."""

    intents: tuple[Intent, ...]
    edges: tuple[Edge, ...]
    others: int
    repairs: tuple[Repair, ...] = ()


def parse(source: Source, *, lenient: bool = False, goal: str | None = None) -> Document:
    """Returns the intents and edges of a text in any spelling; each intent keeps its exact source.

    ``lenient`` repairs what language models get wrong, and tells; ``goal`` stands in for a missing one.

    >>> document = parse('(intent "a" :goal "A") (defn f [x] x) (edge :Enables "a" "b")')
    >>> len(document.intents), document.edges[0].type, document.others
    (1, 'enables', 1)
    """
    if not lenient:
        return _document(source, goal=goal, clauses=False)
    from .lenient import mend, unwrap

    given = Window(source if isinstance(source, str | bytes) else source.read()).text
    bare = unwrap(given)
    mended = mend(bare.text)
    with mended.in_what_was_given():
        document = _document(mended.text, goal=goal, clauses=True)
    repairs = bare.repairs + mended.repairs
    if repairs and len(document.intents) == 1:  # what was really written, not what was made of it
        document = document._replace(intents=(document.intents[0].replace(rtfs_source=given),))
    return document._replace(repairs=repairs)


def _document(source: Source, *, goal: str | None, clauses: bool) -> Document:
    intents: list[Intent] = []
    edges: list[Edge] = []
    others = 0
    for statement in statements(source, clauses=clauses):
        if statement.kind == "intent":
            intents.append(statement.intent(goal=goal))
        elif statement.kind == "edge":
            edges.append(statement.edge())
        else:
            others += 1
    return Document(tuple(intents), tuple(edges), others)


def read_intent(text: str | bytes, *, lenient: bool = False) -> Intent:
    """Returns the one intent of a text: the inverse of `write_intent`, whose texts are no source to be kept.

    >>> intent = Intent(name="a", goal="A", priority=3)
    >>> read_intent(write_intent(intent)) == intent
    True
    """
    document = parse(text, lenient=lenient)
    if len(document.intents) != 1 or document.edges or (document.others and not lenient):
        held = f"{len(document.intents)} intents, {len(document.edges)} edges and {document.others} other forms"
        raise FieldInvalid("text", f"holds {held}, not one intent", hint="intentstore.rtfs.parse() reads them all")
    intent = document.intents[0]
    bare = intent.replace(rtfs_source=None)
    itself = intent.rtfs_source == (text if isinstance(text, str) else text.decode()).strip()
    return bare if itself and _is_written(intent.rtfs_source or "", bare) else intent


def _is_written(source: str, intent: Intent) -> bool:
    """True when a source is what `write_intent` makes of its intent, but for where the lines break."""
    squeezed = "".join(source.split())
    return any(squeezed == "".join(write_intent(intent, width=width).split()) for width in (None, 1))


def statements(source: Source, *, clauses: bool = False) -> Iterator[Statement]:
    """Yields the forms of a text or binary stream, those within ``(do …)`` and ``(intent-graph …)`` one by one.

    A stream of any length takes only as much memory as its longest form. ``clauses`` as in `take_apart`.
    """
    splitter = _Splitter(Window(source), clauses=clauses)
    while True:
        try:
            yield from splitter.take()
        except More:
            splitter.more()
            continue
        return


class _Splitter:
    def __init__(self, window: Window, *, clauses: bool) -> None:
        self._window, self._clauses = window, clauses
        self._pos, self._quoted = 0, False
        self._around: list[tuple[str, int, int]] = []  # the lists being looked through: name, line, column

    def more(self) -> None:
        """Reads on behind what was taken."""
        self._window.more(self._pos)
        self._pos = 0

    def take(self) -> Iterator[Statement]:
        """Yields what the window holds whole; raises `More` at what it does not."""
        window, places = self._window, Places(self._window)
        text = window.text
        reader = Reader(text, final=window.final, line=window.line, column=window.column)
        while self._pos < len(text):
            if not window.final and len(text) - self._pos < _AHEAD:
                raise More
            found = _TOP.match(text, self._pos)
            assert found is not None
            kind, at, end = found.lastgroup, self._pos, found.end()
            quoted, self._quoted = self._quoted, False
            if kind == "through" and not quoted:
                self._around.append((found[0][1:], *places.at(at)))
            elif kind in ("open", "through"):
                statement = self._form(reader, at, places.at(at), quoted=quoted)
                end = at + len(statement.text)
                yield statement
            elif kind == "close":
                if not self._around or found[0] != ")":
                    reader.fail(at, f"unexpected {found[0]}", hint="nothing is open here")
                self._around.pop()
            elif kind == "endless":
                reader.endless(at)
            elif kind is not None:
                end = yield from self._word(reader, found, places)
            self._pos = end
        if not window.final:
            raise More
        if self._around:
            name, line, column = self._around[-1]
            Reader(f"({name}", line=line, column=column).unclosed(0)

    def _word(self, reader: Reader, found: re.Match[str], places: Places) -> Generator[Statement, None, int]:
        text, at = reader.text, found.start()
        if found[0] == "intent" and HEAD.match(text, at):
            block, end = read_block(text, at, final=reader.final, line=reader.line, column=reader.column)
            yield Statement("intent", block.text, block.line, block.column, spelled=block)
            return end
        if not reader.final and found.end() == len(text):
            raise More
        self._quoted = found[0][-1] in QUOTES and text[found.end() : found.end() + 1] in ("(", "[", "{")
        if not self._quoted or found[0].strip(QUOTES):  # a quote mark belongs to the bracket behind it
            yield Statement("other", found[0], *places.at(at))
        return found.end()

    def _form(self, reader: Reader, at: int, place: tuple[int, int], *, quoted: bool) -> Statement:
        text = reader.text
        ours = None if quoted else _OURS.match(text, at)
        if ours is not None:
            spelled, _ = taken_apart(reader, at, place, clauses=self._clauses)
            snapshot = any(name == "intent-graph" for name, _, _ in self._around)
            return Statement("intent" if ours[1] else "edge", spelled.text, *place, snapshot, spelled)
        loose = Reader(text, max_depth=_DEEPEST, final=reader.final, line=reader.line, column=reader.column)
        form = text[at : bracket_end(loose, at, 0)]
        if form[0] == "{" and not quoted and _MAP_FORM.search(form) is not None:
            return _map_form(form, *place)
        return Statement("other", form, *place)


def _map_form(text: str, line: int, column: int) -> Statement:
    try:
        spelled = take_apart(text, line=line, column=column)
    except RtfsSyntaxError:
        if _MAP_FORM.match(text, 1) is None:
            return Statement("other", text, line, column)
        raise
    kind = spelled.fields.get("type")
    ours = kind is not None and kind.value == "intent"
    return Statement("intent" if ours else "other", text, line, column, spelled=spelled)
