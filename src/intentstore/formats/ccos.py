"""CCOS's files into a graph: backups 1.0 and 1.1, its live file, subgraph backups, archive directories.

What one intent, one edge, one relation means is the business of the modules beside this one; this one knows a whole
file, and what of it belongs to no intent: that stays with the graph, in its definition ``ccos``.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..codec import strict_loads
from ..ground.errors import FieldInvalid, IntentStoreError
from ..ground.types import Intent
from ..ground.values import freeze_map
from .arrivals import Arrivals
from .ccos_archive import at_file, is_archive, records_in
from .ccos_backup import DEFINITION, VERSIONS, digest, write
from .ccos_edges import Relations
from .ccos_intent import Named, named_in
from .ccos_keeping import intent_of
from .ccos_rtfs import contradictions, snapshot_text
from .culprit import line_of
from .source import Source, at_line, nothing_imported, placing

__all__ = ["is_archive", "looks", "read", "write"]

_LOOKS = re.compile(rb'\s*\{\s*"(?:intents|edges|root_intent_id|version|timestamp|manifest|rtfs)"')
_KNOWN = ("intents", "edges", "version", "timestamp", "manifest", "rtfs", "root_intent_id")
_LARGEST_TEXT = 512 * 1024
_TRANSITION = re.compile(r"status_transition_([0-9]+)_([0-9]+)")


def looks(head: bytes) -> bool:
    """True when a file that begins so is one of CCOS's."""
    return _LOOKS.match(head) is not None


# --- reading ---


def read(source: Source, arrivals: Arrivals) -> None:
    """Gathers what a file or an archive directory holds; what cannot be taken is told, and comes back on export."""
    if source.folder is not None and is_archive(source.folder):
        _archive(source, arrivals)
        return
    data = source.whole()
    document = _document(data)
    lines = _Lines(data)
    named: dict[str, Named] = {}
    for id, record in document["intents"].items():
        line = lines.of(id)
        with placing(line):
            intent, named[id] = _intent(record, id)
        arrivals.add(intent, line)
    relations = _settled(arrivals, named, document["edges"])
    _define(document, relations, arrivals)


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = strict_loads(data, "the file")
    except FieldInvalid as error:
        line = line_of(error, data)
        raise (nothing_imported(error) if line is None else at_line(error, line)) from None
    if type(document) is not dict or "intents" not in document:
        raise nothing_imported(FieldInvalid("the file", "has no intents", hint="it is no backup of CCOS"))
    version = document.get("version")
    if version not in VERSIONS:
        hint = f"known are {' and '.join(VERSIONS)}"
        raise nothing_imported(FieldInvalid("version", f"{version!r} is not one we know", hint=hint))
    for field, kind_of, said in (("intents", dict, "an object"), ("edges", list, "a list")):
        if type(document.setdefault(field, kind_of())) is not kind_of:
            raise nothing_imported(FieldInvalid(field, f"must be {said}", hint="see the file"))
    return document


class _Lines:
    """The lines on which intents stand, found in the order of the file."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._line = data, 0, 1

    def of(self, id: str) -> int:
        """Returns the line of an id; none before the one asked for last."""
        at = self._data.find(msgspec.json.encode(id) + b":", self._at)
        if at >= 0:
            self._line += self._data.count(b"\n", self._at, at)
            self._at = at
        return self._line


def _intent(record: Any, id: str | None) -> tuple[Intent, Named]:
    intent = intent_of(record)
    if id is not None and intent.id != id:
        raise FieldInvalid("intent_id", f"is {intent.id!r}, but its key is {id!r}", hint="make the two agree")
    return intent, named_in(record)


def _settled(arrivals: Arrivals, named: dict[str, Named], edges: list[Any]) -> Relations:
    arrivals.meet()
    coming = {intent.id for intent in arrivals.coming()}
    relations = Relations(arrivals, {id: each for id, each in named.items() if id in coming})
    relations.settle(edges)
    for intent in arrivals.coming():
        _history(intent, arrivals)
    return relations


def _history(intent: Intent, arrivals: Arrivals) -> None:
    """Notes the moves of status that CCOS wrote down, oldest first, unless the graph has noted them already."""
    old = arrivals.there(intent.id)
    known = old.metadata if old is not None else {}
    found = [
        (int(match[1]), int(match[2]), text)
        for key, text in intent.metadata.items()
        if type(key) is str and type(text) is str and (match := _TRANSITION.fullmatch(key)) and key not in known
    ]
    for _, _, text in sorted(found):
        if text.strip():
            arrivals.note(intent.id, text)


def _define(document: dict[str, Any], relations: Relations, arrivals: Arrivals) -> None:
    """Keeps, as the graph's definition, what the file says beside its intents and edges."""
    kept: dict[str, Any] = {
        "names": list(document),
        "version": document["version"],
        "timestamp": document.get("timestamp"),
        "manifest": document.get("manifest"),
        "root_intent_id": document.get("root_intent_id"),
        "more": {name: value for name, value in document.items() if name not in _KNOWN},
        "digest": digest(document["intents"], document["edges"]),
    }
    if relations.homeless:
        kept["edges"] = relations.homeless
    kept.update(_text_kept(document, arrivals))
    arrivals.define(DEFINITION, freeze_map(kept, "the file"))


def _text_kept(document: dict[str, Any], arrivals: Arrivals) -> dict[str, Any]:
    """Returns what gives the file's RTFS text back: the order of its intents, else the text itself."""
    text = document.get("rtfs")
    if type(text) is not str:
        return {"rtfs": text} if "rtfs" in document else {}
    if text == snapshot_text(document["intents"].values(), document["edges"]):
        places = {id: at for at, id in enumerate(sorted(document["intents"]))}
        return {"order": [places[id] for id in document["intents"]]}
    for why in contradictions(text, document["intents"], document["edges"]):
        arrivals.skip(0, None, f"the file's RTFS text {why}; its JSON was taken")
    if len(text.encode()) > _LARGEST_TEXT:
        arrivals.skip(0, None, "the file's RTFS text is too long to keep; an export writes it anew")
        return {}
    return {"rtfs": text}


# --- archives ---


def _archive(source: Source, arrivals: Arrivals) -> None:
    folder = source.folder
    assert folder is not None
    files: list[str] = []
    arrivals.place = lambda error, number: at_file(error, files[number - 1])
    try:
        newest: dict[str, tuple[int, Intent, Named]] = {}
        for where, record in records_in(folder, "intents"):
            files.append(where)
            try:
                intent, named = _intent(record, None)
            except IntentStoreError as error:
                raise at_file(error, where) from error.__cause__
            _newest(newest, intent, named, len(files), arrivals)
        for number, intent, _ in newest.values():
            arrivals.add(intent, number)
        edges = [record for _, record in records_in(folder, "edges")]
    except IntentStoreError as error:
        raise nothing_imported(error) from error.__cause__
    _settled(arrivals, {id: named for id, (_, _, named) in newest.items()}, edges)


def _newest(
    found: dict[str, tuple[int, Intent, Named]], intent: Intent, named: Named, number: int, arrivals: Arrivals
) -> None:
    """Takes the later of two records of one id: an update that was cut short leaves both in the index."""
    before = found.get(intent.id)
    if before is None or before[1].updated_at <= intent.updated_at:
        found[intent.id] = (number, intent, named)
    if before is not None:
        arrivals.skip(0, intent.id, "the index names two records of this id; the one updated later was taken")
