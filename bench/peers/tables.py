"""sqlite-utils and kuzu: tables with columns for what is asked, and an index or a relation where they offer one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..setting import Setting
from . import Record, module, walked

_COLUMNS = ("id", "status", "priority", "created_at", "parent")


def _flat(record: Record) -> Record:
    return {**{name: record.get(name, 0) for name in _COLUMNS}, "body": json.dumps(record)}


class _Utils:
    def __init__(self, database: Any) -> None:
        self._database, self._table = database, database["intents"]

    def fill(self, records: Sequence[Record]) -> None:
        self._table.insert_all(map(_flat, records), pk="id")
        self._table.create_index(["status", "created_at", "id"])
        self._table.create_index(["status", "priority", "id"])
        self._table.create_index(["parent"])

    def put(self, record: Record) -> None:
        self._table.insert(_flat(record), pk="id")

    def get(self, id: str) -> Record:
        return _told(self._table.get(id))

    def by_status(self, status: str) -> list[Record]:
        return self._where("status = ?", status, "created_at, id", 100)

    def urgent(self, status: str) -> list[Record]:
        return self._where("status = ?", status, "priority desc, id", 100)

    def below(self, id: str) -> list[Record]:
        return walked(lambda parent: self._where("parent = ?", parent, "id", None), id)

    def _where(self, where: str, value: str, order: str, limit: int | None) -> list[Record]:
        return [_told(row) for row in self._table.rows_where(where, [value], order_by=order, limit=limit)]


def _told(row: Record) -> Record:
    told: Record = json.loads(row["body"])
    return told


@contextmanager
def sqlite_utils(setting: Setting) -> Iterator[_Utils]:
    """Opens a database as shipped: a rollback journal, every commit synced."""
    database = module("sqlite_utils").Database(str(setting.fresh("utils.db")))
    try:
        yield _Utils(database)
    finally:
        database.close()


_NODES = (
    "CREATE NODE TABLE Goal (id STRING PRIMARY KEY, status STRING, priority INT64, created_at STRING, body STRING)",
    "CREATE REL TABLE Below (FROM Goal TO Goal)",
)
_CREATE = "CREATE (:Goal {id: $id, status: $status, priority: $priority, created_at: $created_at, body: $body})"
_LINK = "MATCH (a:Goal {id: $id}), (b:Goal {id: $parent}) CREATE (a)-[:Below]->(b)"
_GET = "MATCH (g:Goal {id: $id}) RETURN g.body"
_LIST = "MATCH (g:Goal {status: $status}) RETURN g.body ORDER BY g.created_at, g.id LIMIT 100"
_URGENT = "MATCH (g:Goal {status: $status}) RETURN g.body ORDER BY g.priority DESC, g.id LIMIT 100"
_BELOW = "MATCH (g:Goal)-[:Below*1..20]->(:Goal {id: $id}) RETURN g.body"


class _Kuzu:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        for text in _NODES:
            connection.execute(text)

    def fill(self, records: Sequence[Record]) -> None:
        self._connection.execute("BEGIN TRANSACTION")
        for record in records:
            self.put(record)
        for record in records:
            if record["parent"]:
                self._rows(_LINK, id=record["id"], parent=record["parent"])
        self._connection.execute("COMMIT")

    def put(self, record: Record) -> None:
        flat = _flat(record)
        del flat["parent"]
        self._rows(_CREATE, **flat)

    def get(self, id: str) -> object:
        return self._rows(_GET, id=id)[0]

    def by_status(self, status: str) -> list[Record]:
        return self._rows(_LIST, status=status)

    def urgent(self, status: str) -> list[Record]:
        return self._rows(_URGENT, status=status)

    def below(self, id: str) -> list[Record]:
        return self._rows(_BELOW, id=id)

    def _rows(self, text: str, **values: Any) -> list[Record]:
        result = self._connection.execute(text, values)
        found = []
        while result.has_next():
            found.append(json.loads(result.get_next()[0]))
        result.close()
        return found


@contextmanager
def kuzu(setting: Setting) -> Iterator[_Kuzu]:
    """Opens a database as shipped."""
    api = module("kuzu")
    with api.Database(str(setting.fresh("kuzu"))) as database, api.Connection(database) as connection:
        yield _Kuzu(connection)
