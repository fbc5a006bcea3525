"""The commits of one log, put to another storage as they were: the same revisions, ids, times and hashes.

Knows the protocol. Whence the log comes, and what there is to count in it, is `transfer`'s to know.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ground.change import Commit, Guard
from ..ground.errors import PolicyRefused
from ..ground.protocol import IntentStorage
from ..storage.ledger import as_batch, check_same

Judge = Callable[[Commit], Guard | None]
"""Gives the guard that a commit of a log must pass to be taken over, None for one that nothing binds."""


def nothing_binds(_: Commit) -> Guard | None:
    """The judge of a log that is taken over as it is."""
    return None


def apply_as_they_were(commits: list[Commit], target: IntentStorage) -> None:
    """Applies commits of a log to a storage, many at a time, and checks that each comes out with its hash."""
    if not commits:
        return
    made = target.apply_all([as_batch(commit) for commit in commits])
    for commit, copy in zip(commits, made, strict=True):
        check_same(commit, copy)


def apply_guarded(commit: Commit, target: IntentStorage, guard: Guard | None) -> None:
    """Applies one commit of a log under a guard, if there is one; `PolicyRefused` names the revision."""
    if guard is None:
        return
    try:
        copy = target.apply(as_batch(commit), guard=guard)
    except PolicyRefused as refused:
        said = f"revision {commit.revision} breaks a policy in force there: {refused.message}"
        hint = "what came before it was taken; the log it comes from was written past its policies"
        raise PolicyRefused(said, hint=hint, **refused.fields, revision=commit.revision) from refused
    check_same(commit, copy)
