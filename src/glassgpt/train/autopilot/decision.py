"""The decision of the autopilot: look at the text, time a few steps on this machine, choose a recipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from glassgpt.config import Layer, Resolved, resolve
from glassgpt.data import Corpus
from glassgpt.diagnose import Score
from glassgpt.language import N_
from glassgpt.tasks import Task
from glassgpt.tasks.counted import text_scores
from glassgpt.train.autopilot.candidates import Candidates, fixed_fields
from glassgpt.train.autopilot.choice import Choice, Chooser, Length
from glassgpt.train.autopilot.facts import VOCAB_SIZES, TextFacts
from glassgpt.train.autopilot.recipe import Recipe
from glassgpt.train.autopilot.refinement import ByProgress
from glassgpt.train.autopilot.scaling_law import load_scaling_law
from glassgpt.train.autopilot.speed import MachineSpeed, prior_seconds, time_step
from glassgpt.train.clock import Clock
from glassgpt.train.schedule import Budget

ORIGIN = "autopilot"
MIN_STEPS = 100
"""A run of fewer steps keeps the defaults: the law was not fitted to so short ones."""
MIN_SECONDS = 20.0
"""A run of fewer seconds keeps the defaults: timing would take too much of it."""
PATIENCE = 3
"""Evaluations in a row without a gain that end a run by the clock: a small text is learned by heart."""
PREPARATION_S = 2.0
"""Preparation that follows the choice: the tokenizer, and the text as tokens."""
TIMINGS = 3
"""Largest number of recipes that are timed."""
TIMING_SHARE, TIMING_S = 0.03, 6.0
"""Time for all timings: a share of the run, and at most so many seconds."""


@dataclass(frozen=True)
class Decision:
    """The autopilot's choice, its length, and the recipes that it compared."""

    choice: Choice
    length: Length
    chooser: Chooser
    scores: tuple[Score, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the choice, ready for JSON."""
        return self.choice.to_dict()

    @property
    def curve(self) -> ByProgress:
        """Held-out losses that the law expects on the way, shifted so that the lowest one is its forecast."""
        curve = self.chooser.curve(self.choice)
        shift = self.choice.forecast.nats_per_char / min(loss for _, loss in curve)
        return [(progress, shift * loss) for progress, loss in curve]

    @property
    def layer(self) -> Layer:
        """The choice as settings, for `resolve`."""
        return chosen_layer(self.chooser, self.choice.recipe, by_clock=self.length.seconds is not None)


def decides(resolved: Resolved, task: Task) -> bool:
    """Return True if the autopilot can choose for this run: running text, random weights, long enough."""
    config = resolved.config
    train = config.train
    if task.name != "language" or config.model.family != "gpt" or config.init_from.run is not None:
        return False
    if train.steps is not None:
        return train.steps >= MIN_STEPS
    return train.tokens is not None or 60 * (train.minutes or 5) >= MIN_SECONDS


def make_chooser(resolved: Resolved, text: TextFacts) -> Chooser:
    """Return the chooser for a text under the user's settings."""
    fixed = fixed_fields(resolved)
    train = resolved.config.train
    if train.steps is not None or train.tokens is not None:  # without a clock, the largest always wins
        given = Recipe.of(resolved.config)
        for name in ("n_layer", "n_head", "n_embd", *(["batch"] if train.steps else [])):
            fixed.setdefault(name, getattr(given, name))
    candidates = Candidates(text, fixed, resolved.config.exportable)
    return Chooser(text, candidates, load_scaling_law(), MachineSpeed(), train.max_epochs)


def chosen_layer(chooser: Chooser, recipe: Recipe, by_clock: bool = False) -> Layer:
    """Return what was chosen as settings; what the user's settings decide is left out.

    by_clock: the run may end early.
    """
    tables = recipe.tables(without=chooser.candidates.fixed)
    if by_clock:
        ends = {"patience": PATIENCE, "max_epochs": chooser.epochs(recipe)}
        tables["train"] = tables.get("train", {}) | ends
    return Layer(ORIGIN, tables)


def decide(resolved: Resolved, corpus: Corpus, clock: Clock, stage: Callable[[str], None]) -> Decision:
    """Choose a recipe for running text.

    clock: that of the run, which tells how many seconds are left. stage: called before work that takes time.
    """
    train = resolved.config.train
    stage(N_("counting what there is to beat"))
    scores = text_scores(corpus, train.minutes)
    stage(N_("trying tokenizers"))
    chooser = make_chooser(resolved, TextFacts.of(corpus, scores, vocab_sizes(resolved)))
    if train.steps is not None or train.tokens is not None:
        length = Length(steps=train.steps, tokens=train.tokens)
        return Decision(chooser.choose(length), length, chooser, tuple(scores))
    stage(N_("timing steps on this machine"))
    budget = Budget.of(resolved.config)
    chooser = with_measured_speed(chooser, resolved, lambda: length_left(budget, clock))
    length = length_left(budget, clock)
    choice, _ = with_early_end(chooser, chooser.choose(length), resolved)
    return Decision(choice, length, chooser, tuple(scores))


def with_early_end(chooser: Chooser, choice: Choice, resolved: Resolved) -> tuple[Choice, float | None]:
    """Return a choice for a run by the clock, and the progress at which it ends early; None: no early end."""
    train = resolve(resolved.given, [chosen_layer(chooser, choice.recipe, by_clock=True)]).config.train
    end = chooser.early_end(choice, train.patience, train.evals)
    return choice if end is None else chooser.stopped(choice, end, train.evals), end


def length_left(budget: Budget, clock: Clock) -> Length:
    """Return the seconds that are left for steps, the preparation still to come included in the guess."""
    return Length(seconds=max(1.0, budget.training_s(clock.elapsed.prepared_s + PREPARATION_S)))


def with_measured_speed(chooser: Chooser, resolved: Resolved, left: Callable[[], Length]) -> Chooser:
    """Return the chooser at the measured speed of this machine.

    The smallest model is timed first, then the choice at the speed known so far, until the choice was timed
    or the time for timings is over.
    """
    length = left()
    assert length.seconds is not None
    seconds = min(TIMING_S, TIMING_SHARE * length.seconds)
    deadline = time.monotonic() + seconds
    recipe, times = chooser.candidates.smallest(), dict[Recipe, tuple[float, float]]()
    while len(times) < TIMINGS and recipe not in times and (not times or time.monotonic() < deadline):
        n_vocab = chooser.text.count(recipe).n_vocab
        config = resolve(resolved.given, [chosen_layer(chooser, recipe)]).config
        times[recipe] = (prior_seconds(recipe, n_vocab), time_step(config, n_vocab, seconds / (2 * TIMINGS)))
        chooser = chooser.at(MachineSpeed.fit([*times.values()]))
        recipe = chooser.choose(left()).recipe
    return chooser


def vocab_sizes(resolved: Resolved) -> tuple[int, ...]:
    """Return the sizes of BPE vocabularies to try: the user's, if there is one."""
    if resolved.is_given("tokenizer.vocab_size"):
        return (resolved.config.tokenizer.vocab_size,)
    return VOCAB_SIZES
