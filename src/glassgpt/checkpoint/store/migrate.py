"""Migrations of runs from older formats to today's, one format at a time.

To change the files of a run: raise FORMAT, add a `Migration` under the old number, and keep a run of the old
format in `tests/golden`. It must load to the same logits and resume to the same weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.safe_io import damaged, quoted

FORMAT = 2
"""The format of new files."""

Json = dict[str, Any]
T = TypeVar("T")


def _same_json(value: Json) -> Json:
    return value


def _same_name(stem: str, name: str) -> str:
    return name


@dataclass(frozen=True)
class Migration:
    """One format to the next: config.json, state.json, and the names of tensors.

    `name` takes the stem of the file ("model", "optimizer") and the tensor's old name. It returns the new
    one.
    """

    config: Callable[[Json], Json] = _same_json
    state: Callable[[Json], Json] = _same_json
    name: Callable[[str, str], str] = _same_name


def _rename_keys(value: Json, names: dict[str, str]) -> Json:
    return {names.get(key, key): item for key, item in value.items()}


def _config_1_to_2(config: Json) -> Json:
    config = _rename_keys(config, {"tune": "init_from"})
    data, model = config.get("data"), config.get("model")
    is_chat = False
    if isinstance(data, dict):
        data = _rename_keys(data, {"skip_bad": "skip_invalid"})
        is_chat = bool(data.pop("chat", False))
        config["data"] = data
    if isinstance(model, dict):
        config["task"] = "chat" if is_chat else _task_of_format_1(model)
    return config


def _task_of_format_1(model: Json) -> str:
    """Format 1 named no task: it followed from the model family, the classes and the kind of data."""
    tasks = {"seq2seq": "translation", "captioner": "captioning"}
    tasks["encoder"] = "classification" if model.get("labels") else "masked"
    family = model.get("family")
    return tasks.get(family, "language") if isinstance(family, str) else "language"


def _state_1_to_2(state: Json) -> Json:
    return _rename_keys(state, {"scope": "environment", "left_out": "skipped_steps"})


MODULES_1_TO_2 = {"cross": "cross_attn", "norm_x": "norm_cross", "eye": "vision_encoder"}
ROW_STATE_1_TO_2 = {"square": "exp_avg_sq", "steps": "step"}


def _name_1_to_2(stem: str, name: str) -> str:
    """`blocks.0.cross.proj.weight` → `blocks.0.cross_attn.proj.weight`, in weights and optimizer state.

    >>> _name_1_to_2("optimizer", "muon/eye.blocks.0.attn.proj.weight/momentum")
    'muon/vision_encoder.blocks.0.attn.proj.weight/momentum'
    """
    parts = [MODULES_1_TO_2.get(part, part) for part in re.split(r"([./])", name)]
    if stem == "optimizer" and parts[0] == "rows":
        parts[0], parts[-1] = "sparse_rmsprop", ROW_STATE_1_TO_2.get(parts[-1], parts[-1])
    return "".join(parts)


MIGRATIONS: dict[int, Migration] = {1: Migration(_config_1_to_2, _state_1_to_2, _name_1_to_2)}
"""Migrations by the older format."""


def path_from(version: int) -> list[Migration]:
    """Return the migrations from a format to today's. Raises UserError for an unknown one."""
    if version > FORMAT:
        raise UserError(
            "format {version} is newer than {format}, the newest that this version reads. Update glassgpt: "
            "pip install --upgrade glassgpt",
            version=quoted(version),
            format=FORMAT,
        )
    if version < 1 or any(number not in MIGRATIONS for number in range(version, FORMAT)):
        raise UserError(
            "format {version} is not known; formats 1 to {format} are. Use the glassgpt that wrote it.",
            version=quoted(version),
            format=FORMAT,
        )
    return [MIGRATIONS[number] for number in range(version, FORMAT)]


def migrate_config(config: Json) -> Json:
    """Return config.json in today's form, without format number and origins. Format 1 had no number."""
    version = config.pop("format", 1)
    config.pop("origins", None)
    if type(version) is not int:
        raise damaged("config.json", N_("format is {version}, not a number", version=quoted(version)))
    for migration in path_from(version):
        config = migration.config(config)
    return config


def migrate_state(state: Json, version: int) -> Json:
    """Return state.json in today's form."""
    for migration in path_from(version):
        state = migration.state(state)
    return {**state, "format": FORMAT}


def migrate_names(stem: str, named: Mapping[str, T], version: int) -> dict[str, T]:
    """Return tensors, or their specs, of one file under today's names.

    Raises UserError if two of them get the same name: a file of one format never does that.
    """
    renamed = dict(named)
    for migration in path_from(version):
        renamed = {migration.name(stem, name): value for name, value in renamed.items()}
    if len(renamed) < len(named):
        raise UserError(
            "the {stem} file mixes names of format {version} and of a newer one. Two tensors have the same "
            "name today. Do not use the file.",
            stem=stem,
            version=version,
        )
    return renamed
