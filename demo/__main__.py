"""Tells the story's first half and starts the second in a process of its own. ``python -m demo [--store URL]``.

Exit status: 0 nothing was lost; 1 something was, or a process failed; 2 the place cannot be used.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from intentstore.ground.errors import IntentStoreError

from .before import tell_before
from .place import Place, choose_place
from .terminal import Terminal, complain


def main() -> int:
    """Runs the story; returns the exit status."""
    began = time.monotonic()
    given = _arguments()
    if given.store and given.store.startswith("memory:"):
        complain("demo: memory: is seen by one process only, and this story has four; use file:DIR or sqlite:PATH.")
        return 2
    place = choose_place(given.store, given.keep)
    terminal = Terminal()
    try:
        following = tell_before(place, terminal)
    except (IntentStoreError, RuntimeError) as error:
        complain(f"demo: {error}")
        return 2 if isinstance(error, IntentStoreError) else 1
    status = _second_half(place, following)
    if status == 0:
        _farewell(place, terminal, time.monotonic() - began)
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="A graph of goals that survives, as a story.")
    parser.add_argument("--store", metavar="URL", help="file:DIR or sqlite:PATH, empty so far (default: SQLite)")
    parser.add_argument("--keep", metavar="DIR", help="where everything goes (default: a fresh temporary directory)")
    return parser.parse_args()


def _second_half(place: Place, following: int) -> int:
    command = [sys.executable, "-m", "demo.after", place.url, str(place.out), str(following)]
    status = subprocess.run(command, check=False).returncode
    return 1 if status else 0


def _farewell(place: Place, terminal: Terminal, seconds: float) -> None:
    terminal.say()
    terminal.say(f"Nothing was lost ({seconds:.0f} s). Everything is kept in {place.out}. Try next:", style="bold")
    intent = f"{sys.executable} -m intentstore --store {place.url}"
    terminal.say(f"   {intent} tree")
    terminal.say(f"   {intent} history claims")
    terminal.say(f"   {intent} add 'My first goal' --parent ship --priority 90")


if __name__ == "__main__":
    sys.exit(main())
