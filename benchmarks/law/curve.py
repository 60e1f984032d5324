"""Fit the curve of a run to the evaluations of the grid, and the residuals that refine a forecast.

    python benchmarks/law/curve.py [--write] [--nested]

Reads benchmarks/law/grid.jsonl (made by grid.py). Each text is left out once: the curve that is fitted to the
others is refined by the evaluations of its runs, until several points of progress, and forecasts the verdict.
The numbers of the residuals are chosen by these errors; `--nested` leaves each text out of that choice,
too, which tells what the choice flatters. Also prints how well the curve tells which runs end early.
The law of fit.py must be stored already: a curve's lowest point is shifted to its forecast. `--write` stores
curve and residuals in src/glassgpt/train/autopilot/law.json. fit.py writes this file, too: not at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fit import (
    PRIOR,
    RIDGE,
    Floats,
    facts,
    fit,
    fit_mixed,
    left_out,
    quantile80,
    read_grid,
    read_rows,
    recipe,
    summary,
)
from scipy.optimize import minimize

from glassgpt.train.autopilot import Residuals, curve_inputs, refine
from glassgpt.train.autopilot.scaling_law import CURVE_TERMS, FILE
from glassgpt.train.early_stopping import EarlyStopping

HERE = Path(__file__).parent
ASYMPTOTE = 0.6
CURVE_PRIOR = PRIOR | {"annealing": {"one": -3.0, "left": 1.0}}
BEST_WEIGHT = 2.5
OTHER_WEIGHT = 0.25
"""Weights of the lowest evaluation of a run and of each other one: their errors are alike."""
OFFSET = 0.03
"""Standard deviation of a run's own offset of ln(loss)."""
AT = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Progress at which forecasts are tested."""
FITTED_AT = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Progress at which the errors of forecasts choose the residuals."""
START = (0.05, 0.04, 2.5, 0.1, 0.2, 0.01, 0.01)
"""Residuals where the search for better ones begins; errors below their noise count as squares."""
PATIENCE = 3


class Curves(NamedTuple):
    """Evaluations of some trainings: one row for each of n evaluations."""

    run: Floats
    """Number of the training."""
    progress: Floats
    inputs: dict[str, Floats]
    """By term: (n, inputs)."""
    logs: Floats
    """ln(loss), scaled so that the lowest evaluation is the verdict's loss."""
    weights: Floats
    unigram: Floats
    best: Floats

    def part(self, chosen: np.ndarray) -> Curves:
        """Return some evaluations."""
        inputs = {term: x[chosen] for term, x in self.inputs.items()}
        fields = {name: value[chosen] for name, value in self._asdict().items() if name != "inputs"}
        return Curves(inputs=inputs, **fields)


def read_curves(rows: Sequence[dict[str, Any]]) -> Curves:
    """Return the evaluations of all rows of the grid."""
    found = list[tuple[Any, ...]]()
    inputs = {term: list[list[float]]() for term in CURVE_TERMS}
    for i, row in enumerate(rows):
        text, used, lowest = facts(row), recipe(row), min(loss for _, loss in row["evals"])
        for step, loss in row["evals"]:
            x = curve_inputs(text, used, row["steps"], step / row["steps"])
            for term, names in CURVE_TERMS.items():
                inputs[term].append([x[name] for name in names])
            weight = BEST_WEIGHT if loss == lowest else OTHER_WEIGHT * 10 / len(row["evals"])
            log = np.log(loss * row["loss"] / lowest)
            found.append((i, step / row["steps"], log, weight, text.unigram, text.best))
    run, progress, logs, weights, unigram, best = np.array(found).T
    return Curves(run, progress, {t: np.array(x) for t, x in inputs.items()}, logs, weights, unigram, best)


