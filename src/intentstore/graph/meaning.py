"""What intents mean, as vectors: made by a model, kept aside by its name and version, refreshed from the log.

An intent is several passages, its goal first; a search is close to it where it is close to one of them. Knows vectors
and storages; decides nothing about words, and nothing is lost if all that is kept aside is.
"""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any

from ..ground.change import Drop, Put
from ..ground.errors import FieldInvalid, ReadOnly
from ..ground.protocol import IntentStorage, keeping_aside
from ..ground.types import Intent, IntentId, Revision
from .model import Model, arrays
from .traverse import every_intent

MOST_PASSAGES = 20
_LEAST_WORDS = 4
_BREAK = re.compile(r"\n\s*\n|\n(?=[-*#])")
_HEAD = struct.Struct("<HH8s")
"""Before the vectors of an intent: how many numbers each has, how many there are, a digest of the passages."""
_TOGETHER = 256
_CURSORS = "meaning"


def passages(intent: Intent) -> list[str]:
    """Returns the pieces of an intent's text that are each a thought: its goal, its name, its paragraphs and items."""
    criteria = intent.success_criteria
    found = [intent.goal] + ([intent.name] if intent.name else [])
    for text in (intent.original_request, criteria if type(criteria) is str else None):
        pieces = (piece.strip() for piece in _BREAK.split(text or ""))
        found.extend(piece for piece in pieces if len(piece.split()) >= _LEAST_WORDS)
    return found[:MOST_PASSAGES]


