"""Seconds of a training step: a few measured recipes, and an estimate for all others.

The estimate adds up the work of a step (matrix products, orthogonalization, table rows, calls) with prices
per unit that a grid of measurements gave. A machine differs from it by a factor that depends on the size of
the step; the recipes measured now give this factor.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from glassgpt.config import RunConfig
from glassgpt.data import Batch
from glassgpt.threads import ThreadTuner
from glassgpt.train.autopilot.recipe import Recipe
from glassgpt.train.learner import make_learner

PRICES = {"flops": 1.91e-11, "muon": 5.3e-12, "calls": 3.4e-3, "rows": 3.4e-8, "adam": 2e-9}
"""Seconds per unit of work, from the grid."""
REPEATS = 5
PRIOR = 0.1
"""Weight of the prior that the size of a step changes nothing: a measurement is some 10 % off."""


def work(recipe: Recipe, n_vocab: int) -> dict[str, float]:
    """Return the work of a training step, in the units of `PRICES`."""
    n, d, T = recipe.step_tokens, recipe.n_embd, recipe.block_size
    products = 6 * (recipe.block_params + n_vocab * d) + 6 * recipe.n_layer * T * d
    return {
        "flops": n * products,
        "muon": recipe.block_params * 10 * d,
        "calls": recipe.n_layer + 2,
        "rows": n * d * (recipe.ngram_order - 1) if recipe.ngram_rows else 0.0,
        "adam": 2 * n_vocab * d,
    }


def prior_seconds(recipe: Recipe, n_vocab: int) -> float:
    """Return the seconds of a step on the machine of the grid.

    >>> 0.01 < prior_seconds(Recipe(), 368) < 1
    True
    """
    return sum(PRICES[name] * amount for name, amount in work(recipe, n_vocab).items())


@dataclass(frozen=True)
class MachineSpeed:
    """Speed of this machine: log seconds of a step = log prior + offset + slope × (log prior − center)."""

    offset: float = 0.0
    slope: float = 0.0
    center: float = 0.0

    @classmethod
    def fit(cls, measured: Sequence[tuple[float, float]]) -> MachineSpeed:
        """Fit to pairs of prior and measured seconds of a step."""
        if not measured:
            return cls()
        x = [math.log(prior) for prior, _ in measured]
        y = [math.log(seconds / prior) for prior, seconds in measured]
        center, offset = sum(x) / len(x), sum(y) / len(y)
        spread = sum((each - center) ** 2 for each in x)
        slope = sum((a - center) * (b - offset) for a, b in zip(x, y, strict=True)) / (spread + PRIOR)
        return cls(offset, max(-0.5, min(0.5, slope)), center)

    def step_s(self, recipe: Recipe, n_vocab: int) -> float:
        """Return the seconds of a training step."""
        prior = math.log(prior_seconds(recipe, n_vocab))
        return math.exp(prior + self.offset + self.slope * (prior - self.center))


def time_step(config: RunConfig, n_vocab: int, at_most_s: float) -> float:
    """Return the median seconds of a training step of a model, measured now on random tokens.

    It uses the number of threads that is fastest now, as a run by the clock does: next to a busy program,
    all threads can take ten times as long as one. Takes about `at_most_s` seconds for each number that it
    tries, but at least two steps.
    """
    learner = make_learner(config, n_vocab)
    shape = (config.train.micro_batch_size, config.model.block_size)
    ids = torch.randint(n_vocab, (2, *shape), generator=torch.Generator().manual_seed(0))
    batch = Batch(ids[0], ids[1])

    def step() -> None:
        learner.backward([batch] * config.train.grad_accum_steps)
        learner.optimizer_step(0.1)

    adapts = config.train.threads is None and learner.device.type == "cpu"
    numbers = ThreadTuner(config.train.threads, adapt=adapts).numbers
    return fastest_seconds(lambda n_threads: _seconds(step, n_threads, at_most_s), numbers)


def fastest_seconds(seconds: Callable[[int], float], numbers: Sequence[int]) -> float:
    """Return the seconds of a step on the fastest number of threads. numbers: ascending.

    It begins with the largest number, and goes on while a smaller one is faster.

    >>> fastest_seconds({4: 0.9, 2: 0.3, 1: 0.5}.__getitem__, [1, 2, 4])
    0.3
    """
    best = math.inf
    for n_threads in reversed(numbers):
        found = seconds(n_threads)
        if found >= best:
            break
        best = found
    return best


def _seconds(step: Callable[[], None], n_threads: int, at_most_s: float) -> float:
    """Return the median seconds of a step on some threads; the first one warms up."""
    times, deadline = list[float](), time.monotonic() + at_most_s
    with ThreadTuner(n_threads, adapt=False).in_use():
        while len(times) < 2 or (len(times) <= REPEATS and time.monotonic() + times[-1] < deadline):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
    return median(times[1:])
