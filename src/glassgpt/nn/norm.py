"""Normalisation of the residual stream before each layer reads it."""

from torch import nn

from glassgpt.config import ModelConfig

RMS_EPS = 1e-6
"""As in Qwen3, whose weights must be ours to the last bit."""


def make_norm(config: ModelConfig) -> nn.Module:
    """LayerNorm (zero mean, unit variance) or RMSNorm (unit mean square), over the last dimension C."""
    if config.norm == "rms":
        return nn.RMSNorm(config.n_embd, eps=RMS_EPS)
    return nn.LayerNorm(config.n_embd, eps=1e-5, bias=config.bias)
