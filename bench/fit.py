"""``python -m bench.fit FILE``: reads a real graph (goals as beads exports them), writes its figures: bench/shape.json.

Lengths and fan-outs are eleven quantiles, from the least to the most; mixes are shares. No text is kept.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .shape import FILE

_STATUS = {"open": "active", "hooked": "executing", "in_progress": "executing", "closed": "completed"}
_EDGES = {"parent-child": "is_subgoal_of", "blocks": "depends_on", "discovered-from": "triggered_by"}


def fitted(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the figures of the records."""
    told = [record["description"] for record in records if record.get("description")]
    edges = [(edge["depends_on_id"], edge["type"]) for record in records for edge in record.get("dependencies", ())]
    children = Counter(above for above, type in edges if type == "parent-child")
    return {
        "records": len(records),
        "edges": len(edges),
        "goal_length": _quantiles(len(record["title"]) for record in records),
        "request_length": _quantiles(map(len, told)),
        "request_share": round(len(told) / len(records), 3),
        "children": _quantiles(children.values()),
        "status": _mix(_STATUS.get(record["status"], "archived") for record in records),
        "priority": _mix(str(record["priority"]) for record in records),
        "edge": _mix(_EDGES.get(type, "related_to") for _, type in edges),
    }


def _quantiles(numbers: Iterable[int]) -> list[int]:
    ordered = sorted(numbers)
    return [ordered[at * (len(ordered) - 1) // 10] for at in range(11)] if ordered else [1] * 11


def _mix(words: Iterable[str]) -> dict[str, float]:
    found = Counter(words)
    return {word: round(many / found.total(), 4) for word, many in found.most_common()}


def main(words: Sequence[str]) -> int:
    """Writes the figures of the file named."""
    if len(words) != 1:
        print("usage: python -m bench.fit FILE.jsonl[.gz]", file=sys.stderr)
        return 2
    path = Path(words[0])
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    figures = fitted([json.loads(line) for line in raw.splitlines() if line.strip()])
    FILE.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
