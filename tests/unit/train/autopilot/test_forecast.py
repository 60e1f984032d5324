"""Forecasts of a run: made by the law, refined by the run's own losses, kept with the outcome."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run
from glassgpt.train import Evaluated, Forecasted, StepDone
from glassgpt.train.autopilot import Forecast, Forecaster, the_law
from glassgpt.train.autopilot.forecast import refine, refinement_inputs

ABOUT = {"one": 1.0, "epochs": 0.5, "block": 0.0, "bpe": 0.8, "ngram": 1.0, "chars": 0.3, "counted": 0.4}


def step(progress: float, loss: float) -> StepDone:
    return StepDone(round(1000 * progress), loss, {}, 1.0, 1024, 1e4, progress, 60 * progress)


def evaluated(progress: float, nats: float) -> Evaluated:
    return Evaluated(round(1000 * progress), nats, nats, nats / 0.69, nats / 0.69, True, 0.1)


@pytest.fixture
def forecaster(tmp_path: Path) -> Forecaster:
    return Forecaster.start(Forecast.of(1.5, 0.05), ABOUT, Run(tmp_path))


def told(forecaster: Forecaster, *events: object) -> list[Forecasted]:
    answers = [forecaster.on_event(event) for event in events]  # pyright: ignore[reportArgumentType]
    return [each for answer in answers for each in answer or ()]  # pyright: ignore[reportReturnType]


def test_the_first_event_is_the_forecast_before_training(forecaster: Forecaster) -> None:
    found = told(forecaster, *(step(i / 100, 4.0) for i in range(12)))
    assert [(each.progress, each.nats_per_char) for each in found] == [(0.0, 1.5)]


def test_each_evaluation_refines_it(forecaster: Forecaster) -> None:
    found = told(
        forecaster, step(0.02, 5.0), step(0.1, 4.0), evaluated(0.1, 2.0), step(0.5, 3.4), evaluated(0.5, 1.6)
    )
    assert [each.progress for each in found] == [0.0, 0.1, 0.5]
    assert all(each.low < each.nats_per_char < each.high for each in found)


def test_higher_losses_raise_the_forecast(tmp_path: Path) -> None:
    found = []
    for val in (1.5, 1.8):
        run = Forecaster.start(Forecast.of(1.5, 0.05), ABOUT, Run(tmp_path))
        found.append(told(run, step(0.5, 2 * val), evaluated(0.5, val))[-1].nats_per_char)
    assert found[1] > 1.05 * found[0]


def test_intervals_narrow_in_the_course_of_a_run() -> None:
    spreads = {each["progress"]: each["spread"] for each in the_law().refinements}
    assert spreads[0.9] < 0.6 * spreads[0.1] and spreads[0.1] <= 1.2 * the_law().spread


def test_a_late_forecast_follows_the_last_evaluation() -> None:
    forecasts = []
    for val in (1.5, 1.6):
        evals = [(0.3, 2.0), (0.6, 1.7), (1.0, val)]
        forecasts.append(refine(evals, refinement_inputs(1.5, evals, ABOUT), the_law().refinements))
    low, high = forecasts
    assert high.nats_per_char / low.nats_per_char == pytest.approx(1.6 / 1.5, rel=0.03)


def test_pairs_are_kept_and_a_resumed_run_goes_on(forecaster: Forecaster, tmp_path: Path) -> None:
    told(forecaster, step(0.1, 3.0), evaluated(0.1, 1.9))
    again = Forecaster.open(Run(tmp_path))
    assert again is not None and again.forecasts == forecaster.forecasts and again.evals == [(0.1, 1.9)]
    again.end(1.47)
    assert json.loads((tmp_path / "forecast.json").read_text())["outcome"] == 1.47


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"evals": [[1]], "forecasts": [], "about": 1, "outcome": 0}', "{" * 9]
)
def test_a_damaged_file_ends_the_forecasts_only(tmp_path: Path, content: str) -> None:
    (tmp_path / "forecast.json").write_text(content)
    assert Forecaster.open(Run(tmp_path)) is None
