"""Digests of the log: each change's hash covers the change before it of the same subject, and its commit's header.

``change hash = sha256(header ‖ 0x0A ‖ change JSON)``, where the change JSON carries ``prev``, the previous hash of
its subject. ``commit hash = sha256(header ‖ change hashes)``. The header is the JSON array
``[revision, id, at in µs, actor, reason]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from ..ground.change import Commit
from ..ground.query import microseconds


def header_bytes(commit: Commit) -> bytes:
    """Returns the bytes that stand for a commit's revision, id, time, actor and reason in every digest."""
    return msgspec.json.encode([commit.revision, commit.id, microseconds(commit.at), commit.actor, commit.reason])


def change_hash(header: bytes, change: bytes) -> str:
    """Returns the hash (hex) that a change's encoding has in a commit with this header."""
    return sha256(b"%b\n%b" % (header, change)).hexdigest()


def commit_hash(header: bytes, changes: Iterable[str]) -> str:
    """Returns the hash (hex) of a commit from its header and the hashes of its changes."""
    return sha256(header + "".join(changes).encode()).hexdigest()
