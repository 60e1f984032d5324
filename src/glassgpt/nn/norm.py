"""Normalization of the residual stream before each layer reads it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from glassgpt.config import ModelConfig

RMS_EPS = 1e-6
"""As in Qwen3, whose weights must be ours to the last bit."""


class RMSNorm(nn.RMSNorm):
    """Unit mean square over the last dimension; the gain follows the input's type, as under autocast."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=RMS_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        gain = self.weight.to(x.dtype)
        if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
            return _RMSNorm.apply(x, gain)
        return F.rms_norm(x, self.normalized_shape, gain, self.eps)


class _RMSNorm(torch.autograd.Function):
    """The same in half the time or less: on a CPU torch puts it together from ten kernels, half of which save
    a tensor as large as x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        square = x.square().mean(-1, keepdim=True)
        scale = square.add_(RMS_EPS).rsqrt_()  # (..., 1)
        ctx.save_for_backward(x, gain, scale)
        return (x * scale).mul_(gain)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """LayerNorm's kernel, told that the mean is zero. It also takes the mean of gain · grad out of each
        row, which is put back."""
        x, gain, scale = ctx.saved_tensors
        d_x, d_gain, _ = torch.ops.aten.native_layer_norm_backward(
            grads[0], x, gain.shape, torch.zeros_like(scale), scale, gain, None, (True, True, False)
        )
        return d_x.addcmul_(scale, (grads[0] @ gain)[..., None], value=1 / x.shape[-1]), d_gain


def make_norm(config: ModelConfig) -> nn.Module:
    """LayerNorm (zero mean, unit variance) or RMSNorm (unit mean square), over the last dimension C."""
    if config.norm == "rms":
        return RMSNorm(config.n_embd)
    return nn.LayerNorm(config.n_embd, eps=1e-5, bias=config.bias)
