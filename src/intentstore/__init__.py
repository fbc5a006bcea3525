"""A persistent graph of intents: goals that survive the process that set them.

``from intentstore import open_graph, Intent`` is where to begin; ARCHITECTURE.md draws the house.
"""

from ._version import __version__
from .graph import Branch, IntentGraph, Receipt, Report, Transaction
from .ground.change import Batch, Change, Commit, Drop, Entry, Link, Note, Put, Unlink
from .ground.query import ConnectedTo, Found, HasEdge, Hit, IntentFilter, Page, Sort
from .ground.types import Edge, EdgeType, Intent, IntentStatus
from .ground.values import Code, ErrorValue, Keyword, Map, Resource, Symbol, Value
from .opening import open_graph
from .storage.choose import File, InMemory, Postgres, Sqlite, StorageConfig

__all__ = [
    "Batch",
    "Branch",
    "Change",
    "Code",
    "Commit",
    "ConnectedTo",
    "Drop",
    "Edge",
    "EdgeType",
    "Entry",
    "ErrorValue",
    "File",
    "Found",
    "HasEdge",
    "Hit",
    "InMemory",
    "Intent",
    "IntentFilter",
    "IntentGraph",
    "IntentStatus",
    "Keyword",
    "Link",
    "Map",
    "Note",
    "Page",
    "Postgres",
    "Put",
    "Receipt",
    "Report",
    "Resource",
    "Sort",
    "Sqlite",
    "StorageConfig",
    "Symbol",
    "Transaction",
    "Unlink",
    "Value",
    "__version__",
    "open_graph",
]
