"""Running text: predicted token by token (gpt, bigram), or with gaps that are filled in (encoder)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np

from glassgpt.checkpoint import Run, write_json
from glassgpt.config import RunConfig
from glassgpt.data import (
    MASK,
    Batch,
    Corpus,
    MaskedWindows,
    Split,
    TokenData,
    TrainWindows,
    eval_batches,
    eval_mask,
    masked_eval_batches,
    open_tokens,
    write_tokens,
)
from glassgpt.diagnose import BidirectionalNGram, Score, Verdict, baselines, judge
from glassgpt.errors import UserError
from glassgpt.generate import fill, sample_text
from glassgpt.models import MaskedLM, Model
from glassgpt.tokenizers import Tokenizer
from glassgpt.train.task import Lengths, Task

MAX_COUNTED = 1 << 24
"""Tokens at the end of a training text of which neighbors are counted."""


class TextTask(Task):
    """Each token from those before it."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: TokenData, scores: list[Score]) -> None:
        super().__init__(config, tokenizer)
        self.data, self.baselines = data, scores
        self.windows = TrainWindows(data.train, config.model.block_size, config.train.seed)
        self.val = Lengths(len(data.val), data.val.n_chars, data.val.n_bytes)
        self.tokens_per_char = len(data.train) / data.train.n_chars

    @classmethod
    def prepare(cls, config: RunConfig, corpus: Corpus, tokenizer: Tokenizer, run: Run) -> Self:
        """Write the tokens into a run, and count the baselines."""
        data = write_tokens(corpus, tokenizer, run.data)
        scores = cls.count_baselines(config, corpus, tokenizer, data)
        write_json(run.baselines_file, judge(scores, None).to_dict())
        return cls(config, tokenizer, data, scores)

    @classmethod
    def open(cls, config: RunConfig, tokenizer: Tokenizer, run: Run) -> Self:
        """What `prepare` left in a run."""
        return cls(config, tokenizer, open_tokens(run.data), stored_scores(run))

    @classmethod
    def count_baselines(
        cls, config: RunConfig, corpus: Corpus, tokenizer: Tokenizer, data: TokenData
    ) -> list[Score]:
        """What the model has to beat."""
        return baselines(corpus)

    def train_batch(self, index: int, B: int) -> Batch:
        return self.windows.batch(index, B)

    def eval_batches(self) -> Iterator[Batch]:
        T = self.config.model.block_size
        return eval_batches(self.data, T, max(1, self.eval_tokens // T))

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        return "".join(sample_text(model, self.tokenizer, max_new_tokens=n_tokens, seed=seed))

    def warnings(self) -> list[str]:
        if self.windows.T == self.config.model.block_size:
            return []
        return [
            f"the text has fewer tokens than a block of {self.config.model.block_size}: the model learns "
            f"positions up to {self.windows.T} only; give more text or a smaller --block-size"
        ]

    def verdict(self, score: Score, best: Callable[[], Model]) -> Verdict:
        return judge(self.baselines, score)


class MaskedLMTask(TextTask):
    """Hidden tokens from those on both sides of them."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: TokenData, scores: list[Score]) -> None:
        super().__init__(config, tokenizer, data, scores)
        fraction, seed = config.train.mask_fraction, config.train.seed
        self.mask_id = tokenizer.specials[MASK]
        self.masked = MaskedWindows(data.train, config.model.block_size, seed, self.mask_id, fraction)
        self.hidden = eval_mask(len(data.val), seed)
        self.val = _lengths(tokenizer, data.val, self.hidden)

    @classmethod
    def count_baselines(
        cls, config: RunConfig, corpus: Corpus, tokenizer: Tokenizer, data: TokenData
    ) -> list[Score]:
        """A uniform guess, counted tokens alone, and counted neighbors, all in the same gaps."""
        ids, V = data.val.ids, tokenizer.n_vocab
        hidden = eval_mask(len(ids), config.train.seed)
        places, lengths = np.flatnonzero(hidden), _lengths(tokenizer, data.val, hidden)
        counted = BidirectionalNGram(data.train.ids[-MAX_COUNTED:], V)

        def score(name: str, probabilities: np.ndarray, detail: str = "") -> Score:
            nats = -float(np.log(probabilities).sum())
            return Score(name, nats, lengths.n_chars, lengths.n_bytes, detail)

        seen = np.unique(data.train.ids)
        guess = np.where(np.isin(ids[places], seen), 1 / len(seen), 1 / V)
        visible = "two on each side of a gap, less those that are hidden themselves"
        return [
            score("uniform", guess, f"{len(seen):,} different tokens in training"),
            score("unigram", counted.probabilities(ids, places, np.ones_like(hidden))),
            score("counted neighbors", counted.probabilities(ids, places, hidden), visible),
        ]

    def train_batch(self, index: int, B: int) -> Batch:
        return self.masked.batch(index, B)

    def eval_batches(self) -> Iterator[Batch]:
        T = self.config.model.block_size
        B = max(1, self.eval_tokens // T)
        return masked_eval_batches(self.data.val, self.hidden, T, B, self.mask_id)

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        """The beginning of the held-out text with its gaps, and what the model puts there."""
        assert isinstance(model, MaskedLM)
        n = min(max(20, n_tokens // 2), self.config.model.block_size, len(self.data.val))
        pieces = [
            "[?]" if gap else self.tokenizer.decode([token])
            for token, gap in zip(self.data.val.ids[:n].tolist(), self.hidden[:n], strict=True)
        ]
        text = "".join(pieces)
        if "[?]" not in text:
            return text
        return f"{text}\n\n{fill(model, self.tokenizer, text).text}"


def stored_scores(run: Run) -> list[Score]:
    """The baselines that were counted when a run began."""
    try:
        stored = json.loads(run.baselines_file.read_text("utf-8"))
        return list(Verdict.from_dict(stored).scores)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run.baselines_file} is damaged ({error}); train the run anew") from error


def _lengths(tokenizer: Tokenizer, val: Split, hidden: np.ndarray) -> Lengths:
    """What is hidden, in tokens, characters and bytes; a token of half a character counts as one."""
    gaps = val.ids[hidden]
    return Lengths(len(gaps), len(tokenizer.decode(gaps)), len(tokenizer.token_bytes(gaps)))
