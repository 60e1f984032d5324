"""The task `captioning`: answer questions about an image, or caption it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from glassgpt.checkpoint import Run
from glassgpt.config import ModelConfig, Resolved, RunConfig, Tables
from glassgpt.data import (
    BEGIN,
    BUILT_IN,
    END,
    SEPARATE,
    Example,
    ExampleCorpus,
    ImageTemplate,
    Template,
    datasets_for,
    evidence_of_captions,
    read_captioned,
    read_dataset,
    write_image,
)
from glassgpt.errors import UserError
from glassgpt.generate import answer
from glassgpt.language import N_
from glassgpt.models import Captioner, Model
from glassgpt.tasks.answers import AnswerData, answer_inputs, fit
from glassgpt.tasks.base import Inputs, Prompt, Task
from glassgpt.tokenizers import Tokenizer
from glassgpt.units import count

HELD_OUT_IMAGE = "held-out.png"
"""An image of the validation split, written to the samples of a run."""


class CaptioningData(AnswerData):
    """Images, questions about them, and answers."""

    asked = N_("questions")

    @staticmethod
    def template(config: ModelConfig, tokenizer: Tokenizer) -> Template:
        return ImageTemplate(tokenizer)

    @classmethod
    def prepare(cls, config: RunConfig, corpus: ExampleCorpus, tokenizer: Tokenizer, run: Run) -> Self:
        prepared = super().prepare(config, corpus, tokenizer, run)
        assert corpus.images is not None
        write_image(corpus.images[corpus.val[0].image], run.samples / HELD_OUT_IMAGE)
        return prepared

    @property
    def n_patch(self) -> int:
        return self.config.model.n_patch

    def answers(self, model: Model, rows: Sequence[int]) -> list[str]:
        split = self.data.val
        assert isinstance(model, Captioner) and split.images is not None and split.image is not None
        images = split.images[split.image[np.array(rows)]]  # (n, channels, H, W)
        questions = [self.question(row) for row in rows]
        pairs = zip(images, questions, strict=True)
        return [answer(model, self.tokenizer, image, question).text for image, question in pairs]

    def details(self) -> str:
        images = self.data.train.images
        return f", {count(len(images))} images" if images is not None else ""


def _read(config: RunConfig) -> ExampleCorpus:
    if (corpus := read_dataset(config)) is not None:
        return corpus
    sources = config.data.sources
    if len(sources) != 1 or not Path(sources[0]).is_dir():
        raise UserError(
            "{sources}: a captioner needs one folder with images and captions.csv or captions.jsonl. Give "
            "such a folder, or a dataset: {datasets_for}.",
            sources=" ".join(sources),
            datasets_for=", ".join(datasets_for("captioner")),
        )
    return read_captioned(config.data, config.model.image_size)


def _facts(resolved: Resolved, corpus: ExampleCorpus) -> Tables:
    """Return the number of image channels, and BPE for your own images: few captions need whole words."""
    assert corpus.images is not None
    own = not set(resolved.config.data.sources) & set(BUILT_IN)
    return {"model": {"channels": corpus.images.shape[1]}, **({"tokenizer": {"kind": "bpe"}} if own else {})}


def _inputs(model: Model, tokenizer: Tokenizer, prompt: Prompt) -> Inputs:
    assert isinstance(model, Captioner)
    if prompt.image is None:
        raise UserError("`image`: is missing. A captioner looks at an image; give one.")
    target = prompt.target
    target = answer(model, tokenizer, prompt.image, prompt.text).text if target is None else target
    example = Example(target, question=prompt.text)
    is_written = prompt.target is None
    return answer_inputs(model, ImageTemplate(tokenizer), example, prompt.image, is_written=is_written)


TASK = Task(
    name="captioning",
    families=("captioner",),
    read=_read,
    data=CaptioningData,
    inputs=_inputs,
    takes=frozenset({"image", "target"}),
    commands=("ask",),
    ability=N_("answer about images"),
    usage=N_('Use it        glassgpt ask {run} {run}/samples/held-out.png "a question"'),
    evidence=lambda config: evidence_of_captions(config.data),
    specials=(BEGIN, SEPARATE, END),
    facts=_facts,
    fit=partial(fit, CaptioningData),
)
