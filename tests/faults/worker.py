"""A process of its own that lives a small life on a store: ``python worker.py file|sqlite PLACE [LIMIT NUMBER]``.

Says ``begin`` once the interpreter is up; each acknowledged commit goes to ``PLACE/acks``. Always the same calls.
"""

import os
import resource
import signal
import sys
import warnings
from pathlib import Path

from intentstore.ground.change import Batch, Link, Put
from intentstore.ground.errors import IntentStoreError
from intentstore.ground.types import Edge, EdgeType, Intent
from intentstore.storage import file, sqlite  # before the beginning: what they import is not what is tried

from datetime import UTC, datetime  # isort: skip

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def live(storage, ack) -> None:  # type: ignore[no-untyped-def]  # a script, made for strace
    storage.open()
    for n in range(6):
        ids = [f"c{n}.{k}" for k in range(3)]
        changes = [
            Put(intent=Intent(id=id, goal=f"Reach {id} " + "x" * 700 * n, created_at=NOON, updated_at=NOON))
            for id in ids
        ]
        edge = Edge(source=ids[0], type=EdgeType("blocks"), target=ids[1], created_at=NOON)
        storage.apply(Batch(changes=(*changes, Link(edge=edge)), at=NOON, id=f"c{n}"))
        ack(f"c{n}")
        if n in (2, 4):
            storage.compact()
    storage.close()
    storage.open()
    storage.apply(
        Batch(changes=(Put(intent=Intent(id="z", goal="z", created_at=NOON, updated_at=NOON)),), at=NOON, id="c6")
    )
    ack("c6")
    storage.close()


def main(kind: str, place: Path) -> int:
    place.mkdir(exist_ok=True)
    made = file.FileStorage(place / "store") if kind == "file" else sqlite.SqliteStorage(place / "goals.db")
    fd = os.open(place / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if len(sys.argv) > 3:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        name = getattr(resource, f"RLIMIT_{sys.argv[3]}")
        resource.setrlimit(name, (int(sys.argv[4]), resource.getrlimit(name)[1]))
    os.write(1, b"begin\n")
    try:
        live(made, lambda id: os.write(fd, f"{id} ".encode()))
    except IntentStoreError as error:
        os.write(1, f"refused: {type(error).__name__}: {error}\n".encode())
        return 7
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
