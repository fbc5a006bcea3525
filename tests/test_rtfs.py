"""Claims about RTFS as data: what is printed is read back, every refusal has its place, and no input does harm."""

from __future__ import annotations

import io
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from intentstore import Code, ErrorValue, FieldInvalid, Intent, Keyword, Map, Resource, RtfsSyntaxError, Symbol
from intentstore.codec.wire import to_wire
from intentstore.ground.errors import Invalid
from intentstore.ground.values import freeze
from intentstore.rtfs import forms, mend, parse, print, read, read_all, read_source, statements  # noqa: A004
from intentstore.rtfs import window as windows
from tests.invented import ODD, values

CORPUS = (
    '; a header\n(intent "ship" :goal "Ship \\"1.0\\"\\n" :constraints {:max-cost 25.5 :where [:eu "us" 3]}\n'
    "  :success-criteria (fn [x] (and (> x 1) #(f %)) ; code\n  ))\n"
    '#| block |# {:type "intent" :name "b" :goal (achieve x) "k" 1 2 nil}\n'
    'intent third {\n  name: "third"\n  goal: "say "hi" \\ there"\n  priority: :high\n'
    '  metadata: {\n    a b: "c"\n  }\n}\n'
    '(edge {:from "ship" :to "b" :type "DependsOn" :weight 0.5}) `(f ~x ~@y) ^{:a 1} (g) @ctx\n'
    "[2025-01-02T03:04:05_678Z 550e8400-e29b-41d4-a716-446655440000 resource://a/b ##x]\n"
)
VALUES_CORPUS = (
    '{:a 1 "b\\t" [2.5 -3 nil true :ns.sub:v1.2/name] 7 {:k (f "x)" ; )\n )}}\n'
    "2025-01-02T03:04:05_678Z 550e8400-e29b-41d4-a716-446655440000 resource://a/b sym #| c |# `(q ~u)\n"
    '(intentstore/map [[:a 1] ["b" (intentstore/error "m" ["t"])]]) (intentstore/keyword "a b")\r\n'
)


def same(a: Any, b: Any) -> bool:
    """True for values that are the same to the last digit: 1, 1.0 and true are three, the order of a map counts."""
    return msgspec.json.encode(to_wire(a)) == msgspec.json.encode(to_wire(b))


