r"""RTFS 2.0 as data: read it, print it, keep its source. Usable by itself, without a graph.

>>> from intentstore.rtfs import print, read
>>> read('{:goal "Ship" :steps [1 2.5 (f x)]}')
Map({Keyword(name='goal'): 'Ship', Keyword(name='steps'): (1, 2.5, Code(text='(f x)'))})
>>> print(read("[1   ; one\n 2]"))
'[1 2]'

`forms` reads a stream of any length form by form, `read_source` keeps spaces and comments, `parse` finds the intents
and edges of a file, `tidy` lays it out, `IntentBuilder` makes an intent. docs/rtfs.md has the grammar, the table of
values and every spelling.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .builder import IntentBuilder
    from .document import Document, Statement, parse, read_intent, statements
    from .lenient import Mended, Repair, mend
    from .printer import print  # noqa: A004  the word of every Lisp, beside read
    from .reader import read, read_all
    from .source import SourceText, read_source
    from .stream import Form, forms
    from .tidy import tidy
    from .writer import write_edge, write_intent

_HOMES = {
    "builder": "IntentBuilder",
    "document": "Document Statement parse read_intent statements",
    "stream": "Form forms",
    "lenient": "Mended Repair mend",
    "printer": "print",
    "reader": "read read_all",
    "source": "SourceText read_source",
    "tidy": "tidy",
    "writer": "write_edge write_intent",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


__all__ = [
    "Document",
    "Form",
    "IntentBuilder",
    "Mended",
    "Repair",
    "SourceText",
    "Statement",
    "forms",
    "mend",
    "parse",
    "print",
    "read",
    "read_all",
    "read_intent",
    "read_source",
    "statements",
    "tidy",
    "write_edge",
    "write_intent",
]
