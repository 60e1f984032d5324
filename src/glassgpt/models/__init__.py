"""Floor 2: whole models, each a composition of the parts in `nn`."""

from glassgpt.config import ModelConfig
from glassgpt.models.base import Model
from glassgpt.models.bigram import Bigram
from glassgpt.models.gpt import GPT

__all__ = ["GPT", "Bigram", "Model", "build"]


def build(config: ModelConfig, n_vocab: int) -> Model:
    """The model that a configuration describes, with fresh weights from torch's generator."""
    match config.family:
        case "gpt":
            return GPT(config, n_vocab)
        case "bigram":
            return Bigram(config, n_vocab)
