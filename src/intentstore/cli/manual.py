"""All that is said about the command line: help, the overview, and what is wrong with words. argparse, generated.

Loaded only when one of these is asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from ..verbs import GROUPS, Argument, Usage, Verb, verb
from .options import GLOBALS, PROGRAM, whole

WIDTH = 100


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        raise Usage(message, hint=f"{self.prog} --help")


def parser_of(chosen: Verb) -> argparse.ArgumentParser:
    """Returns the parser of one verb, global options included; it raises `Usage` where argparse would exit."""
    examples = "".join(f"\n  {PROGRAM} {example}" for example in chosen.examples)
    parser = _Parser(
        prog=f"{PROGRAM} {chosen.name}",
        description=f"{chosen.line[0].upper()}{chosen.line[1:]}.\n\n{chosen.about}",
        epilog=f"examples:{examples}" if examples else None,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=WIDTH),
        allow_abbrev=False,
        add_help=False,
    )
    _add_all(parser, chosen.arguments)
    shared = parser.add_argument_group("with every verb")
    _add_all(shared, GLOBALS)
    shared.add_argument("-h", "--help", action="store_true", default=argparse.SUPPRESS, help="this text")
    return parser


def _add_all(to: Any, arguments: Sequence[Argument]) -> None:
    for argument in arguments:
        _add(to, argument)


def _add(to: Any, argument: Argument) -> None:
    how: dict[str, Any] = {"help": argument.help.replace("%", "%%")}
    if argument.kind == "flag":
        to.add_argument(argument.option, action="store_true", dest=argument.name, **how)
        return
    how["metavar"] = argument.metavar or None
    how["default"] = argument.default
    if argument.choices:
        how["choices"] = argument.choices
        how["metavar"] = "{" + ",".join(argument.choices) + "}"
    if argument.kind != "text":
        how["type"] = _whole if argument.kind == "integer" else _number
    if argument.positional:
        nargs = "+" if argument.many else None if argument.required else "?"
        to.add_argument(argument.name, nargs=nargs, **how)
    else:
        action = "append" if argument.many else "store"
        to.add_argument(argument.option, dest=argument.name, action=action, required=argument.required, **how)


def _whole(text: str) -> int:
    try:
        return whole(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def help_of(chosen: Verb) -> str:
    """Returns all there is to say about a verb."""
    return parser_of(chosen).format_help().rstrip()


def overview() -> str:
    """Returns the verbs by group, each in a line, and the global options."""
    lines = [f"usage: {PROGRAM} [OPTIONS] VERB …", "", "Keeps goals, why they exist and what they wait for.", ""]
    for title, names in GROUPS.values():
        lines.append(f"{title}:")
        lines.extend(f"  {name:<9} {verb(name).line}" for name in names)
        lines.append("")
    lines.append("With every verb, before or after it:")
    lines.extend(f"  {argument.option + ' ' + argument.metavar:<14} {argument.help}" for argument in GLOBALS)
    lines.append(f"  {'--version':<14} print the version")
    return "\n".join([*lines, "", f"{PROGRAM} VERB --help tells all about a verb, with examples."])
