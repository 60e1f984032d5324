"""Encoder-decoder for translation: the decoder attends to the encoder's states.

Cross-attention takes queries from the target, keys and values from the source. Source and target share one
vocabulary, hence one embedding.
"""

from __future__ import annotations

from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.models.encoder import Encoder
from glassgpt.models.gpt import GPT
from glassgpt.nn import Memory


class Seq2Seq(GPT):
    """A decoder with cross-attention, and an encoder for the source."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab, cross=True)
        encoder_config = config.model_copy(update={"n_layer": config.encoder_layers})
        self.encoder = Encoder(encoder_config, n_vocab, self.wte)

    def encode(self, source: Tensor) -> Memory:
        """Encode a source (B, S), padded with PAD: the encoder's states (B, S, C)."""
        return self.encoder.encode(source)
