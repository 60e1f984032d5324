"""What the recorder sees is what happens: against a slow model, and against no recorder at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equivalence.test_slow_transformer import ALL, case, exact
from families.test_models import logits
from glassgpt.hooks import activation_names, record


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_every_tensor_in_float64(name: str) -> None:
    """No name missing, none left over, and all digits right."""
    model, tokens, source, slow = case(name)
    model = exact(model)
    with record(model) as seen:
        logits(model, tokens, source)
    assert set(activation_names(model)) == set(seen) == set(slow)
    for key, tensor in seen.items():
        np.testing.assert_allclose(tensor.numpy(), slow[key], atol=1e-10, rtol=0, err_msg=key)


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_every_tensor_in_float32(name: str) -> None:
    """Within 2e-6 of the largest number of each tensor: the rounding of the model's own float32."""
    model, tokens, source, slow = case(name)
    with record(model) as seen:
        logits(model, tokens, source)
    for key, tensor in seen.items():
        finite = np.isfinite(slow[key])
        assert np.array_equal(finite, tensor.isfinite().numpy()), key
        scale = np.abs(slow[key][finite]).max()
        error = np.abs(tensor.numpy()[finite] - slow[key][finite]).max()
        assert error <= 2e-6 * max(scale, 1.0), f"{key}: off by {error:.1e} of {scale:.1e}"


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_a_watched_model_computes_the_same_bits(name: str) -> None:
    model, tokens, source, _ = case(name)
    before = logits(model, tokens, source)
    with record(model):
        during = logits(model, tokens, source)
    assert torch.equal(before, during)
    assert torch.equal(before, logits(model, tokens, source))
