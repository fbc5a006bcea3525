"""One size of one storage, in a process of its own: ``python -m bench.scaled build|measure URL N FOLDER``."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident() -> int:
    """Returns the bytes of memory this process holds, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except OSError:
        return 0


_BARE = resident()  # before anything of ours is imported

import json  # noqa: E402
import random  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import msgspec  # noqa: E402

if TYPE_CHECKING:
    from intentstore import IntentGraph


class Scaled(msgspec.Struct):
    """What a size costs: seconds, bytes of the store, bytes of memory over bare Python; 0 where it was not measured."""

    storage: str
    n: int
    edges: int = 0
    build: float = 0.0
    bytes: int = 0
    open: float = 0.0
    rest: int = 0
    peak: int = 0
    store: float = 0.0
    get: float = 0.0
    list: float = 0.0
    sort: float = 0.0
    below: float = 0.0
    search: float = 0.0
    ready: float = 0.0
    claim: float = 0.0
    context: float = 0.0
    verify: float = 0.0
    backup: float = 0.0
    compact: float = 0.0
    import_: float = 0.0
    error: str = ""


def highest() -> int:
    """Returns the most bytes of memory this process has held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def build(url: str, n: int) -> dict[str, object]:
    """Fills the store; the generating is not counted."""
    from intentstore import open_graph

    with open_graph(url) as graph:
        return _filled(graph, n)


def measure(url: str, n: int, folder: Path, bare: int) -> dict[str, object]:
    """Measures a store that was built, from its opening on. What stays in memory is built here."""
    from intentstore import open_graph

    with open_graph(
        _beside(url, folder), graph="warm"
    ):  # what a first opening imports is the business of the cold rows
        pass
    begun = time.perf_counter()
    graph = open_graph(url)
    told: dict[str, object] = {"n": n, "open": time.perf_counter() - begun}
    with graph:
        if url.startswith("memory:"):
            told |= _filled(graph, n)
        told["rest"] = max(0, resident() - bare)
        told |= _asked(graph, n) | _written(graph)
        told["verify"] = _median(graph.verify, 1)
        told["backup"] = _median(lambda: graph.backup(folder / "backup.iz"), 1)
        told["compact"] = 0.0 if url.startswith("memory:") else _median(graph.compact, 1)
        told["peak"] = max(0, highest() - bare)
        told["bytes"] = graph.storage.facts().get("bytes", 0)
    return told | _imported(url, n, folder)


def _beside(url: str, folder: Path) -> str:
    """Returns the URL of an empty store of the same kind."""
    kind = url.partition(":")[0]
    return f"{kind}:{folder / 'warm'}" if kind in ("file", "sqlite") else url


def _filled(graph: IntentGraph, n: int) -> dict[str, object]:
    from .shape import batches

    edges = 0
    spent = 0.0
    for batch in batches(n):
        edges += len(batch.changes)
        begun = time.perf_counter()
        graph.storage.apply(batch)
        spent += time.perf_counter() - begun
    return {"build": spent, "edges": edges - n}


def _asked(graph: IntentGraph, n: int) -> dict[str, object]:
    """Each question again and again; of the first answers, which find nothing ready, a few are thrown away."""
    from intentstore import IntentFilter

    from .shape import name

    chance = random.Random(n)
    ids = [name(chance.randrange(n)) for _ in range(1000)]
    done = IntentFilter(status="completed")  # type: ignore[arg-type]  # made a set
    below = iter(ids)
    return {
        "get": _median(lambda: [graph.get(id) for id in ids], 5) / len(ids),
        "list": _median(lambda: graph.list(done, limit=100), 20),
        "sort": _median(lambda: graph.list(done, sort="-priority", limit=100), 20),
        "below": _median(lambda: graph.descendants(next(below)), 50),
        "search": _median(lambda: graph.search("journal ledger", limit=20), 10),
        "ready": _median(lambda: graph.ready(limit=100), 10),
        "context": _median(lambda: graph.context(focus=[ids[0]]), 5),
    }


def _written(graph: IntentGraph) -> dict[str, object]:
    """A durable commit each; the claim, beside it, of what was stored for it."""
    from intentstore import Intent

    from .samples import intents

    given = iter([intent.replace(id="") for intent in intents(203, begin=80_000_000)])
    worker = graph.acting(actor="worker")
    claims = []
    for at in range(24):
        worker.store(Intent(goal=f"Work {at}", priority=99))
        begun = time.perf_counter()
        claimed = worker.claim(lease_s=600)
        claims.append(time.perf_counter() - begun)
        assert claimed is not None
    return {"claim": statistics.median(claims[3:]), "store": _median(lambda: graph.store(next(given)), 200)}


def _imported(url: str, n: int, folder: Path) -> dict[str, object]:
    """At most 100,000 intents and their edges as JSON lines into a graph of its own; the time is for all N."""
    from intentstore import Link, Put, open_graph
    from intentstore.codec import encode_edge, encode_intent
    from intentstore.formats import import_into

    from .shape import batches

    path, most = folder / "import.jsonl", min(n, 100_000)
    with path.open("wb") as file:
        file.write(b'{"intentstore":1,"graph":"default"}\n')
        for batch in batches(most):
            for change in batch.changes:
                if isinstance(change, Put):
                    file.write(b'{"intent":%b}\n' % encode_intent(change.intent))
                elif isinstance(change, Link):
                    file.write(b'{"edge":%b}\n' % encode_edge(change.edge))
    with open_graph(url, graph="imported") as graph:
        return {"import_": _median(lambda: import_into(graph, path, format="jsonl"), 1) * n / most}


def _median(work: Callable[[], object], rounds: int) -> float:
    """Returns the median seconds; where there is more than one round, one before them warms up."""
    if rounds > 1:
        work()
    spent = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def main(act: str, url: str, n: str, folder: str) -> None:
    """Prints what it found as JSON."""
    told = build(url, int(n)) if act == "build" else measure(url, int(n), Path(folder), _BARE)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
