"""Checks a proof of `intent prove --json` against a seal, with nothing but Python: python check_proof.py PROOF SEAL

PROOF is the document, SEAL the 64 digits (or the file of `intent seal FILE`), got from whoever is trusted.
What it shows: the history that was sealed holds, at this place, a commit that gave the intent this content.
"""

import hashlib
import json
import sys
from pathlib import Path


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root(leaf: bytes, index: int, size: int, path: list[str]) -> bytes:
    """The Merkle root that a leaf and its path give (RFC 9162, 2.1.3.2)."""
    at, last, node = index, size - 1, sha(b"\0" + leaf)
    for other in map(bytes.fromhex, path):
        if at % 2 or at == last:
            node = sha(b"\1" + other + node)
            while at and not at % 2:
                at, last = at // 2, last // 2
        else:
            node = sha(b"\1" + node + other)
        at, last = at // 2, last // 2
    assert last == 0, "the path has another length"
    return node


proof = json.loads(Path(sys.argv[1]).read_bytes())
seal = sys.argv[2] if len(sys.argv[2]) == 64 else json.loads(Path(sys.argv[2]).read_bytes())["seal"]
header, change = proof["header"].encode(), proof["change"].encode()
assert sha(header + b"\n" + change).hex() == proof["changes"][proof["place"]], "the content is not that of the commit"
commit = sha(header + "".join(proof["changes"]).encode())
assert root(commit, proof["index"], proof["seal"]["commits"], proof["path"]).hex() == seal, "it was not sealed"
revision, identity, microseconds, actor, reason = json.loads(header)
done = json.loads(change)
print(json.dumps({"revision": revision, "actor": actor, "reason": reason, **done}, ensure_ascii=False, indent=1))
