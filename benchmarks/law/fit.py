"""Fit the law to the grid, and print its errors on texts that a fit has not seen.

    python benchmarks/law/fit.py [--write]

Reads benchmarks/law/grid.jsonl (made by grid.py). Each text is left out once: the law that is fitted to the
others forecasts it. These errors give the 80 % intervals (split conformal: a quantile of the errors,
corrected for their number). `--write` stores the law in src/glassgpt/train/autopilot/law.json. The curve of a
run, and its refinement, are fitted by curve.py.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from glassgpt.train.autopilot import Recipe, TextFacts, TokenCount, law_inputs
from glassgpt.train.autopilot.choice import EPOCHS, TABLE_EPOCHS
from glassgpt.train.autopilot.facts import XZ_GUESS
from glassgpt.train.autopilot.scaling_law import FILE, TERMS
from glassgpt.train.autopilot.speed import PRICES, prior_seconds, work

Floats = NDArray[np.float64]
HERE = Path(__file__).parent
ASYMPTOTES = (0.5, 0.6, 0.8)
SCALE = 0.03
"""Errors of ln(loss) beyond this count less and less: a robust loss."""
RIDGE = 0.2
"""Strength of the prior, per weight, next to errors of `SCALE`."""
OFFSET = 0.05
"""Standard deviation of a text's own offset of ln(loss)."""
MOST_PASSES = 1.6
"""Trainings that make more passes, as a multiple of those of a run by the clock, are left out."""
CAUTIONS = (1.0, 1.5, 2.0, 3.0)
"""Factors of overfitting that choices are tried with."""
SHORTER_THAN = (120_000, 300_000)
"""Characters that divide the texts into groups."""
LIKE_WORK, FEWEST_LIKE = 2.0, 4
"""Trainings are compared with those of at most so many times their work, if there are at least so many."""
PRIOR = {
    "capacity": {"one": -2.0, "params": -0.3},
    "training": {"counted": 1.0, "steps": -0.3, "rate2": 0.1},
    "overfitting": {"one": -5.5, "epochs": 1.6, "params": 0.3, "dropout": -4.0, "decay": -0.3},
    "table_overfitting": {"no_ngram": -10.0, "ngram": -3.0, "ngram_epochs": 1.5, "ngram_dropout": -2.5},
}
"""Weights without data; 0 for all others."""


class Grid(NamedTuple):
    """Rows of the grid as arrays of n rows."""

    rows: list[dict[str, Any]]
    x: list[dict[str, float]]
    """Inputs of the law."""
    loss: Floats
    unigram: Floats
    best: Floats
    texts: NDArray[np.str_]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a grid that learned something, and made about as many passes as runs may, at most."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [row for row in rows if row["loss"] < row["baselines"]["unigram"] and _passes(row) < MOST_PASSES]


def _passes(row: dict[str, Any]) -> float:
    """Return the passes over the text, as a multiple of those after which a run by the clock ends."""
    used = recipe(row)
    epochs = row["steps"] * used.step_tokens / row["n_train_tokens"]
    return epochs / (TABLE_EPOCHS if used.ngram_rows else EPOCHS)


def read_grid(path: Path) -> Grid:
    """Read the rows that the law is fitted to."""
    rows = read_rows(path)
    texts = [facts(row) for row in rows]
    return Grid(
        rows,
        [law_inputs(text, recipe(row), row["steps"]) for text, row in zip(texts, rows, strict=True)],
        np.array([row["loss"] for row in rows]),
        np.array([text.unigram for text in texts]),
        np.array([text.best for text in texts]),
        np.array([row["text"] for row in rows]),
    )


def recipe(row: dict[str, Any]) -> Recipe:
    """Return the recipe of a row."""
    config = row["config"]
    model, tokenizer, optim = config["model"], config["tokenizer"], config["optim"]
    return Recipe(
        tokenizer["kind"],
        tokenizer.get("vocab_size", 0),
        model["preset"],
        model["n_layer"],
        model["n_head"],
        model["n_embd"],
        model["block_size"],
        config["train"]["micro_batch_size"],
        optim["lr"] / 0.02,
        optim["weight_decay"],
        model["dropout"],
        model.get("ngram_rows", 0),
        model.get("ngram_dropout", 0.0),
    )


