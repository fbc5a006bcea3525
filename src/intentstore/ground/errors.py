"""Every error intentstore raises on purpose, in one tree.

::

    IntentStoreError
    ├─ Invalid (ValueError)     FieldInvalid · TransitionRefused · CycleRefused · QueryInvalid · RtfsSyntaxError
    ├─ Missing (LookupError)    IntentMissing · EdgeMissing · DefinitionMissing · CommitMissing · RevisionMissing
    ├─ Conflict                 AlreadyThere · StaleRevision · LeaseHeld
    ├─ PolicyRefused
    ├─ Unsupported
    └─ StorageError             Unavailable · Busy · Corrupt · Full · ReadOnly · TooNew · Closed · Locked

An error says what happened, to what, and what to do; it carries the same as fields. ``str(error)`` is
one line, ``error.hint`` the way out, ``error.fields`` the facts as plain data.
"""

from __future__ import annotations

from typing import Any, ClassVar


class IntentStoreError(Exception):
    """The root: catch this to catch everything intentstore refuses."""

    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        # Facts read as attributes: error.expected, error.actual, error.path.
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.fields))


def _rebuild(kind: type[IntentStoreError], message: str, hint: str, fields: dict[str, Any]) -> IntentStoreError:
    error = kind.__new__(kind)
    IntentStoreError.__init__(error, message, hint=hint, **fields)
    return error


# --- Invalid ---------------------------------------------------------------------------------------


class Invalid(IntentStoreError, ValueError):
    """What was given breaks a rule of the graph; nothing was stored."""


class FieldInvalid(Invalid):
    """One field holds a value it may not hold.

    >>> error = FieldInvalid("goal", "is empty", hint="say what is to be achieved")
    >>> str(error), error.field
    ('goal is empty', 'goal')
    """

    def __init__(self, field: str, problem: str, *, hint: str = "", **fields: Any) -> None:
        super().__init__(f"{field} {problem}", hint=hint, field=field, problem=problem, **fields)


class TransitionRefused(Invalid):
    """The lifecycle does not allow this move; the message names the moves it does allow."""

    def __init__(self, intent_id: str, status: str, wanted: str, allowed: tuple[str, ...]) -> None:
        names = ", ".join(allowed) or "none"
        super().__init__(
            f"intent {intent_id} is {status} and cannot become {wanted}; allowed from {status}: {names}",
            hint=f"move it to one of: {names}",
            id=intent_id,
            status=status,
            wanted=wanted,
            allowed=list(allowed),
        )


class CycleRefused(Invalid):
    """The edge would close a cycle; the path it would close is in the message."""

    def __init__(self, relation: str, path: tuple[str, ...]) -> None:
        super().__init__(
            f"the {relation} edge would close a cycle: {' -> '.join(path)}",
            hint="remove one of these edges first, or link the other way round",
            relation=relation,
            path=list(path),
        )


class QueryInvalid(Invalid):
    """A filter, sort, cursor or search that cannot be asked."""


class RtfsSyntaxError(Invalid):
    """Text that is not RTFS, with the place where it stopped being so."""

    def __init__(self, problem: str, *, line: int, column: int, hint: str = "", **fields: Any) -> None:
        super().__init__(f"line {line}, column {column}: {problem}", hint=hint, line=line, column=column, **fields)


# --- Missing ---------------------------------------------------------------------------------------


class Missing(IntentStoreError, LookupError):
    """What was named is not in the graph."""


class IntentMissing(Missing):
    """No intent has this id."""

    def __init__(self, intent_id: str, *, hint: str = "list the intents to see their ids") -> None:
        super().__init__(f"no intent {intent_id!r} in this graph", hint=hint, id=intent_id)


class EdgeMissing(Missing):
    """No such edge between these two intents."""

    def __init__(self, source: str, type: str, target: str) -> None:
        super().__init__(
            f"no edge {source!r} {type} {target!r} in this graph",
            hint="list the edges of either intent to see what links them",
            source=source,
            type=str(type),
            target=target,
        )


class DefinitionMissing(Missing):
    """The graph has no definition of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no definition {name!r} in this graph", hint="list the definitions to see them", name=name)


class CommitMissing(Missing):
    """No commit has this id."""

    def __init__(self, id: str) -> None:
        super().__init__(f"no commit {id!r} in this graph", hint="see the log for the ids of commits", id=id)


class RevisionMissing(Missing):
    """The log has no such revision: it is not there yet, or what it held was compacted away."""

    def __init__(self, revision: int, last: int) -> None:
        past = revision <= last
        super().__init__(
            f"revision {revision} {'is no longer in the log' if past else 'is not there yet'}; the last one is {last}",
            hint="ask for a later revision" if past else f"ask for a revision from 0 to {last}",
            revision=revision,
            last=last,
        )


# --- Conflict --------------------------------------------------------------------------------------


class Conflict(IntentStoreError):
    """Somebody else's write stands in the way; nothing was stored."""


class AlreadyThere(Conflict):
    """The id, edge or commit to be created exists already."""


class StaleRevision(Conflict):
    """The intent changed since it was read.

    >>> error = StaleRevision("7f3a", expected=8, actual=9)
    >>> str(error)
    'intent 7f3a is at revision 9, not 8; fetch it again and reapply'
    """

    def __init__(self, subject: str, *, expected: int, actual: int, noun: str = "intent") -> None:
        super().__init__(
            f"{noun} {subject} is at revision {actual}, not {expected}; fetch it again and reapply",
            hint="fetch it again and reapply the change to what you get",
            id=subject,
            expected=expected,
            actual=actual,
        )


class LeaseHeld(Conflict):
    """Another owner holds a live claim on the intent."""


# --- Policy, powers --------------------------------------------------------------------------------


class PolicyRefused(IntentStoreError):
    """A governance guard said no, and why."""


class Unsupported(IntentStoreError):
    """The storage does not declare this power."""


# --- Storage ---------------------------------------------------------------------------------------


class StorageError(IntentStoreError):
    """The place where the graph is kept failed; never reported as a missing intent."""


class Unavailable(StorageError):
    """The store cannot be reached now. ``outcome`` is "unknown" where a commit may have happened.

    ``outage=False`` where waiting will not cure it, as with a wrong password: no fallback then hides it.
    """

    retry = True


class Busy(StorageError):
    """Another writer kept the store for longer than the deadline."""

    retry = True


class Full(StorageError):
    """No space is left. The commit was rolled back; reads go on."""

    retry = True


class Corrupt(StorageError):
    """The bytes on disk are not what was written; ``where`` names the place. Nothing was changed."""

    def __init__(self, where: str, what: str, *, hint: str = "", **fields: Any) -> None:
        hint = hint or "keep the store as it is; restore a backup, or export what is whole"
        super().__init__(f"{where}: {what}", hint=hint, where=where, what=what, **fields)


class ReadOnly(StorageError):
    """The store was opened read-only, or refuses writes after a failed one until it is opened again."""


class TooNew(StorageError):
    """A newer intentstore wrote this store; it was not touched."""


class Closed(StorageError):
    """The store was closed, or belongs to the process this one was forked from."""


class Locked(StorageError):
    """Another process holds the store in a way that excludes this one."""


# --- A warning -------------------------------------------------------------------------------------


class DegradedWarning(UserWarning):
    """A store with a fallback lost its primary, found it again, or could not bring it everything that had waited."""
