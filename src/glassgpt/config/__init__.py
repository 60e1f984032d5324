"""Configuration of a training run. Never imports torch, so help and configuration errors are instant."""

from glassgpt.config.base import Config, merge, preset
from glassgpt.config.model import ModelConfig
from glassgpt.config.renamed import check_renamed, check_renamed_flags
from glassgpt.config.resumable import FIXED
from glassgpt.config.schema import (
    DataConfig,
    InitFromConfig,
    OptimConfig,
    RunConfig,
    TokenizerConfig,
    TrainConfig,
)

__all__ = [
    "FIXED",
    "Config",
    "DataConfig",
    "InitFromConfig",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "TokenizerConfig",
    "TrainConfig",
    "check_renamed",
    "check_renamed_flags",
    "merge",
    "preset",
]
