"""Claims about claims: at most one live holder, whatever the clocks do; late holders are refused by their token."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from intentstore import Intent, IntentFilter, IntentGraph, IntentStatus, open_graph
from intentstore.graph.claims import SPACE, Leases
from intentstore.ground.errors import Conflict, FieldInvalid, IntentMissing, LeaseHeld
from intentstore.ground.types import Claim

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class World:
    """The clocks of one machine: what hangs on the wall, and what runs since its start."""

    def __init__(self) -> None:
        self.wall, self.boot, self.since = NOON, "first", 1000.0

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.since += seconds

    def leases(self, graph: IntentGraph) -> Leases:
        return Leases(graph.storage, lambda: self.wall, boot=lambda: self.boot, since=lambda: self.since)


class Plain:
    """A storage without any power of its own: what the general path stands on."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.capabilities = inner.capabilities  # type: ignore[attr-defined]  # a storage

    def __getattr__(self, name: str) -> object:
        if name in ("keep", "kept", "next_free", "recall", "below"):
            raise AttributeError(name)
        return getattr(self._inner, name)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["memory:", "file:{}/goals", "sqlite:{}/goals.db", "plain"])
def graph(request: pytest.FixtureRequest, tmp_path: Path, world: World) -> Iterator[IntentGraph]:
    url = "memory:" if request.param == "plain" else request.param.format(tmp_path)
    with open_graph(url, actor="tester", clock=lambda: world.wall) as whole:
        bare: Any = Plain(whole.storage) if request.param == "plain" else whole.storage
        opened = IntentGraph(bare, actor="tester", clock=lambda: world.wall)
        opened.leases = world.leases(opened)
        yield opened


def given(graph: IntentGraph, *ids: str) -> None:
    for id in ids:
        graph.store(Intent(id=id, goal=id))


# --- claiming ---


def test_the_best_ready_intent_is_claimed_and_then_the_next_until_none_is_left(graph: IntentGraph) -> None:
    given(graph, "a", "b", "c")
    graph.store(Intent(id="urgent", goal="urgent", priority=9))
    graph.link("b", "depends_on", "c")
    found = [graph.claim(owner="w") for _ in range(4)]
    assert [intent.id if intent else None for intent in found] == ["urgent", "a", "c", None]
    urgent = graph.intent("urgent")
    assert urgent.status is IntentStatus.ACTIVE
    assert urgent.claim == Claim(owner="w", token=urgent.claim.token, until=NOON + timedelta(seconds=300))  # type: ignore[union-attr]
    assert graph.history("urgent")[-1].reason == "claimed by w"
    assert [reason.kind for waiting in graph.blocked() for reason in waiting.because] == [
        "claim",
        "claim",
        "depends_on",
        "claim",
    ]


def test_a_filter_narrows_what_is_claimed(graph: IntentGraph) -> None:
    given(graph, "a")
    graph.store(Intent(id="b", goal="b", labels=("gpu",)))
    found = graph.claim(owner="w", where=IntentFilter(labels_all={"gpu"}))  # type: ignore[arg-type]  # made a set
    assert found is not None
    assert found.id == "b"
    assert graph.claim(owner="w", where=IntentFilter(labels_all={"gpu"})) is None  # type: ignore[arg-type]


def test_a_claimed_intent_cannot_be_claimed_by_another(graph: IntentGraph) -> None:
    given(graph, "a")
    graph.claim("a", owner="one")
    with pytest.raises(LeaseHeld, match="claimed by one") as refused:
        graph.claim("a", owner="two")
    assert refused.value.owner == "one"
    assert refused.value.hint
    assert graph.claim(owner="two") is None


def test_an_intent_that_waits_or_is_over_cannot_be_claimed(graph: IntentGraph) -> None:
    given(graph, "a", "b", "part")
    graph.link("a", "depends_on", "b")
    graph.link("part", "is_subgoal_of", "b")
    with pytest.raises(Conflict, match="a is not ready: depends_on b"):
        graph.claim("a", owner="w")
    assert graph.claim("b", owner="w") is not None  # to be worked on by planning it
    graph.complete("part")
    with pytest.raises(LeaseHeld, match="part is completed"):
        graph.claim("part", owner="w")
    with pytest.raises(IntentMissing):
        graph.claim("nope", owner="w")


