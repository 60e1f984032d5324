"""Settings in words: `size=nano lr=0.01`, `--preset speedrun --block-size 128`, or the name of a preset."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from cyclopts import Parameter

from glassgpt.config.base import Config, Kind, Tables, merge, preset_names
from glassgpt.config.schema import RunConfig
from glassgpt.errors import UserError
from glassgpt.language import N_, join_texts

Place = tuple[str, str]
"""Table and field of a setting; the table is "" outside of the tables."""
ORIGINS = {
    "default": N_("default"),
    "option": N_("option"),
    "autopilot": N_("autopilot"),
    "data": N_("data"),
    "architecture": N_("architecture"),
    "size": N_("size"),
    "family": N_("family"),
    "task": N_("task"),
    "dataset": N_("dataset"),
    "run": N_("run"),
}
"""Kinds of origins, in words."""
PRESETS: tuple[tuple[Kind, str], ...] = (("architecture", "preset"), ("size", "size"), ("family", "family"))
"""Presets that a word may name, and the field that chooses each."""


def settings_in_words(words: str | Sequence[str]) -> Tables:
    """Return the settings that words name, as tables.

    A word is `field=value`, a flag with its value, the name of a preset, or else a source of text. Values are
    written as in TOML; quotes may be left out. Raises UserError for a setting that does not exist.

    >>> settings_in_words("nano lr=0.01 --block-size 128 --no-byte-fallback")["model"]
    {'size': 'nano', 'block_size': 128}
    """
    tables: Tables = {}
    for (table, field), value in _settings(_split(words) if isinstance(words, str) else list(words)):
        if (table, field) == ("data", "sources"):
            value = (*tables.get("data", {}).get("sources", ()), value)
        tables = merge(tables, {table: {field: value}} if table else {field: value})
    return tables


def named_values(words: str) -> dict[str, Any]:
    """Return the values in words such as `top_k=40 --temperature 0.7`, by name; {} if there is anything else.

    >>> named_values("top_k=40 --temperature 0.7"), named_values("nano top_k=40")
    ({'top_k': 40, 'temperature': 0.7}, {})
    """
    found, rest = dict[str, Any](), _split(words)
    while rest:
        name, has_value, value = rest.pop(0).partition("=")
        if not has_value:
            if not name.startswith("--") or not rest:
                return {}
            value = rest.pop(0)
        found[_name(name)] = _value(value)
    return found


def origin_in_words(origin: str) -> str:
    """Return an origin such as `option` or `size nano` as a text that `_` can translate; a file's name stays.

    >>> origin_in_words("size nano")
    'size nano'
    """
    kind, space, name = origin.partition(" ")
    return join_texts(space, [ORIGINS.get(kind, kind), name]) if space else ORIGINS.get(kind, kind)


def setting_in_words(value: object) -> str:
    """Return the value of a setting as text; a dash for none.

    >>> setting_in_words(None), setting_in_words("nano"), setting_in_words(0.5)
    ('–', 'nano', '0.5')
    """
    if value is None or value in ("", []):
        return "–"
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value, ensure_ascii=False)


def _split(words: str) -> list[str]:
    try:
        return shlex.split(words)
    except ValueError as error:
        raise UserError(
            "{words}: cannot be read ({error}). Close every quote.", words=words, error=error
        ) from error


def _settings(words: list[str]) -> Iterator[tuple[Place, Any]]:
    while words:
        word = words.pop(0)
        name, has_value, value = word.partition("=")
        if word.startswith("--") and not has_value:
            if word.startswith("--no-") and (place := setting_places().get(_name(word[5:]))):
                yield place, False
                continue
            value = words.pop(0) if words and not words[0].startswith("--") else "true"
            yield _place(word), _value(value)
        elif has_value:
            yield _place(name), _value(value)
        else:
            named = (("model", field) for kind, field in PRESETS if word in preset_names(kind))
            yield next(named, ("data", "sources")), word


@cache
def setting_places() -> dict[str, Place]:
    """Return the place of each setting by its names: field, flag and `table.field`."""
    found: dict[str, Place] = {}
    for table, about in RunConfig.model_fields.items():
        config = about.annotation
        if not (isinstance(config, type) and issubclass(config, Config)):
            found[table] = ("", table)
            continue
        for field, setting in config.model_fields.items():
            found[f"{table}.{field}"] = (table, field)
            parameter = next((each for each in setting.metadata if isinstance(each, Parameter)), Parameter())
            if parameter.parse is False:
                continue
            for name in (field, *(parameter.name or ())):
                found.setdefault(_name(name), (table, field))
    return found


def _place(word: str) -> Place:
    if (place := setting_places().get(_name(word))) is None:
        raise UserError("{word}: no such setting. `glassgpt train --help-all` lists all settings.", word=word)
    return place


def _name(word: str) -> str:
    return word.removeprefix("--").replace("-", "_")


def _value(text: str) -> Any:
    """Read a value as TOML does; a word without quotes is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
