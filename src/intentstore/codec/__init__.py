"""Floor 1: types to bytes and back, strictly; hashes of what was written.

Knows JSON and digests. Has never heard of a file, a table or a graph's rules.
"""

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
from .chain import change_hash, commit_hash, header_bytes
from .public import jsonable
from .strict import change_from, edge_from, filter_from, intent_from, strict_loads, value_from_json

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
