"""Runs one command: opens what it needs, prints what it found, turns every error into one line and a status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..ground.errors import Full, IntentStoreError, Unavailable
from ..verbs import Verb, document, outcome
from .options import Asked
from .parse import parse
from .session import CommandSession

NOT_OK = 9
"""What `verify` exits with when it found damage: the status of `Corrupt`."""


def run(words: Sequence[str]) -> int:
    """Runs the command and returns its exit status; never raises."""
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)
    try:
        return _run(words)
    except BrokenPipeError:
        _forget_output()
        return 0
    except KeyboardInterrupt as error:
        return _report(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001  the border: whatever comes is reported, none is shown as a traceback
        if os.environ.get("INTENTSTORE_DEBUG") == "1" and not isinstance(error, IntentStoreError):
            import traceback

            traceback.print_exc()
        return _report(error, as_json=as_json)


def _run(words: Sequence[str]) -> int:
    asked = parse(words)
    if asked.verb is None:
        _print(asked.text)
        return 0
    with CommandSession(asked) as session:
        if asked.verb.opens:
            _ = session.graph
        result = asked.verb.run(session, **asked.given)
        if asked.verb.streams:
            return _stream(asked, asked.verb, result)
        _mark(result, session.degraded())
        _show(asked, asked.verb, result, session)
    return NOT_OK if result.get("ok") is False else 0


def _mark(result: dict[str, Any], degraded: dict[str, Any] | None) -> None:
    """Has every reply say that the store is away: in the document, and to a person on standard error."""
    if degraded is None:
        return
    result["degraded"] = degraded
    if not degraded.get("durable"):
        result["durable"] = False
    if sys.stderr is not None:
        why = f"the store is away since {degraded['since']}: {_one_line(degraded['why'])}"
        sys.stderr.write(f"intent: {why}; {degraded['waiting']} writes wait in {degraded['spool']}\n")


def _stream(asked: Asked, verb: Verb, results: Iterator[dict[str, Any]]) -> int:
    """Tells each result when it comes: a JSON document a line, but for a person at a terminal."""
    drawn = not asked.json and sys.stdout is not None and sys.stdout.isatty()
    for result in results:
        if drawn:
            from .plain import text_of

            _print(text_of(verb.shape, result))
        else:
            _print(_document(result))
    return 0


def _show(asked: Asked, verb: Verb, result: dict[str, Any], session: CommandSession) -> None:
    if session.stdout_taken:
        if asked.json:
            sys.stderr.write(_document(result) + "\n")
        return
    if asked.json:
        _print(_document(result))
    elif asked.quiet:
        if verb.shape == "added":
            _print(result["intent"]["id"])
    elif sys.stdout is not None and sys.stdout.isatty():
        from .colour import draw

        draw(verb.shape, result, session.opened)
    else:
        from .plain import text_of

        _print(text_of(verb.shape, result))


def _document(result: Any) -> str:
    return msgspec.json.encode(result).decode()


def _print(text: str) -> None:
    """Prints text, whatever the terminal's encoding; nothing when standard output is closed."""
    if sys.stdout is None:
        return
    try:
        if text:
            encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _forget_output()
        kind = Full if error.errno in (errno.ENOSPC, errno.EDQUOT) else Unavailable
        raise kind(f"standard output: {error.strerror}", hint="the command itself was done") from error


def _forget_output() -> None:
    """Points standard output at nothing, so that the interpreter does not fail on it once more at its end."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        pass


def _report(error: BaseException, *, as_json: bool) -> int:
    told = document(error)
    if as_json:
        text = _document(told)
    else:
        body = told["error"]
        lines = [f"intent: {_one_line(body['message'])}", *_shown_at(body["fields"])]
        text = "\n".join([*lines, f"hint: {body['hint']}"] if body["hint"] else lines)
    if sys.stderr is None:
        return outcome(error).exit
    try:
        sys.stderr.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        sys.stderr.flush()
    except OSError:
        pass
    return outcome(error).exit


def _shown_at(fields: dict[str, Any]) -> list[str]:
    """Returns the line of a text where it is wrong, and a mark below, if the error knows them."""
    line, mark, at = str(fields.get("excerpt", "")).partition("\n")
    return ["  " + "".join(char if char.isprintable() else "?" for char in line), f"  {at}"] if mark else []


def _one_line(text: str) -> str:
    from .plain import clean

    return clean(text)
