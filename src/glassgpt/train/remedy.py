"""Try a remedy: some steps with it, next to the same steps without it, on the same batches.

Both begin with the same weights and read the same batches in the same order; the same part of the held-out
data measures both, batch by batch, so that the difference has a standard error.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from glassgpt.checkpoint import Run
from glassgpt.config import RunConfig, flat_settings
from glassgpt.data import Batch
from glassgpt.diagnose import Examination, Symptom, Trial
from glassgpt.language import N_, join_texts
from glassgpt.objective import Measured
from glassgpt.tasks import TaskData, task_of
from glassgpt.train.examined_run import best_learner, on_cpu
from glassgpt.train.finetune import initial_weights
from glassgpt.train.learner import Learner, make_learner, seed_step
from glassgpt.train.schedule import lr_scale

MAX_STEPS = 100
"""Largest number of steps of each side."""
MAX_S = 20.0
"""Seconds of the unchanged side, about; the other one takes as many steps."""
N_TIMED = 3
"""Steps that tell how long a step takes."""
N_EVAL = 16
"""Largest number of held-out batches that measure both sides."""
N_PARTS = 4
"""Parts of a held-out batch whose losses are compared."""
MAX_REMEDIES = 3
"""Largest number of remedies of one examination that are tried."""
LR_SHARE = 0.3
"""Share of the peak learning rates when a training goes on from its best step."""


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
    names = list(dict.fromkeys(each.remedy for each in found.problems if each.remedy in REMEDIES))[
        :MAX_REMEDIES
    ]
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
    changes = remedy.changes(config)
    first = _best_step(run) if remedy.from_best else None
    plain = _learner(run, config, remedy.from_best)
    if not changes:  # the remedy is to go on
        before = _measure(plain, data)
        n_steps = _train(plain, data, first, MAX_STEPS, MAX_S)
        return _trial(N_("train longer"), n_steps, before, _measure(plain, data))
    n_steps = _train(plain, data, first, MAX_STEPS, MAX_S)
    changed = _changed(config, changes)
    other = _learner(run, changed, remedy.from_best)
    _train(other, data, first, n_steps)
    change = _in_words(config, changed, changes)
    return _trial(change, n_steps, _measure(plain, data), _measure(other, data))


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


def _train(learner: Learner, data: TaskData, first: int | None, n_steps: int, max_s: float = math.inf) -> int:
    """Take steps on the batches of a run in their order; return their number.

    first: the step from which the run goes on, at LR_SHARE of the peak learning rates, falling to zero; None
    for a run of n steps from the beginning. max_s: take fewer steps if they would take longer than this.
    """
    config, began, i = learner.config, time.monotonic(), 0
    learner.model.train()
    while i < n_steps:
        seed_step(config.train.seed, i)
        learner.backward(data.step_batches((first or 0) + i))
        done = (i + 0.5) / n_steps
        learner.optimizer_step(lr_scale(done, config.optim) if first is None else LR_SHARE * (1 - done))
        i += 1
        if i == N_TIMED and max_s < math.inf:
            step_s = (time.monotonic() - began) / N_TIMED
            n_steps = min(n_steps, max(2 * N_TIMED, int(max_s / step_s)))
    return i


def _measure(learner: Learner, data: TaskData) -> list[Measured]:
    """Measure parts of some held-out batches, spread over the split."""
    stride = max(1, sum(1 for _ in data.eval_part(1)) // N_EVAL)
    return learner.measure_each(part for batch in data.eval_part(stride) for part in _parts(batch))


def _parts(batch: Batch) -> Iterator[Batch]:
    """Split a batch by rows, so that a single one has a spread, too."""
    size = -(-len(batch.tokens) // N_PARTS)
    for start in range(0, len(batch.tokens), size):
        yield batch.rows(slice(start, start + size))


def _trial(change: str, n_steps: int, without: list[Measured], with_it: list[Measured]) -> Trial:
    """Compare two measurements of the same batches."""
    n_tokens, k = sum(each.n_tokens for each in without), len(without)
    loss_without, loss_with = (sum(each.nats for each in side) / n_tokens for side in (without, with_it))
    gain = loss_without - loss_with
    # Deviation of each part's gain from the mean gain, in nats.
    off = [a.nats - b.nats - gain * a.n_tokens for a, b in zip(without, with_it, strict=True)]
    error = (k / (k - 1) * sum(each**2 for each in off)) ** 0.5 / n_tokens if k > 1 else math.inf
    return Trial(change, n_steps, loss_without, loss_with, error)
