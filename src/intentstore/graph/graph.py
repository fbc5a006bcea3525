"""The public face: every verb of an intent graph, each a few lines over a storage and the modules beside this one.

Owns the clock, the actor and the ids; keeps no state of the graph itself. Safe to share between threads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from ..ground.change import Change, Commit, Define, Entry, Note
from ..ground.errors import CommitMissing, FieldInvalid, IntentMissing, IntentStoreError, Unsupported
from ..ground.identity import utc_now, uuid7
from ..ground.protocol import Degraded, FallsBack, FindsBelow, IntentStorage, ListsGraphs, Problem, Replay
from ..ground.query import EVERYTHING, Direction, Found, Hit, IntentFilter, Page, Sort, Walk
from ..ground.search import parse
from ..ground.types import OPEN, Edge, Intent, IntentId, IntentStatus, Revision, check_id, check_name
from ..ground.values import Map
from . import ready as readiness
from .claims import Acting, Leases
from .transaction import Transaction, put_in
from .traverse import DOWNWARD, UPWARD, below, every_edge, path, reachable, resolved

if TYPE_CHECKING:
    from . import (
        context,
        infer,
        meaning,
        merge,
        model,
        needs,
        recall,
        relations,
        summary,
        timeline,
        transfer,  # gzip and digests: imported by the verbs that carry a log, not by every start
    )
    from .committing import Writer
    from .doctor import Health
    from .guards import PythonGuard
    from .policy import Policy
    from .seal import Seal
    from .subscription import Subscription
    from .watch import Watch

_ANY = Walk()
_PAGE = 10_000


class Report(msgspec.Struct, frozen=True):
    """What `IntentGraph.verify` found: ``ok`` when nothing is wrong."""

    ok: bool
    problems: tuple[Problem, ...] = ()


class Branch(msgspec.Struct, frozen=True):
    """An intent with its subgoals below it. An intent with several parents stands below each, unfolded once."""

    intent: Intent
    children: tuple[Branch, ...] = ()


class IntentGraph:
    """Goals, how they relate and how far they have come, kept in a storage.

    >>> from intentstore import open_graph, Intent
    >>> with open_graph("memory:", actor="planner") as graph:
    ...     ship = graph.store(Intent(goal="Ship 1.0"))
    ...     test = graph.store(Intent(goal="Pass the suite", priority=8))
    ...     edge = graph.link(test.id, "is_subgoal_of", ship.id)
    ...     [intent.goal for intent in graph.ready()]
    ['Pass the suite']
    """

    def __init__(
        self,
        storage: IntentStorage,
        *,
        graph: str = "default",
        actor: str | None = None,
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = uuid7,
    ) -> None:
        self.storage, self.name = storage, graph
        self.actor = None if actor is None else check_name(actor, "actor")
        self.who = Acting(actor=self.actor)
        self.clock, self.new_id = clock, new_id
        self.leases = Leases(storage, clock)
        self._writers: list[Writer] = []
        self._meant: dict[tuple[str, str], meaning.Meanings] = {}
        self._inference: infer.Inference | None = None
        self._recall: recall.Recall | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the storage. Closing twice is harmless."""
        for writer in self._writers:
            writer.guards.close()
            if writer.wrote:
                from .seal import seal_at_close

                writer.wrote = False
                with suppress(IntentStoreError):  # the history is safe without
                    seal_at_close(self.storage)
        self.storage.close()

    @property
    def _writer(self) -> Writer:
        if not self._writers:
            from .committing import Writer  # for whoever only reads, it is never loaded

            self._writers.append(Writer(self.storage, self.clock, self.leases))
        return self._writers[0]

    def acting(self, *, actor: str | None = None, approver: str | None = None, token: int | None = None) -> IntentGraph:
        """Returns this graph for somebody: what is written through it has this actor, approver and claim's token.

        It is the same open graph with the same guards; what is not given stays as it is here.
        """
        given = {"actor": actor, "approver": approver}
        who = {field: check_name(name, field) for field, name in given.items() if name is not None}
        other = copy.copy(self)
        other.actor = who.get("actor", self.actor)
        other.who = msgspec.structs.replace(self.who, **who, token=self.who.token if token is None else token)
        return other

    # --- reading by id ---

    def get(self, id: IntentId) -> Intent | None:
        """Returns the intent, or None."""
        return self.storage.fetch((id,))[0]

    def intent(self, id: IntentId) -> Intent:
        """Returns the intent, or raises `IntentMissing`."""
        found = self.get(check_id(id, "id"))
        if found is None:
            raise IntentMissing(id)
        return found

    def fetch(self, ids: Sequence[IntentId]) -> list[Intent | None]:
        """Returns the intents in the order of the ids, None for each that is not there."""
        return self.storage.fetch(ids)

    def intents(self, ids: Iterable[IntentId]) -> list[Intent]:
        """Returns the intents in the order of the ids; one that is not there is `IntentMissing`."""
        wanted = list(ids)
        found = self.storage.fetch(wanted)
        for id, intent in zip(wanted, found, strict=True):
            if intent is None:
                raise IntentMissing(id)
        return [intent for intent in found if intent is not None]

    # --- writing ---

    def transaction(self, *, reason: str | None = None, commit_id: str | None = None) -> Transaction:
        """Returns a block whose changes become one commit; the same commit id again is the same commit."""
        return Transaction(
            partial(self._commit, reason=reason, commit_id=commit_id), now=self.clock, new_id=self.new_id
        )

    def apply(self, changes: Sequence[Change], *, reason: str | None = None, commit_id: str | None = None) -> Commit:
        """Applies changes as one commit, all or nothing."""
        return self._commit(tuple(changes), reason=reason, commit_id=commit_id)

    def _commit(self, changes: tuple[Change, ...], *, reason: str | None, commit_id: str | None = None) -> Commit:
        return self._writer.commit(changes, self.who, reason=reason, commit_id=commit_id, holder=self.who.holder)

    def store(self, intent: Intent, *, reason: str | None = None) -> Intent:
        """Stores a new intent and returns it with id, revision and times; a taken id is `AlreadyThere`."""
        with self.transaction(reason=reason) as tx:
            fresh = tx.store(intent)
        return put_in(_made(tx), fresh.id)

    def update(self, intent: Intent, *, reason: str | None = None) -> Intent:
        """Stores a new content if nobody changed the intent since it was read, else `StaleRevision`."""
        if intent.revision == 0:
            raise FieldInvalid("revision", "is missing", hint="update what get() returned, or store() a new intent")
        with self.transaction(reason=reason) as tx:
            tx.update(intent)
        return put_in(_made(tx), intent.id)

    def delete(self, *ids: IntentId, reason: str | None = None) -> Commit | None:
        """Deletes the intents and every edge at them in one commit; returns it, None when no id was given."""
        with self.transaction(reason=reason) as tx:
            tx.delete(*dict.fromkeys(ids))
        return tx.commit

    def note(self, id: IntentId, text: str) -> Entry:
        """Appends a remark to the intent's history; its content and revision stay as they are."""
        commit = self._commit((Note(id=id, text=text),), reason=None)
        return Entry(
            revision=commit.revision, commit=commit.id, at=commit.at, actor=commit.actor, change=commit.changes[0]
        )

    def define(self, name: str, value: Any, *, reason: str | None = None) -> None:
        """Gives the graph a definition (a policy, a rule) under a name; None takes it away."""
        with self.transaction(reason=reason) as tx:
            tx.define(name, value)

    def definitions(self, prefix: str = "") -> dict[str, Map]:
        """Returns the graph's definitions whose names begin with the prefix, in the order of names."""
        return self.storage.definitions(prefix)

    # --- edges ---

    def link(
        self,
        source: IntentId,
        type: str,
        target: IntentId,
        *,
        weight: float | None = None,
        metadata: Any = None,
        reason: str | None = None,
    ) -> Edge:
        """Stores an edge: *source* type *target*. A cycle, a missing end and a second such edge are refused."""
        with self.transaction(reason=reason) as tx:
            edge = tx.link(source, type, target, weight=weight, metadata=metadata)
        return edge.replace(revision=_made(tx).revision)

    def unlink(self, source: IntentId, type: str, target: IntentId, *, reason: str | None = None) -> None:
        """Deletes an edge; `EdgeMissing` if there is none."""
        with self.transaction(reason=reason) as tx:
            tx.unlink(source, type, target)

    def edges(
        self, id: IntentId, *, types: Iterable[str] = (), direction: str | Direction = Direction.BOTH
    ) -> list[Edge]:
        """Returns the edges at an intent, symmetric ones from either end."""
        self.intent(id)
        return self.storage.neighbours([id], Walk(types=frozenset(types), direction=Direction(direction)))

    def edges_of(self, ids: Sequence[IntentId], walk: Walk = _ANY) -> list[Edge]:
        """Returns the edges at any of the ids, each once."""
        return self.storage.neighbours(ids, walk)

    def parents(self, id: IntentId) -> list[Intent]:
        """Returns the intents this one is a subgoal of."""
        return self._reach(id, UPWARD, 1)

    def children(self, id: IntentId) -> list[Intent]:
        """Returns the subgoals of this intent."""
        return self._reach(id, DOWNWARD, 1)

    def ancestors(self, id: IntentId, *, depth: int | None = None) -> list[Intent]:
        """Returns everything above: parents, their parents, …, nearest first."""
        return self._reach(id, UPWARD, depth)

    def descendants(self, id: IntentId, *, depth: int | None = None) -> list[Intent]:
        """Returns everything below: subgoals, their subgoals, …, nearest first."""
        self.intent(id)
        if isinstance(self.storage, FindsBelow):
            return self.storage.below(id, depth)
        return [intent for intent in self.storage.fetch(below(self.storage, id, depth)) if intent is not None]

    def _reach(self, id: IntentId, walk: Walk, depth: int | None) -> list[Intent]:
        self.intent(id)
        found = self.storage.fetch(reachable(self.storage, [id], walk, depth))
        return [intent for intent in found if intent is not None]

    def path(self, a: IntentId, b: IntentId, *, types: Iterable[str] = (), weighted: bool = False) -> list[Edge] | None:
        """Returns the edges of a shortest way between two intents, in either direction; None if there is none.

        ``weighted``: of the way whose weights add up to least; an edge without a weight weighs 1.
        """
        self.intents([a, b])
        if weighted:
            from .relations import lightest

            return lightest(self.storage, a, b, types)
        return path(self.storage, a, b, Walk(types=frozenset(types)))

    def common_ancestor(self, *ids: IntentId) -> Intent | None:
        """Returns the nearest intent that is each of these or stands above it; None when there is none."""
        from .relations import common_ancestor

        self.intents(ids)
        found = common_ancestor(self.storage, ids)
        return None if found is None else self.get(found)

    def impact(self, id: IntentId, *, limit: int = 10_000) -> Sequence[relations.Impact]:
        """Returns the unsettled intents that wait for this one, directly and not, nearest first, with the reasons."""
        from .relations import impact

        self.intent(id)
        return impact(self.storage, id, limit=Page(limit=limit).limit)

    def critical_path(self, id: IntentId | None = None, *, by: str | None = None) -> needs.CriticalPath:
        """Returns the chain of open work that takes longest until this intent, or until everything, is done.

        Each intent takes 1, or the number in its metadata under ``by``.
        """
        from .needs import Needs, critical_path, open_ids

        start = open_ids(self.storage) if id is None else [self.intent(id).id]
        return critical_path(Needs(self.storage, start), id, by=by)

    def cycles(self) -> Sequence[needs.Cycle]:
        """Returns the circles in which open intents wait for one another, each explained step by step.

        One relation alone never closes a circle; subgoals and dependencies together may.
        """
        from .needs import Needs, cycles, open_ids

        return cycles(Needs(self.storage, open_ids(self.storage)))

    def components(self, *, types: Iterable[str] = ()) -> Sequence[Sequence[IntentId]]:
        """Returns the groups of ids that edges of these types, or any, hold together: the largest first."""
        from .relations import components

        return components(self.storage, Walk(types=frozenset(types)).types)

    def conflicts(self) -> Sequence[relations.Clash]:
        """Returns the conflicts between intents that are both active or executing."""
        from .relations import conflicts

        return list(conflicts(self.storage))

    def infer(
        self,
        ids: Iterable[IntentId] | None = None,
        *,
        rules: Iterable[str] | None = None,
        least: float = 0.5,
        store: bool = False,
    ) -> Sequence[infer.Proposal]:
        """Returns edges that rules propose at these intents, or anywhere, surest first; stores them if asked to.

        ``least`` is the confidence below which nothing is proposed, ``rules`` names the rules that may (all, for None).
        No edge is proposed that is there, or that would close a cycle: asking again after storing proposes nothing.
        """
        from .infer import Inference, chosen

        if not 0 <= least <= 1:
            raise FieldInvalid("least", f"is {least}", hint="give a confidence, 0 to 1")
        asked = chosen(rules)
        if self._inference is None:
            self._inference = Inference(self.storage)
        wanted = None if ids is None else [intent.id for intent in self.intents(ids)]
        found = self._inference.propose(wanted, rules=asked, least=least)
        if store and found:
            with self.transaction(reason=f"inferred by {', '.join(sorted({each.rule for each in found}))}") as tx:
                for each in found:
                    edge = each.edge
                    tx.link(edge.source, edge.type, edge.target, weight=edge.weight, metadata=edge.metadata)
        return found

    def tree(self, id: IntentId | None = None, *, depth: int | None = None) -> list[Branch]:
        """Returns the intent with its subgoals below it, or every intent without a parent with its own."""
        from .tree import forest

        roots = [self.intent(id)] if id is not None else None
        return forest(self.storage, roots, depth, Branch)

    # --- questions ---

    def list(
        self,
        where: IntentFilter = EVERYTHING,
        *,
        sort: str | Sort = "created_at",
        limit: int = 50,
        after: str | None = None,
    ) -> Found:
        """Returns one page of the intents the filter means; ``next`` is the cursor of the page after it."""
        page = Page(sort=Sort.parse(sort), limit=limit, after=after)
        return self.storage.select(resolved(where, self.storage), page)

    def each(self, where: IntentFilter = EVERYTHING, *, sort: str | Sort = "id") -> Iterator[Intent]:
        """Yields every intent the filter means, page by page."""
        after: str | None = None
        while True:
            page = self.list(where, sort=sort, limit=_PAGE, after=after)
            yield from page.intents
            after = page.next
            if after is None:
                return

    def count(self, where: IntentFilter = EVERYTHING) -> dict[IntentStatus, int]:
        """Returns how many intents the filter means, by status; statuses with none are left out."""
        return self.storage.count(resolved(where, self.storage))

    def ready(self, *, limit: int = 20, leaves_only: bool = True, where: IntentFilter = EVERYTHING) -> Sequence[Intent]:
        """Returns the intents that can be worked on now, of those the filter means: by priority, then age."""
        return readiness.ready(
            self.storage,
            now=self.clock(),
            held=self.leases.live,
            limit=limit,
            leaves_only=leaves_only,
            where=resolved(where, self.storage),
        )

    def blocked(self) -> Sequence[readiness.Waiting]:
        """Returns the other active intents, each with the reasons why it waits."""
        return readiness.blocked(self.storage, now=self.clock(), held=self.leases.live)

    def stale(self, *, days: float = 14, limit: int = 50) -> Sequence[Intent]:
        """Returns the open intents that nobody has changed for so many days, the longest forgotten first."""
        if isinstance(days, bool) or not isinstance(days, int | float) or not 0 <= days <= 36_500:
            raise FieldInvalid("days", f"is {days!r}", hint="give a number of days, 0 or more")
        where = IntentFilter(status=OPEN, updated_before=self.clock() - timedelta(days=days))
        return list(self.list(where, sort="updated_at", limit=limit).intents)

    def search(
        self, text: str, *, limit: int = 20, any: bool = False, semantic: bool | model.Model = False
    ) -> Sequence[Hit]:
        """Returns the intents that the text means, best first: words, "phrases", beginnings*, -what not, field:words.

        All of them must be met; with ``any``, one. An unknown field is `QueryInvalid`. ``semantic`` finds what is close
        in meaning too, by the model that the extra brings or by a `Model` of your own; its vectors are kept aside.
        """
        limit = Page(limit=limit).limit
        if semantic:
            from .search import by_meaning

            return by_meaning(self.storage, self._meanings(None if semantic is True else semantic), text, limit)
        if not self.storage.capabilities.searches_text:
            raise Unsupported("this storage has no text search", hint="list with goal_contains instead")
        from .snippets import shown

        query = parse(text, any=any)
        found: list[Hit] = self.storage.search(query, limit)  # type: ignore[attr-defined]  # declared
        return [shown(hit, query) for hit in found]

    def context(
        self,
        *,
        focus: Iterable[IntentId] = (),
        query: str | None = None,
        budget_tokens: int = 8_000,
        format: str = "markdown",
        tokens: Callable[[str], int] | None = None,
        summarize: summary.Summarize | None = None,
        semantic: bool | model.Model = False,
    ) -> context.Context:
        """Returns the part of the graph that fits a budget: what is in focus, near it, like the query, lately at work.

        Each intent is in it in full, in brief or as a line, with the reasons; the text never has more than
        ``budget_tokens`` by ``tokens`` (a quarter of the characters, if not given) and is the same for the same graph.
        ``summarize`` puts what stands below a goal into words in place of the rule; they are kept aside.
        """
        from .context import context, matches
        from .summary import Summaries

        wanted = [intent.id for intent in self.intents(dict.fromkeys(focus))]
        by = self._meanings(None if semantic is True else semantic) if semantic and query else None
        return context(
            self.storage,
            focus=wanted,
            matched=matches(self.storage, query or "", by),
            budget_tokens=budget_tokens,
            format=format,
            tokens=tokens,
            summaries=Summaries(self.storage, summarize),
        )

    def summary(self, id: IntentId, *, summarize: summary.Summarize | None = None) -> str:
        """Returns in a few words what stands below a goal: counts, blockers, outcomes; nothing if nothing does."""
        from .summary import Summaries

        return Summaries(self.storage, summarize).of([self.intent(id)]).get(id, "")

    def _meanings(self, chosen: model.Model | None) -> meaning.Meanings:
        from .meaning import Meanings
        from .model import offline

        by = chosen or offline()
        return self._meant.setdefault((by.name, by.version), Meanings(self.storage, by))

    # --- lifecycle ---

    def start(self, *ids: IntentId, reason: str | None = None) -> Sequence[Intent]:
        """Moves the intents to executing, all or none."""
        return self._move(ids, IntentStatus.EXECUTING, reason)

    def complete(self, *ids: IntentId, reason: str | None = None) -> Sequence[Intent]:
        """Moves the intents to completed, all or none."""
        return self._move(ids, IntentStatus.COMPLETED, reason)

    def fail(self, *ids: IntentId, reason: str | None = None) -> Sequence[Intent]:
        """Moves the intents to failed, all or none."""
        return self._move(ids, IntentStatus.FAILED, reason)

    def suspend(self, *ids: IntentId, reason: str | None = None, until: datetime | None = None) -> Sequence[Intent]:
        """Moves the intents to suspended, all or none; with ``until``, `sweep` makes them active again after that."""
        from .work import moment

        when = None if until is None else moment(until, "until")
        return self._move(ids, IntentStatus.SUSPENDED, reason, until=when)

    def archive(self, *ids: IntentId, reason: str | None = None) -> Sequence[Intent]:
        """Moves the intents to archived, all or none."""
        return self._move(ids, IntentStatus.ARCHIVED, reason)

    def reopen(self, *ids: IntentId, reason: str | None = None) -> Sequence[Intent]:
        """Moves the intents back to active, all or none."""
        return self._move(ids, IntentStatus.ACTIVE, reason)

    def _move(
        self, ids: Sequence[IntentId], status: IntentStatus, reason: str | None, *, until: datetime | None = None
    ) -> Sequence[Intent]:
        from .work import moving

        return moving(self, list(dict.fromkeys(ids)), status, reason, until)

    def defer(self, id: IntentId, until: datetime | None, *, reason: str | None = None) -> Intent:
        """Keeps the intent from being ready before a moment; None lets it be ready again."""
        from . import work

        return self.update(work.deferred(self.intent(id), until), reason=reason)

    def sweep(self) -> Sequence[Intent]:
        """Does what the clock demands, and returns what it moved, each with the reason in its history.

        Wakes the suspended whose time has come, and moves what has stood longer than a `Timeout` policy allows.
        """
        from . import work

        return work.sweep(self)

    # --- claims ---

    def claim(
        self,
        id: IntentId | None = None,
        *,
        owner: str | None = None,
        lease_s: float = 300.0,
        where: IntentFilter = EVERYTHING,
    ) -> Intent | None:
        """Claims an intent, or the best ready one the filter means, for ``lease_s`` seconds; None when there is none.

        At most one owner has a live claim. Its ``claim.token`` grows with every claim of the intent: give it to
        `acting` to be refused where somebody else has taken over. ``owner`` None: the actor. An intent whose holder
        let it run out may be claimed again, also one it was executing, which is active again then.
        """
        from . import work

        return work.claim(self, id, owner=owner, lease_s=lease_s, where=resolved(where, self.storage))

    def renew(
        self, id: IntentId, *, owner: str | None = None, token: int | None = None, lease_s: float = 300.0
    ) -> Intent:
        """Moves the end of a live claim to ``lease_s`` seconds from now; costs no history where the storage can.

        Raises `LeaseHeld` when the claim has run out or is another's; without a token the owner's name decides.
        """
        token = self.who.token if token is None else token
        from . import work

        return work.renew(self, id, owner=owner, token=token, lease_s=lease_s)

    def release(
        self, id: IntentId, *, owner: str | None = None, token: int | None = None, reason: str | None = None
    ) -> Intent:
        """Gives a claimed intent back: it can be claimed again, and is active where it was executing."""
        token = self.who.token if token is None else token
        from . import work

        return work.release(self, id, owner=owner, token=token, reason=reason)

    def recover(self, owner: str, *, unclaimed: bool = False) -> Sequence[Intent]:
        """Gives back what this owner held before it died, and what any holder let run out; returns those.

        To be called when the owner starts, under a name nobody else uses. Each intent is given back once however
        many recover at the same time. ``unclaimed``: also what is executing and claimed by nobody.
        """
        from . import work

        return work.recover(self, owner, unclaimed=unclaimed)

    # --- governance ---

    def policies(self) -> dict[str, Policy]:
        """Returns the policies of the graph by name. They bind every opener, for the graph keeps them itself."""
        from .policies import PREFIX, Policies

        return Policies().read(self.storage.definitions(PREFIX)).rules

    def define_policy(self, name: str, rule: Policy | None, *, reason: str | None = None) -> None:
        """Gives the graph a policy, in place of any of that name; None takes it away."""
        from .policies import definition, written

        value = None if rule is None else written(rule)
        self._commit((Define(name=definition(name), value=value),), reason=reason)

    def guard(self, name: str, check: PythonGuard | None, *, deadline_s: float = 1.0) -> None:
        """Lets a function of this process judge every commit made through this graph; None takes it away.

        It sees a `Proposed` and returns why it refuses, or None. One that raises, or does not answer before its
        deadline, refuses.
        """
        if check is None:
            self._writer.guards.remove(name)
        else:
            self._writer.guards.add(name, check, deadline_s)

    # --- the log ---

    @property
    def revision(self) -> Revision:
        """The sequence number of the last commit; 0 when there is none."""
        return self.storage.revision

    def history(
        self, of: IntentId | recall.HistoryFilter, *, limit: int = 50, before: Revision | None = None
    ) -> Sequence[Entry]:
        """Returns every change of an intent and of the edges at it, oldest first; deleted intents have one too.

        For a `HistoryFilter`: the changes it means anywhere in the graph, latest first, ``limit`` of them, of commits
        ``before`` a revision. The first such question reads the log once; later ones follow it.
        """
        if isinstance(of, str):
            found = self.storage.trail(check_id(of, "id"))
            if not found:
                raise IntentMissing(of)
            return found
        from .recall import HistoryFilter, Recall

        if not isinstance(of, HistoryFilter):
            raise FieldInvalid("of", f"must be an id or a HistoryFilter, not {type(of).__name__}", hint="give one")
        if self._recall is None:
            self._recall = Recall(self.storage)
        return self._recall.find(of, limit=Page(limit=limit).limit, before=before)

    def outcomes(self, where: IntentFilter, *, limit: int = 1_000) -> recall.Outcomes:
        """Returns how goals the filter means have ended so far: how often each status was entered, and how many failed.

        Looks at ``limit`` of them, the latest first.
        """
        from .recall import outcomes

        return outcomes(self.storage, [i.id for i in self.list(where, sort="-created_at", limit=limit).intents])

    def entries(self, since: Revision = 0) -> Iterator[Commit]:
        """Yields the commits after ``since``, in order."""
        return self.storage.entries(since)

    def wait_for(self, revision: Revision, *, timeout_s: float = 30.0) -> None:
        """Returns when reads see the commit of this revision: at once, but where they come from a standby.

        So one reads one's own writes. Raises `Unavailable` when it has not arrived in time.
        """
        from .arrival import wait_for

        wait_for(self.storage, revision, timeout_s=timeout_s)

    def watch(
        self, since: Revision | None = None, *, timeout_s: float | None = None, patience_s: float = 60.0
    ) -> Watch:
        """Yields commits as they happen, of every process, in order: after ``since``, else from now on.

        It goes on for ever, or until none came for ``timeout_s``. None is missed: begun again after the revision of the
        last commit seen, it goes on there. A store that cannot be reached is tried again for ``patience_s``.
        """
        from .watch import Watch

        begin = self.storage.revision if since is None else since
        return Watch(self.storage, begin, timeout_s=timeout_s, patience_s=patience_s)

    def subscribe(
        self, name: str, since: Revision = 0, *, timeout_s: float | None = None, patience_s: float = 60.0
    ) -> Subscription:
        """Watches under a name: the next of that name goes on behind the last commit that was dealt with.

        Asking for the next commit says that the one before is dealt with. A new name begins after ``since``.
        """
        from .subscription import Subscription

        return Subscription(self.storage, name, since, timeout_s=timeout_s, patience_s=patience_s)

    def subscriptions(self) -> dict[str, Revision]:
        """Returns the revision up to which each subscription has dealt with everything, by name."""
        from .subscription import cursors

        return cursors(self.storage)

    def unsubscribe(self, name: str) -> None:
        """Forgets how far a subscription came; one that was never there is forgotten too."""
        from .subscription import forget

        forget(self.storage, name)

    def commit(self, id: str) -> Commit | None:
        """Returns the commit with this commit id, or None."""
        return self.storage.commit(check_name(id, "commit_id"))

    # --- time ---

    def at(self, when: Revision | datetime) -> IntentGraph:
        """Returns the graph as it was after a revision, or at a moment: every reading verb works on it.

        It is read while it is asked, from this graph's storage: keep this one open. A time after the last commit
        means the present; a revision that is not there yet is `RevisionMissing`.
        """
        from .log import as_revision
        from .past import Past

        past = Past(self.storage, as_revision(self.storage, when))
        moment = when if isinstance(when, datetime) else past.moment()
        return IntentGraph(past, graph=self.name, actor=self.actor, clock=lambda: moment or self.clock())

    def diff(self, a: Revision | datetime, b: Revision | datetime | None = None) -> Sequence[timeline.Difference]:
        """Returns what is otherwise at ``b`` (the present, if not given) than at ``a``; costs what changed between."""
        from .log import as_revision
        from .timeline import differences

        end = self.revision if b is None else as_revision(self.storage, b)
        return differences(self.storage, as_revision(self.storage, a), end)

    def undo(self, commit: str, *, reason: str | None = None) -> Commit:
        """Takes a commit back by a new one, which it returns; `Conflict` names the later commit that stands in the way.

        An undo is a commit as any other: undone in its turn, it brings back what it took away. Notes stay.
        """
        from .undo import Undoing

        wanted = self.commit(commit)
        if wanted is None:
            raise CommitMissing(commit)
        undoing = Undoing(self.storage, wanted, now=self.clock())
        reason = reason or f"undo commit {wanted.id}"
        changes, holder = tuple(undoing.changes()), self.who.holder
        return self._writer.commit(changes, self.who, reason=reason, holder=holder, extra=undoing.guard)

    def merge(self, other: IntentGraph, *, unrelated: bool = False, dry_run: bool = False) -> merge.Merged:
        """Makes this graph what it and another copy of it are together, in one commit; the other stays as it is.

        What both changed differently since they were the same is decided by rule and reported; nothing is lost from the
        history. Merging again changes nothing. Graphs that share no commit are `Conflict`, unless ``unrelated``.
        """
        from .merge import merge

        return merge(self, other.storage, other.name, unrelated=unrelated, dry_run=dry_run)

    def blame(self, id: IntentId) -> Sequence[timeline.Origin]:
        """Returns for each field of the intent, and each entry of its maps, the commit that set it."""
        from .timeline import origins

        return origins(self.storage, check_id(id, "id"))

    def timeline(self, id: IntentId) -> Sequence[timeline.Stage]:
        """Returns the statuses the intent went through, with their times and who moved it; of a deleted one too."""
        from .timeline import stages

        return stages(self.storage, check_id(id, "id"))

    # --- care ---

    def backup(
        self,
        path: str | Path,
        *,
        since: Seal | str | None = None,
        history: bool = True,
        progress: transfer.Progress | None = None,
    ) -> transfer.Receipt:
        """Writes the history to one file, proven by reading it back before it gets its name.

        ``since``: only what came behind a seal (or the file of one, or of an earlier backup). ``history=False``: the
        present state alone. Writers go on meanwhile; what they write is not in it.
        """
        from . import transfer

        sealed = transfer.read_seal(since) if isinstance(since, str) else since
        return transfer.backup(self.storage, Path(path), self.name, progress, since=sealed, history=history)

    def restore(
        self, path: str | Path, *, replace: bool = False, progress: transfer.Progress | None = None
    ) -> transfer.Receipt:
        """Fills this graph from a backup, proven whole before the first write.

        It must be empty, or hold a beginning of the same history. ``replace``: what it holds gives way in one step,
        old or new at every instant. A commit that breaks a policy in force at its place, or a guard of this graph, is
        `PolicyRefused`; so is a replacement without the policies that this graph has.
        """
        from . import transfer

        judge = self._writer.replaying()
        if replace and self.policies():
            from .governed import check_replacement

            check_replacement(Path(path), self.storage, judge)
        return transfer.restore(Path(path), self.storage, progress, judge, replace=replace)

    def copy(self, to: IntentGraph, *, progress: transfer.Progress | None = None) -> transfer.Receipt:
        """Brings another graph to this one's history; one that was begun before goes on where it stopped.

        A commit that breaks a policy in force at its place, or a guard of the other graph, is `PolicyRefused`.
        """
        from . import transfer

        judge = to._writer.replaying()
        return transfer.replay(self.storage.entries(), to.storage, progress, self.storage.revision, judge=judge)

    def receipt(self) -> transfer.Receipt:
        """Returns what a copy of this graph must have: counts, revision and seal."""
        from . import transfer

        tally = transfer.Tally()
        for commit in self.storage.entries():
            tally.add(commit)
        return tally.receipt()

    def seal(self) -> Seal:
        """Returns the seal of the whole history: kept elsewhere, it shows whether any of it was altered or cut off."""
        from . import seal

        return seal.seal_of(self.storage, self.name, now=self.clock())

    def prove(self, id: IntentId, *, revision: Revision | None = None) -> dict[str, Any]:
        """Returns the proof that the intent had this content at that revision, for whoever holds the seal."""
        from . import seal

        return seal.prove(self.storage, self.name, check_id(id, "id"), revision=revision)

    def verify(self, *, against: Seal | str | None = None) -> Report:
        """Checks log, chains and state against one another, and names everything that is wrong.

        The log must go on from the seal that the last closing kept, and from ``against``: a seal, its file, its digits.
        """
        from . import seal, transfer

        problems = list(self.storage.verify())
        given = transfer.read_seal(against) if isinstance(against, str) else against
        for sealed in (seal.seal_of_last_close(self.storage), given):
            if sealed is not None and not problems:
                problems += seal.against(self.storage.entries(), sealed)
        return Report(not problems, tuple(problems))

    def compact(self, *, keep: timedelta | None = None) -> dict[str, Any]:
        """Rewrites the store so that it is smaller or opens faster; history stays.

        ``keep``: what is older is folded: superseded changes go and only their hashes stay, so that the history, and
        every seal of it, still verifies. What an intent was before that is then not to be asked any more.
        """
        if keep is not None:
            from .folding import fold

            return fold(self.storage, self.clock() - keep)
        if not self.storage.capabilities.compacts:
            raise Unsupported("this storage has nothing to compact", hint="nothing needs to be done")
        return dict(self.storage.compact())  # type: ignore[attr-defined]  # declared

    def health(self) -> dict[str, Any]:
        """Returns how the store does: ``status`` ok or failed, ``durable``, ``read_only``, what it recovered."""
        facts = dict(self.storage.facts())
        return {"status": "failed" if facts.get("failed") else "degraded" if "degraded" in facts else "ok", **facts}

    @property
    def degraded(self) -> Degraded | None:
        """How the graph does while its store cannot be reached and a fallback goes on; None when all is well."""
        return self.storage.degraded if isinstance(self.storage, FallsBack) else None

    def replay(self) -> Replay:
        """Tries now to bring the store what waits in its fallback; tells what came, what waits and what was refused."""
        if not isinstance(self.storage, FallsBack):
            raise Unsupported("this graph has no fallback", hint='open it with fallback="file:DIR"')
        return self.storage.replay()

    def doctor(self) -> Health:
        """Looks at what the store stands on, and says what each thing means for the promise."""
        from .doctor import examine

        return examine(self.storage, now=self.clock)

    def stats(self) -> dict[str, Any]:
        """Returns the figures of the graph: intents by status, edges, revision, and the facts of its place."""
        by_status = self.count()
        edges = sum(1 for _ in every_edge(self.storage))
        return {
            "graph": self.name,
            "intents": sum(by_status.values()),
            "by_status": {str(status): number for status, number in by_status.items()},
            "edges": edges,
            "revision": self.revision,
            "store": dict(self.storage.facts()),
        }

    def graphs(self) -> Sequence[str]:
        """Returns the names of the graphs in the same store."""
        return self.storage.graphs() if isinstance(self.storage, ListsGraphs) else [self.name]


def _made(tx: Transaction) -> Commit:
    assert tx.commit is not None  # it recorded a change, and ended without an error
    return tx.commit
