"""The loss of a finished run on its whole held-out text, measured afterwards and without a clock.

A verdict by the clock may be measured on some parts of the text; benchmarks compare what it estimates, and
what forecasts say, with this.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from glassgpt.checkpoint import Run
from glassgpt.tasks import LanguageData


class Whole(NamedTuple):
    """Losses on a whole held-out text, in nats per character."""

    loss: float
    """Of the run's best step."""
    counted: float
    """Of the best counted n-gram."""


def measure_whole(path: Path) -> Whole:
    """Measure the best step of a run on all of its held-out text."""
    run = Run.open(path)
    data = LanguageData.open(run.config(), run.tokenizer(), run)
    counted = min(row.nats_per_char for row in data.baselines if row.kind == "ngram")
    return Whole(data.measure(run.model()).nats_per_char, counted)
