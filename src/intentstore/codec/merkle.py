"""One digest over a whole log: the Merkle Tree Hash of RFC 9162 (section 2.1), and proofs against it.

A leaf is the 32 bytes of a commit's hash. Leaves are only ever appended, so the right edge of the tree (`Frontier`) is
all that is kept: it gives the root after each append, and goes on where it stopped, even when older leaves are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

EMPTY = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Returns the hash of a leaf."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the hash of a node from those of its two children."""
    return sha256(b"\1" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the roots of its perfect subtrees, largest first."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size.bit_count() != len(peaks):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}")
        self.size = size
        self.peaks = list(peaks)

    def append(self, leaf: bytes) -> None:
        """Adds a leaf."""
        node, rest = leaf_hash(leaf), self.size
        while rest & 1:
            node, rest = node_hash(self.peaks.pop(), node), rest >> 1
        self.peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Returns the root of the tree as it stands."""
        if not self.peaks:
            return EMPTY
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


class Path(msgspec.Struct, frozen=True):
    """A proof: that leaf number ``index`` of the first ``size`` has its place under their root."""

    index: int
    size: int
    hashes: tuple[str, ...]

    def root(self, leaf: bytes) -> bytes:
        """Returns the root that this leaf gives (RFC 9162, 2.1.3.2); equal to the known one, it is proven."""
        if not 0 <= self.index < self.size:
            raise ValueError("the leaf lies outside the tree")
        at, last, node = self.index, self.size - 1, leaf_hash(leaf)
        for text in self.hashes:
            other = bytes.fromhex(text)
            if last == 0:
                raise ValueError("the path is too long")
            if at & 1 or at == last:
                node = node_hash(other, node)
                while not at & 1 and at:
                    at, last = at >> 1, last >> 1
            else:
                node = node_hash(node, other)
            at, last = at >> 1, last >> 1
        if last:
            raise ValueError("the path is too short")
        return node


def tree_hash(nodes: Sequence[bytes]) -> bytes:
    """Returns the root over leaves that are hashed already."""
    frontier = Frontier()
    for node in nodes:
        rest, size = node, frontier.size
        while size & 1:
            rest, size = node_hash(frontier.peaks.pop(), rest), size >> 1
        frontier.peaks.append(rest)
        frontier.size += 1
    return frontier.root()


def inclusion(nodes: Sequence[bytes], index: int) -> Path:
    """Returns the proof for one leaf among all (given as their hashes), RFC 9162, 2.1.3.1."""
    hashes: list[str] = []
    low, high = 0, len(nodes)
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            hashes.append(tree_hash(nodes[middle:high]).hex())
            high = middle
        else:
            hashes.append(tree_hash(nodes[low:middle]).hex())
            low = middle
    return Path(index, len(nodes), tuple(reversed(hashes)))


def consistency(nodes: Sequence[bytes], first: int) -> tuple[str, ...]:
    """Returns the proof that the tree of the first so many leaves is the beginning of this one (2.1.4.1)."""
    if not 0 < first <= len(nodes):
        raise ValueError("a part of the tree has between one leaf and all of them")
    hashes: list[str] = []
    low, high, whole = 0, len(nodes), True
    while first < high - low:
        middle = _split(high - low)
        if first <= middle:
            hashes.append(tree_hash(nodes[low + middle : high]).hex())
            high = low + middle
        else:
            hashes.append(tree_hash(nodes[low : low + middle]).hex())
            low, first, whole = low + middle, first - middle, False
    if not whole:
        hashes.append(tree_hash(nodes[low:high]).hex())
    return tuple(reversed(hashes))


def is_consistent(first: int, first_root: bytes, size: int, root: bytes, proof: Sequence[str]) -> bool:
    """True when the proof shows that the tree with ``first`` leaves grew into the one with ``size`` (2.1.4.2)."""
    if first == size:
        return not proof and first_root == root
    if not 0 < first < size or (not proof and first.bit_count() != 1):
        return False
    path = [bytes.fromhex(text) for text in proof]
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    at, last = first - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(other, old), node_hash(other, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, other)
        at, last = at >> 1, last >> 1
    return old == first_root and new == root and last == 0


def _split(size: int) -> int:
    """Returns the largest power of two below the size."""
    return 1 << (size - 1).bit_length() - 1
