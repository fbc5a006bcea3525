"""Moments as text and back: RFC 3339, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .errors import FieldInvalid
from .values import freeze_time


def write_time(moment: datetime, timespec: str = "microseconds") -> str:
    """Returns RFC 3339 in UTC with a Z: ``2026-01-02T03:04:05.000006Z``."""
    return moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def read_time(text: Any, where: str) -> datetime:
    """Returns the moment an RFC 3339 text names, in UTC; without a zone, or unreadable, is `FieldInvalid`."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise FieldInvalid(where, f"{text!r} is not a time", hint="write it as 2026-01-02T03:04:05Z") from None
    return freeze_time(moment, where).astimezone(UTC)
