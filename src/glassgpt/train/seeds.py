"""Runs that differ only in their seed, one after the other. The same plan continues existing runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glassgpt.checkpoint import Run, chosen_settings, is_abandoned
from glassgpt.config import Layer, Resolved, RunConfig, Tables, fields, flat_name, resolve
from glassgpt.errors import UserError
from glassgpt.train.autopilot import ORIGIN
from glassgpt.train.new_path import run_name
from glassgpt.train.run_plan import OnStage, plan

MAX_SEEDS = 100


@dataclass(frozen=True)
class SeedRun:
    """One run of a plan: its seed, its folder, and its settings."""

    seed: int
    path: Path
    layers: tuple[Layer, ...]

    @property
    def state(self) -> Literal["new", "stopped", "done"]:
        """State of the run on disk; a run without a step counts as new."""
        if not (self.path / "config.json").is_file() or is_abandoned(self.path):
            return "new"
        return "done" if Run(self.path).verdict() is not None else "stopped"

    def check(self) -> None:
        """Raise UserError if the folder holds a run with other settings."""
        if self.state == "new":
            return
        stored = dict(fields(Run.open(self.path).config().model_dump(mode="json")))
        wanted = dict(fields(resolve(self.layers).config.model_dump(mode="json")))
        names = {name for layer in self.layers for name, _ in fields(layer.tables)}
        names |= {name for name, _ in fields(chosen_settings(Run(self.path)))}
        if differing := sorted(name for name in names if stored.get(name) != wanted.get(name)):
            raise UserError(
                "{path} is a run with other settings ({names}). Choose another `out`, or remove it.",
                path=self.path,
                names=", ".join(f"`{flat_name(RunConfig, name)}`" for name in differing),
            )


def plan_seeds(
    given: Sequence[Layer],
    n: int,
    out: Path | None = None,
    stage: OnStage | None = None,
    *,
    autopilot: bool = False,
) -> list[SeedRun]:
    """Plan n runs with consecutive seeds, in folders `out-seed1`, `out-seed2`, …

    The first seed is that of the settings, 1 by default; `out` is by default below `runs/`, named after the
    source. autopilot: choose once what is not given, for all runs; the runs that exist keep their choice.
    Raises UserError for settings that cannot be used, and for a folder with another run.
    """
    resolved = resolve(given)
    _check(resolved, n)
    first = resolved.config.train.seed if resolved.is_given("train.seed") else 1
    base = out or Path("runs") / run_name(resolved.config)
    paths = {seed: base.with_name(f"{base.name}-seed{seed}") for seed in range(first, first + n)}

    def planned(chosen: Tables) -> list[SeedRun]:
        layers = (*([Layer(ORIGIN, chosen)] if chosen else []), *given)
        return [SeedRun(s, path, (*layers, _seed(s))) for s, path in paths.items()]

    begun = [run for run in planned({}) if run.state != "new"]
    runs = planned(_chosen_before(begun[0].path) if begun else {})
    for run in runs:
        run.check()
    if begun or not autopilot:
        return runs
    decision = plan([*given, _seed(first)], stage, autopilot=True).decision
    return planned(decision.layer.tables) if decision else runs


def _check(resolved: Resolved, n: int) -> None:
    if not 2 <= n <= MAX_SEEDS:
        raise UserError("`seeds`: got {n}. Give 2 to {most}.", n=n, most=MAX_SEEDS)
    if "-" in resolved.config.data.sources:
        raise UserError("`seeds`: standard input can be read only once. Save the text, and name the file.")


def _seed(seed: int) -> Layer:
    return Layer("seeds", {"train": {"seed": seed}})


def _chosen_before(path: Path) -> Tables:
    """Return what the autopilot chose for a run."""
    values = dict(fields(Run.open(path).config().model_dump(mode="json")))
    chosen: Tables = {}
    for name, origin in Run(path).origins().items():
        table, _, field = name.partition(".")
        if origin == ORIGIN and field and name in values:
            chosen.setdefault(table, {})[field] = values[name]
    return chosen
