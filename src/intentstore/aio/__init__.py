"""Floor 4: the graph for callers who await. A thin face over `IntentGraph`; owns threads and decides nothing.

``verb`` derives a coroutine from a method, ``lanes`` has the threads that do the work, ``bridge`` brings what came of
it back to asyncio or trio.
"""

from .graph import AsyncIntentGraph
from .opening import Opening, open_graph_async

__all__ = ["AsyncIntentGraph", "Opening", "open_graph_async"]
