"""The task `classification`: the class of a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from glassgpt.config import ModelConfig, Resolved, Tables
from glassgpt.data import (
    Example,
    ExampleCorpus,
    LabelTemplate,
    Template,
    evidence_of_labels,
    is_labeled,
    read_labeled,
)
from glassgpt.diagnose import Accuracy, Score, most_frequent, ngram_classifier
from glassgpt.generate import classify
from glassgpt.language import N_
from glassgpt.models import Classifier, Model
from glassgpt.tasks.answers import AnswerData, fit
from glassgpt.tasks.base import Inputs, Prompt, Task
from glassgpt.tokenizers import Tokenizer


class ClassificationData(AnswerData):
    """Texts and their classes. A class counts as one character."""

    asked = N_("texts")
    unit = "nats/class"

    @staticmethod
    def template(config: ModelConfig, tokenizer: Tokenizer) -> Template:
        return LabelTemplate(tokenizer, config.labels, config.block_size)

    @classmethod
    def count_baselines(cls, corpus: ExampleCorpus, max_chars: int) -> tuple[list[Accuracy], list[Score]]:
        """Score the most frequent class, and counted n-grams of each class."""
        train, val = corpus.train, corpus.val
        targets = [e.target for e in train], [e.target for e in val]
        texts = [e.source for e in train], [e.source for e in val]
        counted = ngram_classifier(texts[0], targets[0], texts[1], targets[1], max_chars)
        return [most_frequent(*targets), counted], []

    def answers(self, model: Model, rows: Sequence[int]) -> list[str]:
        assert isinstance(model, Classifier)
        texts = [self.question(row) for row in rows]
        return [next(iter(shares)) for shares in classify(model, self.tokenizer, texts)]

    def target(self, row: int) -> str:
        return self.config.model.labels[self.data.val.text[row][0]]

    def _without_source(self, model: Model) -> None:
        return None  # a classifier has no separate source

    def details(self) -> str:
        return f", {len(self.config.model.labels)} classes"


def _facts(resolved: Resolved, corpus: ExampleCorpus) -> Tables:
    """Return the classes, and BPE as the default tokenizer: words tell classes better than letters."""
    labels = sorted({example.target for example in (*corpus.train, *corpus.val)})
    return {"model": {"labels": labels}, "tokenizer": {"kind": "bpe"}}


def _inputs(model: Model, tokenizer: Tokenizer, prompt: Prompt) -> Inputs:
    template = ClassificationData.template(model.config, tokenizer)
    ids = list(template.source(Example("", prompt.text)))
    return Inputs(ids, len(ids))


TASK = Task(
    name="classification",
    families=("encoder",),
    read=lambda config: read_labeled(config.data),
    data=ClassificationData,
    inputs=_inputs,
    commands=("classify",),
    ability=N_("tell classes apart"),
    usage=N_('Use it        glassgpt classify {run} "a text"'),
    evidence=lambda config: evidence_of_labels(config.data),
    detect=lambda config: is_labeled(config.data),
    fits_model=lambda config: bool(config.labels),
    facts=_facts,
    fit=partial(fit, ClassificationData),
)
