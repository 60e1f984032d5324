"""Examine a run: its model and its training step on its own batches, its data, and its outcome."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from glassgpt.checkpoint import Run, read_tensors
from glassgpt.config import RunConfig
from glassgpt.data import Batch
from glassgpt.diagnose import Examination
from glassgpt.doctor import CHECKS, Skip, Subject, examine_data, examine_outcome, examine_with, run_checks
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.objective import CrossEntropy
from glassgpt.tasks import TaskData, task_of
from glassgpt.train.learner import Learner, make_learner
from glassgpt.train.optim import set_lr
from glassgpt.train.recorded_loss import RecordedLoss, recorded_loss_check

BATCH_TOKENS = 4096
"""Tokens of the batch that a model is examined with."""
FIRST_SCALE = 0.1
"""Rate of an optimizer without a state, as a share of the full one: that of a warm-up."""
N_BATCHES = 16
"""Batches whose order is examined."""
BIDIRECTIONAL = ("encoder",)
"""Families whose positions see all others."""


def examine_run(run: Run | Path | str) -> Examination:
    """Examine a run of any family: model, objective, training step, data and outcome.

    The model has its best weights, and its optimizer the state of that step if it was saved; the batches are
    the first ones of its training. What is missing (a verdict, the training text) is skipped and named. A
    visit changes nothing. Raises UserError if there is no model to load.

    >>> import glassgpt
    >>> print(glassgpt.examine_run("runs/notes"))  # doctest: +SKIP
    """
    run = run if isinstance(run, Run) else Run.open(run)
    config = run.config()
    parts = [examine_outcome(run), examine_data(run)]
    learner = best_learner(run, config)
    try:
        data = task_of(config).data.open(config, run.tokenizer(), run)
        recorded = _recorded_loss(run, learner, data)
        subject = _subject(config, learner, data, recorded)
    except UserError as error:
        reason = N_("its training data cannot be read ({reason})", reason=str(error))
        parts.append(Examination.of((), {N_("the model"): reason}))
    else:
        parts = [run_checks(subject, CHECKS), examine_with(run, [recorded_loss_check(recorded)]), *parts]
    findings = [finding for part in parts for finding in part.findings]
    skipped = {name: reason for part in parts for name, reason in part.skipped.items()}
    return Examination.of(findings, skipped, str(run.path))


def best_learner(run: Run, config: RunConfig) -> Learner:
    """Return the learner of a run as it was at its best step, on the CPU, at its full rate.

    Without a saved state, its optimizers begin as a training does, at a low rate.
    """
    learner = make_learner(on_cpu(config), run.tokenizer().n_vocab)
    model, step = run.model(merged=False), run.best_checkpoint()
    scale = FIRST_SCALE
    with suppress(UserError):  # an imported step has no optimizer state
        learner.load({stem: read_tensors(step, stem) for stem in ("model", "optimizer")})
        scale = 1.0
    learner.model.load_state_dict(model.state_dict())
    set_lr(learner.optimizers, scale)
    return learner


def on_cpu(config: RunConfig) -> RunConfig:
    """Return a configuration for the CPU, without a compiled graph."""
    train = config.train.model_copy(update={"compile": False, "device": "cpu"})
    return config.model_copy(update={"train": train})


def _recorded_loss(run: Run, learner: Learner, data: TaskData) -> RecordedLoss | Skip:
    try:
        return RecordedLoss.of(run, learner, data)
    except Skip as reason:
        return reason


def _subject(config: RunConfig, learner: Learner, data: TaskData, recorded: RecordedLoss | Skip) -> Subject:
    batches = [data.train_batch(i, config.train.micro_batch_size) for i in range(N_BATCHES)]
    rows = max(1, BATCH_TOKENS // batches[0].tokens.shape[1])
    agrees = isinstance(recorded, RecordedLoss) and recorded.agrees
    return Subject(
        learner.model,
        batches[0].rows(slice(0, rows)),
        partial(run_loss, smoothing=config.train.label_smoothing),
        _step_of(learner),
        tuple(learner.optimizers.values()),
        config.model.family not in BIDIRECTIONAL,
        batches,
        config.train.dtype,
        recorded.recorded if isinstance(recorded, RecordedLoss) and not agrees else None,
        agrees,
    )


def _step_of(learner: Learner) -> Any:
    def step(_: nn.Module, batch: Batch) -> None:
        learner.backward([batch])
        for optimizer in learner.optimizers.values():
            optimizer.step()
        learner.zero_grad()

    return step


def run_loss(model: nn.Module, batch: Any, smoothing: float = 0.0) -> Tensor:
    """Compute the loss of a GlassGPT model as training does, in nats per target."""
    assert isinstance(model, Model) and isinstance(batch, Batch)
    loss = CrossEntropy(model, smoothing)(batch)
    return loss.total / loss.n_tokens
