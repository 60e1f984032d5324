"""Arms of a comparison: the settings that a specification names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from glassgpt.checkpoint import Run, chosen_settings
from glassgpt.config import Layer, RunConfig, Tables, merge, read_toml, settings_in_words
from glassgpt.errors import UserError

Spec = RunConfig | Mapping[str, Any] | Path | str
"""A configuration, tables, a TOML file, a run's folder, or words (`size=nano lr=0.01`)."""

LENGTHS = ("steps", "minutes", "tokens")
"""Settings of `TrainConfig` that give the length of a run; one of them at a time."""
MINUTES = 1.0
"""Length of each training if none is given."""
UNWATCHED: Tables = {
    "train": {"sample_tokens": 0, "snapshots": 0, "doctor": False, "tensorboard": False, "trackio": False}
}
"""Settings of every training of a comparison: nobody reads its samples."""


class Shared(NamedTuple):
    """Settings, length and first seed that all arms share."""

    base: Tables
    length: dict[str, float]
    seed: int | None


def settings_of(spec: Spec) -> Tables:
    """Return the settings that a specification names, as tables. Raises UserError if it cannot be read."""
    if isinstance(spec, RunConfig):
        return spec.given()
    if isinstance(spec, Mapping):
        return dict(spec)
    path = Path(spec)
    if (path / "config.json").is_file():
        return chosen_settings(Run.open(path))
    if path.suffix == ".toml":
        return read_toml(path)
    if path.name == "config.json" and path.is_file():
        return chosen_settings(Run.open(path.parent))
    if isinstance(spec, Path):
        raise UserError("{spec}: no settings. Give a TOML file or the folder of a run.", spec=spec)
    return settings_in_words(spec)


def without_length(tables: Tables) -> Tables:
    """Return settings without the length of the run."""
    train = {name: value for name, value in tables.get("train", {}).items() if name not in LENGTHS}
    return {**tables, "train": train} if "train" in tables else tables


def split_base(base: Tables, arms: Mapping[str, Tables], length: Mapping[str, float]) -> Shared:
    """Take length and seed out of the settings that all arms share.

    length: the caller's own. Without any, not even an arm's own, each training gets `MINUTES`. Raises
    UserError for two lengths.
    """
    train = dict(base.get("train", {}))
    found = {name: train.pop(name) for name in LENGTHS if name in train}
    seed = train.pop("seed", None)
    chosen = {name: amount for name, amount in {**found, **length}.items() if amount is not None}
    if not chosen and not any(arm.get("train", {}).keys() & set(LENGTHS) for arm in arms.values()):
        chosen = {"minutes": MINUTES}
    return Shared({**base, "train": train} if "train" in base else base, chosen, seed)


def layers(base: Tables, arm: Tables, length: Tables, seed: int) -> list[Layer]:
    """Return the layers of one training, weakest first: what the arms share, the arm's own, length and seed.

    length: {} to keep the arm's own length.
    """
    shared = without_length(base) if length else base
    own = without_length(arm) if length else _one_length(base, arm)
    fixed = merge(UNWATCHED, {"train": {**length, "seed": seed}})
    return [Layer("both", shared), Layer("arm", own), Layer("comparison", fixed)]


def _one_length(base: Tables, arm: Tables) -> Tables:
    """Let an arm's length replace one of another kind in the base."""
    given = [name for name in LENGTHS if arm.get("train", {}).get(name)]
    others = {name: None for name in LENGTHS if name in base.get("train", {}) and name not in given}
    return merge(arm, {"train": others}) if given and others else arm
