"""The scaling law: the held-out loss that a recipe reaches on a text in a number of steps.

    L = E + (L0 − E) · h / (1 + h),   h = capacity + training + overfitting + table overfitting

L0 is the loss of the unigram table, the best guess without context, and E a share of the best counted
n-gram's. Each of the four terms is exp(w · x), where x holds logarithms of sizes. The form is bounded: it
never leaves [E, L0]. Blocks and n-gram table each learn a text by heart in their own way: dropout helps
against the one, n-gram dropout against the other.

The curve of a run, for evaluations on the way, has a fifth term, which the falling learning rate takes away.

Source of the form: arXiv 2605.09189. The weights were fitted to trainings of this program: benchmarks/law.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from glassgpt.train.autopilot.facts import TextFacts
from glassgpt.train.autopilot.recipe import Recipe
from glassgpt.train.autopilot.refinement import Residuals

FILE = Path(__file__).with_name("law.json")

TERMS: dict[str, Sequence[str]] = {
    "capacity": "one params ngram bpe vocab block counted trigram best xz".split(),
    "training": (
        "one chars steps params depth ngram ngram_params bpe vocab rate rate2 "
        "rate_params block dropout ngram_dropout counted trigram best xz decay text_chars"
    ).split(),
    "overfitting": "one epochs params text_chars dropout decay rate bpe vocab best".split(),
    "table_overfitting": (
        "no_ngram ngram ngram_epochs ngram_text_chars ngram_rows ngram_params ngram_dropout ngram_rate "
        "ngram_bpe ngram_best"
    ).split(),
}
"""Inputs of each term. `no_ngram` takes the last one away from models without an n-gram table."""
CURVE_TERMS = TERMS | {"annealing": "one left rate params steps bpe ngram best trigram".split()}
"""Inputs of each term of a run's curve. The falling learning rate takes away the annealing."""
XZ_MARGIN = 0.05
"""Nats per character by which xz counts as better than the unigram table, even on a short text."""
MIN_LEFT = 0.03
"""Share of the learning rate that counts as left at the end of a run."""


def law_inputs(text: TextFacts, recipe: Recipe, n_steps: float) -> dict[str, float]:
    """Return the inputs of the law: logarithms of sizes, near 0 for usual ones, and switches."""
    tokens = text.count(recipe)
    n_tokens = n_steps * recipe.step_tokens
    n_chars = n_tokens / tokens.per_char
    params = math.log(recipe.block_params / 500_000)
    ngram, rate = float(recipe.ngram_rows > 0), math.log(recipe.rate)
    bpe = -math.log(min(1.0, tokens.per_char))
    epochs, text_chars = math.log(n_chars / text.n_chars), math.log(text.n_chars / 1e6)
    best = _log_odds(text, text.best)
    return {
        "one": 1.0,
        "chars": math.log(n_chars / 1e6),
        "steps": math.log(n_steps / 1000),
        "params": params,
        "depth": math.log(recipe.n_layer / 4),
        "ngram": ngram,
        "no_ngram": 1 - ngram,
        "ngram_params": ngram * params,
        "ngram_epochs": ngram * epochs,
        "ngram_text_chars": ngram * text_chars,
        "ngram_rate": ngram * rate,
        "ngram_bpe": ngram * bpe,
        "ngram_best": ngram * best,
        "ngram_rows": ngram * math.log(max(1, recipe.ngram_rows) / 65_536),
        "ngram_dropout": -ngram * math.log(1 - recipe.ngram_dropout),
        "bpe": bpe,
        "vocab": math.log(tokens.n_vocab / 1000),
        "block": math.log(recipe.block_size / 128),
        "rate": rate,
        "rate2": rate * rate,
        "rate_params": rate * params,
        "dropout": recipe.dropout,
        "decay": math.log(recipe.weight_decay / 0.1 + 0.1),
        "epochs": epochs,
        "text_chars": text_chars,
        "counted": _log_odds(text, text.counted_at(min(n_chars, text.n_chars))),
        "trigram": _log_odds(text, text.trigram),
        "best": best,
        "xz": _log_odds(text, min(text.xz, text.unigram - XZ_MARGIN)),
    }


def curve_inputs(text: TextFacts, recipe: Recipe, n_steps: float, progress: float) -> dict[str, float]:
    """Return the inputs of the curve: those of the law after the steps so far, and the rate that is left."""
    left = {"left": math.log(max(0.0, 1 - progress) + MIN_LEFT)}
    return law_inputs(text, recipe, n_steps * progress) | left


def _log_odds(text: TextFacts, loss: float) -> float:
    """Return ln h for a loss on a text: its place between the unigram table and half of the best count."""
    lowest = text.best / 2
    return math.log(max(0.01, loss - lowest) / max(0.01, text.unigram - loss))


@dataclass(frozen=True)
class Formula:
    """L = E + (L0 − E) · h / (1 + h), with weights."""

    asymptote: float
    """E as a share of the best counted n-gram's loss."""
    weights: Mapping[str, Mapping[str, float]]
    """By term of h and input."""

    def loss(self, text: TextFacts, inputs: Mapping[str, float], overfitting: float = 1.0) -> float:
        """Return L, in nats per character. overfitting: factor of the terms for it."""
        h = 0.0
        for name, weights in self.weights.items():
            factor = overfitting if name.endswith("overfitting") else 1.0
            h += factor * math.exp(min(8.0, _dot(weights, inputs)))
        lowest = self.asymptote * text.best
        return lowest + (text.unigram - lowest) * h / (1 + h)


def _dot(weights: Mapping[str, float], inputs: Mapping[str, float]) -> float:
    return sum(weight * inputs[name] for name, weight in weights.items())


@dataclass(frozen=True)
class ScalingLaw:
    """Forecasts of losses, and the spread of their errors on texts that they were not fitted to."""

    final: Formula
    """The loss at the end of a run."""
    curve: Formula
    """The losses that evaluations find on the way."""
    spread: float
    """Half-width of the 80 % interval of ln(loss / forecast)."""
    residuals: Residuals
    """Distance of a run from its curve."""

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """Read the law that comes with the package."""
        stored = json.loads(path.read_text("utf-8"))
        return cls(
            Formula(stored["asymptote"], stored["weights"]),
            Formula(**stored["curve"]),
            stored["spread"],
            Residuals(**stored["residuals"]),
        )

    def loss(self, text: TextFacts, recipe: Recipe, n_steps: float, overfitting: float = 1.0) -> float:
        """Return the forecast of the held-out loss after so many steps, in nats per character.

        overfitting: how much faster than by the law the text is learned by heart.
        """
        return self.final.loss(text, law_inputs(text, recipe, n_steps), overfitting)

    def curve_loss(self, text: TextFacts, recipe: Recipe, n_steps: float, progress: float) -> float:
        """Return the held-out loss that an evaluation is expected to find at this progress of a run.

        Unlike `loss`, it rises again when the text is learned by heart, and a high learning rate raises it.
        """
        return self.curve.loss(text, curve_inputs(text, recipe, n_steps, progress))


@cache
def load_scaling_law() -> ScalingLaw:
    """Return the law that comes with the package, read once."""
    return ScalingLaw.load()