# --- what is read ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("false", False),
        ("nilly", Symbol("nilly")),
        ("true?", Symbol("true?")),
        ("-0", 0),
        ("+42", 42),
        ("007", 7),
        ("-9223372036854775808", -(2**63)),
        ("1.0", 1.0),
        ("-0.0", -0.0),
        ("1.5e3", 1500.0),
        ("2.0E-3", 0.002),
        ("1.0e300", 1e300),
        ('"a\\n\\t\\r\\\\\\"b"', 'a\n\t\r\\"b'),
        ('"raw\nline"', "raw\nline"),
        ('"2025-01-02T03:04:05_678Z"', "2025-01-02T03:04:05_678Z"),
        (":ns.sub:v1.2/name", Keyword("ns.sub:v1.2/name")),
        (":*a*", Keyword("*a*")),
        ("->x", Symbol("->x")),
        ("a/b", Symbol("a/b")),
        (".method", Symbol(".method")),
        ("%1", Symbol("%1")),
        ("@plan-id", Code("@plan-id")),
        ("@:key", Code("@:key")),
        ("[1 [2] []]", (1, (2,), ())),
        ("{}", Map()),
        ('{1 :a "1" :b :1x :c}', Map({1: Keyword("a"), "1": Keyword("b"), Keyword("1x"): Keyword("c")})),
        ("(f x)", Code("(f x)")),
        ('(f ; not ) here\n ")" #| ) |# x)', Code('(f ; not ) here\n ")" #| ) |# x)')),
        ("#(> % 1)", Code("#(> % 1)")),
        ("`(a ~b ~@c)", Code("`(a ~b ~@c)")),
        ("~x", Code("~x")),
        ("^{:a 1} (f)", Code("^{:a 1} (f)")),
        ("^:delegation :local (f)", Code("^:delegation :local (f)")),
        ("2025-01-02T03:04:05Z", datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2025-01-02T03:04:05_678Z", datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
        ("550E8400-e29b-41d4-a716-446655440000", UUID("550e8400-e29b-41d4-a716-446655440000")),
        ("abcdef12-aaaa-bbbb-cccc-123456789012", UUID("abcdef12-aaaa-bbbb-cccc-123456789012")),
        ("[resource://a/b] ]", (Resource("resource://a/b]"),)),
        ("#| a |# :b |#| c |#"[:10], Keyword("b")),
        ("#| a |# :b ; |#", Keyword("b")),
        ("\r\n 1 \r\n", 1),
        ("1 ; no last newline", 1),
        ('(intentstore/keyword "a b")', Keyword("a b")),
        ("(intentstore/keyword 5)", Code("(intentstore/keyword 5)")),
        ('(intentstore/error "m" ["t"])', ErrorValue("m", ("t",))),
        ('(intentstore/map [["a" 1] [:b 2]])', Map({"a": 1, Keyword("b"): 2})),
        ("(intentstore/map [[1 2 3]])", Code("(intentstore/map [[1 2 3]])")),
    ],
)
def test_a_form_is_read_as_its_value(text: str, value: Any) -> None:
    assert same(read(text), value)
    assert same(read(text.encode()), value)


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("", 1, 1, "found nothing"),
        ("; only a comment", 1, 1, "found nothing"),
        ("1 2", 1, 3, "another form"),
        ("[1\n [2", 2, 2, "[ is never closed"),
        ("(f", 1, 1, "( is never closed"),
        ("[1)", 1, 3, "expected ] to close [ of line 1, column 1, found )"),
        ("{:a 1]", 1, 6, "expected } to close { of line 1, column 1"),
        ("(f [x)", 1, 6, "expected ] to close ["),
        ("]", 1, 1, "unexpected ]"),
        ('\n"abc', 2, 1, "a string without its end"),
        ('(f "abc', 1, 4, "a string without its end"),
        ("#| abc", 1, 1, "a comment without its end"),
        ("(f #| abc", 1, 4, "a comment without its end"),
        ('["a\\d"]', 1, 4, "unknown escape \\d"),
        ("{:a 1 :b}", 1, 7, "expected a value for this key, found }"),
        ("{:a 1\n :a 2}", 2, 2, "a second time"),
        ("{nil 1}", 1, 2, "expected a key"),
        ("{:a 1 true 2}", 1, 7, "expected a key"),
        ("{{:a 1} 2}", 1, 2, "expected a key"),
        ("[1, 2]", 1, 3, "a comma is no space"),
        ("9223372036854775808", 1, 1, "beyond 64 bits"),
        ("1" * 5000, 1, 1, "beyond 64 bits"),
        ("1.0e999", 1, 1, "out of range"),
        ("[##Inf]", 1, 2, "##Inf is no value"),
        ("##NaN", 1, 1, "##NaN is no value"),
        ("12ab", 1, 1, "12ab is no number"),
        ("1e5", 1, 1, "1e5 is no number"),
        ("-5x", 1, 1, "-5x is no number"),
        ("2025-01-02", 1, 1, "is no number, time or UUID"),
        ("2025-13-02T03:04:05Z", 1, 1, "no moment of the calendar"),
        (":a:b", 1, 1, ":a:b is no keyword"),
        (":", 1, 1, ": is no keyword"),
        ("'a", 1, 1, "unexpected 'a"),
        ("#{1}", 1, 1, "unexpected #"),
        ("λ", 1, 1, "unexpected λ"),
        ("~", 1, 1, "expected a form after this"),
        ("[~]", 1, 3, "expected a form, found ]"),
        ("^{:a 1}", 1, 1, "expected a form after this"),
        ("\ufeff1", 1, 1, "byte-order mark"),
        ("[1\n\0]", 2, 1, "NUL"),
        ('"\ud800"', 1, 2, "lone surrogate"),
        ("[" * 65 + "]" * 65, 1, 65, "nested deeper than 64"),
        ("(" * 65, 1, 65, "nested deeper than 64"),
        ("[" * 100_000, 1, 65, "nested deeper than 64"),
        ("{:a" * 100_000, 1, 64 * 3 + 1, "nested deeper than 64"),
        ("(intentstore/map [[1 " * 100_000, 1, None, "nested deeper than 64"),
        ('(intentstore/map [["a" 1] ["a" 2]])', 1, 28, "a second time"),
        ('(intentstore/keyword "a"', 1, 1, "( is never closed"),
    ],
)
def test_a_refusal_names_place_and_reason(text: str, line: int, column: int | None, said: str) -> None:
    with pytest.raises(RtfsSyntaxError) as caught:
        read(text)
    error = caught.value
    assert said in str(error)
    assert (error.line, error.column) == (line, column or error.column)
    shown, caret = error.excerpt.split("\n")
    assert caret == " " * caret.index("^") + "^"
    assert len(shown) <= 120


