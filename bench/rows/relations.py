"""Everything below one goal: a thousand intents out of a forest of N edges. Floors: a dict of lists; `IN` lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import apsw

from intentstore import Intent, IntentGraph, open_graph

from .. import floors
from ..measure import Pair, Row, Side, Target, timed, watching
from ..samples import intents
from ..setting import KINDS, Kind, Setting, fill

_SIZE, _FAN = 1000, 4
_TOGETHER = 2000
_FURTHER = 30_000_000
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_SCHEMA = """
CREATE TABLE edges (child TEXT NOT NULL, type TEXT NOT NULL, parent TEXT NOT NULL);
CREATE INDEX by_parent ON edges (parent, type, child);
"""
Forest = list[tuple[str, str | None]]


def forest(n: int) -> Forest:
    """Returns (id, parent) of ``n`` intents: trees of a thousand, each goal with up to four subgoals."""
    found: Forest = []
    for at in range(n):
        tree, place = divmod(at, _SIZE)
        above = None if place == 0 else f"goal-{tree:05}-{(place - 1) // _FAN:04}"
        found.append((f"goal-{tree:05}-{place:04}", above))
    return found


def plant(graph: IntentGraph, trees: Forest) -> None:
    """Stores the forest."""
    for start in range(0, len(trees), _TOGETHER):
        with graph.transaction() as tx:
            for id, above in trees[start : start + _TOGETHER]:
                tx.store(_goal(id))
                if above is not None:
                    tx.link(id, "is_subgoal_of", above)


def _goal(id: str) -> Intent:
    return Intent(id=id, goal=f"Reach {id}", created_at=_WHEN, updated_at=_WHEN)


def _dicts(trees: Forest, root: str) -> Callable[[], object]:
    held = {id: _goal(id) for id, _ in trees}
    below: dict[str, list[str]] = {}
    for id, above in trees:
        if above is not None:
            below.setdefault(above, []).append(id)

    def walk() -> list[Intent]:
        seen, level, found = {root}, [root], list[Intent]()
        while level:
            level = [child for id in level for child in below.get(id, ()) if child not in seen]
            seen.update(level)
            found.extend(held[id] for id in level)
        return found

    return walk


def _tables(path: Path, trees: Forest) -> apsw.Connection:
    connection = floors.open_database(path)
    connection.execute(_SCHEMA)
    floors.insert_all(connection, [_goal(id) for id, _ in trees])
    with connection:
        edges = [(id, "is_subgoal_of", above) for id, above in trees if above is not None]
        connection.executemany("INSERT INTO edges VALUES (?, ?, ?)", edges)
    return connection


def _level_wise(connection: apsw.Connection, root: str) -> Callable[[], object]:
    def walk() -> list[floors.Plain]:
        seen, level = {root}, [root]
        while level:
            asked = "SELECT child FROM edges WHERE type = 'is_subgoal_of' AND parent IN ({})"
            rows = connection.execute(asked.format(",".join("?" * len(level))), level)
            level = [child for (child,) in rows if child not in seen]
            seen.update(level)
        ids = list(seen - {root})
        bodies = connection.execute(f"SELECT body FROM intents WHERE id IN ({','.join('?' * len(ids))})", ids)
        return [floors.decode(body) for (body,) in bodies]

    return walk


@contextmanager
def _prepare(setting: Setting, kind: Kind) -> Iterator[Pair]:
    trees = forest(setting.n)
    root = trees[-1][0][:10] + "-0000"
    with open_graph(setting.url(kind, setting.fresh(f"forest-{kind}"))) as graph:
        plant(graph, trees)
        ours = timed(lambda: graph.descendants(root))
        if kind == "sqlite":
            with closing(_tables(setting.fresh("forest.db"), trees)) as connection:
                yield Pair(timed(_level_wise(connection, root)), ours)
        else:
            yield Pair(timed(_dicts(trees, root)), ours)


@contextmanager
def _inference(setting: Setting) -> Iterator[Pair]:
    with open_graph("memory:") as small, open_graph("memory:") as large:
        fill(small, setting.few)
        fill(large, setting.n)
        yield Pair(_infer_next(small, setting), _infer_next(large, setting))


def _infer_next(graph: IntentGraph, setting: Setting) -> Side:
    given = iter([intent.replace(id="") for intent in intents(setting.rounds + 1, begin=_FURTHER)])
    graph.infer([])

    def side() -> float:
        new = graph.store(next(given))
        with watching() as watch:
            graph.infer([new.id])
        return watch.seconds

    return side


ROWS = (
    *(
        Row(
            name=f"subtree/{kind}",
            floor="`IN` lists level by level, decode of plain structs"
            if kind == "sqlite"
            else "a dict of lists, a dict",
            ours="`descendants`: a thousand intents below one goal of a forest of N edges",
            target=Target(1.2 if kind == "sqlite" else 1.0),
            prepare=partial(_prepare, kind=kind),
            rounds=50,
        )
        for kind in KINDS
    ),
    Row(
        name="infer/next",
        floor="`infer` for one more intent beside N/100",
        ours="`infer` for one more intent beside N",
        target=Target(2.0),
        prepare=_inference,
    ),
)
