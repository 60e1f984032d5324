"""The declaration of a task, and its opened data: batches, baselines, samples and the verdict.

A task is one frozen `Task`, in a file of its own. Session, commands and lens ask it; nothing else decides by
the model family. The trainer sees only `TaskData`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from glassgpt.checkpoint import Run
from glassgpt.config import ModelConfig, Resolved, RunConfig, Tables
from glassgpt.data import Batch
from glassgpt.diagnose import MIN_PARTS, Score, Trend, Verdict, n_parts
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.safe_io import read_json
from glassgpt.tokenizers import Tokenizer

T = TypeVar("T")
Read = Callable[[], T]
"""Reads a value when it is first needed."""

EVAL_TOKENS = 4_096
"""Maximum number of tokens per forward pass of an evaluation.

Large enough to be fast, small enough that a part of a split spreads over many places."""
EVAL_LOGITS = 1 << 26
"""Maximum number of logits per forward pass of an evaluation: 256 MB in float32."""


PART_NOTE = N_("measured on {n:,} of {n_all:,} {what}, spread evenly, to end on time")
BEST_STEP_NOTE = N_(
    "the best step of {n_evals} evaluations was chosen on the same held-out text, which favors the model a "
    "little"
)
CONTEXT_NOTE = N_(
    "each token is predicted from {past} or more tokens before it (overlapping windows); the evaluations "
    "while training read each block by itself and come out higher"
)
WHOLE_NOTE = N_("on the whole held-out text, the loss is about {loss:.3f}: the measured parts differ from it")
NOTES = (PART_NOTE, BEST_STEP_NOTE, CONTEXT_NOTE, WHOLE_NOTE)
"""Notes of a verdict about its measurement. The file of a verdict holds them in English."""


@dataclass(frozen=True)
class Lengths:
    """The size of the predicted part of a split, in three units."""

    n_tokens: int
    n_chars: int
    n_bytes: int


@dataclass(frozen=True)
class Prompt:
    """One input for a model, as a user gives it."""

    text: str
    image: np.ndarray | None = None
    """(channels, H, W) of uint8."""
    target: str | None = None
    """The answer to read instead of the model's own."""


@dataclass(frozen=True)
class Inputs:
    """One sequence as token ids: the model's inputs, and the tokens that follow."""

    tokens: list[int]
    n_prompt: int
    """Number of prompt tokens; the others are the answer."""
    next_tokens: list[int] = field(default_factory=list)
    """The token after each of `tokens`, PAD where it is unknown."""
    source: list[int] | None = None
    image: np.ndarray | None = None


