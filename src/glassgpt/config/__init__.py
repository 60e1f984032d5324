"""Floor 0: what a run is made of. Never imports torch, so that help and config errors are instant."""

from glassgpt.config.base import merge, preset
from glassgpt.config.model import ModelConfig
from glassgpt.config.schema import (
    DataConfig,
    OptimConfig,
    RunConfig,
    TokenizerConfig,
    TrainConfig,
    TuneConfig,
)

__all__ = [
    "DataConfig",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "TokenizerConfig",
    "TrainConfig",
    "TuneConfig",
    "merge",
    "preset",
]
