"""Several seeds in words: what will be trained, and mean and spread of the results."""

from __future__ import annotations

from collections.abc import Sequence

from glassgpt.checkpoint import Run, RunsTable, RunSummary, Spread
from glassgpt.cli.view.runs import print_runs
from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.config import resolve
from glassgpt.language import N_, _
from glassgpt.train import Budget, SeedRun
from glassgpt.units import span


def print_plan_of_seeds(runs: Sequence[SeedRun]) -> None:
    """Print how many runs there are to train, and how long that takes."""
    console, n_done = Terminal(), sum(run.state == "done" for run in runs)
    seeds = ", ".join(str(run.seed) for run in runs)
    budget = Budget.of(resolve(runs[0].layers).config)
    minutes = (budget.seconds or 0.0) / 60
    length = _("{steps} steps each", steps=budget.steps)
    if minutes:
        length = _(
            "{span} each, {total} in total", span=span(minutes), total=span(minutes * (len(runs) - n_done))
        )
    console.print(
        _("{n} runs, seeds {seeds}: {length}", n=len(runs), seeds=seeds, length=length)
        + (_("; {n_done} done already", n_done=n_done) if n_done else "")
    )
    console.print()


def print_results_of_seeds(runs: Sequence[SeedRun], as_json: bool) -> None:
    """Print a line for each run, and mean and standard deviation of their results."""
    found = [Run(run.path).summary() for run in runs]
    loss, exact = spreads(found)
    if as_json:
        rows = [
            {"seed": run.seed, "run": str(run.path), "loss": each.nats_per_char, "exact": each.exact}
            for run, each in zip(runs, found, strict=True)
        ]
        print_json({"event": "seeds", "runs": rows, "loss": _row(loss), "exact": _row(exact)})
        return
    print_runs(RunsTable(runs[0].path.parent, tuple(found)), wide=False)
    console, n = Terminal(), len(runs)
    if exact is not None:
        share = Spread(100 * exact.mean, 100 * (exact.sd or 0.0), n).format(".1f", "%")
        console.print(
            _("\nexact answers of {n} seeds: {share} (mean ± standard deviation)", n=n, share=share)
        )
    elif loss is not None:
        line = _(
            "held-out loss of {n} seeds: {loss} {unit} (mean ± standard deviation)",
            n=n,
            loss=loss,
            unit=N_(found[0].unit),
        )
        console.print(f"\n{line}{_next_to(found[0])}")


def spreads(found: Sequence[RunSummary]) -> tuple[Spread | None, Spread | None]:
    """Return mean and deviation of losses and of exact answers; None if a run lacks them."""
    losses = [run.nats_per_char for run in found if run.nats_per_char is not None]
    shares = [run.exact for run in found if run.exact is not None]
    both = [Spread.of(values) if len(values) == len(found) else None for values in (losses, shares)]
    return both[0], both[1]


def _next_to(run: RunSummary) -> str:
    return _("; best counted {counted}", counted=run.counted) if run.counted else ""


def _row(spread: Spread | None) -> dict[str, float | int | None] | None:
    return None if spread is None else {"mean": spread.mean, "sd": spread.sd, "n": spread.n}
