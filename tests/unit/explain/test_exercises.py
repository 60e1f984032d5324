"""The exercises: right answers, near misses, common mistakes and wrong types are told apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import glassgpt as gg
from glassgpt.explain import NAMES, unmeasured_chapter
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise


def deviation(x: torch.Tensor) -> torch.Tensor:
    return (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()


def turned(x: torch.Tensor, position: int) -> torch.Tensor:
    """Rotate by complex numbers."""
    half = len(x) // 2
    angles = torch.tensor([position * 10_000 ** (-2 * i / len(x)) for i in range(half)])
    z = torch.complex(x[:half], x[half:]) * torch.exp(1j * angles)
    return torch.cat([z.real, z.imag])


SOLUTIONS: dict[str, list[Any]] = {
    "loss": [0.10536, lambda z, y: (z.exp().sum(1).log() - z[range(len(y)), y]).mean()],
    "sampling": [0.38, 0.3, lambda p, u: torch.searchsorted(p.cumsum(0), u, right=True)],
    "temperature": [0.5987, 16, lambda z, T: (z / T).exp() / (z / T).exp().sum(1, keepdim=True)],
    "weighted-sum": [
        1 / 6,
        lambda W, x: torch.einsum("ts,sc->tc", W, x),
        lambda x: x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None],
    ],
    "query-key": [5.0, 2304, lambda q, k: torch.einsum("btd,bsd->bts", q, k) / math.sqrt(q.shape[-1])],
    "scale": [8, 4, lambda q, k: F.softmax(torch.einsum("td,sd->ts", q, k) / q.shape[-1] ** 0.5, dim=1)],
    "graph": [55, 256, lambda x, A: torch.stack([x[row].mean(0) for row in A])],
    "mask": [
        6,
        0.7311,
        lambda s: torch.stack([F.pad(s[t, : t + 1].softmax(0), (0, len(s) - t - 1)) for t in range(len(s))]),
    ],
    "cross": [
        45,
        16,
        lambda x, m, Wq, Wk, Wv: F.scaled_dot_product_attention(
            (x @ Wq)[None], (m @ Wk)[None], (m @ Wv)[None]
        )[0],
    ],
    "qkv": [1769472, 1280, lambda y, H: torch.stack(y[:, : y.shape[1] // 3].chunk(H, dim=1))],
    "buffers": [36, 17, lambda mean, x: batch_norm(mean, x)],
    "ladder": [
        4225,
        49152,
        lambda q, k, v: torch.cat(list(F.scaled_dot_product_attention(q, k, v, is_causal=True)), dim=-1),
    ],
    "block": [
        56_623_104,
        lambda x, g: g * x / (x.pow(2).sum(-1, keepdim=True) / x.shape[-1] + 1e-6).sqrt(),
        lambda x, W, U: x + ((x - x.mean(-1, keepdim=True)) / deviation(x) @ W).clamp(min=0) @ U,
    ],
    "positions": [786_432, 47_117, turned],
}
"""Answers found without the code of the exercises."""
ALL = [(name, i) for name in NAMES for i in range(len(unmeasured_chapter(name).exercises))]


def batch_norm(mean: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Torch's own update of the running mean."""
    layer = torch.nn.BatchNorm1d(len(mean))
    layer.running_mean = mean.clone()
    layer(x)
    return layer.running_mean


def exercise_of(name: str, i: int) -> Exercise:
    return unmeasured_chapter(name, "en").exercises[i]


def test_each_chapter_has_one_or_more() -> None:
    assert {name for name, _ in ALL} == set(SOLUTIONS) <= set(NAMES)
    assert all(len(SOLUTIONS[name]) == len(unmeasured_chapter(name).exercises) for name in SOLUTIONS)


@pytest.mark.parametrize(("name", "i"), ALL)
def test_the_right_answer_is_right(name: str, i: int) -> None:
    checked = gg.check(name, i + 1, SOLUTIONS[name][i], language="en")
    assert checked and "Right" in str(checked), checked
    assert gg.check(name, i + 1, SOLUTIONS[name][i], language="zh").message.startswith("答对了")


