"""Forecasts of a run: made by the law, refined by the run's own losses, kept with the outcome."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run
from glassgpt.train import Evaluated, Forecasted, StepDone
from glassgpt.train.autopilot import Forecast, Forecaster, load_scaling_law, refine

CURVE = [(i / 20, 1.5 + 0.4 * (1 - i / 20) / (0.2 + i / 20)) for i in range(1, 21)]
"""Losses that fall until the end, to 1.5."""
RISING = [(p, 1.5 + abs(p - 0.4)) for p, _ in CURVE]


def step(progress: float, loss: float) -> StepDone:
    return StepDone(round(1000 * progress), loss, {}, 1.0, 1024, 1e4, progress, 60 * progress)


def evaluated(progress: float, nats: float) -> Evaluated:
    return Evaluated(round(1000 * progress), nats, nats, nats / 0.69, nats / 0.69, True, 0.1)


@pytest.fixture
def forecaster(tmp_path: Path) -> Forecaster:
    return Forecaster.start(Forecast.of(1.5, 0.05), CURVE, Run(tmp_path))


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
        run = Forecaster.start(Forecast.of(1.5, 0.05), CURVE, Run(tmp_path))
        found.append(told(run, step(0.5, 2 * val), evaluated(0.5, val))[-1].nats_per_char)
    assert found[1] > 1.05 * found[0]


def half_width(evals: list[tuple[float, float]]) -> float:
    residuals = load_scaling_law().residuals
    return residuals.quantile(evals[-1][0]) * refine(evals, CURVE, residuals)[1]


def test_intervals_narrow_in_the_course_of_a_run() -> None:
    widths = [half_width(CURVE[1:n:2]) for n in (2, 6, 10, 18)]
    assert (
        sorted(widths, reverse=True) == widths and widths[-1] < 0.6 * widths[0] <= load_scaling_law().spread
    )


def test_evaluations_on_the_curve_confirm_it() -> None:
    residuals = load_scaling_law().residuals
    for n in (2, 10, 20):
        assert refine(CURVE[1:n], CURVE, residuals)[0] == pytest.approx(1.5, rel=0.006)


def test_the_newest_evaluations_count_most() -> None:
    """A run that leaves its curve is expected to stay apart from it, for the most part."""
    residuals, left = (
        load_scaling_law().residuals,
        [(p, loss * (1.1 if p > 0.3 else 1.0)) for p, loss in CURVE[:12]],
    )
    assert 1.59 < refine(left, CURVE, residuals)[0] < 1.65


def test_a_quick_start_says_less_about_the_end_than_a_lead_that_lasts() -> None:
    residuals = load_scaling_law().residuals
    law = refine(CURVE[:1], CURVE, residuals)[0]
    start, lead = ([(p, 0.9 * loss) for p, loss in CURVE[:n]] for n in (1, 10))
    assert 0.96 * law < refine(start, CURVE, residuals)[0] < law
    assert 0.89 * law < refine(lead, CURVE, residuals)[0] < 0.93 * law
    fades = [start[0], *CURVE[1:3]]
    assert refine(fades, CURVE, residuals)[0] > 0.985 * law


def test_a_loss_that_rises_leaves_the_best_evaluation() -> None:
    residuals = load_scaling_law().residuals
    assert refine(RISING[:14], RISING, residuals)[0] == pytest.approx(1.5, rel=0.01)
    higher = [(p, 1.1 * loss) for p, loss in RISING[:14]]
    assert refine(higher, RISING, residuals)[0] == pytest.approx(1.65, rel=0.01)


@pytest.mark.parametrize("loss", [0.0, 1e-9, 50.0])
def test_any_loss_gives_a_forecast(loss: float) -> None:
    found = refine([(0.0, 2.0), (0.09, loss), (0.09, loss), (1.0, loss)], CURVE, load_scaling_law().residuals)
    assert all(math.isfinite(each) and each > 0 for each in found)


def test_evaluations_are_scaled_to_the_whole_text(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.find_scale = lambda: 0.5
    event = Evaluated(100, 4.0, 4.0, 5.8, 5.8, True, 0.1, n_tokens=64, saved_by_context=0.4)
    told(forecaster, step(0.1, 3.0), event)
    again = Forecaster.open(Run(tmp_path))
    assert again is not None and again.scale == 0.5 and again.evals == [(0.1, pytest.approx(0.5 * 3.8))]
    told(again, step(0.2, 3.0), event)  # a resumed run has no text to find the scale again
    assert again.evals[-1][1] == again.evals[0][1]


def test_a_loss_of_nothing_gives_a_forecast(forecaster: Forecaster) -> None:
    found = told(forecaster, step(0.1, 3.0), evaluated(0.1, 0.0))
    assert math.isfinite(found[-1].nats_per_char)


def test_pairs_are_kept_and_a_resumed_run_goes_on(forecaster: Forecaster, tmp_path: Path) -> None:
    told(forecaster, step(0.1, 3.0), evaluated(0.1, 1.9))
    again = Forecaster.open(Run(tmp_path))
    assert again is not None and again.forecasts == forecaster.forecasts and again.evals == [(0.1, 1.9)]
    again.end(1.47)
    assert json.loads((tmp_path / "forecast.json").read_text())["outcome"] == 1.47


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"evals": [[1]], "forecasts": [], "curve": [], "outcome": 0}', "{" * 9]
)
def test_a_damaged_file_ends_the_forecasts_only(tmp_path: Path, content: str) -> None:
    (tmp_path / "forecast.json").write_text(content)
    assert Forecaster.open(Run(tmp_path)) is None
