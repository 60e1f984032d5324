"""Whole models, each a composition of the parts in `nn`."""

from glassgpt.config import ModelConfig
from glassgpt.models.adapters import ADAPTERS, adapt, merge_adapters
from glassgpt.models.base import Model
from glassgpt.models.bigram import Bigram
from glassgpt.models.captioner import Captioner
from glassgpt.models.encoder import Classifier, Encoder, MaskedLM
from glassgpt.models.gpt import GPT
from glassgpt.models.seq2seq import Seq2Seq
from glassgpt.models.transformer import Transformer

__all__ = [
    "ADAPTERS",
    "GPT",
    "Bigram",
    "Captioner",
    "Classifier",
    "Encoder",
    "MaskedLM",
    "Model",
    "Seq2Seq",
    "Transformer",
    "adapt",
    "build",
    "merge_adapters",
]


def build(config: ModelConfig, n_vocab: int) -> Model:
    """Build the model of a configuration, with fresh weights from torch's generator."""
    match config.family:
        case "gpt":
            return adapt(GPT(config, n_vocab)) if config.lora_rank else GPT(config, n_vocab)
        case "bigram":
            return Bigram(config, n_vocab)
        case "encoder":
            return Classifier(config, n_vocab) if config.labels else MaskedLM(config, n_vocab)
        case "seq2seq":
            return Seq2Seq(config, n_vocab)
        case "captioner":
            return Captioner(config, n_vocab)
