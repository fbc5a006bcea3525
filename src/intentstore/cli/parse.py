"""From words to a verb and its arguments: argparse, generated from the declarations.

Options stand anywhere, the global ones before or after the verb. Only the verb that is asked for gets a parser.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from ..verbs import GROUPS, Argument, Usage, Verb, verb

PROGRAM = "intent"
WIDTH = 100

GLOBALS = (
    Argument(
        "store", "the store: memory:, file:DIR, sqlite:PATH (else $INTENTSTORE_URL, else .intents/)", metavar="URL"
    ),
    Argument("graph", "the graph in it (else $INTENTSTORE_GRAPH, else the store's own)", metavar="NAME"),
    Argument("actor", "who does it; kept in the history (else $INTENTSTORE_ACTOR)", metavar="NAME"),
    Argument("json", "print the result as one JSON document", kind="flag", default=False),
    Argument("quiet", "print nothing but errors, and the id of what was added", kind="flag", default=False),
)


class Asked(NamedTuple):
    """What a command line says. ``verb`` is None when help or the version was asked for, which is in ``text``."""

    verb: Verb | None
    given: dict[str, Any]
    store: str | None = None
    graph: str | None = None
    actor: str | None = None
    json: bool = False
    quiet: bool = False
    text: str = ""


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        raise Usage(message, hint=f"{self.prog} --help")


def parse(words: Sequence[str]) -> Asked:
    """Returns what the words ask for; words that ask for nothing we have are `Usage`."""
    at = _verb_at(words)
    if at is None:
        return _without_verb(words)
    name = words[at]
    if name == "help":
        topic = [word for word in words[at + 1 :] if not word.startswith("-")]
        return Asked(None, {}, text=help_of(verb(topic[0])) if topic else overview())
    chosen = verb(name)
    rest = [*words[:at], *words[at + 1 :]]
    if _asks(rest, "-h", "--help"):
        return Asked(None, {}, text=help_of(chosen))
    given = vars(_parser(chosen).parse_args(_options_first(rest, chosen)))
    common = {argument.name: given.pop(argument.name) for argument in GLOBALS}
    for argument in chosen.arguments:
        if argument.many:
            given[argument.name] = tuple(given[argument.name] or ())
    return Asked(chosen, given, **common)


def _asks(words: Sequence[str], *names: str) -> bool:
    before = words[: words.index("--")] if "--" in words else words
    return any(word in names for word in before)


def _verb_at(words: Sequence[str]) -> int | None:
    """Returns where the verb stands: the first word that is neither a global option nor the value of one."""
    valued = {argument.option for argument in GLOBALS if argument.kind != "flag"}
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("-") or word == "-":
            return at
        at += 2 if word in valued else 1
    return None


def _without_verb(words: Sequence[str]) -> Asked:
    if _asks(words, "--version", "-V"):
        from .._version import __version__

        return Asked(None, {}, text=f"{PROGRAM} {__version__}")
    if not words or _asks(words, "-h", "--help"):
        return Asked(None, {}, text=overview())
    parser = _Parser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    _add_all(parser, GLOBALS)
    parser.parse_args(list(words))
    raise Usage("there is no verb", hint="intent --help lists the verbs")


def _options_first(words: Sequence[str], chosen: Verb) -> list[str]:
    """Returns the words with options before positionals, so that both may be mixed as one likes.

    An option's value is always the word behind it, also one that begins with a dash.
    """
    known = {argument.option: argument for argument in (*GLOBALS, *chosen.arguments) if not argument.positional}
    options: list[str] = []
    places: list[str] = []
    todo = list(reversed(words))
    while todo:
        word = todo.pop()
        if word == "--":
            places.extend(reversed(todo))
            break
        if not word.startswith("-") or word == "-" or _is_number(word):
            places.append(word)
            continue
        name, equals, _ = word.partition("=")
        if name not in known:
            _unknown(name, chosen, known)
        if known[name].kind != "flag" and not equals:
            if not todo:
                raise Usage(f"{name} wants a value", hint=f"{PROGRAM} {chosen.name} --help")
            word = f"{name}={todo.pop()}"
        options.append(word)
    return [*options, "--", *places] if places else options


def _is_number(word: str) -> bool:
    return word[1:2].isdigit()


def _unknown(name: str, chosen: Verb, known: dict[str, Argument]) -> NoReturn:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{PROGRAM} {chosen.name} --help"
    raise Usage(f"{chosen.name} has no option {name}", hint=hint, option=name)


def _parser(chosen: Verb) -> argparse.ArgumentParser:
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
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 40:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def help_of(chosen: Verb) -> str:
    """Returns all there is to say about a verb."""
    return _parser(chosen).format_help().rstrip()


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
