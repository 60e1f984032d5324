"""The runs that the lab shows, by id.

A page names runs by ids that the catalog gives out, never by paths, so no request can lead out of the folder.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import (
    Run,
    RunCurve,
    RunSummary,
    read_curve,
    run_folders,
    snapshot_steps,
    summarize,
)
from glassgpt.config import RunConfig, fields, flat_name, origin_in_words
from glassgpt.diagnose import judged_again
from glassgpt.errors import UserError
from glassgpt.explain import BUILTIN
from glassgpt.lab.findings import outcome_findings
from glassgpt.language import N_, _
from glassgpt.reports import read_forecasts
from glassgpt.safe_io import MAX_JSON, read_capped
from glassgpt.tasks import task_of

MAX_POINTS = 1_000
"""Points of a curve, at most: a page cannot show more."""
MAX_SAMPLES = 50
"""Samples of a run, at most, the newest ones."""


class UnknownRun(UserError):
    """An id that no run of the folder has."""


class Catalog:
    """The runs of a folder, or a single run, by id. It reads the disk for each question."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _folders(self) -> Iterator[Path]:
        if (self.folder / "config.json").is_file():
            yield self.folder
            return
        yield from run_folders(self.folder)

    def run(self, id: str) -> Run:
        """Return a run of the folder, or a built-in one, by its id. Raises UnknownRun, and UserError."""
        return _find(id, [*self._folders(), *builtin_folders()])

    def own_run(self, id: str) -> Run:
        """Return a run of the folder by its id. Raises UnknownRun, and UserError for a damaged run."""
        return _find(id, self._folders())

    def rows(self) -> list[dict[str, Any]]:
        """Return a dict for each run, the newest first. Damaged runs are listed, too."""
        found = sorted((summarize(Run(folder)) for folder in self._folders()), key=lambda run: -run.changed)
        return [_row(each) for each in found]

    def details(self, id: str) -> dict[str, Any]:
        """Return a run's row with its settings, curve, baselines and samples. Raises UserError."""
        run = self.run(id)
        config, curve = run.config(), read_curve(run)
        return {
            **_row(curve.summary),
            "settings": _settings(run, config),
            "ladder": [
                {"name": _(score.name), "kind": score.kind, "loss": score.nats_per_char}
                for score in curve.baselines
                if math.isfinite(score.nats_per_char)
            ],
            "curve": _curve(curve),
            "forecast": _forecasts(run),
            "findings": outcome_findings(run),
            "samples": _samples(run),
            "steps_saved": run.saved_steps(),
            "verdict": _verdict(run),
        }

    def snapshots(self, id: str) -> dict[str, Any]:
        """Return the steps with a snapshot, each with its held-out loss if it was measured, and the curve."""
        run = self.run(id)
        curve = read_curve(run)
        held_out = {point.steps: point.loss for point in curve.held_out}
        return {
            "snapshots": [{"step": step, "loss": held_out.get(step)} for step in snapshot_steps(run)],
            "curve": _curve(curve),
            "unit": _(curve.summary.unit),
        }


def builtin_folders() -> list[Path]:
    """Return the folders of the runs that come with the package: not listed, but the chapters show them."""
    return [file.parent for file in sorted(BUILTIN.glob("*/config.json"))]


def _find(id: str, folders: Iterable[Path]) -> Run:
    for folder in folders:
        if run_id(folder) == id:
            return Run.open(folder)
    raise UnknownRun("no run has this id now. Open the list of runs again.")


def run_id(folder: Path) -> str:
    """Return the id of a run's folder: the beginning of a hash of its path."""
    return hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _row(summary: RunSummary) -> dict[str, Any]:
    """Return the figures of a run for a table."""
    known = summary.state != "unreadable"
    config = Run(summary.path).config() if known else None
    return {
        "id": run_id(summary.path),
        "name": summary.path.name or summary.path.resolve().name,
        "task": summary.task,
        "family": config.model.family if config else "",
        "model": summary.model,
        "status": _(_status(summary)),
        "state": summary.state,
        "steps": summary.n_steps,
        "minutes": summary.minutes,
        "progress": summary.progress,
        "loss": summary.nats_per_char,
        "unit": _(summary.unit),
        "exact": summary.exact,
        "baseline": _(summary.baseline) if summary.baseline else "",
        "baseline_loss": summary.baseline_loss,
        "baseline_exact": summary.baseline_exact,
        "health": _(summary.problem or summary.health),
        "can_trace": known and bool(Run(summary.path).saved_steps()),
        "takes": sorted(task_of(config).takes) if config else [],
    }


def _status(summary: RunSummary) -> str:
    return summary.facts().get("state", "") if summary.state != "unreadable" else N_("damaged")


def _verdict(run: Run) -> dict[str, Any] | None:
    """Return sentence and table of a run's verdict, and the index of the model's row; None before its end."""
    if (stored := run.verdict()) is None:
        return None
    verdict = judged_again(stored)
    table = verdict.table()
    head, *rows = table.translated()
    return {"sentence": _(verdict.sentence), "head": head, "rows": rows, "model": table.model}


def _settings(run: Run, config: RunConfig) -> list[tuple[str, str, str]]:
    """Return name, value and origin of each setting with a value; those with an origin come first."""
    origins = run.origins()
    tables = config.model_dump(mode="json", exclude={"task"})
    rows = [
        (flat_name(RunConfig, name).rstrip("_"), _value(value), _(origin_in_words(origins.get(name, ""))))
        for name, value in fields(tables)
        if value not in (None, "", [], ())
    ]
    return sorted(rows, key=lambda row: not row[2])


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _curve(curve: RunCurve) -> dict[str, list[tuple[int, float]]]:
    training = [(point.steps, point.loss) for point in curve.training]
    return {
        "training": _thinned(training),
        "held_out": [(point.steps, point.loss) for point in curve.held_out],
    }


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return every n-th point, so few that a page can draw them, and the last one."""
    every = -(-len(points) // MAX_POINTS) or 1
    return points[::every] + (points[-1:] if points and (len(points) - 1) % every else [])


def _forecasts(run: Run) -> list[tuple[float, ...]]:
    """Return progress, final loss, low and high of each forecast."""
    names = ("progress", "nats_per_char", "low", "high")
    rows = (tuple(each[name] for name in names) for each in read_forecasts(run))
    return [row for row in rows if all(map(math.isfinite, row))]


def _samples(run: Run) -> list[dict[str, Any]]:
    files = sorted(run.samples.glob("step-*.txt"))[-MAX_SAMPLES:]
    return [
        {
            "step": int(file.stem.removeprefix("step-") or 0),
            "text": read_capped(file, MAX_JSON).decode("utf-8", "replace"),
        }
        for file in files
        if file.stem.removeprefix("step-").isdigit()
    ]
