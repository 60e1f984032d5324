"""A run from a model of another program: created as a whole or not at all.

The run has no optimizer state: it can be used, but training cannot be resumed.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
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

MIN_BPE_VOCAB = 257
"""Smallest `vocab_size` of the configuration of a BPE: 256 bytes and one merge."""


@dataclass(frozen=True)
class ImportedModel:
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
        size = max(MIN_BPE_VOCAB, known.n_vocab)  # one without merges has fewer tokens than training makes
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


@dataclass(frozen=True)
class Measurement:
    """The loss of an imported model on a text, next to the baselines of the text."""

    data: LanguageData
    score: Score
    model: Model


def make_run(
    target: Path,
    imported: ImportedModel,
    corpus: Corpus | None,
    data: DataConfig,
    device: str,
    stage: Callable[[str], None],
    check: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Create a run: tokenizer, one step and, with a text, tokens, baselines and verdict.

    check: raises UserError for a run that must not stay. After an error, nothing remains.
    """
    with _all_or_nothing(target):
        run = Run.create(target, imported.config(data, device))
        imported.tokenizer.save(run.tokenizer_file)
        measured = None if corpus is None else _measure(run, imported, corpus, device, stage)
        _save(run, imported, None if measured is None else measured.score)
        if measured is not None:
            write_json(run.verdict_file, measured.data.verdict(lambda: measured.model).to_dict())
        check(run)
    return run


@contextmanager
def _all_or_nothing(target: Path) -> Iterator[None]:
    """Let the block create a run as its only writer; after an error, nothing of it remains."""
    made_folders = [folder for folder in (target, target.parent) if not folder.exists()]
    with ExitStack() as leaving:
        lock = acquire_lock(target)
        leaving.callback(discard, target, made_folders)
        leaving.callback(lock.release, force=True)
        try:
            yield
        except BaseException:
            _empty(target)
            raise


def _empty(folder: Path) -> None:
    """Remove everything but the lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in (LOCK, OWNER):
            path.unlink()


def _measure(
    run: Run, imported: ImportedModel, corpus: Corpus, device: str, stage: Callable[[str], None]
) -> Measurement:
    """Measure the model on the whole validation split, and write the one line of metrics.jsonl."""
    stage("counting what there is to beat")
    data = LanguageData.prepare(run.config(), corpus, imported.tokenizer, run)
    run.record_hashes()
    stage("measuring it on the held-out text")
    began, model = time.monotonic(), imported.model(device)
    measured = evaluate(model, data.eval_batches())
    if not math.isfinite(measured.nats):
        raise UserError(
            "the model's loss is {nats}: its weights are finite, but what it computes is not",
            nats=measured.nats,
        )
    seconds = time.monotonic() - began
    tracker = JsonLines(run)
    tracker.on_event(Evaluated.of(measured, data.val, step=imported.step, best=math.inf, seconds=seconds))
    tracker.close()
    score = Score("this model", measured.nats, data.val.n_chars, data.val.n_bytes)
    return Measurement(data, score, model)


def _save(run: Run, imported: ImportedModel, score: Score | None) -> None:
    """Save the one step, as the best one."""
    run.sync()  # no step may outlive the files that it needs
    state = {
        "best": None if score is None else score.nats_per_char,
        "best_step": step_folder(run.checkpoints, imported.step).name,
        "imported": imported.source,
    }
    step = save_step(run.checkpoints, imported.step, {"model": imported.tensors}, state)
    write_pointer(run.checkpoints, "best", step)
