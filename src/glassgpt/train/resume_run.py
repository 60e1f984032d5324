"""Resume a run from its newest whole checkpoint. `glassgpt resume` as a library."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from glassgpt.checkpoint import Run, acquire_lock, check_data, steps
from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.tasks import task_of
from glassgpt.train.autopilot import Forecaster
from glassgpt.train.clock import Clock
from glassgpt.train.learner import make_learner
from glassgpt.train.observers import Observer
from glassgpt.train.parallel import Dist
from glassgpt.train.schedule import Budget, longer
from glassgpt.train.session import Session
from glassgpt.train.trainer import Trainer


def resume(
    path: Path | str,
    config: RunConfig | None = None,
    *,
    observers: Sequence[Observer] = (),
    began: float | None = None,
) -> Session:
    """Open a run to continue from its newest whole checkpoint; `config` replaces the stored one.

    began: as in `start`.
    """
    clock = Clock(began)
    run, dist = Run.open(path), Dist.from_env()
    with ExitStack() as undo:
        lock = acquire_lock(run.path) if dist.is_main else None
        if lock is not None:
            undo.callback(lock.release, force=True)
        _check_resumable(run)
        merged = _with_task(config, run.config()) if config else run.config()
        run.layout(merged)  # before memory is allocated for the model of config.json
        tokenizer = run.tokenizer()
        check_data(run, tokenizer.n_vocab)
        data = task_of(merged).data.open(merged, tokenizer, run)
        assert data.baselines is not None  # a damaged file is an error before training, not after it
        learner = make_learner(merged, tokenizer.n_vocab, dist)
        if (forecaster := Forecaster.open(run)) is not None:
            observers, data.measures_context = [*observers, forecaster], True
        trainer = Trainer(run, merged, data, learner, observers, clock)
        notes = trainer.resume()
        _check_unfinished(run, trainer)
        session = Session(run, trainer, notes=tuple(notes), forecaster=forecaster, _lock=lock)
        if config is not None and dist.is_main:  # only now that everything else has succeeded
            run.write_config(config)
        undo.pop_all()
    clock.pause()
    return session


def _check_resumable(run: Run) -> None:
    """Raise UserError for a run without a saved step, or without optimizer state."""
    if not steps(run.checkpoints):
        raise UserError(
            "{path} cannot be resumed: it ended before its first step was saved. Give the command that "
            "started it again: a new run replaces it.",
            path=run.path,
        )
    if not run.is_resumable():
        raise UserError(
            "{path} has no optimizer state (it was imported or shared), so training cannot be resumed. "
            "Use it as it is, or start a new run from its weights (`init_from.run`).",
            path=run.path,
        )


def _check_unfinished(run: Run, trainer: Trainer) -> None:
    """Raise UserError if the run has a verdict and nothing is left to train."""
    # A run by the clock ends before its time is up; one of steps may have lost its last step to damage.
    stored = Budget.of(run.config(), trainer.task.steps_per_epoch)
    by_clock = trainer.budget.by_clock and trainer.budget == stored
    over = by_clock or trainer.progress >= 1
    if not run.verdict_file.is_file() or not (over or trainer.early_stopping.should_stop):
        return
    done = N_(
        "{n_steps} steps in {minutes:.2f} minutes", n_steps=trainer.step, minutes=trainer.elapsed_s / 60
    )
    if trainer.early_stopping.should_stop and trainer.progress < 1:
        raise UserError(
            "{path} ended early ({done}): its last {n} evaluations were worse than the best one, and more "
            "training does not help. Give more text in a new run, or continue with `patience` 0.",
            path=run.path,
            done=done,
            n=trainer.early_stopping.n_worse,
        )
    name, value = longer(trainer.config, trainer.budget, trainer.step)
    raise UserError(
        "{path} is finished ({done}). Give a longer total length, such as {more}.",
        path=run.path,
        done=done,
        more=f"`{name}={value}`",
    )


def _with_task(config: RunConfig, stored: RunConfig) -> RunConfig:
    """Fill in the stored task if the configuration names none."""
    return config if config.task else config.model_copy(update={"task": stored.task})
