"""The outlook for a text on this machine: the best recipe and its forecast for several lengths of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassgpt.config import Layer, Resolved, RunConfig, resolve
from glassgpt.device import choose_device
from glassgpt.diagnose import Score
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.notebook_html import paragraph
from glassgpt.tables import as_html
from glassgpt.train.autopilot import (
    Choice,
    Decision,
    Forecast,
    Length,
    Recipe,
    chosen_layer,
    decide,
    decides,
    with_early_end,
)
from glassgpt.train.clock import Clock
from glassgpt.train.memory import estimate_memory
from glassgpt.train.run_plan import OnStage, plan
from glassgpt.train.schedule import Budget
from glassgpt.units import count, span

MINUTES = (1.0, 3.0, 10.0, 60.0, 600.0)
"""Lengths that a plan shows."""
MIN_MINUTES = 0.5
"""Shortest length of a plan."""
CURVE = (0.5, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 45, 60, 120, 240, 600)
"""Minutes at which the curve of forecasts is computed."""
FASTER = (4.0, 16.0)
"""Larger machines, as multiples of this one's speed."""
EARLY = 0.9
"""A training that takes a smaller share of its time ends early."""
GAIN = 0.01
"""Twice the time must gain this share of the loss, or more time does not help."""


@dataclass(frozen=True)
class PlannedRun:
    """The choice for one length on one machine."""

    minutes: float
    choice: Choice
    memory_bytes: int
    """RAM or GPU memory that the training needs, at least."""
    ends: float | None = None
    """Minutes after which the training ends early: more would learn its text by heart. None: no early end."""
    speed: float = 1.0
    """Speed of the machine, as a multiple of this one's."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        place = {"minutes": self.minutes, "ends_after_minutes": self.ends, "speed": self.speed}
        place["memory_bytes"] = self.memory_bytes
        return place | self.choice.to_dict()


@dataclass(frozen=True)
class Outlook:
    """Plans for several lengths, and the forecast by minutes. A notebook shows them as a table."""

    runs: tuple[PlannedRun, ...]
    faster: tuple[PlannedRun, ...]
    """The middle length on larger machines, if they reach a lower loss."""
    curve: tuple[tuple[float, Choice], ...]
    """(minutes, best choice)."""
    scores: tuple[Score, ...]
    """Counted baselines, on the same held-out text."""

    def minutes_to_pass(self, score: Score) -> float | None:
        """Return the minutes from which on all forecasts pass a baseline; None if the longest does not."""
        first = None
        for minutes, choice in reversed(self.curve):
            if choice.forecast.nats_per_char >= score.nats_per_char:
                break
            first = minutes
        return first

    @property
    def enough_minutes(self) -> float | None:
        """Minutes after which more time gains less than `GAIN` per doubling; None if it always helps."""
        for i, (minutes, choice) in enumerate(self.curve):
            later = [each for m, each in self.curve[i + 1 :] if m >= 2 * minutes]
            lowest = (1 - GAIN) * choice.forecast.nats_per_char
            if later and later[0].forecast.nats_per_char > lowest:
                return minutes
        return None

    def sentences(self) -> list[str]:
        """Return the outlook in words: when it passes counting, when more time stops helping, early ends."""
        if not any(run.choice.has_forecast for run in self.runs):
            return [
                N_("No forecast: the text is too short for one, or the time. More text helps most."),
                *self._about_early_ends(),
            ]
        return [self._about_counting(), *self._about_more_time(), *self._about_early_ends()]

    def _about_counting(self) -> str:
        best = min(
            (score for score in self.scores if score.kind == "ngram"), key=lambda score: score.nats_per_char
        )
        name = N_("the best counted table ({name}, {loss:.3f})", name=N_(best.name), loss=best.nats_per_char)
        minutes = self.minutes_to_pass(best)
        if minutes is None:
            longest = span(self.curve[-1][0])
            return N_("On this machine, a model does not pass {name} within {span}.", name=name, span=longest)
        return N_("A model passes {name} after about {span}.", name=name, span=span(minutes))

    def _about_more_time(self) -> list[str]:
        if (enough := self.enough_minutes) is None:
            return []
        return [
            N_("More than {span} hardly helps: the text is too small. More text would.", span=span(enough))
        ]

    def _about_early_ends(self) -> list[str]:
        """Name the shortest training that ends early."""
        return [
            N_(
                "A training of {length} ends after about {span}: more would learn the text by heart. "
                "To go on, give a larger `max_epochs`, and `patience` 0.",
                length=span(run.minutes),
                span=span(run.ends or 0),
            )
            for run in self.early_ends[:1]
        ]

    @property
    def early_ends(self) -> list[PlannedRun]:
        """Runs that end before their time, since the text is learned by heart."""
        return [run for run in self.runs if run.ends is not None]

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def _repr_html_(self) -> str:
        ends = ["ends after"] if self.early_ends else []
        head = ["time", *ends, "model", "steps", "forecast", "80 % from", "to"]
        rows = [
            [
                span(run.minutes),
                *["" if run.ends is None else span(run.ends) for _ in ends],
                _model(run.choice.recipe),
                count(run.choice.n_steps),
                *(_figures(run.choice.forecast) if run.choice.has_forecast else [""] * 3),
            ]
            for run in self.runs
        ]
        return as_html(head, rows, range(len(head) - 4, len(head))) + "".join(
            map(paragraph, self.sentences())
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the plan, ready for JSON."""
        return {
            "runs": [run.to_dict() for run in self.runs],
            "faster": [run.to_dict() for run in self.faster],
            "curve": [{"minutes": m, **choice.forecast.to_dict()} for m, choice in self.curve],
            "baselines": {score.name: score.nats_per_char for score in self.scores},
            "sentences": self.sentences(),
        }


