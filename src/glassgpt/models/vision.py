"""The eye: an image, cut into square patches, read as a sequence in which each patch sees all others.

No convolution: what lies next to what is learned, from one position embedding per patch.
Source: Dosovitskiy et al. 2021, "An image is worth 16×16 words".
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.transformer import Transformer
from glassgpt.nn import AttnMask, KVCache, Memory, init_weights


class PatchEncoder(Transformer):
    """Patches, embedded by one matrix, then blocks that look everywhere."""

    def __init__(self, config: ModelConfig) -> None:
        changes = {"n_layer": config.encoder_layers, "position": "learned", "block_size": config.n_patch}
        super().__init__(config.model_copy(update=changes), n_vocab=0)
        self.wpatch = nn.Linear(config.channels * config.patch_size**2, config.n_embd, bias=config.bias)
        init_weights(self, self.config)

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """Pixels (B, channels, H, W), uint8 -> states of the patches, row by row (B, n_patch, C)."""
        pixels = tokens.to(self.wpatch.weight.dtype) / 127.5 - 1  # from −1, black, to 1
        patches = F.unfold(pixels, self.config.patch_size, stride=self.config.patch_size)  # (B, pixels, S)
        return self.run_blocks(self.wpatch(patches.mT), AttnMask.full())

    def encode(self, source: Tensor) -> Memory:
        """source: (B, channels, H, W) -> the states of its patches, all of which may be looked at."""
        return Memory(self.trunk(source), AttnMask.full())
