"""From a method of `IntentGraph` to the coroutine that awaits it: same name, same signature, same words, same errors.

Nothing is written twice, and nothing is generated: ``store = writing(IntentGraph.store)`` is the whole declaration,
and the type checker reads the parameters and the result off the method itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from functools import partial, wraps
from itertools import islice
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph
    from .graph import AsyncIntentGraph

P = ParamSpec("P")
R = TypeVar("R")
AT_ONCE = 64
"""Items that a stream fetches at a time: a hop between threads costs as much as twenty of them."""


def reading(
    method: Callable[Concatenate[IntentGraph, P], R],
) -> Callable[Concatenate[AsyncIntentGraph, P], Coroutine[Any, Any, R]]:
    """Returns the coroutine function that runs a reading verb on a lane for reading."""

    @wraps(method)
    async def face(self: AsyncIntentGraph, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._read(partial(method, self.sync, *args, **kwargs))

    return face


def writing(
    method: Callable[Concatenate[IntentGraph, P], R],
) -> Callable[Concatenate[AsyncIntentGraph, P], Coroutine[Any, Any, R]]:
    """Returns the coroutine function that runs a writing verb on a lane for writing."""

    @wraps(method)
    async def face(self: AsyncIntentGraph, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._write(partial(method, self.sync, *args, **kwargs))

    return face


def streaming(
    method: Callable[Concatenate[IntentGraph, P], Iterator[R]],
) -> Callable[Concatenate[AsyncIntentGraph, P], AsyncGenerator[R, None]]:
    """Returns the asynchronous generator function that yields what the method yields, as fast as it is taken."""

    @wraps(method)
    async def face(self: AsyncIntentGraph, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[R, None]:
        source: Iterator[R] | None = None
        try:
            source = await self._read(partial(method, self.sync, *args, **kwargs))
            while block := await self._read(lambda: list(islice(source, AT_ONCE))):
                for item in block:
                    yield item
        finally:
            if isinstance(source, Generator):
                with contextlib.suppress(ValueError):  # cancelled, and a lane still pulls at it
                    source.close()

    return face


def like(method: Any) -> Callable[[R], R]:
    """Marks a coroutine function that must be written out as the counterpart of a method, whose words it takes over."""

    def mark(face: R) -> R:
        face.__doc__ = method.__doc__
        return face

    return mark
