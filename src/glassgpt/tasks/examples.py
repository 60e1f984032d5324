"""Data of tasks with separate examples. Conversations and tasks with one answer per example build on it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glassgpt.config import RunConfig
from glassgpt.data import Batch, ExampleBatches, ExampleData, ExampleSplit, eval_rows
from glassgpt.tasks.base import Lengths, TaskData
from glassgpt.tokenizers import Tokenizer

N_PROBE = 400
"""Validation examples of a probe batch."""


class ExampleTaskData(TaskData):
    """Separate examples in shuffled batches. A prediction is correct or wrong as a whole."""

    has_answers = True

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: ExampleData) -> None:
        super().__init__(config, tokenizer)
        self.data = data
        self.batches = ExampleBatches(data.train, config.train.seed)
        self.val, train = _lengths(data.val), _lengths(data.train)
        self.tokens_per_char, self.n_train_tokens = train.n_tokens / train.n_chars, train.n_tokens
        self.n_train_rows = len(data.train)

    @property
    def n_patch(self) -> int:
        """Image patches per example, which count as tokens of a batch."""
        return 0

    @property
    def is_less_than_a_batch(self) -> bool:
        """True if there are fewer training examples than a batch has rows."""
        return len(self.data.train) < self.config.train.micro_batch_size

    def train_batch(self, index: int, B: int) -> Batch:
        return self.batches.batch(index, B)

    def eval_batches(self) -> Iterator[Batch]:
        return map(self.data.val.batch, eval_rows(self.data.val, self.eval_tokens, self.n_patch))

    def probe_batch(self, n: int | None = None) -> Batch:
        return self.data.val.batch(np.arange(min(n or N_PROBE, len(self.data.val))))


def _lengths(split: ExampleSplit) -> Lengths:
    return Lengths(split.n_targets, split.n_chars, split.n_bytes)
