"""What each token does on its own, between two rounds of attention."""

import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig


class GeluMLP(nn.Module):
    """Two matrices with the tanh form of GELU between them, as in GPT-2."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.n_embd, config.hidden, bias=config.bias)
        self.proj = nn.Linear(config.hidden, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        return self.proj(F.gelu(self.fc(x), approximate="tanh"))


class SwigluMLP(nn.Module):
    """A gated MLP: silu(gate) · up; `fc` holds both in one matrix. Source: Shazeer 2020."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.n_embd, 2 * config.hidden, bias=config.bias)
        self.proj = nn.Linear(config.hidden, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        gate, up = self.fc(x).chunk(2, dim=-1)  # (B, T, hidden) each
        return self.proj(F.silu(gate) * up)


def make_mlp(config: ModelConfig) -> nn.Module:
    """The MLP that the configuration names."""
    return GeluMLP(config) if config.mlp == "gelu" else SwigluMLP(config)
