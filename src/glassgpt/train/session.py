"""A session of training: one attempt at a run, from its first event to its verdict.

`start` (start_run.py) makes the session of a new run, `resume` (resume_run.py) continues a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from glassgpt.checkpoint import Run, acquire_lock, discard, write_json
from glassgpt.config import Resolved
from glassgpt.diagnose import Score, Verdict
from glassgpt.language import N_
from glassgpt.notebook_html import html_card
from glassgpt.tasks import Task, TaskData, task_of
from glassgpt.train.autopilot import Decision, Forecaster
from glassgpt.train.eval_plan import STAGE_S
from glassgpt.train.events import Event, Stage
from glassgpt.train.final import final_verdict
from glassgpt.train.memory import explain_out_of_memory
from glassgpt.train.trainer import Trainer
from glassgpt.units import count


@dataclass(repr=False)
class Session:
    """One attempt at a run: its folder, its trainer, its baselines and its verdict.

    A notebook shows how far it is.
    """

    folder: Run
    trainer: Trainer
    notes: tuple[str, ...]
    resolved: Resolved | None = None
    decision: Decision | None = None
    """The autopilot's choice, in the first attempt of a run for which it made one."""
    forecaster: Forecaster | None = None
    """Forecasts of the run's final loss, if it has an autopilot."""
    _lock: FileLock | None = None
    """The lock of the run's folder; None in all processes but the main one."""
    _made_folders: Sequence[Path] = ()
    """Folders that this session created, which it removes again if the run has no step in the end."""
    _verdict: Verdict | None = field(default=None, init=False)

    def __repr__(self) -> str:
        return f"<Session of {self.folder.path}, step {self.trainer.step}>"

    def _repr_html_(self) -> str:
        trainer, config = self.trainer, self.trainer.config
        facts = {
            "data": "; ".join(self.data.describe()),
            "tokenizer": self.data.tokenizer.describe(),
            "model": f"{config.model.family}, {count(trainer.model.n_params)} parameters",
            "settings": ", ".join(f"{name} {value}" for name, value in config.chosen().items()),
            "training": f"{trainer.progress:.0%}, step {trainer.step}, on {trainer.learner.device}",
        }
        found = "" if self._verdict is None else self._verdict._repr_html_()
        return html_card(f"session of {self.folder.path}", facts, found)

    @property
    def data(self) -> TaskData:
        """The opened data of the run."""
        return self.trainer.task

    @property
    def task(self) -> Task:
        """The declaration of the run's task."""
        return task_of(self.trainer.config)

    @property
    def baselines(self) -> list[Score]:
        """Losses of the baselines on the same validation split."""
        return self.data.baselines

    def run(self) -> Iterator[Event]:
        """Train; yields the trainer's events. Raises UserError while another process trains this run."""
        if not self.trainer.dist.is_main:
            yield from self.trainer.run()
            return
        if self._lock is None or not self._lock.is_locked:
            self._lock = acquire_lock(self.folder.path)
        try:
            self._verdict = None
            self.folder.verdict_file.unlink(missing_ok=True)
            trainer, n_vocab = self.trainer, self.data.tokenizer.n_vocab
            with explain_out_of_memory(trainer.config, n_vocab, trainer.learner.device):
                yield from trainer.run()
                yield from self._judge()
        finally:
            self.trainer.clock.pause()
            self.close()

    def close(self) -> None:
        """Remove a run without a step, and release the lock. `run` does so at its end."""
        if self._lock is not None and self._lock.is_locked:
            self._lock.release(force=True)
            discard(self.folder.path, self._made_folders)

    def _judge(self) -> Iterator[Event]:
        """Write the verdict, unless a stop was requested before or meanwhile."""
        trainer = self.trainer
        if trainer.stopping:
            return
        if trainer.eval_plan.verdict_s(trainer.clock.elapsed.trained_s) > STAGE_S:
            yield Stage(N_("comparing the best step with the baselines"))
        verdict = trainer.stop.unless_stopped(self.verdict)
        if verdict is not None:
            write_json(self.folder.verdict_file, verdict.to_dict())
            if self.forecaster and verdict.loss is not None:
                self.forecaster.end(verdict.loss)

    def verdict(self) -> Verdict:
        """Compare the model's best step with the baselines; see `final_verdict`."""
        if self._verdict is None:
            self._verdict = final_verdict(self.folder, self.trainer)
        return self._verdict
