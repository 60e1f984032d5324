"""Floor 0: what a run is made of. Never imports torch, so that help and config errors are instant."""

from glassgpt.config.base import Config, merge, preset
from glassgpt.config.model import ModelConfig
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
    "merge",
    "preset",
]
