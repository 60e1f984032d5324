"""The runs of a folder as a table: for a terminal, a program, a paper or a notebook.

`figures` has numbers for programs, `words` has text for people. Settings become columns if they differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from string import digits
from typing import Any, Literal

from glassgpt.checkpoint.folders import run_folders
from glassgpt.checkpoint.run import Run
from glassgpt.checkpoint.summary import RunSummary, status, summarize
from glassgpt.errors import UserError
from glassgpt.language import N_, verbatim
from glassgpt.tables import as_csv, as_html, as_latex, as_markdown
from glassgpt.units import short_number

Sort = Literal["name", "loss", "date"]
Row = Mapping[str, Any]
NUMBERS = {"seed", "steps", "minutes", "loss"}
"""Columns of `words` with numbers, to be aligned at the right."""


@dataclass(frozen=True)
class RunsTable:
    """The runs of a folder, in order. Shows itself in a notebook."""

    folder: Path
    runs: tuple[RunSummary, ...]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the chosen settings that differ between these runs."""
        runs = [run for run in self.runs if run.state != "unreadable"]
        names = dict.fromkeys(name for run in runs for name in run.options)
        return tuple(name for name in names if len({str(run.options.get(name)) for run in runs}) > 1)

    def figures(self) -> list[dict[str, Any]]:
        """Return a dict of numbers and names for each run; None is unknown."""
        return [
            {
                "run": str(run.path),
                "task": run.task,
                "text": ", ".join(run.sources),
                "model": run.model,
                "seed": run.seed,
                **{name: run.options.get(name) for name in self.options},
                "steps": run.n_steps,
                "minutes": run.minutes,
                "loss": run.nats_per_char,
                "unit": run.unit,
                "exact": run.exact,
                "baseline": run.baseline or None,
                "baseline_loss": run.baseline_loss,
                "baseline_exact": run.baseline_exact,
                "status": status(run),
            }
            for run in self.runs
        ]

    def words(self) -> list[dict[str, str]]:
        """Return a dict of text for each run, with the same keys for all; "" is unknown."""
        several = len({run.unit for run in self.runs} | {"exact" for run in self.runs if run.exact}) > 1
        return [
            {
                "run": verbatim(_relative(run.path, self.folder)),
                "task": run.task,
                "text": verbatim(", ".join(run.sources)),
                "model": run.model,
                "seed": "" if run.seed is None else str(run.seed),
                **{name: verbatim(_text(run.options.get(name))) for name in self.options},
                "steps": str(run.n_steps) if run.n_steps else "",
                "minutes": "" if run.minutes is None else short_number(run.minutes),
                "loss": _result(run, several),
                "best counted": run.counted,
                "status": status(run),
            }
            for run in self.runs
        ]

    def common(self) -> dict[str, str]:
        """Return the columns of `words` that say the same of two or more runs: text, task, model, seed."""
        rows = [row for row, run in zip(self.words(), self.runs, strict=True) if run.state != "unreadable"]
        if len(rows) < 2:
            return {}
        values = {name: {row[name] for row in rows} for name in ("text", "task", "model", "seed")}
        return {name: next(iter(found)) for name, found in values.items() if len(found) == 1}

    @property
    def unit(self) -> str:
        """Unit of the losses if all runs have the same; else empty."""
        units = {run.unit for run in self.runs if run.state != "unreadable"}
        return units.pop() if len(units) == 1 else ""

    def to_json(self) -> str:
        """Return `figures` as JSON."""
        return json.dumps(self.figures(), indent=1, ensure_ascii=False, default=str)

    def to_csv(self) -> str:
        """Return `figures` as CSV; what is unknown is empty."""
        rows = self.figures()
        cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
        return as_csv(list(rows[0]), cells)

    def to_markdown(self) -> str:
        """Return `words` as a Markdown table."""
        return as_markdown(*self._cells())

    def to_latex(self) -> str:
        """Return `words` as a LaTeX table; needs the package booktabs."""
        return as_latex(*self._cells())

    def _repr_html_(self) -> str:
        return as_html(*self._cells())

    def _cells(self) -> tuple[list[str], list[list[str]], set[int]]:
        """Return head, rows and the columns of numbers."""
        rows = self.words()
        head = [self.heading(name) for name in rows[0]]
        return (
            head,
            [[*row.values()] for row in rows],
            {i for i, name in enumerate(rows[0]) if name in NUMBERS},
        )

    def heading(self, name: str) -> str:
        """Return the heading of a column: that of the losses has their unit."""
        return name if name != "loss" else self.unit or N_("held out")


def runs(folder: Path | str = "runs", *, sort: Sort = "name", task: str | None = None) -> RunsTable:
    """List the runs of a folder, with their results and the settings in which they differ.

    sort: by name, by held-out loss (best first, exact answers before losses), or by date (newest first).
    task: only runs of this task. Raises UserError for a folder without runs.

    >>> import glassgpt
    >>> glassgpt.runs("runs", sort="loss").to_csv()  # doctest: +SKIP
    """
    folder = Path(folder)
    found = [summarize(Run(path)) for path in run_folders(folder)]
    if not found:
        raise UserError(
            "{folder} has no runs. Make one with `glassgpt train`, or name another folder.", folder=folder
        )
    if sort not in ORDERS:
        raise UserError("`sort`: {sort!r} is not known. Give {orders}.", sort=sort, orders=", ".join(ORDERS))
    if task is not None:
        found = _of_task(found, task, folder)
    return RunsTable(folder, tuple(sorted(found, key=ORDERS[sort])))


def _of_task(found: list[RunSummary], task: str, folder: Path) -> list[RunSummary]:
    tasks = sorted({run.task for run in found if run.task})
    if task not in tasks:
        close = "".join(get_close_matches(task, tasks, 1))
        remedy = (
            N_("Did you mean {names}?", names=close)
            if close
            else N_("They have {tasks}.", tasks=", ".join(tasks))
        )
        raise UserError(
            "`task`: no run in {folder} has the task {task}. {remedy}",
            folder=folder,
            task=task,
            remedy=remedy,
        )
    return [run for run in found if run.task == task]


def _by_loss(run: RunSummary) -> tuple[float, ...]:
    if run.exact is not None:
        return (0, -run.exact)
    return (2, 0) if run.nats_per_char is None else (1, run.nats_per_char)


ORDERS: dict[str, Callable[[RunSummary], Any]] = {
    "name": lambda run: _natural(str(run.path)),
    "loss": _by_loss,
    "date": lambda run: -run.changed,
}
"""Sort keys by the name of an order."""


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Return a sort key in which notes-2 comes before notes-10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part)) if part[0] in digits else (1, part) for part in parts]


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def _result(run: RunSummary, with_unit: bool) -> str:
    if run.exact is not None:
        return N_("{share:.1%} exact", share=run.exact)
    if run.nats_per_char is None:
        return ""
    loss = f"{run.nats_per_char:.3f}"
    return N_("{figure} {name}", figure=loss, name=N_(run.unit)) if with_unit else loss
