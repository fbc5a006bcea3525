"""Where a PostgreSQL graph is kept, as its user wrote it: what is ours is taken out, the rest is libpq's.

Knows URLs and never shows a password: what it prints of a place is user, hosts and database.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ...ground.errors import FieldInvalid

_DEFAULTS: dict[str, str | int | None] = {
    "application_name": "intentstore",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""A server that is gone is noticed within a minute even by what has no deadline."""
_HINT = "write postgresql://USER:PASSWORD@HOST/DATABASE, with %40 for an @ in the password, %2F for a /"


class Place(msgspec.Struct, frozen=True):
    """A place that may be connected to, and how."""

    conninfo: str
    """For libpq; may hold a password."""
    shown: str
    """For people; holds none."""
    pooler: str
    """``session``, or ``transaction`` where a pooler gives each transaction another server connection."""
    timeout_s: float
    pool_size: int

    def __repr__(self) -> str:
        return f"Place({self.shown!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("shown", self.shown)]


def read_place(
    connection: str, *, read_only: bool, timeout_s: float | None, pool_size: int | None, pooler: str | None
) -> Place:
    """Returns the place that a libpq URL, or a libpq string of ``key=value``, names; our options come first.

    In a URL, ours are ``pooler=session|transaction``, ``timeout_s=SECONDS`` and ``pool_size=N``. Raises
    `FieldInvalid`, never with a piece of what was given: it may be of the password.
    """
    rest, options = _ours(connection)
    try:
        params = conninfo_to_dict(rest)
    except psycopg.Error:
        params = None
    # Outside of the `except`: what libpq said must not be the error's context.
    if params is None or any("@" in str(params.get(name, ""))[1:] for name in ("host", "port", "dbname")):
        raise FieldInvalid("store", "is not a connection URL as PostgreSQL knows it", hint=_HINT)
    several = "," in str(params.get("host", "")) or "," in str(params.get("hostaddr", ""))
    if several:
        params.setdefault("target_session_attrs", "prefer-standby" if read_only else "read-write")
    for name, value in _DEFAULTS.items():
        params.setdefault(name, value)
    wait = timeout_s if timeout_s is not None else _number(options, "timeout_s", 30.0)
    params["connect_timeout"] = min(int(params.get("connect_timeout") or 0) or 3600, max(2, int(wait + 0.999)))
    return Place(
        conninfo=make_conninfo("", **params),
        shown=_shown({name: str(value) for name, value in params.items()}),
        pooler=_pooler(pooler if pooler is not None else options.get("pooler", "session")),
        timeout_s=wait,
        pool_size=pool_size if pool_size is not None else int(_number(options, "pool_size", 10)),
    )


def _ours(connection: str) -> tuple[str, dict[str, str]]:
    """Returns the URL without our options, and those."""
    if not connection.startswith(("postgresql://", "postgres://")) or "?" not in connection:
        return connection, {}
    base, _, query = connection.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    ours = {name: value for name, value in pairs if name in ("pooler", "timeout_s", "pool_size")}
    rest = [(name, value) for name, value in pairs if name not in ours]
    return base + (f"?{urlencode(rest)}" if rest else ""), ours


def _pooler(given: str) -> str:
    if given not in ("session", "transaction"):
        raise FieldInvalid("pooler", f"is {given!r}", hint="use pooler=transaction, or leave it out")
    return given


def _number(options: dict[str, str], name: str, default: float) -> float:
    given = options.get(name)
    if given is None:
        return default
    try:
        number = float(given)
    except ValueError:
        number = 0.0
    if not 0 < number <= 86_400:
        raise FieldInvalid(name, f"is {given!r}", hint=f"give a number above 0: {name}=5")
    return number


def _shown(params: dict[str, str]) -> str:
    user = f"{params['user']}@" if "user" in params else ""
    hosts = params.get("host") or params.get("hostaddr") or ""
    ports = params.get("port", "").split(",")
    names = hosts.split(",")
    if len(ports) == 1:
        ports *= len(names)
    places = ",".join(f"{name}:{port}" if port else name for name, port in zip(names, ports, strict=False))
    return f"postgresql://{user}{places}/{params.get('dbname', '')}"
