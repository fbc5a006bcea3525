"""Breaks what a storage stands on and asks it everything: it must say so in our words, with the cause.

Finds the members by introspection of the protocols, so a member added later cannot be forgotten.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from ..ground.change import Put
from ..ground.errors import StorageError
from ..ground.identity import uuid7
from ..ground.protocol import (
    Compacts,
    Descends,
    FindsBelow,
    FindsReady,
    IntentStorage,
    KeepsAside,
    KeepsTime,
    LagsBehind,
    ListsGraphs,
    Notifies,
    SearchesText,
)
from ..ground.query import EVERYTHING, Page, Walk
from ..ground.search import parse
from .samples import a_batch, an_intent, put

Call = Callable[[Any], object]
POWERS: tuple[Any, ...] = (
    *(SearchesText, Compacts, Descends, FindsBelow, FindsReady, KeepsAside, KeepsTime, LagsBehind, ListsGraphs),
    Notifies,
)

CALLS: dict[str, Call] = {
    "open": lambda storage: storage.open(),
    "close": lambda storage: storage.close(),
    "apply": lambda storage: storage.apply(a_batch(Put(intent=an_intent(uuid7())))),
    "apply_all": lambda storage: storage.apply_all([a_batch(Put(intent=an_intent(uuid7())))]),
    "fetch": lambda storage: storage.fetch(["sample"]),
    "neighbours": lambda storage: storage.neighbours(["sample"], Walk()),
    "select": lambda storage: storage.select(EVERYTHING, Page()),
    "count": lambda storage: storage.count(EVERYTHING),
    "entries": lambda storage: list(storage.entries()),
    "trail": lambda storage: storage.trail("sample"),
    "commit": lambda storage: storage.commit("sample-commit"),
    "revision": lambda storage: storage.revision,
    "verify": lambda storage: list(storage.verify()),
    "facts": lambda storage: dict(storage.facts()),
    "now": lambda storage: storage.now(),
    "next_free": lambda storage: storage.next_free(None, limit=5, leaves_only=True),
    "below": lambda storage: storage.below("sample"),
    "frequencies": lambda storage: storage.frequencies(["sample"], 10),
    "search": lambda storage: storage.search(parse("sample"), 10),
    "compact": lambda storage: storage.compact(),
    "arrived": lambda storage: storage.arrived(1),
    "descend": lambda storage: storage.descend(["sample"], Walk()),
    "wait": lambda storage: storage.wait(2**62, 0.001),
    "graphs": lambda storage: storage.graphs(),
    "definitions": lambda storage: storage.definitions(),
    "keep": lambda storage: storage.keep("sample", {"key": b"value"}),
    "kept": lambda storage: storage.kept("sample"),
}
"""How each protocol member is used, its answer consumed to the end."""


def calls(storage: IntentStorage) -> dict[str, Call]:
    """Returns a call for every member of every protocol the storage fulfils; fails if one is not known here."""
    protocols = [IntentStorage, *(power for power in POWERS if isinstance(storage, power))]
    names = {
        name
        for protocol in protocols
        for base in protocol.__mro__
        if base is not object
        for name in vars(base)
        if not name.startswith("_")
    }
    unknown = names - CALLS.keys()
    assert not unknown, f"give intentstore.testing.driver.CALLS a call for: {', '.join(sorted(unknown))}"
    return {name: call for name, call in CALLS.items() if name in names}


def break_driver(make: Callable[[], IntentStorage], breaks: Callable[[IntentStorage], None]) -> dict[str, StorageError]:
    """Asks a broken storage for everything; returns each member's `StorageError`, or fails naming the others.

    ``make`` returns a storage, not yet opened, always at the same place. ``breaks`` makes its driver fail from then
    on: called on an open storage, for ``open`` on one not yet opened. Each error must carry its ``__cause__``.
    ``close`` may also succeed.
    """
    first = make()
    first.open()
    put(first, "sample", id="sample-commit")
    names = calls(first)
    first.close()
    found: dict[str, StorageError] = {}
    wrong: list[str] = []
    for name, call in names.items():
        storage = make()
        if name != "open":
            storage.open()
        breaks(storage)
        try:
            answer = call(storage)
        except StorageError as error:
            found[name] = error
            if error.__cause__ is None:
                wrong.append(f"{name}: {type(error).__name__} without its cause")
        except Exception as error:  # noqa: BLE001 - any other error is what is looked for
            wrong.append(f"{name}: {type(error).__module__}.{type(error).__name__}: {error}")
        else:
            if name != "close":
                wrong.append(f"{name}: answered {answer!r}")
        finally:
            with contextlib.suppress(Exception):
                storage.close()
    assert not wrong, "with a broken driver\n" + "\n".join(wrong)
    return found
