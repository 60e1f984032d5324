"""What the chapters of attention share: every head at work, and errors in units of float rounding."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from glassgpt.explain import ChapterContext
from glassgpt.explain.heads import (
    FAMILIES,
    attention_stack,
    head_example,
    largest_error,
    record_layers,
    rounding,
)
from glassgpt.explain.influence import held_out
from helpers.explain_runs import small_run


@pytest.mark.parametrize("n_kv_head", [1, 2, 4])
def test_keys_and_values_go_with_the_query_heads_that_use_them(tmp_path: Path, n_kv_head: int) -> None:
    demo = ChapterContext(small_run(tmp_path, "gpt", n_kv_head=n_kv_head)).demo("gpt")
    tokens = held_out(demo, 1, 8, torch.Generator().manual_seed(0))
    for layer in record_layers(demo.model, tokens):
        assert layer.q.shape == layer.k.shape == layer.v.shape == (4, 8, 8)
        gathered = F.scaled_dot_product_attention(layer.q, layer.k, layer.v, is_causal=True)
        torch.testing.assert_close(gathered, layer.heads)
        assert layer.allowed.equal(torch.ones(4, 8, 8).tril().bool())


def test_the_head_and_the_query_that_mix_most_are_shown() -> None:
    demo = ChapterContext().demo(*FAMILIES)
    shown = head_example(demo, 8, torch.Generator().manual_seed(3))
    tokens = held_out(demo, 1, 8, torch.Generator().manual_seed(3))
    spreads = {
        (at, head): [-sum(p * math.log(p) for p in row if p > 0) for row in weights.tolist()]
        for at, layer in enumerate(record_layers(demo.model, tokens))
        for head, weights in enumerate(layer.weights)
    }
    assert max(spreads, key=lambda key: sum(spreads[key])) == (shown.layer, shown.head)
    rows = spreads[shown.layer, shown.head]
    assert rows.index(max(rows)) == shown.row
    assert len(shown.labels) == 8


def test_of_a_translator_the_encoder_is_looked_at() -> None:
    model = ChapterContext().demo("seq2seq").model
    assert attention_stack(model) is model.get_submodule("encoder")
    weights = record_layers(attention_stack(model), torch.tensor([[3, 4, 5]]))[0].weights
    assert (weights > 0).all()  # it looks both ways


def test_rounding_bounds_two_orders_of_summing() -> None:
    a, b = torch.randn(20, 500), torch.randn(500, 20)
    backwards = a.flip(-1) @ b.flip(0)
    assert 0 < largest_error(backwards, a @ b, rounding(a, b)) <= 1
    assert largest_error(a @ b * (1 + 1e-3), a @ b, rounding(a, b)) > 1
    assert largest_error(torch.zeros(2), torch.zeros(2), torch.zeros(2)) == 0
