"""How an intent is told to a reader who counts every word: in full, in brief, as a line; as Markdown, JSON or RTFS.

Knows intents and texts; has never heard of budgets or scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from ..codec import jsonable
from ..ground.types import SYMMETRIC, Edge, EdgeType, Intent, IntentId

Level = Literal["full", "brief", "line"]
LEVELS: tuple[Level, ...] = ("full", "brief", "line")
_LINE, _BRIEF = 120, 280
_SAID = {
    (EdgeType.IS_SUBGOAL_OF, "out"): "part of",
    (EdgeType.IS_SUBGOAL_OF, "in"): "has parts",
    (EdgeType.DEPENDS_ON, "out"): "depends on",
    (EdgeType.DEPENDS_ON, "in"): "needed by",
    (EdgeType.BLOCKS, "out"): "blocks",
    (EdgeType.BLOCKS, "in"): "blocked by",
}
_MOST_NAMED = 12


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One intent as it is told; ``tokens`` is for who counts them, ``shared`` its end that others may have too."""

    level: Level
    text: str
    tokens: int = 0
    shared: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to tell of one intent besides itself."""

    intent: Intent
    because: tuple[str, ...]
    edges: tuple[Edge, ...] = ()
    summary: str = ""


class Teller(Protocol):
    """One format."""

    def piece(self, told: Told, level: Level) -> Piece:
        """Returns the intent at one level."""
        ...

    def whole(self, pieces: Sequence[Piece], *, left_out: int) -> str:
        """Returns the pieces as one text."""
        ...


def cut(text: str, most: int) -> str:
    r"""Returns the text on one line, cut at a word where it is longer.

    >>> cut("one two\nthree", 9)
    'one two…'
    """
    flat = " ".join(text.split())
    if len(flat) <= most:
        return flat
    end = flat.rfind(" ", most // 2, most)
    return flat[: end if end > 0 else most - 1].rstrip(" ,;:.") + "…"


# --- Markdown ---


class Markdown:
    """Headings, paragraphs and lists, as a language model and a person read them."""

    _HEADS: Mapping[Level, str] = {"full": "## In full", "brief": "## In brief", "line": "## Also"}

    def piece(self, told: Told, level: Level) -> Piece:
        intent = told.intent
        facts = ", ".join(self._facts(intent))
        match level:
            case "line":
                text = f"- `{intent.id}` {facts}: {cut(intent.goal, _LINE)}\n"
            case "brief":
                request = intent.original_request or ""
                lines = [f"- **{cut(intent.goal, _BRIEF)}** (`{intent.id}`, {facts})"]
                lines += [f"  {cut(request, _BRIEF)}"] * bool(request.strip())
                lines += [f"  {line}" for line in self._relations(told)]
                text = "\n".join([*lines, f"  Here because it {'; '.join(told.because)}.", ""])
            case "full":
                text = "\n".join([*self._full(told, facts), ""])
        return Piece(level=level, text=text)

    def _full(self, told: Told, facts: str) -> list[str]:
        intent = told.intent
        lines = [
            f"### {cut(intent.goal, 10_000)}",
            "",
            f"`{intent.id}`, {facts}. Here because it {'; '.join(told.because)}.",
        ]
        lines += self._relations(told)
        if intent.original_request:
            lines += ["", intent.original_request.strip()]
        for name in ("success_criteria", "constraints", "preferences"):
            value = getattr(intent, name)
            if value is not None and value != {}:
                shown = value if isinstance(value, str) else msgspec.json.encode(jsonable(value)).decode()
                lines += ["", f"{name.replace('_', ' ').capitalize()}: {shown.strip()}"]
        return [*lines, ""]

    def _facts(self, intent: Intent) -> list[str]:
        facts = [str(intent.status)]
        if intent.priority:
            facts.append(f"priority {intent.priority}")
        if intent.claim is not None:
            facts.append(f"claimed by {intent.claim.owner}")
        return facts + [f"#{label}" for label in intent.labels[:6]]

    def _relations(self, told: Told) -> list[str]:
        groups: dict[str, list[IntentId]] = {}
        for edge in told.edges:
            groups.setdefault(_relation(edge, told.intent.id), []).append(edge.other(told.intent.id))
        lines = []
        for words, ids in groups.items():
            more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
            lines.append(f"{words.capitalize()}: {', '.join(f'`{id}`' for id in ids[:_MOST_NAMED])}{more}.")
        return lines + ([told.summary] if told.summary else [])

    def whole(self, pieces: Sequence[Piece], *, left_out: int) -> str:
        lines = []
        for level in LEVELS:
            mine = [piece.text for piece in pieces if piece.level == level]
            if mine:
                lines.append(f"{self._HEADS[level]}\n\n{''.join(mine)}")
        rest = f"{left_out} more goals found no room here.\n" if left_out else ""
        return "\n".join([*lines, rest] if rest else lines)


def _relation(edge: Edge, end: IntentId) -> str:
    way = "both" if edge.type in SYMMETRIC else "out" if end == edge.source else "in"
    plain = str(edge.type).replace("_", " ")
    return _SAID.get((edge.type, way), plain if way != "in" else f"is what {plain} names")


# --- JSON ---


class Json:
    """One JSON document: an object an intent, with as much in it as its level allows."""

    _FIELDS: Mapping[Level, tuple[str, ...]] = {
        "line": ("id", "goal", "status"),
        "brief": ("id", "goal", "name", "status", "priority", "labels", "original_request"),
    }

    def piece(self, told: Told, level: Level) -> Piece:
        whole = jsonable(told.intent)
        fields = self._FIELDS.get(level, tuple(whole))
        document: dict[str, Any] = {"level": level} | {name: whole[name] for name in fields if name in whole}
        if level != "full":
            longest = _LINE if level == "line" else _BRIEF
            document["goal"] = cut(document["goal"], longest)
            if "original_request" in document:
                document["original_request"] = cut(document["original_request"], longest)
        if level != "line":
            document["because"] = list(told.because)
            document["edges"] = [[edge.source, str(edge.type), edge.target] for edge in told.edges]
            if told.summary:
                document["summary"] = told.summary
        return Piece(level=level, text=msgspec.json.encode(document).decode())

    def whole(self, pieces: Sequence[Piece], *, left_out: int) -> str:
        return f'{{"intents":[{",".join(piece.text for piece in pieces)}],"left_out":{left_out}}}'


# --- RTFS ---


class Rtfs:
    """One graph of intents and edges that `intentstore.rtfs` reads again; what is only said stands in comments."""

    def piece(self, told: Told, level: Level) -> Piece:
        from ..rtfs import write_edge, write_intent

        written = write_intent(self._as_told(told.intent, level), width=None)
        if level == "line":
            return Piece(level=level, text=f"  {written}\n")
        said = [f"here because it {'; '.join(told.because)}"] + [told.summary] * bool(told.summary)
        lines = [f"  ; {' '.join(each.split())}\n" for each in said] + [f"  {written}\n"]
        bare = [Edge(source=each.source, type=each.type, target=each.target) for each in told.edges]
        shared = tuple(f"  {write_edge(each)}\n" for each in bare)
        return Piece(level=level, text="".join([*lines, *shared]), shared=shared)

    def _as_told(self, intent: Intent, level: Level) -> Intent:
        if level == "full":
            return intent.replace(rtfs_source=None)  # the same once more
        short = Intent(id=intent.id, goal=cut(intent.goal, _LINE), status=intent.status)
        if level == "line":
            return short
        request = intent.original_request
        return short.replace(
            goal=cut(intent.goal, _BRIEF),
            name=intent.name,
            priority=intent.priority,
            labels=intent.labels,
            original_request=None if request is None else cut(request, _BRIEF),
        )

    def whole(self, pieces: Sequence[Piece], *, left_out: int) -> str:
        lines, edges = [], set[str]()
        for piece in pieces:
            lines.append(piece.text.removesuffix("".join(piece.shared)))
            lines += [each for each in dict.fromkeys(piece.shared) if each not in edges]
            edges.update(piece.shared)
        rest = f"  ; {left_out} more goals found no room here\n" if left_out else ""
        return f"(intent-graph\n{''.join(lines)}{rest})\n"


FORMATS: dict[str, Callable[[], Teller]] = {"markdown": Markdown, "json": Json, "rtfs": Rtfs}


def grouped(edges: Iterable[Edge]) -> dict[IntentId, list[Edge]]:
    """Returns the edges by each of their ends."""
    found: dict[IntentId, list[Edge]] = {}
    for edge in edges:
        for end in (edge.source, edge.target):
            found.setdefault(end, []).append(edge)
    return found
