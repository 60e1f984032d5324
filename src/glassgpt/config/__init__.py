"""Configuration: schema, presets, resolution. Never imports torch: help and errors are instant."""

from glassgpt.config.base import Config, Tables, merge, preset, preset_names
from glassgpt.config.export import Export, exportable_as
from glassgpt.config.flat import flat_fields, flat_name, flat_settings, invalid, takes_settings
from glassgpt.config.layers import CORPORA, DATASETS, Layer, combine, fields, is_built_in, origins
from glassgpt.config.model import ModelConfig
from glassgpt.config.optim import OptimConfig
from glassgpt.config.problems import problem_in_words
from glassgpt.config.renamed import check_renamed, check_renamed_flags
from glassgpt.config.resolution import DEFAULT, Resolved, Setting, resolve
from glassgpt.config.resumable import FIXED
from glassgpt.config.schema import (
    DataConfig,
    InitFromConfig,
    RunConfig,
    TokenizerConfig,
    TrainConfig,
)
from glassgpt.config.toml import read_toml
from glassgpt.config.words import named_values, origin_in_words, setting_in_words, settings_in_words

__all__ = [
    "CORPORA",
    "DATASETS",
    "DEFAULT",
    "FIXED",
    "Config",
    "DataConfig",
    "Export",
    "InitFromConfig",
    "Layer",
    "ModelConfig",
    "OptimConfig",
    "Resolved",
    "RunConfig",
    "Setting",
    "Tables",
    "TokenizerConfig",
    "TrainConfig",
    "check_renamed",
    "check_renamed_flags",
    "combine",
    "exportable_as",
    "fields",
    "flat_fields",
    "flat_name",
    "flat_settings",
    "invalid",
    "is_built_in",
    "merge",
    "named_values",
    "origin_in_words",
    "origins",
    "preset",
    "preset_names",
    "problem_in_words",
    "read_toml",
    "resolve",
    "setting_in_words",
    "settings_in_words",
    "takes_settings",
]
