"""Claims about the shelves that storages share, where the suite does not reach: damage, refusals, odd ends."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from itertools import count

import msgspec
import pytest

from intentstore import Batch, Commit, Edge, EdgeType, Intent, Link, Map, Note, Put, Unlink
from intentstore.ground.change import Head
from intentstore.ground.errors import Conflict, ReadOnly, Unavailable
from intentstore.storage.group import Lane, Ticket
from intentstore.storage.index import Index
from intentstore.storage.journal import ZERO, is_damage, read_frame, write_frame
from intentstore.storage.ledger import ChainCheck
from intentstore.storage.memory import MemoryStorage
from intentstore.testing.writing import at_once

AT = datetime(2026, 5, 1, tzinfo=UTC)


def batch(*changes: Put | Link | Note | Unlink, id: str | None = None, revision: int | None = None) -> Batch:
    return Batch(changes=changes, at=AT, id=id, revision=revision)


def log() -> list[Commit]:
    storage = MemoryStorage()
    storage.open()
    for name in ("a", "b"):
        storage.apply(batch(Put(intent=Intent(id=name, goal=name))))
    storage.apply(batch(Link(edge=Edge(source="a", type=EdgeType.BLOCKS, target="b"))))
    storage.apply(batch(Note(id="a", text="hm")))
    return list(storage.entries())


def problems(commits: list[Commit]) -> list[str]:
    check = ChainCheck()
    return [problem.what for commit in commits for problem in check.follow(commit)]


def test_a_log_as_it_was_written_chains() -> None:
    assert problems(log()) == []


def test_an_edited_commit_is_named() -> None:
    commits = log()
    commits[1] = msgspec.structs.replace(commits[1], reason="another")
    assert problems(commits) == ["its content does not match its hash"]


def test_a_missing_commit_is_named() -> None:
    commits = log()
    del commits[0]
    assert any("continues revision 1" in what for what in problems(commits))


def test_commits_out_of_order_are_named() -> None:
    commits = log()
    assert any("comes after revision 4" in what for what in problems([*commits, commits[2]]))


def test_a_revision_already_taken_is_refused() -> None:
    storage = MemoryStorage()
    storage.open()
    storage.apply(batch(Put(intent=Intent(id="a", goal="A")), revision=7))
    with pytest.raises(Conflict, match="not beyond 7"):
        storage.apply(batch(Note(id="a", text="late"), revision=7))


def test_a_state_that_is_not_what_the_log_gives_is_named() -> None:
    truth, state = Index(), Index()
    for name in ("a", "b"):
        truth.load_intent(name, b'{"goal":"%b"}' % name.encode(), Head(1, "00"))
    state.load_intent("a", b'{"goal":"changed"}', Head(1, "00"))
    state.load_edge(Edge(source="a", type=EdgeType.BLOCKS, target="gone"), Head(2, "11"))
    state.load_definition("policy", Map({"n": 1}), Head(3, "22"))
    state.load_definition("gone", None, Head(4, "33"))
    assert [(name, head.revision) for name, _, head in state.defined()] == [("policy", 3), ("gone", 4)]
    told = [problem.where for problem in state.differences(truth, {})]
    assert told == ["intent a", "intent b", "edges", "definitions", "chains", "edge a blocks gone"]


def test_a_memory_store_opened_read_only_refuses_writes() -> None:
    storage = MemoryStorage(read_only=True)
    storage.open()
    with pytest.raises(ReadOnly, match="read-only"):
        storage.apply(batch())


def test_what_breaks_a_group_breaks_each_ticket_that_has_no_result() -> None:
    done = Commit(revision=1, id="c", at=AT)

    def run(group: list[Ticket]) -> None:
        assert another in group
        another.commit = done
        raise KeyboardInterrupt

    lane: Lane[None] = Lane(run)
    led, followed, another = (Ticket(batch(), None) for _ in range(3))
    lane._waiting += [another, followed]
    with pytest.raises(KeyboardInterrupt):  # goes on to the leader
        lane.submit(led)
    assert another.result() is done  # what happened, happened
    with pytest.raises(Unavailable) as caught:
        followed.result()
    assert caught.value.outcome == "unknown"

    def fail(group: list[Ticket]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Lane[None](fail).submit(Ticket(batch(), None))


def test_the_lead_goes_to_the_first_who_waits_and_many_share_a_run() -> None:
    sizes: list[int] = []

    def run(group: list[Ticket]) -> None:
        sizes.append(len(group))
        time.sleep(0.01)
        for ticket in group:
            ticket.commit = Commit(revision=1, id=str(ticket.batch.id), at=AT)

    lane: Lane[None] = Lane(run)

    def work(at: int) -> list[str]:
        return [lane.submit(Ticket(batch(id=f"{at}-{n}"), None)).id for n in range(5)]

    assert at_once(work, 8) == [[f"{at}-{n}" for n in range(5)] for at in range(8)]
    assert sum(sizes) == 40
    assert len(sizes) <= 14


def test_groups_abreast_run_at_once_and_lose_nobody() -> None:
    both = threading.Barrier(2, timeout=10)
    turns = count()
    met: list[int] = []

    def run(group: list[Ticket]) -> None:
        if next(turns) < 2:
            met.append(both.wait())
        for ticket in group:
            ticket.commit = Commit(revision=1, id=str(ticket.batch.id), at=AT)

    lane: Lane[None] = Lane(run, abreast=2, largest=3)

    def work(at: int) -> list[str]:
        return [lane.submit(Ticket(batch(id=f"{at}-{n}"), None)).id for n in range(30)]

    assert at_once(work, 6) == [[f"{at}-{n}" for n in range(30)] for at in range(6)]
    assert sorted(met) == [0, 1]


def test_one_who_is_interrupted_while_waiting_keeps_nobody_waiting() -> None:
    inside, on = threading.Event(), threading.Event()

    def run(group: list[Ticket]) -> None:
        inside.set()
        assert on.wait(10)
        for ticket in group:
            ticket.commit = Commit(revision=1, id="c", at=AT)

    class Interrupted:
        """A turn that is interrupted, before or after it was handed the lead."""

        def __init__(self, ticket: Ticket, *, late: bool) -> None:
            self.ticket, self.late = ticket, late

        def acquire(self) -> None:
            while self.late and not self.ticket.leads:
                time.sleep(0.001)
            raise KeyboardInterrupt

        def release(self) -> None:
            pass

    lane: Lane[None] = Lane(run)
    first = threading.Thread(target=lane.submit, args=(Ticket(batch(), None),))
    first.start()
    assert inside.wait(10)
    early, late, last = (Ticket(batch(), None) for _ in range(3))
    early.turn = Interrupted(early, late=False)  # type: ignore[assignment]  # stands in for a lock
    late.turn = Interrupted(late, late=True)  # type: ignore[assignment]  # as above
    with pytest.raises(KeyboardInterrupt):
        lane.submit(early)
    errors: list[BaseException] = []

    def interrupted() -> None:
        try:
            lane.submit(late)
        except KeyboardInterrupt as error:
            errors.append(error)

    second = threading.Thread(target=interrupted)
    second.start()
    third = threading.Thread(target=lane.submit, args=(last,))
    while not lane._waiting:
        time.sleep(0.001)
    third.start()
    on.set()
    for thread in (first, second, third):
        thread.join(10)
    assert [type(error) for error in errors] == [KeyboardInterrupt]
    assert last.result().id == "c"
    assert lane._leaders == 0


def test_one_who_is_interrupted_while_his_group_runs_leaves_it_alone() -> None:
    lane: Lane[None] = Lane(lambda _: None)
    ticket = Ticket(batch(), None)
    lane._leaders = 1  # another leads, and has taken this one along
    ticket.leads = True
    lane._abandon(ticket)
    assert lane._leaders == 1


def test_a_leader_interrupted_before_it_began_leaves_the_lead_to_others() -> None:
    def run(group: list[Ticket]) -> None:
        for ticket in group:
            ticket.commit = Commit(revision=1, id="c", at=AT)

    class Shut:
        def __enter__(self) -> None:
            raise KeyboardInterrupt

        def __exit__(self, *_: object) -> None:
            raise AssertionError

    lane: Lane[None] = Lane(run)
    open_lane, lane._lane = lane._lane, Shut()  # an interrupt on the way in
    with pytest.raises(KeyboardInterrupt):
        lane.submit(Ticket(batch(), None))
    lane._lane = open_lane
    assert lane.submit(Ticket(batch(), None)).id == "c"


def test_a_frame_comes_back_and_any_change_of_it_does_not() -> None:
    line, digest = write_frame(b'{"revision":1}', revision=1, group=1, prev=ZERO)
    frame = read_frame(line[:-1])
    assert frame is not None
    assert frame.sum == digest
    for at in range(len(line) - 1):
        flipped = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 : -1]
        assert read_frame(flipped) is None
    for cut in range(len(line) - 1):
        assert read_frame(line[:cut]) is None


def test_only_a_later_sync_group_tells_damage_from_a_torn_tail() -> None:
    same, _ = write_frame(b"{}", revision=3, group=2, prev=ZERO)
    later, _ = write_frame(b"{}", revision=4, group=4, prev=ZERO)
    assert not is_damage(b"garbage\n" + same)
    assert is_damage(b"garbage\n" + later)
    assert is_damage(b"garbage\n" + same + later)
    for joint in (b"\x0b", b"7"):  # the newline before it is what was damaged
        assert is_damage(same[:-1] + joint + later)
