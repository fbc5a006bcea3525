"""The one table from an error to what an interface says: exit status, HTTP status, MCP code; and the error document.

Nothing else in the interfaces decides what an error means.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..ground import errors as e


class Outcome(NamedTuple):
    """What an error is, in the numbers of each interface."""

    exit: int
    http: int
    mcp: int


class Usage(e.IntentStoreError):
    """The interface was asked something it does not offer: an unknown verb, option or choice."""


OUTCOMES: dict[type[BaseException], Outcome] = {
    Usage: Outcome(2, 400, -32602),
    e.Missing: Outcome(3, 404, -32002),
    e.Conflict: Outcome(4, 409, -32009),
    e.Invalid: Outcome(5, 422, -32602),
    e.PolicyRefused: Outcome(6, 403, -32010),
    e.Unsupported: Outcome(7, 501, -32011),
    e.Unavailable: Outcome(8, 503, -32012),
    e.Busy: Outcome(8, 503, -32012),
    e.Full: Outcome(8, 507, -32012),
    e.StorageError: Outcome(9, 500, -32013),
    KeyboardInterrupt: Outcome(130, 503, -32000),
    BaseException: Outcome(1, 500, -32603),
}
"""By the nearest class: a `StaleRevision` is a `Conflict`, whatever is not in the tree a defect of ours."""


def outcome(error: BaseException) -> Outcome:
    """Returns the row of the nearest class of the error.

    >>> outcome(e.StaleRevision("a", expected=1, actual=2)).exit
    4
    """
    return next(OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES)


def document(error: BaseException) -> dict[str, Any]:
    """Returns ``{"error": {"kind", "message", "hint", "fields"}}``, the same on every interface."""
    if isinstance(error, e.IntentStoreError):
        fields = {name: _plain(fact) for name, fact in error.fields.items()}
        body = {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "fields": fields}
    elif isinstance(error, KeyboardInterrupt):
        body = {"kind": "Interrupted", "message": "interrupted", "hint": "", "fields": {}}
    else:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        hint = "please report it; with INTENTSTORE_DEBUG=1 it shows where it happened"
        body = {"kind": "Defect", "message": f"a defect of intentstore: {what}", "hint": hint, "fields": {}}
    return {"error": body}


def _plain(fact: Any) -> Any:
    if isinstance(fact, str):
        return str.__str__(fact)  # an EdgeType or a status is written as the plain text it is
    if fact is None or isinstance(fact, bool | int | float):
        return fact
    if isinstance(fact, list | tuple):
        return [_plain(item) for item in fact]
    if isinstance(fact, dict):
        return {str(key): _plain(item) for key, item in fact.items()}
    return str(fact)