@pytest.mark.parametrize("lease", [0, -1, 0.01, 365 * 86_400, True, "300", float("nan"), float("inf")])
def test_a_lease_of_no_length_or_of_a_year_is_refused(lease: object) -> None:
    with open_graph("memory:") as graph:
        given(graph, "a")
        with pytest.raises(FieldInvalid, match="lease_s is "):
            graph.claim("a", owner="w", lease_s=lease)  # type: ignore[arg-type]  # as it should not be
        assert graph.intent("a").claim is None


def test_an_owner_must_have_a_name_that_prints(graph: IntentGraph) -> None:
    given(graph, "a")
    for owner in ("w\0", "", "x" * 300):
        with pytest.raises(FieldInvalid, match="owner"):
            graph.claim("a", owner=owner)
        with pytest.raises(FieldInvalid, match="owner"):
            graph.recover(owner)
    with open_graph("memory:") as nobody:
        given(nobody, "a")
        with pytest.raises(FieldInvalid, match="owner is missing"):
            nobody.claim("a")
    claimed = graph.claim("a")  # the actor, where none is named
    assert claimed is not None
    assert claimed.claim is not None
    assert claimed.claim.owner == "tester"


def test_a_claim_is_not_given_by_hand(graph: IntentGraph) -> None:
    given(graph, "a")
    forged = Claim(owner="me", token=99, until=NOON + timedelta(days=1))
    with pytest.raises(FieldInvalid, match="claim cannot be set by hand"):
        graph.update(graph.intent("a").replace(claim=forged))
    graph.claim("a", owner="other")
    with pytest.raises(LeaseHeld):
        graph.update(graph.intent("a").replace(claim=None))
    with pytest.raises(LeaseHeld):
        graph.update(graph.intent("a").replace(status="completed"))
    edited = graph.update(graph.intent("a").replace(goal="another wording"))  # the work, not the words, is claimed
    assert edited.claim is not None


# --- holding ---


def test_only_the_holder_moves_what_is_claimed(graph: IntentGraph) -> None:
    given(graph, "a")
    claimed = graph.claim("a", owner="w")
    assert claimed is not None
    assert claimed.claim is not None
    for move in (graph.start, graph.complete, graph.fail, graph.suspend, graph.archive):
        with pytest.raises(LeaseHeld, match="it is claimed by w"):
            move("a")
    worker = graph.acting(actor="w", token=claimed.claim.token)
    (started,) = worker.start("a")
    assert started.claim == claimed.claim
    (done,) = worker.complete("a", reason="it works")
    assert done.claim is None
    assert graph.ready() == []
    with pytest.raises(LeaseHeld, match="from before"):
        worker.archive("a")
    graph.archive("a")


def test_tokens_grow_for_ever_and_an_old_one_is_refused(graph: IntentGraph, world: World) -> None:
    given(graph, "a")
    tokens = []
    for number in range(5):
        claimed = graph.claim("a", owner=f"w{number % 2}", lease_s=60)
        assert claimed is not None
        assert claimed.claim is not None
        tokens.append(claimed.claim.token)
        if number % 2:
            graph.release("a", owner="w1", reason="not for me")
        else:
            world.passes(61)
    assert tokens == sorted(set(tokens))
    world.passes(-30)
    for token in tokens[:-1]:
        with pytest.raises(LeaseHeld, match=f"token {token} is from before"):
            graph.acting(actor="w0", token=token).complete("a")
        with pytest.raises(LeaseHeld):
            graph.renew("a", owner="w0", token=token)
        with pytest.raises(LeaseHeld):
            graph.release("a", owner="w0", token=token)
    assert graph.intent("a").status is IntentStatus.ACTIVE


