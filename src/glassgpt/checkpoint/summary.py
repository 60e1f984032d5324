"""The state of a run in a few fields: for `glassgpt runs`, a web page or a script.

A summary reads names, sizes and small files, never tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from glassgpt.checkpoint.chosen import chosen_settings
from glassgpt.checkpoint.lock import is_locked
from glassgpt.checkpoint.run_folder import RunFolder
from glassgpt.checkpoint.store import steps
from glassgpt.checkpoint.verify import quick_check
from glassgpt.config import ModelConfig, RunConfig, fields, flat_name
from glassgpt.data import LEAK_NOTE, stored_leakage
from glassgpt.diagnose import Accuracy, Score, Verdict, row_title
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.safe_io import MAX_LIST, read_json
from glassgpt.units import span

State = Literal["done", "training", "stopped", "no checkpoints", "weights only", "unreadable"]
SHOWN = ("train.steps", "train.minutes", "train.tokens", "train.seed", "model.family")
"""Settings that have columns of their own."""
LARGEST = 1e15
"""Figures beyond this in metrics.jsonl are ignored: glassgpt does not write them."""


@dataclass(frozen=True)
class RunSummary:
    """State, model and result of a run. If it is unreadable, only `problem` is set."""

    path: Path
    state: State
    problem: str = ""
    """The reason, if config.json is unreadable."""
    sources: tuple[str, ...] = ()
    """Names of the data's files, without folders."""
    task: str = ""
    """Name of the task, such as `language`."""
    model: str = ""
    """Preset, blocks and width, such as `modern 6×384`; other families come first."""
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings that somebody chose, by their names, without data, family, length and seed."""
    n_steps: int = 0
    minutes: float | None = None
    """Time of training so far."""
    progress: float | None = None
    """Share of the training that is done, 0 to 1."""
    nats_per_char: float | None = None
    """Held-out loss: that of the verdict, else of the best evaluation so far."""
    unit: str = "nats/char"
    """Unit of the losses."""
    exact: float | None = None
    """Share of exact answers in the verdict, for tasks with answers."""
    baseline: str = ""
    """Name of the best baseline; compressors are left out."""
    baseline_loss: float | None = None
    """Its loss."""
    baseline_exact: float | None = None
    """Its share of exact answers."""
    changed: float = 0.0
    """Time of the last change of the run's metrics or configuration, in seconds since 1970."""
    leak: str = ""
    """Note of the verdict about held-out text that the model has learned from."""
    health: str = ""
    """Result of `quick_check`: `ok`, `no steps`, `2 of 3 damaged`."""
    resumable: bool = False
    """True if training stopped before its verdict, has optimizer state, and no process trains it."""

    @property
    def damaged(self) -> bool:
        """True if `verify_run` would find damage by names and sizes alone."""
        return self.health not in ("ok", "no steps")

    @property
    def comparison(self) -> str:
        """Result next to the best baseline: `-0.312 (trigram)`, or `81.0% exact, tables 12.5%`."""
        if self.exact is not None and self.baseline_exact is not None:
            return N_(
                "{exact:.1%} exact, tables {baseline_exact:.1%}",
                exact=self.exact,
                baseline_exact=self.baseline_exact,
            )
        if self.state != "done" or self.nats_per_char is None or self.baseline_loss is None:
            return ""
        return f"{self.nats_per_char - self.baseline_loss:+.3f} ({self.baseline})"

    def facts(self) -> dict[str, str]:
        """Return what a person wants to know first, in words, without what is unknown."""
        loss = "" if self.nats_per_char is None else f"{self.nats_per_char:.3f} {self.unit}"
        named = {
            "state": self.problem or status(self),
            "text": ", ".join(self.sources),
            "task": self.task,
            "model": self.model,
            "settings": ", ".join(f"{name} {value}" for name, value in self.options.items()),
            "seed": "" if self.seed is None else str(self.seed),
            "training": _length(self),
            "held out": loss if self.exact is None else N_("{share:.1%} exact", share=self.exact),
            "best counted": self.counted,
        }
        return {name: words for name, words in named.items() if words}

    @property
    def counted(self) -> str:
        """Result of the best baseline, and its name."""
        if self.baseline_exact is not None:
            return N_("{figure} {name}", figure=f"{self.baseline_exact:.1%}", name=row_title(self.baseline))
        if self.baseline_loss is None:
            return ""
        return N_("{figure} {name}", figure=f"{self.baseline_loss:.3f}", name=row_title(self.baseline))


