"""A proxy on the loopback between a client and its PostgreSQL server, which loses, swallows and cuts as it is told.

Reads no protocol but one word of it: the reply that a COMMIT was done.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"


class Proxy:
    """Listens on ``port`` and carries bytes to and from the server.

    ``cut_commits``: so many replies to a COMMIT are not handed on, their connection is closed. ``swallow_commits``: the
    same, but the connection stays open and silent. `blackhole`: nothing is handed on any more. `reset`: every
    connection is torn down as by a firewall. ``refuse``: a new connection is closed at once.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut_commits = 0
        self.swallow_commits = 0
        self.cut = 0
        """How many replies were lost so far."""
        self.silent = False
        self.refuse = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = False
        self._door = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        with contextlib.suppress(OSError):  # wakes who accepts
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        while not self._closed:
            client, _ = self._listener.accept()
            if self.refuse or self._closed:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                client.close()
                continue
            with self._door:
                self._pairs.append((client, server))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if COMMITTED in data and self._loses():
                    if self._swallows():
                        continue
                    break
                if not self.silent:
                    target.sendall(data)
        if not self.silent:
            self._tear(source, target)

    def _loses(self) -> bool:
        with self._door:
            if self.swallow_commits or self.cut_commits:
                self.cut += 1
                return True
            return False

    def _swallows(self) -> bool:
        with self._door:
            if self.swallow_commits:
                self.swallow_commits -= 1
                return True
            self.cut_commits -= 1
            return False

    def _tear(self, *sockets: socket.socket) -> None:
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def blackhole(self) -> None:
        """From now on nothing is handed on, in either direction, and nobody is told."""
        self.silent = True

    def reset(self) -> None:
        """Tears down every connection with RST."""
        with self._door:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._tear(*pair)