def test_bytes_that_are_not_utf_8_are_refused_where_they_stand() -> None:
    with pytest.raises(RtfsSyntaxError, match="line 2, column 3: is not UTF-8"):
        read('"é\n1 \xff"'.encode("latin-1").replace(b"\xe9", "é".encode()))


def test_a_depth_of_64_passes_and_can_be_set() -> None:
    assert read("[" * 64 + "]" * 64) is not None
    assert read("(" * 64 + ")" * 64) == Code("(" * 64 + ")" * 64)
    assert read("[" * 100 + "]" * 100, max_depth=100) is not None
    with pytest.raises(RtfsSyntaxError, match="deeper than 2"):
        read("[[[1]]]", max_depth=2)


def test_numbers_that_look_alike_stay_apart() -> None:
    assert [type(number) for number in read("[1 1.0 true]")] == [int, float, bool]
    assert str(read("-0.0")) == "-0.0"


# --- what is printed is read ---


@given(values)
def test_any_value_is_read_back_as_it_was_printed(value: Any) -> None:
    for text in (print(value), print(value, pretty=True), print(value, pretty=True, width=10)):
        assert same(read(text), value)
    assert "\n" not in print(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.0, None]}, '{"a" [1 2.0 nil]}'),
        ({Keyword("a"): {}}, "{:a {}}"),
        (1e300, "1.0e+300"),
        (5e-324, "5.0e-324"),
        ((Resource("resource://x"),), "[resource://x ]"),
        (ODD, '"a \\"quoted\\" \\\\ line\\nand λ 日本語 🧭"'),
        (Code("(f\n x)"), '(intentstore/code "(f\\n x)")'),
        (Code("two forms"), '(intentstore/code "two forms")'),
        (Symbol("nil"), '(intentstore/symbol "nil")'),
        (Symbol("-5"), '(intentstore/symbol "-5")'),
        (Keyword("a b"), '(intentstore/keyword "a b")'),
        ({Keyword("a b"): 1}, '(intentstore/map [[(intentstore/keyword "a b") 1]])'),
        (datetime(2025, 1, 2, tzinfo=UTC), "2025-01-02T00:00:00Z"),
    ],
)
def test_a_value_has_one_spelling(value: Any, text: str) -> None:
    assert print(value) == text


def test_what_does_not_fit_is_laid_out() -> None:
    value = {Keyword("steps"): ["first " * 8, "second " * 8], Keyword("code"): Code("(f\n x)"), Keyword("n"): 1}
    assert print(value, pretty=True) == (
        f'{{\n  :steps [\n    "{"first " * 8}"\n    "{"second " * 8}"\n  ]\n  :code (f\n x)\n  :n 1\n}}'
    )


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), [1, len], {"a": {1.5: 2}}, object(), 2**63])
def test_what_is_no_value_is_not_printed(odd: Any) -> None:
    with pytest.raises(FieldInvalid):
        print(odd)


def test_python_that_is_no_data_is_refused_with_the_path_to_it() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    for given_, path in (
        ({"deadline": [1, 2, print]}, r"constraints.deadline\[2\]"),
        ({"a": {"b": object()}}, "constraints.a.b"),
        ({"a": [float("nan")]}, r"constraints.a\[0\]"),
        ({"a": "x" * 2_000_000}, "constraints.a"),
        ({"a": cycle}, "constraints"),
    ):
        with pytest.raises(FieldInvalid, match=path):
            Intent(goal="G").replace(constraints=given_)


# --- whole texts ---


def test_a_text_of_many_forms_is_read_form_by_form() -> None:
    found = list(forms(VALUES_CORPUS))
    assert [form.value for form in found] == read_all(VALUES_CORPUS)
    assert [(form.line, form.column) for form in found[:3]] == [(1, 1), (3, 1), (3, 26)]
    assert all(VALUES_CORPUS[form.offset :].startswith(form.text) for form in found)


