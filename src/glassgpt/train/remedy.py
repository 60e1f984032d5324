"""Try a remedy: some steps with it, next to the same steps without it, on the same batches.

Both begin with the same weights and read the same batches in the same order; the same part of the held-out
data measures both, batch by batch, so that the difference has a standard error.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch

from glassgpt.checkpoint import Run
from glassgpt.config import RunConfig, flat_settings
from glassgpt.data import Batch
from glassgpt.diagnose import Examination, Symptom, Trial
from glassgpt.language import N_, join_texts
from glassgpt.tasks import TaskData, task_of
from glassgpt.train.examined_run import best_learner, on_cpu
from glassgpt.train.finetune import initial_weights
from glassgpt.train.learner import Learner, make_learner
from glassgpt.train.schedule import lr_scale

STEPS = 100
"""Steps of each side, at most."""
SECONDS = 20.0
"""Time of the unchanged side, about; the other one takes as many steps."""
TIMED = 3
N_EVAL = 16
"""Held-out batches that measure both sides, at most."""
N_PARTS = 4
"""Parts of a held-out batch whose losses are compared."""
MOST = 3
"""Remedies of one examination that are tried."""
Losses = Sequence[tuple[float, int]]
"""Nats and targets of each held-out batch."""
FURTHER = 0.3
"""Share of the peak rate when a training goes on from its best step."""


class Remedy(NamedTuple):
    """A change of settings, and where the trial begins."""

    changes: Callable[[RunConfig], Mapping[str, Any]]
    """From the configuration of a run to other values, by flat names."""
    from_best: bool = False
    """Go on from the best step of the run, instead of beginning again."""


def _rates(config: RunConfig, factor: float) -> Mapping[str, Any]:
    rates = config.optim.peak_lrs
    return {"lr": rates["lr"] * factor, "muon_lr": rates["muon_lr"] * factor}


REMEDIES: Mapping[str, Remedy] = {
    "lower the rate": Remedy(partial(_rates, factor=0.3)),
    "raise the rate": Remedy(partial(_rates, factor=4.0)),
    "more dropout": Remedy(lambda config: {"dropout": min(0.5, config.model.dropout + 0.2)}, from_best=True),
    "larger model": Remedy(lambda config: {"n_layer": config.model.n_layer + 1}),
    "train longer": Remedy(lambda config: {}, from_best=True),
}
"""By the name that a finding gives."""


def with_trials(run: Run, found: Examination) -> Examination:
    """Try the remedies that findings name, a few at most, and add what came of it to these findings.

    Raises UserError if the training data cannot be read.
    """
    names = list(dict.fromkeys(each.remedy for each in found.problems if each.remedy in REMEDIES))[:MOST]
    if not names:
        return found
    config = run.config()
    data = task_of(config).data.open(config, run.tokenizer(), run)
    trials = {name: try_remedy(run, config, data, REMEDIES[name]) for name in names}

    def tried(each: Symptom) -> Symptom:
        return replace(each, trial=trials[each.remedy]) if each.remedy in trials else each

    return replace(found, findings=tuple(map(tried, found.findings)))


def try_remedy(run: Run, config: RunConfig, data: TaskData, remedy: Remedy) -> Trial:
    """Train some steps with and without a remedy, and compare the held-out losses."""
    changes, begun = remedy.changes(config), _best_step(run) if remedy.from_best else None
    plain = _learner(run, config, remedy.from_best)
    if not changes:  # the remedy is to go on
        before = _losses(plain, data)
        n_steps = _train(plain, data, config, STEPS, begun)
        return _trial(N_("train longer"), n_steps, before, _losses(plain, data))
    n_steps = _train(plain, data, config, STEPS, begun)
    changed = _changed(config, changes)
    other = _learner(run, changed, remedy.from_best)
    _train(other, data, changed, n_steps, begun, limit=False)
    return _trial(_in_words(config, changed, changes), n_steps, _losses(plain, data), _losses(other, data))


def _best_step(run: Run) -> int:
    return int(run.best_checkpoint().name.removeprefix("step-"))


def _changed(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    tables = flat_settings(RunConfig, dict(changes))
    given = config.model_dump()
    for table, values in tables.items():
        given[table] = {**given[table], **values}
    return RunConfig.model_validate(given)


def _in_words(config: RunConfig, changed: RunConfig, changes: Mapping[str, Any]) -> str:
    """Return the changed settings: `dropout` 0 → 0.2."""
    tables = flat_settings(RunConfig, dict(changes))
    told = [
        f"`{field}` {_number(config, table, field)} → {_number(changed, table, field)}"
        for table, values in tables.items()
        for field in values
    ]
    return join_texts(", ", told)


def _number(config: RunConfig, table: str, field: str) -> str:
    value = getattr(getattr(config, table), field)
    return f"{config.optim.peak_lrs[field] if value is None else value:g}"


def _learner(run: Run, config: RunConfig, from_best: bool) -> Learner:
    """Return a learner with the first weights of a run, or as it was at its best step."""
    if from_best:
        return best_learner(run, config)
    tokenizer = run.tokenizer()
    learner = make_learner(on_cpu(config), tokenizer.n_vocab)
    if config.init_from.run is not None:
        learner.load_initial(initial_weights(config, tokenizer))
    return learner


def _train(
    learner: Learner,
    data: TaskData,
    config: RunConfig,
    n_steps: int,
    begun: int | None,
    limit: bool = True,
) -> int:
    """Take steps on the batches of a run in their order; return their number.

    begun: the step after which it goes on, at FURTHER of the peak rate and less and less; None for a run of
    this length of its own. limit: take fewer steps if they would take longer than SECONDS.
    """
    train, began, i = config.train, time.monotonic(), 0
    learner.model.train()
    while i < n_steps:
        torch.manual_seed(train.seed * 1_000_003 + i)
        n = train.grad_accum_steps
        first = ((begun or 0) + i) * n
        learner.backward([data.train_batch(first + k, train.micro_batch_size) for k in range(n)])
        done = (i + 0.5) / n_steps
        learner.optimizer_step(lr_scale(done, config.optim) if begun is None else FURTHER * (1 - done))
        i += 1
        if limit and i == TIMED:
            each = (time.monotonic() - began) / TIMED
            n_steps = min(n_steps, max(2 * TIMED, int(SECONDS / each)))
    return i


def _losses(learner: Learner, data: TaskData) -> Losses:
    """Return nats and targets of parts of some held-out batches, spread over the split."""
    stride = max(1, sum(1 for _ in data.eval_part(1)) // N_EVAL)
    parts = [part for batch in data.eval_part(stride) for part in _parts(batch)]
    measured = [learner.measure_batches([part]) for part in parts]
    return [(each.nats, each.n_tokens) for each in measured if each.n_tokens]


def _parts(batch: Batch) -> Iterator[Batch]:
    """Split a batch by rows, so that a single one has a spread, too."""
    size = -(-len(batch.tokens) // N_PARTS)
    for start in range(0, len(batch.tokens), size):
        yield batch.rows(slice(start, start + size))


def _trial(change: str, n_steps: int, plain: Losses, other: Losses) -> Trial:
    """Compare two measurements of the same batches."""
    total = sum(n for _, n in plain)
    without, with_it = (sum(nats for nats, _ in each) / total for each in (plain, other))
    gain, k = without - with_it, len(plain)
    off = [(a - b) - gain * n for (a, n), (b, _) in zip(plain, other, strict=True)]  # of each batch, in nats
    error = (k / (k - 1) * sum(each**2 for each in off)) ** 0.5 / total if k > 1 else math.inf
    return Trial(change, n_steps, without, with_it, error)
