"""Formats that a configuration can leave in; tests/equivalence/test_huggingface.py compares their logits."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from glassgpt.config import ModelConfig, RunConfig, exportable_as


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"preset": "speedrun"}, "n-gram embeddings (`ngram_order` is 5)"),
        ({"family": "encoder"}, "the family encoder"),
        ({"norm": "layer"}, "Qwen3ForCausalLM, needs `norm=rms`"),
        ({"window": 8}, "Qwen3ForCausalLM, needs `window` left out"),
        ({"preset": "gpt2", "n_kv_head": 2}, "GPT2LMHeadModel, needs `n_kv_head=4`"),
        ({"preset": "gpt2", "head_size": 8}, "GPT2LMHeadModel, needs `head_size` left out"),
        ({"preset": "gpt2", "mlp": "swiglu", "window": 8}, "needs `mlp=gelu`, `window` left out"),
    ],
)
def test_a_model_that_no_other_program_holds(given: dict, reason: str) -> None:
    found = exportable_as(ModelConfig.model_validate(given))
    assert not found.formats and reason in found.reason
    with pytest.raises(ValidationError, match="leave `exportable` out"):
        RunConfig.model_validate({"exportable": True, "model": given})
    assert not RunConfig.model_validate({"model": given}).exportable


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"head_size": 40, "norm_eps": 1e-5}, "Qwen3ForCausalLM"),
        ({"head_size": 40, "qk_norm": False, "norm_eps": 1e-5}, "LlamaForCausalLM"),
        ({"preset": "gpt2", "norm_eps": 1e-6}, "GPT2LMHeadModel"),
        ({"preset": "gpt2", "mlp": "gelu_erf", "bias": False, "tie_embeddings": False}, "GPT2LMHeadModel"),
    ],
)
def test_the_class_that_holds_a_model(given: dict, name: str) -> None:
    assert exportable_as(ModelConfig.model_validate(given)).formats == (name,)


@pytest.mark.parametrize("preset", ["modern", "gpt2"])
def test_the_presets_for_others_can_leave(preset: str) -> None:
    config = RunConfig.model_validate({"exportable": True, "model": {"preset": preset, "size": "nano"}})
    assert len(exportable_as(config.model).formats) == 1
