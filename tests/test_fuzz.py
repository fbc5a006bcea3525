"""Claims on odd bytes: the fuzzer's own claims hold for its seeds and for some thousand changes of them."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import SEEDS, one

PIECES = (b'"', b"(", b")", b"{", b"#|", b"|#", b";", b"\\", b"~@", b"^", b"intent x { a: ", b"\n", b"\xff", b"`")


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_changed_bytes_are_read_or_refused_with_their_place(seed: bytes) -> None:
    one(seed)
    chance = random.Random(len(seed))
    for _ in range(120):
        data = bytearray(seed)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data)) if data else 0
            match chance.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    del data[at : at + chance.randrange(6)]
                case 2:
                    data[at:at] = chance.choice(PIECES)
                case _:
                    data[at:at] = chance.choice(SEEDS)[: chance.randrange(60)]
        one(bytes(data))
