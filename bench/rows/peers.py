"""What others take for the same work: the peer stands where elsewhere the floor stands. At most 10,000 records."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle

from intentstore import Intent, IntentFilter, IntentGraph, open_graph
from intentstore.ground.identity import uuid7

from .. import peers
from ..measure import Pair, Row, Target, timed
from ..peers import langgraph, memory_server, objects, tables
from ..samples import SEED, STATUSES, intents
from ..setting import Setting

_MOST, _FURTHER = 10_000, 70_000_000

PEERS = (
    peers.Peer("langgraph-sqlite", langgraph.sqlite, "sqlite", "as shipped: rollback journal, synchronous=FULL"),
    peers.Peer("langgraph-postgres", langgraph.postgres, "postgresql", "as shipped, on a server that syncs"),
    peers.Peer("sqlite-utils", tables.sqlite_utils, "sqlite", "rollback journal, synchronous=FULL, our indexes"),
    peers.Peer("kuzu", tables.kuzu, "sqlite", "as shipped"),
    peers.Peer("zodb", objects.zodb, "file", "FileStorage as shipped, synced at every commit"),
    peers.Peer("diskcache", objects.diskcache, "sqlite", "WAL, synchronous=FULL, nothing evicted"),
    peers.Peer("json-file", objects.whole_file, "file", "one document in memory, written whole, synced and renamed"),
    peers.Peer("mcp-memory", memory_server.memory_server, "file", "over stdio as shipped; written whole, never synced"),
)


def _url(setting: Setting, peer: peers.Peer) -> str:
    """Returns the URL of a store of ours that holds the same records and the same thousand below one."""
    return setting.once(f"peers-{peer.against}", partial(_filled, setting, peer.against))


def _filled(setting: Setting, kind: str) -> str:
    place = setting.database() if kind == "postgresql" else setting.url(kind, setting.fresh(f"peers-{kind}"))  # type: ignore[arg-type]  # a kind
    with open_graph(place) as graph, graph.transaction() as tx:
        for intent, parent in _samples(setting):
            tx.store(intent)
            if parent:
                tx.link(intent.id, "is_subgoal_of", parent)
    return place


def _samples(setting: Setting) -> list[tuple[Intent, str]]:
    given = list(intents(min(setting.n, _MOST)))
    tree = given[: peers.SIZE]
    above = ["", *(tree[at // peers.FAN].id for at in range(len(tree) - 1))]
    return [(intent, above[at] if at < len(above) else "") for at, intent in enumerate(given)]


Work = Callable[[peers.Store, IntentGraph, Setting], Pair]


@contextmanager
def _prepare(setting: Setting, peer: peers.Peer, work: Work) -> Iterator[Pair]:
    theirs = setting.once(peer.name, partial(_opened, setting, peer))
    with open_graph(_url(setting, peer)) as graph:
        yield work(theirs, graph, setting)


def _opened(setting: Setting, peer: peers.Peer) -> peers.Store:
    """Opens the peer for the whole run and fills it."""
    theirs = setting.kept.enter_context(peer.opened(setting))
    theirs.fill([peers.record(intent, parent=parent) for intent, parent in _samples(setting)])
    return theirs


def _persist(theirs: peers.Store, graph: IntentGraph, setting: Setting) -> Pair:
    given = [intent.replace(id=uuid7()) for intent in intents(setting.rounds + 1, begin=_FURTHER)]
    mine, least = iter(given), iter([peers.record(intent) for intent in given])
    return Pair(
        timed(lambda: theirs.put(next(least))),
        timed(lambda: graph.store(next(mine).replace(id=""))),
    )


def _get(theirs: peers.Store, graph: IntentGraph, setting: Setting) -> Pair:
    ids = random.Random(SEED).choices([intent.id for intent, _ in _samples(setting)], k=1000)
    mine, least = cycle(ids), cycle(ids)
    return Pair(timed(lambda: theirs.get(next(least)), calls=10), timed(lambda: graph.get(next(mine)), calls=10))


def _list(theirs: peers.Store, graph: IntentGraph, _: Setting) -> Pair:
    words, statuses = cycle(status.value for status in STATUSES), cycle(STATUSES)
    return Pair(
        timed(lambda: theirs.by_status(next(words))),
        timed(lambda: graph.list(IntentFilter(status=next(statuses)), limit=100)),  # type: ignore[arg-type]  # made a set
    )


def _urgent(theirs: peers.Store, graph: IntentGraph, _: Setting) -> Pair:
    words, statuses = cycle(status.value for status in STATUSES), cycle(STATUSES)
    return Pair(
        timed(lambda: theirs.urgent(next(words))),
        timed(lambda: graph.list(IntentFilter(status=next(statuses)), sort="-priority", limit=100)),  # type: ignore[arg-type]
    )


def _below(theirs: peers.Store, graph: IntentGraph, setting: Setting) -> Pair:
    root = next(intents(1)).id
    expected = min(setting.n, peers.SIZE) - 1
    assert len(theirs.below(root)) == len(graph.descendants(root)) == expected
    return Pair(timed(lambda: theirs.below(root)), timed(lambda: graph.descendants(root)))


_WORK: tuple[tuple[str, Work, str, int], ...] = (
    ("persist", _persist, "`store` of one intent", 100),
    ("get", _get, "`get`", 100),
    ("list", _list, "`list` of 100 by status, by time", 50),
    ("sort", _urgent, "`list` of 100 by status, by priority", 50),
    ("subtree", _below, "`descendants`, 1,000", 20),
)

ROWS = tuple(
    Row(
        name=f"peer/{peer.name}/{name}",
        floor=f"{peer.name}: {peer.settings}",
        ours=f"{said}, {peer.against}",
        target=Target(1.0, "peer"),
        prepare=partial(_prepare, peer=peer, work=work),
        rounds=rounds,
    )
    for peer in PEERS
    for name, work, said, rounds in _WORK
    if not (peer.name == "mcp-memory" and name in ("list", "sort", "subtree"))
)
