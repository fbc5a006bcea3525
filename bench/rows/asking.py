"""Searching N intents by words and by meaning, and writing what matters into 8,000 tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from random import Random
from typing import Any

import apsw

from intentstore import Intent, IntentGraph, Model, open_graph
from intentstore.ground.query import searchable, words

from .. import floors
from ..measure import Pair, Row, Target, timed
from ..samples import SEED, intents
from ..setting import KINDS, Kind, Setting, fill

_WORDS = 3_000
_NUMBERS = 256
_SCHEMA = """
CREATE VIRTUAL TABLE texts USING fts5(words, tokenize="ascii tokenchars '_'");
CREATE TABLE bodies (key INTEGER PRIMARY KEY, body BLOB);
"""
_FIND = """
SELECT bodies.body, -bm25(texts) AS score, snippet(texts, 0, '[', ']', '…', 24)
FROM texts JOIN bodies ON bodies.key = texts.rowid WHERE texts MATCH ? ORDER BY rank LIMIT 20
"""


def tagged(n: int) -> Iterator[Intent]:
    """Yields the sample intents, each with two words of a larger vocabulary, as natural text has them."""
    luck = Random(SEED)
    for intent in intents(n):
        yield intent.replace(goal=f"{intent.goal} {' '.join(f'word{int(luck.paretovariate(0.7))}' for _ in range(2))}")


def _store(graph: IntentGraph, n: int) -> None:
    samples = tagged(n)
    while block := list(islice(samples, 1000)):
        with graph.transaction() as tx:
            for intent in block:
                tx.store(intent)


@contextmanager
def _searching(setting: Setting, kind: Kind) -> Iterator[Pair]:
    floor = apsw.Connection(str(setting.fresh("fts.db")))
    floor.execute(_SCHEMA)
    with floor:
        for key, intent in enumerate(tagged(setting.n)):
            floor.execute("INSERT INTO texts (rowid, words) VALUES (?, ?)", (key, " ".join(words(searchable(intent)))))
            floor.execute("INSERT INTO bodies VALUES (?, ?)", (key, floors.row(intent)[3]))
    with open_graph(setting.url(kind, setting.fresh(f"search-{kind}"))) as graph:
        _store(graph, setting.n)
        asked = cycle([f"word{n} {word}" for n in (3, 5, 9) for word in ("deploy", "vendor")])
        both = list(islice(asked, 6))
        mine, theirs = cycle(both), cycle(both)

        def ours() -> object:
            return graph.search(next(mine), limit=20)

        def least() -> object:
            match = " ".join(f'"{word}"' for word in next(theirs).split())
            return [(floors.decode(body), score, piece) for body, score, piece in floor.execute(_FIND, (match,))]

        yield Pair(timed(least, calls=6), timed(ours, calls=6))
    floor.close()


@contextmanager
def _context(setting: Setting, kind: Kind) -> Iterator[Pair]:
    with open_graph(setting.url(kind, setting.fresh(f"context-{kind}"))) as graph:
        _store(graph, setting.n)
        ids = [intent.id for intent in graph.list(limit=200).intents]
        with graph.transaction() as tx:
            for at, id in enumerate(ids[1:], 1):
                tx.link(id, "is_subgoal_of", ids[(at - 1) // 4])
        focus = cycle(ids[: max(1, len(ids) // 2)])

        def ours() -> object:
            return graph.context(focus=[next(focus)], query="deploy word7 word40 before the audit", budget_tokens=8_000)

        yield Pair(timed(lambda: graph.list(limit=300)), timed(ours))


def _embedder() -> Model:
    import numpy as np

    def embed(texts: Sequence[str]) -> Any:
        return np.random.default_rng(len(texts)).standard_normal((len(texts), _NUMBERS), dtype=np.float32)

    return Model("noise", "1", embed)


@contextmanager
def _meaning(setting: Setting, kind: Kind) -> Iterator[Pair]:
    import numpy as np

    with open_graph(setting.url(kind, setting.fresh(f"meaning-{kind}"))) as graph:
        fill(graph, setting.n)
        model = _embedder()
        graph.search("deploy", semantic=model, limit=10)
        table = np.random.default_rng(1).standard_normal((setting.n, _NUMBERS), dtype=np.float32)

        def least() -> object:
            near = table @ table[0]
            return np.argpartition(-near, min(10, len(near) - 1))[:10]

        yield Pair(timed(least), timed(lambda: graph.search("a wish for quiet", semantic=model, limit=10)))


ROWS = (
    *(
        Row(
            name=f"search/{kind}",
            floor="FTS5, the best 20 with snippet, bodies decoded to plain structs",
            ours="`search`, the best 20 with snippet and marks",
            target=Target(1.3),
            prepare=partial(_searching, kind=kind),
            rounds=40,
        )
        for kind in KINDS
    ),
    *(
        Row(
            name=f"context/{kind}",
            floor="`list` of 300",
            ours="`context` of 8,000 tokens, by a focus and a query",
            target=Target(0.020, of="median"),
            prepare=partial(_context, kind=kind),
            rounds=40,
        )
        for kind in KINDS
    ),
    Row(
        name="meaning/sqlite",
        floor="numpy: N rows of 256 numbers by one, the best 10",
        ours="`search` by meaning and words, the best 10, once embedded",
        target=Target(0.030, of="median"),
        prepare=partial(_meaning, kind="sqlite"),
        rounds=40,
    ),
)
