"""What a verb is: its name, its words of explanation, its arguments, the shape of its result, the function that runs.

Data only. Knows neither a command line nor a network; each interface is generated from it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

if TYPE_CHECKING:
    from ..graph.graph import IntentGraph

Result = dict[str, Any]
Progress = Callable[[int, int | None], None]


class Session(Protocol):
    """What a verb may ask of the interface it runs in."""

    @property
    def graph(self) -> IntentGraph:
        """The graph that was named, opened when first asked for."""
        ...

    @property
    def where(self) -> str | None:
        """The URL of the store that was named, None when it is to be found."""
        ...

    @property
    def graph_name(self) -> str | None:
        """The graph that was named, None when the store's own default is meant."""
        ...

    def open(self, where: str | None, *, create: bool) -> IntentGraph:
        """Opens another store under the same graph name; it is closed with the session."""
        ...

    def source(self, name: str) -> str | BinaryIO:
        """Returns what to read: the path that was named, or for ``-`` the standard input."""
        ...

    def target(self, name: str) -> str | BinaryIO:
        """Returns what to write to: the path that was named, or for ``-`` the standard output."""
        ...

    def progress(self, what: str) -> AbstractContextManager[Progress | None]:
        """Gives, for as long as the work runs, where to report (done, total); None when nobody looks."""
        ...


class Argument(NamedTuple):
    """One thing a verb is told. ``name`` is the parameter of its function.

    ``kind`` is text, integer, number or flag; ``many`` hands the function a tuple.
    """

    name: str
    help: str
    kind: str = "text"
    positional: bool = False
    required: bool = False
    many: bool = False
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: Any = None

    @property
    def option(self) -> str:
        """The name as an option: ``priority_min`` is ``--priority-min``."""
        return "--" + self.name.rstrip("_").replace("_", "-")


def positional(name: str, help: str, *, many: bool = False, required: bool = True, metavar: str = "") -> Argument:
    """Returns an argument that is known by its place."""
    return Argument(name, help, positional=True, required=required, many=many, metavar=metavar or name.upper())


def flag(name: str, help: str) -> Argument:
    """Returns an argument that is there or not."""
    return Argument(name, help, kind="flag", default=False)


class Verb(NamedTuple):
    """One verb, declared once for every interface.

    ``run(session, **arguments)`` returns the JSON-able result; ``shape`` names its form for those who draw it.
    ``writes`` says that the store may change; ``opens`` that the named store must be open before it runs; ``streams``
    that ``run`` returns an iterator of results, each to be told as soon as it is there.
    """

    name: str
    line: str
    run: Callable[..., Any]
    shape: str
    arguments: tuple[Argument, ...] = ()
    writes: bool = False
    opens: bool = True
    streams: bool = False
    about: str = ""
    examples: tuple[str, ...] = ()


REASON = Argument("reason", "why; kept in the history", metavar="TEXT")
IDS = positional("ids", "ids of intents, or their unique beginnings", many=True, metavar="ID")
ID = positional("id", "an intent's id, or its unique beginning", metavar="ID")
TOKEN = Argument("token", "the token of the claim that is held", kind="integer", metavar="N")
