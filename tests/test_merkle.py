"""The tree over a log: the vectors of Certificate Transparency, and every proof of every small tree."""

from __future__ import annotations

from hashlib import sha256

import pytest

from intentstore.codec.merkle import EMPTY, Frontier, Path, consistency, inclusion, is_consistent, leaf_hash, tree_hash

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The reference roots for the first 0, 1, … 8 of these leaves."""


def some(count: int) -> list[bytes]:
    return [sha256(str(n).encode()).digest() for n in range(count)]


def test_the_roots_are_those_of_the_reference() -> None:
    frontier = Frontier()
    found = [frontier.root().hex()]
    for leaf in LEAVES:
        frontier.append(leaf)
        found.append(frontier.root().hex())
    assert found == ROOTS
    assert EMPTY.hex() == ROOTS[0]


def test_a_frontier_goes_on_where_it_stopped() -> None:
    for stop in range(20):
        first = Frontier()
        for leaf in some(stop):
            first.append(leaf)
        second = Frontier(first.size, first.peaks)
        for leaf in some(20)[stop:]:
            second.append(leaf)
        assert second.root() == tree_hash(list(map(leaf_hash, some(20))))
    with pytest.raises(ValueError, match="peaks"):
        Frontier(3, [EMPTY])


def test_every_leaf_is_proven_and_no_other_is() -> None:
    for size in range(1, 34):
        nodes = list(map(leaf_hash, some(size)))
        root = tree_hash(nodes)
        for index, leaf in enumerate(some(size)):
            path = inclusion(nodes, index)
            assert path.root(leaf) == root
            assert path.root(b"x" * 32) != root
            for other in range(size + 1):
                if other != index:
                    try:
                        assert Path(other, size, path.hashes).root(leaf) != root
                    except ValueError:
                        continue


def test_a_path_of_another_length_is_refused() -> None:
    nodes = list(map(leaf_hash, some(7)))
    path = inclusion(nodes, 3)
    for hashes in (path.hashes[:-1], (*path.hashes, path.hashes[0])):
        with pytest.raises(ValueError, match="too"):
            Path(3, 7, hashes).root(some(7)[3])


def test_every_beginning_is_proven_and_no_other_log_is() -> None:
    for size in range(1, 34):
        nodes = list(map(leaf_hash, some(size)))
        root = tree_hash(nodes)
        for first in range(1, size + 1):
            before = tree_hash(nodes[:first])
            proof = consistency(nodes, first)
            assert is_consistent(first, before, size, root, proof)
            assert not is_consistent(first, EMPTY, size, root, proof)
            assert not is_consistent(first, before, size, EMPTY, proof)
            if proof:
                assert not is_consistent(first, before, size, root, proof[:-1])
                assert not is_consistent(first, before, size, root, (*proof, proof[0]))
    with pytest.raises(ValueError, match="between"):
        consistency(list(map(leaf_hash, some(3))), 4)
    assert not is_consistent(4, EMPTY, 3, EMPTY, ())
