"""Normalisation of the residual stream before each layer reads it."""

import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig

RMS_EPS = 1e-6
"""As in Qwen3, whose weights must be ours to the last bit."""


class RMSNorm(nn.RMSNorm):
    """Unit mean square over the last dimension; the gain follows the input's type, as under autocast."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=RMS_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


def make_norm(config: ModelConfig) -> nn.Module:
    """LayerNorm (zero mean, unit variance) or RMSNorm (unit mean square), over the last dimension C."""
    if config.norm == "rms":
        return RMSNorm(config.n_embd)
    return nn.LayerNorm(config.n_embd, eps=1e-5, bias=config.bias)
