"""Captions and answers about an image: a text decoder with cross-attention to image patches.

Queries come from the text, keys and values from the image, as in translation.
"""

from __future__ import annotations

from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.models.gpt import GPT
from glassgpt.models.vision import PatchEncoder
from glassgpt.nn import Memory


class Captioner(GPT):
    """A decoder with cross-attention, and a patch encoder for images."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab, cross=True)
        self.vision_encoder = PatchEncoder(config)

    def encode(self, source: Tensor) -> Memory:
        """Encode images (B, channels, H, W), uint8: the states of their patches."""
        return self.vision_encoder.encode(source)
