"""One training of a comparison: an ordinary run, and its loss on the text that all are measured on."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from glassgpt.checkpoint import Run, is_abandoned, steps, weights
from glassgpt.config import DataConfig, Layer, RunConfig
from glassgpt.data import Corpus, read_corpus
from glassgpt.device import choose_device
from glassgpt.errors import UserError
from glassgpt.models import Model, build
from glassgpt.objective import evaluate
from glassgpt.tasks import LanguageData, TaskData, task_of
from glassgpt.train.events import Evaluated
from glassgpt.train.flops import step_flops
from glassgpt.train.resume_run import resume
from glassgpt.train.run_plan import OnStage
from glassgpt.train.session import Session
from glassgpt.train.start_run import start

MEASURED_CHARS = 300_000
"""Characters of the held-out text that are measured, in parts spread over all of it."""
ALIKE = 0.1
"""Weights are shared if their spreads differ by less, or the arms draw from different distributions."""


@dataclass(frozen=True)
class Rehearsal:
    """Facts about an arm before its first training."""

    config: dict[str, Any]
    """The complete configuration."""
    n_vocab: int
    n_params: int
    text: str
    """Hash of the held-out text, or its lengths where it is no running text."""
    step_flops: int | None
    """Operations of a step's gradient, if they decide the length."""
    shared: float = 1.0
    """Share of the weights that begin with the values of the first arm."""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        return cls(**{**stored, "notes": tuple(stored["notes"])})


def rehearse(
    layers: list[Layer],
    folder: Path,
    stage: OnStage,
    *,
    first: Rehearsal | None = None,
    held_out: Path | None = None,
    count_flops: bool = False,
) -> Rehearsal:
    """Start a run, look at it and discard it: errors come before any training, and the text is counted once.

    first: the rehearsal of the first arm, if this is another one. held_out: the text to measure on.
    """
    content = None if held_out is None else _read(held_out)
    session = start(layers, folder, stage)
    try:
        trainer = session.trainer
        config = trainer.config
        if trainer.dist.world_size > 1:
            raise UserError("a comparison trains in one process. Start it without torchrun.")
        n_vocab = session.data.tokenizer.n_vocab
        shared = 1.0 if first is None else share_weights(session, _config(first), first.n_vocab)
        return Rehearsal(
            config=config.model_dump(mode="json"),
            n_vocab=n_vocab,
            n_params=trainer.model.n_params,
            text=_identity(session.data),
            step_flops=step_flops(trainer) if count_flops else None,
            shared=shared,
            notes=(*session.notes, *(_copies(session.data, content) if content else ())),
        )
    finally:
        session.close()


def _config(rehearsal: Rehearsal) -> RunConfig:
    return RunConfig.model_validate(rehearsal.config)


def _identity(data: TaskData) -> str:
    """Return a hash of the held-out text, independent of its tokens; of other data, the lengths."""
    if isinstance(data, LanguageData):
        return hashlib.sha256(data.tokenizer.token_bytes(data.data.val.ids)).hexdigest()
    return f"{data.val.n_chars} characters, {data.val.n_bytes} bytes"


def share_weights(session: Session, other: RunConfig, n_vocab: int) -> float:
    """Give a new run the initial weights that another arm has under the same names; return their share.

    Weights are shared if shape and spread agree. Equal models have equal weights anyway.
    """
    trainer = session.trainer
    mine = weights(trainer.model)
    if trainer.config.init_from.run is not None or other.init_from.run is not None:
        return 1.0 if trainer.config.init_from == other.init_from else 0.0
    torch.manual_seed(trainer.config.train.seed)
    theirs = weights(build(other.model, n_vocab))
    shared = {name: theirs[name] for name in mine if name in theirs and _alike(mine[name], theirs[name])}
    trainer.learner.load_initial(shared)
    return sum(t.numel() for t in shared.values()) / sum(t.numel() for t in mine.values())


def _alike(mine: torch.Tensor, theirs: torch.Tensor) -> bool:
    if mine.shape != theirs.shape:
        return False
    a, b = (float(t.float().std(correction=0)) for t in (mine, theirs))
    return abs(a - b) <= ALIKE * max(a, b)


def begin(path: Path, layers: list[Layer], first: Rehearsal | None) -> Session | None:
    """Start or resume the run at `path`; None if it is finished.

    first: the rehearsal of the first arm, whose initial weights another arm shares.
    """
    if (path / "verdict.json").is_file():
        return None
    if path.exists() and not is_abandoned(path) and steps(Run(path).checkpoints):
        return resume(path)
    session = start(layers, path)
    if first is not None:
        share_weights(session, _config(first), first.n_vocab)
    return session


def held_out_loss(run: Run, text: Path | None = None) -> float:
    """Return the loss of a run's best step in nats per character.

    text: the text to measure on; by default the run's own held-out text. A long one is measured in parts, the
    same ones for each run. Raises UserError for a loss that is not finite.
    """
    config = run.config()
    data = task_of(config).data.open(config, run.tokenizer(), run)
    if text is not None:
        data = _on_text(data, text)
    model = run.model(choose_device(config.train.device))
    loss = _loss(model, data)
    if not math.isfinite(loss):
        raise UserError(
            "{path}: the held-out loss is {loss}. Lower the learning rate of this arm.",
            path=run.path,
            loss=loss,
        )
    return loss


def _loss(model: Model, data: TaskData) -> float:
    """Return the loss in nats per character, in overlapping windows where the task has running text."""
    if isinstance(data, LanguageData):
        data.verdict_stride = math.ceil(data.val.n_chars / MEASURED_CHARS)
        return data.measure(model).nats_per_char
    measured = evaluate(model, data.eval_batches())
    return Evaluated.of(measured, data.val, step=0, best=math.inf, seconds=0.0).nats_per_char


def _on_text(data: TaskData, text: Path) -> LanguageData:
    """Return a run's data with another held-out text."""
    data, content = _running_text(data), _read(text)
    ids = np.array(data.tokenizer.encode(content))  # (n_tokens,)
    val = replace(data.data.val, ids=ids, n_chars=len(content), n_bytes=len(content.encode()))
    return LanguageData(data.config, data.tokenizer, replace(data.data, val=val), lambda: [])


def _running_text(data: TaskData) -> LanguageData:
    if type(data) is not LanguageData:
        raise UserError("`held_out` is for running text. Leave it out: all arms are measured on their own.")
    return data


def _read(text: Path) -> str:
    corpus = read_corpus(DataConfig(sources=(str(text),), split="end", val_fraction=0.5))
    return corpus.train.read() + corpus.val.read()


def _copies(data: TaskData, held_out: str) -> list[str]:
    """Return a note if a run's training text holds parts of the held-out text."""
    data = _running_text(data)
    train = data.tokenizer.token_bytes(data.data.train.ids).decode("utf-8", "replace")
    share = len(held_out) / (len(train) + len(held_out))
    note = Corpus.from_text(train + held_out, val_fraction=share).leak_note
    return [note] if note else []