class Meanings:
    """The vectors of one graph by one model. Safe to share between threads."""

    def __init__(self, storage: IntentStorage, model: Model) -> None:
        self._np = arrays()
        self._storage, self._model = storage, model
        self._aside = keeping_aside(storage)
        self._key = f"{model.name} {model.version}"
        self._space = f"{_CURSORS} {self._key}"
        self._lock = threading.RLock()
        self._revision: Revision | None = None
        self._held: dict[IntentId, bytes] = {}
        self._ids: list[IntentId] = []
        self._rows: dict[IntentId, int] = {}
        self._table: Any = None

    # --- keeping up with the graph ---

    def refresh(self) -> int:
        """Reads what changed since the last time, makes its vectors and keeps them; returns how many were made."""
        with self._lock:
            if self._revision is None:
                self._load()
            last = self._storage.revision
            if self._revision == last:
                return 0
            changed = self._changed() if self._revision else (every_intent(self._storage), ())
            made = self._take(changed[0])
            self._drop(changed[1])
            self._revision = last
            if self._aside is not None:
                self._keep(_CURSORS, {self._key: str(last).encode()})
            return made

    def _load(self) -> None:
        self._revision = 0
        if self._aside is not None:
            self._held = self._aside.kept(self._space)
            self._lay(self._held)
            cursor = self._aside.kept(_CURSORS, [self._key]).get(self._key, b"0")
            self._revision = int(cursor) if cursor.isdigit() and int(cursor) <= self._storage.revision else 0

    def _changed(self) -> tuple[Iterable[Intent], Iterable[IntentId]]:
        put: dict[IntentId, Intent | None] = {}
        for commit in self._storage.entries(self._revision or 0):
            for change in commit.changes:
                if type(change) is Put:
                    put[change.intent.id] = change.intent
                elif type(change) is Drop:
                    put[change.id] = None
        return [intent for intent in put.values() if intent is not None], [
            id for id, each in put.items() if each is None
        ]

    def _take(self, intents: Iterable[Intent]) -> int:
        made = 0
        left = iter(intents)
        while block := list(islice(left, _TOGETHER)):
            wanted = {intent.id: passages(intent) for intent in block}
            fresh = {id: texts for id, texts in wanted.items() if self._digest_of(id) != _digest(texts)}
            vectors = self._vectors([text for texts in fresh.values() for text in texts])
            items: dict[IntentId, bytes] = {}
            for id, texts in fresh.items():
                mine, vectors = vectors[: len(texts)], vectors[len(texts) :]
                items[id] = _HEAD.pack(mine.shape[1], len(texts), _digest(texts)) + self._small(mine).tobytes()
            self._held.update(items)
            self._lay(items)
            self._keep(self._space, items)
            made += len(items)
        return made

    def _digest_of(self, id: IntentId) -> bytes:
        held = self._held.get(id)
        return b"" if held is None else bytes(_HEAD.unpack_from(held)[2])

    def _drop(self, ids: Iterable[IntentId]) -> None:
        gone = [id for id in ids if id in self._rows]
        for id in gone:
            row, last = self._rows.pop(id), len(self._ids) - 1
            self._held.pop(id, None)
            moved = self._ids.pop()
            if row != last:
                self._ids[row], self._rows[moved] = moved, row
                self._table[row] = self._table[last]
        self._keep(self._space, dict.fromkeys(gone))

    def _keep(self, space: str, items: Mapping[str, bytes | None]) -> None:
        if self._aside is not None and items:
            try:
                self._aside.keep(space, items)
            except ReadOnly:
                self._aside = None  # what is made lives as long as this process

    # --- vectors ---

    def _vectors(self, texts: Sequence[str]) -> Any:
        """Returns a row of length 1 for each text, as the model makes them; nonsense from it is `FieldInvalid`."""
        np = self._np
        try:
            made = np.asarray(self._model.embed(texts) if texts else [[0.0]], dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise FieldInvalid("embed", f"gave no numbers: {error}", hint="one row of numbers a text") from error
        if made.ndim != 2 or (texts and len(made) != len(texts)) or not np.isfinite(made).all():
            raise FieldInvalid("embed", f"gave {made.shape} for {len(texts)} texts", hint="one row of numbers a text")
        return _long_as_one(made)

    def _small(self, vectors: Any) -> Any:
        """Returns the vectors in a byte a number: a quarter of the room, and no search ends otherwise."""
        np = self._np
        return np.round(vectors * (127 / np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9))).astype(np.int8)

    def _lay(self, items: Mapping[IntentId, bytes]) -> None:
        """Takes over the middle of each intent's passages, which is looked at first."""
        np = self._np
        left = iter(items.items())
        while block := list(islice(left, _TOGETHER)):
            middles = self._middles([held for _, held in block])
            if self._table is None:
                self._table = np.zeros((1024, middles.shape[1]), np.float32)
            self._check_width(middles.shape[1])
            for (id, _), middle in zip(block, middles, strict=True):
                row = self._rows.setdefault(id, len(self._ids))
                if row == len(self._ids):
                    self._ids.append(id)
                    if row == len(self._table):
                        self._table = np.concatenate([self._table, np.zeros_like(self._table)])
                self._table[row] = middle

    def _middles(self, held: Sequence[bytes]) -> Any:
        whole, starts = self._joined(held)
        return _long_as_one(self._np.add.reduceat(whole, starts, axis=0))

    def _joined(self, held: Sequence[bytes]) -> tuple[Any, Any]:
        """Returns the vectors of several intents as one table, and where those of each begin."""
        np = self._np
        heads = [_HEAD.unpack_from(each) for each in held]
        whole = np.frombuffer(b"".join(each[_HEAD.size :] for each in held), np.int8).reshape(-1, heads[0][0])
        return _long_as_one(whole.astype(np.float32)), np.cumsum([0, *(count for _, count, _ in heads[:-1])])

    def _check_width(self, width: int) -> None:
        if width != self._table.shape[1]:
            raise FieldInvalid(
                "embed",
                f"gives {width} numbers a text, and gave {self._table.shape[1]} before",
                hint="a model that changes needs another version",
            )

    # --- searching ---

    def closest(self, text: str, most: int, besides: Iterable[IntentId] = ()) -> dict[IntentId, float]:
        """Returns the intents whose meaning is closest, and those asked for besides, each with a closeness up to 1.

        The middles of all are compared first, then every passage of the best.
        """
        np = self._np
        with self._lock:
            if not self._ids:
                return {}
            wanted = self._vectors([text])[0]
            self._check_width(len(wanted))
            near = self._table[: len(self._ids)] @ wanted
            best = np.argpartition(-near, most - 1)[:most] if most < len(near) else range(len(near))
            ids = dict.fromkeys([*(self._ids[row] for row in best), *(id for id in besides if id in self._rows)])
            held = [self._held[id] for id in ids]
            whole, starts = self._joined(held)
            return dict(zip(ids, map(float, np.maximum.reduceat(whole @ wanted, starts)), strict=True))


def _long_as_one(rows: Any) -> Any:
    """Returns the rows, each made one long; a row of zeros stays one."""
    return rows / ((rows * rows).sum(axis=1, keepdims=True) ** 0.5 + 1e-9)


def _digest(texts: Sequence[str]) -> bytes:
    return blake2b("\0".join(texts).encode(), digest_size=8).digest()
