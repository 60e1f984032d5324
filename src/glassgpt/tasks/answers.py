"""Data of tasks with one answer per example. Translation, captioning and classification build on it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from glassgpt.checkpoint import Run, run_examples, write_json
from glassgpt.config import ModelConfig, RunConfig
from glassgpt.data import (
    MIN_EXAMPLES,
    Example,
    ExampleCorpus,
    ExampleData,
    Template,
    check_length,
    too_few,
    without_remedy,
    write_examples,
)
from glassgpt.diagnose import (
    Accuracy,
    Score,
    Trend,
    Verdict,
    bleu_signature,
    copy_source,
    judge,
    most_frequent,
    most_frequent_per_question,
    target_ngram,
)
from glassgpt.errors import UserError
from glassgpt.interrupts import run_in_thread
from glassgpt.language import N_, join_texts
from glassgpt.models import Model
from glassgpt.objective import Measured, evaluate
from glassgpt.tasks.base import (
    Inputs,
    Read,
    check_context,
    measuring_notes,
    stored_baselines,
)
from glassgpt.tasks.counted import counting_bytes
from glassgpt.tasks.examples import ExampleTaskData
from glassgpt.tokenizers import Tokenizer
from glassgpt.units import count


class AnswerData(ExampleTaskData):
    """Examples with one answer each, and the share of correct answers."""

    asked: ClassVar[str]
    """Plural noun for the inputs: "sources", "questions", "texts"."""

    def __init__(
        self, config: RunConfig, tokenizer: Tokenizer, data: ExampleData, read_counted: Read[Verdict]
    ) -> None:
        super().__init__(config, tokenizer, data)
        self._read_counted = read_counted

    @cached_property
    def counted(self) -> Verdict:
        """Correct answers of the baselines."""
        return self._read_counted()

    @property
    def baselines(self) -> list[Score]:
        return list(self.counted.losses)

    @staticmethod
    @abstractmethod
    def template(config: ModelConfig, tokenizer: Tokenizer) -> Template:
        """Return the template that turns an example into token ids."""

    @abstractmethod
    def answers(self, model: Model, rows: Sequence[int]) -> list[str]:
        """Return the model's answers to these examples of the validation split."""

    @classmethod
    def prepare(cls, config: RunConfig, corpus: ExampleCorpus, tokenizer: Tokenizer, run: Run) -> Self:
        splits = {"train": corpus.train, "val": corpus.val}
        data = write_examples(splits, cls.template(config.model, tokenizer), corpus.images, run.data)
        rows, losses = run_in_thread(cls.count_baselines, corpus, counting_bytes(config.train.minutes))
        counted = judge(rows, asked=cls.asked, losses=losses)
        write_json(run.baselines_file, counted.to_dict())
        return cls(config, tokenizer, data, lambda: counted)

    @classmethod
    def open(cls, config: RunConfig, tokenizer: Tokenizer, run: Run) -> Self:
        data = run_examples(run, tokenizer.n_vocab)
        return cls(config, tokenizer, data, lambda: stored_baselines(run))

    @classmethod
    def count_baselines(cls, corpus: ExampleCorpus, max_chars: int) -> tuple[list[Accuracy], list[Score]]:
        """Score baselines that count: their correct answers, and the loss of an n-gram of the answers.

        max_chars: characters of the training examples that n-grams may count.
        """
        train, val = corpus.train, corpus.val
        targets = [e.target for e in train], [e.target for e in val]
        questions = [e.question for e in train], [e.question for e in val]
        rows = [most_frequent(*targets)]
        if any(e.source for e in val):
            rows.append(copy_source([e.source for e in val], targets[1]))
        if any(questions[0]):
            rows.append(most_frequent_per_question(questions[0], targets[0], questions[1], targets[1]))
        return rows, [target_ngram(*targets, max_chars)]

    def warnings(self) -> list[str]:
        if not self.is_less_than_a_batch:
            return []
        return [
            N_(
                "there are {n} examples to learn from, fewer than a batch of {batch_size}: each "
                "step sees them all",
                n=len(self.data.train),
                batch_size=self.config.train.micro_batch_size,
            )
        ]

    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        """Return three held-out examples, the model's answers, and the correct ones."""
        n = len(self.data.val)
        rows = np.random.default_rng(seed).choice(n, min(3, n), replace=False).tolist()
        lines = []
        for row in rows:
            right, answer = self.target(row), self.answers(model, [row])[0]
            mark = "" if answer == right else f"   (right: {right})"
            lines.append(f"{self.question(row)} → {answer}{mark}")
        return "\n".join(lines)

    def verdict(self, best: Callable[[], Model], trend: Trend | None = None) -> Verdict:
        """Judge the best model, and the same model without its source."""
        model = best()
        mine = self._with_source(model)
        notes = measuring_notes(trend, mine.n, len(self.data.val), N_("held-out examples"))
        if "BLEU" in mine.figures:
            notes.append(N_("BLEU of greedy answers (1 beam), {signature}", signature=bleu_signature()))
        return judge(
            self.counted.accuracies,
            mine,
            without_source=self._without_source(model),
            asked=self.asked,
            losses=self.baselines,
            trend=trend,
            notes=notes,
        )

    def _with_source(self, model: Model) -> Accuracy:
        measured = evaluate(model, self.eval_part(self.verdict_stride), count_correct=True)
        return self._accuracy(N_("this model"), measured, self.more_figures(model, measured))

    def _without_source(self, model: Model) -> Accuracy | None:
        batches = self.eval_part(self.verdict_stride)
        measured = evaluate(model, batches, blank=True, count_correct=True)
        return replace(
            self._accuracy(join_texts(", ", [N_("this model"), N_("source hidden")]), measured),
            kind="source_hidden",
        )

    def _accuracy(self, name: str, measured: Measured, more: dict[str, float] | None = None) -> Accuracy:
        nats_per_char = measured.nats_per_token * self.val.n_tokens / self.val.n_chars
        figures = {self.unit: nats_per_char, **(more or {})}
        return Accuracy(name, measured.n_correct, measured.n_rows, figures=figures)

    def more_figures(self, model: Model, measured: Measured) -> dict[str, float]:
        """Return further figures of the model, such as BLEU."""
        return {}

    def question(self, row: int) -> str:
        """Return the input of a validation example as text."""
        split = self.data.val
        return self.tokenizer.decode(split.source[row]) or self.tokenizer.decode(
            split.text[row][: split.n_prompt[row]]
        )

    def target(self, row: int) -> str:
        """Return the correct answer of a validation example."""
        split = self.data.val
        return self.tokenizer.decode(split.text[row][split.n_prompt[row] :])

    def describe(self) -> list[str]:
        n_train, n_val = count(len(self.data.train)), count(len(self.data.val))
        return [
            N_(
                "examples   {n_train} to learn{details}, {n_val} held out",
                n_train=n_train,
                details=self.details(),
                n_val=n_val,
            )
        ]

    def details(self) -> str:
        """Return what the description adds to the number of training examples."""
        return ""


