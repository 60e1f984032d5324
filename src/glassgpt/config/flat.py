"""Settings by flat names, those of the flags: `RunConfig.of(size="nano", minutes=1)`.

`schema` is the model with all tables, `RunConfig`, which imports this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import Parameter, signature
from keyword import iskeyword
from typing import Any, TypeVar

from cyclopts import Parameter as Flag
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from glassgpt.config.base import Config, Tables, merge
from glassgpt.config.problems import problem_in_words
from glassgpt.config.synonyms import advice
from glassgpt.errors import UserError
from glassgpt.language import N_, join_texts

F = TypeVar("F", bound=Callable[..., Any])


@cache
def flat_fields(schema: type[Config]) -> dict[str, tuple[str, FieldInfo]]:
    """Return the dotted name and the field of each setting by its flat name, in the order of the schema.

    >>> from glassgpt.config import RunConfig
    >>> names = ("model", "batch_size", "n_layer", "from_", "task", "sources")
    >>> [flat_fields(RunConfig)[name][0] for name in names]
    ['model.family', 'train.micro_batch_size', 'model.n_layer', 'init_from.run', 'task', 'data.sources']
    """
    found: dict[str, tuple[str, FieldInfo]] = {}
    for table, about in schema.model_fields.items():
        config = about.annotation
        if not (isinstance(config, type) and issubclass(config, Config)):
            found[table] = (table, about)
            continue
        for field, setting in config.model_fields.items():
            if (name := _flat_name(field, setting)) is not None:
                found[name] = (f"{table}.{field}", setting)
    return found


def _flat_name(field: str, setting: FieldInfo) -> str | None:
    """Return the name of a field's shortest flag, or of an argument; None if it has neither."""
    flag = next((each for each in setting.metadata if isinstance(each, Flag)), Flag())
    if flag.parse is False:
        return field if field == "sources" else None
    name = min(flag.name or (field,), key=len).removeprefix("--").replace("-", "_")
    return name + "_" * iskeyword(name)


def flat_name(schema: type[Config], dotted: str) -> str:
    """Return the flat name of a setting, or the dotted name of one without.

    >>> from glassgpt.config import RunConfig
    >>> flat_name(RunConfig, "tokenizer.kind"), flat_name(RunConfig, "init_from.step")
    ('tokenizer', 'init_from.step')
    """
    return next((name for name, (place, _) in flat_fields(schema).items() if place == dotted), dotted)


def flat_settings(schema: type[Config], settings: Mapping[str, Any], others: Iterable[str] = ()) -> Tables:
    """Return settings by flat names as tables. None leaves a setting out.

    others: further names that the caller takes, for the advice on a wrong one. Raises UserError for a name
    that no setting has.

    >>> from glassgpt.config import RunConfig
    >>> flat_settings(RunConfig, {"size": "nano", "minutes": 1, "seed": None})
    {'model': {'size': 'nano'}, 'train': {'minutes': 1}}
    """
    tables: Tables = {}
    for name, value in settings.items():
        if name not in flat_fields(schema):
            raise _unknown(schema, name, others)
        if value is not None:
            table, _, field = flat_fields(schema)[name][0].rpartition(".")
            tables = merge(tables, {table: {field: value}} if table else {field: value})
    return tables


def _unknown(schema: type[Config], name: str, others: Iterable[str]) -> UserError:
    """Return the error for a name that no setting has, with the one that was meant."""
    flags = {"--" + each.rstrip("_").replace("_", "-") for each in (*flat_fields(schema), *others)}
    remedy = advice("--" + name.replace("_", "-"), flags, set(), "")
    remedy = re.sub(r"--([a-z-]+)", lambda match: f"`{match[1].replace('-', '_')}`", remedy)
    return UserError(
        "`{name}`: no such setting. {remedy}",
        name=name,
        remedy=remedy or N_("`help(glassgpt.RunConfig.of)` lists all settings."),
    )


def invalid(schema: type[Config], error: ValidationError) -> UserError:
    """Return the error for settings that cannot be used: a line for each, by its flat name.

    >>> from glassgpt.config import RunConfig, TrainConfig
    >>> try:
    ...     RunConfig.model_validate({"train": {"micro_batch_size": 0}})
    ... except ValidationError as error:
    ...     print(invalid(RunConfig, error))
    `batch_size`: input should be greater than or equal to 1, got 0
    """
    lines = [_problem(schema, each["loc"], problem_in_words(each), each["input"]) for each in error.errors()]
    return UserError("{problems}", problems=join_texts("\n", lines))


def _problem(schema: type[Config], path: tuple[int | str, ...], problem: str, given: object) -> str:
    if isinstance(given, dict | Config) or not path:
        return problem
    name = flat_name(schema, ".".join(str(part) for part in path[:2]))
    return N_("`{name}`: {problem}, got {given!r}", name=name, problem=problem, given=given)


def takes_settings(schema: type[Config]) -> Callable[[F], F]:
    """Decorate a function with `**settings` so that its signature names each setting, with type and default.

    `help`, editors and notebooks show the signature and complete the names. A default of None stands for
    what presets, data or the autopilot decide.
    """

    def decorate(function: F) -> F:
        own = signature(function)
        first = [each for each in own.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        named = {each.name for each in first}
        more = [_parameter(name, f) for name, (_, f) in flat_fields(schema).items() if name not in named]
        function.__signature__ = own.replace(parameters=[*first, *more])  # pyright: ignore
        return function

    return decorate


def _parameter(name: str, field: FieldInfo) -> Parameter:
    default = None if field.is_required() else field.get_default()
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=field.annotation)
