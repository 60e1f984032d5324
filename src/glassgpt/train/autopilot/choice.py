"""The choice of a recipe for a text, a machine and a length, with a forecast."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from glassgpt.train.autopilot.candidates import Candidates
from glassgpt.train.autopilot.facts import TextFacts
from glassgpt.train.autopilot.forecast import Forecast
from glassgpt.train.autopilot.recipe import Recipe
from glassgpt.train.autopilot.refinement import ByProgress
from glassgpt.train.autopilot.scaling_law import ScalingLaw
from glassgpt.train.autopilot.speed import MachineSpeed
from glassgpt.train.early_stopping import EarlyStopping

MIN_STEPS = 600
"""Steps that good recipes have at least."""
LAW_STEPS = (120, 4_000)
"""Smallest and largest number of steps that the law was fitted to."""
TOO_FEW_STEPS = 30
"""Fewer steps have no forecast: the law errs by whole nats there."""
FEW_STEPS_PENALTY = 0.1
"""Rise of the forecast, when recipes are compared, per e-fold of steps below `MIN_STEPS`: a share."""
MIN_GAIN = 0.006
"""Share of the loss that a change of a default must gain, at least: the law errs, and defaults are tried."""
CAUTION, CAUTION_CHARS = 2.0, 300_000
"""How much faster than by the law a text is learned by heart, when recipes for shorter texts are compared.

Texts differ most in that, and learning by heart costs more than the dropout that prevents it.
"""
MAX_ROUNDS = 4
"""Rounds over all axes; the search ends earlier if nothing changes."""
EPOCHS, TABLE_EPOCHS, SMALL_EPOCHS = 30.0, 12.0, 100.0
"""Passes over the text after which a run by the clock ends: without an n-gram table, with one, and with the
recipe for small texts.

