"""Weight layouts for products with few rows of x.

Their time goes into reading weights, not into sums. torch's own product of a matrix and one vector uses a
third of a CPU's RAM bandwidth. A table of panels uses all of it: with blocks.c if there is a C compiler, else
with torch's `embedding_bag`, a weighted sum of rows of Wᵀ. For several vectors, oneDNN's blocked layout is
torch's fastest. Without these (no x86, a GPU), it is the plain product. Reasons: decisions/0021 and 0027;
figures: docs/experiments.md.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.generate.fast import native
from glassgpt.models import Model

Precision = Literal["float32", "bfloat16", "int8"]
"""Number format of the weights in generation. On a CPU, sums are always in float32."""

BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
WIDTH: dict[str, int] = {"float32": 48, "bfloat16": 96, "int8": 192}
"""Numbers in a table's row, 192 bytes: as many as registers can hold sums for."""
_byte_bag = torch.ops.quantized.embedding_bag_byte_rowwise_offsets
SUM = 0
"""`embedding_bag` mode of a sum."""


def has_fast_kernels(device: torch.device) -> bool:
    """True if FBGEMM and oneDNN, which use the fast layouts, are available."""
    return (
        device.type == "cpu"
        and "fbgemm" in torch.backends.quantized.supported_engines
        and torch.backends.mkldnn.is_available()
    )


def check_precision(precision: str, device: torch.device) -> None:
    """Raise UserError for an unknown precision, and for int8 outside the CPU."""
    if precision not in get_args(Precision):
        raise UserError(
            "`precision` is {precision!r}. Choose {precisions}.",
            precision=precision,
            precisions=", ".join(get_args(Precision)),
        )
    if precision == "int8" and device.type != "cpu":
        raise UserError("int8 weights are for the CPU, not for {device}. Use bfloat16 there.", device=device)


class Matrix:
    """W (N, C) and a bias (N,) or None: `matrix(x)` is x Wᵀ + b."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: Precision) -> None:
        self.dtype = torch.bfloat16 if precision == "bfloat16" else weight.dtype
        self.weight, self.bias = weight.to(self.dtype), None if bias is None else bias.to(self.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """(R, C) -> (R, N)."""
        return F.linear(x.to(self.dtype), self.weight, self.bias).to(x.dtype)


class PackedMatrix(Matrix):
    """The same on an x86 CPU, with the weights in a table.

    Without native code, several rows use the blocked layout.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: Precision) -> None:
        self.N, self.C = weight.shape
        width = WIDTH[precision]
        n_bags = -(-self.N // width)
        padded = F.pad(weight, (0, 0, 0, n_bags * width - self.N))  # (n_bags · width, C)
        panels = padded.view(n_bags, width, self.C).mT.contiguous()  # (n_bags, C, width)
        table = panels.view(-1, width)  # (n_bags · C, width)
        self.n_bags, self.bias, self.precision = n_bags, None if bias is None else bias.detach(), precision
        self.table = _quantize(table) if precision == "int8" else table.to(_dtype(precision))
        self.exact = weight if precision == "float32" else None
        self.blocked: Tensor | None = None  # built with the first call with several rows
        self.library = native.load()
        self.struct = native.MatrixStruct(
            table=self.table.data_ptr(),
            bias=None if self.bias is None else self.bias.data_ptr(),
            N=self.N,
            C=self.C,
            per_word=4 // BYTES[precision],
        )

    def __call__(self, x: Tensor) -> Tensor:
        """(R, C) -> (R, N)."""
        if self.library is not None:
            return native.multiply(self.library, self.struct, x.contiguous())
        if x.shape[0] == 1:  # `len(x)` takes as long as a small kernel
            y = self._weighted_sum(x)
            return y if self.bias is None else y.add_(self.bias)
        if self.blocked is None:
            weight = self.dense() if self.exact is None else self.exact
            self.blocked = torch.ops.mkldnn._reorder_linear_weight(weight, 16)
        return torch.ops.mkldnn._linear_pointwise(x.contiguous(), self.blocked, self.bias, "none", [], "")

    def _weighted_sum(self, x: Tensor) -> Tensor:
        """(1, C) -> (1, N): sum each bag's C rows, row c times x_c."""
        rows, offsets = _bags(self.n_bags, self.C)
        factors = x.expand(self.n_bags, self.C).reshape(-1)  # (n_bags · C,)
        if self.precision == "int8":
            y = _byte_bag(self.table, rows, offsets, False, SUM, False, factors, None, False)
        else:
            factors = factors.to(self.table.dtype)
            y = torch.embedding_bag(self.table, rows, offsets, False, SUM, False, factors)[0].float()
        y = y.view(1, -1)  # (n_bags, width) -> (1, n_bags · width)
        return y if y.shape[1] == self.N else y[:, : self.N]

    def dense(self) -> Tensor:
        """Return the rounded weights (N, C) in float32."""
        if self.precision == "int8":
            table = torch.ops.quantized.embedding_bag_byte_unpack(self.table)
        else:
            table = self.table.float()
        panels = table.view(self.n_bags, self.C, -1).transpose(1, 2)  # (n_bags, width, C)
        return panels.reshape(-1, self.C)[: self.N].contiguous()  # (n_bags · width, C) -> (N, C)


def pack(weight: Tensor, bias: Tensor | None, precision: Precision = "float32") -> Matrix:
    """Choose the fastest layout for W (N, C) on its device.

    Raises UserError as `check_precision`.
    """
    check_precision(precision, weight.device)
    weight, bias = weight.detach(), None if bias is None else bias.detach()
    if has_fast_kernels(weight.device) and weight.dtype == torch.float32:
        return PackedMatrix(weight, bias, precision)
    if precision == "int8":  # rounded as elsewhere, but not faster
        return Matrix(PackedMatrix(weight.float(), None, precision).dense().to(weight.dtype), bias, "float32")
    return Matrix(weight, bias, precision)


def _dtype(precision: Precision) -> torch.dtype:
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _quantize(table: Tensor) -> Tensor:
    """Quantize each row to bytes, with its own scale and offset (8 bytes more)."""
    return torch.ops.quantized.embedding_bag_byte_prepack(table)


@cache
def _bags(n_bags: int, C: int) -> tuple[Tensor, Tensor]:
    """Return the rows of all bags, (n_bags · C,), and their starts, (n_bags,)."""
    rows = torch.arange(n_bags * C, dtype=torch.int32)
    return rows, torch.arange(n_bags, dtype=torch.int32) * C


def rounded(model: Model, precision: Precision) -> Model:
    """Copy a model with rounded matrices, to measure the loss of a precision.

    A head tied to the embedding has its own matrix in the copy, as in a decoder.
    """
    copy = deepcopy(model)
    for module in copy.modules():
        if isinstance(module, nn.Linear) and precision != "float32":
            packed = PackedMatrix(module.weight.detach().float(), None, precision)
            module.weight = nn.Parameter(packed.dense().to(module.weight.dtype))
    return copy
