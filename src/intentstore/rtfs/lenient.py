"""What careless writers do to RTFS, put right before it is read strictly; every repair is told with its place.

Language models put commas between items, colons behind keys, prose around forms. Knows letters and brackets; of forms
only which lists hold data, for code is left as it is.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..ground.errors import IntentStoreError, RtfsSyntaxError
from .tokens import BAD, CLOSER, PIECE, TOKEN, syntax_error

_PIECE = re.compile(
    r"""(?P<space>[ \t\r\n]++) | (?P<note>;[^\n]*+|\#\|(?:[^|]++|\|(?!\#))*+\|\#) | (?P<slashes>//[^\n]*+)
    | "(?P<string>(?:[^"\\]++|\\.)*+)"(?P<colon>:(?![^\s\[{("]))?+ | [“„](?P<smart>[^”“]*+)[”“] | "(?P<endless>.*+)
    | '(?P<single>[^'\n]*+)'(?=[\s,)\]}]) | (?P<comma>,) | (?P<open>\#?\(|[\[{]) | (?P<set>\#\{) | (?P<close>[)\]}])
    | (?P<word>resource://[^ \t\r\n]++|(?:[^\s,;"()\[\]{}“„”]|(?<=[0-9]),(?=[0-9]{3}))++) | (?P<odd>.)""",
    re.VERBOSE | re.DOTALL,
)
_DATA = re.compile(r"\((?:(?:ccos/)?intent|edge|intent-graph|intents|edges|do|intentstore/\w+)(?=[\s()\"{]|\Z)")
_CLAUSE = re.compile(
    r"\((?:goal|description|priority|status|labels|constraints|preferences|metadata"
    r"|(?:original|rtfs|success|session|generation|created|updated)[_-]\w+)\s"
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*```[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_BEGIN = re.compile(
    r"\((?:(?:ccos/)?intent|edge|intent-graph|do)(?=[\s\"{(])|\{\s*:type\b|^intent\s+[^\n{(]*\{", re.MULTILINE
)
_WORDS = {"null": "nil", "None": "nil", "NULL": "nil", "True": "true", "False": "false", "TRUE": "true"}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]+(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?")
_MILLIS = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{3})Z")
_NUMBER = re.compile(r"([+-]?)([0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_KEY = re.compile(r":?([A-Za-z_][\w.-]*):")


class Repair(NamedTuple):
    """One kind of thing that was put right: where it stood first, what it was, how often it was done."""

    line: int
    column: int
    what: str
    times: int = 1


class Mended(NamedTuple):
    """A text whose letters can be read strictly, and what was done to it.

    ``places`` are offsets in it from which on it follows the given text, each with the offset there.
    """

    text: str
    repairs: tuple[Repair, ...] = ()
    given: str = ""
    places: tuple[tuple[int, int], ...] = ()

    @contextmanager
    def in_what_was_given(self) -> Iterator[None]:
        """Puts what is refused inside the block at its place in the given text, where that has changed on the way."""
        try:
            yield
        except IntentStoreError as error:
            if "column" not in error.fields or self.text == self.given:
                raise
            raise self._placed(error) from error.__cause__

    def _placed(self, error: IntentStoreError) -> IntentStoreError:
        line, column = error.fields["line"], error.fields["column"]
        starts = [0, *(found.end() for found in re.finditer("\n", self.text))]
        offset = starts[line - 1] + column - 1
        after, at = self.places[bisect(self.places, (offset, len(self.given))) - 1]
        there = syntax_error(self.given, at + offset - after, error.message.partition(": ")[2], hint=error.hint)
        if isinstance(error, RtfsSyntaxError):
            return there
        again = type(error).__new__(type(error))
        place = {"line": there.line, "column": there.column}
        IntentStoreError.__init__(again, there.message, hint=error.hint, **{**error.fields, **place})
        return again


def mend(text: str) -> Mended:
    """Returns the text with commas, foreign words, quotes, escapes and brackets as RTFS has them.

    >>> mend("{:a 1, :b null}").text
    '{:a 1  :b nil}'
    >>> [repair.what for repair in mend("[1").repairs]
    ['closed [ at the end']
    """
    mender = _Mender(text)
    for piece in _PIECE.finditer(text):
        mender.take(piece)
    mender.close_all()
    return Mended("".join(mender.out), tuple(mender.repairs.values()), text, tuple(mender.places))


def unwrap(text: str) -> Mended:
    """Returns the text with blanks for the code fence and the prose around its forms; all else keeps its place."""
    notes = _Notes(text)
    fences = [found for found in _FENCE.finditer(text) if _BEGIN.search(found[1])]
    if fences:
        notes.note(fences[0].start(), "took what stands in the code fence")
        text = _only(text, [found.span(1) for found in fences])
    first = _BEGIN.search(text)
    if first is None:
        return Mended(text, tuple(notes.repairs.values()))
    if any(line.strip() and line.lstrip()[0] != ";" for line in text[: first.start()].splitlines()):
        notes.note(0, "left out the words before the first form")
        text = _only(text, [(first.start(), len(text))])
    end = _last_end(text)
    if any(line.strip() and line.lstrip()[0] != ";" for line in text[end:].splitlines()):
        notes.note(end, "left out the words behind the last form")
        text = _only(text, [(0, end)])
    return Mended(text, tuple(notes.repairs.values()))


def _only(text: str, spans: Iterable[tuple[int, int]]) -> str:
    blank = [letter if letter == "\n" else " " for letter in text]
    for begin, end in spans:
        blank[begin:end] = text[begin:end]
    return "".join(blank)


def _last_end(text: str) -> int:
    """Returns where the last form ends that begins as one of ours; the text's end where that is never closed."""
    end = 0
    while (begun := _BEGIN.search(text, end)) is not None:
        depth = 0
        for piece in PIECE.finditer(text, begun.start()):
            if piece.lastindex in (1, 2, 3):
                depth += -1 if piece.lastindex == 3 else 1
                if depth == 0:
                    end = piece.end()
                    break
        else:
            return len(text)
    return end


class _Notes:
    def __init__(self, text: str) -> None:
        self.text = text
        self.repairs: dict[str, Repair] = {}

    def note(self, at: int, what: str) -> None:
        known = self.repairs.get(what)
        if known is not None:
            self.repairs[what] = known._replace(times=known.times + 1)
            return
        line = self.text.count("\n", 0, at) + 1
        self.repairs[what] = Repair(line, at - self.text.rfind("\n", 0, at), what)


class _Mender(_Notes):
    """Takes the text piece by piece and puts out what it should have been."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.out: list[str] = []
        self.places: list[tuple[int, int]] = []
        self._written = self._counted = 0
        self._open: list[tuple[str, bool, str]] = []  # a bracket, whether it holds data, what the text closes it with

    @property
    def _in_data(self) -> bool:
        return not self._open or self._open[-1][1]

    def take(self, piece: re.Match[str]) -> None:
        kind, at = piece.lastgroup, piece.start()
        self._written += sum(map(len, self.out[self._counted :]))
        self._counted = len(self.out)
        self.places.append((self._written, at))
        match kind:
            case "open":
                self._opened(piece[0], at)
            case "close":
                self._closed(piece[0], at)
            case "endless":
                self.note(at, "closed a string at the end of the text")
                self._string(piece["endless"].rstrip("\\"), at)
            case _ if self._in_data:
                self._data(piece, at)
            case _:
                self.out.append(piece[0])

    def _data(self, piece: re.Match[str], at: int) -> None:
        match piece.lastgroup:
            case "string" | "colon":
                key = _KEY.fullmatch(f"{piece['string']}:") if piece["colon"] else None
                if piece["colon"]:
                    self.note(piece.start("colon"), "a colon behind a key left out")
                if key is not None and self._open and self._open[-1][0] == "(":  # no map: there a key is a keyword
                    self.out.append(f":{key[1]}")
                else:
                    self._string(piece["string"], at)
            case "smart" | "single" as kind:
                self.note(at, "foreign quotation marks made double quotes")
                self._string(piece[kind].replace('"', '\\"'), at)
            case "comma":
                self.note(at, "a comma read as a space")
                self.out.append(" ")
            case "slashes":
                self.note(at, "// read as a comment")
                self.out.append(f";{piece[0]}")
            case "word":
                self._word(piece[0], at)
            case "set":
                self.note(at, "a set read as a vector")
                self._opened("[", at, closer="}")
            case "odd":
                self.note(at, f"{piece[0]!r} left out")
            case _:
                self.out.append(piece[0])

    def close_all(self) -> None:
        """Closes what is open at the end."""
        if self.out and self.out[-1].startswith(";"):
            self.out.append("\n")
        while self._open:
            bracket = self._open.pop()[0]
            self.note(len(self.text), f"closed {bracket[-1]} at the end")
            self.out.append(CLOSER[bracket[-1]])

    # --- brackets ---

    def _opened(self, bracket: str, at: int, *, closer: str = "") -> None:
        data = self._in_data and (
            bracket in ("[", "{") or _DATA.match(self.text, at) is not None or _CLAUSE.match(self.text, at) is not None
        )
        self._open.append((bracket, data, closer or CLOSER[bracket[-1]]))
        self.out.append(bracket)

    def _closed(self, bracket: str, at: int) -> None:
        if all(bracket != closer for _, _, closer in self._open):
            self.note(at, f"an extra {bracket} left out")
            return
        while self._open[-1][2] != bracket:
            missing = CLOSER[self._open.pop()[0][-1]]
            self.note(at, f"added a missing {missing}")
            self.out.append(missing)
        self.out.append(CLOSER[self._open.pop()[0][-1]])

    # --- strings and words ---

    def _string(self, inside: str, at: int) -> None:
        def one(match: re.Match[str]) -> str:
            letter = match[1]
            if letter in 'ntr\\"':
                return match[0]
            if len(letter) == 5:
                self.note(at + match.start(), "an escape \\uXXXX made its letter")
                char = chr(int(letter[1:], 16))
                return "" if "\ud800" <= char <= "\udfff" or char == "\0" else char
            if letter in ("/", "'"):
                self.note(at + match.start(), f"an escape \\{letter} made {letter}")
                return letter
            self.note(at + match.start(), f"an unknown escape \\{letter} kept as it stands")
            return f"\\\\{letter}"

        self.out.append(f'"{_ESCAPE.sub(one, inside)}"')

    def _word(self, word: str, at: int) -> None:
        token = TOKEN.fullmatch(word)
        if word in _WORDS:
            self.note(at, f"{word} read as {_WORDS[word]}")
            self.out.append(_WORDS[word])
        elif word[0] in "`~^@" or (token is not None and token.lastindex != BAD):  # code, or right as it is
            self.out.append(word)
        else:
            self.out.append(self._foreign(word, at))

    def _foreign(self, word: str, at: int) -> str:
        key, millis, number = _KEY.fullmatch(word), _MILLIS.fullmatch(word), _NUMBER.fullmatch(word)
        if key is not None:
            self.note(at, "a colon behind a key put before it")
            return f":{key[1]}"
        if millis is not None:
            self.note(at, "milliseconds of a time written behind _")
            return f"{millis[1]}_{millis[2]}Z"
        if _DATE.fullmatch(word) is not None:
            self.note(at, "a bare date put in quotes")
            return f'"{word}"'
        if number is not None and any(letter.isdigit() for letter in word):
            self.note(at, "a number written as RTFS writes it")
            return _number(number)
        if word.startswith("'") and TOKEN.fullmatch(word[1:]) is not None and len(word) > 1:
            self.note(at, "a quote mark left out")
            return word[1:]
        self.note(at, f"{word[:40]!r} put in quotes")
        escaped = word.replace("\\", "\\\\")
        return f'"{escaped}"'


def _number(number: re.Match[str]) -> str:
    sign, whole, part, power = number[1], number[2].replace(",", "").replace("_", ""), number[3], number[4]
    if part is None and power is None:
        return f"{sign}{whole}"
    return f"{sign}{whole or '0'}.{(part or '.')[1:] or '0'}{power or ''}"
