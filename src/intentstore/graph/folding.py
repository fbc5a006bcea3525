"""Old history folded: superseded changes go, what they were is kept as their hashes, so that everything still verifies.

Of each subject the change that holds its content and the one that ends its chain stay. A folded commit keeps its
header and the hash of every change it had: its own hash, and with it the seal, is as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from ..codec import change_hash, encode_change, header_bytes
from ..ground.change import Commit, Note, Subject
from ..ground.errors import Corrupt, Unsupported
from ..ground.protocol import Compacts, IntentStorage, Replaces
from ..ground.types import Revision
from .seal import against, seal_of

_Place = tuple[Revision, int]


def fold(storage: IntentStorage, before: datetime) -> dict[str, Any]:
    """Folds what is older than a moment, in one step; proves by the seal that the history is still the same."""
    if not isinstance(storage, Replaces) or not storage.capabilities.replaces:
        raise Unsupported("this storage cannot fold its history", hint="its history is kept for ever")
    until = fold_point(storage, before)
    size = storage.facts().get("bytes")
    sealed = seal_of(storage, "")
    if until:
        storage.replace(folded(storage, until), then=storage.entries)
        if problems := list(against(storage.entries(), sealed)):
            raise Corrupt(problems[0].where, problems[0].what, hint="restore a backup")
    if isinstance(storage, Compacts) and storage.capabilities.compacts:
        storage.compact()
    return {"bytes_before": size, "bytes_after": storage.facts().get("bytes"), "folded": until, "seal": sealed.seal}


def fold_point(storage: IntentStorage, before: datetime) -> Revision:
    """Returns the last revision of the beginning of the log that is older than a moment."""
    last = 0
    for commit in storage.entries():
        if commit.at >= before:
            break
        last = commit.revision
    return last


def folded(storage: IntentStorage, until: Revision) -> Iterator[Commit]:
    """Yields the log with all up to a revision folded. Reads it twice; holds two numbers for each subject."""
    kept = _kept(storage, until)
    for commit in storage.entries():
        yield _folded(commit, kept) if commit.revision <= until else commit


def _kept(storage: IntentStorage, until: Revision) -> set[_Place]:
    ends: dict[Subject, _Place] = {}
    contents: dict[Subject, _Place] = {}
    for commit in storage.entries():
        if commit.revision > until:
            break
        for place, change in enumerate(commit.changes):
            ends[change.subject] = commit.revision, place
            if type(change) is not Note:
                contents[change.subject] = commit.revision, place
    return {*ends.values(), *contents.values()}


def _folded(commit: Commit, kept: set[_Place]) -> Commit:
    header = header_bytes(commit)
    hashes = commit.folded or tuple(change_hash(header, encode_change(change)) for change in commit.changes)
    changes = tuple(change for place, change in enumerate(commit.changes) if (commit.revision, place) in kept)
    return msgspec.structs.replace(commit, changes=changes, folded=hashes)
