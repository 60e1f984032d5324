"""Settings by flat names, those of the flags: `RunConfig.of(size="nano", minutes=1)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import Parameter, Signature, signature
from keyword import iskeyword
from typing import Any, get_type_hints

from cyclopts import Parameter as Flag
from pydantic.fields import FieldInfo

from glassgpt.config.base import Config, Tables, merge
from glassgpt.config.schema import RunConfig
from glassgpt.config.synonyms import advice
from glassgpt.errors import UserError


@cache
def flat_fields() -> dict[str, tuple[str, FieldInfo]]:
    """Return the dotted name and the field of each setting by its flat name, in the order of the schema.

    >>> [flat_fields()[name][0] for name in ("model", "batch_size", "n_layer", "from_", "task")]
    ['model.family', 'train.micro_batch_size', 'model.n_layer', 'init_from.run', 'task']
    """
    found: dict[str, tuple[str, FieldInfo]] = {}
    for table, about in RunConfig.model_fields.items():
        config = about.annotation
        if not (isinstance(config, type) and issubclass(config, Config)):
            found[table] = (table, about)
            continue
        for field, setting in config.model_fields.items():
            if (name := _flat_name(field, setting)) is not None:
                found[name] = (f"{table}.{field}", setting)
    return found


def _flat_name(field: str, setting: FieldInfo) -> str | None:
    """Return the name of a field's shortest flag; None if it has no flag."""
    flag = next((each for each in setting.metadata if isinstance(each, Flag)), Flag())
    if flag.parse is False:
        return None
    name = min(flag.name or (field,), key=len).removeprefix("--").replace("-", "_")
    return name + "_" * iskeyword(name)


def flat_name(dotted: str) -> str:
    """Return the flat name of a setting, or the dotted name of one without.

    >>> flat_name("tokenizer.kind"), flat_name("data.sources")
    ('tokenizer', 'data.sources')
    """
    return next((name for name, (place, _) in flat_fields().items() if place == dotted), dotted)


def flat_settings(settings: Mapping[str, Any], others: Iterable[str] = ()) -> Tables:
    """Return settings by flat names as tables. None leaves a setting out.

    others: further names that the caller takes, for the advice on a wrong one. Raises UserError for a name
    that no setting has.

    >>> flat_settings({"size": "nano", "minutes": 1, "seed": None})
    {'model': {'size': 'nano'}, 'train': {'minutes': 1}}
    """
    tables: Tables = {}
    for name, value in settings.items():
        if name not in flat_fields():
            raise UserError(_unknown(name, others))
        if value is not None:
            table, _, field = flat_fields()[name][0].rpartition(".")
            tables = merge(tables, {table: {field: value}} if table else {field: value})
    return tables


def _unknown(name: str, others: Iterable[str]) -> str:
    """Return the message for a name that no setting has, with the one that was meant."""
    flags = {"--" + each.rstrip("_").replace("_", "-") for each in (*flat_fields(), *others)}
    remedy = advice("--" + name.replace("_", "-"), flags, set(), "")
    remedy = re.sub(r"--([a-z-]+)", lambda match: f"`{match[1].replace('-', '_')}`", remedy)
    return f"`{name}`: no such setting. {remedy or '`help(glassgpt.train)` lists all settings.'}"


def takes_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function with `**settings` so that its signature names each setting, with type and default.

    `help`, editors and notebooks show the signature and complete the names.
    """
    own = signature(function)
    first = [each for each in own.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    named = {each.name for each in first}
    more = [_parameter(name, field) for name, (_, field) in flat_fields().items() if name not in named]
    returns = get_type_hints(function).get("return", Signature.empty) if own.return_annotation else own.empty
    function.__signature__ = own.replace(parameters=[*first, *more], return_annotation=returns)  # pyright: ignore[reportFunctionMemberAccess]
    return function


def _parameter(name: str, field: FieldInfo) -> Parameter:
    default = None if field.is_required() else field.get_default()
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=field.annotation)
