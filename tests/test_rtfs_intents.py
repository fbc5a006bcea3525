"""Claims about intents as RTFS: every spelling is taken, every key is kept, what is written is read back the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from intentstore import (
    Code,
    Edge,
    EdgeType,
    FieldInvalid,
    Intent,
    IntentBuilder,
    IntentStatus,
    Invalid,
    Keyword,
    Map,
    RtfsSyntaxError,
    Symbol,
)
from intentstore.codec import encode_edge, encode_intent
from intentstore.rtfs import Document, parse, statements, write_edge, write_intent
from intentstore.rtfs.block import write_block
from intentstore.rtfs.edges import edge_of
from tests.invented import LIKE_FORMS, ODD, edges, intents

LITERAL = '"a \\"quoted\\" \\\\ line\\nand λ 日本語 🧭"'
SPELLINGS = {
    "canonical": "(intent {name} :goal {goal} :constraints {{:max-cost 25}})",
    "ccos": "(ccos/intent {name} :goal {goal} :constraints {{:max-cost 25}})",
    "one map": "(intent {name} {{:goal {goal} :constraints {{:max-cost 25}}}})",
    "bare symbols": "(intent {name} goal {goal} constraints {{:max-cost 25}})",
    "map form": '{{:type "intent" :name {name} :goal {goal} :constraints {{:max-cost 25}}}}',
    "string keys": '{{":type" "intent" ":name" {name} ":goal" {goal} ":constraints" {{"max-cost" 25}}}}',
    "snapshot": '(intent {{:id "i" :goal {goal} :name {name} :constraints {{:max-cost 25}}}})',
    "no name first": "(intent :name {name} :goal {goal} :constraints {{:max-cost 25}})",
}


def one(text: str, **options: Any) -> Intent:
    (intent,) = parse(text, **options).intents
    return intent


# --- spellings ---


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_gives_the_same_intent(spelling: str) -> None:
    text = spelling.format(name='"n"', goal=LITERAL)
    intent = one(f"; before\n{text} ; behind")
    assert (intent.name, intent.goal, dict(intent.constraints)) == ("n", ODD, {"max-cost": 25})
    assert intent.rtfs_source == text


@pytest.mark.parametrize("goal", LIKE_FORMS[:-1])
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_goal_that_looks_like_a_form_stays_text(spelling: str, goal: str) -> None:
    written = '"' + goal.replace('"', '\\"') + '"'
    assert one(spelling.format(name='"n"', goal=written)).goal == goal


def test_a_builders_block_is_read_as_it_is_printed_elsewhere() -> None:
    text = (
        'intent My Name {\n  name: "My Name"\n  goal: "a "quoted" \\ line\nand λ 日本語 🧭"\n  priority: :high\n'
        '  constraints: {\n  max-cost: 25\n  deadline: "2026-01-02T03:04:05Z"\n  data-locality: [:us, :eu]\n}\n'
        '  parent-intent: "up"\n  child-intents: ["a" "b"]\n  metadata: {\n    k v: "x: "y""\n  }\n'
        '  created-at: "2026-01-02T03:04:05+00:00"\n  created-by: "ana"\n  status: :active\n}'
    )
    intent = one(f'{text}\nplan other {{ name: "x" }}\nlet x = 5 in x * x')
    assert (intent.name, intent.goal, intent.priority) == ("My Name", ODD, 75)
    assert intent.constraints == {
        "max-cost": 25,
        "deadline": "2026-01-02T03:04:05Z",
        "data-locality": (Keyword("us"), Keyword("eu")),
    }
    assert dict(intent.metadata) == {
        "k v": 'x: "y"',
        "created_by": "ana",
        "priority_word": "high",
        "rtfs.parent-intent": "up",
        "rtfs.child-intents": ("a", "b"),
    }
    assert intent.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert intent.rtfs_source == text


@pytest.mark.parametrize(
    "text",
    [
        'intent one { name: "one" goal: "say "hi" now" priority: :low }',
        'intent one {\r\n  name: "one", \r\n\r\n  ; a note\r\n  goal: "say "hi" now" ; why\r\n  :priority: :low\r\n}',
        'intent one {\n  description: "say "hi" now"\n  priority: "low"\n}',
    ],
)
def test_a_block_may_be_written_carelessly(text: str) -> None:
    intent = one(text)
    assert (intent.name, intent.goal, intent.priority) == ("one", 'say "hi" now', 25)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ('intent a {\n  name: "a"\n  goal: "x\n}', (3, 9), "a string without its end"),
        ('intent a {\n  goal: "x"\n', (1, 10), "{ is never closed"),
        ('intent a {\n  goal: "x"\n  goal: "y"\n}', (3, 3), "a second time"),
        ('intent a {\n  goal = "x"\n}', None, "expected a key"),
        ('intent a {\n  name: "a"\n}', (1, 1), "has no goal"),
        ('intent a {\n  goal: "x"\n  child-intents: ["a" "b"\n}', (3, 18), "[ is never closed"),
        ("intent a {\n  goal:\n}", (3, 1), "expected a value"),
        ("intent a {\n" + "a: {" * 100_000, (2, 256), "nested deeper than 64"),
    ],
)
def test_a_broken_block_is_refused_where_it_breaks(text: str, place: tuple[int, int] | None, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text) if place is not None else parse(text.replace("{\n", "{\n  x: 1\n"))
    assert said in str(caught.value)
    if place is not None:
        assert (caught.value.line, caught.value.column) == place


def test_names_may_be_symbols_and_keys_unknown() -> None:
    text = '(intent ship :description "D" :priority "High" :constraints ["a" :b] :context [x (f)] :team {:a 1} :n nil)'
    intent = one(text)
    assert (intent.name, intent.goal, intent.priority) == ("ship", "D", 75)
    assert intent.constraints == {0: "a", 1: Keyword("b")}
    assert dict(intent.metadata) == {
        "priority_word": "high",
        "rtfs.context": (Symbol("x"), Code("(f)")),
        "rtfs.team": Map({Keyword("a"): 1}),
        "rtfs.n": None,
    }


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        (":priority :sometime", "rtfs.priority"),
        (":priority 2.5", "rtfs.priority"),
        (':constraints "none"', "rtfs.constraints"),
        (":labels 5", "rtfs.labels"),
        (":metadata [1]", "rtfs.metadata"),
        (":claim {:owner 1}", "rtfs.claim"),
        (':name "other"', "rtfs.name"),
        (':description "d"', "rtfs.description"),
    ],
)
def test_what_a_field_cannot_hold_is_kept_beside_it(field: str, kept: str) -> None:
    intent = one(f'(intent "n" :goal "G" {field})')
    assert list(intent.metadata) == [kept]
    assert Intent.from_rtfs(intent.to_rtfs()) == intent


def test_a_goal_that_is_a_form_is_kept_as_its_text() -> None:
    assert one("(intent x :goal (achieve  :all))").goal == "(achieve  :all)"
    assert one("(intent x :goal nil)").goal == "nil"
    assert one("(intent x :goal [1 2])").goal == "[1 2]"


def test_success_criteria_are_any_value_and_code_is_never_run() -> None:
    assert one('(intent x :goal "G" :success-criteria (fn [r] (> r 1)))').success_criteria == Code("(fn [r] (> r 1))")
    assert one('(intent x :goal "G" :success_criteria "done")').success_criteria == "done"
    assert one('(intent x :goal "G" :success-criteria {:a 1})').success_criteria == Map({Keyword("a"): 1})


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ('(intent "x")', (1, 1), "has no goal"),
        ('(intent "x" :goal)', (1, 13), "expected a value for goal"),
        ('(intent "x" :goal "a"\n :goal "b")', (2, 2), "a second time"),
        ('(intent "x" :goal "a" :id "1" :intent-id "2")', (1, 42), "says again"),
        ('(intent "x" "y" :goal "a")', (1, 13), "expected a key"),
        ('(intent 5 :goal "a")', (1, 9), "expected a name"),
        ('(intent "x" {:goal "a"} 3)', (1, 25), "expected ) behind the map"),
        ('(intent "x" :goal "a" :status "odd")', (1, 31), "'odd' is not a status"),
        ('(intent "x" :goal "a"\n  :id 5.5 :created-at "then")', (2, 23), "'then' is not a time"),
        ('(intent "x" :goal "a" :session-id 5)', (1, 35), "must be text"),
        ('(intent "x" :goal "a" :constraints {:a 1 "a" 2})', (1, 36), "as keyword and as string"),
        ('(intent "x" :goal " ")', (1, 1), "goal is empty"),
        ('{:type "intent" :goal "a"}', (1, 1), "has no name"),
        ('{:type "intent" :name "n"}', (1, 1), "has no goal"),
        ('(edge {:from "a" :type "Blocks"})', (1, 1), "to is missing"),
        ('(edge {:from "a" :to "b" :type "no type!"})', (1, 1), "is not an edge type"),
        ('(edge :Blocks "a")', (1, 1), "from is missing"),
        ('(edge {:from "a" :to "b" :type "x" :weight "heavy"})', None, ""),
        ("(intents (intent {:goal 1)", (1, 26), "unexpected )"),
        ('(intent-graph (intents (intent {:goal "x"}))', (1, 1), "( is never closed"),
        (")", (1, 1), "unexpected )"),
    ],
)
def test_an_intent_that_cannot_be_is_refused_at_its_place(text: str, place: tuple[int, int] | None, said: str) -> None:
    if place is None:
        assert parse(text).edges[0].metadata == {"rtfs.weight": "heavy"}
        return
    with pytest.raises(Invalid) as caught:
        parse(f"\n{text}")
    assert said in str(caught.value)
    assert (caught.value.line, caught.value.column) == (place[0] + 1, place[1])


# --- whole texts ---


def test_intents_and_edges_are_found_among_other_forms_and_the_rest_is_counted() -> None:
    document = parse(
        '(plan "p" :body (intent "inner" :goal "no"))\n'
        "(defn f [x & rest] {:keys [a b] :as m} {nil 1} 1/2 0x42 #^re)\n"
        '`(intent ~name :goal ~goal) {:type "plan" :name "intent"} {{:a 1} 2}\n'
        '(do (step "s") (intent "a" :goal "A") (edge :DependsOn "a" "b"))\n'
        '{:type "intent" :name "b" :goal "B"} ^{:doc "d"} (intent "c" :goal "C") :keyword 2024-01-15T10:30:45.123Z\n'
    )
    assert [intent.name for intent in document.intents] == ["a", "b", "c"]
    assert [edge.key for edge in document.edges] == [("a", "depends_on", "b")]
    assert document.others == 9


def test_a_snapshot_is_read_and_is_nobodys_source() -> None:
    document = parse(
        ";; Intent Graph Snapshot\n(intent-graph\n  (edges\n"
        '    (edge {:from "i2" :to "i1" :type "IsSubgoalOf" :weight 0 }))\n  (intents\n'
        '    (intent {:id "i1" :goal "raw\nline" :status "Active" :priority 0 :rtfs-intent "(x \\"y\\")" })\n'
        '    (intent {:id "i2" :goal "b" :status "Failed" :priority 3 :name "n" })\n  ))\n'
    )
    first, second = document.intents
    assert (first.id, first.goal, first.rtfs_source) == ("i1", "raw\nline", '(x "y")')
    assert (second.name, second.status, second.priority, second.rtfs_source) == ("n", "failed", 3, None)
    (edge,) = document.edges
    assert (edge.key, edge.weight) == (("i2", "is_subgoal_of", "i1"), 0.0)


@pytest.mark.parametrize(
    "text",
    [
        '(edge {:from "a" :to "b" :type "DependsOn"})',
        '(edge {:source "a" :target "b" :type :depends-on})',
        '(edge :from "a" :to "b" :type depends_on)',
        '(edge :DependsOn "a" "b")',
        "(edge DependsOn a b)",
        '(edge {"from" "a" ":to" :b :edge-type "dependsOn"})',
    ],
)
def test_an_edge_has_many_spellings_too(text: str) -> None:
    assert edge_of(text) == Edge(source="a", type=EdgeType.DEPENDS_ON, target="b")


def test_code_that_nests_deeper_than_data_hinders_nothing() -> None:
    assert len(parse("(f " * 500 + ")" * 500 + ' (intent "a" :goal "A")').intents) == 1
    with pytest.raises(RtfsSyntaxError, match="deeper than 10000"):
        parse("(" * 100_000)


# --- back and forth ---


@given(intents())
def test_any_intent_comes_back_from_its_rtfs(intent: Intent) -> None:
    for width in (None, 80, 20):
        assert encode_intent(Intent.from_rtfs(intent.to_rtfs(width=width))) == encode_intent(intent)


@given(edges)
def test_any_edge_comes_back_from_its_rtfs(edge: Edge) -> None:
    assert encode_edge(edge_of(write_edge(edge))) == encode_edge(edge)


def test_a_source_that_is_canonical_comes_back_too() -> None:
    intent = one('(intent "n" :goal "G")')
    assert intent.rtfs_source == write_intent(intent.replace(rtfs_source=None))
    assert Intent.from_rtfs(intent.to_rtfs()) == intent


@given(intents())
def test_the_canonical_form_of_a_canonical_form_is_itself(intent: Intent) -> None:
    written = write_intent(intent)
    assert write_intent(Intent.from_rtfs(written)) == written


def test_the_canonical_form_reads_well() -> None:
    intent = Intent(
        id="i1",
        name="ship",
        goal="Ship 1.0",
        status=IntentStatus.EXECUTING,
        priority=8,
        constraints=Map({"max-cost": 10.0, "a b": "c"}),
        labels=("ci",),
        metadata=Map({"owner": "ana", "rtfs.team": Keyword("core")}),
    )
    assert intent.to_rtfs() == (
        '(intent "ship"\n  :goal "Ship 1.0"\n  :constraints {:max-cost 10.0 "a b" "c"}\n  :id "i1"\n'
        '  :status "executing"\n  :priority 8\n  :labels ["ci"]\n  :metadata {:owner "ana"}\n  :team :core)'
    )


def test_a_source_is_kept_unless_it_is_what_would_be_written() -> None:
    canonical = '(intent "ship" :goal "Ship 1.0" :constraints {:max-cost 10.0})'
    assert Intent.from_rtfs(canonical).rtfs_source is None
    assert one(canonical).rtfs_source == canonical
    commented = '(intent "ship" ; why\n :goal "Ship 1.0")'
    assert Intent.from_rtfs(commented).rtfs_source == commented
    assert Intent.from_rtfs(commented.encode()).rtfs_source == commented


@pytest.mark.parametrize(
    "text", ["", "; nothing", '(intent a :goal "A") (intent b :goal "B")', '(intent a :goal "A") 5']
)
def test_from_rtfs_takes_exactly_one_intent(text: str) -> None:
    with pytest.raises(FieldInvalid, match="not one intent"):
        Intent.from_rtfs(text)


# --- lenient ---


def test_what_a_language_model_wrote_is_taken_and_the_repairs_told() -> None:
    text = (
        'Sure! Here is the intent (as you asked):\n```clojure\n(intent ship_it,\n  :goal “Ship "1.0"”,\n'
        "  :constraints {max-cost: 25, deadline: 2026-01-02},\n  (success_criteria (fn [r] (> r 0, 1)))\n```\n"
        "Bye (for now"
    )
    document: Document = parse(text, lenient=True)
    (intent,) = document.intents
    assert (intent.name, intent.goal) == ("ship_it", 'Ship "1.0"')
    assert intent.constraints == {"max-cost": 25, "deadline": "2026-01-02"}
    assert intent.success_criteria == Code("(fn [r] (> r 0, 1))")
    assert intent.rtfs_source == text
    told = {repair.what: repair for repair in document.repairs}
    assert told["took what stands in the code fence"].line == 2
    assert told["a comma read as a space"][:2] == (3, 16)
    assert "closed ( at the end" in told


def test_prose_around_a_form_is_left_out_and_told() -> None:
    document = parse('Here it is: (intent a :goal "A") and "that is it.', lenient=True)
    assert [repair.what for repair in document.repairs] == [
        "left out the words before the first form",
        "left out the words behind the last form",
    ]
    assert document.intents[0].goal == "A"


def test_a_goal_can_be_lent() -> None:
    assert one("(intent ship)", goal="Ship", lenient=True).goal == "Ship"


# --- the builder ---


def full() -> IntentBuilder:
    return (
        IntentBuilder("ship")
        .with_goal(ODD)
        .with_priority("critical")
        .with_constraints({"max-cost": 25.0, "data-locality": ["eu", Keyword("us")], "security-clearance": "secret"})
        .with_constraint("anything", {"a": [1, Keyword("b")]})
        .with_preference("style", "fast")
        .with_success_criteria(Code("(fn [r] r)"))
        .with_metadata("k", "v")
        .with_created_at("2026-01-02T03:04:05+01:00")
        .with_created_by("ana")
        .with_status("suspended")
        .with_label("ci")
    )


def test_a_builder_builds_what_was_said() -> None:
    intent = full().build()
    assert (intent.name, intent.goal, intent.priority, intent.status) == ("ship", ODD, 100, "suspended")
    assert intent.constraints["data-locality"] == (Keyword("eu"), Keyword("us"))
    assert intent.constraints["security-clearance"] == Keyword("secret")
    assert dict(intent.metadata) == {"k": "v", "created_by": "ana", "priority_word": "critical"}
    assert intent.created_at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert intent.labels == ("ci",)


def test_a_builder_is_read_back_from_both_its_styles() -> None:
    builder = full().with_parent_intent("up").with_child_intents(["a", "b"]).with_child_intent("c")
    for style in ("canonical", "block"):
        intent = one(builder.to_rtfs(style))
        assert intent.metadata["rtfs.parent-intent"] == "up"
        assert intent.metadata["rtfs.child-intents"] == ("a", "b", "c")
        ours = {key: value for key, value in intent.metadata.items() if not str(key).startswith("rtfs.")}
        assert intent.replace(rtfs_source=None, metadata=ours) == builder.build()


def test_a_builder_never_changes() -> None:
    given = ["eu"]
    first = IntentBuilder("a").with_constraint("data-locality", given)
    given.append("us")
    second = first.with_constraint("data-locality", ["asia"]).with_goal("G")
    assert dict(first.constraints)["data-locality"] == ("eu",)
    assert first.goal is None
    assert dict(second.constraints)["data-locality"] == ("asia",)


def test_a_builder_says_everything_that_is_wrong_at_once() -> None:
    builder = (
        IntentBuilder(" ")
        .with_priority("soon")
        .with_constraints({"max-cost": -1, "deadline": "tomorrow", "data-locality": [], "min-accuracy": 1.5})
        .with_constraints({"max-retries": 101, "max-duration": "long", "preferred-style": 5, "x": print})
        .with_status("odd")
        .with_created_at("yesterday")
        .with_label("")
        .with_parent_intent("")
        .with_edge("no type", "b")
        .with_metadata("k", float("nan"))
    )
    with pytest.raises(Invalid) as caught:
        builder.validate()
    faults = {fault["field"]: fault["problem"] for fault in caught.value.faults}
    assert str(caught.value).startswith(f"{len(faults)} faults: ")
    assert faults["name"] == faults["goal"] == "is missing"
    assert faults["constraints.max-cost"] == "is negative"
    assert faults["constraints.max-retries"] == "is over 100"
    assert faults["constraints.min-accuracy"] == "is outside 0 to 1"
    assert faults["constraints.data-locality"] == "is empty"
    assert faults["constraints.x"] == "holds a function, which is not data"
    assert set(faults) >= {"priority", "status", "created_at", "labels[0]", "metadata.k", "constraints.deadline"}
    assert any(field.startswith("edge no type") for field in faults)
    for use in (builder.build, builder.to_rtfs, builder.validate_llm_generated):
        with pytest.raises(Invalid):
            use()


def test_a_language_model_must_state_a_priority() -> None:
    builder = IntentBuilder("a").with_goal("G")
    builder.validate()
    with pytest.raises(Invalid, match="priority is missing"):
        builder.validate_llm_generated()
    builder.with_priority(3).validate_llm_generated()


def test_a_builder_advises_what_is_missing() -> None:
    assert len(IntentBuilder("a").suggest_completion()) == 4
    assert full().suggest_completion() == []


def test_a_builder_gives_its_edges_once_the_intent_has_an_id() -> None:
    builder = full().with_parent_intent("up").with_child_intent("down").with_edge("blocks", "other", weight=0.5)
    assert [edge.key for edge in builder.edges("me")] == [
        ("me", "is_subgoal_of", "up"),
        ("down", "is_subgoal_of", "me"),
        ("me", "blocks", "other"),
    ]
    assert parse(builder.to_rtfs()).edges[0].weight == 0.5


@pytest.mark.parametrize(
    "builder",
    [
        IntentBuilder("a").with_goal('x"\n  status: :active\n}\n'),
        IntentBuilder("a {").with_goal("x"),
        IntentBuilder("a").with_goal("x").with_metadata("k: ", "v"),
        IntentBuilder("a").with_goal("x").with_edge("blocks", "b"),
    ],
)
def test_a_block_refuses_what_it_could_not_hold(builder: IntentBuilder) -> None:
    with pytest.raises(FieldInvalid) as caught:
        builder.to_rtfs("block")
    assert "canonical" in caught.value.hint
    builder.to_rtfs("canonical")


def test_a_style_has_to_be_known() -> None:
    with pytest.raises(FieldInvalid, match="style"):
        IntentBuilder("a").with_goal("x").to_rtfs("json")  # type: ignore[arg-type]  # refused


def test_a_block_holds_every_kind_of_value() -> None:
    values = {"n": 1.5, "k": Keyword("k"), "m": Map({Keyword("a"): 1}), "v": (1, "a"), "c": Code("(f)"), "z": None}
    builder = IntentBuilder("a").with_goal("x").with_constraints(values)
    assert dict(one(builder.to_rtfs("block")).constraints) == values
    assert write_block("a", [("goal", "x")]).startswith("intent a {")


@pytest.mark.parametrize(
    ("prompt", "name", "goal", "priority", "constraints"),
    [
        ("My goal is to ship 1.0. Urgent!", "ship-1-0", "ship 1.0", "high", {}),
        ("Goal: cut costs. low priority, $1,250.50", "cut-costs", "cut costs", "low", {"max-cost": 1250.5}),
        ("Fix it, it is critical", "fix-it-it-is-critical", "Fix it, it is critical", "critical", {}),
        ("Pay $50 by Friday", "pay-50-by-friday", "Pay $50 by Friday", None, {"max-cost": 50.0}),
        ("Stand by me", "stand-by-me", "Stand by me", None, {}),
        (
            "Ship by 2026-03-01T10:00+02:00",
            "ship-by-2026-03-01t10-00",
            "Ship by 2026-03-01T10:00+02:00",
            None,
            {"deadline": "2026-03-01T10:00:00+02:00"},
        ),
        ("Done; deadline: 2026-02-30", "done-deadline-2026-02-30", "Done; deadline: 2026-02-30", None, {}),
    ],
)
def test_a_prompt_gives_what_it_says_and_nothing_invented(
    prompt: str, name: str, goal: str, priority: str | None, constraints: dict[str, Any]
) -> None:
    builder = IntentBuilder.from_natural_language(prompt)
    assert (builder.name, builder.goal, builder.priority) == (name, goal, priority)
    assert dict(builder.constraints) == constraints
    builder.validate()


def test_statements_can_be_taken_one_by_one() -> None:
    kinds = [
        (each.kind, each.line, each.column) for each in statements('(intent a :goal "A")\n  (f) (edge :Blocks "a" "b")')
    ]
    assert kinds == [("intent", 1, 1), ("other", 2, 3), ("edge", 2, 7)]


@pytest.mark.parametrize(
    ("text", "line", "column", "letter"),
    [
        ('(intent "a", :goal "A",,,, :x 5 5)', 1, 33, "5"),
        ('Sure!\n```\n(intent "a", :goal 5, :status "no")\n```', 3, 31, '"'),
        ('(intent "a" :goal "A"\n :x null null)', 2, 10, "n"),
        ("(intent a, null", 1, 12, "n"),
    ],
)
def test_what_lenient_reading_refuses_is_placed_in_what_was_written(
    text: str, line: int, column: int, letter: str
) -> None:
    with pytest.raises(Invalid) as refused:
        parse(text, lenient=True)
    fields = refused.value.fields
    assert (fields["line"], fields["column"]) == (line, column)
    assert text.split("\n")[line - 1][column - 1] == letter
    assert f"line {line}, column {column}: " in str(refused.value)
