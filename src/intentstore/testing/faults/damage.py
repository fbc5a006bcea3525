"""Damage to a store that lies still: bits flipped, files cut, lines dropped, doubled, swapped; and what came of each.

A damaged store is *safe* (everything that was written is there) or *refused* (an error that says where). Anything else
is silently wrong.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

from ...ground.errors import IntentStoreError
from ..samples import state
from .findings import Finding
from .power import scratch
from .safety import Expected, opened, quietly
from .session import Subject

Edit = tuple[str, Callable[[bytes], bytes]]


def flips(data: bytes, *, every: int, luck: Random) -> Iterator[Edit]:
    """Yields one bit flipped at every (so-many-th) byte, the bit drawn by luck."""
    for at in range(luck.randrange(every), len(data), every):
        bit = 1 << luck.randrange(8)
        flipped = bytes([data[at] ^ bit])
        yield f"bit {bit} of byte {at} flipped", _into([data[:at], flipped, data[at + 1 :]])


def cuts(data: bytes, *, every: int, luck: Random) -> Iterator[Edit]:
    """Yields the file cut at every (so-many-th) byte."""
    for at in range(luck.randrange(every), len(data), every):
        yield f"cut at byte {at}", _into([data[:at]])


def line_edits(data: bytes) -> Iterator[Edit]:
    """Yields each line dropped, doubled, swapped with the next, moved to the end; and junk behind the last."""
    lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
    for at, line in enumerate(lines):
        before, behind = lines[:at], lines[at + 1 :]
        yield f"line {at} dropped", _into([*before, *behind])
        yield f"line {at} doubled", _into([*before, line, line, *behind])
        if behind:
            yield f"lines {at} and {at + 1} swapped", _into([*before, behind[0], line, *behind[1:]])
            yield f"line {at} moved to the end", _into([*before, *behind, line])
    for junk in (b"\0" * 700, b"junk without an end", b"junk\n", data):
        yield f"{len(junk)} bytes of junk behind the end", _into([data, junk])


def _into(lines: list[bytes]) -> Callable[[bytes], bytes]:
    return lambda _: b"".join(lines)


def damage(
    subject: Subject,
    whole: Path,
    expected: Expected,
    finding: Finding,
    edits: Iterable[tuple[str, Edit]],
    *,
    good: frozenset[str] = frozenset({"safe", "refused"}),
    seconds: float = 1e9,
) -> None:
    """Applies each (file name, edit) to a copy of the store and counts what came of it into the finding.

    ``good``: what may come of it; a storage without checksums of its own may add ``found by verify``.
    """
    begun = time.monotonic()
    with scratch() as place:
        for number, (name, (what, edit)) in enumerate(edits):
            if time.monotonic() - begun > seconds:
                break
            copy = place / f"{number}"
            shutil.copytree(whole, copy)
            (copy / name).write_bytes(edit((whole / name).read_bytes()))
            finding.tried += 1
            came = outcome(subject, copy, expected)
            finding.count(came if came in good else "silently wrong")
            if came not in good:
                finding.fault(f"{name}, {what}: {came}")
            shutil.rmtree(copy)
    finding.seconds += time.monotonic() - begun


def outcome(subject: Subject, place: Path, expected: Expected) -> str:
    """Returns safe, refused, found by verify, or in words what is silently wrong."""
    try:
        with quietly(), opened(subject, place) as storage:
            problems = list(storage.verify())
            try:
                log = list(storage.entries())
                right = log == expected.log and state(storage) == expected.state(len(expected.log))
            except IntentStoreError as error:
                return _refusal(error)
            if right:
                return "safe"
            return "found by verify" if problems else f"another log of {len(log)} commits is read"
    except IntentStoreError as error:
        return _refusal(error)
    except Exception as error:  # noqa: BLE001  whatever comes through that is not ours is a defect
        return f"not an error of ours: {type(error).__name__}: {error}"


def _refusal(error: IntentStoreError) -> str:
    named = str(error.fields.get("where") or error)
    return "refused" if named else "an error without a place"


def files_of(place: Path) -> list[str]:
    """Returns the names of all files under a place, relative to it."""
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
