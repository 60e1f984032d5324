"""Matrices laid out for few rows: the same product by every layout, and what rounding leaves of it."""

from __future__ import annotations

import pytest
import torch

from glassgpt.errors import UserError
from glassgpt.generate import Precision, rounded
from glassgpt.generate.fast import native
from glassgpt.generate.fast import weights as weights_module
from glassgpt.generate.fast.weights import Matrix, PackedMatrix, has_fast_kernels, pack
from helpers.zoo import make, wake

pytestmark = pytest.mark.usefixtures("torch_only")
CPU = torch.device("cpu")
SHAPES = [(65, 96), (48, 7), (1, 5), (193, 33), (384, 64)]


@pytest.fixture
def torch_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no C compiler; test_native.py has the other."""
    monkeypatch.setattr(native, "_library", lambda: "not wanted here")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("N", "C"), SHAPES)
def test_one_row_and_several_are_the_product(N: int, C: int, bias: bool) -> None:
    weight, b, x = torch.randn(N, C), torch.randn(N) if bias else None, torch.randn(6, C)
    matrix = pack(weight, b)
    wanted = x @ weight.T + (0 if b is None else b)
    for rows in (1, 2, 6):
        torch.testing.assert_close(matrix(x[:rows]), wanted[:rows], atol=2e-5, rtol=0)
    assert isinstance(matrix, PackedMatrix) == has_fast_kernels(CPU)


@pytest.mark.parametrize(("precision", "step"), [("float32", 0.0), ("bfloat16", 2**-8), ("int8", 1 / 100)])
@pytest.mark.parametrize(("N", "C"), SHAPES)
def test_rounding_stays_within_a_step(N: int, C: int, precision: Precision, step: float) -> None:
    """bfloat16 keeps 8 bits of each number; a byte has 255 steps from the least to the largest of its row."""
    weight = torch.randn(N, C)
    dense = PackedMatrix(weight, None, precision).dense()
    assert dense.shape == weight.shape
    assert (dense - weight).abs().max() <= step * weight.abs().max()
    assert torch.equal(dense, weight) == (step == 0 or (N == 1 and precision == "int8"))  # a row of its own


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_rounded_weights_are_the_same_alone_and_together(precision: Precision) -> None:
    """One row and several go through different kernels; both see the same rounded weights."""
    weight, bias, x = torch.randn(65, 96), torch.randn(65), torch.randn(5, 96)
    matrix = PackedMatrix(weight, bias, precision)
    tolerance = 0.15 if precision == "bfloat16" else 1e-4  # bfloat16 rounds x, too
    for rows in (x, x[:1]):
        torch.testing.assert_close(matrix(rows), rows @ matrix.dense().T + bias, atol=tolerance, rtol=0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_without_quick_kernels_the_plain_product_is_taken(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_module, "has_fast_kernels", lambda device: False)
    weight, x = torch.randn(65, 96), torch.randn(3, 96)
    matrix = pack(weight, None, precision)
    assert type(matrix) is Matrix
    wanted = x @ PackedMatrix(weight, None, precision).dense().T
    torch.testing.assert_close(matrix(x), wanted, atol=0.3 if precision == "bfloat16" else 1e-4, rtol=0)


def test_other_precisions_and_devices_are_refused() -> None:
    with pytest.raises(UserError, match=r"`precision` is 'float16'. Choose float32, bfloat16, int8"):
        pack(torch.randn(3, 3), None, "float16")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="int8 weights are for the CPU, not for meta"):
        pack(torch.empty(3, 3, device="meta"), None, "int8")


def test_float64_stays_float64() -> None:
    weight, x = torch.randn(9, 5, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(pack(weight, None)(x), x @ weight.T, atol=1e-14, rtol=0)


def test_a_rounded_copy_leaves_the_model_alone_and_its_embedding_exact() -> None:
    model = wake(make("modern-tied"))
    before = {name: p.clone() for name, p in model.named_parameters()}
    copy = rounded(model, "int8")
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert torch.equal(copy.wte.weight, model.wte.weight)
    assert not torch.equal(copy.lm_head.weight, model.wte.weight)
    tokens = torch.randint(65, (2, 20))
    with torch.no_grad():
        difference = (copy(tokens) - model(tokens)).abs().max()
    assert 0 < difference < 0.1
