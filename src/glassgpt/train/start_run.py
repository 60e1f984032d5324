"""Start a run: from sources to a session that is ready to train. `glassgpt train` as a library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from glassgpt.checkpoint import Run, acquire_lock, discard
from glassgpt.config import Layer, RunConfig, resolve
from glassgpt.device import choose_device
from glassgpt.interrupts import run_in_thread
from glassgpt.language import N_
from glassgpt.tasks import LanguageData, TaskData, task_of
from glassgpt.tokenizers import Tokenizer, train_tokenizer
from glassgpt.train.autopilot import Decision, Forecaster
from glassgpt.train.clock import Clock
from glassgpt.train.finetune import initial_weights
from glassgpt.train.learner import make_learner
from glassgpt.train.memory import check_memory, explain_out_of_memory
from glassgpt.train.metrics import check_trackers
from glassgpt.train.new_path import new_path
from glassgpt.train.observers import Observer
from glassgpt.train.parallel import Dist
from glassgpt.train.run_plan import OnStage, Plan, plan
from glassgpt.train.session import Session
from glassgpt.train.trainer import Trainer


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
    clock, stage, dist = Clock(began), stage or (lambda _: None), Dist.from_env()
    given = resolve(config).config
    device = choose_device(given.train.device)  # errors come before any work is done
    if not dist.is_main:
        return _join(dist, observers, clock)
    check_trackers(given)
    compiler = _import_compiler()
    path = Path(out) if out else new_path(given)
    Run.check_free(path)  # before any work is done, and before a lock is left in somebody's folder
    planned = plan(config, stage, clock, autopilot=autopilot)
    made_folders = [folder for folder in (path, path.parent) if not folder.exists()]
    with ExitStack() as undo:
        lock = acquire_lock(path)
        undo.callback(discard, path, made_folders)
        undo.callback(lock.release, force=True)
        tokenizer = _tokenizer(planned, stage)
        planned = planned.with_vocabulary(tokenizer.n_vocab)
        check_memory(planned.config, tokenizer.n_vocab, device)
        corpus = planned.task.fit(planned.config, planned.corpus, tokenizer)
        run, data = _create_run(path, planned, corpus, tokenizer, stage)
        compiler.join()
        forecaster = _forecaster(planned.decision, run)
        if forecaster is not None:
            observers = [*observers, forecaster]
        with explain_out_of_memory(planned.config, tokenizer.n_vocab, device):
            trainer = _make_trainer(run, planned.config, data, dist, observers, clock)
        if forecaster is not None:
            data.measures_context, forecaster.find_scale = True, _scale_finder(planned, data, trainer)
        session = Session(
            run,
            trainer,
            notes=(*planned.notes, *corpus.notes, *data.notes),
            resolved=planned.resolved,
            decision=planned.decision,
            forecaster=forecaster,
            _lock=lock,
            _made_folders=made_folders,
        )
        undo.pop_all()
    dist.broadcast_str(str(path))
    clock.pause()
    return session


def _join(dist: Dist, observers: Sequence[Observer], clock: Clock) -> Session:
    """Open the run that the main process creates."""
    run = Run.open(dist.broadcast_str(""))
    config = run.config()
    data = task_of(config).data.open(config, run.tokenizer(), run)
    trainer = _make_trainer(run, config, data, dist, observers, clock)
    clock.pause()
    return Session(run, trainer, notes=())


def _import_compiler() -> Thread:
    """Import torch's compiler in a thread: its optimizers need it, and it takes over a second."""
    thread = Thread(target=import_module, args=("torch._dynamo",), daemon=True)
    thread.start()
    return thread


def _tokenizer(planned: Plan, stage: OnStage) -> Tokenizer:
    """Return the base run's tokenizer, or train one on the corpus."""
    if planned.tokenizer is not None:
        return planned.tokenizer
    config = planned.config.tokenizer
    stage(N_("training the {kind} tokenizer", kind=config.kind))
    return run_in_thread(
        lambda: train_tokenizer(
            config.kind,
            planned.corpus.texts(),
            vocab_size=config.vocab_size,
            specials=planned.task.specials,
            byte_fallback=config.byte_fallback,
        )
    )


def _create_run(
    path: Path, planned: Plan, corpus: Any, tokenizer: Tokenizer, stage: OnStage
) -> tuple[Run, TaskData]:
    """Create a run with its tokenizer, data and baselines."""
    run = Run.create(path, planned.config, planned.resolved.origins)
    tokenizer.save(run.tokenizer_file)
    stage(N_("counting what there is to beat"))
    data = planned.task.data.prepare(planned.config, corpus, tokenizer, run)
    run.record_hashes()
    run.sync()  # no step may outlive the files that it needs
    return run, data


def _forecaster(decision: Decision | None, run: Run) -> Forecaster | None:
    if decision is None or not decision.choice.has_forecast:
        return None
    return Forecaster.start(decision.choice.forecast, decision.curve, run)


def _scale_finder(planned: Plan, data: TaskData, trainer: Trainer) -> Callable[[], float] | None:
    """Return what finds `Forecaster.scale`; None if the autopilot made no profile of the held-out text."""
    profile = planned.profile
    if profile is None or not isinstance(data, LanguageData):
        return None
    return lambda: profile.scale(*data.eval_targets(trainer.eval_plan.stride))


def _make_trainer(
    run: Run, config: RunConfig, data: TaskData, dist: Dist, observers: Sequence[Observer], clock: Clock
) -> Trainer:
    """Make a trainer before its first step."""
    learner = make_learner(config, data.tokenizer.n_vocab, dist)
    if config.init_from.run is not None:
        learner.load_initial(initial_weights(config, data.tokenizer))
    return Trainer(run, config, data, learner, observers, clock)
