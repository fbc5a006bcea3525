"""Verbs by which a store is trusted: seal, prove, verify, repair, doctor."""

from __future__ import annotations

from typing import Any

from ..codec import jsonable
from .declare import ID, Argument, Result, Session, Verb, flag, positional


def seal(session: Session, /, *, file: str | None = None) -> Result:
    """Returns the digest of the whole history, and writes it to a file where one is named."""
    made = session.graph.seal()
    if file is not None:
        made.write(file)
    return _told(made)


def prove(session: Session, /, *, id: str, at: int | None = None) -> Result:
    """Returns the proof of an intent's content at a revision."""
    return session.graph.prove(id, revision=at)


def verify(session: Session, /, *, against: str | None = None) -> Result:
    """Checks everything that is stored against everything else."""
    report = session.graph.verify(against=against)
    return {"ok": report.ok, "problems": jsonable(report.problems)}


def repair(session: Session, /, *, to: str | None = None) -> Result:
    """Brings what is provably whole to a new place and lists the rest."""
    from ..ground.errors import FieldInvalid
    from ..locate import located
    from ..opening import repair_store

    found = located(session.where)
    target = to if to is None or ":" in to else f"file:{to}"
    if target == found.store:
        raise FieldInvalid("to", "is the store itself", hint="name a new place; the store stays as it is")
    return _told(repair_store(found.store, target, graph=session.graph_name or found.graph))


def migrate(session: Session, /, *, dry_run: bool = False) -> Result:
    """Brings the store to the present format."""
    from ..locate import located
    from ..opening import migrate_store

    found = located(session.where)
    plan = migrate_store(found.store, graph=session.graph_name or found.graph, dry_run=dry_run)
    return {**_told(plan), "done": not dry_run}


def doctor(session: Session, /) -> Result:
    """Looks at what the store stands on."""
    return _told(session.graph.doctor())


def _told(facts: Any) -> Result:
    told: Result = jsonable(facts)
    return told


VERBS = (
    Verb(
        "seal",
        "take the digest of the whole history",
        seal,
        "facts",
        (positional("file", "where to write it; keep it elsewhere than the store", required=False),),
        about="The seal is the root of a Merkle tree over all commits. Kept elsewhere, it shows what a log by itself\n"
        "cannot: that its end was cut off, or all of it written anew.",
        examples=("seal goals.seal", "seal --json"),
    ),
    Verb(
        "prove",
        "prove what an intent was",
        prove,
        "facts",
        (ID, Argument("at", "as of this revision; the last when left out", kind="integer", metavar="REV")),
        about="Prints a document that shows, to whoever holds the seal, that the intent had this content at that\n"
        "revision. It is checked without intentstore: docs/check_proof.py does it in 40 lines.",
        examples=("prove ship --json", "prove ship --at 12 --json"),
    ),
    Verb(
        "verify",
        "check the store for damage",
        verify,
        "report",
        (Argument("against", "a seal: its file, a backup, or its 64 digits", metavar="SEAL"),),
        about="Checks checksums, hash chains, indexes, and the state against the log; with --against also that the\n"
        "log goes on from a seal. Others may write meanwhile. Exit status 9 if anything is wrong.",
        examples=("verify", "verify --json", "verify --against goals.seal"),
    ),
    Verb(
        "repair",
        "bring what is whole of a damaged store to a new one",
        repair,
        "repaired",
        (
            Argument(
                "to", "an empty directory, or a store's URL; when left out, it only says what it would", metavar="DIR"
            ),
        ),
        opens=False,
        about="Reads the store without opening it and changes nothing in it. Every commit whose checksum and hash are\n"
        "right is brought over, and what a whole snapshot holds besides; all else is listed with its place.",
        examples=("repair", "repair --to rescued", "repair --to sqlite:rescued.db"),
    ),
    Verb(
        "migrate",
        "bring the store to the present format",
        migrate,
        "facts",
        (flag("dry_run", "only say what would be done"),),
        writes=True,
        opens=False,
        about="Keeps a copy of the store as it is beside it, then takes the steps, each whole or not at all. Opening\n"
        "a store for writing does the same; this says so.",
        examples=("migrate --dry-run", "migrate"),
    ),
    Verb(
        "doctor",
        "look at what the store stands on",
        doctor,
        "health",
        about="Looks at the file system, the lock, permissions, free space, the database's settings and the clock,\n"
        "and says what each means for the promise that nothing acknowledged is lost.",
        examples=("doctor", "doctor --json"),
    ),
)