def _model(recipe: Recipe) -> str:
    return f"{recipe.preset} {recipe.n_layer} × {recipe.n_embd}"


def _figures(forecast: Forecast) -> list[str]:
    return [f"{figure:.3f}" for figure in (forecast.nats_per_char, forecast.low, forecast.high)]


def outlook(
    config: RunConfig | Sequence[Layer] | Path | str,
    minutes: Sequence[float] = MINUTES,
    stage: OnStage | None = None,
) -> Outlook:
    """Plan trainings of several lengths on this machine, without training.

    config: a text, or the settings that are fixed, as in `start`. minutes: the lengths. Reads and counts the
    text, and times a few steps. Raises UserError for settings and sources that cannot be used, and for other
    tasks than running text.

    >>> import glassgpt
    >>> glassgpt.outlook("notes.txt", minutes=[1, 10])  # doctest: +SKIP
    """
    if isinstance(config, Path | str):
        config = [Layer("option", {"data": {"sources": (str(config),)}})]
    stage, given = stage or (lambda _: None), resolve(config)
    if not minutes or min(minutes) < MIN_MINUTES:
        raise UserError(
            "`minutes`: got {minutes}. Give lengths from {min_minutes} on.",
            minutes=list(minutes),
            min_minutes=MIN_MINUTES,
        )
    clock = Clock()
    longest = Layer("plan", {"train": {"minutes": max(minutes), "steps": None, "tokens": None}})
    planned = plan([*given.given, longest], stage, clock)
    if not decides(planned.resolved, planned.task):
        raise UserError(
            "a plan is for running text and a gpt with random weights; this is {name}. Train without a plan.",
            name=planned.task.name,
        )
    decision = decide(planned.resolved, planned.corpus, clock, stage)
    return _outlook(decision, planned.resolved, minutes, clock.elapsed.prepared_s)


def _outlook(decision: Decision, resolved: Resolved, minutes: Sequence[float], prepared_s: float) -> Outlook:
    chooser = decision.chooser

    def planned(length: float, speed: float = 1.0) -> PlannedRun:
        seconds = max(1.0, Budget(seconds=60 * length).training_s(prepared_s))
        choice = chooser.choose(Length(seconds=seconds * speed))
        config = resolve(resolved.given, [chosen_layer(chooser, choice.recipe, by_clock=True)]).config
        choice, ends = with_early_end(chooser, choice, resolved)
        trained_s = (ends or 1.0) * choice.n_steps * choice.step_s / speed
        ends_after = (prepared_s + trained_s) / 60 if trained_s < EARLY * seconds else None
        n_vocab = chooser.text.count(choice.recipe).n_vocab
        memory = estimate_memory(config, n_vocab, choose_device(config.train.device)).total
        return PlannedRun(length, choice, memory, ends_after, speed)

    runs = tuple(planned(length) for length in minutes)
    middle = minutes[len(minutes) // 2]
    curve = tuple((m, planned(m).choice) for m in CURVE if m <= max(minutes))
    faster = tuple(planned(middle, speed) for speed in FASTER)
    helps = (1 - GAIN) * min(choice.forecast.nats_per_char for m, choice in curve if m <= middle)
    return Outlook(
        runs,
        tuple(run for run in faster if run.choice.has_forecast and run.choice.forecast.nats_per_char < helps),
        curve,
        decision.scores,
    )
