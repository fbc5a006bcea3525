"""From where to a graph: finds the store, opens it, hands back an `IntentGraph`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from .graph.graph import IntentGraph
from .ground.change import Batch, Guard
from .ground.errors import AlreadyThere, FieldInvalid
from .ground.identity import utc_now, uuid7
from .ground.types import Revision, check_name
from .storage.choose import StorageConfig, choose, migration, salvage, with_fallback

if TYPE_CHECKING:
    from .graph.repair import Repaired
    from .storage.older import Migration


def open_graph(
    where: str | StorageConfig | None = None,
    *,
    graph: str = "default",
    actor: str | None = None,
    create: bool = True,
    read_only: bool = False,
    durability: str = "full",
    fallback: str | None = None,
    min_revision: Revision | None = None,
    clock: Callable[[], datetime] = utc_now,
    new_id: Callable[[], str] = uuid7,
) -> IntentGraph:
    """Opens a graph and returns it; use it as a context manager, or close it.

    ``where`` is a URL (``memory:``, ``file:DIR``, ``sqlite:PATH``) or a `StorageConfig`; None asks
    ``$INTENTSTORE_URL``, then the nearest ``.intents/``, and lets ``$INTENTSTORE_GRAPH`` and ``$INTENTSTORE_ACTOR`` (or
    that ``.intents/``) name what is left at its default. ``durability="relaxed"`` gives up the promise that an
    acknowledged write survives a power cut. ``min_revision`` returns only when reads see the commit of that revision,
    which on a standby may take a moment. ``fallback="file:DIR"`` (or ``"memory"``) goes on while the store cannot be
    reached: with what is known, and a spool of what is written, which the store gets when it is back. Raises
    `StorageError` if the store cannot be opened, `Invalid` if what was asked makes no sense.

    >>> with open_graph("memory:") as graph:
    ...     graph.get("nope") is None
    True
    """
    if durability not in ("full", "relaxed"):
        raise FieldInvalid("durability", f"is {durability!r}", hint='use "full" or "relaxed"')
    if where is None or where == "":
        from .locate import DEFAULT_GRAPH, located

        where, named = located()
        graph = named if graph == DEFAULT_GRAPH else graph
        actor = actor or os.environ.get("INTENTSTORE_ACTOR")
    check_name(graph, "graph")
    storage = choose(where, graph=graph, read_only=read_only, create=create, durability=durability)
    if fallback is not None:

        def judged(batch: Batch) -> Guard:
            return opened._writer.guard(batch, None)  # noqa: SLF001  what waited is judged as any write of this graph

        storage = with_fallback(
            storage, fallback, where=where, graph=graph, guard_of=judged, read_only=read_only, clock=clock
        )
    opened = IntentGraph(storage, graph=graph, actor=actor, clock=clock, new_id=new_id)
    storage.open()
    if min_revision is not None:
        try:
            opened.wait_for(min_revision)
        except BaseException:
            storage.close()
            raise
    return opened


def repair_store(
    where: str | StorageConfig,
    to: str | StorageConfig | None,
    *,
    graph: str = "default",
    clock: Callable[[], datetime] = utc_now,
) -> Repaired:
    """Brings what is provably whole of a damaged store to a new, empty one, and lists the rest (to None: only that).

    The damaged store is read without being opened and stays as it is. Nothing is guessed: a commit is whole when its
    checksum and hash are right.
    """
    from .graph.repair import repair

    with open_graph("memory:" if to is None else to, graph=graph) as target:
        if target.revision:
            raise AlreadyThere("the place to repair to holds a graph", hint="name a new or empty place")
        return repair(salvage(where, graph=graph), target.storage, str(to or ""), now=clock)


def migrate_store(where: str | StorageConfig, *, graph: str = "default", dry_run: bool = False) -> Migration:
    """Brings a store to the present format, a copy of it kept first; returns the steps. Opening it does the same.

    ``dry_run``: only says what would be done.
    """
    plan = migration(where)
    if plan.steps and not dry_run:
        open_graph(where, graph=graph, create=False).close()
    return plan
