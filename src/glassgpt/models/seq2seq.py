"""Encoder and decoder: one reads the source, the other writes the target and looks at what was read.

Queries come from the target, keys and values from the source: cross-attention. Source and target share one
embedding, as they share one vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.models.encoder import Encoder
from glassgpt.models.gpt import GPT
from glassgpt.nn import Memory


class Seq2Seq(GPT):
    """A decoder with cross-attention, and the encoder whose states it looks at."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab, cross=True)
        of_encoder = config.model_copy(update={"n_layer": config.encoder_layers})
        self.encoder = Encoder(of_encoder, n_vocab, self.wte)

    def encode(self, source: Tensor) -> Memory:
        """source: (B, S), PAD where there is none -> the encoder's states."""
        return self.encoder.encode(source)
