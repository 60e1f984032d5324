"""Chapters in the page: the learning path, and each chapter measured on a run, with its live view.

Texts, figures and code are those of `glassgpt explain`. A chapter that was read, and practice whose run was
looked at, count as done for `glassgpt learn` as well.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from glassgpt.checkpoint import Run, read_pointer
from glassgpt.diagnose import MARKS
from glassgpt.errors import shell_word
from glassgpt.explain import (
    PATH,
    Chapter,
    Grid,
    LearningPath,
    LearningStep,
    chapter,
    check,
    expectation,
    figure,
    finished_steps,
    learning_path,
    make_notebook,
    record_step,
)
from glassgpt.lab.catalog import Catalog, UnknownRun, builtin_folders, run_id
from glassgpt.lab.requests import AnswerRequest, ChapterRequest
from glassgpt.lens import visible_label

BUILTIN = "builtin"
"""Asks for the built-in run, also if the folder has one that fits."""
MAX_KEPT = 40
"""Chapters in memory."""
WRITERS = ("gpt",)
CROSSING = ("seq2seq", "captioner")
Measured = tuple[Chapter, dict[str, Any]]


@dataclass(frozen=True)
class Bound:
    """The live view of a step: its name in the page, the place in it, and the families that it shows."""

    view: str
    at: str = ""
    families: tuple[str, ...] = WRITERS


BOUND = {
    "loss": Bound("whatif"),
    "sampling": Bound("bench"),
    "temperature": Bound("bench"),
    "bigram": Bound("bench", families=("bigram",)),
    "weighted-sum": Bound("walk", "output"),
    "query-key": Bound("walk", "products"),
    "scale": Bound("walk", "scores"),
    "mask": Bound("walk", "masked"),
    "graph": Bound("walk", "weights"),
    "positions": Bound("walk", "fused"),
    "qkv": Bound("walk", "fused"),
    "buffers": Bound("walk", "masked"),
    "block": Bound("whatif"),
    "gpt": Bound("rewind"),
    "cross": Bound("cross", families=CROSSING),
    "dates": Bound("cross", families=("seq2seq",)),
    "scenes": Bound("cross", families=("captioner",)),
    "ladder": Bound("whatif"),
}
"""The view of each step of the learning path."""


class Chapters:
    """The learning path over the runs of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.notes: list[str] = []
        """Why progress could not be kept, the newest last."""
        self._kept: OrderedDict[tuple[Any, ...], Measured] = OrderedDict()
        self._lock = Lock()

    def path(self, language: str) -> dict[str, Any]:
        """Return all steps in order, what is done, and the next one."""
        path = self._path(language)
        steps = [self._step(step) for step in path]
        following = None if path.next is None else path.next.name
        return {"steps": steps, "done": path.n_done, "next": following, "note": (self.notes or [""])[-1]}

    def _path(self, language: str) -> LearningPath:
        done = finished_steps(self.notes.append)
        return learning_path(self.catalog.folder, done=done, language=language)

    def _step(self, step: LearningStep) -> dict[str, Any]:
        about, bound = step.to_dict(), BOUND[step.name]
        run = self._run_to_look_at(step.run, bound)
        train, use = ("", "") if step.is_chapter else (step.train, step.use_command)
        return about | {
            "run": None if step.run is None else _named(step.run),
            "train": train,
            "use": use,
            "view": bound.view,
            "at": bound.at,
            "view_run": None if run is None else run_id(run),
        }

    def read(self, name: str, asked: ChapterRequest) -> dict[str, Any]:
        """Measure a chapter and note that it was read. Raises UserError for an unknown chapter or run."""
        run = self._run(name, asked)
        with self._lock:
            _, content = self._chapter(name, run, asked.language)
        record_step(name, self.notes.append)
        shown = content["shown_run"]
        looked_at = self._run_to_look_at(None if shown is None else Path(shown), BOUND[name])
        chosen = "" if run is None else f" --run {shell_word(run)}"
        return content | {
            "shown_run": None if shown is None else _named(Path(shown)),
            "view": BOUND[name].view,
            "at": BOUND[name].at,
            "view_run": None if looked_at is None else run_id(looked_at),
            "command": f"glassgpt explain {name}{chosen}",
            "notebook": f"glassgpt explain {name}{chosen} --notebook {name}.ipynb",
        }

    def notebook(self, name: str, asked: ChapterRequest) -> dict[str, Any]:
        """Return the notebook of a chapter on a run. Raises UserError for an unknown chapter or run."""
        with self._lock:
            read, _ = self._chapter(name, self._run(name, asked), asked.language)
        return make_notebook(read)

    def check(self, name: str, asked: AnswerRequest) -> dict[str, Any]:
        """Check the number that answers an exercise. Raises UserError for an unknown chapter or exercise."""
        with self._lock:
            checked = check(name, asked.exercise, asked.answer, language=asked.language)
        return {"right": checked.right, "message": str(checked)}

    def looked_at(self, id: str) -> None:
        """Note that the page showed the inside of a run: that completes the practice with its family."""
        try:
            family = self.catalog.own_run(id).config().model.family
        except UnknownRun:  # a built-in run is no practice
            return
        for step in PATH:
            if step.family == family:
                record_step(step.name, self.notes.append)

    def _chapter(self, name: str, run: Path | None, language: str) -> Measured:
        """Return a measured chapter with its content; measured again after a new best step."""
        best = None if run is None else read_pointer(Run(run).checkpoints, "best")
        key = (name, run, best, language)
        if key not in self._kept:
            read = chapter(name, run, language=language)
            self._kept[key] = read, _content(read)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _run(self, name: str, asked: ChapterRequest) -> Path | None:
        """Return the folder of the run to measure; None for the built-in one. Raises UserError."""
        if asked.run == BUILTIN or (asked.run is None and name not in BOUND):
            return None
        return (
            self._newest(BOUND[name].families) if asked.run is None else self.catalog.own_run(asked.run).path
        )

    def _run_to_look_at(self, shown: Path | None, bound: Bound) -> Path | None:
        """Return the run for the live view: the shown one, else the newest that fits, else a built-in one."""
        if shown is not None and Run(shown).config().model.family in bound.families:
            return shown
        return self._newest(bound.families) or _builtin(bound.families)

    def _newest(self, families: tuple[str, ...]) -> Path | None:
        """Return the newest run of one of these families that can be looked into."""
        ids = [row["id"] for row in self.catalog.rows() if row["can_trace"] and row["family"] in families]
        return self.catalog.own_run(ids[0]).path if ids else None


