"""Values, intents and edges as Hypothesis invents them: any that can be stored, odd ones first."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from intentstore import Code, Edge, ErrorValue, Intent, IntentStatus, Keyword, Resource, Symbol
from intentstore.ground.types import Claim
from intentstore.ground.values import freeze

ODD = 'a "quoted" \\ line\nand λ 日本語 🧭'
LIKE_FORMS = ("nil", "true", ":x", '(intent "x" :goal "y")', "2025-01-02T03:04:05_678Z", "$map", "{", "#|", ";", "")
CODES = ("(f x)", "#(> % 1)", "`(a ~b)", "@ctx", "^{:a 1} (f)", "(f ; c\n x)", "(intentstore/code 1)", "two forms")

_storable = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
texts = st.sampled_from((ODD, *LIKE_FORMS)) | st.text(_storable, max_size=12)
words = st.from_regex(r"[a-z][a-z0-9.-]{0,8}", fullmatch=True)
names = words | st.sampled_from(LIKE_FORMS[:-1]) | st.text(_storable, min_size=1, max_size=8)
moments = st.datetimes(timezones=st.just(UTC))
millis = moments.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    texts,
    names.map(Keyword),
    names.map(Symbol),
    st.sampled_from(("(f x)", "#(> % 1)", "`(a ~b)", "@ctx", "^{:a 1} (f)", "(f ; c\n x)", "(intentstore/code 1)")).map(
        Code
    ),
    names.map(Code),
    names.map(Resource) | st.just(Resource("resource://a/b]")),
    st.builds(ErrorValue, texts, st.lists(texts, max_size=2).map(tuple)),
    millis,
    st.uuids(),
)
keys = names | names.map(Keyword) | st.integers(-(2**63), 2**63 - 1)
raw_values: st.SearchStrategy[Any] = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
values: st.SearchStrategy[Any] = raw_values.map(lambda value: freeze(value, "value"))
"""Any `Value`."""

entries = st.dictionaries(keys, raw_values, max_size=4) | st.dictionaries(words, raw_values, max_size=4)
_metadata_keys = st.sampled_from(
    ("priority_word", "created_by", "rtfs.context", "rtfs.goal", "rtfs.a_b", "rtfs.a-b", "rtfs.", "rtfs.x y", "ccos")
)
metadata = st.lists(st.tuples(keys | _metadata_keys, raw_values | st.sampled_from(("high", "low"))), max_size=5).map(
    dict
)
ids = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
goals = (texts | st.text(_storable, min_size=1, max_size=40)).filter(lambda goal: bool(goal.strip()))
perhaps_text = st.none() | texts
perhaps_ids = ids | st.just("")
claims = st.builds(Claim, owner=ids, token=st.integers(0, 2**40), until=moments)


def intents(id: st.SearchStrategy[str] = perhaps_ids) -> st.SearchStrategy[Intent]:
    """Returns intents with any combination of fields."""
    return st.builds(
        Intent,
        id=id,
        goal=goals,
        name=perhaps_text,
        status=st.sampled_from(IntentStatus),
        priority=st.sampled_from((0, 25, 75, 100)) | st.integers(-(2**63), 2**63 - 1),
        original_request=perhaps_text,
        rtfs_source=perhaps_text,
        constraints=entries,
        preferences=entries,
        success_criteria=raw_values,
        session_id=perhaps_text,
        triggered_by=perhaps_text,
        generation_context=entries,
        labels=st.lists(ids, max_size=3),
        metadata=metadata,
        created_at=moments,
        updated_at=moments,
        revision=st.integers(0, 2**63 - 1),
        claim=st.none() | claims,
    )


edge_types = st.sampled_from(
    ("depends_on", "is_subgoal_of", "conflicts_with", "related_to", "blocks", "discovered_from")
)
edges = st.builds(
    lambda ends, **fields: Edge(source=ends[0], target=ends[1], **fields),
    st.tuples(ids, ids).filter(lambda ends: ends[0] != ends[1]),
    type=edge_types,
    weight=st.none() | st.sampled_from((0, 1e-9, 0.5)) | st.floats(allow_nan=False, allow_infinity=False),
    metadata=entries,
    created_at=moments,
    revision=st.integers(0, 2**63 - 1),
)