def fit(data: type[AnswerData], config: RunConfig, corpus: Any, tokenizer: Tokenizer) -> ExampleCorpus:
    """Keep the examples that fit into the model's context.

    Raises UserError for the first that is too long; with `skip_invalid` it is dropped and counted.
    """
    template = data.template(config.model, tokenizer)
    skipped: list[str] = []

    def fits(example: Example) -> bool:
        try:
            check_length(config.model, template, example)
        except UserError as error:
            if not config.data.skip_invalid:
                raise
            skipped.append(without_remedy(error))
            return False
        return True

    train, val = list(filter(fits, corpus.train)), list(filter(fits, corpus.val))
    notes = (
        [N_("{n_skipped:,} examples skipped: {reason}", n_skipped=len(skipped), reason=skipped[0])]
        if skipped
        else []
    )
    if skipped and (len(train) + len(val) < MIN_EXAMPLES or not train or not val):
        raise too_few(
            len(train) + len(val), N_("remaining examples ({n_val} for validation)", n_val=len(val)), notes
        )
    return replace(corpus, train=train, val=val, notes=(*corpus.notes, *notes))


def answer_inputs(
    model: Model,
    template: Template,
    example: Example,
    image: np.ndarray | None = None,
    *,
    is_written: bool = False,
) -> Inputs:
    """Encode an example with its answer, as a decoder reads it.

    is_written: the model wrote the answer. One that it did not end is cut where the context is full.
    """
    source, prompt = list(template.source(example)), template.prompt(example)
    whole = [*prompt, *template.answer(example)]
    if is_written:
        whole = whole[: model.config.block_size + 1]
    check_context(model, len(source), N_("the text"))
    check_context(model, len(whole) - 1, N_("the answer with its prompt"))
    return Inputs(whole[:-1], len(prompt), whole[1:], source if image is None else None, image)
