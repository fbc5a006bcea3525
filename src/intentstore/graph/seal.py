"""The seal: one digest over a graph's whole history, and proofs against it that need nothing but the seal.

A seal is the Merkle root (`codec.merkle`) over the hashes of all commits in order. Kept elsewhere, it shows what a log
by itself cannot: that its end was cut off, or that all of it was written anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from ..codec import change_hash, encode_change, header_bytes
from ..codec.merkle import Frontier, consistency, inclusion, is_consistent, leaf_hash, tree_hash
from ..ground.change import Commit, Drop, Put
from ..ground.errors import Corrupt, IntentMissing
from ..ground.protocol import IntentStorage, KeepsAside, Problem, keeping_aside
from ..ground.types import IntentId, Revision

VERSION = 1


class Seal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A graph's history at one revision: how many commits, and the root over them (hex)."""

    graph: str
    revision: Revision
    commits: int
    seal: str
    at: datetime | None = None

    def write(self, path: str | Path) -> None:
        """Writes the seal to a file, old or new at every instant."""
        from ..storage.disk import Disk, storage_error

        line = msgspec.json.encode({"intentstore-seal": VERSION, **msgspec.to_builtins(self)}) + b"\n"
        try:
            Disk().write_whole(Path(path), line)
        except OSError as error:
            raise storage_error(error, Path(path), "writing the seal") from error


def frontier_of(commits: Iterable[Commit]) -> Frontier:
    """Returns the right edge of the tree over these commits."""
    frontier = Frontier()
    for commit in commits:
        frontier.append(bytes.fromhex(commit.hash))
    return frontier


def seal_of(storage: IntentStorage, graph: str, *, now: datetime | None = None) -> Seal:
    """Returns the seal of everything committed so far."""
    frontier, revision = Frontier(), 0
    for commit in storage.entries():
        frontier.append(bytes.fromhex(commit.hash))
        revision = commit.revision
    return Seal(graph=graph, revision=revision, commits=frontier.size, seal=frontier.root().hex(), at=now)


def against(commits: Iterable[Commit], seal: Seal) -> Iterator[Problem]:
    """Yields in what a log is not a continuation of the one that was sealed."""
    frontier, revision, met = Frontier(), 0, False
    for commit in commits:
        frontier.append(bytes.fromhex(commit.hash))
        revision = commit.revision
        if frontier.size == seal.commits or (seal.commits < 0 and not met):
            met = frontier.root().hex() == seal.seal
    where = f"commit {revision}"
    if seal.commits < 0:
        if not met and frontier.root().hex() != seal.seal:
            yield Problem(where, "no beginning of this log has that seal: commits were cut off, edited or put in")
    elif frontier.size < seal.commits:
        missing = seal.commits - frontier.size
        yield Problem(where, f"the log ends here, {missing} commits before the sealed revision {seal.revision}")
    elif not met and seal.commits:
        yield Problem(f"commit {seal.revision}", "the log up to here is not the one that was sealed")


# --- the seal of the last closing ---

SPACE, KEY = "seal", "last"
_FEW = 1000


class _Kept(msgspec.Struct):
    """How far the log went when it was last closed, and the edge of its tree there."""

    revision: Revision
    commits: int
    peaks: tuple[str, ...]

    def frontier(self) -> Frontier:
        return Frontier(self.commits, [bytes.fromhex(peak) for peak in self.peaks])


def seal_at_close(storage: IntentStorage) -> None:
    """Keeps the seal aside, gone on from the one kept before; too many commits since are left to `intent seal`.

    What is kept aside may be lost, and then there is an older seal or none; it never names what is not durable.
    """
    aside = keeping_aside(storage)
    if aside is None:
        return
    known = _kept(aside) or _Kept(0, 0, ())
    if storage.revision - known.revision > _FEW:
        return
    frontier, revision = known.frontier(), known.revision
    for commit in storage.entries(known.revision):
        frontier.append(bytes.fromhex(commit.hash))
        revision = commit.revision
    if revision != known.revision:
        kept = _Kept(revision, frontier.size, tuple(peak.hex() for peak in frontier.peaks))
        aside.keep(SPACE, {KEY: msgspec.json.encode(kept)})


def _kept(storage: KeepsAside) -> _Kept | None:
    found = storage.kept(SPACE, [KEY]).get(KEY)
    try:
        return None if found is None else msgspec.json.decode(found, type=_Kept)
    except msgspec.MsgspecError:
        return None


def seal_of_last_close(storage: IntentStorage) -> Seal | None:
    """Returns the seal that the last closing kept, None where there is none."""
    aside = keeping_aside(storage)
    known = None if aside is None else _kept(aside)
    if known is None:
        return None
    root = known.frontier().root().hex()
    return Seal(graph="", revision=known.revision, commits=known.commits, seal=root)


# --- proofs ---


def prove(storage: IntentStorage, graph: str, id: IntentId, *, revision: Revision | None = None) -> dict[str, Any]:
    """Returns the proof that the intent had this content at that revision (its last, when none is named).

    Whoever has the seal checks it without this library: docs/check_proof.py shows how.
    """
    nodes: list[bytes] = []
    last = 0
    found: tuple[int, Commit, int] | None = None
    for number, commit in enumerate(storage.entries()):
        nodes.append(leaf_hash(bytes.fromhex(commit.hash)))
        last = commit.revision
        for place, change in enumerate(commit.changes):
            fits = isinstance(change, Put | Drop) and change.subject == id
            if fits and (revision is None or commit.revision <= revision):
                found = number, commit, place
    if found is None:
        raise IntentMissing(id, hint="name an intent that was stored by that revision")
    index, commit, place = found
    header = header_bytes(commit)
    changes = [encode_change(change) for change in commit.changes]
    path = inclusion(nodes, index)
    seal = Seal(graph=graph, revision=last, commits=len(nodes), seal=tree_hash(nodes).hex())
    return {
        "id": id,
        "revision": commit.revision,
        "header": header.decode(),
        "change": changes[place].decode(),
        "place": place,
        "changes": [change_hash(header, change) for change in changes],
        "index": path.index,
        "path": list(path.hashes),
        "seal": msgspec.to_builtins(seal),
    }


def grown(storage: IntentStorage, older: Seal) -> tuple[str, ...]:
    """Returns the proof that the log as it is continues the one sealed before; raises `Corrupt` if it does not."""
    nodes = [leaf_hash(bytes.fromhex(commit.hash)) for commit in storage.entries()]
    if not 0 < older.commits <= len(nodes):
        raise Corrupt("the log", f"has {len(nodes)} commits, the seal {older.commits}")
    proof = consistency(nodes, older.commits)
    if not is_consistent(older.commits, bytes.fromhex(older.seal), len(nodes), tree_hash(nodes), proof):
        raise Corrupt("the log", f"up to revision {older.revision} is not the one that was sealed")
    return proof
