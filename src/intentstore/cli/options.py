"""What stands on every command line: the global options, and what a line comes to say.

Knows no verb in particular, and nothing of how words are read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..verbs import Argument, Verb

PROGRAM = "intent"

GLOBALS = (
    Argument(
        "store", "the store: memory:, file:DIR, sqlite:PATH (else $INTENTSTORE_URL, else .intents/)", metavar="URL"
    ),
    Argument("graph", "the graph in it (else $INTENTSTORE_GRAPH, else the store's own)", metavar="NAME"),
    Argument("as_of", "look at the graph as it was after a revision, or at a time (reading verbs)", metavar="REV|TIME"),
    Argument("actor", "who does it; kept in the history (else $INTENTSTORE_ACTOR)", metavar="NAME"),
    Argument("approver", "who approved it; kept in the history, and demanded by some policies", metavar="NAME"),
    Argument(
        "fallback",
        "while the store is away, let writes wait in file:DIR (else $INTENTSTORE_FALLBACK)",
        metavar="URL",
    ),
    Argument("json", "print the result as one JSON document", kind="flag", default=False),
    Argument("quiet", "print nothing but errors, and the id of what was added", kind="flag", default=False),
)


class Asked(NamedTuple):
    """What a command line says. ``verb`` is None when help or the version was asked for, which is in ``text``."""

    verb: Verb | None
    given: dict[str, Any]
    store: str | None = None
    graph: str | None = None
    as_of: str | None = None
    actor: str | None = None
    approver: str | None = None
    fallback: str | None = None
    json: bool = False
    quiet: bool = False
    text: str = ""


def whole(text: str) -> int:
    """Returns the integer that plain digits write, or raises `ValueError`; ``int`` takes 1_0 and other scripts too."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 40:
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)
