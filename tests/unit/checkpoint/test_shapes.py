"""A model's layout without its memory, and what is held against it."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glassgpt.checkpoint.store.header import Spec
from glassgpt.checkpoint.store.shapes import (
    Layout,
    check_optimizer,
    check_weights,
    layout,
)
from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.models import build

PLAN = Layout({"a": (2, 3), "b": (4,)}, 0)
WHOLE = {"a": Spec("F32", (2, 3)), "b": Spec("F32", (4,))}


def model(**settings: object) -> ModelConfig:
    return ModelConfig.model_validate({"size": "nano", **settings})


@pytest.mark.parametrize("family", ["gpt", "bigram", "encoder", "seq2seq", "captioner"])
@pytest.mark.parametrize("preset", ["modern", "gpt2"])
def test_the_layout_is_what_would_be_built(family: str, preset: str) -> None:
    config = model(family=family, preset=preset, labels=("x", "y") if family == "encoder" else ())
    state = torch.get_rng_state()
    planned = layout(config, 50)
    assert torch.equal(torch.get_rng_state(), state)  # no weight of a training changes by asking
    built = build(config, 50)
    assert planned.shapes == {name: tuple(p.shape) for name, p in built.named_parameters()}
    assert planned.n_bytes == sum(t.nbytes for t in (*built.parameters(), *built.buffers()))


@pytest.mark.parametrize(
    ("settings", "n_vocab"),
    [
        (dict(n_layer=200, n_embd=65_536, n_head=256), 1000),
        (dict(n_layer=1, n_head=1, n_embd=65_536, block_size=1_048_576), 300),  # tables of positions
        (dict(n_layer=1, n_hidden=10**18), 300),
        (dict(n_layer=1, n_hidden=10**30), 300),
        (dict(family="bigram"), 10_000_000),
    ],
)
def test_a_terabyte_is_refused_before_it_is_built(settings: dict[str, object], n_vocab: int) -> None:
    began = time.process_time()
    with pytest.raises(UserError, match=r"config\.json asks for a model (of [\d,.]+ GB|beyond)"):
        layout(model(**settings), n_vocab)
    assert time.process_time() - began < 30


def test_weights_that_fit() -> None:
    check_weights(WHOLE, PLAN, "x")
    check_weights({name: Spec("F16", spec.shape) for name, spec in WHOLE.items()}, PLAN, "x")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"c": Spec("F32", ())}, "'c', which only the file has"),
        ({"b": None}, "'b', which only the model of config.json has"),
        ({"a": Spec("F32", (3, 2))}, r"'a' is \(3, 2\) in the file, and \(2, 3\)"),
        ({"a": Spec("F16", (2, 3))}, "holds F16, F32"),
        ({"a": Spec("I64", (2, 3)), "b": Spec("I64", (4,))}, "holds I64"),
    ],
)
def test_weights_that_do_not_fit(changes: dict[str, Spec | None], match: str) -> None:
    specs = {name: spec for name, spec in (WHOLE | changes).items() if spec is not None}
    with pytest.raises(UserError, match=match):
        check_weights(specs, PLAN, "x")


OPTIMIZER = {
    "muon/a/momentum": Spec("F32", (2, 3)),
    "adamw/b/step": Spec("F32", ()),
    "adamw/b/exp_avg": Spec("F32", (4,)),
}


def test_state_of_optimizers_that_fits() -> None:
    check_optimizer(OPTIMIZER, PLAN, "x")
    check_optimizer({}, PLAN, "x")  # before the first step


@pytest.mark.parametrize(
    "state",
    [
        {"adafactor/a/exp_avg_sq_row": Spec("F32", (2,)), "adafactor/a/exp_avg_sq_col": Spec("F32", (3,))},
        {
            "soap/a/GG0": Spec("F32", (2, 2)),
            "soap/a/GG1": Spec("F32", (3, 3)),
            "soap/a/step": Spec("F32", ()),
        },
        {"adam8bit/a/state1": Spec("U8", (2, 3)), "adam8bit/a/absmax1": Spec("F32", (1,))},
        {"sgd/a/momentum": Spec("BF16", (2, 3)), "sgd/b/momentum": Spec("BF16", (4,))},
        {"sgd/a/step": Spec("I64", (1,)), "adamw/b/max": Spec("F64", (4,))},
    ],
)
def test_state_of_other_optimizers_fits(state: dict[str, Spec]) -> None:
    """A new optimizer needs no change in checkpoint."""
    check_optimizer(state, PLAN, "x")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"adamw/c/step": Spec("F32", ())}, "no weight of the model"),
        ({"step": Spec("F32", ())}, "no weight of the model"),
        ({"adamw/b/": Spec("F32", ())}, "no weight of the model"),
        ({"adamw/b/exp_avg": Spec("F32", (5,))}, "at most 4 numbers of a plain type belong to that weight"),
        ({"adamw/b/exp_avg": Spec("C64", (4,))}, "'C64'.* belong to that weight"),
        ({"muon/a/momentum": Spec("F32", (10,))}, "at most 9 numbers"),
        ({"muon/a/momentum": Spec("U8", (1 << 40,))}, "at most 9 numbers"),
        ({"adamw/a/step": Spec("F32", ())}, "not complete"),
        ({"adamw/a/step": Spec("F32", ()), "adamw/a/exp_avg": Spec("F32", (2, 3))}, "two optimizers"),
    ],
)
def test_state_of_optimizers_that_does_not_fit(changes: dict[str, Spec], match: str) -> None:
    with pytest.raises(UserError, match=match):
        check_optimizer(OPTIMIZER | changes, PLAN, "x")


@given(
    st.dictionaries(st.text(max_size=12), st.sampled_from([Spec("F32", ()), Spec("F32", (2, 3))]), max_size=4)
)
def test_any_names(specs: dict[str, Spec]) -> None:
    for check in (check_weights, check_optimizer):
        try:
            check(specs, PLAN, "x")
        except UserError:
            continue
