"""Normalization of the residual stream before each layer reads it."""

from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn import cpu

RMS_EPS = 1e-6
"""As in Qwen3, whose weights must be ours to the last bit."""


class RMSNorm(nn.RMSNorm):
    """Unit mean square over the last dimension.

    The gain takes the input's dtype, as under autocast.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=RMS_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return cpu.rms_norm(x, self.weight.to(x.dtype), RMS_EPS)


def make_norm(config: ModelConfig) -> nn.Module:
    """Build LayerNorm (zero mean, unit variance) or RMSNorm, over the last dimension C."""
    if config.norm == "rms":
        return RMSNorm(config.n_embd)
    return nn.LayerNorm(config.n_embd, eps=1e-5, bias=config.bias)
