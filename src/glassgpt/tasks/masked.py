"""The task `masked`: predict hidden tokens of a running text from the tokens on both sides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glassgpt.config import RunConfig
from glassgpt.data import (
    EVAL_MASK_FRACTION,
    MASK,
    Batch,
    Corpus,
    MaskedWindows,
    Split,
    TokenData,
    eval_mask,
    masked_eval_batches,
    read_corpus,
    sliding_masked_batches,
)
from glassgpt.diagnose import Score, masked_baselines, n_parts, part_of
from glassgpt.generate import fill, masked_ids
from glassgpt.language import N_
from glassgpt.models import MaskedLM, Model
from glassgpt.objective import token_losses
from glassgpt.tasks.base import Inputs, Lengths, Prompt, Read, Task, TaskData, check_context
from glassgpt.tasks.counted import array_hash, counting_bytes, kept
from glassgpt.tasks.language import LanguageData, part_score
from glassgpt.tokenizers import Tokenizer

COUNTING_PASSES = 2.0
"""Counting neighbors on both sides takes so many times as long as counting n-grams of running text."""


class MaskedData(LanguageData):
    """Running text with hidden tokens. The hidden positions of the validation split never change."""

    def __init__(
        self, config: RunConfig, tokenizer: Tokenizer, data: TokenData, read_baselines: Read[list[Score]]
    ) -> None:
        super().__init__(config, tokenizer, data, read_baselines)
        fraction, seed = config.train.mask_fraction, config.train.seed
        self.mask_id = tokenizer.specials[MASK]
        self.masked = MaskedWindows(data.train, config.model.block_size, seed, self.mask_id, fraction)
        self.hidden = eval_mask(len(data.val), seed)  # (n_val,) of bool
        self.val = _masked_lengths(tokenizer, data.val, self.hidden)
        self.n_train_tokens = round(self.n_train_tokens * fraction)

    @classmethod
    def count_baselines(
        cls, config: RunConfig, corpus: Corpus, tokenizer: Tokenizer, data: TokenData
    ) -> list[Score]:
        """Score count-based baselines on the same hidden tokens."""
        masked = eval_mask(len(data.val.ids), config.train.seed)  # (n_val,) of bool
        lengths = _masked_lengths(tokenizer, data.val, masked)
        train, val = data.train.ids, data.val.ids
        n_counted = min(len(train), counting_bytes(config.train.minutes, COUNTING_PASSES))
        name = ["masked", str(tokenizer.n_vocab), str(n_counted), *map(array_hash, (train, val, masked))]
        given = (train, val, masked, tokenizer.n_vocab, lengths.n_chars, lengths.n_bytes, n_counted)
        return kept(corpus, name, lambda: masked_baselines(*given))

    def train_batch(self, index: int, B: int) -> Batch:
        return self.masked.batch(index, B)

    def eval_batches(self) -> Iterator[Batch]:
        T = self.config.model.block_size
        B = max(1, self.eval_tokens // T)
        return masked_eval_batches(self.data.val, self.hidden, T, B, self.mask_id)

    eval_part = TaskData.eval_part  # by batches

    def probe_batches(self, B: int) -> Iterator[Batch]:
        return masked_eval_batches(self.data.val, self.hidden, self.config.model.block_size, B, self.mask_id)

    def context_note(self) -> str:
        side = (self.windows.T - max(1, self.windows.T // 2)) // 2
        return N_(
            "each gap is filled from {side} or more tokens on both sides (overlapping "
            "windows); the evaluations while training read each block by itself and come out "
            "higher",
            side=side,
        )

    def measure(self, model: Model) -> Score:
        val, n, T = self.data.val, n_parts(self.val.n_chars), self.windows.T
        part = part_of(np.ones(len(val), np.int64), n, len(val))  # (n_val,)
        measured = self.verdict_parts()
        counted = self.hidden & np.isin(part, measured)
        B = max(1, self.eval_tokens // T)
        batches = sliding_masked_batches(val, self.hidden, counted, T, B, self.mask_id)
        losses = np.concatenate([nats[targets] for nats, targets in token_losses(model, batches)])
        nats = np.bincount(part[counted], weights=losses, minlength=n)
        return part_score(nats, measured, _masked_lengths(self.tokenizer, val, counted))

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        """Return the start of the validation text with its gaps, and the same text filled by the model."""
        assert isinstance(model, MaskedLM)
        n = min(max(20, n_tokens // 2), self.config.model.block_size, len(self.data.val))
        pieces = [
            "[?]" if gap else self.tokenizer.decode([token])
            for token, gap in zip(self.data.val.ids[:n].tolist(), self.hidden[:n], strict=True)
        ]
        text = "".join(pieces)
        return f"{text}\n\n{fill(model, self.tokenizer, text).text}" if "[?]" in text else text

    def describe(self) -> list[str]:
        hidden = N_("{share:.0%} of the tokens hidden to learn", share=self.config.train.mask_fraction)
        return [
            *super().describe(),
            N_("gaps       {hidden}, {measured:.0%} to measure", hidden=hidden, measured=EVAL_MASK_FRACTION),
        ]


def _masked_lengths(tokenizer: Tokenizer, val: Split, hidden: np.ndarray) -> Lengths:
    """Count the hidden part in tokens, characters and bytes; a token of half a character counts as one."""
    gaps = val.ids[hidden]
    return Lengths(len(gaps), len(tokenizer.decode(gaps)), len(tokenizer.token_bytes(gaps)))


def _inputs(model: Model, tokenizer: Tokenizer, prompt: Prompt) -> Inputs:
    ids = masked_ids(tokenizer, prompt.text)
    check_context(model, len(ids), N_("the text"))
    return Inputs(ids, len(ids))


TASK = Task(
    name="masked",
    families=("encoder",),
    read=lambda config: read_corpus(config.data),
    data=MaskedData,
    inputs=_inputs,
    commands=("fill",),
    ability=N_("fill gaps"),
    usage=N_('Use it        glassgpt fill {run} "a text with [?] gaps"'),
    specials=(MASK,),
)
