"""Choose the reader of the data by the model family and the kind of the sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from glassgpt.config import RunConfig
from glassgpt.data.batches import check_length, make_template
from glassgpt.data.datasets import datasets_for, read_dataset
from glassgpt.data.examples import (
    MIN_EXAMPLES,
    Example,
    ExampleCorpus,
    has_labels,
    is_table,
    read_captioned,
    read_labeled,
    read_pairs,
    too_few,
)
from glassgpt.data.files import resolve, without_remedy
from glassgpt.errors import UserError
from glassgpt.tokenizers import Tokenizer


def read_examples(config: RunConfig) -> ExampleCorpus | None:
    """Read the examples of a configuration; None if it trains on running text.

    Raises UserError for a dataset of another family and for unreadable sources.
    """
    if (corpus := read_dataset(config)) is not None:
        return corpus
    match config.model.family:
        case "captioner":
            return _read_images(config)
        case "seq2seq":
            return read_pairs(config.data)
        case "encoder" if _is_labeled(config):
            return read_labeled(config.data)
        case _:
            return None


def fit_examples(config: RunConfig, corpus: ExampleCorpus, tokenizer: Tokenizer) -> ExampleCorpus:
    """Check that all examples fit into `block_size`; with `skip_invalid`, drop those that do not.

    Raises UserError for the first example that is too long. Texts to classify are truncated instead.
    """
    template = make_template(config.model, tokenizer)
    skipped: list[str] = []

    def fitting(examples: Sequence[Example]) -> list[Example]:
        kept = []
        for example in examples:
            try:
                check_length(config.model, template, example)
                kept.append(example)
            except UserError as problem:
                if not config.data.skip_invalid:
                    raise
                skipped.append(without_remedy(problem))
        return kept

    train, val = fitting(corpus.train), fitting(corpus.val)
    notes = [f"{len(skipped):,} examples skipped: {skipped[0]}"] if skipped else []
    if skipped and (len(train) + len(val) < MIN_EXAMPLES or not train or not val):
        raise too_few(len(train) + len(val), f"remaining examples ({len(val)} for validation)", notes)
    return replace(corpus, train=train, val=val, notes=(*corpus.notes, *notes))


def _read_images(config: RunConfig) -> ExampleCorpus:
    sources = config.data.sources
    if len(sources) != 1 or not Path(sources[0]).is_dir():
        raise UserError(
            f"{' '.join(sources)}: a captioner needs one folder with images and captions.csv or "
            f"captions.jsonl. Give such a folder, or a dataset: {', '.join(datasets_for('captioner'))}."
        )
    return read_captioned(config.data, config.model.image_size)


def _is_labeled(config: RunConfig) -> bool:
    """Return True if an encoder learns classes: a label column is named or recognized."""
    sources = config.data.sources
    if config.data.target_column:
        return True
    found = resolve(sources)
    return all(map(is_table, found)) and all(has_labels(Path(s), config.data.encoding) for s in sources)
