"""Verbs by which a store is trusted: seal, prove, verify, repair, doctor."""

from __future__ import annotations

from typing import Any

from ..codec import jsonable
from .declare import ID, Argument, Result, Session, Verb, positional


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
        examples=("prove ship --json >ship.proof", "prove ship --at 12 --json"),
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
)