class Drops(io.BytesIO):
    """A stream that gives a few bytes at a time, whatever is asked."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._size)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_a_stream_is_read_as_the_whole_text_is(size: int) -> None:
    for text in (VALUES_CORPUS, '"' + "λ" * 50 + '" :k 12345 ' * 3):
        assert list(forms(Drops(text.encode(), size))) == list(forms(text))


@pytest.mark.parametrize("size", [1, 5, 64])
def test_statements_of_a_stream_are_those_of_the_whole_text(size: int) -> None:
    whole = [each[:5] for each in statements(CORPUS)]
    assert [each[:5] for each in statements(Drops(CORPUS.encode(), size))] == whole
    assert [kind for kind, *_ in whole].count("intent") == 3


@pytest.mark.parametrize("text", ["[1 2", '"abc', "#| x", "(f (g)", '{:a "b" :c}', "1 \ufeff ]", "12ab", "[1\n\0"])
def test_a_stream_is_refused_where_the_whole_text_is(text: str) -> None:
    with pytest.raises(RtfsSyntaxError) as whole:
        list(forms(text))
    with pytest.raises(RtfsSyntaxError) as dropped:
        list(forms(Drops(text.encode(), 1)))
    assert str(dropped.value) == str(whole.value)


class Endless(io.RawIOBase):
    """A stream of forms that holds none of them."""

    def __init__(self, form: bytes, times: int) -> None:
        self._left = iter([form] * times)

    def read(self, size: int = -1) -> bytes:
        return b"".join(form for _, form in zip(range(max(1, size // 200)), self._left, strict=False))


@pytest.mark.parametrize("reader", [forms, statements])
def test_memory_stays_flat_over_a_long_stream(reader: Any) -> None:
    form = b'(intent "a" :goal "' + b"x" * 150 + b'" :constraints {:max-cost 1.5})\n[1 2 {:a "b"}]\n'
    stream: Any = Endless(form, 20_000)  # 4 MB
    tracemalloc.start()
    try:
        assert sum(1 for _ in reader(stream)) == 40_000
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
    finally:
        tracemalloc.stop()


def test_a_long_string_and_many_comments_take_no_longer_than_they_are() -> None:
    assert len(read('"' + "x" * 5_000_000 + '"')) == 5_000_000
    assert len(read('"' + '\\"' * 500_000 + '"')) == 500_000
    assert read("; c\n" * 300_000 + "1") == 1
    assert read("1" + " " * 2_000_000) == 1
    assert read("(" + "#| c |# " * 100_000 + ")").text.endswith(")")
    with pytest.raises(RtfsSyntaxError):
        read("#|" * 500_000)
    with pytest.raises(RtfsSyntaxError):
        read("1 " + " " * 2_000_000 + "2")


@pytest.mark.slow
def test_a_string_of_100_mb_is_read() -> None:
    assert len(read('"' + "x" * 100_000_000 + '"')) == 100_000_000


def test_the_source_of_a_text_is_kept_byte_for_byte() -> None:
    source = read_source(VALUES_CORPUS)
    assert str(source) == VALUES_CORPUS
    changed = source.with_form(2, ":new")
    assert str(changed) == VALUES_CORPUS.replace("550e8400-e29b-41d4-a716-446655440000", ":new")
    assert source.mapped(lambda form: form.text) == VALUES_CORPUS
    with pytest.raises(FieldInvalid, match="holds 2 forms"):
        source.with_form(0, "1 2")


@given(
    st.lists(values.map(print) | st.sampled_from(("; c\n", "#| x |#", "\n\n", "\t", "(f ; c\n)")), max_size=6).map(
        " ".join
    )
)
def test_any_source_comes_back(text: str) -> None:
    assert str(read_source(text)) == text


# --- no input gets through alive ---


def cuts_and_changes(text: str) -> Iterator[str | bytes]:
    data = text.encode()
    for at in range(len(data)):
        yield data[:at]
        for byte in b'"(}];\\#:|\x00\xff 0':
            yield data[:at] + bytes([byte]) + data[at + 1 :]


def refusal(call: Callable[[Any], Any], text: str | bytes) -> Invalid | None:
    """Returns how the text was refused, None where it was read; anything but a refusal goes through."""
    try:
        call(text)
    except Invalid as error:
        return error
    return None


def stands_inside(error: Invalid, text: str | bytes) -> bool:
    data = text if isinstance(text, bytes) else text.encode()
    lines = data.decode("utf-8", "replace").split("\n")
    line, column = error.fields["line"], error.fields["column"]
    return line in range(1, len(lines) + 1) and column in range(1, max(1, len(lines[line - 1]) + 1) + 1)


def test_every_cut_and_every_changed_byte_of_values_gives_values_or_one_placed_error() -> None:
    for text in cuts_and_changes(VALUES_CORPUS):
        error = refusal(read_all, text)
        assert error is None or (type(error) is RtfsSyntaxError and stands_inside(error, text)), (text, error)


def test_every_cut_and_every_changed_byte_of_intents_gives_intents_or_one_placed_error() -> None:
    for text in cuts_and_changes(CORPUS):
        error = refusal(parse, text)
        assert error is None or stands_inside(error, text), (text, error)


def test_every_cut_and_every_changed_byte_can_be_mended_or_has_a_place() -> None:
    for text in cuts_and_changes(CORPUS[:420]):
        error = refusal(lambda text: parse(text, lenient=True), text)
        assert error is None or "line" in error.fields, (text, error)


@settings(max_examples=300)
@given(st.text('()[]{}"\\;#|:~`^@ \n0aλ,.-T_Z', max_size=40))
def test_any_heap_of_letters_is_forms_or_one_error(text: str) -> None:
    for call in (read_all, parse, lambda text: parse(text, lenient=True)):
        error = refusal(call, text)
        assert error is None or "line" in error.fields


# --- lenient ---


@pytest.mark.parametrize(
    ("text", "mended", "said"),
    [
        ("[1, 2]", "[1  2]", "a comma read as a space"),
        ("{max-cost: 5}", "{:max-cost 5}", "a colon behind a key put before it"),
        ('{"a": 1}', '{"a" 1}', "a colon behind a key left out"),
        ("[null None True]", "[nil nil true]", "null read as nil"),
        ("“a”", '"a"', "foreign quotation marks"),
        ("['a b']", '["a b"]', "foreign quotation marks"),
        ('"\\d"', '"\\\\d"', "an unknown escape \\d kept"),
        ('"\\u00e9"', '"é"', "an escape \\uXXXX made its letter"),
        ("[1 2", "[1 2]", "closed [ at the end"),
        ('{:a "b', '{:a "b"}', "closed a string at the end"),
        ("{:a [1 2}", "{:a [1 2]}", "added a missing ]"),
        ("[1]]", "[1]", "an extra ] left out"),
        ("#{1 2}", "[1 2]", "a set read as a vector"),
        ("2025-01-02", '"2025-01-02"', "a bare date put in quotes"),
        ("2025-01-02T03:04:05.678Z", "2025-01-02T03:04:05_678Z", "milliseconds"),
        ("[1e5 .5 1,000 5.]", "[1.0e5 0.5 1000 5.0]", "a number written as RTFS writes it"),
        ("25%", '"25%"', "put in quotes"),
        ("'a", "a", "a quote mark left out"),
        ("1 // c, d", "1 ;// c, d\n", "// read as a comment"),
        ("(f [x, y] null)", "(f [x, y] null)", ""),
    ],
)
def test_what_careless_writers_do_is_mended_and_told(text: str, mended: str, said: str) -> None:
    found = mend(text)
    assert found.text == mended
    assert said in "; ".join(repair.what for repair in found.repairs)
    assert bool(found.repairs) == bool(said)
    read(text, lenient=True)


def test_repairs_of_a_kind_are_counted_from_the_first() -> None:
    (repair,) = mend("[1, 2,\n3, 4]").repairs
    assert tuple(repair) == (1, 3, "a comma read as a space", 3)


@given(values)
def test_what_is_right_is_not_mended(value: Any) -> None:
    assume(not any(word in print(value) for word in ("null", "NULL", "None", "True", "TRUE", "False", "FALSE")))
    assert mend(print(value))[:2] == (print(value), ())


def test_strict_is_the_default_everywhere() -> None:
    for call in (read, read_all, parse, Intent.from_rtfs, lambda text: list(forms(text))):
        with pytest.raises(RtfsSyntaxError):
            call('{:type "intent", :name "n", :goal "g"}')


# --- threads ---


@pytest.mark.parametrize("build", ["with the GIL", "free-threaded"])
def test_one_value_is_read_by_many_threads_at_once(build: str) -> None:
    here = "with the GIL" if getattr(sys, "_is_gil_enabled", lambda: True)() else "free-threaded"
    if build != here:
        pytest.skip(f"not run: this Python is not {build}")
    graph = freeze({f"k{n}": [n, {"deep": [Keyword("x"), Code("(f)"), n * 1.5]}] for n in range(200)}, "graph")
    text = print(graph)
    failures: list[BaseException] = []
    start = threading.Barrier(16)

    def work() -> None:
        try:
            start.wait()
            for _ in range(20):
                assert print(graph) == text
                assert hash(graph) == hash(read(text))
                assert graph["k7"][1]["deep"][2] == 10.5
                with pytest.raises(AttributeError):
                    graph.plain = False
                with pytest.raises(TypeError):
                    graph["k7"] = 1
        except BaseException as error:  # noqa: BLE001  told by the test below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_window_grows_only_for_what_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    monkeypatch.setattr(windows, "CHUNK", 64)
    stream: BinaryIO = Stream(b"1 " * 1000 + b'"' + b"x" * 5000 + b'"' + b" 2" * 1000)
    assert len(list(forms(stream))) == 2001
    assert max(asked) > 64
    assert asked[-1] == 64
