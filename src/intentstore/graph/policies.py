"""How a graph keeps its policies, as definitions named ``policy/NAME``, and what each says of a proposed commit.

A policy that cannot be read refuses everything: what somebody forbade is not allowed by not understanding it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..codec import filter_from, jsonable
from ..ground.errors import FieldInvalid, Invalid, PolicyRefused
from ..ground.types import check_name
from ..ground.values import Map, check_text, freeze_map
from .cascade import modes
from .policy import KINDS, NEEDS, Forbid, MostParents, Policy, Require, When
from .proposed import Act, Proposed
from .traverse import UPWARD

PREFIX = "policy/"
Claimed = Callable[[Act], bool]


def definition(name: str) -> str:
    """Returns the name of the definition that holds the policy of this name."""
    return PREFIX + check_name(name, "policy")


def written(policy: Policy) -> Map:
    """Returns the policy as the definition's value: plain JSON, ``kind`` and its fields."""
    if type(policy) not in KINDS.values():
        raise FieldInvalid("policy", f"must be a policy, not {type(policy).__name__}", hint=f"use: {', '.join(KINDS)}")
    found = _ordered(jsonable(policy))
    kind = found.pop("do")
    return freeze_map({"kind": kind, **found}, "policy")


def _ordered(thing: Any) -> Any:
    """Returns the JSON with what were sets in order, so that equal policies are written equal."""
    if isinstance(thing, dict):
        return {key: _ordered(item) for key, item in thing.items()}
    if isinstance(thing, list):
        return sorted(thing) if all(isinstance(item, str) for item in thing) else [_ordered(item) for item in thing]
    return thing


def policy_from(found: Mapping[str, Any]) -> Policy:
    """Returns the policy that decoded JSON describes; `FieldInvalid` names what it cannot be."""
    fields = _plain(found)
    kind = KINDS.get(str(fields.pop("kind", None)))
    if kind is None:
        raise FieldInvalid("kind", f"{found.get('kind')!r} is not a policy", hint=f"use one of: {', '.join(KINDS)}")
    if "when" in fields:
        if not isinstance(fields["when"], dict):
            raise FieldInvalid("when", "must be an object", hint='give {"acts": […], "where": {…}}')
        fields["when"] = _made(When, fields["when"], "when.")
    if "why" in fields:
        check_text(fields["why"], "why")
    made: Policy = _made(kind, fields, "")
    return made


def _made(kind: type[Any], fields: dict[str, Any], before: str) -> Any:
    for name in fields:
        if name not in kind.__struct_fields__:
            known = ", ".join(kind.__struct_fields__)
            raise FieldInvalid(f"{before}{name}", "is not a field of this policy", hint=f"fields: {known}")
    if "where" in fields:
        fields["where"] = filter_from(fields["where"], f"{before}where")
    try:
        return kind(**fields)
    except TypeError as error:
        raise FieldInvalid("policy", str(error), hint=f"fields: {', '.join(kind.__struct_fields__)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


class InForce:
    """Some policies together, sorted by what is done with them."""

    def __init__(self, rules: dict[str, Policy]) -> None:
        self.rules = rules
        self.judged = [(name, rule, _about(rule)) for name, rule in rules.items() if isinstance(rule, _JUDGING)]
        """Those that may refuse, each with the kinds of act it is about."""
        self.cascades = modes(rules.values())


_JUDGING = (Forbid, Require, MostParents)
NOTHING = InForce({})


def _about(rule: Policy) -> frozenset[str]:
    return rule.when.kinds if isinstance(rule, Forbid | Require) else frozenset({"link"})


class Policies:
    """The policies of a graph as they were defined, read once for each set of definitions."""

    def __init__(self) -> None:
        self._written: Mapping[str, Map] = {}
        self._read = NOTHING

    def read(self, definitions: Mapping[str, Map]) -> InForce:
        """Returns the policies; one that cannot be read is `PolicyRefused`."""
        if not definitions:
            return NOTHING
        if definitions != self._written:
            self._read = InForce({name.removeprefix(PREFIX): _read(name, value) for name, value in definitions.items()})
            self._written = dict(definitions)
        return self._read


def _read(name: str, value: Map) -> Policy:
    try:
        return policy_from(value)
    except Invalid as error:
        raise PolicyRefused(
            f"the policy {name.removeprefix(PREFIX)} cannot be read, so nothing may be written: {error}",
            hint="upgrade intentstore, or let whoever wrote the policy replace it",
            policy=name.removeprefix(PREFIX),
            reason=str(error),
        ) from error


# --- judging ---


def judge(proposed: Proposed, policies: InForce, *, claimed: Claimed) -> None:
    """Raises `PolicyRefused` for the first policy that a commit breaks; ``claimed(act)`` says if it holds the claim."""
    done = {act.kind for act in proposed.acts}
    for name, policy, kinds in policies.judged:
        if done.isdisjoint(kinds):
            continue
        for reason in _broken(proposed, policy, claimed):
            raise PolicyRefused(
                f"policy {name}: {reason}",
                hint=_way_out(policy),
                policy=name,
                reason=reason,
            )


def _broken(proposed: Proposed, policy: Policy, claimed: Claimed) -> Iterator[str]:
    match policy:
        case Forbid():
            for act in proposed.acts:
                if policy.when.means(act, proposed):
                    yield f"{act.kind} of {act.subject} is refused: {policy.why}"
        case Require():
            for act in proposed.acts:
                if policy.when.means(act, proposed):
                    yield from _lacking(proposed, policy, act, claimed)
        case MostParents():
            yield from _too_many_parents(proposed, policy.most)


def _lacking(proposed: Proposed, policy: Require, act: Act, claimed: Claimed) -> Iterator[str]:
    why = f" ({policy.why})" if policy.why else ""
    if "reason" in policy.needs and not (proposed.reason or "").strip():
        yield f"{act.kind} of {act.subject} needs a reason{why}"
    if "actor" in policy.needs and proposed.actor is None:
        yield f"{act.kind} of {act.subject} needs an actor{why}"
    if "approver" in policy.needs:
        approver = proposed.approver
        if approver is None:
            yield f"{act.kind} of {act.subject} needs an approver{why}"
        elif approver == proposed.actor:
            yield f"{act.kind} of {act.subject} needs an approver other than {approver}, who asks for it{why}"
        elif policy.approvers and approver not in policy.approvers:
            yield f"{approver} may not approve {act.kind} of {act.subject}{why}"
    if "claim" in policy.needs and act.before is not None and not claimed(act):
        yield f"{act.kind} of {act.subject} needs a live claim on it{why}"


def _too_many_parents(proposed: Proposed, most: int) -> Iterator[str]:
    children = dict.fromkeys(a.edge.source for a in proposed.acts if a.kind == "link" and a.edge is not None)
    counts: dict[str, int] = {}
    for edge in proposed.after.neighbours(list(children), UPWARD) if children else ():
        counts[edge.source] = counts.get(edge.source, 0) + 1
    for id in children:
        if counts.get(id, 0) > most:
            yield f"intent {id} would have {counts[id]} parents, more than {most}"


def _way_out(policy: Policy) -> str:
    if isinstance(policy, Require):
        ways = {
            "reason": "give a reason",
            "actor": "open the graph with an actor",
            "approver": "name an approver: graph.acting(approver=…)",
            "claim": "claim the intent first",
        }
        return "; ".join(ways[need] for need in NEEDS if need in policy.needs)
    return "intent policies shows what is in force"
