"""A session of training: from sources to a verdict. `glassgpt train` and `resume` as a library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Thread

from filelock import FileLock

from glassgpt.checkpoint import (
    Run,
    acquire_lock,
    check_data,
    discard,
    steps,
    write_json,
)
from glassgpt.config import Layer, Resolved, RunConfig, resolve
from glassgpt.device import choose_device
from glassgpt.diagnose import Score, Verdict
from glassgpt.errors import UserError
from glassgpt.interrupts import run_in_thread
from glassgpt.language import N_
from glassgpt.notebook_html import html_card
from glassgpt.tasks import Task, TaskData, task_of
from glassgpt.tokenizers import Tokenizer, train_tokenizer
from glassgpt.train.autopilot import Decision, Forecaster
from glassgpt.train.clock import Clock
from glassgpt.train.eval_plan import STAGE_S
from glassgpt.train.events import Event, Stage
from glassgpt.train.final import final_verdict
from glassgpt.train.finetune import initial_weights
from glassgpt.train.learner import make_learner
from glassgpt.train.memory import check_memory, named_out_of_memory
from glassgpt.train.metrics import check_trackers
from glassgpt.train.new_path import new_path
from glassgpt.train.observers import Observer
from glassgpt.train.parallel import Dist
from glassgpt.train.run_plan import OnStage, Plan, plan
from glassgpt.train.schedule import Budget
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
    _made: Sequence[Path] = field(default=(), repr=False)
    _lock: FileLock | None = field(default=None, repr=False)
    _verdict: Verdict | None = field(default=None, repr=False)

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
            with self._named_out_of_memory():
                yield from self.trainer.run()
                yield from self._judge()
        finally:
            self.trainer.clock.pause()
            self.close()

    def close(self) -> None:
        """Remove a run without a step, and release the lock. `run` does so at its end."""
        if self._lock is not None and self._lock.is_locked:
            self._lock.release(force=True)
            discard(self.folder.path, self._made)

    def _named_out_of_memory(self) -> AbstractContextManager[None]:
        trainer = self.trainer
        return named_out_of_memory(trainer.config, self.data.tokenizer.n_vocab, trainer.learner.device)

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
            if self.forecaster and isinstance(verdict.model, Score):
                self.forecaster.end(verdict.model.nats_per_char)

    def verdict(self) -> Verdict:
        """Compare the model's best step with the baselines; see `final_verdict`."""
        if self._verdict is None:
            self._verdict = final_verdict(self.folder, self.trainer)
        return self._verdict


def start(
    config: RunConfig | Sequence[Layer],
    out: Path | str | None = None,
    stage: OnStage | None = None,
    *,
    observers: Sequence[Observer] = (),
    began: float | None = None,
    autopilot: bool = False,
) -> Session:
    """Read the sources, compute the baselines, and create a run at `out` (by default below `runs/`).

    config: as in `plan`. observers: called during training. began: the moment from which `minutes` count, on
    `time.monotonic`; this call by default. Time between this call and `Session.run` does not count.
    autopilot: choose the settings that are not given, see `plan`. Raises UserError for settings, sources and
    folders that cannot be used.
    """
    clock, stage = Clock(began), stage or (lambda _: None)
    dist = Dist.from_env()
    given = resolve(config)
    device = choose_device(given.config.train.device)  # fail before any work is done
    if not dist.is_main:
        return _join(dist, observers, clock)
    check_trackers(given.config)
    compiler = Thread(target=import_module, args=("torch._dynamo",), daemon=True)
    compiler.start()  # torch's optimizers import it, for over a second: overlap that with counting
    path = Path(out) if out else new_path(given.config)
    Run.check_free(path)  # before any work is done, and before a lock is left in somebody's folder
    planned = plan(config, stage, clock, autopilot=autopilot)
    made = [folder for folder in (path, path.parent) if not folder.exists()]
    with ExitStack() as undo:
        lock = acquire_lock(path)
        undo.callback(discard, path, made)
        undo.callback(lock.release, force=True)
        tokenizer = _tokenizer(planned, stage)
        planned = planned.with_vocabulary(tokenizer.n_vocab)
        run, data, notes = _create(path, planned, tokenizer, stage)
        compiler.join()
        forecaster = _forecaster(planned.decision, run)
        seen = [*observers, *([forecaster] if forecaster else [])]
        with named_out_of_memory(planned.config, data.tokenizer.n_vocab, device):
            trainer = _first_trainer(run, planned.config, data, dist, seen, clock)
        session = Session(run, trainer, notes, planned.resolved, planned.decision, forecaster, made, lock)
        undo.pop_all()
    dist.broadcast_str(str(path))
    clock.pause()
    return session


