"""The `intent` command: the verbs for people and for scripts. The only part that prints, and that reads the screen.

`main` is the whole of it; everything else loads when a command needs it, so that a command starts quickly.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; prints what it found, or one error."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"]):
        from .._version import __version__

        print(f"intent {__version__}")
        return 0
    _without_extensions()
    from .run import run

    return run(words)


def _without_extensions() -> None:
    """Imports msgspec without typing_extensions, which it looks for and does not need: a tenth of a start.

    Whoever imports typing_extensions later gets it.
    """
    if "msgspec" in sys.modules or "typing_extensions" in sys.modules:
        return
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # what makes an import of it fail
    try:
        import msgspec  # noqa: F401  for whoever comes next
    finally:
        del sys.modules["typing_extensions"]


__all__ = ["main"]
