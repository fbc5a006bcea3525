"""Tells the story's first half and starts the second in a process of its own. ``python -m demo [--store URL]``.

Exit status: 0 nothing was lost; 1 something was, or a process failed; 2 the place cannot be used.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from intentstore.ground.errors import IntentStoreError

from .before import tell_before
from .place import Place, Unusable, choose_place
from .terminal import Terminal, complain, unheard


def main() -> int:
    """Runs the story; returns the exit status."""
    given = _arguments()
    try:
        return _tell(choose_place(given.store, given.keep))
    except (Unusable, IntentStoreError) as error:
        complain(f"demo: {error}")
        return 2
    except RuntimeError as error:
        complain(f"demo: {error}")
        return 1
    except BrokenPipeError:
        return unheard()
    except KeyboardInterrupt:
        return 130


def _tell(place: Place) -> int:
    began = time.monotonic()
    terminal = Terminal()
    following = tell_before(place, terminal)
    command = [sys.executable, "-m", "demo.after", place.url, str(place.out), str(following)]
    if subprocess.run(command, check=False).returncode != 0:
        return 1
    _farewell(place, terminal, time.monotonic() - began)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="A graph of goals that survives, as a story.")
    parser.add_argument("--store", metavar="URL", help="file:DIR or sqlite:PATH, empty so far (default: SQLite)")
    parser.add_argument("--keep", metavar="DIR", help="where everything goes (default: a fresh temporary directory)")
    return parser.parse_args()


def _farewell(place: Place, terminal: Terminal, seconds: float) -> None:
    terminal.say()
    terminal.say(f"Nothing was lost ({seconds:.0f} s). Everything is kept in {place.out}. Try next:", style="bold")
    intent = f"{_command()} --store {shlex.quote(place.url)}"
    terminal.say(f"   {intent} ready")
    terminal.say(f"   {intent} history ship")
    terminal.say(f"   {intent} add 'My first goal' --parent ship --priority 90")


def _command() -> str:
    """Returns how `intent` is called here: by its name where it is installed, else through this Python."""
    python = Path(sys.executable)
    if python.with_name("intent").exists():
        return shlex.quote(_near(python.with_name("intent")))
    path = os.environ.get("PYTHONPATH")
    prefix = f"PYTHONPATH={shlex.quote(path)} " if path else ""
    return f"{prefix}{shlex.quote(_near(python))} -m intentstore"


def _near(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
