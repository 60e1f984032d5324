"""Vision transformer: square patches of an image as a sequence, with bidirectional attention.

No convolution: one position embedding per patch learns the neighborhood.
Source: Dosovitskiy et al. 2021, "An image is worth 16×16 words".
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.transformer import Transformer
from glassgpt.nn import AttnMask, KVCache, Memory, init_weights


class PatchEncoder(Transformer):
    """Patches, embedded by one matrix, then bidirectional blocks.

    It has no vocabulary (`n_vocab` is 0) and no head. Its `trunk` takes pixels in place of token ids.
    """

    def __init__(self, config: ModelConfig) -> None:
        changes = {"n_layer": config.encoder_layers, "position": "learned", "block_size": config.n_patch}
        super().__init__(config.model_copy(update=changes), n_vocab=0)
        self.wpatch = nn.Linear(config.channels * config.patch_size**2, config.n_embd, bias=config.bias)
        init_weights(self, self.config)

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """tokens: pixels (B, channels, H, W), uint8 -> states (B, n_patch, C), row by row."""
        pixels = tokens.to(self.wpatch.weight.dtype) / 127.5 - 1  # −1 (black) to 1
        size = self.config.patch_size
        patches = F.unfold(pixels, size, stride=size)  # (B, channels · size², n_patch)
        return self.run_blocks(self.wpatch(patches.mT), AttnMask.full())  # mT: (B, n_patch, channels · size²)

    def encode(self, source: Tensor) -> Memory:
        """Encode images (B, channels, H, W): the states of all their patches, nothing masked."""
        return Memory(self.trunk(source), AttnMask.full())
