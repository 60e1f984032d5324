"""Examples with an answer: a translation (seq2seq), words about an image (captioner), a class (encoder)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import numpy as np

from glassgpt.checkpoint import Run, write_json
from glassgpt.config import RunConfig
from glassgpt.data import (
    Batch,
    ExampleBatches,
    ExampleCorpus,
    ExampleData,
    ExampleSplit,
    eval_rows,
    make_template,
    open_examples,
    write_examples,
    write_image,
)
from glassgpt.diagnose import (
    RARE,
    Accuracy,
    AccuracyVerdict,
    Score,
    accuracy_verdict,
    bleu,
    copy_source,
    exact_answers,
    most_frequent,
    most_frequent_per_question,
    ngram_classifier,
    target_ngram,
)
from glassgpt.errors import UserError
from glassgpt.generate import answer, classify, translate
from glassgpt.models import Captioner, Classifier, Model, Seq2Seq
from glassgpt.objective import evaluate
from glassgpt.tokenizers import Tokenizer
from glassgpt.train.task import Lengths, Task

ASKED = {"seq2seq": "sources", "captioner": "questions", "encoder": "texts"}
HELD_OUT_IMAGE = "held-out.png"
"""An image of the validation split, among the samples of a run."""


class AnswerTask(Task):
    """What is asked for, from what is given."""

    has_answers = True

    def __init__(
        self, config: RunConfig, tokenizer: Tokenizer, data: ExampleData, counted: AccuracyVerdict
    ) -> None:
        super().__init__(config, tokenizer)
        self.data, self.counted = data, counted
        self.baselines = list(counted.losses)
        self.batches = ExampleBatches(data.train, config.train.seed)
        self.val = _lengths(data.val)
        train = _lengths(data.train)
        self.tokens_per_char = train.n_tokens / train.n_chars

    @classmethod
    def prepare(cls, config: RunConfig, corpus: ExampleCorpus, tokenizer: Tokenizer, run: Run) -> Self:
        """Write the examples as tokens into a run, and count the baselines."""
        splits = {"train": corpus.train, "val": corpus.val}
        data = write_examples(splits, make_template(config.model, tokenizer), corpus.images, run.data)
        rows, losses = _count(config, corpus)
        counted = accuracy_verdict(rows, asked=ASKED[config.model.family], losses=losses)
        write_json(run.baselines_file, counted.to_dict())
        if corpus.images is not None:  # something to ask about
            image = corpus.images[corpus.val[0].image]
            write_image(image, run.samples / HELD_OUT_IMAGE)
        return cls(config, tokenizer, data, counted)

    @classmethod
    def open(cls, config: RunConfig, tokenizer: Tokenizer, run: Run) -> Self:
        """What `prepare` left in a run."""
        try:
            counted = AccuracyVerdict.from_dict(json.loads(run.baselines_file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{run.baselines_file} is damaged ({error}); train the run anew") from error
        return cls(config, tokenizer, open_examples(run.data), counted)

    def train_batch(self, index: int, B: int) -> Batch:
        return self.batches.batch(index, B)

    def eval_batches(self) -> Iterator[Batch]:
        val, config = self.data.val, self.config.model
        n_patch = 0 if val.images is None else config.n_patch
        return map(val.batch, eval_rows(val, self.eval_tokens, n_patch))

    def warnings(self) -> list[str]:
        n, B = len(self.data.train), self.config.train.micro_batch_size
        if n >= B:
            return []
        return [f"there are {n} examples to learn from, fewer than a batch of {B}: each step sees them all"]

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        """Three held-out examples, what the model answers, and what would be right."""
        rows = np.random.default_rng(seed).choice(
            len(self.data.val), min(3, len(self.data.val)), replace=False
        )
        lines = []
        for row in rows.tolist():
            asked, right = self._asked(row), self._right(row)
            said = self._answers(model, [row])[0]
            mark = "" if said == right else f"   (right: {right})"
            lines.append(f"{asked} → {said}{mark}")
        return "\n".join(lines)

    def verdict(self, score: Score, best: Callable[[], Model]) -> AccuracyVerdict:
        """Of the best model, and of the same model with nothing to look at."""
        model = best()
        mine = self._measure(model, "this model")
        rows = list(self.counted.rows)
        if not isinstance(model, Classifier):
            rows.append(self._measure(model, "this model, source hidden", blank=True))
        return accuracy_verdict(rows, mine, asked=self.counted.asked, losses=self.baselines)

    def _measure(self, model: Model, name: str, *, blank: bool = False) -> Accuracy:
        """Count correct answers in the validation split; `blank`: zero the encoder states."""
        nats, _, right, _ = evaluate(model, self.eval_batches(), blank=blank, count_correct=True)
        figures = {"nats/class" if isinstance(model, Classifier) else "nats/char": nats / self.val.n_chars}
        n = len(self.data.val)
        if self.config.model.family == "seq2seq" and right < RARE * n and not blank:
            wanted = [self._right(row) for row in range(n)]
            if bleu(wanted, wanted) is not None:  # long enough to be compared, and sacrebleu is there
                figures |= exact_answers(name, self._answers(model, range(n)), wanted).figures
        return Accuracy(name, right, n, figures=figures)

    def _asked(self, row: int) -> str:
        """What stands before the answer, as text."""
        split = self.data.val
        return self.tokenizer.decode(split.source[row]) or self.tokenizer.decode(
            split.text[row][: split.n_prompt[row]]
        )

    def _right(self, row: int) -> str:
        split = self.data.val
        answer_ids = split.text[row][split.n_prompt[row] :]
        if labels := self.config.model.labels:
            return labels[answer_ids[0]]
        return self.tokenizer.decode(answer_ids)

    def _answers(self, model: Model, rows: Sequence[int]) -> list[str]:
        """What the model answers to these examples of the validation split."""
        split = self.data.val
        asked = [self._asked(row) for row in rows]
        if isinstance(model, Classifier):
            return [next(iter(shares)) for shares in classify(model, self.tokenizer, asked)]
        if isinstance(model, Seq2Seq):
            return list(translate(model, self.tokenizer, asked, beams=1))
        assert isinstance(model, Captioner) and split.images is not None and split.image is not None
        images = split.images[split.image[np.array(rows)]]
        return [
            answer(model, self.tokenizer, image, question).text
            for image, question in zip(images, asked, strict=True)
        ]


def _count(config: RunConfig, corpus: ExampleCorpus) -> tuple[list[Accuracy], list[Score]]:
    """What counting alone gets right, and what the answers' text costs it without knowing what was asked."""
    train, val = corpus.train, corpus.val
    targets = [e.target for e in train], [e.target for e in val]
    sources = [e.source for e in train], [e.source for e in val]
    questions = [e.question for e in train], [e.question for e in val]
    rows = [most_frequent(*targets)]
    if config.model.family == "encoder":
        return [*rows, ngram_classifier(sources[0], targets[0], sources[1], targets[1])], []
    if any(sources[1]):
        rows.append(copy_source(sources[1], targets[1]))
    if any(questions[0]):
        rows.append(most_frequent_per_question(questions[0], targets[0], questions[1], targets[1]))
    return rows, [target_ngram(*targets)]


def _lengths(split: ExampleSplit) -> Lengths:
    n_tokens = int((split.text.lengths - split.n_prompt).sum())
    return Lengths(n_tokens, split.n_chars, split.n_bytes)