def test_a_late_holder_is_refused_even_if_nobody_took_over(graph: IntentGraph, world: World) -> None:
    given(graph, "a")
    claimed = graph.claim("a", owner="w", lease_s=60)
    assert claimed is not None
    assert claimed.claim is not None
    worker = graph.acting(actor="w", token=claimed.claim.token)
    worker.start("a")
    world.passes(61)
    for late in (worker, graph.acting(actor="w")):
        with pytest.raises(LeaseHeld, match="the lease of w has ended"):
            late.complete("a")
        with pytest.raises(LeaseHeld, match="the lease of w has ended"):
            late.renew("a")
    again = graph.claim("a", owner="w")
    assert again is not None
    assert again.claim is not None
    assert again.status is IntentStatus.ACTIVE
    graph.acting(actor="w", token=again.claim.token).complete("a")


def test_what_a_dead_holder_was_executing_is_claimed_by_the_next_with_the_reason(
    graph: IntentGraph, world: World
) -> None:
    given(graph, "a", "b")
    graph.claim("a", owner="dead", lease_s=60)
    graph.acting(actor="dead").start("a")
    found = graph.claim(owner="w")
    assert found is not None
    assert found.id == "b"
    assert graph.claim(owner="w") is None
    world.passes(61)
    taken = graph.claim(owner="w")
    assert taken is not None
    assert (taken.id, taken.status) == ("a", IntentStatus.ACTIVE)
    assert graph.history("a")[-1].reason == "the lease of dead ended; claimed by w"


def test_a_renewal_moves_the_end_and_costs_no_history(graph: IntentGraph, world: World) -> None:
    given(graph, "a")
    claimed = graph.claim("a", owner="w", lease_s=60)
    assert claimed is not None
    before = graph.revision
    for _ in range(5):
        world.passes(50)
        renewed = graph.renew("a", owner="w", lease_s=60)
        assert renewed.claim is not None
        assert renewed.claim.until == world.wall + timedelta(seconds=60)
        assert graph.claim(owner="other") is None
    assert graph.revision == (before if graph.leases.aside else before + 5)
    world.passes(61)
    assert graph.claim(owner="other") is not None


def test_a_released_intent_is_ready_again_and_active_where_it_was_executing(graph: IntentGraph) -> None:
    given(graph, "a")
    graph.claim("a", owner="w")
    graph.acting(actor="w").start("a")
    with pytest.raises(LeaseHeld):
        graph.release("a", owner="other")
    freed = graph.release("a", owner="w", reason="out of disk")
    assert (freed.status, freed.claim) == (IntentStatus.ACTIVE, None)
    assert graph.ready() == [freed]
    assert graph.history("a")[-1].reason == "out of disk"
    with pytest.raises(LeaseHeld, match="nobody has claimed it"):
        graph.release("a", owner="w")
    with pytest.raises(LeaseHeld, match="nobody has claimed it"):
        graph.renew("a", owner="w")


# --- clocks ---


def test_no_step_of_the_wall_clock_frees_or_prolongs_a_lease(graph: IntentGraph, world: World) -> None:
    if not graph.leases.aside:
        pytest.skip("without a place aside, the wall clock is all there is")
    given(graph, "a")
    graph.claim("a", owner="w", lease_s=60)
    world.wall += timedelta(days=3)
    assert graph.claim(owner="other") is None
    graph.acting(actor="w").start("a")
    world.wall -= timedelta(days=6)
    world.since += 61
    assert [intent.id for intent in graph.recover("nobody in particular")] == ["a"]


