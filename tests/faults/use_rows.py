"""Rows about use: compare-and-set under kills, a first start of many, hostile values, bombs, permissions; figures."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from intentstore import Intent, IntentFilter, open_graph
from intentstore.codec import intent_from, strict_loads
from intentstore.ground.change import Batch, Put
from intentstore.ground.errors import (
    CycleRefused,
    IntentStoreError,
    Invalid,
    Missing,
    StaleRevision,
    TooNew,
    Unavailable,
)
from intentstore.testing import an_intent, put
from intentstore.testing.faults import Finding, opened, scratch
from intentstore.testing.faults.processes import Child
from intentstore.testing.samples import HOSTILE, NOON

from .rows import Run, row
from .subjects import URLS

# --- 15: compare-and-set ---


@row("registers")
def registers(run: Run) -> list[Finding]:
    """Four clients count up intents by compare-and-set and are killed: each step is taken by one of them only."""
    finding = run.finding(15, "compare-and-set from 4 clients with kills, linearizable", unit="writes")
    begun = time.monotonic()
    luck = Random(f"registers {run.seed}")
    with tempfile.TemporaryDirectory(prefix="is-registers-") as name:
        home = Path(name)
        with opened(run.subject, home) as storage:
            for key in range(3):
                put(storage, an_intent(f"r{key}", "0"), id=f"r{key}")

        def client(number: int, seed: str) -> Child:
            def act(say: Any) -> None:
                mine = Random(seed)
                storage = run.subject.make(home)
                storage.open()
                for n in range(1_000_000):
                    id = f"r{mine.randrange(3)}"
                    (seen,) = storage.fetch([id])
                    assert seen is not None
                    say(f"ask {id} {seen.goal} {number}.{n}")
                    change = Put(intent=seen.replace(goal=str(int(seen.goal) + 1)), expected=seen.revision)
                    try:
                        storage.apply(Batch(changes=(change,), at=NOON, id=f"{seed}-{n}"))
                        say(f"won {id} {seen.goal}")
                    except StaleRevision:
                        say(f"stale {id} {seen.goal}")

            return Child(act, home / f"said-{seed}")

        children = [client(n, f"k{n}") for n in range(4)]
        everyone = list(children)
        for kill in range(run.choose(6, 60)):
            time.sleep(luck.uniform(0.03, 0.12))
            at = luck.randrange(4)
            children[at].signal(9)
            children[at].wait()
            children[at] = client(at, f"k{at}x{kill}")
            everyone.append(children[at])
        for child in children:
            child.signal(9)
            child.wait()
        _judge_registers(run, home, finding, [child.words() for child in everyone])
    finding.seconds = time.monotonic() - begun
    return [finding]


def _judge_registers(run: Run, home: Path, finding: Finding, said: list[list[str]]) -> None:
    """Each step from n to n + 1 of a register may be won once; unknown ones (asked, then killed) may fill the gaps."""
    won: dict[tuple[str, int], int] = defaultdict(int)
    unknown: dict[tuple[str, int], int] = defaultdict(int)
    for words in said:
        for number, word in enumerate(words):
            kind, *rest = word.split(" ")
            if kind == "!":
                finding.fault(word)
            elif kind == "ask":
                answered = number + 1 < len(words)
                unknown[rest[0], int(rest[1])] += not answered
            else:
                won[rest[0], int(rest[1])] += kind == "won"
    finding.tried = sum(won.values())
    finding.count("acknowledged", sum(won.values()))
    with opened(run.subject, home) as storage:
        for id in ("r0", "r1", "r2"):
            (register,) = storage.fetch([id])
            assert register is not None
            for step in range(int(register.goal)):
                if won[id, step] > 1:
                    finding.fault(f"{id}: the step from {step} was won {won[id, step]} times")
                if not won[id, step] and not unknown[id, step]:
                    finding.fault(f"{id}: nobody asked for the step from {step}")
            beyond = [
                step for (each, step), count in won.items() if each == id and count and step >= int(register.goal)
            ]
            if beyond:
                finding.count("lost")
                finding.fault(f"{id} stands at {register.goal}, but the step from {max(beyond)} was acknowledged")


# --- 18: many at once on an empty place ---


@row("start")
def start(run: Run) -> list[Finding]:
    """Eight processes open a place that is empty: one makes the store, all of them write."""
    finding = run.finding(18, "8 processes start on an empty place", unit="starts")
    begun = time.monotonic()
    for trial in range(run.choose(5, 60)):
        with tempfile.TemporaryDirectory(prefix="is-start-") as name:
            home, go = Path(name), time.monotonic() + 0.05

            def act(say: Any, home: Path = home, go: float = go) -> None:
                while time.monotonic() < go:
                    pass
                with open_graph(URLS[run.subject.name].format(home)) as graph:
                    graph.store(Intent(id=f"i{os.getpid()}", goal="Be there"))
                say("done")

            children = [Child(act, home / f"said-{n}") for n in range(8)]
            ended = [child.wait() for child in children]
            finding.tried += 1
            if any(ended):
                finding.fault(
                    f"start {trial}: {[child.words()[-1:] for child in children if child.words() != ['done']]}"
                )
            with opened(run.subject, home) as storage:
                if storage.revision != 8 or list(storage.verify()):
                    finding.fault(f"start {trial}: {storage.revision} of 8 writes are there")
    finding.seconds = time.monotonic() - begun
    return [finding]


# --- 20, 25, 26: hostile values, questions, graphs ---

_RAW = (
    b'{"goal": NaN}', b'{"goal": "x", "priority": 1e999}', b'{"goal": "x", "priority": true}', b'{"goal": "\\ud800"}',
    b'{"goal": "a\\u0000b"}', b'\xef\xbb\xbf{"goal": "x"}', b'{"goal": "x", "goal": "y"}', b'{"goal": "\xff"}',
    b'{"goal": "x", "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"goal": "x", "priority": ' + b"9" * 5000 + b"}", b'{"goal": "x", "priority": 9223372036854775808}',
    b'{"goal": "x", "metadata": {"a": -Infinity}}', b'{"goal": ""}', b'{"goal": "' + b"x" * 70_000 + b'"}', b"", b"[1]",
)  # fmt: skip


@row("hostile")
def hostile(run: Run) -> list[Finding]:
    """Values, questions and graphs made to break a store: refused in our own words, or kept as the data they are."""
    values = run.finding(20, "hostile values", unit="values")
    questions = run.finding(25, "hostile ids, labels, filter keys, sorts, searches", unit="questions")
    bombs = run.finding(26, "graph bombs", unit="bombs")
    begun = time.monotonic()
    with scratch() as place, open_graph(URLS[run.subject.name].format(place)) as graph, open_graph("memory:") as model:
        for raw in _RAW:
            values.tried += 1
            try:
                graph.store(intent_from(strict_loads(raw, "intent"), "intent"))
            except Invalid:
                pass
            except Exception as error:  # noqa: BLE001  every other answer is wrong
                values.fault(f"{raw[:40]!r}: {type(error).__name__}: {error}")
            else:
                values.fault(f"{raw[:40]!r} was stored")
        if graph.revision:
            values.fault("something was stored")
        _ask(graph, model, questions)
        _bomb(graph, bombs)
        for problem in graph.verify().problems:
            bombs.fault(f"{problem.where}: {problem.what}")
    values.seconds = questions.seconds = bombs.seconds = (time.monotonic() - begun) / 3
    return [values, questions, bombs]


def _ask(graph: Any, model: Any, finding: Finding) -> None:
    for each in (graph, model):
        for number, text in enumerate(HOSTILE):
            given: dict[str, Any] = {"labels": (text,), "name": text, "metadata": {"key": text}}
            each.store(Intent(id=f"h{number}", goal=text, created_at=NOON, updated_at=NOON, **given))
    fields = (
        "goal_contains",
        "name_contains",
        "text",
        "session_id",
        "triggered_by",
        "labels_any",
        "labels_all",
        "metadata",
    )
    for field in fields:
        for text in HOSTILE:
            value: Any = {"labels_any": (text,), "labels_all": (text,), "metadata": {text: text}}.get(field, text)
            answers = [_answer(each, {field: value}) for each in (graph, model)]
            finding.tried += 1
            if answers[0] != answers[1]:
                finding.fault(f"{field} {text!r}: {answers[0]} here, {answers[1]} in memory")
    for text in HOSTILE:
        for sort in (text, f"-{text}"):
            finding.tried += 1
            if "QueryInvalid" not in str(_answer(graph, {}, sort=sort)):
                finding.fault(f"sort {sort!r} was taken")


def _answer(graph: Any, where: dict[str, Any], **page: Any) -> Any:
    try:
        return sorted(intent.id for intent in graph.list(IntentFilter(**where), limit=1000, **page).intents)
    except IntentStoreError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  not ours
        return f"not ours: {type(error).__name__}: {error}"


def _bomb(graph: Any, finding: Finding) -> None:
    def tried(what: str, act: Any, *refusals: type[Exception]) -> None:
        finding.tried += 1
        try:
            act()
        except refusals:
            return
        except Exception as error:  # noqa: BLE001  not the answer that is due
            finding.fault(f"{what}: {type(error).__name__}: {error}")

    def chain() -> None:
        with graph.transaction() as tx:
            for n in range(3000):
                tx.store(Intent(id=f"chain{n}", goal="x"))
                if n:
                    tx.link(f"chain{n}", "depends_on", f"chain{n - 1}")

    def star() -> None:
        with graph.transaction() as tx:
            tx.store(Intent(id="star", goal="x"))
            for n in range(3000):
                tx.store(Intent(id=f"ray{n}", goal="x"))
                tx.link(f"ray{n}", "is_subgoal_of", "star")

    tried("a long chain", chain)
    tried("a star", star)
    tried("a cycle through it", lambda: graph.link("chain0", "depends_on", "chain2999"), CycleRefused)
    tried("an edge to itself", lambda: graph.link("star", "related_to", "star"), Invalid)
    tried("an edge to nowhere", lambda: graph.link("star", "blocks", "nowhere"), Missing)
    tried("all descendants", lambda: graph.descendants("star"))
    tried("a tree", graph.tree)
    tried("what is ready", graph.ready)
    tried("what is blocked", graph.blocked)
    tried("a limit of a billion", lambda: graph.list(limit=10**9), Invalid)


# --- 28, 30: formats and permissions ---


@row("places")
def places(run: Run) -> list[Finding]:
    """A newer store is refused untouched; files are for their owner alone, whatever the umask; links are refused."""
    newer = run.finding(28, "a newer store is refused without a change", unit="openings")
    closed = run.finding(30, "umask 000, a world-writable place, a symbolic link", unit="places")
    begun = time.monotonic()
    url = URLS[run.subject.name]
    with scratch() as place:
        with open_graph(url.format(place)) as graph:
            graph.store(Intent(goal="Be of another time"))
        _make_newer(run, place)
        before = {
            path: path.read_bytes() for path in place.rglob("*") if path.is_file() and not path.name.endswith("-shm")
        }
        some: tuple[dict[str, Any], ...] = ({}, {"read_only": True}, {"create": False})
        for options in some:
            newer.tried += 1
            try:
                open_graph(url.format(place), **options).close()
            except TooNew:
                pass
            except Exception as error:  # noqa: BLE001  not the answer that is due
                newer.fault(f"{options}: {type(error).__name__}: {error}")
            else:
                newer.fault(f"{options}: it was opened")
        if any(path.read_bytes() != data for path, data in before.items()):
            newer.fault("it was changed")
    _permissions(url, closed)
    newer.seconds = closed.seconds = (time.monotonic() - begun) / 2
    return [newer, closed]


def _make_newer(run: Run, place: Path) -> None:
    if run.subject.name == "file":
        marker = place / "store" / "format.json"
        marker.write_bytes(msgspec.json.encode({**msgspec.json.decode(marker.read_bytes()), "intentstore": 99}))
        return
    import apsw

    connection = apsw.Connection(str(place / "goals.db"))
    connection.pragma("user_version", 99)
    connection.close()


def _permissions(url: str, finding: Finding) -> None:
    with scratch() as place:
        before = os.umask(0)
        try:
            with open_graph(url.format(place)) as graph:
                graph.store(Intent(goal="Be private"))
                if hasattr(graph, "compact"):
                    graph.compact()
                graph.backup(place / "a.backup")
                for path in place.rglob("*"):
                    finding.tried += 1
                    if stat.S_IMODE(path.stat().st_mode) & 0o077:
                        finding.fault(f"{path.name} has mode {stat.S_IMODE(path.stat().st_mode):o}")
        finally:
            os.umask(before)
    with scratch() as place:
        (place / "elsewhere").mkdir()
        target = place / url.format("x").rpartition("/")[2]
        target.symlink_to(place / "elsewhere")
        finding.tried += 1
        with contextlib.suppress(Unavailable):
            open_graph(url.format(place)).close()
            finding.fault("a symbolic link was followed")
        if any((place / "elsewhere").iterdir()):
            finding.fault("something was written through a symbolic link")


# --- figures ---


@row("figures")
def figures(run: Run) -> list[Finding]:
    """How long a recovery takes, and what durability costs: figures, not verdicts."""
    count = run.choose(2000, 100_000)
    recovery = run.finding(31, "a killed writer's store opened again", unit="records")
    cost = run.finding(32, "the cost of durability: µs a store, full and relaxed", unit="writes")
    url = URLS[run.subject.name]
    with tempfile.TemporaryDirectory(prefix="is-figures-") as name:
        home = Path(name)

        def act(say: Any) -> None:
            graph = open_graph(url.format(home), durability="relaxed")
            for n in range(0, count, 100):
                with graph.transaction() as tx:
                    for k in range(100):
                        tx.store(Intent(id=f"i{n + k}", goal="Be recovered " + "x" * 400))
            os.kill(os.getpid(), 9)

        Child(act, home / "said").wait()
        begun = time.monotonic()
        with open_graph(url.format(home)) as graph:
            took = time.monotonic() - begun
            if sum(graph.count().values()) != count:
                recovery.fault(f"{sum(graph.count().values())} of {count} are there")
        recovery.tried, recovery.seconds = count, took
        recovery.count("ms", round(took * 1000))
        recovery.count("ms per 100k", round(took * 1000 * 100_000 / count))
        writes = run.choose(50, 1000)
        for durability in ("full", "relaxed"):
            with open_graph(url.format(home / durability), durability=durability) as graph:
                graph.store(Intent(goal="Warm up"))
                begun = time.monotonic()
                for _ in range(writes):
                    graph.store(Intent(goal="Cost what it must " + "x" * 900))
                cost.count(f"µs {durability}", round((time.monotonic() - begun) * 1e6 / writes))
                cost.tried += writes
    return [recovery, cost]
