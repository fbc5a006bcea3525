"""Verbs about RTFS texts, which touch no store: parse, fmt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..codec import jsonable
from ..ground.errors import FieldInvalid
from ..ground.types import Intent
from .declare import Result, Session, Verb, flag, positional

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph
    from ..rtfs.lenient import Repair


def parse(session: Session, /, *, file: str, lenient: bool) -> Result:
    """Returns the intents and edges of a text, and how many other forms it holds."""
    from ..rtfs import parse as read

    document = read(_whole(session.source(file)), lenient=lenient)
    found = {"intents": jsonable(document.intents), "edges": jsonable(document.edges), "others": document.others}
    return {**found, "repaired": told(document.repairs)} if lenient else found


def one_intent(text: str, goal: str | None) -> tuple[Intent, list[dict[str, Any]]]:
    """Returns the intent of a text that a model may have written, and what was put right to read it.

    ``goal`` counts before the text's own; a text without an intent is then kept as its source.
    """
    from ..rtfs import parse as read

    found = read(text, lenient=True, goal=goal)
    if len(found.intents) > 1 or found.edges:
        held = f"{len(found.intents)} intents and {len(found.edges)} edges"
        raise FieldInvalid("rtfs", f"holds {held}, not one intent", hint="intent import reads them all")
    if found.intents:
        intent = found.intents[0].replace(revision=0, claim=None)
        if (intent.rtfs_source or "") in text:
            intent = intent.replace(rtfs_source=text)
        return (intent if goal is None else intent.replace(goal=goal)), told(found.repairs)
    if goal is None:
        raise FieldInvalid("rtfs", "holds no intent", hint='write (intent "name" :goal "…")')
    return Intent(goal=goal, rtfs_source=text), told(found.repairs)


def kin_of(intent: Intent, graph: IntentGraph) -> tuple[Intent, list[tuple[str, str]]]:
    """Returns who is below whom by the parent and children a text names, "" for itself; who is unknown stays named."""
    kin: list[tuple[str, str]] = []
    metadata = dict(intent.metadata)
    for key, above in (("rtfs.parent-intent", True), ("rtfs.child-intents", False)):
        named = metadata.get(key)
        ids = [named] if type(named) is str else list(named) if type(named) is tuple else []
        known = [id for id in ids if type(id) is str and graph.get(id) is not None]
        if known and len(known) == len(ids):
            del metadata[key]
            kin += [("", id) if above else (id, "") for id in known]
    return (intent.replace(metadata=metadata) if kin else intent), kin


def told(repairs: tuple[Repair, ...]) -> list[dict[str, Any]]:
    """Returns what was put right in a text, as plain data."""
    return [repair._asdict() for repair in repairs]


def _whole(given: str | BinaryIO) -> bytes:
    try:
        if isinstance(given, str):
            return Path(given).read_bytes()
        return given.read()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FieldInvalid("file", f"{given} cannot be read: {why}", hint="name a file that can be read") from error


def fmt(session: Session, /, *, file: str, write: bool) -> Result:
    """Returns the text as it should look; with ``write`` the file gets it, if it looks otherwise."""
    from ..rtfs import tidy

    if write and file == "-":
        raise FieldInvalid("file", "is standard input, which cannot be written to", hint="leave --write out")
    data = _whole(session.source(file))
    neat = tidy(data)
    changed = neat.encode() != data
    if not write:
        return {"text": neat, "changed": changed}
    if changed:
        from ..formats.target import writing

        with writing(session.target(file)) as target:
            target.write(neat.encode())
    return {"file": file, "changed": changed}


VERBS = (
    Verb(
        "parse",
        "show the intents of an RTFS text, storing nothing",
        parse,
        "parsed",
        (
            positional("file", "the file; - is standard input"),
            flag("lenient", "put right what language models get wrong, and say what"),
        ),
        opens=False,
        about="Reads every intent and edge of the text, in any spelling; other forms are counted. No store is opened.",
        examples=("parse goals.rtfs", "parse - --lenient --json <answer.txt"),
    ),
    Verb(
        "fmt",
        "lay out an RTFS text",
        fmt,
        "tidied",
        (
            positional("file", "the file; - is standard input"),
            flag("write", "write the file anew, if it changes"),
        ),
        opens=False,
        about="Prints the text with its intents and edges in canonical form. Comments and other forms stay; what is\n"
        "laid out already stays as it is.",
        examples=("fmt goals.rtfs", "fmt goals.rtfs --write"),
    ),
)
