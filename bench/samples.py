"""Intents of about a kilobyte of JSON, the same at every run: all chance comes from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from intentstore import Intent, IntentStatus, Map

Sample = Intent
SEED = 20260101
STATUSES = tuple(IntentStatus)
_BEGIN = datetime(2026, 1, 1, 0, 0, 0, 7, tzinfo=UTC)
_WORDS = (
    *("deploy", "release", "suite", "latency", "budget", "report", "customer", "invoice", "schema", "index", "retry"),
    *("backoff", "journal", "snapshot", "worker", "queue", "token", "session", "review", "merge", "branch", "cluster"),
    *("region", "storage", "archive", "vendor", "contract", "ledger", "audit", "metric", "alert"),
)


def intents(n: int, *, begin: int = 0) -> Iterator[Intent]:
    """Yields ``n`` intents with ids and times, from the ``begin``-th on."""
    chance = random.Random(SEED + begin)
    for at in range(begin, begin + n):
        yield sample(at, chance)


def sample(at: int, chance: random.Random) -> Intent:
    """Returns one intent; its id is in no order, its time is."""
    created = _BEGIN + timedelta(seconds=at, microseconds=chance.randrange(900_000))
    return Intent(
        id=f"{chance.getrandbits(64):016x}-{at:08d}",
        goal=_text(chance, 12),
        name=_text(chance, 3),
        status=chance.choice(STATUSES),
        priority=chance.randrange(10),
        original_request=_text(chance, 45),
        constraints=Map({"max-cost": chance.randrange(1000) / 8, "deadline": f"2026-{chance.randrange(1, 13):02d}-01"}),
        preferences=Map({"region": chance.choice(("eu", "us", "asia")), "retries": chance.randrange(5)}),
        session_id=f"session-{chance.randrange(500)}",
        generation_context=Map({"model": "planner", "step": chance.randrange(100)}),
        labels=tuple({chance.choice(_WORDS), chance.choice(_WORDS)}),
        metadata=Map({"estimate": chance.randrange(100), "team": chance.choice(_WORDS), "notes": _text(chance, 8)}),
        created_at=created,
        updated_at=created,
    )


def words(chance: random.Random, length: int) -> str:
    """Returns a text of about so many characters."""
    return _text(chance, max(1, length // 8))[: max(1, length)].strip() or "x"


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))
