"""Vision transformer: square patches of an image as a sequence, with bidirectional attention.

No convolution: one position embedding per patch learns the neighborhood.
Source: Dosovitskiy et al. 2021, "An image is worth 16×16 words".
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.transformer import Transformer
from glassgpt.nn import AttnMask, Memory, init_weights


class PatchEncoder(Transformer):
    """Patches, embedded by one matrix, then bidirectional blocks.

    It has no vocabulary and no head; `encode` is its only use.
    """

    def __init__(self, config: ModelConfig) -> None:
        changes = {"n_layer": config.encoder_layers, "position": "learned", "block_size": config.n_patch}
        super().__init__(config.model_copy(update=changes), n_vocab=0)
        self.wpatch = nn.Linear(config.channels * config.patch_size**2, config.n_embd, bias=config.bias)
        init_weights(self, self.config)

    def encode(self, source: Tensor) -> Memory:
        """Encode images (B, channels, H, W), uint8: states (B, n_patch, C) of their patches, row by row."""
        pixels = source.to(self.wpatch.weight.dtype) / 127.5 - 1  # −1 (black) to 1
        size = self.config.patch_size
        patches = F.unfold(pixels, size, stride=size)  # (B, channels · size², n_patch)
        x = self.wpatch(patches.mT)  # (B, n_patch, channels · size²) -> (B, n_patch, C)
        return Memory(self.run_blocks(x, AttnMask.full()), AttnMask.full())
