"""One declaration: presets fill what is not given, what is given wins, and only that counts as set."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from glassgpt.config import ModelConfig, RunConfig, TrainConfig, preset


def test_presets_fill_what_is_not_given() -> None:
    config = ModelConfig.model_validate({"preset": "gpt2", "size": "mini", "n_layer": 3})
    assert (config.n_layer, config.n_embd, config.position, config.tie_embeddings) == (
        3,
        384,
        "learned",
        True,
    )
    assert config.model_fields_set == {"preset", "size", "n_layer"}


def test_round_trip_is_exact_and_independent_of_presets() -> None:
    config = RunConfig.model_validate({"model": {"size": "mini"}, "train": {"minutes": 2}})
    stored = config.model_dump_json()
    assert RunConfig.model_validate_json(stored) == config
    assert '"n_embd":384' in stored.replace(" ", "")


@pytest.mark.parametrize("size", ["nano", "micro", "mini", "small"])
@pytest.mark.parametrize("architecture", ["gpt2", "modern"])
def test_every_preset_is_valid(size: str, architecture: str) -> None:
    config = ModelConfig.model_validate({"size": size, "preset": architecture})
    assert preset("size", size)["model"].items() <= config.model_dump().items()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_embd": 130}, "multiple of `n_head`"),
        ({"n_kv_head": 3}, "multiple of `n_kv_head`"),
        ({"n_embd": 12, "n_head": 4}, "`position` rope needs heads of an even width"),
        ({"head_size": 15}, "heads of an even width, got 15"),
        ({"head_size": 0}, "greater than or equal to 1"),
        ({"norm_eps": 0}, "greater than 0"),
        ({"size": "huge"}, "'nano', 'micro', 'mini' or 'small'"),
        ({"layers": 3}, "Extra inputs"),
        ({"n_layer": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(given: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        ModelConfig.model_validate(given)
    assert caught.value.error_count() == 1


@pytest.mark.parametrize(
    ("given", "head_dim", "eps"),
    [
        ({}, 32, 1e-6),
        ({"preset": "gpt2"}, 32, 1e-5),
        ({"head_size": 128, "norm_eps": 1e-4}, 128, 1e-4),
        ({"head_size": 6, "n_head": 7}, 6, 1e-6),  # the heads need not divide the width then
    ],
)
def test_heads_and_epsilon_follow_unless_given(given: dict, head_dim: int, eps: float) -> None:
    config = ModelConfig.model_validate(given)
    assert (config.head_dim, config.eps) == (head_dim, eps)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 1, "minutes": 1}, "give `steps` or `minutes`, not both"),
        ({"minutes": 1, "tokens": 1}, "give `minutes` or `tokens`, not both"),
        ({"steps": 1, "minutes": 1, "tokens": 1}, "give `steps` or `minutes` or `tokens`, not all"),
        ({"tokens": 0}, "greater than or equal to 1"),
    ],
)
def test_a_run_has_one_length(given: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainConfig.model_validate(given)
