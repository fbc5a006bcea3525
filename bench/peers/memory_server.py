"""The reference memory server of the Model Context Protocol, over its standard input: entities with observations."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..measure import Absent
from ..setting import Setting
from . import Record

_SERVER = Path(__file__).parents[2] / ".venv/peers/node_modules/@modelcontextprotocol/server-memory/dist/index.js"


def _entity(record: Record) -> Record:
    return {"name": record["id"], "entityType": record["status"], "observations": [json.dumps(record)]}


class _Server:
    def __init__(self, told: IO[str], heard: IO[str], path: Path) -> None:
        self._told, self._heard, self._path = told, heard, path
        self._asked = 0
        client = {"name": "bench", "version": "0"}
        self._ask("initialize", {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client})
        self._tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _tell(self, message: Record) -> None:
        self._told.write(json.dumps(message) + "\n")
        self._told.flush()

    def _ask(self, method: str, params: Record) -> Any:
        self._asked += 1
        self._tell({"jsonrpc": "2.0", "id": self._asked, "method": method, "params": params})
        for line in self._heard:
            answer = json.loads(line)
            if answer.get("id") == self._asked:
                if "error" in answer or answer["result"].get("isError"):
                    raise RuntimeError(f"the memory server refused {method}: {line[:200]}")
                return answer["result"]
        raise RuntimeError("the memory server has left")

    def _call(self, tool: str, **words: Any) -> Any:
        return self._ask("tools/call", {"name": tool, "arguments": words})

    def fill(self, records: Sequence[Record]) -> None:
        with self._path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"type": "entity", **_entity(record)}) + "\n" for record in records)

    def put(self, record: Record) -> object:
        return self._call("create_entities", entities=[_entity(record)])

    def get(self, id: str) -> object:
        return self._call("open_nodes", names=[id])

    def by_status(self, status: str) -> object:
        return self._call("search_nodes", query=status)

    def urgent(self, status: str) -> object:  # noqa: ARG002  it has none
        raise Absent("the memory server has no order")

    def below(self, id: str) -> Sequence[object]:  # noqa: ARG002  it has none
        raise Absent("the memory server has no walk")


@contextmanager
def memory_server(setting: Setting) -> Iterator[_Server]:
    """Starts the server; it has a file of JSON lines, written whole at every change and not synced."""
    node = shutil.which("node")
    if node is None or not _SERVER.exists():
        raise Absent("the memory server or node is not installed; make bench installs the server where there is npm")
    path = setting.fresh("memory.jsonl")
    environment = {**os.environ, "MEMORY_FILE_PATH": str(path.resolve())}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [node, str(_SERVER)], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield _Server(process.stdin, process.stdout, path)
        finally:
            process.stdin.close()
