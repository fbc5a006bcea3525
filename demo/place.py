"""Owns where the story happens: the store's URL, the directory of everything else, and how both processes name them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

PLAN = Path(__file__).with_name("plan.jsonl")
PLAN_GRAPH = "default"
GOALS_GRAPH = "real-goals"
WORKERS = ("worker-1", "worker-2")
_REAL_GOALS = "agent-goals.beads.jsonl.gz"


class Unusable(Exception):  # what the place is, in one word
    """The place asked for cannot hold this story."""


class Place(msgspec.Struct, frozen=True):
    """A store, and a directory for acknowledgements, backup and picture."""

    url: str
    out: Path

    def acks(self, worker: str) -> Path:
        """Returns where a worker keeps what was acknowledged to it."""
        return self.out / f"{worker}.acks.jsonl"

    def elsewhere(self) -> str:
        """Returns the URL of another place, of another kind, for what is restored."""
        if self.url.startswith("file:"):
            return f"sqlite:{self.out / 'elsewhere.db'}"
        return f"file:{self.out / 'elsewhere'}"


def choose_place(store: str | None, keep: str | None) -> Place:
    """Returns the place asked for; the default is an SQLite file in a fresh directory. Makes the directory."""
    if store is not None and store.startswith("memory:"):
        raise Unusable("memory: is seen by one process only, and this story has four; use file:DIR or sqlite:PATH.")
    if keep is None:
        out = Path(tempfile.mkdtemp(prefix="intentstore-demo-"))
    else:
        out = Path(keep).resolve()
        out.mkdir(parents=True, exist_ok=True)
    place = Place(store or f"sqlite:{out / 'goals.db'}", out)
    if any(place.acks(worker).exists() for worker in WORKERS):
        raise Unusable(f"{out} holds an earlier run; name another directory.")
    return place


def real_goals() -> Path | None:
    """Returns the file of real goals where it is to be had: $INTENTSTORE_SHARED_DATA, else beside the repository."""
    data = os.environ.get("INTENTSTORE_SHARED_DATA")
    folder = Path(data) if data else Path(__file__).resolve().parents[2] / "shared" / "data"
    found = folder / _REAL_GOALS
    return found if found.is_file() else None
