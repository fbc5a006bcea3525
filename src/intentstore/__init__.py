"""A persistent graph of intents: goals that survive the process that set them.

``from intentstore import open_graph, Intent`` is where to begin; ARCHITECTURE.md draws the house. A name is imported
when it is first asked for, so that ``intent --version`` does not wait for a graph.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .ground import seam

if TYPE_CHECKING:
    from .aio import AsyncIntentGraph, open_graph_async
    from .graph.context import Context, Included
    from .graph.doctor import Health
    from .graph.graph import Branch, IntentGraph, Report
    from .graph.infer import Proposal
    from .graph.laid import MergeConflict
    from .graph.merge import Merged
    from .graph.model import Model
    from .graph.needs import CriticalPath, Cycle
    from .graph.policy import Allow, Cascade, Forbid, MostParents, Policy, Require, Timeout, When
    from .graph.proposed import Proposed
    from .graph.recall import HistoryFilter, Outcomes
    from .graph.relations import Clash, Impact
    from .graph.repair import Repaired
    from .graph.seal import Seal
    from .graph.timeline import Difference, FieldChange, Origin, Stage
    from .graph.transaction import Transaction
    from .graph.transfer import Receipt
    from .ground.change import Batch, Change, Commit, Define, Drop, Entry, Link, Note, Put, Unlink
    from .ground.errors import (
        AlreadyThere,
        Busy,
        Closed,
        CommitMissing,
        Conflict,
        Corrupt,
        CycleRefused,
        DefinitionMissing,
        DegradedWarning,
        EdgeMissing,
        FieldInvalid,
        Full,
        IntentMissing,
        IntentStoreError,
        Invalid,
        LeaseHeld,
        Locked,
        Missing,
        PolicyRefused,
        QueryInvalid,
        ReadOnly,
        RevisionMissing,
        RtfsSyntaxError,
        StaleRevision,
        StorageError,
        TooNew,
        TransitionRefused,
        Unavailable,
        Unsupported,
    )
    from .ground.protocol import Degraded, Replay, Unreplayed
    from .ground.query import ConnectedTo, Found, HasEdge, Hit, IntentFilter, Page, Sort
    from .ground.types import Claim, Edge, EdgeType, Intent, IntentStatus
    from .ground.values import Code, ErrorValue, Keyword, Map, Resource, Symbol, Value
    from .opening import migrate_store, open_graph, repair_store
    from .rtfs.builder import IntentBuilder
    from .storage.choose import File, InMemory, Postgres, Servers, Sqlite, StorageConfig

_HOMES = {
    "aio": "AsyncIntentGraph open_graph_async",
    "graph.context": "Context Included",
    "graph.graph": "Branch IntentGraph Report",
    "graph.infer": "Proposal",
    "graph.laid": "MergeConflict",
    "graph.merge": "Merged",
    "graph.model": "Model",
    "graph.needs": "CriticalPath Cycle",
    "graph.policy": "Allow Cascade Forbid MostParents Policy Require Timeout When",
    "graph.proposed": "Proposed",
    "graph.recall": "HistoryFilter Outcomes",
    "graph.relations": "Clash Impact",
    "graph.timeline": "Difference FieldChange Origin Stage",
    "graph.doctor": "Health",
    "graph.repair": "Repaired",
    "graph.seal": "Seal",
    "graph.transaction": "Transaction",
    "graph.transfer": "Receipt",
    "ground.change": "Batch Change Commit Define Drop Entry Link Note Put Unlink",
    "ground.errors": (
        "AlreadyThere Busy Closed CommitMissing Conflict Corrupt CycleRefused DefinitionMissing"
        " DegradedWarning EdgeMissing"
        " FieldInvalid Full IntentMissing IntentStoreError Invalid LeaseHeld Locked Missing PolicyRefused"
        " QueryInvalid ReadOnly RevisionMissing RtfsSyntaxError StaleRevision StorageError TooNew"
        " TransitionRefused Unavailable Unsupported"
    ),
    "ground.protocol": "Degraded Replay Unreplayed",
    "ground.query": "ConnectedTo Found HasEdge Hit IntentFilter Page Sort",
    "ground.types": "Claim Edge EdgeType Intent IntentStatus",
    "ground.values": "Code ErrorValue Keyword Map Resource Symbol Value",
    "opening": "migrate_store open_graph repair_store",
    "rtfs.builder": "IntentBuilder",
    "storage.choose": "File InMemory Postgres Servers Sqlite StorageConfig",
}
seam.put_in(lambda: import_module(".rtfs", __name__))
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'intentstore' has no attribute {name!r}")
    found = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


__all__ = [
    "Allow",
    "AlreadyThere",
    "AsyncIntentGraph",
    "Batch",
    "Branch",
    "Busy",
    "Cascade",
    "Change",
    "Claim",
    "Clash",
    "Closed",
    "Code",
    "Commit",
    "CommitMissing",
    "Conflict",
    "ConnectedTo",
    "Context",
    "Corrupt",
    "CriticalPath",
    "Cycle",
    "CycleRefused",
    "Define",
    "DefinitionMissing",
    "Degraded",
    "DegradedWarning",
    "Difference",
    "Drop",
    "Edge",
    "EdgeMissing",
    "EdgeType",
    "Entry",
    "ErrorValue",
    "FieldChange",
    "FieldInvalid",
    "File",
    "Forbid",
    "Found",
    "Full",
    "HasEdge",
    "Health",
    "HistoryFilter",
    "Hit",
    "Impact",
    "InMemory",
    "Included",
    "Intent",
    "IntentBuilder",
    "IntentFilter",
    "IntentGraph",
    "IntentMissing",
    "IntentStatus",
    "IntentStoreError",
    "Invalid",
    "Keyword",
    "LeaseHeld",
    "Link",
    "Locked",
    "Map",
    "MergeConflict",
    "Merged",
    "Missing",
    "Model",
    "MostParents",
    "Note",
    "Origin",
    "Outcomes",
    "Page",
    "Policy",
    "PolicyRefused",
    "Postgres",
    "Proposal",
    "Proposed",
    "Put",
    "QueryInvalid",
    "ReadOnly",
    "Receipt",
    "Repaired",
    "Replay",
    "Report",
    "Require",
    "Resource",
    "RevisionMissing",
    "RtfsSyntaxError",
    "Seal",
    "Servers",
    "Sort",
    "Sqlite",
    "Stage",
    "StaleRevision",
    "StorageConfig",
    "StorageError",
    "Symbol",
    "Timeout",
    "TooNew",
    "Transaction",
    "TransitionRefused",
    "Unavailable",
    "Unlink",
    "Unreplayed",
    "Unsupported",
    "Value",
    "When",
    "__version__",
    "migrate_store",
    "open_graph",
    "open_graph_async",
    "repair_store",
]
