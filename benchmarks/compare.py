"""Calibration of `glassgpt compare`: false alarms, planted effects, coverage of the interval.

    python benchmarks/compare.py simulation
    python benchmarks/compare.py real --trials 100      # about an hour on two busy cores

`simulation` draws differences of pairs (no training): 2,000 comparisons of up to eight pairs for each
distribution and each true difference, with the early end of the command. It counts how often the interval
holds the true difference, and how often a difference is claimed where there is none.

`real` trains. Every trial is one call of `glassgpt.compare` on a tiny model (a block of width 32, 30 steps).
A/A: B takes the batch of A in two halves, which changes nothing but the draws of dropout. Planted: B has a
lower learning rate, with the effect that the report names. The losses are kept in the report; `resampled`
draws 2,000 more comparisons from the A/A differences, which shows what more trials would.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from glassgpt.diagnose.sign_flips import DETECTABLE, MIN_PAIRS, first_rejection, is_decided, paired
from report import write_report

Draw = Callable[[np.random.Generator, int], np.ndarray]
PLANNED = 8
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "Student's t, 5 degrees of freedom": lambda rng, n: rng.standard_t(5, size=n) / np.sqrt(5 / 3),
    "gamma of shape 4, which is skewed": lambda rng, n: (rng.gamma(4, size=n) - 4) / 2,
}
TEXT = str(Path(__file__).parents[1] / "docs" / "guide")
BASE: dict[str, Any] = {
    "model": {"n_layer": 1, "n_embd": 32, "n_head": 2, "block_size": 32, "dropout": 0.1},
    "train": {"evals": 1, "threads": 1},
}
A, SAME, WORSE = "batch_size=8", "batch_size=4 grad_accum_steps=2", "batch_size=8 lr=0.0157"
LENGTH = {"steps": 30}


def comparison(draw: Callable[[int], np.ndarray], planned: int = PLANNED) -> np.ndarray:
    """Draw differences until the command would stop."""
    differences = draw(planned)
    for n in range(1, planned):
        if is_decided(differences[:n].tolist(), planned):
            return differences[:n]
    return differences


def simulate(draw: Draw, effect: float, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return coverage and claims of comparisons with this true difference, in standard deviations."""
    held = held_bca = claims = pairs = 0
    for _ in range(trials):
        d = comparison(lambda n: effect + draw(rng, n))
        found = paired(d.tolist(), PLANNED)
        assert found.low is not None and found.high is not None and found.bca is not None
        held += found.low <= effect <= found.high
        held_bca += found.bca[0] <= effect <= found.bca[1]
        claims += found.is_real
        pairs += len(d)
    return {
        "effect_in_sd": effect,
        "trials": trials,
        "interval_covers": held / trials,
        "bca_covers": held_bca / trials,
        "claimed": claims / trials,
        "mean_pairs": round(pairs / trials, 2),
    }


def power_at_detectable(trials: int, rng: np.random.Generator) -> float:
    """Return the share of comparisons that find a difference of the printed detectable size."""
    effect = DETECTABLE[PLANNED - MIN_PAIRS]
    found = [first_rejection(effect + rng.normal(size=PLANNED), PLANNED) for _ in range(trials)]
    return sum(each is not None for each in found) / trials


def simulation(trials: int) -> dict[str, Any]:
    """Run all distributions and effects."""
    rng = np.random.default_rng(22)
    rows = []
    for name, draw in DISTRIBUTIONS.items():
        for effect in (0.0, 1.0, 2.0):
            row = {"differences": name, **simulate(draw, effect, trials, rng)}
            rows.append(row)
            print(json.dumps(row), flush=True)
    power = power_at_detectable(trials, rng)
    print(f"power at the detectable difference: {power:.3f}")
    return {"planned_pairs": PLANNED, "rows": rows, "power_at_detectable": power}


def real(trials: int, planted: int, source: str, folder: Path, first: int) -> dict[str, Any]:
    """Run trials of the command's library call; write the report after each. first: the first seed."""
    import glassgpt

    base = {**BASE, "data": {"sources": [source]}}
    report: dict[str, Any] = {
        "text": Path(source).name,
        "length": LENGTH,
        "first_seed": first,
        "base": BASE,
        "a_a": [],
        "planted": [],
    }
    jobs = [("planted", WORSE, i) for i in range(planted)] + [("a_a", SAME, i) for i in range(trials)]
    for kind, b, i in jobs:
        seed = first + 100 * i + 50 * (kind == "planted")
        found = glassgpt.compare(A, b, base, length=LENGTH, seed=seed, out=folder / f"{kind}-{i}")
        report[kind].append(
            {"losses": found.losses, "real": found.paired.is_real, "sentence": found.sentence}
        )
        print(kind, i, len(found.losses), found.sentence, flush=True)
        report["summary"] = summary(report)
        write_report("compare-real" if first == 1000 else f"compare-real-{first}", report)
    return report


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of the real trials."""
    found: dict[str, Any] = {}
    for kind in ("a_a", "planted"):
        trials = report[kind]
        effects = [100 * (b - a) / a for each in trials for a, b in each["losses"]]
        if trials:
            found[kind] = {
                "trials": len(trials),
                "claimed": sum(each["real"] for each in trials),
                "mean_effect_percent": round(statistics.mean(effects), 3),
                "sd_of_pairs_percent": round(statistics.pstdev(effects), 3),
                "mean_pairs": statistics.mean(len(each["losses"]) for each in trials),
            }
    pool = np.array([a - b for each in report["a_a"] for a, b in each["losses"]])
    if len(pool) >= 100:
        rng = np.random.default_rng(7)
        rows = simulate(lambda rng, n: rng.choice(pool - pool.mean(), n), 0.0, 2_000, rng)
        found["a_a_resampled"] = rows
    return found


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("part", choices=["simulation", "real"])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--planted", type=int, default=10)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--first-seed", type=int, default=1000, help="another one gives fresh trials")
    given = parser.parse_args()
    if given.part == "simulation":
        write_report("compare-simulation", simulation(given.trials or 2_000))
        return
    with TemporaryDirectory() as folder:
        report = real(given.trials or 100, given.planted, given.text, Path(folder), given.first_seed)
    print(json.dumps(report["summary"], indent=1))


if __name__ == "__main__":
    main()
