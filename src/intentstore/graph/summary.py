"""What stands below a goal in a few words: how many subgoals in which status, what stops them, what came of them.

By rule, or by a caller's own summarizer, whose words are kept aside under a digest of the content they are about: so a
subtree is summarized once, and again only when something in it changed. Reads through any storage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import msgspec

from ..ground.errors import FieldInvalid, ReadOnly
from ..ground.protocol import IntentStorage, keeping_aside
from ..ground.query import Direction, Walk
from ..ground.types import OPEN, ORDERING, SETTLED, Intent, IntentId, IntentStatus
from .telling import cut
from .traverse import DOWNWARD, arrow

DEPTH, MOST = 6, 500
_WAITING = Walk(types=ORDERING, direction=Direction.BOTH)
_NAMED = 4
_SPACE = "summary"


class Subtree(msgspec.Struct, frozen=True, kw_only=True):
    """A goal and what stands below it, nearest first; ``blockers`` are the unsettled intents outside it waits for.

    ``cut`` is True where more stands below than was looked at.
    """

    root: Intent
    below: tuple[Intent, ...]
    blockers: tuple[Intent, ...] = ()
    cut: bool = False

    def digest(self) -> str:
        """Returns what tells this content from any other: ids, statuses and texts, whatever the revisions."""
        facts = [
            [each.id, str(each.status), each.goal, each.original_request, _plain(each.success_criteria)]
            for each in (self.root, *sorted(self.below, key=lambda each: each.id), *self.blockers)
        ]
        return blake2b(msgspec.json.encode(facts), digest_size=16).hexdigest()


Summarize = Callable[[Subtree], str]


def _plain(value: object) -> str | None:
    return None if value is None else str(value)


def subtrees(storage: IntentStorage, roots: Sequence[Intent]) -> dict[IntentId, Subtree]:
    """Returns for each root that has subgoals what stands below it; all are read together, a level at a time."""
    below: dict[IntentId, list[IntentId]] = {}
    seen = dict.fromkeys(root.id for root in roots)
    level, short = list(seen), False
    for _ in range(DEPTH):
        reached: dict[IntentId, None] = {}
        for edge in storage.neighbours(level, DOWNWARD):
            below.setdefault(edge.target, []).append(edge.source)
            if edge.source not in seen:
                reached[edge.source] = None
        level = list(reached)[: MOST - len(seen) + len(roots)]
        short = short or len(level) < len(reached)
        seen.update(dict.fromkeys(level))
        if not level:
            break
    there = {intent.id: intent for intent in storage.fetch(list(seen)) if intent is not None}
    families = {root.id: [id for id in _under(root.id, below) if id in there] for root in roots if root.id in below}
    waits = _waits(storage, [each for ids in families.values() for each in ids if there[each].status in OPEN])
    found = {}
    for root in roots:
        family = families.get(root.id)
        if family:
            inside = frozenset(family)
            blockers = {each.id: each for id in family for each in waits.get(id, ()) if each.id not in inside}
            found[root.id] = Subtree(
                root=root,
                below=tuple(there[id] for id in family),
                blockers=tuple(blockers[id] for id in sorted(blockers)),
                cut=short or len(family) == MOST,
            )
    return found


def _under(root: IntentId, below: dict[IntentId, list[IntentId]]) -> list[IntentId]:
    found, level = dict[IntentId, None](), [root]
    while level:
        level = [child for id in level for child in below.get(id, ()) if child not in found and child != root]
        found.update(dict.fromkeys(level))
    return list(found)


def _waits(storage: IntentStorage, open_ids: Iterable[IntentId]) -> dict[IntentId, list[Intent]]:
    """Returns for each intent the unsettled ones it waits for."""
    ids = list(dict.fromkeys(open_ids))
    pairs: list[tuple[IntentId, IntentId]] = [arrow(edge) for edge in storage.neighbours(ids, _WAITING)]
    here = frozenset(ids)
    wanted = sorted({awaited for waiter, awaited in pairs if waiter in here})
    there = {each.id: each for each in storage.fetch(wanted) if each is not None and each.status not in SETTLED}
    found: dict[IntentId, list[Intent]] = {}
    for waiter, awaited in pairs:
        if waiter in here and awaited in there:
            found.setdefault(waiter, []).append(there[awaited])
    return found


def by_rule(subtree: Subtree) -> str:
    """Returns the counts, the blockers and the latest outcomes of a subtree in one or two sentences."""
    counts = Counter(each.status for each in subtree.below)
    told = ", ".join(f"{counts[status]} {status}" for status in IntentStatus if counts[status])
    more = "at least " if subtree.cut else ""
    said = [f"Below it {more}{len(subtree.below)} goals: {told}."]
    if subtree.blockers:
        said.append(f"They wait for {_names(subtree.blockers)}.")
    failed = [each for each in subtree.below if each.status is IntentStatus.FAILED]
    if failed:
        said.append(f"Failed: {_names(failed)}.")
    done = [each for each in subtree.below if each.status is IntentStatus.COMPLETED]
    if done:
        latest = sorted(done, key=lambda each: (each.updated_at, each.id), reverse=True)
        said.append(f"Lately completed: {_names(latest)}.")
    return " ".join(said)


def _names(intents: Sequence[Intent]) -> str:
    shown = "; ".join(f"{cut(each.goal, 60)} (`{each.id}`)" for each in intents[:_NAMED])
    return shown + (f" and {len(intents) - _NAMED} more" if len(intents) > _NAMED else "")


class Summaries:
    """Summaries by rule, or by a caller's summarizer with its words kept aside."""

    def __init__(self, storage: IntentStorage, summarize: Summarize | None = None) -> None:
        self._storage, self._summarize = storage, summarize
        self._aside = keeping_aside(storage)

    def of(self, roots: Sequence[Intent]) -> dict[IntentId, str]:
        """Returns the summary of each root that has subgoals."""
        found = subtrees(self._storage, roots)
        if self._summarize is None:
            return {id: by_rule(each) for id, each in found.items()}
        name = f"{self._summarize.__module__}.{getattr(self._summarize, '__qualname__', 'summarizer')}"
        keys = {id: f"{name[:180]} {each.digest()}" for id, each in found.items()}
        known = {} if self._aside is None else self._aside.kept(_SPACE, list(keys.values()))
        said = {id: known[key].decode() if key in known else self._made(found[id]) for id, key in keys.items()}
        fresh = {key: said[id].encode() for id, key in keys.items() if key not in known}
        if fresh and self._aside is not None:
            try:
                self._aside.keep(_SPACE, dict(fresh))
            except ReadOnly:
                self._aside = None
        return said

    def _made(self, subtree: Subtree) -> str:
        assert self._summarize is not None
        text = self._summarize(subtree)
        if type(text) is not str:
            raise FieldInvalid("summarize", f"gave {type(text).__name__}", hint="return the summary as text")
        return text
