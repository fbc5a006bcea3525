"""A group of batches settled each on top of the one before, as if they came one by one.

Stands between who waits (`group`) and what happened (`ledger`); writes nothing. A batch that is refused has its
error put on its ticket and leaves its neighbours alone.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..ground.change import Commit
from ..ground.types import Revision
from .group import Ticket
from .ledger import Base, Draft, Settled, settle


class Group(msgspec.Struct, frozen=True):
    """What is to be written (``new``, and the state after it), and what each ticket is told once it is durable."""

    new: list[Settled]
    draft: Draft
    told: list[tuple[Ticket, Commit]]

    def acknowledge(self) -> None:
        """Gives every ticket its commit; the caller has made all of them durable."""
        for ticket, commit in self.told:
            ticket.commit = commit


def settle_group(
    tickets: list[Ticket],
    base: Base,
    *,
    last: Revision,
    known: Callable[[str], Commit | None],
    new_id: Callable[[], str],
    stop: bool,
    fatal: type[Exception],
) -> Group:
    """Returns the commits these tickets make after revision ``last``; a commit id that is known makes none.

    ``stop``: the first refusal ends it. ``fatal``: an error that is the whole group's, not one ticket's.
    """
    group = Group([], Draft(base), [])
    new: dict[str, Commit] = {}
    for ticket in tickets:
        id = ticket.batch.id
        try:
            commit = None if id is None else new.get(id) or known(id)
            if commit is None:
                settled = settle(ticket.batch, group.draft, last=last, new_id=new_id, guard=ticket.guard)
                group.draft.absorb(settled.draft)
                group.new.append(settled)
                commit = settled.commit
                new[commit.id], last = commit, commit.revision
        except fatal:
            raise
        except Exception as error:  # noqa: BLE001  whatever a guard raises refuses its own batch
            ticket.error = error
            if stop:
                break
        else:
            group.told.append((ticket, commit))
    return group