def curve(found: Curves, weights: Floats) -> tuple[Floats, Floats]:
    """Return ln(loss) of all evaluations by the formula of the law, and its derivatives (n, weights)."""
    terms, slopes, start = np.zeros(len(found.logs)), list[Floats](), 0
    for x in found.inputs.values():
        term = np.exp(np.minimum(8.0, x @ weights[start : start + x.shape[1]]))
        terms, start = terms + term, start + x.shape[1]
        slopes.append(term[:, None] * x)
    lowest = ASYMPTOTE * found.best
    loss = lowest + (found.unigram - lowest) * terms / (1 + terms)
    share = (found.unigram - lowest) / (1 + terms) ** 2 / loss
    return np.log(loss), share[:, None] * np.concatenate(slopes, 1)


def grid_prior() -> Floats:
    """Return the weights without data."""
    return np.array([CURVE_PRIOR[t].get(name, 0.0) for t, names in CURVE_TERMS.items() for name in names])


def fit_curve(found: Curves, prior: Floats, ridge: float = RIDGE) -> Floats:
    """Fit all weights to ln(loss), with a robust loss, a prior, and an offset for each run."""

    def errors(weights: Floats) -> tuple[Floats, Floats]:
        logs, slopes = curve(found, weights)
        return logs - found.logs, slopes

    return fit_mixed(errors, prior, found.run, found.weights, OFFSET, ridge)


class Run(NamedTuple):
    """A training of the grid next to the curve that was expected of it."""

    text: str
    evals: list[tuple[float, float]]
    curve: list[tuple[float, float]]
    loss: float
    """Of the verdict."""
    is_whole: bool
    """Evaluations were scaled to the whole split as those of a run are; of older rows, to the verdict."""

    def forecast(self, progress: float, residuals: Residuals) -> tuple[float, float]:
        """Return forecast and standard deviation by the evaluations until some progress, or the first one."""
        seen = [each for each in self.evals if each[0] <= progress + 0.02]
        return refine(seen or self.evals[:1], self.curve, residuals)


def left_out_runs(rows: Sequence[dict[str, Any]]) -> list[Run]:
    """Return all trainings, each with the curve that a fit to the other texts expects."""
    found, texts = read_curves(rows), np.array([row["text"] for row in rows])
    logs, of = np.zeros(len(found.logs)), texts[found.run.astype(int)]
    for text in sorted(set(texts.tolist())):
        logs[of == text] = curve(found.part(of == text), fit_curve(found.part(of != text), grid_prior()))[0]
    asymptote = json.loads(FILE.read_text("utf-8"))["asymptote"]
    laws = left_out(read_grid(HERE / "grid.jsonl"), lambda others, text: fit(others, asymptote).losses(text))
    return [_run(row, np.exp(logs[found.run == i]), laws[i]) for i, row in enumerate(rows)]


def _run(row: dict[str, Any], losses: Floats, law: float) -> Run:
    """Return a training next to its curve, whose lowest point is shifted to the law's forecast."""
    losses = losses * law / losses.min()
    at = [step / row["steps"] for step, _ in row["evals"]]
    is_whole, lowest = row.get("is_whole", False), min(loss for _, loss in row["evals"])
    factor = 1.0 if is_whole else row["loss"] / lowest
    evals = [(p, loss * factor) for p, (_, loss) in zip(at, row["evals"], strict=True)]
    return Run(row["text"], evals, [*zip(at, losses.tolist(), strict=True)], row["loss"], is_whole)


def errors(runs: Iterable[Run], progress: float, residuals: Residuals) -> Floats:
    """Return ln(verdict / forecast) and the standard deviations, (2, runs)."""
    found = [(run.loss, *run.forecast(progress, residuals)) for run in runs]
    return np.array([(np.log(loss / forecast), deviation) for loss, forecast, deviation in found]).T


