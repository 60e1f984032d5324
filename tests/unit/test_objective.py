"""Held-out evaluation: sums, modes, masks and devices."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from tests.helpers.zoo import V, make, wake

from glassgpt.data import IGNORE, Batch
from glassgpt.models import Model
from glassgpt.objective import CrossEntropy, Measured, evaluate


def batches_of(*shapes: tuple[int, int]) -> list[Batch]:
    batches = []
    for B, T in shapes:
        tokens = torch.randint(V, (B, T + 1))
        batches.append(Batch(tokens[:, :-1], tokens[:, 1:].clone()))
    return batches


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return wake(make("gpt2", dropout=0.5))


def test_a_measurement_is_the_sum_over_batches_of_any_size(model: Model) -> None:
    batches = batches_of((2, 8), (3, 5))
    batches[1].targets[:, 0] = IGNORE
    found = evaluate(model, batches)
    model.eval()
    with torch.no_grad():
        nats = sum(
            F.cross_entropy(
                model.predict(b.tokens).flatten(0, 1), b.targets.flatten(), reduction="sum"
            ).item()
            for b in batches
        )
    assert found.nats == pytest.approx(nats)
    assert found.n_tokens == 16 + 12 and found.nats_per_token == pytest.approx(nats / 28)
    assert (found.n_correct, found.n_rows, found.exact) == (0, 0, None)


def test_rows_are_counted_on_request_and_ignored_targets_do_not_matter(model: Model) -> None:
    model.eval()
    (batch,) = batches_of((4, 6))
    with torch.no_grad():
        batch.targets[:] = model.predict(batch.tokens).argmax(-1)
    batch.targets[0, 0] = (batch.targets[0, 0] + 1) % V  # one mistake
    batch.targets[1, 0] = IGNORE
    found = evaluate(model, [batch], count_correct=True)
    assert (found.n_correct, found.n_rows, found.exact) == (3, 4, 0.75)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_restored_even_after_an_error(model: Model, training: bool) -> None:
    model.train(training)
    assert evaluate(model, batches_of((2, 8))).nats > 0
    assert all(module.training is training for module in model.modules())

    def broken() -> Iterator[Batch]:
        yield from batches_of((2, 8))
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        evaluate(model, broken())
    assert all(module.training is training for module in model.modules())


def test_dropout_and_gradients_are_off(model: Model) -> None:
    batches = batches_of((2, 8))
    model.train()
    assert evaluate(model, batches) == evaluate(model, batches)
    assert all(p.grad is None for p in model.parameters())


def test_labels_are_smoothed_in_training_only(model: Model) -> None:
    (batch,) = batches_of((2, 8))
    objective = CrossEntropy(model.eval(), label_smoothing=0.5)
    logits = torch.zeros(2, 8, V)
    logits[..., 0] = 5.0
    objective.eval()
    exact = objective.loss(logits, batch.targets).total
    objective.train()
    assert objective.loss(logits, batch.targets).total != exact


def test_blank_hides_the_source() -> None:
    torch.manual_seed(0)
    model = wake(make("seq2seq-gpt2")).eval()
    tokens, source = torch.randint(V, (3, 7)), torch.randint(V, (3, 5))
    one, other = (Batch(tokens[:, :-1], tokens[:, 1:], s) for s in (source, source.roll(1, 0)))
    assert evaluate(model, [one]).nats != evaluate(model, [other]).nats
    assert evaluate(model, [one], blank=True).nats == pytest.approx(evaluate(model, [other], blank=True).nats)


def test_a_measurement_of_a_uniform_model_is_ln_of_the_vocabulary() -> None:
    assert Measured(300.0, 200).nats_per_token == 1.5
    model = make("bigram")
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    assert evaluate(model, batches_of((2, 8))).nats_per_token == pytest.approx(math.log(V))
