"""Claims about tidy texts: canonical, idempotent, saying the same; every comment and every other form kept."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intentstore.ground.errors import RtfsSyntaxError
from intentstore.rtfs import parse, tidy, write_edge, write_intent
from intentstore.rtfs.tidy import _notes_in
from tests import invented


def said(text: str) -> Any:
    """What a text says, but for how it says it."""
    document = parse(text)
    return [intent.replace(rtfs_source=None) for intent in document.intents], document.edges, document.others


WRITTEN = """

;; goals of the week\x20\x20
; second

   (intent ship goal "Ship" constraints {:max-cost 25.0   ; dollars
        :region :eu }) ; trailing
(intent "a" ; head
  ; above priority
  :priority "high" ; behind priority
  #| about the goal |#
  :goal "A" ; goal
  :status :active ; a default
  :constraints {:x 1}
  ; the end
  )


(plan "p"   :body (do   x)) (ccos/intent "docs" :goal "Write" :team "x" :success-criteria (fn [x] ; c
   x))
{:type "intent" :name "press" :goal "Tell the press"} 'x
(intent-graph
  (intents
    (intent {:id "i-1" :goal "One" :status "Completed" :priority 5 :name "a name that is long enough to break it" })
    ; between
    (intent {:id "i-2" :goal "Two" }) (intent {:id "i-3" :goal "Three" }))
  (edges (edge :DependsOn "i-1"   "i-2")))
intent blk {
  name: "blk"
  goal: "Block"
}
(edge {:from "a" :to "docs" :type :enables})
; end"""

TIDY = """\
;; goals of the week
; second

(intent "ship"
  :goal "Ship"
  :constraints {:max-cost 25.0   ; dollars
        :region :eu }) ; trailing
(intent "a" ; head
  #| about the goal |#
  :goal "A" ; goal
  ; a default
  :constraints {:x 1}
  ; above priority
  :priority :high ; behind priority
  ; the end
)

(plan "p"   :body (do   x))
(intent "docs"
  :goal "Write"
  :success-criteria (fn [x] ; c
   x)
  :team "x")
(intent "press" :goal "Tell the press")
'x
(intent-graph
  (intents
    (intent "a name that is long enough to break it"
      :goal "One"
      :id "i-1"
      :status "completed"
      :priority 5)
    ; between
    (intent {:goal "Two" :id "i-2"}) (intent {:goal "Three" :id "i-3"}))
  (edges (edge {:from "i-1" :to "i-2" :type "DependsOn"})))
(intent "blk" :goal "Block")
(edge {:from "a" :to "docs" :type "Enables"})
; end
"""


def test_a_text_becomes_tidy_and_stays_so() -> None:
    assert tidy(WRITTEN) == TIDY
    assert tidy(TIDY) == TIDY
    assert said(WRITTEN) == said(TIDY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \n\n", ""),
        ("; only a comment", "; only a comment\n"),
        ('(intent "a" :goal "A")', '(intent "a" :goal "A")\n'),
        ('(intent "a" :goal "A") ; one\r\n\r\n\r\n(f)\r\n', '(intent "a" :goal "A") ; one\n\n(f)\n'),
        ('#| a |# (intent a goal "A")', '#| a |#\n(intent "a" :goal "A")\n'),
        ('(intent "a; b" :goal "#| no comment |#")', '(intent "a; b" :goal "#| no comment |#")\n'),
        ('(edge :Blocks ; why\n "a" "b")', '(edge :Blocks ; why\n "a" "b")\n'),
        ('(do (f)\n  (intent "a" :goal "A" ; hm\n))', '(do (f)\n  (intent "a" :goal "A" ; hm\n))\n'),
        ('intent a {\n  goal: "A" ; b"\n}', 'intent a {\n  goal: "A" ; b"\n}\n'),
        ("x#| a |#\n y", "x #| a |#\ny\n"),
        ("|#(intent a goal 5)", "|#(intent a goal 5)\n"),
        ("(f)(g)", "(f)\n(g)\n"),
    ],
)
def test_small_texts(text: str, expected: str) -> None:
    assert tidy(text) == expected
    assert tidy(expected) == expected


def test_a_form_that_would_say_something_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '(intent "a" :goal "A" :metadata {:x 1 ; c\n } :created-by "me")\n'
    assert tidy(text) == text, "what is written of created-by belongs into the metadata, which has a comment inside"


def test_width_is_chosen() -> None:
    assert tidy('(intent "a" :goal "A")', width=10) == '(intent "a"\n  :goal "A")\n'


@pytest.mark.parametrize("text", ['(intent "a" :goal', '(intent "a")', "(do", ")", '(intent "a" :goal "\\q")'])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(RtfsSyntaxError):
        tidy(text)


_notes = st.sampled_from(("; a note\n", "#| b\n |#", ";\n", ';; "odd" (\n'))
_spaces = st.sampled_from((" ", "\n", "\n\n\n", "  \n\t", "\r\n"))
_gaps = st.lists(_notes | _spaces, max_size=4).map("".join)
_odd_forms = st.sampled_from(
    (
        '(plan "p" ; x\n (f))',
        "'x",
        "[1 2]",
        '(edge :DependsOn ; c\n "a" "b")',
        '(intent n goal "G" ; g\n priority 3)',
        '(intent "n" ; h\n :status :active ; s\n :goal ; g\n "G"; g2\n ;z\n)',
        '{:type "intent" :name "m" ; n\n :goal "g"}',
        'intent b {\n  goal: "x"\n}',
        '(intent {:id "x" ; c\n :goal "y" #| z |# })',
        f'(intent-graph (intents\n   (intent {{:id "a" :goal "{"x" * 70}"}})) ; n\n (edges (edge :Blocks "a" "b")))',
        '(do (intent "a" :goal "b" ; hm\n) (f))',
        '(intent "a" :goal "b" :success-criteria (fn [] ; c\n 1) :metadata {:a 1 ; c\n } :created-by "me")',
    )
)


@st.composite
def _forms(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return draw(_odd_forms)
    if draw(st.booleans()):
        return write_edge(draw(invented.edges))
    return write_intent(draw(invented.intents()), width=draw(st.sampled_from((None, 80, 10))))


@given(st.lists(st.tuples(_gaps, _forms()), max_size=4), _gaps)
def test_any_text_says_the_same_when_tidy(parts: list[tuple[str, str]], end: str) -> None:
    text = "".join((gap or "\n") + form for gap, form in parts) + "\n" + end
    try:
        before = said(text)
    except RtfsSyntaxError:
        with pytest.raises(RtfsSyntaxError):
            tidy(text)
        return
    found = tidy(text)
    assert said(found) == before
    assert not Counter(_notes_in(text)) - Counter(_notes_in(found)), "no comment is lost"
    assert tidy(found) == found


def test_the_example_of_the_manual() -> None:
    text = dedent(
        """
        (intent ship goal "Ship 1.0"   ; by friday
           constraints {:max-cost 25.0})
        """
    )
    assert tidy(text) == '(intent "ship"\n  :goal "Ship 1.0" ; by friday\n  :constraints {:max-cost 25.0})\n'
