"""The letters of RTFS: one expression that knows every token, and the error that names a place in a text.

Grammar: RTFS 2.0, as docs/rtfs.md states it. Knows characters and offsets; of values only what may be a key.
"""

from __future__ import annotations

import re
from typing import Any

from ..ground.errors import RtfsSyntaxError
from ..ground.values import Keyword

TAG = "(intentstore/"
"""How the lists begin that stand for values RTFS has no letters for."""

_SPACE = r"(?:[ \t\r\n]++|;[^\n]*+|\#\|(?:[^|]++|\|(?!\#))*+\|\#)*+"
_IN_NAME = r"A-Za-z_$+\-*/=<>!?%0-9.@"
_NAME = rf"\.?[A-Za-z_$+\-*/=<>!?%][{_IN_NAME}]*+"
_SYMBOL = rf"{_NAME}(?::v[0-9]++(?:\.[0-9]++)*+/{_NAME})?+"
_ENDS = rf"(?![{_IN_NAME}:])"  # a word ends where no letter of a word follows: 12ab is no number and then a symbol

STRING, KEYWORD, OPEN, CLOSE, INTEGER, FLOAT, ESCAPED, TIME, HEX, RESOURCE, SYMBOL, CODE, END, BAD = range(1, 15)
"""What a token is: the number of its group in `TOKEN`."""

TOKEN = re.compile(
    rf"""{_SPACE}(?:
    "([^"\\]*+)"
    | :({_SYMBOL}|[0-9][{_IN_NAME}]*+){_ENDS}
    | ([\[{{])
    | ([\])}}])
    | ([+-]?[0-9]++){_ENDS}
    | ([+-]?[0-9]++\.[0-9]++(?:[eE][+-]?[0-9]++)?+){_ENDS}
    | "((?:[^"\\]++|\\.)*+)"
    | ([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:_[0-9]{{3}})?+Z){_ENDS}
    | ([0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{12}}){_ENDS}
    | (resource://[^ \t\r\n]++)
    | ((?![+-][0-9]){_SYMBOL}){_ENDS}
    | (\(|\#\(|`|~@?|\^|@:?(?={_NAME}))
    | (\Z)
    | (.)
    )""",
    re.VERBOSE | re.DOTALL,
)
"""One token and the space before it. Matches at every place, so that nothing is passed over in silence."""

WORD = re.compile(_SYMBOL)
"""What RTFS itself takes for a word; `TOKEN` also reads ``:1``, which others write, and which is never written."""

PIECE = re.compile(
    r"""(\() | ([\[{]) | ([\])}]) | "(?:[^"\\]++|\\.)*+" | ;[^\n]*+ | \#\|(?:[^|]++|\|(?!\#))*+\|\# | (") | (\#\|)
    | resource://[^ \t\r\n]++""",
    re.VERBOSE | re.DOTALL,
)
"""What counts in code: brackets, and the strings and comments in which brackets do not count; (4) and (5) never end."""

SPACE = re.compile(_SPACE)
ATOM = re.compile(r'resource://[^ \t\r\n]++|(?:[^ \t\r\n;"()\[\]{}#]++|#(?!\|))++')
"""A word of code: whatever stands between spaces and brackets."""

CLOSER = {"(": ")", "[": "]", "{": "}"}
KEYS = frozenset({Keyword, str, int})
"""What may be the key of a map."""
NOTHING: Any = object()
"""What a reader finds where only space is left."""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}
_AROUND = 60


class Escape(Exception):
    """An escape that RTFS does not have, at an offset within the string's text."""

    def __init__(self, letter: str, at: int) -> None:
        super().__init__(letter)
        self.letter, self.at = letter, at


def unescape(text: str) -> str:
    r"""Returns what the inside of a string literal says; raises `Escape` for an unknown one.

    >>> unescape(r"a \"b\"")
    'a "b"'
    """

    def one(match: re.Match[str]) -> str:
        try:
            return _ESCAPES[match[1]]
        except KeyError:
            raise Escape(match[1], match.start()) from None

    return _ESCAPE.sub(one, text)


def syntax_error(
    text: str, at: int, problem: str, *, hint: str = "", line: int = 1, column: int = 1
) -> RtfsSyntaxError:
    """Returns the error at an offset of the text, with the line it stands on and a caret below.

    ``line`` and ``column`` say where the text itself begins in its file.
    """
    at = max(0, min(at, len(text) - 1))  # inside the text, even where it ends too early
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    there = at - begin
    lines = text.count("\n", 0, at)
    first, last = max(begin, at - _AROUND), min(end, at + _AROUND)
    shown = text[first:last].replace("\t", " ").replace("\r", " ")
    return RtfsSyntaxError(
        problem,
        line=line + lines,
        column=there + (1 if lines else column),
        hint=hint,
        offset=at,
        excerpt=f"{shown}\n{' ' * (at - first)}^",
    )
