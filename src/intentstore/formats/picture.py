"""A graph as a picture that needs nothing else: SVG, or an HTML page with it. Write only.

What is settled, with nothing open below, is folded into one box, so that two thousand goals are as readable as two
hundred. Every text is escaped; nothing is loaded, nothing runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape

from ..ground.types import SYMMETRIC, Edge, EdgeType, Intent, IntentStatus
from .diagram import caption, unseen
from .forest import HEIGHT, WIDTH, Box, Forest, Line, laid_out
from .pages import Pages

_MARGIN, _TOP, _LETTERS = 20, 64, 34
_COLOURS = {
    IntentStatus.ACTIVE: ("#ffffff", "#2d3640"),
    IntentStatus.EXECUTING: ("#cfe8ff", "#1d4f7a"),
    IntentStatus.COMPLETED: ("#d5f0d5", "#255a31"),
    IntentStatus.FAILED: ("#f9d0d0", "#7a2626"),
    IntentStatus.SUSPENDED: ("#fff2c8", "#6b5a16"),
    IntentStatus.ARCHIVED: ("#e4e4e4", "#44484d"),
}
_STROKES = {EdgeType.DEPENDS_ON: "#c2571a", EdgeType.BLOCKS: "#c21a3a", EdgeType.CONFLICTS_WITH: "#8a1ac2"}
_OTHER = "#3a7dc2"


def svg(pages: Pages) -> Iterator[bytes]:
    """Yields one SVG of the goals: trees of subgoals from left to right, other relations as curves."""
    yield from _svg(*_read(pages), pages.graph.name)


def html(pages: Pages) -> Iterator[bytes]:
    """Yields one HTML page with the picture and how many goals of each status there are; no script, nothing loaded."""
    intents, edges = _read(pages)
    name = _safe(pages.graph.name)
    counts = Counter(intent.status for intent in intents)
    told = ", ".join(f"{counts[status]} {status}" for status in IntentStatus if counts[status]) or "no goals"
    yield (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{name}</title>\n'
        "<style>body{margin:1.5rem;font:15px/1.5 system-ui,sans-serif;color:#1b1f24;background:#fff}"
        "main{overflow:auto;max-height:85vh;border:1px solid #8886}"
        "@media (prefers-color-scheme:dark){body{color:#e6e6e6;background:#14171a}}</style>\n"
        f"<h1>{name}</h1>\n<p>{told}; {len(edges)} relations. Rest on a box to read the whole goal.</p>\n<main>\n"
    ).encode()
    yield from _svg(intents, edges, pages.graph.name)
    yield b"</main>\n</html>\n"


def _read(pages: Pages) -> tuple[list[Intent], list[Edge]]:
    return [intent for page in pages.intents() for intent in page], list(pages.edges())


def _svg(intents: list[Intent], edges: list[Edge], name: str) -> Iterator[bytes]:
    forest = laid_out(intents, edges)
    width, height = forest.width + 2 * _MARGIN, forest.height + _TOP + _MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(width, 760):.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {max(width, 760):.0f} {height:.0f}" role="img">\n<title>{_safe(name)}</title>\n{_style()}\n'
    ).encode()
    yield from _legend(edges)
    yield f'<g transform="translate({_MARGIN} {_TOP})">\n'.encode()
    for line in forest.lines:
        yield _line(line, forest).encode()
    for box in forest.boxes:
        yield _box(box).encode()
    yield b"</g>\n</svg>\n"


def _style() -> str:
    light = "".join(f".{status} rect{{fill:{colour}}}" for status, (colour, _) in _COLOURS.items())
    dark = "".join(f".{status} rect{{fill:{colour}}}" for status, (_, colour) in _COLOURS.items())
    return (
        "<style>svg{background:#fff}text{font:12px system-ui,sans-serif;fill:#111}rect{stroke:#667;rx:5px}"
        "path{fill:none;stroke-width:1.3}.is_subgoal_of{stroke:#99a}.folded rect{stroke-dasharray:4 3}"
        f"{light}@media (prefers-color-scheme:dark){{svg{{background:#14171a}}text{{fill:#eee}}{dark}}}</style>"
    )


def _legend(edges: list[Edge]) -> Iterator[bytes]:
    left = float(_MARGIN)
    for status in _COLOURS:
        yield (
            f'<g class="{status}"><rect x="{left:.0f}" y="10" width="14" height="14"/>'
            f'<text x="{left + 20:.0f}" y="22">{status}</text></g>\n'
        ).encode()
        left += 110
    left = float(_MARGIN)
    for kind in sorted({edge.type for edge in edges}):
        yield (
            f'<path{_stroke(kind)} d="M{left:.0f} 42h26"/>'
            f'<text x="{left + 32:.0f}" y="46">{kind.replace("_", " ")}</text>\n'
        ).encode()
        left += 50 + 7 * len(kind)


def _stroke(kind: EdgeType) -> str:
    if kind == EdgeType.IS_SUBGOAL_OF:
        return ' class="is_subgoal_of"'
    return f' stroke="{_STROKES.get(kind, _OTHER)}"' + (' stroke-dasharray="2 3"' if kind in SYMMETRIC else "")


def _line(line: Line, forest: Forest) -> str:
    source, target = forest.boxes[line.source], forest.boxes[line.target]
    start, end = source.y + HEIGHT / 2, target.y + HEIGHT / 2
    if line.kind == EdgeType.IS_SUBGOAL_OF:  # from the parent's right side to the child's left
        left, right = target.x + WIDTH, source.x
        return f'<path{_stroke(line.kind)} d="{_curve(left, end, (left + right) / 2, right, start)}"/>\n'
    left, right = source.x + WIDTH, target.x + WIDTH
    bend = max(left, right) + 18 + min(60.0, abs(end - start) / 8)
    told = _safe(f"{source.intent.id} {line.kind} {target.intent.id}")
    colour = _STROKES.get(line.kind, _OTHER)
    dot = "" if line.kind in SYMMETRIC else f'<circle cx="{right:.0f}" cy="{end:.1f}" r="3" fill="{colour}"/>'
    curve = _curve(left, start, bend, right, end)
    return f'<path{_stroke(line.kind)} d="{curve}"><title>{told}</title></path>{dot}\n'


def _curve(x: float, y: float, bend: float, to_x: float, to_y: float) -> str:
    return f"M{x:.0f} {y:.1f}C{bend:.0f} {y:.1f} {bend:.0f} {to_y:.1f} {to_x:.0f} {to_y:.1f}"


def _box(box: Box) -> str:
    intent = box.intent
    words = caption(intent)
    label = f"{box.folded} settled: {words}" if box.folded else words
    shown = label if len(label) <= _LETTERS else label[: _LETTERS - 1] + "…"
    whole = f"{intent.id} ({intent.status}): {intent.goal}"
    classes = f"{intent.status} folded" if box.folded else str(intent.status)
    return (
        f'<g class="{classes}"><title>{_safe(whole)}</title><rect x="{box.x:.0f}" y="{box.y:.1f}" width="{WIDTH}"'
        f' height="{HEIGHT}"/><text x="{box.x + 8:.0f}" y="{box.y + 17:.1f}">{_safe(shown)}</text></g>\n'
    )


def _safe(text: str) -> str:
    return escape(unseen(text))
