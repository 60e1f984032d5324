"""Whole models, each a composition of the parts in `nn`."""

from collections.abc import Callable

from glassgpt.config import ModelConfig
from glassgpt.models.adapters import ADAPTERS, adapt, merge_adapters
from glassgpt.models.base import Model
from glassgpt.models.bigram import Bigram
from glassgpt.models.captioner import Captioner
from glassgpt.models.encoder import Classifier, Encoder, MaskedLM
from glassgpt.models.gpt import GPT
from glassgpt.models.seq2seq import Seq2Seq
from glassgpt.models.transformer import Transformer
from glassgpt.models.vision import PatchEncoder

__all__ = [
    "ADAPTERS",
    "FAMILIES",
    "GPT",
    "Bigram",
    "Captioner",
    "Classifier",
    "Encoder",
    "MaskedLM",
    "Model",
    "PatchEncoder",
    "Seq2Seq",
    "Transformer",
    "adapt",
    "build",
    "merge_adapters",
]


def _build_gpt(config: ModelConfig, n_vocab: int) -> Model:
    model = GPT(config, n_vocab)
    return adapt(model) if config.lora_rank else model


def _build_encoder(config: ModelConfig, n_vocab: int) -> Model:
    return Classifier(config, n_vocab) if config.labels else MaskedLM(config, n_vocab)


FAMILIES: dict[str, Callable[[ModelConfig, int], Model]] = {
    "gpt": _build_gpt,
    "bigram": Bigram,
    "encoder": _build_encoder,
    "seq2seq": Seq2Seq,
    "captioner": Captioner,
}
"""Model family → constructor; each family also has a preset file in config/presets/family."""


def build(config: ModelConfig, n_vocab: int) -> Model:
    """Build the model of a configuration, with initial weights from torch's generator."""
    return FAMILIES[config.family](config, n_vocab)
