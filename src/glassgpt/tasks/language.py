"""The task `language`: predict each token of a running text from the tokens before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Self

from glassgpt.checkpoint import Run, write_json
from glassgpt.config import RunConfig
from glassgpt.data import (
    Batch,
    Corpus,
    TokenData,
    TrainWindows,
    eval_batches,
    open_tokens,
    read_corpus,
    write_tokens,
)
from glassgpt.diagnose import Score, Verdict, baselines, judge
from glassgpt.errors import UserError
from glassgpt.generate import sample_text
from glassgpt.interrupts import run_in_thread
from glassgpt.models import Model
from glassgpt.nn import PAD
from glassgpt.tasks.base import (
    Inputs,
    Lengths,
    Prompt,
    Read,
    Task,
    TaskData,
    check_context,
    stored_baselines,
)
from glassgpt.tokenizers import Tokenizer
from glassgpt.units import count

N_PROBE = 64
"""Windows of a probe batch."""


class LanguageData(TaskData):
    """Running text as windows of tokens."""

    def __init__(
        self, config: RunConfig, tokenizer: Tokenizer, data: TokenData, read_baselines: Read[list[Score]]
    ) -> None:
        super().__init__(config, tokenizer)
        self.data, self._read_baselines = data, cache(read_baselines)
        self.windows = TrainWindows(data.train, config.model.block_size, config.train.seed)
        self.val = Lengths(len(data.val), data.val.n_chars, data.val.n_bytes)
        self.tokens_per_char = len(data.train) / data.train.n_chars

    @property
    def baselines(self) -> list[Score]:
        return self._read_baselines()

    @classmethod
    def prepare(cls, config: RunConfig, corpus: Corpus, tokenizer: Tokenizer, run: Run) -> Self:
        data = write_tokens(corpus, tokenizer, run.data)
        scores = run_in_thread(cls.count_baselines, config, corpus, tokenizer, data)
        write_json(run.baselines_file, judge(scores, None).to_dict())
        return cls(config, tokenizer, data, lambda: scores)

    @classmethod
    def open(cls, config: RunConfig, tokenizer: Tokenizer, run: Run) -> Self:
        return cls(config, tokenizer, open_tokens(run.data), lambda: stored_scores(run))

    @classmethod
    def count_baselines(
        cls, config: RunConfig, corpus: Corpus, tokenizer: Tokenizer, data: TokenData
    ) -> list[Score]:
        """Compute the losses of counted n-grams and xz on the validation split."""
        return baselines(corpus)

    def train_batch(self, index: int, B: int) -> Batch:
        return self.windows.batch(index, B)

    def eval_batches(self) -> Iterator[Batch]:
        T = self.config.model.block_size
        return eval_batches(self.data, T, max(1, self.eval_tokens // T))

    def probe_batch(self, n: int | None = None) -> Batch:
        return _first(self.probe_batches(n or N_PROBE))

    def probe_batches(self, B: int) -> Iterator[Batch]:
        """Yield the validation split in batches of B windows."""
        return eval_batches(self.data, self.config.model.block_size, B)

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        return "".join(sample_text(model, self.tokenizer, max_new_tokens=n_tokens, seed=seed))

    def warnings(self) -> list[str]:
        if self.windows.T == self.config.model.block_size:
            return []
        return [
            f"the text has fewer tokens than a block of {self.config.model.block_size}: the model learns "
            f"positions up to {self.windows.T} only. Give more text or a smaller `block_size`"
        ]

    def verdict(self, score: Score, best: Callable[[], Model]) -> Verdict:
        return judge(self.baselines, score)

    def describe(self) -> list[str]:
        n_train, n_val = count(self.data.train.n_chars), count(self.data.val.n_chars)
        return [f"text       {n_train} characters to learn, {n_val} held out"]


def stored_scores(run: Run) -> list[Score]:
    """Read the baselines of a run whose verdict compares losses."""
    return list(stored_baselines(run).scores)


def _first(batches: Iterator[Batch]) -> Batch:
    batch = next(batches, None)
    if batch is None:
        raise UserError("the run has no held-out text to measure on. Train a new run with more text.")
    return batch


def _inputs(model: Model, tokenizer: Tokenizer, prompt: Prompt) -> Inputs:
    ids = tokenizer.encode(prompt.text)
    check_context(model, len(ids), "the text")
    return Inputs(ids, len(ids), [*ids[1:], PAD])


TASK = Task(
    name="language",
    families=("gpt", "bigram"),
    read=lambda config: read_corpus(config.data),
    data=LanguageData,
    inputs=_inputs,
    commands=("sample",),
    ability="write on",
    usage="Let it write  glassgpt sample {run}",
)
