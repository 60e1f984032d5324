"""Which reader is meant: by the family of the model, and by what its sources are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glassgpt.config import DataConfig, RunConfig
from glassgpt.data.datasets import make_dates, make_scenes, multi30k_en_de
from glassgpt.data.examples import (
    ExampleCorpus,
    has_labels,
    is_table,
    read_captioned,
    read_labeled,
    read_pairs,
)
from glassgpt.data.files import resolve
from glassgpt.errors import UserError

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
    if family == "seq2seq" or (family == "encoder" and is_labeled(config.data)):
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


def check_dataset(config: RunConfig) -> None:
    """Raise UserError if a built-in dataset is joined with other sources, or is for another model family."""
    names = [source for source in config.data.sources if source in TASKS and not Path(source).exists()]
    if not names:
        return
    name, family = names[0], TASKS[names[0]][0]
    if len(config.data.sources) > 1:
        raise UserError(f"{name} is a task of its own and cannot be joined with other sources; give it alone")
    if config.model.family != family:
        raise UserError(
            f"{name} is a task for --model {family}, not {config.model.family}; leave --model out"
        )


def _named_task(config: RunConfig, name: str) -> ExampleCorpus:
    check_dataset(config)
    corpus = TASKS[name][1]()
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


def is_labeled(data: DataConfig) -> bool:
    """True if a column of labels is named, or all sources are tables with an obvious one."""
    if data.target_column:
        return True
    tables = all(map(is_table, resolve(data.sources)))
    return tables and all(has_labels(Path(source), data.encoding) for source in data.sources)


def _tasks_of(family: str) -> list[str]:
    return [name for name, (of, _) in TASKS.items() if of == family]
