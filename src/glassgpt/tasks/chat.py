"""The task `chat`: predict the assistant's messages of a conversation from everything before them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Self

import numpy as np

from glassgpt.checkpoint import Run, run_examples, write_json
from glassgpt.config import Resolved, RunConfig, Tables
from glassgpt.data import (
    CHAT_SPECIALS,
    ChatCorpus,
    ChatTemplate,
    ExampleData,
    ExampleSplit,
    Message,
    eval_rows,
    is_chat,
    read_chat,
    write_chat,
)
from glassgpt.diagnose import (
    Score,
    Trend,
    Utterance,
    Verdict,
    judge,
    part_of,
    reply_baselines,
    row_parts,
)
from glassgpt.generate import SamplingParams, reply
from glassgpt.interrupts import run_in_thread
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.objective import token_losses
from glassgpt.tasks.base import Lengths, Read, Task
from glassgpt.tasks.counted import counting_bytes
from glassgpt.tasks.examples import ExampleTaskData
from glassgpt.tasks.language import TASK as LANGUAGE
from glassgpt.tasks.language import part_notes, part_score, stored_scores
from glassgpt.tokenizers import Tokenizer
from glassgpt.units import count

N_SHOWN = 2
"""Held-out questions in a sample."""
CHAT_BLOCK = 256
"""Minimum context of a chat model in tokens, if neither `block_size` nor `size` is given."""
CHAT_VOCAB, MAX_LETTERS = 1_024, 400
"""Vocabulary of BPE for conversations, and the most different characters for which it is the default."""


class ChatData(ExampleTaskData):
    """Conversations. The user's and the system's messages are read but not predicted."""

    def __init__(
        self, config: RunConfig, tokenizer: Tokenizer, data: ExampleData, read_baselines: Read[list[Score]]
    ) -> None:
        super().__init__(config, tokenizer, data)
        self._read_baselines = cache(read_baselines)
        self.template = ChatTemplate(tokenizer)

    @property
    def baselines(self) -> list[Score]:
        return self._read_baselines()

    @classmethod
    def prepare(cls, config: RunConfig, corpus: ChatCorpus, tokenizer: Tokenizer, run: Run) -> Self:
        template, block_size = ChatTemplate(tokenizer), config.model.block_size
        splits = {"train": corpus.train, "val": corpus.val}
        data, truncation = write_chat(splits, template, block_size, run.data)
        said = _utterances(data.train, template), _utterances(data.val, template)
        scores = run_in_thread(reply_baselines, *said, counting_bytes(config.train.minutes, passes=2))
        write_json(run.baselines_file, judge(scores, None).to_dict())
        prepared = cls(config, tokenizer, data, lambda: scores)
        prepared.notes = truncation.notes(block_size)
        return prepared

    @classmethod
    def open(cls, config: RunConfig, tokenizer: Tokenizer, run: Run) -> Self:
        return cls(config, tokenizer, run_examples(run, tokenizer.n_vocab), lambda: stored_scores(run))

    def warnings(self) -> list[str]:
        if not self.is_less_than_a_batch:
            return []
        return [
            N_(
                "there are {n} conversations to learn from, fewer than a batch of {batch_size}: "
                "a step sees them all",
                n=len(self.data.train),
                batch_size=self.config.train.micro_batch_size,
            )
        ]

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        """Return held-out questions, the greedy reply to each, and the reply in the data."""
        val = self.data.val
        rows = np.random.default_rng(seed).choice(len(val), min(N_SHOWN, len(val)), replace=False)
        return "\n\n".join(self._replied(model, val.text[row].tolist(), n_tokens) for row in rows.tolist())

    def _replied(self, model: Model, ids: list[int], n_tokens: int) -> str:
        """Return a conversation up to its first reply, as the model gives it."""
        messages = self.template.read(ids)
        first = next(i for i, message in enumerate(messages) if message.role == "assistant")
        asked, right = messages[:first], messages[first].content
        greedy = SamplingParams(temperature=0)
        text = "".join(reply(model, self.tokenizer, asked, greedy, max_new_tokens=n_tokens))
        shown = [*asked, Message("assistant", text)]
        mark = "" if text == right else f"\n(right: {right})"
        return "\n".join(f"{message.role}: {message.content}" for message in shown) + mark

    def verdict(self, best: Callable[[], Model], trend: Trend | None = None) -> Verdict:
        score = self.measure(best())
        return judge(self.baselines, score, trend=trend, notes=part_notes(trend, score))

    @property
    def n_parts(self) -> int:
        """Number of parts, as in the baselines, where a newline closes also a reply that the context cut."""
        return max((len(score.parts) for score in self.baselines), default=0) or super().n_parts

    def measure(self, model: Model) -> Score:
        """Measure a model on each `verdict_stride`-th part of the split; a conversation is one sequence."""
        val, n = self.data.val, self.n_parts
        measured = self.verdict_parts()
        in_part = np.isin(part_of(np.ones(len(val), np.int64), n, len(val)), measured)  # (n_rows,)
        nats, n_tokens = np.zeros(len(val)), 0
        groups = [rows[in_part[rows]] for rows in eval_rows(val, self.eval_tokens)]
        groups = [rows for rows in groups if len(rows)]
        for rows, (losses, counted) in zip(groups, token_losses(model, map(val.batch, groups)), strict=True):
            nats[rows], n_tokens = losses.sum(axis=1), n_tokens + int(counted.sum())
        share = n_tokens / self.val.n_tokens
        lengths = Lengths(n_tokens, round(share * self.val.n_chars), round(share * self.val.n_bytes))
        return part_score(row_parts(nats, n), measured, lengths)

    def describe(self) -> list[str]:
        n_train, n_val = count(len(self.data.train)), count(len(self.data.val))
        said = N_("{n_chars} characters of the assistant", n_chars=count(self.data.train.n_chars))
        return [
            N_(
                "chat       {n_train} conversations to learn ({said}), {n_val} held out",
                n_train=n_train,
                said=said,
                n_val=n_val,
            )
        ]


def _utterances(split: ExampleSplit, template: ChatTemplate) -> list[Utterance]:
    """Return all messages of a split, as the model sees them."""
    return [
        Utterance(message.content, message.role == "assistant", row)
        for row in range(len(split))
        for message in template.read(split.text[row].tolist())
    ]


def _facts(resolved: Resolved, corpus: ChatCorpus) -> Tables:
    """Return a context of at least CHAT_BLOCK tokens, unless the user chose a size; and a tokenizer.

    With BPE the context holds about three times as many letters. Of a script with many characters, such as
    Chinese, one character is about as much as a token of a small vocabulary.
    """
    return {**_context(resolved), **_tokenizer(resolved, corpus)}


def _tokenizer(resolved: Resolved, corpus: ChatCorpus) -> Tables:
    if resolved.config.init_from.run is not None or len(set[str]().union(*corpus.texts())) > MAX_LETTERS:
        return {}
    return {"tokenizer": {"kind": "bpe", "vocab_size": CHAT_VOCAB}}


def _context(resolved: Resolved) -> Tables:
    model = resolved.config.model
    can_grow = resolved.config.init_from.run is None or model.position != "learned"
    if not can_grow or resolved.is_given("model.size"):
        return {}
    grown = CHAT_BLOCK if resolved.config.init_from.run is None else max(CHAT_BLOCK, model.block_size)
    return {"model": {"block_size": grown}}


TASK = Task(
    name="chat",
    families=("gpt",),
    read=lambda config: read_chat(config.data),
    data=ChatData,
    inputs=LANGUAGE.inputs,
    commands=("chat", "sample"),
    ability="chat",
    usage=N_("Talk to it    glassgpt chat {run}"),
    specials=CHAT_SPECIALS,
    detect=lambda config: is_chat(config.data),
    fits_model=lambda config: False,  # the model alone does not show it
    facts=_facts,
)
