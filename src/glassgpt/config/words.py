"""Settings in words: `size=nano lr=0.01`, `--preset speedrun --block-size 128`, or the name of a preset."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from cyclopts import Parameter

from glassgpt.config.base import Config, Kind, Tables, merge, preset_names
from glassgpt.config.schema import RunConfig
from glassgpt.errors import UserError

Place = tuple[str, ...]
"""Table and field of a setting, or its field alone outside of the tables."""
PRESET_FIELDS: dict[Kind, str] = {"architecture": "preset", "size": "size", "family": "family"}


def settings_in_words(words: str | Sequence[str]) -> Tables:
    """Return the settings that words name, as tables.

    A word is `field=value`, a flag with its value, the name of a preset, or else a source of text. Values are
    written as in TOML; quotes may be left out. Raises UserError for a setting that does not exist.

    >>> settings_in_words("nano lr=0.01 --block-size 128 --no-byte-fallback")["model"]
    {'size': 'nano', 'block_size': 128}
    """
    tables: Tables = {}
    for place, value in _settings(shlex.split(words) if isinstance(words, str) else list(words)):
        before = tables.get("data", {}).get("sources", ())
        if place == ("data", "sources"):
            value = (*before, value)
        tables = merge(tables, {place[0]: {place[1]: value}} if len(place) > 1 else {place[0]: value})
    return tables


def _settings(words: list[str]) -> Iterator[tuple[Place, Any]]:
    while words:
        word = words.pop(0)
        name, has_value, value = word.partition("=")
        if word.startswith("--") and not has_value:
            if word.startswith("--no-") and (place := places().get(_name(word[5:]))):
                yield place, False
                continue
            value = words.pop(0) if words and not words[0].startswith("--") else "true"
            yield _place(word), _value(value)
        elif has_value and (name.startswith("--") or _name(name) in places()):
            yield _place(name), _value(value)
        elif has_value and name.replace("_", "").replace("-", "").isalnum():
            yield _place(name), None  # raises
        else:
            kinds = (kind for kind in PRESET_FIELDS if word in preset_names(kind))
            kind = next(kinds, None)
            yield (("model", PRESET_FIELDS[kind]) if kind else ("data", "sources")), word


@cache
def places() -> dict[str, Place]:
    """Return the place of each setting by its names: field, flag and `table.field`."""
    found: dict[str, Place] = {}
    for table, about in RunConfig.model_fields.items():
        config = about.annotation
        if not (isinstance(config, type) and issubclass(config, Config)):
            found[table] = (table,)
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
    if (place := places().get(_name(word))) is None:
        raise UserError(f"{word}: no such setting. `glassgpt train --help` lists all settings.")
    return place


def _name(word: str) -> str:
    return word.removeprefix("--").replace("-", "_")


def _value(text: str) -> Any:
    """Read a value as TOML does; a word without quotes is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
