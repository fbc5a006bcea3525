"""From where to an `AsyncIntentGraph`: `open_graph`, on a lane."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial, wraps
from types import TracebackType
from typing import Any, ParamSpec

from ..graph.graph import IntentGraph
from ..opening import open_graph
from .bridge import bridge
from .graph import WRITERS, AsyncIntentGraph
from .lanes import Lanes

P = ParamSpec("P")


class Opening:
    """A graph about to be opened: await it, or enter it with ``async with``, which closes it too."""

    def __init__(self, opens: Callable[[], IntentGraph]) -> None:
        self._opens = opens
        self._graph: AsyncIntentGraph | None = None

    def __await__(self) -> Generator[Any, None, AsyncIntentGraph]:
        return self._open().__await__()

    async def _open(self) -> AsyncIntentGraph:
        here, lanes = bridge(), Lanes("write", most=WRITERS)
        opened: list[IntentGraph] = []

        def undo() -> None:
            lanes.stop()
            for graph in opened:
                graph.close()

        try:
            await here.run(lanes, lambda: opened.append(self._opens()))
        except BaseException:
            await here.end(lanes, undo)  # cancelled: what a lane still opens is closed as soon as it is open
            raise
        return AsyncIntentGraph(opened[0], here, lanes)

    async def __aenter__(self) -> AsyncIntentGraph:
        self._graph = await self
        return self._graph

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._graph is not None
        await self._graph.close()


def _awaited(opens: Callable[P, IntentGraph]) -> Callable[P, Opening]:
    @wraps(opens)
    def face(*args: P.args, **kwargs: P.kwargs) -> Opening:
        return Opening(partial(opens, *args, **kwargs))

    face.__name__ = face.__qualname__ = "open_graph_async"
    return face


open_graph_async = _awaited(open_graph)
