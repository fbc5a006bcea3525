"""The reference memory server of the Model Context Protocol under the same faults, beside us; in the long profile only.

Two servers on one file, and the power cut at every point while one writes. Needs node and npm.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intentstore.testing.faults import Finding, Model, Mount, fuse, images, mounted
from intentstore.testing.faults.crash import Image

from .rows import Run, row

PACKAGE = "@modelcontextprotocol/server-memory"


class Server:
    """One server process, spoken to over its standard streams."""

    def __init__(self, script: Path, file: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "MEMORY_FILE_PATH": str(file)},
        )
        self._number = 0
        hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "faults", "version": "1"}}
        self.ask("initialize", hello)
        self._say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def send(self, method: str, parameters: dict[str, Any]) -> None:
        """Sends a request."""
        self._number += 1
        self._say({"jsonrpc": "2.0", "id": self._number, "method": method, "params": parameters})

    def answer(self) -> dict[str, Any]:
        """Returns the next answer."""
        assert self._process.stdout is not None
        while True:
            message: dict[str, Any] = json.loads(self._process.stdout.readline())
            if "id" in message:
                return message

    def ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Sends a request and returns its answer."""
        self.send(method, parameters)
        return self.answer()

    def write(self, name: str) -> None:
        """Sends the request to remember an entity of this name."""
        entity = {"name": name, "entityType": "goal", "observations": ["x" * 400]}
        self.send("tools/call", {"name": "create_entities", "arguments": {"entities": [entity]}})

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def installed() -> Iterator[Path]:
    """The server, installed into a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="is-peer-") as name:
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", name, PACKAGE]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        yield Path(name) / "node_modules" / PACKAGE / "dist" / "index.js"


def why_not(run: Run) -> str | None:
    """Returns why the peer is not tried here."""
    if not run.long:
        return "only in the long profile"
    return None if shutil.which("node") and shutil.which("npm") else "node and npm are not installed"


@row("peer", "server-memory")
def peer(run: Run) -> list[Finding]:
    """Counts what the reference server loses; losses are its figures, not our faults."""
    missing = why_not(run)
    two = run.finding(14, "two reference servers on one file, 60 writes each", unit="acknowledged", missing=missing)
    cut = run.finding(
        14, "power cut at every point, reference server", unit="images", missing=missing or fuse.missing()
    )
    if missing:
        return [two, cut]
    try:
        with installed() as script:
            _two(script, two)
            if cut.missing is None:
                with mounted() as mount:
                    _cut(script, mount, cut, run.seed)
    except (subprocess.SubprocessError, OSError) as error:
        two.missing = cut.missing = f"the server could not be run: {type(error).__name__}"
    return [two, cut]


def _names(data: bytes) -> set[str]:
    names = set()
    for line in data.split(b"\n"):
        try:
            names.add(json.loads(line)["name"])
        except (ValueError, KeyError, TypeError):
            continue
    return names


def _two(script: Path, finding: Finding) -> None:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="is-peer-") as name:
        file = Path(name) / "memory.json"
        servers = [Server(script, file) for _ in range(2)]
        try:
            wanted = set()
            for number in range(60):
                for who, server in enumerate(servers):
                    server.write(f"s{who}-{number}")
                for who, server in enumerate(servers):
                    if "error" not in server.answer():
                        wanted.add(f"s{who}-{number}")
        finally:
            for server in servers:
                server.close()
        finding.tried = len(wanted)
        finding.count("lost by it", len(wanted - _names(file.read_bytes())))
    finding.seconds = time.monotonic() - begun


def _cut(script: Path, mount: Mount, finding: Finding, seed: int) -> None:
    begun = time.monotonic()
    home = mount.fresh()
    server = Server(script, home / "memory.json")
    try:
        for number in range(40):
            server.write(f"n{number}")
            if "error" not in server.answer():
                with (mount.place / ".ack").open("wb", buffering=0) as ack:
                    ack.write(f"n{number}".encode())
        ops = mount.trace()
    finally:
        server.close()
    for model in Model:
        for image in images(ops, model, seed=seed, each=6):
            finding.tried += 1
            finding.count(f"images in which it lost something, {model}", int(_lost(image)))
    finding.seconds = time.monotonic() - begun


def _lost(image: Image) -> bool:
    home = next((thing for thing in image.tree.values() if isinstance(thing, dict)), {})
    data = home.get("memory.json", b"")
    assert isinstance(data, bytes)
    return not {ack.decode() for ack in image.acks} <= _names(data)