def facts(row: dict[str, Any]) -> TextFacts:
    """Return the facts about the text of a row."""
    scores, used = row["baselines"], recipe(row)
    counted = {name: loss for name, loss in scores.items() if name.endswith("gram")}
    best = min(counted, key=lambda name: counted[name])
    return TextFacts(
        row["n_train_chars"],
        0,
        row["n_val_chars"],
        max(scores.values()),
        scores["unigram"],
        scores["trigram"],
        counted[best],
        best,
        scores.get("xz", XZ_GUESS * counted[best]),
        tuple((int(n), loss) for n, loss in row["counted"]),
        {(used.tokenizer, used.vocab_size): TokenCount(row["n_vocab"], row["tokens_per_char"])},
    )


class Fit(NamedTuple):
    """A fitted law: all weights in one array, and the asymptote."""

    weights: Floats
    asymptote: float

    def losses(self, grid: Grid, overfitting: float = 1.0) -> Floats:
        """Return the forecasts of all rows. overfitting: factor of the terms for it."""
        return self.with_slopes(grid, overfitting)[0]

    def with_slopes(self, grid: Grid, overfitting: float = 1.0) -> tuple[Floats, Floats]:
        """Return the forecasts of all n rows, and the derivatives of their logarithms, (n, weights)."""
        h, slopes, start = np.zeros(len(grid.rows)), list[Floats](), 0
        for name, names in TERMS.items():
            x = np.array([[row[each] for each in names] for row in grid.x])
            term = np.exp(np.minimum(8.0, x @ self.weights[start : start + len(names)]))
            term *= overfitting if name.endswith("overfitting") else 1.0
            h, start = h + term, start + len(names)
            slopes.append(term[:, None] * x)
        lowest = self.asymptote * grid.best
        losses = lowest + (grid.unigram - lowest) * h / (1 + h)
        share = (grid.unigram - lowest) / (1 + h) ** 2 / losses
        return losses, share[:, None] * np.concatenate(slopes, 1)

    def tables(self) -> dict[str, dict[str, float]]:
        """Return the weights by term and input."""
        values = iter(self.weights.tolist())
        return {term: {name: round(next(values), 4) for name in names} for term, names in TERMS.items()}


def fit(grid: Grid, asymptote: float) -> Fit:
    """Fit all weights to ln(loss), with a robust loss, a prior, and an offset for each text."""
    prior = np.array([PRIOR[term].get(name, 0.0) for term, names in TERMS.items() for name in names])

    def law(weights: Floats) -> tuple[Floats, Floats]:
        losses, slopes = Fit(weights, asymptote).with_slopes(grid)
        return np.log(losses / grid.loss), slopes

    return Fit(fit_mixed(law, prior, grid.texts, np.ones(len(grid.rows)), OFFSET), asymptote)


def fit_mixed(
    errors: Callable[[Floats], tuple[Floats, Floats]],
    prior: Floats,
    groups: NDArray[Any],
    weights: Floats,
    deviation: float,
    ridge: float = RIDGE,
) -> Floats:
    """Fit a mixed-effects model: weights for all rows, and an offset for each group, which forecasts lack.

    So what distinguishes settings is learned within groups, and not from groups that happen to have them.
    errors: of ln(loss), (n,), and their derivatives, (n, weights). groups: (n,). weights: of the rows, (n,).
    deviation: standard deviation of the offsets.
    """
    names, group = np.unique(groups, return_inverse=True)
    of_group = np.eye(len(names))[group]  # (n, groups)
    n, scale = len(prior), np.sqrt(weights) / SCALE
    strength = np.concatenate([np.full(n, ridge / SCALE), np.full(len(names), 1 / deviation)])
    start = np.concatenate([prior, np.zeros(len(names))])

    def residuals(x: Floats) -> Floats:
        return np.concatenate([scale * (errors(x[:n])[0] + x[n:][group]), strength * (x - start)])

    def slopes(x: Floats) -> Floats:
        by_row = np.concatenate([errors(x[:n])[1], of_group], 1)
        return np.concatenate([scale[:, None] * by_row, np.diag(strength)])

    found = least_squares(residuals, start, jac=slopes, loss="soft_l1")  # pyright: ignore[reportArgumentType]
    return found.x[:n]


def part(grid: Grid, chosen: NDArray[np.bool_]) -> Grid:
    """Return some rows of a grid."""
    at = np.flatnonzero(chosen)
    picked = [[each[i] for i in at] for each in (grid.rows, grid.x)]
    return Grid(*picked, *(each[at] for each in grid[2:]))  # pyright: ignore[reportArgumentType]


def left_out(grid: Grid, forecast: Callable[[Grid, Grid], Floats]) -> Floats:
    """Return the forecasts of each text by a fit to the others. forecast: (others, text) -> (n,)."""
    found = np.zeros(len(grid.rows))
    for text in sorted(set(grid.texts.tolist())):
        chosen = grid.texts == text
        found[chosen] = forecast(part(grid, ~chosen), part(grid, chosen))
    return found


