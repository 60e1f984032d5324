"""The task `language`: predict each token of a running text from the tokens before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Self

import numpy as np

from glassgpt.checkpoint import Run, run_tokens, write_json
from glassgpt.config import Resolved, RunConfig, Tables
from glassgpt.data import (
    Batch,
    Corpus,
    TokenData,
    TrainWindows,
    context_pairs,
    eval_batches,
    eval_starts,
    read_corpus,
    sliding_batches,
    write_tokens,
)
from glassgpt.diagnose import Score, Trend, Verdict, judge, n_parts, part_of, round_parts
from glassgpt.errors import UserError
from glassgpt.generate import sample_text
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.nn import PAD
from glassgpt.objective import token_losses
from glassgpt.tasks.base import (
    CONTEXT_NOTE,
    WHOLE_NOTE,
    Inputs,
    Lengths,
    Prompt,
    Read,
    Task,
    TaskData,
    check_context,
    measuring_notes,
    stored_baselines,
)
from glassgpt.tasks.counted import text_scores
from glassgpt.tasks.default_prompt import default_prompt
from glassgpt.tokenizers import END_OF_DOCUMENT, Tokenizer
from glassgpt.units import count

N_PROBE = 64
"""Windows of a probe batch."""
BIGRAM_PASSES = 8.0
"""The verdict of a bigram has a window for each token, and cutting them takes longer than the model."""


class LanguageData(TaskData):
    """Running text as windows of tokens."""

    def __init__(
        self, config: RunConfig, tokenizer: Tokenizer, data: TokenData, read_baselines: Read[list[Score]]
    ) -> None:
        super().__init__(config, tokenizer)
        self.data, self._read_baselines = data, cache(read_baselines)
        line_end = _line_end(tokenizer) if data.is_list else None
        self.windows = TrainWindows(data.train, config.model.block_size, config.train.seed, line_end)
        self.val = Lengths(len(data.val), data.val.n_chars, data.val.n_bytes)
        self.tokens_per_char = len(data.train) / data.train.n_chars
        self.n_train_rows = self.windows.per_epoch
        self.n_train_tokens = self.n_train_rows * self.windows.T
        if config.model.family == "bigram":
            self.verdict_passes = BIGRAM_PASSES

    @property
    def baselines(self) -> list[Score]:
        return self._read_baselines()

    @classmethod
    def prepare(cls, config: RunConfig, corpus: Corpus, tokenizer: Tokenizer, run: Run) -> Self:
        data = write_tokens(corpus, tokenizer, run.data)
        scores = cls.count_baselines(config, corpus, tokenizer, data)
        write_json(run.baselines_file, judge(scores, None, notes=corpus.notes).to_dict())
        return cls(config, tokenizer, data, lambda: scores)

    @classmethod
    def open(cls, config: RunConfig, tokenizer: Tokenizer, run: Run) -> Self:
        return cls(config, tokenizer, run_tokens(run, tokenizer.n_vocab), lambda: stored_scores(run))

    @classmethod
    def count_baselines(
        cls, config: RunConfig, corpus: Corpus, tokenizer: Tokenizer, data: TokenData
    ) -> list[Score]:
        """Return the losses of counted n-grams and xz on the validation split."""
        return text_scores(corpus, config.train.minutes)

    def train_batch(self, index: int, B: int) -> Batch:
        return self.windows.batch(index, B)

    def eval_batches(self) -> Iterator[Batch]:
        return self.eval_part(1)

    def eval_part(self, stride: int) -> Iterator[Batch]:
        T = self.config.model.block_size
        return eval_batches(self.data, T, max(1, self.eval_tokens // T), stride)

    def context_pairs(self, stride: int) -> Iterator[tuple[Batch, Batch]]:
        if not self.measures_context or self.config.model.family == "bigram":
            return iter(())
        T = self.config.model.block_size
        return context_pairs(self.data, T, max(1, self.eval_tokens // T), stride)

    def eval_targets(self, stride: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where the targets of `eval_part` lie in the validation split, in bytes.

        Returns the first byte and the last byte + 1 of each, (n,) each.
        """
        T, ids = self.config.model.block_size, self.data.val.ids
        places = eval_starts(len(ids), T, stride)[:, None] + np.arange(T)
        places = places[places < len(ids)]  # (n,)
        n_bytes = self.tokenizer.n_bytes(ids)  # (n_val,)
        stops = np.cumsum(n_bytes)[places]
        return stops - n_bytes[places], stops

    def probe_batch(self, n: int | None = None) -> Batch:
        return _first(self.probe_batches(n or N_PROBE))

    def probe_batches(self, B: int) -> Iterator[Batch]:
        """Yield the validation split in batches of B windows."""
        return eval_batches(self.data, self.config.model.block_size, B)

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        pieces = sample_text(model, self.tokenizer, max_new_tokens=n_tokens, seed=seed, ignore_end=True)
        return "".join(pieces).replace(END_OF_DOCUMENT, "\n")

    def warnings(self) -> list[str]:
        if self.windows.T == self.config.model.block_size:
            return []
        return [
            N_(
                "the text has fewer tokens than a block of {block_size}: the model learns "
                "positions up to {length} only. Give more text or a smaller `block_size`",
                block_size=self.config.model.block_size,
                length=self.windows.T,
            )
        ]

    def verdict(self, best: Callable[[], Model], trend: Trend | None = None) -> Verdict:
        score = self.measure(best())
        whole = self._loss_on_whole(score)
        notes = [self.data.leak_note, self.context_note(), *part_notes(trend, score)]
        if whole is not None:
            notes.append(N_(WHOLE_NOTE, loss=whole))
        family = self.config.model.family
        found = judge(self.baselines, score, trend=trend, family=family, notes=[*filter(None, notes)])
        return replace(found, whole=whole)

    def _loss_on_whole(self, score: Score) -> float | None:
        """Return the estimated loss on the whole split; None if the score has all parts, or none can tell."""
        counted = [row for row in self.baselines if row.kind == "ngram" and None not in row.parts]
        if None not in score.parts or not counted:
            return None
        return score.on_whole(min(counted, key=lambda row: row.nats_per_char))

    def context_note(self) -> str:
        """Return how much context the verdict gives the model."""
        if self.config.model.family == "bigram":
            return ""
        past = self.windows.T - max(1, self.windows.T // 2) + 1
        return N_(CONTEXT_NOTE, past=past)

    def measure(self, model: Model) -> Score:
        """Measure a model in overlapping windows, on each `verdict_stride`-th of the split's parts."""
        ids, n = self.data.val.ids, n_parts(self.val.n_chars)
        T = 1 if self.config.model.family == "bigram" else self.windows.T
        part = part_of(self.tokenizer.n_bytes(ids), n, self.val.n_bytes)  # (n_val,): part of each token
        measured = self.verdict_parts()
        if len(measured) == n:
            ranges, lengths = [(0, len(ids))], self.val
        else:
            bounds = np.searchsorted(part, np.arange(n + 1)).tolist()
            ranges = [(bounds[i], bounds[i + 1]) for i in measured]
            lengths = _lengths(self.tokenizer, [ids[start:stop] for start, stop in ranges])
        batches = sliding_batches(self.data, T, max(1, self.eval_tokens // T), ranges)
        # Losses of the tokens in all ranges, in their order.
        losses = np.concatenate([nats[counts] for nats, counts in token_losses(model, batches)])
        parts = np.concatenate([part[start:stop] for start, stop in ranges])
        nats = np.bincount(parts, weights=losses, minlength=n)  # (n,)
        return part_score(nats, measured, lengths)

    def describe(self) -> list[str]:
        n_train, n_val = count(self.data.train.n_chars), count(self.data.val.n_chars)
        return [
            N_("text       {n_train} characters to learn, {n_val} held out", n_train=n_train, n_val=n_val)
        ]


def part_notes(trend: Trend | None, score: Score) -> list[str]:
    """Return remarks on a score that was measured on some or all parts of a split."""
    n = sum(part is not None for part in score.parts)
    return measuring_notes(trend, n, len(score.parts), N_("equal parts of the held-out text"))


def part_score(nats: np.ndarray, measured: Sequence[int], lengths: Lengths) -> Score:
    """Return the score of a model with the losses of these parts, (n_parts,)."""
    rows = round_parts(nats)
    parts = tuple(rows[i] if i in measured else None for i in range(len(rows)))
    return Score(N_("this model"), float(nats.sum()), lengths.n_chars, lengths.n_bytes, parts=parts)


def _line_end(tokenizer: Tokenizer) -> int | None:
    """Return the token that ends a line; None if it has several."""
    ids = tokenizer.encode("\n")
    return ids[0] if len(ids) == 1 else None


def _lengths(tokenizer: Tokenizer, pieces: Sequence[np.ndarray]) -> Lengths:
    """Return the size of some token sequences; a character counts where its first byte is."""
    data = b"".join(map(tokenizer.token_bytes, pieces))
    n_chars = int(((np.frombuffer(data, np.uint8) & 0xC0) != 0x80).sum())
    return Lengths(sum(map(len, pieces)), n_chars, len(data))


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
    check_context(model, len(ids), N_("the text"))
    return Inputs(ids, len(ids), [*ids[1:], PAD])


def _facts(_: Resolved, corpus: Corpus) -> Tables:
    prompt = f"{corpus.end}\n" if corpus.end else default_prompt(corpus.texts())
    return {"model": {"prompt": prompt, "end": corpus.end}}


def _read(config: RunConfig) -> Corpus:
    """Read running text; a base run whose vocabulary has no mark for the end of a document gets none."""
    knows_all = config.tokenizer.byte_fallback or config.tokenizer.kind != "char"
    return read_corpus(config.data, marks=knows_all or config.init_from.run is None)


TASK = Task(
    name="language",
    families=("gpt", "bigram"),
    read=_read,
    data=LanguageData,
    facts=_facts,
    inputs=_inputs,
    commands=("sample",),
    ability=N_("continue text"),
    usage=N_("Let it write  glassgpt sample {run}"),
)
