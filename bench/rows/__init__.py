"""The rows, one family a module, in the order of the table."""

from __future__ import annotations

from ..measure import Row
from . import (
    agents,
    asking,
    awaited,
    caching,
    cold,
    concurrent,
    fleet,
    get,
    importing,
    listing,
    merging,
    opening,
    past,
    peers,
    postgres,
    relations,
    seed,
    store,
    text,
    watching,
)

ROWS: tuple[Row, ...] = (
    *store.ROWS,
    *get.ROWS,
    *listing.ROWS,
    *opening.ROWS,
    *importing.ROWS,
    *relations.ROWS,
    *fleet.ROWS,
    *text.ROWS,
    *past.ROWS,
    *merging.ROWS,
    *postgres.ROWS,
    *caching.ROWS,
    *asking.ROWS,
    *seed.ROWS,
    *cold.ROWS,
    *awaited.ROWS,
    *watching.ROWS,
    *concurrent.ROWS,
    *agents.ROWS,
    *peers.ROWS,
)


def chosen(wanted: str) -> list[Row]:
    """Returns the rows whose name is, or begins with, one of the comma-separated words; all rows for none."""
    words = [word.strip().rstrip("/") for word in wanted.split(",") if word.strip()]
    for word in words:
        if not any(_means(word, row) for row in ROWS):
            raise LookupError(f"there is no row {word!r}; there are: {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if not words or any(_means(word, row) for word in words)]


def _means(word: str, row: Row) -> bool:
    return row.name == word or row.name.startswith(f"{word}/")
