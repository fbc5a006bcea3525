"""From an event loop to a lane and back: asyncio, and trio (so whatever runs on either through anyio).

The only module that knows an event loop. trio is imported only where a program already runs on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..ground.errors import Unsupported
from .lanes import Job, Lanes

T = TypeVar("T")
Work = Callable[[], T]


class Takes(Protocol):
    """Where a job is posted: `Lanes`, or whoever runs it in time."""

    def post(self, job: Job) -> None:
        """Has the job run, now or later, on another thread or this one."""
        ...


class Bridge(Protocol):
    """One event loop, as a graph sees it."""

    async def run(self, lanes: Takes, work: Work[T]) -> T:
        """Runs the work on a lane and returns its result or raises its error.

        Cancelled before the work began, it never begins; cancelled later, the work goes on to its end by itself.
        """
        ...

    async def checkpoint(self) -> None:
        """Gives every other task its turn."""
        ...

    async def end(self, lanes: Lanes, work: Work[None]) -> None:
        """Runs the last work, cancelled or not, and then lets go of what the loop was given."""
        ...


def bridge() -> Bridge:
    """Returns a bridge to the event loop that runs here; without one it is `Unsupported`."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return TrioBridge()
    try:
        return AsyncioBridge(asyncio.get_running_loop())
    except RuntimeError:
        raise Unsupported("no event loop runs here", hint="await it in a task of asyncio or trio") from None


class _AsyncioJob:
    __slots__ = ("_error", "_home", "_result", "_work", "last", "waiter")

    def __init__(self, work: Work[Any], waiter: asyncio.Future[Any], home: AsyncioBridge) -> None:
        self._work, self.waiter, self._home = work, waiter, home
        self.last = False
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        if self.waiter.cancelled() and not self.last:
            return
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001  whatever it is belongs to whoever waits
            self._error = error
        self._home.send(self)

    def land(self) -> None:
        if self.last:
            self._home.close()
        if self.waiter.done():  # cancelled meanwhile
            return
        if self._error is None:
            self.waiter.set_result(self._result)
        else:
            self.waiter.set_exception(self._error)


class AsyncioBridge:
    """Results come home through a pipe that the loop watches; one wake-up may bring many."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._landed: deque[_AsyncioJob] = deque()
        self._heard, self._told = os.pipe()
        for fd in (self._heard, self._told):
            os.set_blocking(fd, False)
        loop.add_reader(self._heard, self._land)

    async def run(self, lanes: Takes, work: Work[T]) -> T:
        job = self._job(work)
        lanes.post(job)
        result: T = await job.waiter
        return result

    async def end(self, lanes: Lanes, work: Work[None]) -> None:
        job = self._job(work)
        job.last = True
        lanes.post(job)
        await job.waiter

    def _job(self, work: Work[Any]) -> _AsyncioJob:
        if asyncio.get_running_loop() is not self._loop:
            raise _elsewhere()
        return _AsyncioJob(work, self._loop.create_future(), self)

    def send(self, job: _AsyncioJob) -> None:
        """Called on a lane: has the loop land the job."""
        self._landed.append(job)
        with contextlib.suppress(OSError):  # full: the loop is told already; closed: nobody waits
            os.write(self._told, b".")

    def _land(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._heard, 4096)
        while self._landed:
            self._landed.popleft().land()

    async def checkpoint(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        """Called when the last job lands: no lane is left that could send."""
        self._loop.remove_reader(self._heard)
        for fd in (self._heard, self._told):
            os.close(fd)


class _TrioJob:
    __slots__ = ("_home", "_outcome", "_task", "_work", "dropped", "last")

    def __init__(self, work: Work[Any], task: Any, home: TrioBridge) -> None:
        self._work, self._task, self._home = work, task, home
        self._outcome: Any = None
        self.dropped = self.last = False

    def run(self) -> None:
        if self.dropped and not self.last:
            return
        self._outcome = self._home.outcome.capture(self._work)
        self._home.send(self)

    def land(self) -> None:
        if not self.dropped:
            self._home.trio.lowlevel.reschedule(self._task, self._outcome)


class TrioBridge:
    """Results come home through trio's own door for other threads."""

    def __init__(self) -> None:
        import outcome
        import trio

        self.trio: Any = trio
        self.outcome: Any = outcome
        self._token = trio.lowlevel.current_trio_token()

    async def run(self, lanes: Takes, work: Work[T]) -> T:
        await self.trio.lowlevel.checkpoint_if_cancelled()
        result: T = await self._run(lanes, self._job(work))
        return result

    async def end(self, lanes: Lanes, work: Work[None]) -> None:
        job = self._job(work)
        job.last = True
        await self._run(lanes, job)

    def _job(self, work: Work[Any]) -> _TrioJob:
        if self.trio.lowlevel.current_trio_token() is not self._token:
            raise _elsewhere()
        return _TrioJob(work, self.trio.lowlevel.current_task(), self)

    async def _run(self, lanes: Takes, job: _TrioJob) -> Any:
        def abort(_: Any) -> Any:
            job.dropped = True
            return self.trio.lowlevel.Abort.SUCCEEDED

        lanes.post(job)
        return await self.trio.lowlevel.wait_task_rescheduled(abort)

    def send(self, job: _TrioJob) -> None:
        """Called on a lane: has trio land the job; when trio has ended, nobody waits."""
        with contextlib.suppress(self.trio.RunFinishedError):
            self._token.run_sync_soon(job.land)

    async def checkpoint(self) -> None:
        await self.trio.lowlevel.checkpoint()


def _elsewhere() -> Unsupported:
    return Unsupported("this graph was opened in another event loop", hint="open one in each loop")
