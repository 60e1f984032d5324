"""Flags of configuration fields.

Library messages name fields in backticks (`block_size`), because a Python caller has no flags. The command
line translates them.
"""

from __future__ import annotations

import re
from functools import cache

from glassgpt.language import _

OPTIONS = (
    *(
        "adapter",
        "ablate",
        "batch",
        "beams",
        "best_of",
        "candidates",
        "draft",
        "flops",
        "head",
        "held_out",
        "hide",
        "image",
        "kind",
    ),
    *("by", "layer", "max_new_tokens", "min_p", "num_samples", "out", "pairs", "plot", "precision", "prompt"),
    *(
        "repetition_penalty",
        "stop",
        "system",
        "target",
        "temperature",
        "text",
        "tokenizer",
        "top_k",
        "top_p",
    ),
    *("seeds", "to", "vary", "view"),
)
"""Options of commands that are no configuration fields. Their flags follow from their names."""

QUOTED = re.compile(r"`([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)?)(?: ?= ?([^`]+))?`")
"""A field in backticks, alone (`seed`), with its table (`train.seed`), or with a value (`seed=3`)."""


@cache
def field_flags() -> dict[str, str]:
    """Flags by field, with and without the table's name.

    >>> [field_flags()[name] for name in ("block_size", "train.micro_batch_size", "family", "init_from.run")]
    ['--block-size', '--batch-size', '--model', '--from']
    """
    from cyclopts import Parameter  # only messages need these imports

    from glassgpt.config import Config, RunConfig

    flags = {name: _flag(name) for name in OPTIONS}
    for table, field in RunConfig.model_fields.items():
        config = field.annotation
        if not (isinstance(config, type) and issubclass(config, Config)):  # a setting outside the tables
            flags[table] = _flag(table)
            continue
        for name, setting in config.model_fields.items():
            parameter = next((m for m in setting.metadata if isinstance(m, Parameter)), Parameter())
            if parameter.parse is False:
                continue
            flag = min(parameter.name or (_flag(name),), key=len)
            flags[f"{table}.{name}"] = flag
            if name not in ("run", "kind"):  # too short to mean one thing without their tables
                flags.setdefault(name, flag)
    return flags | {"sources": "SOURCES", "data.sources": "SOURCES"}


def with_flags(text: str) -> str:
    """Translate a message, and replace configuration fields in backticks by their flags.

    >>> with_flags("`block_size`: 64 is too short. Raise it, or set `family=bigram`.")
    '--block-size: 64 is too short. Raise it, or set --model bigram.'
    >>> with_flags("Use `glassgpt fill runs/gaps`.")
    'Use `glassgpt fill runs/gaps`.'
    """
    text = _(text)
    if "`" not in text:
        return text

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in field_flags():
            return match[0]
        return field_flags()[name] + (f" {value}" if value else "")

    return QUOTED.sub(flag, text)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
