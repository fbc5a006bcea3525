"""Builds an intent step by step, checks all of it at once, and writes it as RTFS.

Immutable: every ``with_…`` returns another builder, so one can be kept and varied. Knows intents and their RTFS; has
never heard of a graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal, Self

import msgspec

from ..ground.errors import FieldInvalid
from ..ground.times import read_time, write_time
from ..ground.types import UNSTORED, Edge, EdgeType, Intent, as_status
from ..ground.values import Keyword, freeze, freeze_map
from .block import write_block
from .faults import Fault, faults_of, raise_faults, settled
from .intents import CREATOR, PRIORITIES, UNKNOWN, WORD
from .prompt import wishes_in
from .writer import write_edge, write_intent

Style = Literal["canonical", "block"]


class IntentBuilder(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gathers what an intent shall be; `build` makes it, `validate` says everything that is wrong with it.

    >>> ship = IntentBuilder("ship").with_goal("Ship 1.0").with_priority("high").with_constraint("max-cost", 25.0)
    >>> ship.build().priority, ship.to_rtfs()
    (75, '(intent "ship" :goal "Ship 1.0" :constraints {:max-cost 25.0} :priority :high)')
    >>> ship.with_constraint("max-cost", -1).with_constraint("max-retries", 101).validate()
    Traceback (most recent call last):
        ...
    intentstore.ground.errors.Invalid: 2 faults: constraints.max-cost is negative; constraints.max-retries is over 100
    """

    name: str
    goal: str | None = None
    priority: int | str | None = None
    constraints: tuple[tuple[str, Any], ...] = ()
    preferences: tuple[tuple[str, Any], ...] = ()
    success_criteria: Any = None
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    metadata: tuple[tuple[str, Any], ...] = ()
    created_at: datetime | str | None = None
    created_by: str | None = None
    status: str = "active"
    labels: tuple[str, ...] = ()
    relations: tuple[tuple[str, str, float | None], ...] = ()

    @classmethod
    def from_natural_language(cls, prompt: str) -> Self:
        """Returns a builder with what the prompt says outright: goal, urgency, cost, a real date; nothing is invented.

        >>> builder = IntentBuilder.from_natural_language("Urgent: cut costs below $50 by 2026-03-01.")
        >>> builder.priority, dict(builder.constraints)
        ('high', {'max-cost': 50.0, 'deadline': '2026-03-01T00:00:00Z'})
        """
        found = wishes_in(prompt)
        return cls(found.name, goal=found.goal, priority=found.priority, constraints=found.constraints)

    # --- what it shall be ---

    def _with(self, **changes: Any) -> Self:
        return msgspec.structs.replace(self, **changes)

    def with_goal(self, goal: str) -> Self:
        """Sets what is to be achieved."""
        return self._with(goal=goal)

    def with_priority(self, priority: int | str) -> Self:
        """Sets the priority: a number, or low (25), medium (50), high (75), critical (100)."""
        return self._with(priority=priority)

    def with_constraint(self, name: str, value: Any) -> Self:
        """Adds a bound that must hold; one of this name that is there already is replaced."""
        return self._with(constraints=_entry(self.constraints, name, value))

    def with_constraints(self, constraints: Mapping[str, Any]) -> Self:
        """Adds several bounds."""
        built = self
        for name, value in constraints.items():
            built = built.with_constraint(name, value)
        return built

    def with_preference(self, name: str, value: Any) -> Self:
        """Adds a wish that may give way."""
        return self._with(preferences=_entry(self.preferences, name, value))

    def with_success_criteria(self, criteria: Any) -> Self:
        """Sets when it counts as reached: text, `Code`, or any other value."""
        return self._with(success_criteria=criteria)

    def with_parent_intent(self, id: str) -> Self:
        """Makes it a subgoal of this intent."""
        return self._with(parents=(*self.parents, id))

    def with_child_intent(self, id: str) -> Self:
        """Makes this intent its subgoal."""
        return self._with(children=(*self.children, id))

    def with_child_intents(self, ids: Iterable[str]) -> Self:
        """Makes these intents its subgoals."""
        return self._with(children=(*self.children, *ids))

    def with_metadata(self, name: str, value: Any) -> Self:
        """Adds an entry of its metadata."""
        return self._with(metadata=_entry(self.metadata, name, value))

    def with_created_at(self, moment: datetime | str) -> Self:
        """Sets when it was created: an aware datetime, or RFC 3339."""
        return self._with(created_at=moment)

    def with_created_by(self, name: str) -> Self:
        """Sets who made it; kept in the metadata."""
        return self._with(created_by=name)

    def with_status(self, status: str) -> Self:
        """Sets where it stands in its life."""
        return self._with(status=status)

    def with_label(self, label: str) -> Self:
        """Adds a label."""
        return self._with(labels=(*self.labels, label))

    def with_edge(self, type: str, target: str, *, weight: float | None = None) -> Self:
        """Adds an edge from it to another intent."""
        return self._with(relations=(*self.relations, (type, target, weight)))

    # --- what comes of it ---

    def validate(self) -> None:
        """Raises one `Invalid` that lists everything wrong, ``error.faults`` one by one; returns for a whole intent."""
        raise_faults(self._faults())

    def validate_llm_generated(self) -> None:
        """Raises as `validate` does, and also for a missing priority, which a language model has to state."""
        missing = [("priority", "is missing")] if self.priority is None else []
        raise_faults([*self._faults(), *missing])

    def suggest_completion(self) -> list[str]:
        """Returns what could still be said, as advice; empty when nothing is missing."""
        advice = [
            (self.goal is None, "say what is to be achieved: with_goal(…)"),
            (
                self.priority is None,
                "say how urgent it is: with_priority('low', 'medium', 'high', 'critical' or a number)",
            ),
            (not self.constraints, "set bounds: with_constraint('max-cost', 25.0), 'deadline', 'data-locality', …"),
            (self.success_criteria is None, "say when it counts as reached: with_success_criteria(…)"),
        ]
        return [said for missing, said in advice if missing]

    def build(self) -> Intent:
        """Returns the intent, or raises `Invalid` listing everything wrong; `edges` gives the edges it implies."""
        self.validate()
        return self._intent()

    def edges(self, id: str) -> tuple[Edge, ...]:
        """Returns the edges that the builder implies for the intent stored under this id."""
        up = [Edge(source=id, type=EdgeType.IS_SUBGOAL_OF, target=parent) for parent in dict.fromkeys(self.parents)]
        down = [Edge(source=child, type=EdgeType.IS_SUBGOAL_OF, target=id) for child in dict.fromkeys(self.children)]
        across = [
            Edge(source=id, type=EdgeType(type), target=target, weight=weight)
            for type, target, weight in self.relations
        ]
        return (*up, *down, *across)

    def to_rtfs(self, style: Style = "canonical") -> str:
        """Returns the intent as RTFS: the canonical form and its edges, or the block of CCOS's own builder.

        A block escapes nothing and holds no edges but those to parents and children; what it cannot hold is
        `FieldInvalid`.
        """
        self.validate()
        if style == "block":
            return self._block()
        if style != "canonical":
            raise FieldInvalid("style", f"is {style!r}", hint='use "canonical" or "block"')
        intent = self._intent()
        more: dict[str, Any] = {}
        if self.parents:
            more[f"{UNKNOWN}parent-intent"] = self.parents[0] if len(self.parents) == 1 else self.parents
        if self.children:
            more[f"{UNKNOWN}child-intents"] = self.children
        if more:
            intent = intent.replace(metadata={**intent.metadata, **more})
        edges = [
            Edge(source=self.name, type=EdgeType(type), target=target, weight=weight)
            for type, target, weight in self.relations
        ]
        return "\n".join([write_intent(intent), *map(write_edge, edges)])

    # --- inside ---

    def _intent(self) -> Intent:
        metadata = dict(self.metadata)
        if self.created_by is not None:
            metadata[CREATOR] = self.created_by
        priority: Any = self.priority or 0
        if type(priority) is str:
            metadata[WORD], priority = priority.lower(), PRIORITIES[priority.lower()]
        return Intent(
            name=self.name,
            goal=self.goal or "",
            status=as_status(self.status),
            priority=priority,
            constraints=freeze_map({name: settled(name, value) for name, value in self.constraints}, "constraints"),
            preferences=freeze_map(dict(self.preferences), "preferences"),
            success_criteria=self.success_criteria,
            labels=self.labels,
            metadata=freeze_map(metadata, "metadata"),
            created_at=_moment(self.created_at),
        )

    def _block(self) -> str:
        if self.relations:
            raise FieldInvalid("edges", "have no place in a block", hint='use to_rtfs(style="canonical")')
        intent = self._intent()
        metadata = {key: value for key, value in intent.metadata.items() if key not in (CREATOR, WORD)}
        word = intent.metadata.get(WORD)
        parent: Any = None if not self.parents else self.parents[0] if len(self.parents) == 1 else self.parents
        fields: list[tuple[str, Any, bool]] = [
            ("name", self.name, True),
            ("goal", intent.goal, True),
            ("priority", Keyword(str(word)) if word else intent.priority, self.priority is not None),
            ("constraints", intent.constraints, bool(intent.constraints)),
            ("preferences", intent.preferences, bool(intent.preferences)),
            ("success-criteria", intent.success_criteria, intent.success_criteria is not None),
            ("parent-intent", parent, bool(self.parents)),
            ("child-intents", self.children, bool(self.children)),
            ("labels", intent.labels, bool(intent.labels)),
            ("metadata", freeze_map(metadata, "metadata"), bool(metadata)),
            ("created-at", write_time(intent.created_at), self.created_at is not None),
            ("created-by", self.created_by, self.created_by is not None),
            ("status", Keyword(intent.status.value), True),
        ]
        return write_block(self.name, [(key, value) for key, value, there in fields if there])

    def _faults(self) -> list[Fault]:
        return faults_of(
            {
                "name": self.name,
                "goal": self.goal,
                "priority": self.priority,
                "preferences": dict(self.preferences),
                "success_criteria": self.success_criteria,
                "labels": self.labels,
                "metadata": dict(self.metadata),
                "created_by": self.created_by,
                "created_at": self.created_at,
                "status": self.status,
            },
            constraints=self.constraints,
            edges=[*((EdgeType.IS_SUBGOAL_OF, end, None) for end in (*self.parents, *self.children)), *self.relations],
        )


def _entry(entries: tuple[tuple[str, Any], ...], name: str, value: Any) -> tuple[tuple[str, Any], ...]:
    """Returns the entries with this one in the place of the old one of its name, or behind all."""
    with suppress(FieldInvalid):  # validate() says what is wrong with it
        value = freeze(value, name)  # what the caller changes later is not ours
    if all(key != name for key, _ in entries):
        return (*entries, (name, value))
    return tuple((key, value if key == name else old) for key, old in entries)


def _moment(given: datetime | str | None) -> Any:
    return UNSTORED if given is None else read_time(given, "created_at") if isinstance(given, str) else given
