"""Hand-written backward passes: the same functions as in plain torch, faster on a CPU.

mlp.py, norm.py and position.py call the functions at the top; each docstring gives the formula in plain
torch. Tests compare values and gradients with torch's (tests/unit/nn/test_backward.py).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def gelu_tanh(x: Tensor) -> Tensor:
    """Compute `F.gelu(x, approximate="tanh")`, GPT-2's form of GELU, elementwise."""
    if x.device.type == "cpu" and x.dtype == torch.float32:
        return GeluTanh.apply(x)
    return F.gelu(x, approximate="tanh")


def swiglu(gate_up: Tensor) -> Tensor:
    """Compute `F.silu(gate) * up`: (..., 2 · hidden) -> (..., hidden)."""
    return Swiglu.apply(gate_up)


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """Compute `F.rms_norm`: x / √(mean(x²) + eps) · gain.

    x: (..., C), gain: (C,) -> (..., C).
    """
    if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return RmsNorm.apply(x, gain, eps)
    return F.rms_norm(x, gain.shape, gain, eps)  # pyright: ignore[reportArgumentType]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the pairs (a, b) = x.chunk(2, -1) by angles.

    In plain torch: `cat((a * cos - b * sin, b * cos + a * sin), -1)`.
    x: (B, H, T, D), cos and sin: (T, D / 2) -> (B, H, T, D).
    """
    return Rotate.apply(x, cos, sin)


class GeluTanh(torch.autograd.Function):
    """x · σ(u) with u = 2 √(2/π) (x + 0.044715 x³).

    It takes two thirds of the time of torch's kernel.
    """

    K = 2 * math.sqrt(2 / math.pi)
    A = 0.044715

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Save x and the sigmoid."""
        K, A = GeluTanh.K, GeluTanh.A
        s = torch.addcmul(x.new_tensor(K), x, x, value=K * A).mul_(x).sigmoid_()
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """d/dx x σ(u) = σ + x u' σ (1 − σ), with u' = K (1 + 3 A x²)."""
        K, A = GeluTanh.K, GeluTanh.A
        x, s = ctx.saved_tensors
        x_du = torch.addcmul(x.new_tensor(K), x, x, value=3 * K * A).mul_(x)
        return torch.addcmul(s, x_du, torch.addcmul(s, s, s, value=-1)).mul_(grads[0])


class Swiglu(torch.autograd.Function):
    """silu(gate) · up, saving the input only; the backward pass computes silu again."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        """gate_up: (..., 2 · hidden) -> (..., hidden)."""
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=-1)  # (..., hidden) each
        return F.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write the gradients of gate and up into one tensor."""
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)  # (..., hidden) each
        d_gate_up = torch.empty_like(gate_up)
        d_gate, d_up = d_gate_up.chunk(2, dim=-1)  # views, (..., hidden) each
        d_up.copy_(F.silu(gate).mul_(grads[0]))
        d_gate.copy_(torch.ops.aten.silu_backward(grads[0] * up, gate))
        return d_gate_up


class RmsNorm(torch.autograd.Function):
    """RMSNorm in half the time: torch on a CPU composes it from ten kernels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float) -> Tensor:
        """Save x, the gain and one scale a row."""
        square = x.square().mean(-1, keepdim=True)
        scale = square.add_(eps).rsqrt_()  # (..., 1)
        ctx.save_for_backward(x, gain, scale)
        return (x * scale).mul_(gain)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Call LayerNorm's kernel with a mean of zero.

        The kernel subtracts the mean of gain · grad, which is added back.
        """
        x, gain, scale = ctx.saved_tensors
        d_x, d_gain, _ = torch.ops.aten.native_layer_norm_backward(
            grads[0], x, gain.shape, torch.zeros_like(scale), scale, gain, None, (True, True, False)
        )
        total = (grads[0] @ gain)[..., None]  # (..., 1)
        return d_x.addcmul_(scale, total, value=1 / x.shape[-1]), d_gain, None


class Rotate(torch.autograd.Function):
    """Rotation of pairs; the gradient is rotated back, so x is not saved."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x: (B, H, T, D), cos and sin: (T, D / 2) -> (B, H, T, D)."""
        ctx.save_for_backward(cos, sin)
        a, b = x.chunk(2, dim=-1)  # (B, H, T, D / 2) each
        y = x * torch.cat((cos, cos), dim=-1)  # (T, D)
        y_a, y_b = y.chunk(2, dim=-1)  # views, (B, H, T, D / 2) each
        y_a.addcmul_(b, sin, value=-1)
        y_b.addcmul_(a, sin)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Rotate the gradient by the opposite angle."""
        cos, sin = ctx.saved_tensors
        return Rotate.apply(grads[0], cos, -sin), None, None
