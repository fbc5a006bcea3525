"""The states of a goal and the moves between them. Pure: a table and questions to it."""

from __future__ import annotations

from collections.abc import Callable

from ..ground.errors import TransitionRefused
from ..ground.types import Intent, IntentStatus

_S = IntentStatus

MOVES: dict[IntentStatus, tuple[IntentStatus, ...]] = {
    _S.ACTIVE: (_S.EXECUTING, _S.COMPLETED, _S.FAILED, _S.SUSPENDED, _S.ARCHIVED),
    _S.EXECUTING: (_S.COMPLETED, _S.FAILED, _S.SUSPENDED, _S.ACTIVE, _S.ARCHIVED),
    _S.COMPLETED: (_S.ARCHIVED,),
    _S.FAILED: (_S.ACTIVE, _S.ARCHIVED),
    _S.SUSPENDED: (_S.ACTIVE, _S.ARCHIVED),
    _S.ARCHIVED: (_S.ACTIVE,),
}
"""From each status, the statuses it may become. A completed intent reopens through archived."""


def check_move(
    intent: Intent, wanted: IntentStatus, also: Callable[[IntentStatus, IntentStatus], bool] | None = None
) -> None:
    """Raises `TransitionRefused`, naming the allowed moves, unless the intent may become ``wanted``.

    ``also`` is asked about a move that the table does not allow.
    """
    allowed = MOVES[intent.status]
    if wanted not in allowed and not (also is not None and also(intent.status, wanted)):
        raise TransitionRefused(intent.id, str(intent.status), str(wanted), tuple(map(str, allowed)))
