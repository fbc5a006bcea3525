"""Floor 1: types to bytes and back, strictly; hashes of what was written.

Knows JSON and digests. Has never heard of a file, a table or a graph's rules. Reading our own bytes is at hand at once;
the rest is imported when it is first asked for, so that a command that only looks does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .body import (
    decode_change,
    decode_commit,
    decode_edge,
    decode_intent,
    encode_change,
    encode_commit,
    encode_edge,
    encode_intent,
)

if TYPE_CHECKING:
    from .chain import change_hash, commit_hash, header_bytes
    from .public import jsonable
    from .strict import change_from, edge_from, filter_from, intent_from, strict_loads, value_from_json

_HOMES = {
    "chain": "change_hash commit_hash header_bytes",
    "public": "jsonable",
    "strict": "change_from edge_from filter_from intent_from strict_loads value_from_json",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
    return found


__all__ = [
    "change_from",
    "change_hash",
    "commit_hash",
    "decode_change",
    "decode_commit",
    "decode_edge",
    "decode_intent",
    "edge_from",
    "encode_change",
    "encode_commit",
    "encode_edge",
    "encode_intent",
    "filter_from",
    "header_bytes",
    "intent_from",
    "jsonable",
    "strict_loads",
    "value_from_json",
]