def quantile80(errors: Floats) -> float:
    """Return the 80 % quantile of the absolute errors, as split-conformal prediction corrects it."""
    n = len(errors)
    return float(np.quantile(np.abs(errors), min(1.0, math.ceil(0.8 * (n + 1)) / n)))


def summary(errors: Floats) -> str:
    """Return median and 90 % quantile of absolute errors in percent."""
    return f"median {np.median(np.abs(errors)):.1%}, p90 {np.quantile(np.abs(errors), 0.9):.1%}"


def report_choices(grid: Grid, asymptote: float) -> None:
    """Print what a choice by the law costs, and by a law that is more cautious about overfitting."""
    for caution in CAUTIONS:
        laws = left_out(
            grid, lambda others, text, caution=caution: fit(others, asymptote).losses(text, caution)
        )
        costs = [
            [cost for text in texts if (cost := _cost(grid, laws, grid.texts == text)) is not None]
            for texts in _by_length(grid)
        ]
        print(f"  caution {caution:g}: " + ", ".join(f"{np.mean(each):.2%} ({len(each)})" for each in costs))


def _by_length(grid: Grid) -> list[set[str]]:
    """Return the texts in groups, the shortest first."""
    groups = [set[str]() for _ in range(len(SHORTER_THAN) + 1)]
    for row in grid.rows:
        groups[sum(row["n_train_chars"] >= n for n in SHORTER_THAN)].add(row["text"])
    return groups


def _cost(grid: Grid, laws: Floats, of_text: NDArray[np.bool_]) -> float | None:
    """Return how far a text's trainings with the lowest forecasts are above the best ones, a mean share.

    Each training is compared with those of about its work, four at least. None: there are none.
    """
    found = list[float]()
    logs = np.log([row["steps"] * prior_seconds(recipe(row), row["n_vocab"]) for row in grid.rows])
    for i in np.flatnonzero(of_text):
        near = np.flatnonzero(of_text & (np.abs(logs - logs[i]) < np.log(LIKE_WORK)))
        if len(near) >= FEWEST_LIKE:
            found.append(grid.loss[near[np.argmin(laws[near])]] / grid.loss[near].min() - 1)
    return float(np.mean(found)) if found else None


def prices(grid: Grid) -> dict[str, float]:
    """Fit the prices of work to the seconds of a step, relative errors."""
    work_done = [work(recipe(row), row["n_vocab"]) for row in grid.rows]
    seconds = np.array([row["step_s"] for row in grid.rows])
    x = np.array([[each[name] for name in PRICES] for each in work_done])
    found, _ = nnls(x / seconds[:, None] / x.mean(0), np.ones(len(seconds)))
    found = found / x.mean(0)
    errors = np.log(x @ found / seconds)
    print(f"seconds of a step: {summary(errors - np.median(errors))}")
    return dict(zip(PRICES, found.tolist(), strict=True))


def main(arguments: Sequence[str]) -> None:
    """Fit, print and perhaps write the law."""
    grid = read_grid(HERE / "grid.jsonl")
    print(f"{len(grid.rows)} trainings on {len(set(grid.texts.tolist()))} texts")
    by_asymptote = {
        a: left_out(grid, lambda others, text, a=a: fit(others, a).losses(text)) for a in ASYMPTOTES
    }
    error = {a: float(np.median(np.abs(np.log(laws / grid.loss)))) for a, laws in by_asymptote.items()}
    asymptote = min(error, key=lambda a: error[a])
    laws, whole = by_asymptote[asymptote], fit(grid, asymptote)
    errors = np.log(laws / grid.loss)
    print(f"law, asymptote {asymptote}: fitted {summary(np.log(whole.losses(grid) / grid.loss))}")
    print(f"  each text by the others: {summary(errors)}, 80 % within {quantile80(errors):.2%}")
    for text in sorted(set(grid.texts.tolist())):
        own = errors[grid.texts == text]
        print(f"    {text}: {summary(own)}, bias {np.median(own):+.1%}")
    print(
        "choices of the law: loss above that of the best training with like work, by length of text (texts)"
    )
    report_choices(grid, asymptote)
    print({name: float(f"{price:.3g}") for name, price in prices(grid).items()})
    if "--write" in arguments:
        law = {"weights": whole.tables(), "asymptote": asymptote, "spread": round(quantile80(errors), 4)}
        FILE.write_text(json.dumps(json.loads(FILE.read_text("utf-8")) | law, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
