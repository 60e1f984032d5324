"""The MLP of a block: each token on its own, between two rounds of attention."""

import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn import cpu


class GeluMLP(nn.Module):
    """Two matrices with GELU between them: GPT-2's tanh form, or the exact x · Φ(x)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.n_embd, config.hidden, bias=config.bias)
        self.proj = nn.Linear(config.hidden, config.n_embd, bias=config.bias)
        self.gelu = F.gelu if config.mlp == "gelu_erf" else cpu.gelu_tanh

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        return self.proj(self.gelu(self.fc(x)))


class SwigluMLP(nn.Module):
    """A gated MLP: silu(gate) · up; `fc` holds both in one matrix. Source: Shazeer 2020."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.n_embd, 2 * config.hidden, bias=config.bias)
        self.proj = nn.Linear(config.hidden, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        return self.proj(cpu.swiglu(self.fc(x)))


def make_mlp(config: ModelConfig) -> GeluMLP | SwigluMLP:
    """Build the MLP named by `config.mlp`."""
    return SwigluMLP(config) if config.mlp == "swiglu" else GeluMLP(config)
