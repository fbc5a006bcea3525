"""A text as it should look: intents and edges in their canonical form, comments kept, everything else as it stands.

Knows forms, comments and lines. A form whose tidy text would not say exactly the same is left as it was written.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from ..ground.errors import Invalid
from ..ground.types import Intent
from .document import QUOTES, Statement, statements
from .edges import edge_of
from .intents import intent_from
from .printer import WIDTH
from .printer import text as printed
from .reader import Reader
from .spelling import Spelled, take_apart
from .window import Window
from .writer import field_texts, write_edge, write_intent

_NOTE = r";[^\n]*+|\#\|(?:[^|]++|\|(?!\#))*+\|\#"
_NOTES = re.compile(rf'"(?:[^"\\]++|\\.)*+"|(?P<note>{_NOTE})', re.DOTALL)
_GAP = re.compile(rf"(?P<space>[ \t\r]++)|(?P<line>\n)|(?P<note>{_NOTE})|(?P<other>.)", re.DOTALL)
_SAME = {"intent-id": "id", "description": "goal", "rtfs-source": "rtfs-intent", "rtfs-intent-source": "rtfs-intent"}


def tidy(source: str | bytes, *, width: int = WIDTH) -> str:
    r"""Returns the text with its intents and edges in canonical form, each on lines of its own; the same if it is so.

    >>> tidy('; goals\n(intent ship  goal "Ship", )'.replace(",", ""))
    '; goals\n(intent "ship" :goal "Ship")\n'
    """
    text = Window(source).text
    lines = _line_starts(text)
    out: list[str] = []
    pos = depth = 0
    for statement in statements(text):
        at = lines[statement.line - 1] + statement.column - 1
        quoted = pos == at and text[pos - 1 : pos] in tuple(QUOTES)
        depth, written = (depth, "") if quoted else _between(text[pos:at], depth, first=not out)
        before = text[lines[statement.line - 1] : at]
        out += (written, _inside(statement, before, width) if depth else _tidied(statement, width))
        pos = at + len(statement.text)
    return "".join([*out, _ending(text[pos:], depth, first=not out)])


def _line_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer("\n", text))]


# --- between forms ---


def _between(gap: str, depth: int, *, first: bool) -> tuple[int, str]:
    """Returns how many lists are open behind the gap, and the gap tidied; inside a list it stays as it is."""
    pieces = list(_GAP.finditer(gap))
    odd = "".join([piece[0] for piece in pieces if piece["other"]])
    deeper = depth + odd.count("(") - odd.count(")")
    if depth or odd:
        return deeper, gap
    written, lines = _notes(pieces, first=first)
    return 0, written if first and not written else written + "\n" * min(max(lines, 1), 2)


def _ending(gap: str, depth: int, *, first: bool) -> str:
    pieces = list(_GAP.finditer(gap))
    if depth or any(piece["other"] for piece in pieces):
        return gap.rstrip() + "\n"
    written, _ = _notes(pieces, first=first)
    return written + "\n" if written or not first else ""


def _notes(pieces: list[re.Match[str]], *, first: bool) -> tuple[str, int]:
    """Returns the comments of a gap as they stand under each other, and the line ends behind the last."""
    out, lines = "", 0
    for piece in pieces:
        if piece["line"]:
            lines += 1
        elif piece["note"]:
            before = "" if first and not out else "\n" * min(lines, 2) or " "
            out, lines = out + before + piece["note"].rstrip(), 0
    return out, lines


# --- one form ---


def _tidied(statement: Statement, width: int) -> str:
    """Returns the canonical text of a form; its own where that would not say the same."""
    written = _written(statement, width)
    return written if _says_the_same(statement, written) else statement.text


def _inside(statement: Statement, before: str, width: int) -> str:
    """Returns the text of a form within another: set in as it was, on one line where it does not begin its line."""
    if _commented(statement.text):
        return statement.text
    if before.strip():
        return _tidied(statement, 2**31)
    written = _tidied(statement, width - len(before)).replace("\n", "\n" + before)
    return written if _says_the_same(statement, written) else statement.text


def _written(statement: Statement, width: int) -> str:
    if statement.kind == "other" or (statement.kind == "edge" and _commented(statement.text)):
        return statement.text
    if statement.kind == "edge":
        return write_edge(statement.edge())
    intent = _intent(statement.taken_apart())
    if not _commented(statement.text):
        return write_intent(intent, width=width)
    return (
        statement.text if statement.text.startswith("intent") else _with_notes(statement.taken_apart(), intent, width)
    )


def _intent(spelled: Spelled) -> Intent:
    return intent_from(spelled, source=False)


def _commented(text: str) -> bool:
    if text.startswith("intent"):  # a block escapes nothing: its strings cannot be told from comments here
        return ";" in text or "#|" in text
    return bool(_notes_in(text))


def _says_the_same(statement: Statement, written: str) -> bool:
    if written == statement.text:
        return True
    meant = statement.edge() if statement.kind == "edge" else _intent(statement.taken_apart())
    try:
        back = edge_of(written) if statement.kind == "edge" else _intent(take_apart(written))
    except Invalid:
        return False
    kept = not _commented(statement.text) or Counter(_notes_in(written)) == Counter(_notes_in(statement.text))
    return back == meant and kept


# --- an intent with comments in it ---


class _Part(NamedTuple):
    """A field with the comments above it and behind it on its line."""

    above: list[str]
    behind: list[str]
    said: str


def _with_notes(spelled: Spelled, intent: Intent, width: int) -> str:
    """Returns the intent with its comments at the fields they stood at; a value with comments inside stays as it is."""
    head_notes, parts, closing = _parts(spelled, {key for key, _ in field_texts(intent, width=width)})
    head, tail = ("(intent {", "})") if intent.name is None else (f"(intent {printed(intent.name)}", ")")
    lines = [" ".join([head, *head_notes])]
    for key, value in field_texts(intent, width=width):
        part = parts.get(key, _Part([], [], ""))
        said = part.said if _notes_in(part.said) else value
        lines += [f"  {note}" for note in part.above]
        lines.append(" ".join([f"  :{key} {said}", *part.behind]))
    lines += [f"  {note}" for note in closing]
    last = parts[key].behind if key in parts else []
    joined = "\n".join(lines)
    return joined + ("\n" if closing or last or intent.name is None else "") + tail


def _parts(spelled: Spelled, keys: set[str]) -> tuple[list[str], dict[str, _Part], list[str]]:
    """Returns the comments behind the head, the fields with theirs by their canonical keys, and those at the end."""
    text, reader = spelled.text, Reader(spelled.text)
    fields = sorted(spelled.fields.items(), key=lambda pair: pair[1].at)
    pos = reader.one(spelled.names[0][1])[2] if spelled.names else 0
    behind: list[str] = []
    above: list[str] = []
    head_notes = behind
    parts: dict[str, _Part] = {}
    for name, field in fields:
        same, own = _notes_at(text, pos, field.at)
        behind += same
        pos = reader.one(field.at)[2]
        above += own
        behind = []
        key = _SAME.get(name, name)
        if key in keys and key not in parts:
            parts[key] = _Part(above, behind, text[field.at : pos])
            above = []
        else:
            behind = above
    same, own = _notes_at(text, pos, len(text))
    behind += same
    return head_notes, parts, above + own


def _notes_at(text: str, begin: int, end: int) -> tuple[list[str], list[str]]:
    """Returns the comments of a stretch: those on the line where it begins, and the others."""
    same: list[str] = []
    own: list[str] = []
    for found in _NOTES.finditer(text, begin, end):
        if found["note"]:
            (own if "\n" in text[begin : found.start()] else same).append(found["note"].rstrip())
    return same, own


def _notes_in(text: str) -> list[str]:
    return [found["note"].rstrip() for found in _NOTES.finditer(text) if found["note"]]
