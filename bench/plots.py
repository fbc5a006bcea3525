"""Cost against size on logarithmic axes, as SVG of a few kilobytes, written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .measure import seconds

DRAWN = ("store", "get", "list", "search", "claim", "open")
_WIDTH, _HEIGHT, _LEFT, _FOOT, _TOP = 520, 320, 70, 44, 30
_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2")
Points = Sequence[tuple[int, float]]


def loglog(title: str, lines: Mapping[str, Points]) -> str:
    """Returns the picture of one line a storage; what is not above nothing is not drawn."""
    lines = {name: [(n, cost) for n, cost in points if cost > 0] for name, points in lines.items()}
    points = [point for line in lines.values() for point in line] or [(1, 1.0)]
    across = _axis([n for n, _ in points], _LEFT, _WIDTH - 100)
    up = _axis([cost for _, cost in points], _HEIGHT - _FOOT, _TOP)
    drawn = [_text(_LEFT, 18, f"{title}: cost against size", "start", "bold"), *_grid(across, up)]
    for at, (name, line) in enumerate(lines.items()):
        drawn += _line(name, [(across(n), up(cost)) for n, cost in line], _COLOURS[at % len(_COLOURS)], at)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
            "<style>text{font-size:12px}</style>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            *drawn,
            "</svg>\n",
        ]
    )


class _axis:  # noqa: N801  used as the function it is
    """Places numbers between two edges by their logarithm, whole powers of ten at both."""

    def __init__(self, numbers: Sequence[float], low: float, high: float) -> None:
        self.least, most = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
        self.most = max(most, self.least + 1)
        self._low, self._high = low, high

    def __call__(self, number: float) -> float:
        share = (math.log10(number) - self.least) / (self.most - self.least)
        return self._low + share * (self._high - self._low)


def _grid(across: _axis, up: _axis) -> list[str]:
    drawn = []
    for power in range(across.least, across.most + 1):
        x = across(10.0**power)
        drawn += [_rule(x, _TOP, x, _HEIGHT - _FOOT), _text(x, _HEIGHT - _FOOT + 18, f"{10**power:,}", "middle")]
    for power in range(up.least, up.most + 1):
        y = up(10.0**power)
        drawn += [_rule(_LEFT, y, _WIDTH - 100, y), _text(_LEFT - 6, y + 4, seconds(10.0**power), "end")]
    return drawn


def _line(name: str, places: Sequence[tuple[float, float]], colour: str, at: int) -> list[str]:
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    y = _TOP + 14 + 20 * at
    key = f'<rect x="{_WIDTH - 92}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
    line = f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return [line, *dots, key, _text(_WIDTH - 78, y, name, "start")]


def _rule(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, words: str, anchor: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>'
