"""Verbs that care for the store itself: init, backup, restore, copy, compact, convert, replay, stats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..codec import jsonable
from ..ground.errors import FieldInvalid
from ..storage.choose import shown
from .declare import Argument, Result, Session, Verb, flag, positional


def init(session: Session, /, *, url: str | None = None) -> Result:
    """Makes ``.intents/`` here and the store it names."""
    from ..locate import establish, home_of

    located = establish(url or session.where, graph=session.graph_name, home=home_of(None))
    session.open(located.store, create=True)
    return {"store": shown(located.store), "graph": located.graph}


def backup(session: Session, /, *, file: str, since: str | None = None, no_history: bool = False) -> Result:
    """Writes the whole history to one file."""
    with session.progress(f"backing up to {file}") as progress:
        return _told(session.graph.backup(file, since=since, history=not no_history, progress=progress))


def restore(session: Session, /, *, file: str, into: str | None = None, replace: bool = False) -> Result:
    """Fills an empty graph from a backup."""
    if not Path(file).is_file():
        raise FieldInvalid("file", f"{file} is not there", hint="name the backup")
    graph = session.open(into or session.where, create=True)
    with session.progress(f"restoring {file}") as progress:
        return _told(graph.restore(file, replace=replace, progress=progress))


def copy(session: Session, /, *, url: str) -> Result:
    """Brings another store to this graph's history."""
    target = session.open(url, create=True)
    with session.progress(f"copying to {shown(url)}") as progress:
        return _told(session.graph.copy(target, progress=progress))


def compact(session: Session, /, *, keep: str | None = None) -> Result:
    """Rewrites the store smaller; history stays, or is folded where it is older than what is kept."""
    if keep is None:
        return _told(session.graph.compact())
    from ..ground.identity import utc_now
    from .reading import read_when

    now = utc_now()
    return _told(session.graph.compact(keep=now - read_when(keep, "keep", now=now)))


def convert(session: Session, /, *, encoding: str) -> Result:
    """Writes a file store's history anew in another encoding."""
    from ..locate import located
    from ..storage.choose import convert as write_anew

    found = located(session.where)
    return {"store": found.store, "encoding": encoding, "graphs": write_anew(found.store, encoding)}


def replay(session: Session, /) -> Result:
    """Brings the store what waits in the fallback; tells what came, what waits and what was refused."""
    return {"conflicts": [], **_told(session.graph.replay())}


def stats(session: Session, /) -> Result:
    """Returns the figures of the graph and the facts of its store."""
    return _told(session.graph.stats())


def _told(facts: Any) -> Result:
    told: Result = jsonable(facts)
    return told


VERBS = (
    Verb(
        "init",
        "begin a graph in this directory",
        init,
        "store",
        (positional("url", "where to keep it; sqlite:.intents/goals.db when left out", required=False),),
        writes=True,
        opens=False,
        about="Makes .intents/ here, which every later command in this directory and below finds by itself.",
        examples=("init", "init file:goals", "init sqlite:/srv/goals.db --graph team"),
    ),
    Verb(
        "backup",
        "write the whole history to one file",
        backup,
        "receipt",
        (
            positional("file", "the file to write"),
            Argument("since", "only what came behind this seal or earlier backup", metavar="SEAL"),
            flag("no_history", "the present state alone"),
        ),
        about="Writes a compressed file that holds every commit, and reads it back before it gets its name. Others\n"
        "may write meanwhile; what they write is not in it. With --since, restore the backups one after another.",
        examples=(
            "backup goals.backup",
            "backup monday.backup --since sunday.backup",
            "backup small.backup --no-history",
        ),
    ),
    Verb(
        "restore",
        "fill an empty graph from a backup",
        restore,
        "receipt",
        (
            positional("file", "the backup"),
            Argument("into", "the store to fill; the one in use when left out", metavar="URL"),
            flag("replace", "whatever the graph holds gives way, in one step"),
        ),
        writes=True,
        opens=False,
        about="Reads the backup whole and proves it before the first write; what is restored has the same seal.",
        examples=("restore goals.backup --into sqlite:again.db", "restore goals.backup --replace"),
    ),
    Verb(
        "copy",
        "copy the graph to another store",
        copy,
        "receipt",
        (positional("url", "the store to fill"),),
        about="Copies the history, commit by commit, to a store of any kind; one begun before goes on.",
        examples=("copy file:goals", "copy sqlite:/backup/goals.db"),
    ),
    Verb(
        "compact",
        "make the store smaller and quicker to open",
        compact,
        "facts",
        (Argument("keep", "fold what is older than this span, as 90d", metavar="SPAN"),),
        writes=True,
        about="Rewrites the store; no history is lost. With --keep, older history is folded: superseded changes go,\n"
        "but their hashes stay, so that the history and every seal still verify; what an intent was before is gone.",
        examples=("compact", "compact --keep 90d"),
    ),
    Verb(
        "convert",
        "write a file store as RTFS, or as JSON again",
        convert,
        "facts",
        (Argument("encoding", "what the journal's records are written in", required=True, choices=("json", "rtfs")),),
        writes=True,
        opens=False,
        about="Writes every graph of the store anew; hashes and seals stay as they are. Others may read and write\n"
        "meanwhile; cut short, the store is as good as before, and the verb can be said again.",
        examples=("convert --encoding rtfs", "convert --encoding json --store file:goals"),
    ),
    Verb(
        "replay",
        "bring the store what waited in the fallback",
        replay,
        "replay",
        writes=True,
        about="Tries to reach the store and applies to it, in order, what was written while it was away. What it\n"
        "refuses is kept in the fallback and told here: intent --store file:DIR list --status failed shows it.",
        examples=("replay --fallback file:spool",),
    ),
    Verb(
        "stats",
        "show the figures of the graph",
        stats,
        "facts",
        about="Shows how many intents and edges there are, by status, and the facts of the store.",
        examples=("stats",),
    ),
)
