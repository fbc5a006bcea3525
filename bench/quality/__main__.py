"""``python -m bench.quality [--write-docs]`` measures every subject on the real goals and prints what it found.

The goals are found as the demo finds them: ``$INTENTSTORE_SHARED_DATA``, else beside the checkout.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.place import real_goals

from . import context, infer, search

SUBJECTS: tuple[Callable[[Path], str], ...] = (search.measured, context.measured, infer.measured)
"""Each takes the file of goals and returns its part of the page."""
DOCS = Path(__file__).resolve().parents[2] / "docs" / "quality.md"
_HEAD = """# How good the answers are

Measured by `make bench-quality` on {name}: real goals of a team of coding agents. Nothing
of them is in this repository; the command writes this page.
"""


def page(data: Path) -> str:
    """Returns the whole page."""
    return "\n".join([_HEAD.format(name=f"`{data.name}`"), *(subject(data) for subject in SUBJECTS)])


def main(words: Sequence[str] | None = None) -> int:
    """Prints the page, writes it if asked to; 2 where the goals are not to be had."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help="write docs/quality.md")
    parser.add_argument("--docs", type=Path, default=DOCS, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    data = real_goals()
    if data is None:
        print("The real goals are not here; INTENTSTORE_SHARED_DATA names their directory.", file=sys.stderr)
        return 2
    text = page(data)
    print(text)
    if asked.write_docs:
        asked.docs.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