def summarize(run: RunFolder) -> RunSummary:
    """Summarize a run. Never raises for a damaged or hostile one.

    So one bad run does not hide the others of a list.
    """
    try:
        config = RunFolder.open(run.path).config()
    except UserError as error:
        return RunSummary(run.path, "unreadable", str(error).splitlines()[0], health="unreadable")
    rows = run.metrics()
    saved = [int(step.name.removeprefix("step-")) for step in steps(run.checkpoints)]
    done = [row for row in rows if row.get("event") == "step"]
    verdict = read_verdict(run)
    resumable = run.is_resumable() and not is_locked(run.path)
    found = RunSummary(
        path=run.path,
        state=_state(run, verdict),
        sources=tuple(Path(source).name for source in config.data.sources),
        task=config.task or "",
        model=_describe(config.model),
        seed=config.train.seed,
        options=_options(run),
        # an imported run has no rows of steps
        n_steps=int(max(_figures(done, "step", "step") or saved, default=0)),
        minutes=max((s / 60 for s in _figures(done, "step", "elapsed_s")), default=None),
        progress=next(iter(_figures(done[-1:], "step", "progress")), None),
        nats_per_char=min(_figures(rows, "eval", "nats_per_char"), default=None),
        unit=loss_unit(config),
        changed=max(f.stat().st_mtime for f in (run.config_file, run.metrics_file) if f.exists()),
        health=quick_check(run),
        resumable=resumable and not run.verdict_file.is_file(),
    )
    return found if verdict is None else replace(found, **_result(verdict), leak=_leak(run, verdict))


def loss_unit(config: RunConfig) -> str:
    """Return the unit of a run's losses: of a classifier, a class counts as one character."""
    return "nats/class" if config.model.labels else "nats/char"


def _options(run: RunFolder) -> dict[str, Any]:
    """Return chosen settings by flat names, without those that have columns of their own."""
    tables = chosen_settings(run)
    origins = run.origins()
    return {
        flat_name(RunConfig, name).rstrip("_"): value
        for name, value in fields({**tables, "data": {}})
        if name not in SHOWN and origins.get(name) != "autopilot"
    }


def _state(run: RunFolder, verdict: Verdict | None) -> State:
    """Return the state of a readable run."""
    if is_locked(run.path):
        return "training"
    if not steps(run.checkpoints):
        return "no checkpoints"
    if verdict is not None and verdict.model is not None:
        return "done"
    return "stopped" if run.is_resumable() else "weights only"


def _describe(model: ModelConfig) -> str:
    """Return family, preset and size of a model."""
    size = f"{model.preset} {model.n_layer}×{model.n_embd}"
    return {"gpt": size, "bigram": "bigram"}.get(model.family, f"{model.family} {size}")


def _figures(rows: list[dict[str, Any]], event: str, name: str) -> list[float]:
    """Return one figure of all events of a kind."""
    values = [row.get(name) for row in rows if row.get("event") == event]
    return [value for value in values if isinstance(value, int | float) and abs(value) < LARGEST]


def read_verdict(run: RunFolder) -> Verdict | None:
    """Return the verdict of a run; None if there is none, or none that can be read."""
    try:
        verdict = Verdict.from_dict(read_json(run.verdict_file))
        _result(verdict)  # figures of a stranger may not fit together
        return verdict
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return None


def _leak(run: RunFolder, verdict: Verdict) -> str:
    """Return the note about a leak as a text that `_` can translate, or as it is stored."""
    stored = next((note for note in verdict.notes if note.startswith(LEAK_NOTE)), "")
    try:
        about = read_json(run.data / "manifest.json", MAX_LIST) if stored else {}
        leakage = stored_leakage(about.get("leakage"))
    except UserError:
        leakage = None
    return str(leakage or stored)


def _result(verdict: Verdict) -> dict[str, Any]:
    """Return the fields that follow from a verdict."""
    model, baselines = verdict.model, verdict.baselines
    if isinstance(model, Accuracy):
        best = max((row for row in baselines if isinstance(row, Accuracy)), key=lambda row: row.share)
        found = {"exact": model.share, "baseline": best.name, "baseline_exact": best.share}
    elif isinstance(model, Score):
        scores = [row for row in baselines if isinstance(row, Score) and row.kind != "compressor"]
        counted = min(scores, key=lambda score: score.total_nats)
        scale = verdict.whole / model.nats_per_char if verdict.whole and model.nats_per_char else 1.0
        found = {"baseline": counted.name, "baseline_loss": scale * counted.nats_per_char}
        found["nats_per_char"] = scale * model.nats_per_char
    else:
        found = {}
    return found


def status(run: RunSummary) -> str:
    """Return the state of a run in a word: done, training, stopped, damaged, …"""
    if run.state == "unreadable" or run.damaged:
        return N_("damaged")
    if run.state == "training" and run.progress:
        return N_("training {progress:.0%}", progress=run.progress)
    return N_("imported") if run.state == "weights only" else run.state


def _length(run: RunSummary) -> str:
    if not run.n_steps:
        return ""
    if run.minutes is None:
        return N_("{n:,} steps", n=run.n_steps)
    return N_("{n:,} steps in {minutes}", n=run.n_steps, minutes=span(run.minutes))
