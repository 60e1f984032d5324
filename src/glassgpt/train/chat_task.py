"""Conversations: the assistant's words, and where they end, from all that is said before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

import numpy as np

from glassgpt.checkpoint import Run, write_json
from glassgpt.config import RunConfig
from glassgpt.data import (
    Batch,
    ChatCorpus,
    ChatTemplate,
    ExampleBatches,
    ExampleData,
    ExampleSplit,
    Message,
    eval_rows,
    open_examples,
    write_chat,
)
from glassgpt.diagnose import Score, Utterance, Verdict, judge, reply_baselines
from glassgpt.generate import SamplingParams, reply
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer
from glassgpt.train.task import Lengths, Task
from glassgpt.train.text_task import stored_scores

SHOWN = 2
"""Held-out questions in a sample."""


class ChatTask(Task):
    """Of each conversation the assistant's words; the user's and the system's are only read."""

    has_answers = True

    def __init__(
        self, config: RunConfig, tokenizer: Tokenizer, data: ExampleData, scores: list[Score]
    ) -> None:
        super().__init__(config, tokenizer)
        self.data, self.baselines = data, scores
        self.template = ChatTemplate(tokenizer)
        self.batches = ExampleBatches(data.train, config.train.seed)
        self.val = _lengths(data.val)
        train = _lengths(data.train)
        self.tokens_per_char = train.n_tokens / train.n_chars

    @classmethod
    def prepare(cls, config: RunConfig, corpus: ChatCorpus, tokenizer: Tokenizer, run: Run) -> Self:
        """Write the conversations as tokens into a run, and count the baselines."""
        template, block_size = ChatTemplate(tokenizer), config.model.block_size
        splits = {"train": corpus.train, "val": corpus.val}
        data, truncation = write_chat(splits, template, block_size, run.data)
        scores = reply_baselines(_said(data.train, template), _said(data.val, template))
        write_json(run.baselines_file, judge(scores, None).to_dict())
        task = cls(config, tokenizer, data, scores)
        task.notes = truncation.notes(block_size)
        return task

    @classmethod
    def open(cls, config: RunConfig, tokenizer: Tokenizer, run: Run) -> Self:
        """What `prepare` left in a run."""
        return cls(config, tokenizer, open_examples(run.data), stored_scores(run))

    def train_batch(self, index: int, B: int) -> Batch:
        return self.batches.batch(index, B)

    def eval_batches(self) -> Iterator[Batch]:
        return map(self.data.val.batch, eval_rows(self.data.val, self.eval_tokens))

    def warnings(self) -> list[str]:
        n, B = len(self.data.train), self.config.train.micro_batch_size
        if n >= B:
            return []
        return [f"there are {n} conversations to learn from, fewer than a batch of {B}: a step sees them all"]

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        """Held-out questions, the likeliest reply to each, and the reply that was given."""
        val = self.data.val
        rows = np.random.default_rng(seed).choice(len(val), min(SHOWN, len(val)), replace=False)
        return "\n\n".join(self._asked(model, val.text[row].tolist(), n_tokens) for row in rows.tolist())

    def _asked(self, model: Model, ids: list[int], n_tokens: int) -> str:
        """The first reply of a conversation, as the model would give it."""
        messages = self.template.read(ids)
        first = next(i for i, message in enumerate(messages) if message.role == "assistant")
        asked, right = messages[:first], messages[first].content
        greedy = SamplingParams(temperature=0)
        said = "".join(reply(model, self.tokenizer, asked, greedy, max_new_tokens=n_tokens))
        shown = [*asked, Message("assistant", said)]
        mark = "" if said == right else f"\n(right: {right})"
        return "\n".join(f"{message.role}: {message.content}" for message in shown) + mark

    def verdict(self, score: Score, best: Callable[[], Model]) -> Verdict:
        return judge(self.baselines, score)


def _said(split: ExampleSplit, template: ChatTemplate) -> list[Utterance]:
    """All messages of a split, as the model is given them."""
    return [
        Utterance(message.content, message.role == "assistant")
        for row in range(len(split))
        for message in template.read(split.text[row].tolist())
    ]


def _lengths(split: ExampleSplit) -> Lengths:
    assert split.loss_mask is not None
    return Lengths(int(split.loss_mask.sum()), split.n_chars, split.n_bytes)
