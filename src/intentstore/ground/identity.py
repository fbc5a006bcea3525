"""New ids and the present moment: the only two things the graph takes from the world around it."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime

_lock = threading.Lock()
_last = 0


def uuid7() -> str:
    """Returns a new UUIDv7 (RFC 9562): ids made later in one process sort after ids made before.

    48 bits of Unix milliseconds, then 12 bits of the millisecond's fraction, then 62 random bits.
    """
    global _last  # noqa: PLW0603  one clock for the whole process is the point
    with _lock:
        # 2^-12 ms steps: monotonic even when the clock steps back or two calls share a tick.
        _last = stamp = max(_last + 1, (time.time_ns() << 12) // 1_000_000)
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    number = ((stamp >> 12) & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | random
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def utc_now() -> datetime:
    """Returns the present moment, aware, in UTC."""
    return datetime.now(UTC)
