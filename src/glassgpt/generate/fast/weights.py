"""Weight matrices laid out for few rows of x, where the time goes into reading the weights, not into sums.

torch's own product of a matrix and one vector reads a third of what the memory of a CPU can give. A table of
panels is read as fast as the memory gives: by blocks.c where there is a C compiler, else by torch's
`embedding_bag`, as a weighted sum of rows of Wᵀ; for several vectors oneDNN's blocked layout is torch's
quickest. Where none of these is to be had (no x86, a GPU), the plain product is taken. Reasons:
decisions/0021 and 0027; figures: docs/experiments.md.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.generate.fast import native as compiled
from glassgpt.models import Model

Precision = Literal["float32", "bfloat16", "int8"]
"""How weights are kept for generation. Sums are always taken in float32 on a CPU."""

BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
WIDTH: dict[str, int] = {"float32": 48, "bfloat16": 96, "int8": 192}
"""Numbers that stand together in a table's row, 192 bytes: as many as registers hold sums for."""
_byte_bag = torch.ops.quantized.embedding_bag_byte_rowwise_offsets
SUM = 0
"""The mode of `embedding_bag` that adds."""


def has_quick_kernels(device: torch.device) -> bool:
    """Whether FBGEMM and oneDNN, which the quick layouts are for, are there."""
    return (
        device.type == "cpu"
        and "fbgemm" in torch.backends.quantized.supported_engines
        and torch.backends.mkldnn.is_available()
    )


def check_precision(precision: str, device: torch.device) -> None:
    """Raise UserError for a precision that is unknown, or not to be had on this device."""
    if precision not in get_args(Precision):
        raise UserError(
            f"there is no precision {precision!r} for generation: choose {', '.join(get_args(Precision))}"
        )
    if precision == "int8" and device.type != "cpu":
        raise UserError(f"int8 weights are for the CPU, not for {device}: take bfloat16 there")


class Matrix:
    """W (N, C) and a bias (N,) or None: `matrix(x)` is x Wᵀ + b for few rows of x."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: Precision) -> None:
        self.dtype = torch.bfloat16 if precision == "bfloat16" else weight.dtype
        self.weight, self.bias = weight.to(self.dtype), None if bias is None else bias.to(self.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """(R, C) -> (R, N)."""
        return F.linear(x.to(self.dtype), self.weight, self.bias).to(x.dtype)


class PackedMatrix(Matrix):
    """The same on an x86 CPU, from a table. Without a compiler several rows take the blocked layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: Precision) -> None:
        self.N, self.C = weight.shape
        width = WIDTH[precision]
        n_bags = -(-self.N // width)
        padded = F.pad(weight, (0, 0, 0, n_bags * width - self.N))  # (n_bags · width, C)
        table = padded.view(n_bags, width, self.C).mT.contiguous().view(-1, width)  # (n_bags · C, width)
        self.n_bags, self.bias, self.precision = n_bags, None if bias is None else bias.detach(), precision
        self.table = _quantize(table) if precision == "int8" else table.to(_dtype(precision))
        self.exact = weight if precision == "float32" else None
        self.blocked: Tensor | None = None  # made when several rows come for the first time
        self.library = compiled.load()
        self.struct = compiled.Matrix(
            table=self.table.data_ptr(),
            bias=None if self.bias is None else self.bias.data_ptr(),
            N=self.N,
            C=self.C,
            per_word=4 // BYTES[precision],
        )

    def __call__(self, x: Tensor) -> Tensor:
        if self.library is not None:
            return compiled.multiply(self.library, self.struct, x.contiguous())
        if x.shape[0] == 1:  # len(x) takes as long as a small kernel
            y = self._weighted_sum(x)
            return y if self.bias is None else y.add_(self.bias)
        if self.blocked is None:
            weight = self.dense() if self.exact is None else self.exact
            self.blocked = torch.ops.mkldnn._reorder_linear_weight(weight, 16)
        return torch.ops.mkldnn._linear_pointwise(x.contiguous(), self.blocked, self.bias, "none", [], "")

    def _weighted_sum(self, x: Tensor) -> Tensor:
        """(1, C) -> (1, N): of each bag's C rows, each times its x."""
        rows, offsets = _bags(self.n_bags, self.C)
        shares = x.expand(self.n_bags, self.C).reshape(-1)
        if self.precision == "float32":
            y = torch.embedding_bag(self.table, rows, offsets, False, SUM, False, shares)[0]
        elif self.precision == "bfloat16":
            y = torch.embedding_bag(self.table, rows, offsets, False, SUM, False, shares.bfloat16())[
                0
            ].float()
        else:
            y = _byte_bag(self.table, rows, offsets, False, SUM, False, shares, None, False)
        y = y.view(1, -1)
        return y if y.shape[1] == self.N else y[:, : self.N]

    def dense(self) -> Tensor:
        """The weights (N, C) in float32, as rounded by their precision."""
        if self.precision == "int8":
            table = torch.ops.quantized.embedding_bag_byte_unpack(self.table)
        else:
            table = self.table.float()
        return table.view(self.n_bags, self.C, -1).transpose(1, 2).reshape(-1, self.C)[: self.N].contiguous()


def pack(weight: Tensor, bias: Tensor | None, precision: Precision = "float32") -> Matrix:
    """The quickest layout that there is for W (N, C) on its device. Raises UserError as `check_precision`."""
    check_precision(precision, weight.device)
    weight, bias = weight.detach(), None if bias is None else bias.detach()
    if has_quick_kernels(weight.device) and weight.dtype == torch.float32:
        return PackedMatrix(weight, bias, precision)
    if precision == "int8":  # rounded as elsewhere, and no quicker
        return Matrix(PackedMatrix(weight.float(), None, precision).dense().to(weight.dtype), bias, "float32")
    return Matrix(weight, bias, precision)


def _dtype(precision: Precision) -> torch.dtype:
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _quantize(table: Tensor) -> Tensor:
    """Each row as bytes, with a scale and an offset of its own (8 bytes more)."""
    return torch.ops.quantized.embedding_bag_byte_prepack(table)


@cache
def _bags(n_bags: int, C: int) -> tuple[Tensor, Tensor]:
    """Which rows of a table each bag adds up, and where each bag begins."""
    rows = torch.arange(n_bags * C, dtype=torch.int32)
    return rows, torch.arange(n_bags, dtype=torch.int32) * C


def rounded(model: Model, precision: Precision) -> Model:
    """A copy of a model, its matrices rounded to what `pack` keeps of them: to see what that costs in nats.

    A head that shares the matrix of the embedding has one of its own in the copy, as in a decoder.
    """
    copy = deepcopy(model)
    for module in copy.modules():
        if isinstance(module, nn.Linear) and precision != "float32":
            packed = PackedMatrix(module.weight.detach().float(), None, precision)
            module.weight = nn.Parameter(packed.dense().to(module.weight.dtype))
    return copy
