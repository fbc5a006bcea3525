"""Policies: rules that a graph carries in itself, as data, so that they bind whoever opens it.

Owns their kinds and what they are about. How they are kept and judged is `policies`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from ..ground.errors import FieldInvalid
from ..ground.query import EVERYTHING, IntentFilter
from ..ground.types import EdgeType, IntentStatus, as_status, check_name
from ..ground.values import listed
from ..storage.match import matches
from .proposed import ACTS, Act, Proposed

NEEDS = ("reason", "actor", "approver", "claim")
CASCADES = ("complete_parents", "fail_dependants", "suspend_dependants")
MODES = ("off", "suggest", "automatic")
_LONGEST_S = 10 * 365 * 86_400


def _some(given: Any, known: Sequence[str], field: str) -> frozenset[str]:
    found = frozenset(listed(given, field))
    for name in found:
        _one(name, known, field)
    return found


def _one(given: object, known: Sequence[str], field: str) -> None:
    if given not in known:
        raise FieldInvalid(field, f"{given!r} is not known", hint=f"use: {', '.join(known)}")


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a policy is about: these acts (any but ``define``, if none is given), on intents that ``where`` means.

    ``leaving`` and ``entering`` narrow moves to those from and to some statuses; ``types`` narrows links. For a link,
    one of the two intents must be meant; for a deletion the intent as it was; else the intent as it will be.
    """

    acts: frozenset[str] = frozenset()
    where: IntentFilter = EVERYTHING
    leaving: frozenset[IntentStatus] = frozenset()
    entering: frozenset[IntentStatus] = frozenset()
    types: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        force_setattr(self, "acts", _some(self.acts, ACTS, "when.acts"))
        for field in ("leaving", "entering"):
            given = getattr(self, field)
            force_setattr(self, field, frozenset(as_status(s) for s in listed(given, f"when.{field}")))
        force_setattr(self, "types", frozenset(EdgeType(name) for name in listed(self.types, "when.types")))
        if not isinstance(self.where, IntentFilter):
            raise FieldInvalid("when.where", "must be a filter", hint="give an IntentFilter")
        if self.where.asks_the_graph:
            raise FieldInvalid("when.where", "may not hold connected_to", hint="name labels, metadata or has_edge")

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of act it is about."""
        return self.acts or _ORDINARY

    def means(self, act: Act, proposed: Proposed) -> bool:
        """True when the policy is about this act of the commit."""
        if act.kind not in self.kinds:
            return False
        if (self.leaving or self.entering) and not self._moves(act):
            return False
        if act.edge is not None:
            if self.types and act.edge.type not in self.types:
                return False
            if self.where == EVERYTHING:
                return True
            ends = proposed.after.fetch([act.edge.source, act.edge.target])
            return any(end is not None and matches(end, self.where, proposed.after) for end in ends)
        if act.intent is None:
            return self.where == EVERYTHING
        if self.where is EVERYTHING or self.where == EVERYTHING:
            return True
        reader = proposed.before if act.after is None else proposed.after
        return matches(act.intent, self.where, reader)

    def _moves(self, act: Act) -> bool:
        if act.after is None:
            return False
        left = None if act.before is None else act.before.status
        came = left is not act.after.status
        return (
            came
            and (not self.leaving or left in self.leaving)
            and (not self.entering or act.after.status in self.entering)
        )


_ORDINARY = frozenset(ACTS) - {"define"}
ALWAYS = When()


class Forbid(msgspec.Struct, frozen=True, kw_only=True, tag="forbid", omit_defaults=True, forbid_unknown_fields=True):
    """Refuses what it is about. ``why`` is what the refused are told."""

    when: When = ALWAYS
    why: str = "it is forbidden"


class Require(msgspec.Struct, frozen=True, kw_only=True, tag="require", omit_defaults=True, forbid_unknown_fields=True):
    """Refuses what it is about unless the commit has these: a reason, an actor, an approver, a live claim of its own.

    An approver is someone else than the actor, and one of ``approvers`` where they are named.
    """

    needs: frozenset[str]
    approvers: frozenset[str] = frozenset()
    when: When = ALWAYS
    why: str = ""

    def __post_init__(self) -> None:
        force_setattr(self, "needs", _some(self.needs, NEEDS, "needs"))
        force_setattr(
            self, "approvers", frozenset(check_name(n, "approvers") for n in listed(self.approvers, "approvers"))
        )
        if not self.needs:
            raise FieldInvalid("needs", "is empty", hint=f"name some of: {', '.join(NEEDS)}")


class MostParents(msgspec.Struct, frozen=True, tag="most_parents", forbid_unknown_fields=True):
    """Refuses a link that would give an intent more parents than this."""

    most: int = 1

    def __post_init__(self) -> None:
        if type(self.most) is not int or self.most < 0:
            raise FieldInvalid("most", f"is {self.most!r}", hint="give a number of parents, 0 or more")


class Allow(msgspec.Struct, frozen=True, kw_only=True, tag="allow", omit_defaults=True, forbid_unknown_fields=True):
    """Allows a move that the lifecycle's table does not, such as completed to active."""

    leaving: IntentStatus
    entering: IntentStatus

    def __post_init__(self) -> None:
        force_setattr(self, "leaving", as_status(self.leaving))
        force_setattr(self, "entering", as_status(self.entering))


class Cascade(msgspec.Struct, frozen=True, kw_only=True, tag="cascade", omit_defaults=True, forbid_unknown_fields=True):
    """Moves others along in the same commit. ``suggest`` leaves a note on them instead.

    ``complete_parents``: an open parent whose subgoals are all settled, one of them completed, is completed.
    ``fail_dependants``: what waits for a failed intent fails. ``suspend_dependants``: what waits for one that failed or
    was suspended is suspended, and woken when that one is active again or settled.
    """

    what: str
    mode: str = "automatic"

    def __post_init__(self) -> None:
        _one(self.what, CASCADES, "what")
        _one(self.mode, MODES, "mode")


class Timeout(msgspec.Struct, frozen=True, kw_only=True, tag="timeout", omit_defaults=True, forbid_unknown_fields=True):
    """`IntentGraph.sweep` moves what has stood in ``status``, unchanged, for longer than ``after_s`` seconds."""

    after_s: float
    status: IntentStatus = msgspec.field(default_factory=lambda: IntentStatus.EXECUTING)
    to: IntentStatus = msgspec.field(default_factory=lambda: IntentStatus.FAILED)
    where: IntentFilter = EVERYTHING

    def __post_init__(self) -> None:
        force_setattr(self, "status", as_status(self.status))
        force_setattr(self, "to", as_status(self.to))
        if (
            isinstance(self.after_s, bool)
            or not isinstance(self.after_s, int | float)
            or not 0 < self.after_s <= _LONGEST_S
        ):
            raise FieldInvalid(
                "after_s", f"is {self.after_s!r}", hint=f"give seconds, more than 0, at most {_LONGEST_S}"
            )


Policy = Forbid | Require | MostParents | Allow | Cascade | Timeout
KINDS: dict[str, type[Policy]] = {
    "forbid": Forbid,
    "require": Require,
    "most_parents": MostParents,
    "allow": Allow,
    "cascade": Cascade,
    "timeout": Timeout,
}
