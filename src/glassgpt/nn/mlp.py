"""What each token does on its own, between two rounds of attention."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from glassgpt.config import ModelConfig


def gelu_tanh(x: Tensor) -> Tensor:
    """GPT-2's form of GELU, elementwise: x · σ(u) with u = 2 √(2/π) (x + 0.044715 x³)."""
    if x.device.type == "cpu" and x.dtype == torch.float32:
        return _GeluTanh.apply(x)
    return F.gelu(x, approximate="tanh")


class _GeluTanh(torch.autograd.Function):
    """The same by a sigmoid, which on a CPU takes two thirds of the time of torch's own kernel."""

    K = 2 * math.sqrt(2 / math.pi)
    A = 0.044715

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        K, A = _GeluTanh.K, _GeluTanh.A
        s = torch.addcmul(x.new_tensor(K), x, x, value=K * A).mul_(x).sigmoid_()
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """d/dx x σ(u) = σ + x u' σ (1 − σ), with u' = K (1 + 3 A x²)."""
        K, A = _GeluTanh.K, _GeluTanh.A
        x, s = ctx.saved_tensors
        x_du = torch.addcmul(x.new_tensor(K), x, x, value=3 * K * A).mul_(x)
        return torch.addcmul(s, x_du, torch.addcmul(s, s, s, value=-1)).mul_(grads[0])


class GeluMLP(nn.Module):
    """Two matrices with GELU between them: its tanh form as in GPT-2, or the exact one, x · Φ(x)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.n_embd, config.hidden, bias=config.bias)
        self.proj = nn.Linear(config.hidden, config.n_embd, bias=config.bias)
        self.gelu = F.gelu if config.mlp == "gelu_erf" else gelu_tanh

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
        return self.proj(_Swiglu.apply(self.fc(x)))


class _Swiglu(torch.autograd.Function):
    """silu(gate) · up of (..., 2 · hidden) -> (..., hidden). Keeps nothing but its input."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=-1)  # (..., hidden) each
        return F.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        d_gate_up = torch.empty_like(gate_up)
        d_gate, d_up = d_gate_up.chunk(2, dim=-1)
        d_up.copy_(F.silu(gate).mul_(grads[0]))
        d_gate.copy_(torch.ops.aten.silu_backward(grads[0] * up, gate))
        return d_gate_up


def make_mlp(config: ModelConfig) -> GeluMLP | SwigluMLP:
    """The MLP that the configuration names."""
    return SwigluMLP(config) if config.mlp == "swiglu" else GeluMLP(config)
