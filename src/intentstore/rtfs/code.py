"""Where code ends: lists, quotations, shorthand functions, passed over by their brackets and never looked into.

Within code only brackets, strings and comments count; what else it says is its own business. Knows letters and
offsets; has never heard of a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tokens import ATOM, CLOSER, PIECE, SPACE

if TYPE_CHECKING:
    from .reader import Reader


def code_end(reader: Reader, start: int, depth: int) -> int:
    """Returns where the one form of code ends that begins at an offset, its quotes and metadata with it."""
    text, pos, wanted = reader.text, start, 1
    while wanted:
        pos = SPACE.match(text, pos).end()  # type: ignore[union-attr]  # it matches no space too
        letter = text[pos : pos + 1]
        if letter in ("`", "~"):
            pos += 2 if text.startswith("~@", pos) else 1
        elif letter == "^":
            pos += 1
            wanted += 2 if text.startswith(":delegation", pos) else 1
        elif letter in ("(", "[", "{") or text.startswith("#(", pos):
            pos, wanted = bracket_end(reader, pos + (letter == "#"), depth), wanted - 1
        elif not letter:
            reader.unfinished(start, "expected a form after this", "nothing follows")
        elif letter in (")", "]", "}"):
            reader.fail(pos, f"expected a form, found {letter}", hint="something is missing before it")
        else:
            pos, wanted = _word_end(reader, pos), wanted - 1
    return pos


def bracket_end(reader: Reader, start: int, depth: int) -> int:
    """Returns the offset behind the bracket that closes the one at ``start``."""
    text = reader.text
    opened: list[int] = []
    for piece in PIECE.finditer(text, start):
        kind = piece.lastindex
        if kind is None:  # a string or a comment, whole
            continue
        at = piece.start()
        if kind <= 2:
            if depth + len(opened) >= reader.limit:
                reader.fail(at, f"nested deeper than {reader.limit}", hint="flatten it")
            opened.append(at)
        elif kind == 3:
            if CLOSER[text[opened[-1]]] != text[at]:
                reader.mismatch(opened[-1], at)
            opened.pop()
            if not opened:
                return at + 1
        else:
            reader.endless(at)
    return reader.unclosed(opened[-1])


def _word_end(reader: Reader, pos: int) -> int:
    if reader.text[pos] != '"':
        word = ATOM.match(reader.text, pos)
        assert word is not None
        return word.end()
    string = PIECE.match(reader.text, pos)
    assert string is not None
    return reader.endless(pos) if string.lastindex else string.end()
