"""Floor 0: what a run is made of. Never imports torch, so that help and config errors are instant."""

from glassgpt.config.schema import (
    DataConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    TokenizerConfig,
    TrainConfig,
    merge,
    preset,
)

__all__ = [
    "DataConfig",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "TokenizerConfig",
    "TrainConfig",
    "merge",
    "preset",
]
