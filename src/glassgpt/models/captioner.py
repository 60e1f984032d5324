"""Text that looks at an image: the text asks, the patches answer.

Queries come from the words, keys and values from the image, by the same cross-attention that translates.
"""

from __future__ import annotations

from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.models.gpt import GPT
from glassgpt.models.vision import PatchEncoder
from glassgpt.nn import Memory


class Captioner(GPT):
    """A decoder with cross-attention, and the eye whose patches it looks at."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab, cross=True)
        self.vision_encoder = PatchEncoder(config)

    def encode(self, source: Tensor) -> Memory:
        """source: (B, channels, H, W), uint8 -> the states of its patches."""
        return self.vision_encoder.encode(source)