class Shared(Plain):
    """A storage that keeps time for all, and things aside."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.hour = NOON

    def now(self) -> datetime:
        return self.hour

    def keep(self, *given: Any, **named: Any) -> None:
        self._inner.keep(*given, **named)  # type: ignore[attr-defined]  # a storage

    def kept(self, *given: Any) -> Any:
        return self._inner.kept(*given)  # type: ignore[attr-defined]  # a storage


def test_where_the_storage_keeps_time_its_clock_alone_decides() -> None:
    with open_graph("memory:") as whole:
        shared: Any = Shared(whole.storage)
        graphs = [IntentGraph(shared, actor=f"w{n}", clock=lambda n=n: NOON + timedelta(days=n)) for n in range(3)]  # type: ignore[misc]
        given(graphs[0], "a")
        claimed = graphs[0].claim("a", lease_s=60)
        assert claimed is not None
        assert graphs[2].claim() is None
        shared.hour += timedelta(seconds=50)
        graphs[0].renew("a", lease_s=60)
        shared.hour += timedelta(seconds=50)
        assert graphs[1].claim() is None
        shared.hour += timedelta(seconds=11)
        with pytest.raises(LeaseHeld, match="has ended"):
            graphs[0].complete("a")
        assert graphs[1].claim() is not None


def test_after_a_new_start_of_the_machine_the_wall_clock_decides(graph: IntentGraph, world: World) -> None:
    given(graph, "a")
    graph.claim("a", owner="w", lease_s=60)
    world.boot, world.since = "second", 3.0
    assert graph.claim(owner="other") is None
    world.passes(61)
    assert graph.claim(owner="other") is not None


def test_a_lease_that_was_not_kept_lasts_until_what_the_claim_says(graph: IntentGraph, world: World) -> None:
    if not graph.leases.aside:
        pytest.skip("nothing is kept aside here")
    given(graph, "a")
    graph.claim("a", owner="w", lease_s=60)
    graph.storage.keep(SPACE, {"a": None})  # type: ignore[attr-defined]  # as if the claimer died in between
    assert graph.claim(owner="other") is None
    world.passes(61)
    assert graph.claim(owner="other") is not None


def test_leases_that_have_served_are_forgotten(graph: IntentGraph, world: World) -> None:
    if not graph.leases.aside:
        pytest.skip("nothing is kept aside here")
    given(graph, "a", "b", "c")
    graph.claim("a", owner="w")
    graph.claim("b", owner="w")
    graph.claim("c", owner="w", lease_s=60)
    graph.acting(actor="w").complete("a")
    graph.release("b", owner="w")
    assert set(graph.leases.of(None)) == {"c"}
    graph.delete("c")  # who deletes forgets no lease; whoever looks for lapsed ones tidies
    world.passes(61)
    graph.claim(owner="w")
    assert set(graph.leases.of(None)) == {"b"}


# --- recovery ---


def test_recovery_gives_back_what_the_owner_held_and_what_anybody_let_run_out(graph: IntentGraph, world: World) -> None:
    given(graph, "mine", "also", "live", "late", "loose")
    graph.claim("mine", owner="me")
    graph.acting(actor="me").start("mine")
    graph.claim("also", owner="me")
    graph.claim("late", owner="gone", lease_s=60)
    world.passes(61)
    graph.claim("live", owner="other")
    graph.start("loose")
    back = graph.recover("me")
    assert {intent.id for intent in back} == {"mine", "also", "late"}
    assert all(intent.status is IntentStatus.ACTIVE and intent.claim is None for intent in back)
    assert graph.history("mine")[-1].reason == "requeued: me, who held it, starts anew"
    assert graph.history("late")[-1].reason == "requeued: the lease of gone ended"
    assert graph.recover("me") == []
    assert [intent.id for intent in graph.recover("me", unclaimed=True)] == ["loose"]
    assert graph.intent("live").claim is not None


def test_recovery_leaves_alone_what_was_claimed_since_it_looked(
    graph: IntentGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(graph, "a", "b")
    graph.claim("a", owner="me")
    graph.claim("b", owner="me")
    apply, done = graph.storage.apply, list[bool]()

    def between(*given: object, **named: object) -> object:
        if not done:  # somebody else recovers "a", and a new worker of that name claims it, before our commit
            done.append(True)
            graph.recover("me")
            graph.claim("a", owner="me")
        return apply(*given, **named)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(graph.storage, "apply", between)
    assert graph.recover("me") == []
    assert graph.intent("a").claim is not None
    reasons = [entry.reason for entry in graph.history("a")]
    assert reasons.count("requeued: me, who held it, starts anew") == 1


def test_recovery_leaves_alone_what_was_claimed_while_it_looked(
    graph: IntentGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(graph, "a", "b")
    graph.claim("a", owner="me")
    select, done = graph.storage.select, list[bool]()

    def claimed_meanwhile(*given: Any, **named: Any) -> Any:
        if not done:  # the new worker of that name is quicker than the look
            done.append(True)
            graph.claim("b", owner="me")
        return select(*given, **named)

    monkeypatch.setattr(graph.storage, "select", claimed_meanwhile)
    assert [intent.id for intent in graph.recover("me")] == ["a"]
    assert graph.intent("b").claim is not None


# --- on the command line ---


def _intent(*words: str) -> Any:
    import io
    import json
    from contextlib import redirect_stdout

    from intentstore.cli import main

    said = io.StringIO()
    with redirect_stdout(said):
        status = main([*words, "--json"])
    return json.loads(said.getvalue()) if status == 0 else status


def test_a_fleet_works_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:{tmp_path / 'goals.db'}"

    def intent(*words: str) -> Any:
        return _intent("--store", url, *words)

    intent("add", "First", "--id", "first", "--priority", "5")
    intent("add", "Second", "--id", "second", "--label", "gpu")
    claimed = intent("claim", "--owner", "w", "--lease", "60")["intent"]
    assert (claimed["id"], claimed["claim"]["owner"]) == ("first", "w")
    token = str(claimed["claim"]["token"])
    assert intent("claim", "first", "--owner", "other") == 4
    assert intent("done", "first") == 4
    assert intent("renew", "first", "--owner", "w", "--lease", "600")["intent"]["claim"]["token"] == int(token)
    assert intent("start", "first", "--token", token)["intents"][0]["status"] == "executing"
    assert intent("recover", "--owner", "w")["requeued"][0]["id"] == "first"
    assert intent("done", "first", "--token", token) == 4
    assert intent("claim", "--owner", "w", "--label", "gpu")["intent"]["id"] == "second"
    assert intent("release", "second", "--owner", "w")["intent"]["status"] == "active"
    assert "not_before" in intent("defer", "second", "--until", "2d")["intent"]["metadata"]
    assert [each["id"] for each in intent("ready")["intents"]] == ["first"]
    assert "metadata" not in intent("defer", "second")["intent"]
    assert intent("claim", "first", "--owner", "w")["intent"]["id"] == "first"
    assert intent("claim", "second", "--owner", "w")["intent"]["id"] == "second"
    assert intent("claim", "--owner", "w") == {"intent": None}
    assert intent("claim", "--owner", "w", "--lease", "0") == 5
    assert [each["id"] for each in intent("stale", "--days", "0")["intents"]] != []
    assert intent("sweep") == {"intents": []}
    capsys.readouterr()


def test_policies_are_shown_defined_and_dropped_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, file = f"sqlite:{tmp_path / 'goals.db'}", tmp_path / "urgent.json"
    file.write_text(
        '{"kind": "require", "needs": ["approver"], "when": {"acts": ["store"], "where": {"priority_min": 90}}}'
    )

    def intent(*words: str) -> Any:
        return _intent("--store", url, "--actor", "me", *words)

    assert intent("policies") == {"policies": {}} if (tmp_path / "goals.db").exists() else True
    shown = intent("policies", "urgent", "--set", str(file))
    assert shown["policies"]["urgent"]["kind"] == "require"
    assert intent("add", "Now", "--priority", "95") == 6
    assert intent("--approver", "boss", "add", "Now", "--priority", "95")["intent"]["priority"] == 95
    assert intent("policies", "--drop") == 2
    assert intent("policies", "urgent", "--drop", "--set", str(file)) == 2
    file.write_text('{"kind": "guess"}')
    assert intent("policies", "other", "--set", str(file)) == 5
    assert intent("policies", "urgent", "--drop") == {"policies": {}}
    assert intent("policies", "urgent", "--drop") == 3
    capsys.readouterr()
