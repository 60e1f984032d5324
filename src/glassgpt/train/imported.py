"""A run from a model of another program: created as a whole or not at all.

The run has no optimizer state: it can be used, but training cannot be resumed.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from glassgpt.checkpoint import (
    LOCK,
    OWNER,
    Run,
    SkipInit,
    acquire_lock,
    discard,
    load_weights,
    save_step,
    step_folder,
    write_json,
    write_pointer,
)
from glassgpt.config import DataConfig, ModelConfig, RunConfig, TokenizerConfig, TrainConfig
from glassgpt.data import Corpus
from glassgpt.device import choose_device
from glassgpt.diagnose import Score
from glassgpt.errors import UserError
from glassgpt.models import Model, build
from glassgpt.objective import evaluate
from glassgpt.tasks import LanguageData
from glassgpt.tokenizers import Tokenizer
from glassgpt.train.events import Evaluated
from glassgpt.train.metrics import JsonLines

LEAST_BPE = 257
"""Least `vocab_size` of the configuration of a BPE: 256 bytes and one merge."""


@dataclass(frozen=True)
class Imported:
    """A model of another program under our names, checked against `shape`."""

    shape: ModelConfig
    tokenizer: Tokenizer
    tensors: Mapping[str, Tensor]
    step: int
    source: dict[str, Any]
    """Format, sizes and hashes of the files, ready for JSON."""

    def config(self, data: DataConfig, device: str) -> RunConfig:
        """Return the configuration that would train such a model, as far as it is known."""
        known = self.tokenizer
        size = max(LEAST_BPE, known.n_vocab)  # one without merges has fewer tokens than training makes
        kind = {"kind": known.kind} | ({"vocab_size": size} if known.kind == "bpe" else {})
        return RunConfig(
            task="language",
            data=data,
            tokenizer=TokenizerConfig.model_validate(kind),
            model=self.shape,
            train=TrainConfig(steps=max(1, self.step), device=device, dtype="float32"),
        )

    def model(self, device: str) -> Model:
        """Build the model."""
        with SkipInit():
            model = build(self.shape, self.tokenizer.n_vocab)
        load_weights(model, self.tensors)
        return model.to(choose_device(device)).eval()


def make_run(
    target: Path,
    imported: Imported,
    corpus: Corpus | None,
    data: DataConfig,
    device: str,
    stage: Callable[[str], None],
    check: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Create a run: tokenizer, one step and, with a text, tokens, baselines and verdict.

    check: raises UserError for a run that must not stay. After an error, nothing remains.
    """

    def make() -> Run:
        run = Run.create(target, imported.config(data, device))
        imported.tokenizer.save(run.tokenizer_file)
        measured = None if corpus is None else _measure(run, imported, corpus, device, stage)
        _save(run, imported, measured)
        if measured is not None:
            prepared, _score, model = measured
            write_json(run.verdict_file, prepared.verdict(lambda: model).to_dict())
        check(run)
        return run

    return _whole_or_not_at_all(target, make)


def _whole_or_not_at_all(target: Path, make: Callable[[], Run]) -> Run:
    """Create a run as its only writer; after an error, nothing of it remains."""
    made = [folder for folder in (target, target.parent) if not folder.exists()]
    with ExitStack() as leaving:
        lock = acquire_lock(target)
        leaving.callback(discard, target, made)
        leaving.callback(lock.release, force=True)
        try:
            return make()
        except BaseException:
            for each in target.iterdir():
                if each.is_dir():
                    shutil.rmtree(each, ignore_errors=True)
                elif each.name not in (LOCK, OWNER):
                    each.unlink()
            raise


def _measure(
    run: Run, imported: Imported, corpus: Corpus, device: str, stage: Callable[[str], None]
) -> tuple[LanguageData, Score, Model]:
    """Measure the model on the whole validation split, and write the one line of metrics.jsonl."""
    stage("counting what there is to beat")
    data = LanguageData.prepare(run.config(), corpus, imported.tokenizer, run)
    run.record_hashes()
    stage("measuring it on the held-out text")
    began, val, model = time.monotonic(), data.val, imported.model(device)
    measured = evaluate(model, data.eval_batches())
    score = Score("this model", measured.nats, val.n_chars, val.n_bytes)
    if not math.isfinite(measured.nats):
        raise UserError(
            "the model's loss is {nats}: its weights are finite, but what it computes is not",
            nats=measured.nats,
        )
    seconds, step = time.monotonic() - began, imported.step
    tracker = JsonLines(run)
    tracker.on_event(Evaluated.of(measured, val, step=step, best=math.inf, seconds=seconds))
    tracker.close()
    return data, score, model


def _save(run: Run, imported: Imported, measured: tuple[LanguageData, Score, Model] | None) -> None:
    """Save the one step, as the best one."""
    run.sync()  # no step may outlive the files that it needs
    state = {
        "best": measured[1].nats_per_char if measured else None,
        "best_step": step_folder(run.checkpoints, imported.step).name,
        "imported": imported.source,
    }
    step = save_step(run.checkpoints, imported.step, {"model": imported.tensors}, state)
    write_pointer(run.checkpoints, "best", step)
