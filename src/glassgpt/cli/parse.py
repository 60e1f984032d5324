"""From the words of a command line to a command and its arguments, and from errors to sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cyclopts import App
from cyclopts.exceptions import CycloptsError, UnknownOptionError, UnusedCliTokensError
from rich.console import Console

from glassgpt.cli.flags import field_flags
from glassgpt.config import problem_in_words
from glassgpt.config.synonyms import advice
from glassgpt.errors import UserError
from glassgpt.language import LANGUAGES, N_, _, join_texts, language, preferred

HYPHEN = "\0"
"""Stands for the first hyphen of a word that is no option while cyclopts parses: a lone hyphen, or options in
quotes ("--lr 0.01"). No argument of a process can hold this character, so it is no word of the user's."""
CYCLOPTS = (
    N_('Invalid value for {name}: unable to convert "{value}" into {type}.'),
    N_('Invalid value "{value}" for {name}: unable to convert "{same}" into {type}.'),
    N_('Invalid value "{value}" for {name}. Choose from: {choices}.'),
    N_('Unknown command "{command}". Did you mean "{meant}"? Available commands: {commands}, ...'),
    N_('Unknown command "{command}". Did you mean "{meant}"? Available commands: {commands}.'),
    N_('Unknown command "{command}". Available commands: {commands}, ...'),
    N_('Unknown command "{command}". Available commands: {commands}.'),
    N_('Command "{command}" parameter {name} requires an argument.'),
    N_('Command "{command}" parameter "{name}" requires an argument.'),
)
"""Forms of cyclopts' messages."""

TOPIC = re.compile(r"--help-([a-z]+)")


