"""Examine a run: its model on its own batch, its data, and its outcome."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glassgpt.checkpoint import Run
from glassgpt.data import Batch
from glassgpt.diagnose import Examination, Symptom
from glassgpt.doctor import data, outcome
from glassgpt.doctor.checks import RunCheck
from glassgpt.doctor.examination import CHECKS, run_checks
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.objective import CrossEntropy
from glassgpt.tasks import task_of

BATCH_TOKENS = 4096
"""Tokens of the batch that a model is examined with."""
BIDIRECTIONAL = ("encoder",)
"""Families whose positions see all others."""


def examine_run(run: Run | Path | str) -> Examination:
    """Examine a run of any family: model, objective, data and outcome.

    The model has its best weights; the batch is one of its training. What is missing (a verdict, the training
    text) is skipped and named. Raises UserError if there is no model to load.

    >>> import glassgpt
    >>> print(glassgpt.examine_run("runs/notes"))  # doctest: +SKIP
    """
    run = run if isinstance(run, Run) else Run.open(run)
    findings, skipped = _checked(run, (*data.CHECKS, *outcome.CHECKS))
    model = run.model()
    try:
        batch = training_batch(run)
    except UserError as error:
        skipped[N_("the model")] = N_("its training data cannot be read ({reason})", reason=str(error))
        return Examination.of(findings, skipped, str(run.path))
    causal = run.config().model.family not in BIDIRECTIONAL
    found = run_checks(Subject(model, batch, training_loss, causal=causal), CHECKS)
    return Examination.of([*found.findings, *findings], {**found.skipped, **skipped}, str(run.path))


def examine_outcome(run: Run) -> Examination:
    """Examine what a run recorded: its curve, verdict and forecast. Reads no weights and no text."""
    return Examination.of(*_checked(run, outcome.CHECKS), str(run.path))


def _checked(run: Run, checks: Iterable[RunCheck]) -> tuple[list[Symptom], dict[str, str]]:
    """Return the findings of checks, and the reasons of those that could not run."""
    findings: list[Symptom] = []
    skipped: dict[str, str] = {}
    for check in checks:
        try:
            findings += check.run(run)
        except Skip as reason:
            skipped[check.name] = reason.args[0]
    return findings, skipped


def training_batch(run: Run) -> Batch:
    """Return a training batch of a run, of at most BATCH_TOKENS tokens. Raises UserError."""
    config, tokenizer = run.config(), run.tokenizer()
    opened = task_of(config).data.open(config, tokenizer, run)
    batch = opened.train_batch(0, config.train.micro_batch_size)
    return batch.rows(slice(0, max(1, BATCH_TOKENS // batch.tokens.shape[1])))


def training_loss(model: nn.Module, batch: Any) -> Tensor:
    """Compute the loss of a GlassGPT model as training does, in nats per target."""
    assert isinstance(model, Model) and isinstance(batch, Batch)
    with torch.enable_grad():
        loss = CrossEntropy(model)(batch)
    return loss.total / loss.n_tokens