def fit_residuals(runs: Sequence[Run], start: Sequence[float] = START) -> Residuals:
    """Choose the numbers of the residuals by the errors of the forecasts."""

    def residuals(x: Floats) -> Residuals:
        return Residuals(*np.exp(x).tolist(), quantiles=())

    def error(x: Floats) -> float:
        tried = residuals(x)
        misses = [errors(runs, progress, tried)[0] for progress in FITTED_AT]
        near = 1e-4 * float(np.sum((x - first) ** 2))
        return float(np.sqrt(np.square(misses) + start[-1] ** 2).mean()) + near

    first = np.log(start)
    found = minimize(error, first, method="Nelder-Mead", options={"maxiter": 250, "fatol": 1e-6})
    return residuals(found.x)


def with_quantiles(residuals: Residuals, runs: Sequence[Run]) -> Residuals:
    """Return the residuals with the quantiles that make the intervals hold 80 %."""
    quantiles = list[tuple[float, float]]()
    for progress in AT:
        misses, deviations = errors(runs, progress, residuals)
        quantiles.append((progress, round(quantile80(misses / deviations), 3)))
    fields = {name: round(value, 4) for name, value in vars(residuals).items() if name != "quantiles"}
    return Residuals(**fields, quantiles=quantiles)


def report(runs: Sequence[Run], residuals: Residuals) -> None:
    """Print the errors at each progress, and how often the interval holds the verdict."""
    for progress in AT:
        misses, deviations = errors(runs, progress, residuals)
        holds = np.mean(np.abs(misses) <= residuals.quantile(progress) * deviations)
        print(f"  at {progress:.0%}: {summary(misses)}, mean {misses.mean():+.1%}, interval {holds:.0%}")


def report_nested(runs: Sequence[Run]) -> None:
    """Print the errors with residuals that were chosen without the text's own runs."""
    chosen = {
        text: fit_residuals([run for run in runs if run.text != text]) for text in {r.text for r in runs}
    }
    for progress in AT:
        found = [errors([run], progress, chosen[run.text])[0, 0] for run in runs if run.is_whole]
        print(f"  at {progress:.0%}, residuals chosen without the text: {summary(np.array(found))}")


def report_ends(runs: Sequence[Run]) -> None:
    """Print which runs early stopping ends, by their evaluations and by the curve."""
    pairs = [(_end(run.evals), _end(run.curve)) for run in runs]
    ended = [(real, forecast) for real, forecast in pairs if real]
    both = [(real, forecast) for real, forecast in ended if forecast]
    exact = sum(abs(real - forecast) < 0.05 for real, forecast in both)
    false = sum(bool(forecast and not real) for real, forecast in pairs)
    print(f"early ends: {len(both)} of {len(ended)} foreseen, {exact} at the evaluation that ended them")
    print(f"  {false} foreseen in {len(pairs) - len(ended)} runs that went on")


def _end(losses: Sequence[tuple[float, float]]) -> float | None:
    early_stopping = EarlyStopping(PATIENCE)
    for progress, loss in losses:
        early_stopping.update(loss)
        if early_stopping.should_stop:
            return progress
    return None


def main(arguments: Sequence[str]) -> None:
    """Fit, print and perhaps write the curve and the residuals."""
    rows = read_rows(HERE / "grid.jsonl")
    runs, weights = left_out_runs(rows), fit_curve(read_curves(rows), grid_prior())
    whole = [run for run in runs if run.is_whole]
    lowest = np.array([min(loss for _, loss in run.curve) for run in runs])
    print(f"{len(rows)} trainings; each text by a fit to the others")
    print(f"  the lowest point of the curve: {summary(np.log(lowest / [run.loss for run in runs]))}")
    residuals = with_quantiles(fit_residuals(whole), whole)
    print(residuals)
    report(whole, residuals)
    report_ends(runs)
    if "--nested" in arguments:
        report_nested(runs)
    if "--write" in arguments:
        values = iter(weights.round(4).tolist())
        by_term = {term: {name: next(values) for name in names} for term, names in CURVE_TERMS.items()}
        law = json.loads(FILE.read_text("utf-8"))
        law |= {"curve": {"asymptote": ASYMPTOTE, "weights": by_term}, "residuals": vars(residuals)}
        FILE.write_text(json.dumps(law, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