class TaskData(ABC):
    """The data of one run, opened for its task."""

    val: Lengths
    has_answers: ClassVar[bool] = False
    """True if a prediction is correct or wrong as a whole, so that correct ones can be counted."""
    notes: tuple[str, ...] = ()
    """Remarks on the preparation of the data, for the user."""
    verdict_stride: int = 1
    """The verdict measures each `verdict_stride`-th part or batch of the validation split, and says so; 1 is
    the whole."""
    verdict_passes: float = 2.0
    """Time of a verdict per target, in those of an evaluation: its windows overlap, or sources are hidden."""
    measures_context: bool = False
    """True if evaluations measure what the verdict's context saves, too: forecasts need it."""
    tokens_per_char: float
    """Predicted tokens per character of the training split: converts nats per token to nats per character."""
    n_train_tokens: int
    """Predicted tokens of one pass over the training split."""
    n_train_rows: int
    """Windows or examples of one pass over the training split."""
    unit: ClassVar[str] = N_("nats/char")
    """Unit of the losses that are shown."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer) -> None:
        self.config, self.tokenizer = config, tokenizer

    @property
    @abstractmethod
    def baselines(self) -> list[Score]:
        """Losses of the baselines on the same validation split. Raises UserError if their file is damaged."""

    @classmethod
    @abstractmethod
    def prepare(cls, config: RunConfig, corpus: Any, tokenizer: Tokenizer, run: Run) -> Self:
        """Write the corpus as tokens into a run, and compute the baselines."""

    @classmethod
    @abstractmethod
    def open(cls, config: RunConfig, tokenizer: Tokenizer, run: Run) -> Self:
        """Open the data that `prepare` wrote."""

    @abstractmethod
    def train_batch(self, index: int, B: int) -> Batch:
        """Return training batch number `index`, a pure function of (seed, index)."""

    def step_batches(self, step: int) -> list[Batch]:
        """Return the micro-batches of a training step: `grad_accum_steps` of `micro_batch_size` rows."""
        B, n = self.config.train.micro_batch_size, self.config.train.grad_accum_steps
        return [self.train_batch(step * n + i, B) for i in range(n)]

    @property
    def steps_per_epoch(self) -> float:
        """Training steps of one pass over the training split."""
        return self.n_train_rows / (self.config.train.micro_batch_size * self.config.train.grad_accum_steps)

    @abstractmethod
    def eval_batches(self) -> Iterator[Batch]:
        """Yield the whole validation split, each target once."""

    def eval_part(self, stride: int) -> Iterator[Batch]:
        """Yield every `stride`-th batch of the validation split: a fixed part, spread over all of it."""
        part = islice(self.eval_batches(), stride // 2, None, stride)
        first = next(part, None)
        return chain([first], part) if first is not None else islice(self.eval_batches(), 1)

    def context_pairs(self, stride: int) -> Iterator[tuple[Batch, Batch]]:
        """Yield some of the targets of `eval_part` twice: as it shows them, and with more context.

        Nothing where an evaluation shows as much as the verdict, or where nobody asks for the difference.
        """
        return iter(())

    def verdict_parts(self) -> range:
        """Return the parts of the validation split that the verdict measures, `MIN_PARTS` or more.

        Only for tasks whose losses are compared part by part.
        """
        return range(0, self.n_parts, min(self.verdict_stride, self.n_parts // MIN_PARTS))

    @property
    def n_parts(self) -> int:
        """Number of parts of the validation split in which losses are compared."""
        return n_parts(self.val.n_chars)

    @abstractmethod
    def probe_batch(self, n: int | None = None) -> Batch:
        """Return the first n windows or examples of the validation split; few enough by default."""

    @abstractmethod
    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        """Return a sample of the model's output on held-out data, for people to read."""

    @abstractmethod
    def verdict(self, best: Callable[[], Model], trend: Trend | None = None) -> Verdict:
        """Measure the best model, which `best()` loads, and compare it with the baselines.

        trend: the course of the run.
        """

    @abstractmethod
    def describe(self) -> list[str]:
        """Return the size of the data in words, one line per kind."""

    def warnings(self) -> list[str]:
        """Return warnings to show before training."""
        return []

    @property
    def eval_tokens(self) -> int:
        """Tokens per forward pass of an evaluation."""
        return min(EVAL_TOKENS, EVAL_LOGITS // self.tokenizer.n_vocab)


@dataclass(frozen=True)
class Task:
    """The declaration of one task.

    To add a task, write a file with a `Task`, and name it in `glassgpt.tasks` or call `register`.
    """

    name: str
    """Name in config.json and of `--task`."""
    families: tuple[str, ...]
    """Model families that can learn it; the first is the default."""
    read: Callable[[RunConfig], Any]
    """Read the sources into a corpus with `notes` and `texts()`."""
    data: type[TaskData]
    """Prepares and opens the data of a run."""
    commands: tuple[str, ...]
    """Commands that use a trained model; the first is suggested."""
    ability: str
    """The ability of a trained model, after "can": "continue text"."""
    usage: str
    """The suggested command line; `{run}` stands for the run's folder."""
    inputs: Callable[[Model, Tokenizer, Prompt], Inputs]
    """Encode one prompt as in training; generate the answer if the prompt has none."""
    takes: frozenset[str] = frozenset()
    """Parts of a prompt besides text: "image", "target", and "hide" (a part of the source)."""
    specials: tuple[str, ...] = ()
    """Special tokens of the tokenizer."""
    detect: Callable[[RunConfig], bool] = lambda config: True
    """True if the sources look like this task's data; asked only for models of its families."""
    evidence: Callable[[RunConfig], str] = lambda config: ""
    """Signs in the sources that they are for this task, in a few words; "" for none. Asked if no task
    and no model family is named."""
    fits_model: Callable[[ModelConfig], bool] = lambda config: True
    """True if a model without a run is for this task; asked only for models of its families."""
    facts: Callable[[Resolved, Any], Tables] = lambda resolved, corpus: {}
    """Settings that follow from the corpus: classes, image channels, a default tokenizer."""
    fit: Callable[[RunConfig, Any, Tokenizer], Any] = lambda config, corpus, tokenizer: corpus
    """Drop or refuse examples that are too long for the model."""


def stored_baselines(run: Run) -> Verdict:
    """Read the baselines computed at the start of a run. Raises UserError if the file is damaged."""
    try:
        return Verdict.from_dict(read_json(run.baselines_file))
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise UserError(
            "{baselines_file} is damaged ({error}). Train the run again.",
            baselines_file=run.baselines_file,
            error=error,
        ) from error


def measuring_notes(trend: Trend | None, n: int, n_all: int, what: str) -> list[str]:
    """Return remarks on a measurement of n of `n_all` parts: what was left out, and what favors the model."""
    notes = [N_(PART_NOTE, n=n, n_all=n_all, what=what)] if n < n_all else []
    if trend is not None and trend.n_evals > 1:
        notes.append(N_(BEST_STEP_NOTE, n_evals=trend.n_evals))
    return notes


def check_context(model: Model, n: int, what: str) -> None:
    """Raise UserError if n tokens are more than the model sees at once."""
    limit = model.config.block_size
    if n > limit and model.config.family != "bigram":
        raise UserError(
            "{what} has {n:,} tokens: the model sees {limit:,} at once. Give a shorter one.",
            what=what,
            n=n,
            limit=limit,
        )
