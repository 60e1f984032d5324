"""Which reader is meant: by the family of the model, and by what its sources are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from glassgpt.config import RunConfig
from glassgpt.data.batches import check_length, make_template
from glassgpt.data.datasets import make_dates, make_scenes, multi30k_en_de
from glassgpt.data.examples import (
    MIN_EXAMPLES,
    Example,
    ExampleCorpus,
    has_labels,
    is_table,
    read_captioned,
    read_labeled,
    read_pairs,
)
from glassgpt.data.files import resolve
from glassgpt.errors import UserError
from glassgpt.tokenizers import Tokenizer

TASKS: dict[str, tuple[str, Callable[[], ExampleCorpus]]] = {
    "dates": ("seq2seq", make_dates),
    "multi30k-en-de": ("seq2seq", multi30k_en_de),
    "scenes": ("captioner", make_scenes),
    "scenes-3x3": ("captioner", lambda: make_scenes(rows=3)),
}
"""Tasks that have a name instead of a path: the family that they are for, and how to make them."""


def read_examples(config: RunConfig) -> ExampleCorpus | None:
    """The examples that a configuration asks for, or None where it asks for running text.

    Raises UserError for a task that another family is for, and for what cannot be read.
    """
    data, family = config.data, config.model.family
    named = [source for source in data.sources if source in TASKS and not Path(source).exists()]
    if named:
        return _named_task(config, named[0])
    if family == "captioner":
        return _images(config)
    if family == "seq2seq" or (family == "encoder" and _labeled(config)):
        reader = read_pairs if family == "seq2seq" else read_labeled
        return reader(
            data.sources,
            encoding=data.encoding,
            column=data.column,
            target_column=data.target_column,
            skip_invalid=data.skip_invalid,
            val_fraction=data.val_fraction,
        )
    return None


def fit_examples(config: RunConfig, corpus: ExampleCorpus, tokenizer: Tokenizer) -> ExampleCorpus:
    """The examples that the model can see from end to end.

    Raises UserError for the first that is too long, or leaves it out where bad ones are to be skipped.
    Texts to classify are never too long: their beginning is read.
    """
    encoding = make_template(config.model, tokenizer)
    skipped: list[str] = []

    def fitting(examples: Sequence[Example]) -> list[Example]:
        kept = []
        for example in examples:
            try:
                check_length(config.model, encoding, example)
                kept.append(example)
            except UserError as error:
                if not config.data.skip_invalid:
                    raise
                skipped.append(str(error))
        return kept

    train, val = fitting(corpus.train), fitting(corpus.val)
    if skipped and (len(train) + len(val) < MIN_EXAMPLES or not train or not val):
        raise UserError(f"{len(train)} and {len(val)} examples are left, which are too few: {skipped[0]}")
    notes = [f"{len(skipped):,} examples skipped: {skipped[0].split(';')[0]}"] if skipped else []
    return replace(corpus, train=train, val=val, notes=(*corpus.notes, *notes))


def _named_task(config: RunConfig, name: str) -> ExampleCorpus:
    family, make = TASKS[name]
    if len(config.data.sources) > 1:
        raise UserError(f"{name} is a task of its own and cannot be joined with other sources; give it alone")
    if config.model.family != family:
        raise UserError(
            f"{name} is a task for --model {family}, not {config.model.family}; leave --model out"
        )
    corpus = make()
    if corpus.images is not None and corpus.images.shape[-1] != config.model.image_size:
        size = corpus.images.shape[-1]
        raise UserError(
            f"the images of {name} are {size} pixels wide, --image-size says {config.model.image_size}; "
            "leave it out"
        )
    return corpus


def _images(config: RunConfig) -> ExampleCorpus:
    data = config.data
    if len(data.sources) != 1 or not Path(data.sources[0]).is_dir():
        raise UserError(
            f"a captioner learns from one folder with images and captions.csv or captions.jsonl, got "
            f"{' '.join(data.sources)}; or from a task: {', '.join(_tasks_of('captioner'))}"
        )
    return read_captioned(
        Path(data.sources[0]).expanduser(),
        image_size=config.model.image_size,
        image_column=data.image_column,
        column=data.column,
        target_column=data.target_column,
        skip_invalid=data.skip_invalid,
        val_fraction=data.val_fraction,
    )


def _labeled(config: RunConfig) -> bool:
    """Whether an encoder is to tell classes apart: a column of labels is named, or plainly there."""
    sources = config.data.sources
    if config.data.target_column:
        return True
    found = resolve(sources)
    return all(map(is_table, found)) and all(has_labels(Path(s), config.data.encoding) for s in sources)


def _tasks_of(family: str) -> list[str]:
    return [name for name, (of, _) in TASKS.items() if of == family]
