"""Rows about damage: bits, bytes, lines and rows that are not what they were."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import apsw

from intentstore import open_graph
from intentstore.ground.change import Put
from intentstore.ground.errors import Corrupt, TooNew
from intentstore.storage.journal import ZERO, write_frame
from intentstore.testing import a_batch, an_intent, put
from intentstore.testing.faults import Expected, Finding, Subject, damage, opened, scratch
from intentstore.testing.faults.damage import Edit, cuts, files_of, flips, line_edits

from .rows import Run, row


@contextlib.contextmanager
def a_small_store(subject: Subject, *, compacted: bool) -> Iterator[tuple[Path, Expected]]:
    """A store of five commits, closed; with a snapshot and a second journal file, or all in one journal."""
    with scratch() as place:
        with opened(subject, place) as storage:
            for n in range(4):
                put(storage, an_intent(f"a{n}", f"Goal {n} \u2028 λ"), id=f"c{n}")
                if compacted and n == 1:
                    storage.compact()  # type: ignore[attr-defined]  # declared
            storage.apply(a_batch(Put(intent=an_intent("a0", "Changed")), id="c4", actor="me", reason="why"))
        with opened(subject, place) as storage:
            expected = Expected(list(storage.entries()))
        yield place, expected


def every_file(place: Path, edits: object, luck: Random, every: int) -> Iterator[tuple[str, Edit]]:
    for name in files_of(place):
        for each in edits((place / name).read_bytes(), every=every, luck=luck):  # type: ignore[operator]  # flips or cuts
            yield name, each


@row("flips", "file")
def flip_file(run: Run) -> list[Finding]:
    """One bit flipped at every byte of every file, and every file cut at every byte."""
    found = []
    for compacted in (False, True):
        which = "with a snapshot" if compacted else "all in one journal"
        with a_small_store(run.subject, compacted=compacted) as (place, expected):
            for what, edits in (("bit flipped", flips), ("cut", cuts)):
                finding = run.finding(10, f"{what} at every byte, {which}", unit="bytes")
                luck = Random(f"{run.seed} {what}")
                damage(run.subject, place, expected, finding, every_file(place, edits, luck, run.choose(5, 1)))
                found.append(finding)
            finding = run.finding(11, f"lines dropped, doubled, swapped, moved; junk behind; {which}", unit="edits")
            edited = ((name, each) for name in files_of(place) for each in line_edits((place / name).read_bytes()))
            damage(run.subject, place, expected, finding, edited)
            found.append(finding)
    return found


@row("flips", "sqlite")
def flip_sqlite(run: Run) -> list[Finding]:
    """Bits flipped and cuts over the database file, which has no checksums: verify must see what a read may not."""
    good = frozenset({"safe", "refused", "found by verify"})
    found = []
    with a_small_store(run.subject, compacted=False) as (place, expected):
        for what, edits in (("bit flipped", flips), ("cut", cuts)):
            finding = run.finding(10, f"{what} in the database file", unit="bytes")
            luck = Random(f"{run.seed} {what}")
            damage(
                run.subject, place, expected, finding, every_file(place, edits, luck, run.choose(397, 13)), good=good
            )
            found.append(finding)
    return found


@row("moved", "file")
def moved(run: Run) -> list[Finding]:
    """Files of another store, of another time, or missing: refused, or replayed right."""
    finding = run.finding(11, "files missing, older, newer, of another store", unit="edits")
    begun = time.monotonic()
    with a_small_store(run.subject, compacted=True) as (place, expected), scratch() as other:
        with opened(run.subject, other) as storage:
            for n in range(6):
                put(storage, an_intent(f"b{n}", "Of another store"), id=f"o{n}")
                if n == 1:
                    storage.compact()  # type: ignore[attr-defined]  # declared
        theirs = {name: (other / name).read_bytes() for name in files_of(other)}
        edits: list[tuple[str, Edit]] = []
        for name in files_of(place):
            if theirs.get(name):
                edits.append((name, ("put in from another store", lambda _, name=name: theirs[name])))  # type: ignore[misc]
            edits.append((name, ("emptied", lambda _: b"")))
        damage(run.subject, place, expected, finding, edits)
        _missing_files(run, place, expected, finding)
    finding.seconds = time.monotonic() - begun
    return [finding]


def _missing_files(run: Run, place: Path, expected: Expected, finding: Finding) -> None:
    import shutil

    from intentstore.testing.faults.damage import outcome

    for name in files_of(place):
        with scratch() as copy:
            shutil.copytree(place, copy, dirs_exist_ok=True)
            (copy / name).unlink()
            came = outcome(run.subject, copy, expected)
            finding.tried += 1
            finding.count(came if came in ("safe", "refused") else "silently wrong")
            if came not in ("safe", "refused"):
                finding.fault(f"{name} missing: {came}")


@row("backups", "file")
def backups(run: Run) -> list[Finding]:
    """One bit flipped at every byte of a backup, and a backup cut at every byte: refused, and nothing is written."""
    finding = run.finding(27, "bit flipped and cut at every byte of a backup", unit="bytes")
    begun = time.monotonic()
    with scratch() as place, open_graph("memory:") as source:
        for n in range(run.choose(20, 200)):
            source.store(an_intent(f"b{n}", f"Backed up {n}"))
        receipt = source.backup(place / "a.backup")
        whole = (place / "a.backup").read_bytes()
        luck = Random(f"{run.seed} backups")
        every = run.choose(3, 1)
        for what, edit in [*flips(whole, every=every, luck=luck), *cuts(whole, every=every, luck=luck)]:
            (place / "a.backup").write_bytes(edit(whole))
            finding.tried += 1
            with open_graph("memory:") as target:
                try:
                    made = target.restore(place / "a.backup")
                except (Corrupt, TooNew):
                    finding.count("refused")
                    if target.revision:
                        finding.fault(f"{what}: something was written before it was refused")
                else:  # what gzip does not look at, as the time in its header
                    finding.count("safe")
                    if made != receipt:
                        finding.fault(f"{what}: another history was restored")
    finding.seconds = time.monotonic() - begun
    return [finding]


# --- the audit chain ---


@row("audit")
def audit(run: Run) -> list[Finding]:
    """Entries edited, deleted, reordered and inserted with every checksum made good again: verify must say so."""
    finding = run.finding(12, "audit entries edited, deleted, reordered, inserted", unit="edits")
    begun = time.monotonic()
    forge = _forged_file if run.subject.name == "file" else _forged_sqlite
    for what in ("edited", "deleted", "reordered", "inserted", "other state"):
        with a_small_store(run.subject, compacted=False) as (place, _):
            forge(place, what)
            finding.tried += 1
            problems: list[str] = []
            try:
                with opened(run.subject, place) as storage:
                    problems = [f"{each.where}: {each.what}" for each in storage.verify()]
            except Exception as error:  # noqa: BLE001  an opening that refuses has seen it too
                problems = [str(error)]
            if not problems:
                finding.fault(f"{what}: nothing was noticed")
            elif not any(word in problems[0] for word in ("commit", "revision", "intent", "snapshot")):
                finding.fault(f"{what}: noticed without its place: {problems[0]}")
    finding.seconds = time.monotonic() - begun
    return [finding]


def _reframed(bodies: list[tuple[int, bytes]], header: bytes) -> bytes:
    """Returns a journal of these bodies whose every frame is whole and chained."""
    line, prev = write_frame(header, revision=0, group=0, prev=ZERO)
    lines = [line]
    for revision, body in bodies:
        line, prev = write_frame(body, revision=revision, group=revision, prev=prev)
        lines.append(line)
    return b"".join(lines)


def _forged_file(place: Path, what: str) -> None:
    (journal,) = place.rglob("journal-*.jsonl")
    header, *frames = [line.split(b" ", 5) for line in journal.read_bytes().split(b"\n") if line]
    bodies = [(int(frame[1]), frame[5]) for frame in frames]
    if what == "edited":
        bodies[1] = (bodies[1][0], bodies[1][1].replace(b"Goal 1", b"Goal 7"))
    elif what == "deleted":
        del bodies[0]
    elif what == "reordered":
        bodies[1], bodies[2] = (bodies[1][0], bodies[2][1]), (bodies[2][0], bodies[1][1])
    elif what == "inserted":
        bodies.append((6, bodies[-1][1].replace(b'"revision":5', b'"revision":6').replace(b"Changed", b"Forged")))
    else:
        bodies[4] = (bodies[4][0], bodies[4][1].replace(b'"prev":"', b'"prev":"0'))
    journal.write_bytes(_reframed(bodies, header[5]))
    _rewrite_head(place, journal, bodies[-1][0])


def _rewrite_head(place: Path, journal: Path, revision: int) -> None:
    """Makes the head name the end of the forged journal, as a forger would."""
    import msgspec

    from intentstore.storage.segments import Place

    last = journal.read_bytes().rstrip(b"\n").split(b"\n")[-1].split(b" ", 5)
    length = len(journal.read_bytes().rstrip(b"\n")) + 1
    body = msgspec.json.encode(Place(1, length, revision, last[4].decode()))
    line, _ = write_frame(body, revision=revision, group=revision, prev=ZERO)
    (head,) = place.rglob("head")
    head.write_bytes(line)


def _forged_sqlite(place: Path, what: str) -> None:
    connection = apsw.Connection(str(place / "goals.db"))
    texts = {
        "edited": "UPDATE commits SET body = replace(body, 'Goal 1', 'Goal 7') WHERE key & 255 = 2",
        "deleted": "DELETE FROM commits WHERE key & 255 = 1",
        "reordered": "UPDATE commits SET key = -(key + 5 - 2 * (key & 255)) WHERE key & 255 IN (2, 3);"
        "UPDATE commits SET key = -key WHERE key < 0",
        "inserted": "INSERT INTO commits (key, graph, id, body) SELECT key + 1, graph, 'forged',"
        " replace(replace(body, '\"revision\":5', '\"revision\":6'), '\"c4\"', '\"forged\"') FROM commits"
        " WHERE key & 255 = 5",
        "other state": "UPDATE intents SET goal = 'Forged', body = replace(body, 'Changed', 'Forged') WHERE id = 'a0'",
    }
    connection.execute(texts[what])
    connection.close()
