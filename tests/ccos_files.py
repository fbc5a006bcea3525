"""Files as CCOS writes them, invented: backups, archive directories, and the records in them."""

from __future__ import annotations

import json
import random
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

from intentstore.formats.ccos_rtfs import snapshot_text

ODD = 'a "quoted" \\ line\nand λ 日本語 🧭'
STATUSES = ("Active", "Executing", "Completed", "Failed", "Archived", "Suspended")
TRIGGERS = ("HumanRequest", "PlanExecution", "SystemEvent", "IntentCompletion", "ArbiterInference")
TYPES = ("DependsOn", "ConflictsWith", "Enables", "RelatedTo", "TriggeredBy", "Blocks")
TEXTS = (
    *("100", "1", "1.0", "1e300", "-0.0", '"a text"', ":eu", "[:eu :us]", '{1 :a "1" :b :1 :c}', "nil", "true"),
    *("(< cost 100.0)", "done by friday", "", " 5 ", "1.50", "2025-01-02T03:04:05_678Z", "##Inf", "{:a", ODD),
    *(":ns.sub:v1.2/name", "#| a |# :b #| c |#", "(fn [x] (* x x))", "keyword:eu", "<<function>>", "9" * 30),
)
START = 1_750_000_000


def record(id: str, goal: str = "Ship", **fields: Any) -> dict[str, Any]:
    """Returns the record of one intent with every field of CCOS's."""
    base: dict[str, Any] = {
        "intent_id": id,
        "name": None,
        "session_id": None,
        "original_request": goal,
        "rtfs_intent_source": f'(intent "{id}" :goal "{goal}")',
        "goal": goal,
        "constraints": {},
        "preferences": {},
        "success_criteria": None,
        "parent_intent": None,
        "child_intents": [],
        "triggered_by": "HumanRequest",
        "generation_context": {
            "arbiter_version": "1.0.0",
            "generation_timestamp": START,
            "input_context": {},
            "reasoning_trace": None,
        },
        "status": "Active",
        "priority": 0,
        "created_at": START,
        "updated_at": START,
        "metadata": {},
    }
    return {**base, **fields}


def edge(source: str, type: str, target: str, **fields: Any) -> dict[str, Any]:
    """Returns the record of one edge."""
    return {"from": source, "to": target, "edge_type": type, "metadata": None, "weight": None, **fields}


def backup(records: list[dict[str, Any]], edges: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Returns a backup 1.1 of these records, its RTFS text included."""
    edges = edges or []
    document: dict[str, Any] = {
        "intents": {each["intent_id"]: each for each in records},
        "edges": edges,
        "version": "1.1",
        "timestamp": START + 86_400,
        "manifest": {"created_by": "ccos", "source": "intent-graph", "note": None},
    }
    sound = [each for each in edges if type(each) is dict and {"from", "to", "edge_type"} <= each.keys()]
    return {**document, "rtfs": snapshot_text(records, sound), **fields}


def written(document: dict[str, Any]) -> bytes:
    """Returns a document as CCOS lays it out on disk."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def many(count: int = 500, seed: int = 4) -> dict[str, Any]:
    """Returns a backup of intents in which every combination of fields occurs, with a hierarchy and edges."""
    chance = random.Random(seed)
    flags = list(product((False, True), repeat=5))
    intents: list[dict[str, Any]] = []
    for at in range(count):
        named, session, success, sourced, reasoned = flags[at % len(flags)]
        id = f"intent-{chance.getrandbits(128):032x}" if at % 50 else f'odd/"{at}"\\λ'
        goal = chance.choice((ODD, "nil", "true", ":x", '(intent "x" :goal "y")', f"Goal {at}", '"in quotes"'))
        created = START + chance.randrange(10**7)
        moved = {
            f"status_transition_{created + n}_{n}": f"{created + n}: Active -> Failed (reason: {chance.choice(TEXTS)})"
            for n in range(chance.randrange(3))
        }
        keys = ("max-cost", "deadline", "two words", "$map", ":k", "1", "a.b", "λ", '"')
        intents.append(
            record(
                id,
                goal,
                name=chance.choice((id, "twin", ODD, "")) if named else None,
                session_id=f"session-{at % 7}" if session else None,
                original_request=chance.choice((goal, "please", "")),
                rtfs_intent_source=f'(intent "{id}" :goal {json.dumps(goal)}) ; as it came\r\n' if sourced else "",
                constraints={chance.choice(keys): chance.choice(TEXTS) for _ in range(at % 4)},
                preferences={chance.choice(keys): chance.choice(TEXTS) for _ in range(at % 3)},
                success_criteria=chance.choice(TEXTS) if success else None,
                triggered_by=TRIGGERS[at % len(TRIGGERS)],
                generation_context={
                    "arbiter_version": chance.choice(("1.0.0", "intentstore", "")),
                    "generation_timestamp": created,
                    "input_context": {chance.choice(keys): chance.choice(TEXTS) for _ in range(at % 3)},
                    "reasoning_trace": chance.choice(("because", ODD)) if reasoned else None,
                },
                status=STATUSES[at % len(STATUSES)],
                priority=chance.choice((0, 1, 25, 100, 2**32 - 1)),
                created_at=created,
                updated_at=created + chance.randrange(3),
                metadata={**moved, **{chance.choice(keys): chance.choice(TEXTS) for _ in range(at % 3)}},
            )
        )
    edges = _related(intents, chance)
    chance.shuffle(intents)
    return backup(intents, edges)


def _related(intents: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    edges = []
    for at, each in enumerate(intents[1:], 1):
        if at % 3:
            parent = intents[chance.randrange(at)]
            if at % 5:
                each["parent_intent"] = parent["intent_id"]
            if at % 7 or not at % 5:
                parent["child_intents"].append(each["intent_id"])
            if at % 2:
                edges.append(edge(each["intent_id"], "IsSubgoalOf", parent["intent_id"]))
        if at % 4 == 0:
            other = intents[chance.randrange(at)]
            more: dict[str, Any] = {"weight": chance.choice((None, 0.0, 1.0, 1e-9, 0.5))}
            if at % 8 == 0:
                more["metadata"] = {"reason": ODD, "a b": "1"}
            edges.append(edge(each["intent_id"], TYPES[at // 4 % len(TYPES)], other["intent_id"], **more))
    chance.shuffle(edges)
    return edges


def archive(folder: Path, records: list[Any], edges: list[Any] = ()) -> None:  # type: ignore[assignment]
    """Writes an archive directory that holds these records."""
    for part, things in (("intents", records), ("edges", edges)):
        index = {}
        for thing in things:
            digest, relative = filed(folder / part, thing)
            index[digest] = relative
        indexed(folder / part, index)


def filed(part: Path, thing: Any) -> tuple[str, str]:
    """Writes one record under its digest and returns digest and path, as its index has them."""
    digest = sha256(json.dumps(thing, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
    relative = f"{digest[:2]}/{digest[2:4]}/{digest}.json"
    path = part / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(thing, indent=2, ensure_ascii=False), encoding="utf-8")
    return digest, relative


def indexed(part: Path, index: dict[str, str]) -> None:
    """Writes the index of a part."""
    part.mkdir(parents=True, exist_ok=True)
    (part / "index.json").write_text(json.dumps(index), encoding="utf-8")