def _forecaster(decision: Decision | None, run: Run) -> Forecaster | None:
    if decision is None:
        return None
    return Forecaster.start(decision.choice.forecast, decision.curve, run)


def _join(dist: Dist, observers: Sequence[Observer], clock: Clock) -> Session:
    """Open the run that the main process has created."""
    run = Run.open(dist.broadcast_str(""))
    config = run.config()
    trainer = _first_trainer(run, config, _open(config, run), dist, observers, clock)
    clock.pause()
    return Session(run, trainer, ())


def _first_trainer(
    run: Run, config: RunConfig, data: TaskData, dist: Dist, observers: Sequence[Observer], clock: Clock
) -> Trainer:
    """Make a trainer before its first step."""
    learner = make_learner(config, data.tokenizer.n_vocab, dist)
    trainer = Trainer(run, config, data, learner, observers, clock)
    if config.init_from.run is not None:
        trainer.learner.load_initial(initial_weights(config, data.tokenizer))
    return trainer


def _create(
    path: Path, planned: Plan, tokenizer: Tokenizer, stage: OnStage
) -> tuple[Run, TaskData, tuple[str, ...]]:
    """Create a run with its tokenizer, data and baselines; returns notes for the user as well."""
    config, task = planned.config, planned.task
    check_memory(config, tokenizer.n_vocab, choose_device(config.train.device))
    corpus = task.fit(config, planned.corpus, tokenizer)
    run = Run.create(path, config, planned.resolved.origins)
    tokenizer.save(run.tokenizer_file)
    stage(N_("counting what there is to beat"))
    data = task.data.prepare(config, corpus, tokenizer, run)
    run.record_hashes()
    run.sync()  # no step may outlive the files that it needs
    return run, data, (*planned.notes, *corpus.notes, *data.notes)


def _tokenizer(planned: Plan, stage: OnStage) -> Tokenizer:
    """Return the base run's tokenizer, or train one on the corpus."""
    config, specials = planned.config, planned.task.specials
    if planned.tokenizer is not None:
        return planned.tokenizer
    kind, vocab_size = config.tokenizer.kind, config.tokenizer.vocab_size
    stage(N_("training the {kind} tokenizer", kind=kind))
    return run_in_thread(
        lambda: train_tokenizer(
            kind,
            planned.corpus.texts(),
            vocab_size=vocab_size,
            specials=specials,
            byte_fallback=config.tokenizer.byte_fallback,
        )
    )


def _open(config: RunConfig, run: Run) -> TaskData:
    return task_of(config).data.open(config, run.tokenizer(), run)


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
        if not steps(run.checkpoints):
            raise UserError(
                "{path} cannot be resumed: it ended before its first step was saved. Give the command that "
                "started it again: a new run replaces it.",
                path=path,
            )
        if not run.is_resumable():
            raise UserError(
                "{path} has no optimizer state (it was imported or shared), so training cannot be resumed. "
                "Use it as it is, or start a new run from its weights (`init_from.run`).",
                path=path,
            )
        merged = _with_task(config, run.config()) if config else run.config()
        run.layout(merged)  # before memory is allocated for the model of config.json
        check_data(run, run.tokenizer().n_vocab)
        data = _open(merged, run)
        assert data.baselines is not None  # a damaged file is an error before training, not after it
        learner = make_learner(merged, data.tokenizer.n_vocab, dist)
        forecaster = Forecaster.open(run)
        seen = [*observers, *([forecaster] if forecaster else [])]
        trainer = Trainer(run, merged, data, learner, seen, clock)
        notes = trainer.resume()
        _check_unfinished(run, trainer)
        session = Session(run, trainer, tuple(notes), forecaster=forecaster, _lock=lock)
        if config is not None and dist.is_main:  # only now that everything else has succeeded
            run.write_config(config)
        undo.pop_all()
    clock.pause()
    return session


def _check_unfinished(run: Run, trainer: Trainer) -> None:
    """Raise UserError if the run has a verdict and nothing is left to train."""
    # A run by the clock ends before its time is up; one of steps may have lost its last step to damage.
    by_clock = trainer.budget.seconds is not None and trainer.budget == Budget.of(run.config())
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
    raise UserError(
        "{path} is finished ({done}). `steps`, `tokens` or `minutes` is the total length: give more.",
        path=run.path,
        done=done,
    )


def _with_task(config: RunConfig, stored: RunConfig) -> RunConfig:
    """Fill in the stored task if the configuration names none."""
    return config if config.task else config.model_copy(update={"task": stored.task})
