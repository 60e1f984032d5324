"""Normalization of the residual stream before each layer reads it."""

from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn import cpu


class RMSNorm(nn.RMSNorm):
    """Unit mean square over the last dimension.

    The gain takes the input's dtype, as under autocast.
    """

    def __init__(self, width: int, eps: float | None = None) -> None:
        super().__init__(width, eps=eps or 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        assert self.eps is not None
        return cpu.rms_norm(x, self.weight.to(x.dtype), self.eps)


def make_norm(config: ModelConfig) -> nn.Module:
    """Build LayerNorm (zero mean, unit variance) or RMSNorm, over the last dimension C."""
    if config.norm == "rms":
        return RMSNorm(config.n_embd, config.eps)
    return nn.LayerNorm(config.n_embd, eps=config.eps, bias=config.bias)