More only teach the text by heart, with any dropout; the learning rate must have fallen by then.
"""
CURVE_POINTS = 40
"""Points of a curve that is kept."""
HALVINGS = 8
"""Points of a curve before the first evaluation, each at half of the time of the next."""


@dataclass(frozen=True)
class Length:
    """The length of the training itself; exactly one is set."""

    seconds: float | None = None
    steps: int | None = None
    tokens: int | None = None

    def n_steps(self, recipe: Recipe, step_s: float) -> int:
        """Return the number of steps, at so many seconds each.

        >>> Length(tokens=5000).n_steps(Recipe(), 0.1), Length(seconds=60).n_steps(Recipe(), 0.1)
        (5, 600)
        """
        if self.steps is not None:
            return self.steps
        if self.tokens is not None:
            return -(-self.tokens // recipe.step_tokens)
        assert self.seconds is not None
        return max(1, round(self.seconds / step_s))


@dataclass(frozen=True)
class Choice:
    """A recipe with its length and the forecast of its loss."""

    recipe: Recipe
    n_steps: int
    step_s: float
    """Seconds of a step on this machine."""
    epochs: float
    """Passes over the training text."""
    forecast: Forecast
    has_forecast: bool = True
    """False where the law is no guide, so that its forecast is not shown: a short text, or few steps."""

    def to_dict(self) -> dict[str, Any]:
        """Return settings and figures, ready for JSON."""
        return {
            "settings": self.recipe.tables(),
            "n_steps": self.n_steps,
            "step_s": self.step_s,
            "epochs": self.epochs,
            "forecast": self.forecast.to_dict(),
        }


@dataclass(frozen=True)
class Chooser:
    """Finds the recipe with the lowest forecast on a text, at this speed."""

    text: TextFacts
    candidates: Candidates
    law: ScalingLaw
    speed: MachineSpeed
    max_epochs: float | None = None
    """The user's limit of passes over the text."""

    def choose(self, length: Length) -> Choice:
        """Return the best recipe for this length: a descent along one axis after the other."""
        rank = cache(lambda recipe: self.rank(recipe, length))  # most recipes come up again and again
        found = {self._descend(start, rank) for start in self.candidates.starts()}
        return self.judge(min(found, key=rank), length)

    def judge(self, recipe: Recipe, length: Length) -> Choice:
        """Return a recipe with its length and forecast."""
        step_s, n_steps = self._step_s(recipe), self._n_steps(recipe, length)
        loss = self.law.loss(self.text, recipe, n_steps)
        n_chars = n_steps * recipe.step_tokens / self.text.count(recipe).per_char
        forecast = Forecast.of(loss, self._spread(n_steps))
        known = n_steps >= TOO_FEW_STEPS and not self.candidates.is_small
        return Choice(recipe, n_steps, step_s, n_chars / self.text.n_chars, forecast, known)

    def rank(self, recipe: Recipe, length: Length) -> float:
        """Return what recipes are compared by: a cautious forecast.

        It is raised for each change of a default, and for fewer steps than the law knows.
        """
        n_steps = self._n_steps(recipe, length)
        caution = CAUTION if self.text.n_chars < CAUTION_CHARS else 1.0
        loss = self.law.loss(self.text, recipe, n_steps, overfitting=caution)
        lacking = max(0.0, math.log(MIN_STEPS / n_steps))
        return loss * (1 + FEW_STEPS_PENALTY * lacking + MIN_GAIN * n_changes(recipe))

    def epochs(self, recipe: Recipe) -> float:
        """Return the passes over the text after which a run by the clock ends, if the user gives none."""
        usual = SMALL_EPOCHS if self.candidates.is_small else EPOCHS
        return self.max_epochs or (TABLE_EPOCHS if recipe.ngram_rows else usual)

    def _n_steps(self, recipe: Recipe, length: Length) -> int:
        n_steps = length.n_steps(recipe, self._step_s(recipe))
        if length.seconds is None and self.max_epochs is None:
            return n_steps
        epoch = self.text.n_chars * self.text.count(recipe).per_char / recipe.step_tokens
        return min(n_steps, math.ceil(self.epochs(recipe) * epoch))

    def _step_s(self, recipe: Recipe) -> float:
        return self.speed.step_s(recipe, self.text.count(recipe).n_vocab)

    def _spread(self, n_steps: int) -> float:
        """Return the half-width of a forecast's interval, in logarithms: wider beyond the law's steps."""
        least, most = LAW_STEPS
        return self.law.spread * (1 + max(0.0, math.log(least / n_steps), math.log(n_steps / most)))

    def early_end(self, choice: Choice, patience: int, evals: int) -> float | None:
        """Return the share of a training after which it ends since its text is learned by heart.

        patience: evaluations in a row that end it, 0 for none. evals: of the whole training. None: no end.
        A curve that is past its lowest point at the first evaluation rises ever after, as far as it can.
        """
        (first, first_loss), *later = self.curve(choice, evals)
        before = (self._curve_loss(choice, first / 2**i) for i in range(1, HALVINGS))
        early_stopping = EarlyStopping(patience, best=min(first_loss, *before))
        for progress, loss in later:
            early_stopping.update(loss)
            if early_stopping.should_stop and progress < 1:
                return progress
        return None

    def stopped(self, choice: Choice, end: float, evals: int) -> Choice:
        """Return a choice whose training ends early, at this progress: its best evaluation counts."""
        seen = [loss for progress, loss in self.curve(choice, evals) if progress <= end]
        best = min([choice.forecast.nats_per_char, *seen])
        return replace(choice, forecast=Forecast.of(best, self._spread(choice.n_steps)))

    def curve(self, choice: Choice, n_points: int = CURVE_POINTS) -> ByProgress:
        """Return the held-out losses that the law expects on the way, evenly spaced up to the end."""
        done = [i / n_points for i in range(1, n_points + 1)]
        return [(p, self._curve_loss(choice, p)) for p in done]

    def _curve_loss(self, choice: Choice, progress: float) -> float:
        return self.law.curve_loss(self.text, choice.recipe, choice.n_steps, progress)

    def alternatives(self, choice: Choice, length: Length) -> list[list[Choice]]:
        """Return the other values along each axis, best first; none for what the user has fixed."""
        found = list[list[Choice]]()
        for along in self.candidates.neighbors(choice.recipe):
            others = sorted({*along} - {choice.recipe}, key=lambda recipe: self.rank(recipe, length))
            found.append([self.judge(recipe, length) for recipe in others])
        return found

    def _descend(self, recipe: Recipe, rank: Callable[[Recipe], float]) -> Recipe:
        for _ in range(MAX_ROUNDS):
            before = recipe
            for along in self.candidates.neighbors(recipe):
                recipe = min((recipe, *along), key=rank)
            if recipe == before:
                break
        return recipe

    def at(self, speed: MachineSpeed) -> Chooser:
        """Return the same chooser at another speed."""
        return replace(self, speed=speed)


def n_changes(recipe: Recipe) -> int:
    """Return the number of axes along which a recipe differs from the default.

    >>> n_changes(Recipe()), n_changes(Recipe("bpe", 1024, n_layer=2, n_embd=64, n_head=2))
    (0, 2)
    """
    axes = (
        lambda r: (r.tokenizer, r.vocab_size),
        lambda r: (r.n_layer, r.n_embd),
        lambda r: r.block_size,
        lambda r: r.step_tokens,
        lambda r: r.rate,
        lambda r: r.weight_decay,
        lambda r: r.dropout,
        lambda r: r.ngram_rows > 0,
        lambda r: r.ngram_dropout,
    )
    return sum(axis(recipe) != axis(Recipe()) for axis in axes)
