"""Hand-written backward passes against torch's: norm, rotary positions, GELU, gated MLP."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.nn import Rope
from glassgpt.nn.cpu import gelu_tanh, swiglu
from glassgpt.nn.norm import RMSNorm


def doubles(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_rms_norm() -> None:
    norm = RMSNorm(6).double()
    x, gain = doubles(2, 3, 4, 6), doubles(6)
    turned = x.transpose(1, 2)  # as heads are: not contiguous

    def ours(x: Tensor, gain: Tensor) -> Tensor:
        return torch.func.functional_call(norm, {"weight": gain}, (x,))

    torch.testing.assert_close(ours(turned, gain), F.rms_norm(turned, (6,), gain, 1e-6))
    assert torch.autograd.gradcheck(ours, (x, gain))
    assert torch.autograd.gradcheck(lambda x: ours(x.transpose(1, 2), gain), (x,))


def test_rms_norm_of_a_row_far_from_zero_mean() -> None:
    """The mean that LayerNorm's kernel takes away is large here, and all of it comes back."""
    x = (torch.randn(5, 64) + 100).requires_grad_()
    upstream = torch.randn(5, 64) + 100
    norm = RMSNorm(64)
    (ours,) = torch.autograd.grad(norm(x), x, upstream)
    exact = x.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(
        F.rms_norm(exact, (64,), norm.weight.double(), 1e-6), exact, upstream.double()
    )
    torch.testing.assert_close(ours.double(), expected, atol=1e-5, rtol=1e-4)


def test_rotation() -> None:
    rope, x = Rope(torch.randn(4, 3).double().cos(), torch.randn(4, 3).double().sin()), doubles(2, 2, 4, 6)
    a, b = x.chunk(2, dim=-1)
    expected = torch.cat((a * rope.cos - b * rope.sin, b * rope.cos + a * rope.sin), dim=-1)
    torch.testing.assert_close(rope.rotate(x), expected)
    assert torch.autograd.gradcheck(rope.rotate, (x,))
    assert torch.autograd.gradgradcheck(rope.rotate, (x,))


def test_swiglu() -> None:
    x = doubles(2, 3, 8)
    gate, up = x.chunk(2, dim=-1)
    torch.testing.assert_close(swiglu(x), F.silu(gate) * up)
    assert torch.autograd.gradcheck(swiglu, (x,))


def test_gelu() -> None:
    x = torch.linspace(-6, 6, 101).requires_grad_()
    exact = x.detach().double().requires_grad_()
    upstream = torch.randn(101)
    (ours,) = torch.autograd.grad(gelu_tanh(x), x, upstream)
    (expected,) = torch.autograd.grad(F.gelu(exact, approximate="tanh"), exact, upstream.double())
    torch.testing.assert_close(gelu_tanh(x).double(), F.gelu(exact, approximate="tanh"), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.double(), expected, atol=1e-6, rtol=1e-5)
