"""Every verb, declared once as data; the command line, HTTP and MCP are generated from here.

`VERBS` names them by group without loading them; `verb` loads one. Knows neither argparse nor a terminal.
"""

from __future__ import annotations

from importlib import import_module

from .declare import Argument, Progress, Result, Session, Verb
from .errors import OUTCOMES, Outcome, Usage, document, outcome

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "goals": ("Goals", ("add", "show", "list", "count", "set", "note", "rm")),
    "life": ("Their life", ("start", "done", "fail", "suspend", "archive", "reopen")),
    "fleet": (
        "A fleet at work",
        ("claim", "renew", "release", "recover", "defer", "stale", "sweep", "policies"),
    ),
    "links": ("How they relate", ("link", "unlink", "edges", "tree", "path")),
    "planning": ("What hangs on what", ("impact", "critical-path", "conflicts", "cycles", "infer")),
    "questions": ("Questions", ("ready", "blocked", "search", "context", "history", "log", "watch")),
    "past": ("The past", ("diff", "undo", "blame", "timeline")),
    "merging": ("Copies that went apart", ("merge", "git-merge")),
    "files": ("In and out", ("import", "export", "graph", "apply")),
    "texts": ("RTFS", ("parse", "fmt")),
    "care": ("The store", ("init", "backup", "restore", "copy", "compact", "convert", "replay", "stats")),
    "trust": ("Trust in it", ("verify", "seal", "prove", "repair", "migrate", "doctor")),
}
"""By the module that declares them: the title of the group, and its verbs in order."""

VERBS: dict[str, str] = {name: module for module, (_, names) in GROUPS.items() for name in names}
"""Each verb's module; loading only that one is what keeps a command quick to start."""


def verb(name: str) -> Verb:
    """Returns the verb of this name; an unknown one is `Usage`, with the nearest names as the hint."""
    if name not in VERBS:
        from difflib import get_close_matches

        near = get_close_matches(name, VERBS, n=3)
        hint = f"did you mean: {', '.join(near)}?" if near else "intent --help lists the verbs"
        raise Usage(f"there is no verb {name!r}", hint=hint, verb=name, near=near)
    declared: tuple[Verb, ...] = import_module(f".{VERBS[name]}", __name__).VERBS
    return next(each for each in declared if each.name == name)


__all__ = [
    "GROUPS",
    "OUTCOMES",
    "VERBS",
    "Argument",
    "Outcome",
    "Progress",
    "Result",
    "Session",
    "Usage",
    "Verb",
    "document",
    "outcome",
    "verb",
]
