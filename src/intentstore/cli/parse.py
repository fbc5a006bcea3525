"""From words to a verb and its arguments, by the declarations and nothing else.

Options stand anywhere, the global ones before or after the verb. Only the verb that is asked for is loaded; what is
wrong with a command line, and all help, is left to argparse in `manual`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from ..verbs import Argument, Usage, Verb, verb
from .options import GLOBALS, PROGRAM, Asked, whole


def parse(words: Sequence[str]) -> Asked:
    """Returns what the words ask for; words that ask for nothing we have are `Usage`."""
    at = _verb_at(words)
    if at is None:
        return _without_verb(words)
    name = words[at]
    if name == "help":
        from .manual import help_of, overview

        topic = [word for word in words[at + 1 :] if not word.startswith("-")]
        return Asked(None, {}, text=help_of(verb(topic[0])) if topic else overview())
    chosen = verb(name)
    rest = [*words[:at], *words[at + 1 :]]
    if _asks(rest, "-h", "--help"):
        from .manual import help_of

        return Asked(None, {}, text=help_of(chosen))
    options, places = _sorted(rest, chosen)
    given = _assigned(options, places, chosen)
    if given is None:
        from .manual import parser_of

        given = vars(parser_of(chosen).parse_args([*options, "--", *places] if places else options))
    common = {argument.name: given.pop(argument.name) for argument in GLOBALS}
    for argument in chosen.arguments:
        if argument.many:
            given[argument.name] = tuple(given[argument.name] or ())
    if common["as_of"] is not None and (chosen.writes or not chosen.opens):
        raise Usage(f"{chosen.name} does not look at the past", hint="--as-of is for verbs that only read the graph")
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
        from .manual import overview

        return Asked(None, {}, text=overview())
    raise Usage(f"there is no verb in: {' '.join(words)}", hint=f"{PROGRAM} --help lists the verbs and options")


def _sorted(words: Sequence[str], chosen: Verb) -> tuple[list[str], list[str]]:
    """Returns the options, each ``--name=value`` or a flag, and the words known by their place.

    Both may be mixed as one likes. An option's value is the word behind it, also one that begins with a dash.
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
    return options, places


def _assigned(options: list[str], places: list[str], chosen: Verb) -> dict[str, Any] | None:
    """Returns what argparse would, without loading it; None where it would refuse, and is then asked to say why.

    Loading argparse and building a parser costs 6 ms, of the 55 that a command may take to start.
    """
    known = {argument.option: argument for argument in (*GLOBALS, *chosen.arguments) if not argument.positional}
    given: dict[str, Any] = {argument.name: argument.default for argument in known.values()}
    for word in options:
        name, equals, text = word.partition("=")
        argument = known[name]
        value = _value(argument, text)
        if (argument.kind == "flag") == bool(equals) or value is None:
            return None
        given[argument.name] = [*(given[argument.name] or ()), value] if argument.many else value
    if any(argument.required and given[argument.name] is None for argument in known.values()):
        return None
    left = list(places)
    for argument in (each for each in chosen.arguments if each.positional):
        if not left and argument.required:
            return None
        if argument.many:
            given[argument.name], left = left, []
        else:
            given[argument.name] = left.pop(0) if left else argument.default
    return None if left else given


def _value(argument: Argument, text: str) -> Any:
    """Returns the value that a word stands for; None if it stands for none."""
    try:
        match argument.kind:
            case "flag":
                return True
            case "integer":
                return whole(text)
            case "number":
                return float(text)
    except ValueError:
        return None
    return text if not argument.choices or text in argument.choices else None


def _is_number(word: str) -> bool:
    return word[1:2].isdigit()


def _unknown(name: str, chosen: Verb, known: dict[str, Argument]) -> NoReturn:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{PROGRAM} {chosen.name} --help"
    raise Usage(f"{chosen.name} has no option {name}", hint=hint, option=name)