def take_language(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the language of the messages, and the words without `--lang`, wherever it stands before `--`.

    Without `--lang` the environment chooses, except for JSON, which programs read: it is in English.
    Raises UserError for an option without a language that there is.
    """
    rest = list(words)
    end = rest.index("--") if "--" in rest else len(rest)
    at = next((i for i, word in enumerate(rest[:end]) if word.partition("=")[0] == "--lang"), None)
    if at is None:
        return "en" if "--json" in rest[:end] else preferred(), rest
    word = rest.pop(at)
    given = word.partition("=")[2] if "=" in word else rest.pop(at) if at < len(rest) else ""
    if given not in LANGUAGES:
        raise UserError(
            "`lang`: there are no texts in {given!r}. Choose one of {languages}.",
            given=given,
            languages=", ".join(LANGUAGES),
        )
    return given, rest


def parse(app: App, words: Sequence[str], console: Console) -> Callable[[], Any]:
    """Return the command with its arguments. Raises CycloptsError for a command line that cannot be used.

    A lone hyphen means itself. Commands that read standard input for it say so. Options in quotes are one
    argument, for commands that take settings.
    """
    topic, words = help_topic(words)
    tokens = [HYPHEN + word[1:] if word == "-" or _is_quoted(word) else word for word in words]
    command, bound, _ = app.parse_args(tokens, console=console, exit_on_error=False, print_error=False)
    if command == app.help_print:
        from glassgpt.cli.help import print_help  # what no other command line needs

        return partial(print_help, app, bound.args[0], topic, console)
    bound.arguments.update({name: _with_hyphens(value) for name, value in bound.arguments.items()})
    return partial(command, *bound.args, **bound.kwargs)


def help_topic(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the topic that `--help-TOPIC` names, or "", and the words with `--help` in its place.

    >>> help_topic(["train", "--help-model"])
    ('model', ['train', '--help'])
    """
    end = words.index("--") if "--" in words else len(words)
    topics = [found[1] for word in words[:end] if (found := TOPIC.fullmatch(word))]
    plain = ["--help" if TOPIC.fullmatch(word) else word for word in words[:end]]
    return (topics[0] if topics else "", [*plain, *words[end:]])


def _is_quoted(word: str) -> bool:
    """True for options in quotes: no name of an option holds a space."""
    return word.startswith("--") and " " in word.partition("=")[0]


def _with_hyphens(value: Any) -> Any:
    """Put hyphens back into a parsed value."""
    match value:
        case str() if value.startswith(HYPHEN):
            return "-" + value[1:]
        case Path() if str(value).startswith(HYPHEN):
            return Path("-" + str(value)[1:])
        case list() | tuple():
            return type(value)(_with_hyphens(item) for item in value)
    if hasattr(value, "model_fields_set"):  # a table of settings; --help imports no pydantic
        given = {name: getattr(value, name) for name in value.model_fields_set}
        return value.model_copy(update={name: _with_hyphens(item) for name, item in given.items()})
    return value


def explain_usage(error: CycloptsError, words: Sequence[str]) -> str:
    """Return the message for a command line that cannot be parsed."""
    command = " ".join(["glassgpt", *(error.command_chain or ())])
    return _("{problem}\nSee `{command} --help`.", problem=_usage_problem(error, words), command=command)


def _usage_problem(error: CycloptsError, words: Sequence[str]) -> str:
    from glassgpt.config import check_renamed_flags  # only a wrong command line needs pydantic

    try:
        check_renamed_flags(words)
    except UserError as renamed:
        return str(renamed)
    if isinstance(error, UnknownOptionError):
        flag = (error.token.keyword or error.token.value).partition("=")[0]
        known = {name for argument in error.argument_collection for name in argument.names}
        elsewhere = set(field_flags().values())
        remedy = advice(flag, known, elsewhere, (error.command_chain or ("",))[0])
        return " ".join(filter(None, [_("{flag}: no such option.", flag=flag), _(remedy)]))
    if isinstance(error, UnusedCliTokensError):
        word = (error.unused_tokens or [""])[0].replace(HYPHEN, "-")
        return _("{word!r}: unexpected argument. Put a text that has spaces in quotes.", word=word)
    return explain(error).replace(repr(HYPHEN), repr("-")).replace(HYPHEN, "-")


def explain(error: Exception) -> str:
    """Return an error's message; for a validation error, a line for each field."""
    cause: Any = error.__cause__
    if type(cause).__name__ == "ValidationError":  # pydantic's; --help does not import it
        return "\n".join(map(_explain_field, cause.errors()))
    return _cyclopts(error) if isinstance(error, CycloptsError) else str(error)


def _explain_field(error: Mapping[str, Any]) -> str:
    """Return one validation error as `<flag>: <problem>, got <value>`."""
    path, given = error["loc"], error["input"]
    full = ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden":
        return _unknown_setting([str(part) for part in path])
    problem = problem_in_words(error)
    if isinstance(given, dict | tuple) or not path:
        return _(problem)
    flags = field_flags()
    name = flags.get(full) or flags.get(str(path[-1])) or full
    return _(
        "{name}: {problem}, got {given!r}",
        name=name,
        problem=problem,
        given=given,
    )


def _cyclopts(error: CycloptsError) -> str:
    """Return a message of cyclopts, in the catalog's words if its form is known."""
    message = str(error)
    if language() == "en":
        return message
    for form in CYCLOPTS:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(form))
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return _(form, **found.groupdict())
    return message


def _unknown_setting(path: Sequence[str]) -> str:
    """Return the message for a setting of a file that no table has, or that stands outside its table."""
    name, tables = (
        path[-1],
        sorted(full.split(".")[0] for full in field_flags() if full.endswith("." + path[-1])),
    )
    place = f"[{path[-2]}] {name}" if len(path) > 1 else name
    if tables:
        where = join_texts(" or ", (f"[{table}]" for table in tables))
        return _("{place}: no such setting. It belongs to the table {where}.", place=place, where=where)
    places = {flag: name for name, flag in field_flags().items() if "." in name}
    remedy = advice("--" + name.replace("_", "-"), set(places), set(places), "train")
    for flag, field in places.items():
        remedy = re.sub(rf"{flag}\b(?!-)", "[{}] {}".format(*field.split(".")), remedy)
    return _(
        "{place}: no such setting. {remedy}",
        place=place,
        remedy=remedy or N_("`glassgpt train --help-all` lists all settings."),
    )
