"""Odd bytes for whatever reads files from elsewhere: each gives a value or one refusal with its place, nothing else.

``python -m tests.fuzz [SECONDS]`` looks for such bytes with atheris, which follows the branches taken.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from intentstore import open_graph
from intentstore.formats import import_into
from intentstore.ground.errors import IntentStoreError, Invalid, RtfsSyntaxError
from intentstore.rtfs import parse, print, read_all, tidy  # noqa: A004  the library's own word
from tests import ccos_files as ccos

SEEDS = (
    b'(intent "a" :goal "A" :constraints {:max-cost 25.0 "k" [1 :b] 3 nil} :success-criteria (< x 1)) ; note',
    b'intent a {\n  goal: "A "b""\n  constraints: {\n    max-cost: 25\n  }\n  child-intents: ["x", "y"]\n}',
    b'{:type "intent" :name "a" :goal "A"} (edge {:from "a" :to "b" :type "DependsOn" :weight 0.5})',
    b'(do (intent a goal "A" #| b |#) 2025-01-02T03:04:05_678Z resource://x ^{:a 1} #(f) `(a ~b ~@c) @d)',
    b'```\n(intent "a", goal: null, "k": \'v\' #{1 2} 1e5 \xe2\x80\x9cq\xe2\x80\x9d\n```',
    ccos.written(ccos.backup([ccos.record("a", "\u03bb"), ccos.record("b")], [ccos.edge("a", "Blocks", "b")])),
)


def one(data: bytes) -> None:
    """Gives the bytes to every reader; raises what none may raise."""
    values = _tried(lambda: read_all(data), data)
    if values is not None:
        text = " ".join(map(print, values))
        assert read_all(text) == values, "what is printed is read back"
    document = _tried(lambda: parse(data), data)
    _tried(lambda: parse(data, lenient=True), data)
    neat = _tried(lambda: tidy(data), data)
    if document is not None:
        assert neat is not None
        again = parse(neat)
        assert len(again.intents) == len(document.intents)
        assert tidy(neat) == neat, "what is tidy stays as it is"
    _imported(data)


def _tried(work: Any, data: bytes) -> Any:
    try:
        return work()
    except Invalid as error:
        refused = error
    lines = data.decode("utf-8", "replace").split("\n")
    line, column = refused.fields["line"], refused.fields["column"]
    assert 1 <= line <= len(lines), refused
    assert 1 <= column <= len(lines[line - 1]) + 1, refused
    assert type(refused) is not RtfsSyntaxError or "excerpt" in refused.fields, refused
    return None


def _imported(data: bytes) -> None:
    for format in ("rtfs", "ccos"):
        with open_graph("memory:") as graph:
            try:
                import_into(graph, io.BytesIO(data), format=format)
            except IntentStoreError as error:
                assert "nothing was imported" in error.hint, repr(error)  # noqa: PT017  it may also come in whole
                assert graph.revision == 0


def main(seconds: str = "60") -> None:
    """Looks for bytes that break a claim, for so long."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # only where make fuzz set it up

    with TemporaryDirectory() as folder:
        for at, seed in enumerate(SEEDS):
            (Path(folder) / str(at)).write_bytes(seed)
        atheris.instrument_all()
        atheris.Setup(
            [
                sys.argv[0],
                f"-max_total_time={seconds}",
                "-max_len=4096",
                "-timeout=20",
                f"-artifact_prefix={folder}/",
                folder,
            ],
            one,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