@pytest.mark.parametrize(("name", "i"), ALL)
def test_each_common_mistake_has_its_hint(name: str, i: int) -> None:
    exercise = exercise_of(name, i)
    for hint, mistake in exercise.mistakes.items():
        answer = mistake() if isinstance(exercise, NumberExercise) else mistake
        checked = exercise.check(answer, str)
        assert not checked and hint in checked.message, (hint, checked)


@pytest.mark.parametrize(("name", "i"), ALL)
def test_mistakes_differ_from_the_right_answer_for_any_input(name: str, i: int) -> None:
    """And from each other: each hint says what is wrong."""
    exercise = exercise_of(name, i)
    if isinstance(exercise, NumberExercise):
        numbers = [exercise.right(), *(mistake() for mistake in exercise.mistakes.values())]
        assert all(abs(a - b) > 0.02 * max(abs(a), 1e-3) for a in numbers for b in numbers if a is not b)
        return
    for seed in range(20):
        arguments = exercise.inputs(torch.Generator().manual_seed(seed))
        right = torch.as_tensor(exercise.right(*arguments))
        torch.testing.assert_close(torch.as_tensor(SOLUTIONS[name][i](*arguments)), right)
        found = [right, *(torch.as_tensor(mistake(*arguments)) for mistake in exercise.mistakes.values())]
        for n, a in enumerate(found):
            assert not any(a.shape == b.shape and torch.allclose(a, b, 1e-3) for b in found[:n]), (seed, n)


@pytest.mark.parametrize(("name", "i"), ALL)
def test_a_near_miss_is_a_miss(name: str, i: int) -> None:
    exercise = exercise_of(name, i)
    if isinstance(exercise, NumberExercise):
        right = exercise.right()
        assert exercise.check(right + 0.5 * exercise.tolerance * abs(right), str)
        assert not exercise.check(right + 2 * exercise.tolerance * max(abs(right), 1), str)
    else:
        off = lambda *a: torch.as_tensor(exercise.right(*a)) * 1.01 + 0.001  # noqa: E731
        assert not exercise.check(off, str)


@pytest.mark.parametrize(("name", "i"), ALL)
def test_the_cell_to_fill_in_says_what_is_missing(name: str, i: int) -> None:
    exercise = exercise_of(name, i)
    names: dict[str, Any] = {}
    exec(exercise.start, names)
    checked = exercise.check(names[exercise.answer_name], str)
    assert not checked and ("no answer" in checked.message or "returns nothing" in checked.message)


@pytest.mark.parametrize("answer", [0.10536, "0.10536", torch.tensor(0.10536), np.float64(0.10536)])
def test_numbers_of_several_kinds_are_taken(answer: object) -> None:
    assert gg.check("loss", 1, answer)


@pytest.mark.parametrize("answer", ["abc", [0.1], True, {}, math.nan, print, torch.zeros(2)])
def test_what_is_no_number_is_said(answer: object) -> None:
    checked = gg.check("loss", 1, answer, language="en")
    assert not checked and "is no number" in checked.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (3, "3 is no function. This exercise asks for `def cross_entropy(z, y)`"),
        (lambda z: z, "raises TypeError"),
        (lambda z, y: z, "the result has the shape (8, 65); it should have ()"),
        (lambda z, y: "x", "the function returns 'x'; it should return a tensor"),
        (lambda z, y: z.mean() / 0 * 0, "each loss is ln"),
        (lambda z, y: z.logsumexp(-1).mean(), "The largest difference is"),
    ],
)
def test_a_wrong_function_is_told_why(answer: object, message: str) -> None:
    checked = gg.check("loss", 2, answer, language="en")
    assert not checked and message in checked.message, checked


def test_a_function_that_changes_its_input_harms_nothing() -> None:
    def cross_entropy(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return -z.sub_(z.logsumexp(-1, keepdim=True))[range(len(y)), y].mean()

    assert gg.check("loss", 2, cross_entropy)


def test_unknown_exercises_are_refused() -> None:
    with pytest.raises(gg.UserError, match=r"no exercise 3\. Choose 1 to 2"):
        gg.check("loss", 3, 1)
    with pytest.raises(gg.UserError, match="did you mean loss"):
        gg.check("los", 1, 1)


def test_every_exercise_is_of_a_known_kind() -> None:
    assert all(isinstance(exercise_of(*each), NumberExercise | FunctionExercise) for each in ALL)