def _builtin(families: tuple[str, ...]) -> Path | None:
    folders = builtin_folders()
    return next((each for each in folders if Run(each).config().model.family in families), None)


def _named(run: Path) -> dict[str, str]:
    return {"id": run_id(run), "name": run.name or run.resolve().name}


def _content(read: Chapter) -> dict[str, Any]:
    """Return text, tables, findings, code and exercises, with every figure as `glassgpt explain` shows it."""
    return {
        "name": read.name,
        "title": read.title,
        "body": [{"text": part} if isinstance(part, str) else _table(part) for part in read.body],
        "findings": [
            {
                "name": finding.name,
                "observed": figure(finding.observed),
                "expected": expectation(finding),
                "outcome": finding.outcome,
                "mark": MARKS[finding.outcome],
                "advice": finding.advice,
            }
            for finding in read.findings
        ],
        "cells": [
            {"code": cell.shown, "output": output} if cell.is_code else {"text": cell.source}
            for cell, output in zip(read.lesson.cells, read.lesson.run(), strict=True)
        ],
        "exercises": [
            {"question": each.question, "start": each.start, "is_number": each.answer_name == "answer"}
            for each in read.exercises
        ],
        "module": f"glassgpt.explain.chapters.{read.name.replace('-', '_')}",
        "shown_run": read.run,
    }


def _table(grid: Grid) -> dict[str, Any]:
    """Return a grid with its numbers as text, and as shares of the largest one for the background."""
    largest = max((abs(v) for row in grid.values for v in row if v == v), default=0) or 1
    return {
        "title": grid.title,
        "columns": [visible_label(name) for name in grid.columns],
        "rows": [visible_label(name) for name in grid.rows],
        "values": [["" if v != v else f"{v:.{grid.decimals}f}" for v in row] for row in grid.values],
        "shares": [[0 if v != v else abs(v) / largest for v in row] for row in grid.values]
        if grid.shade
        else None,
    }
