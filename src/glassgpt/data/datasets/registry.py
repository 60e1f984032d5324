"""Built-in datasets by name; a name stands in `sources` instead of a path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from glassgpt.config import DataConfig, RunConfig
from glassgpt.data.datasets.dates import make_dates
from glassgpt.data.datasets.multi30k import multi30k_en_de
from glassgpt.data.datasets.scenes import make_scenes
from glassgpt.data.examples import ExampleCorpus
from glassgpt.data.files import hidden_files
from glassgpt.errors import UserError


class Dataset(NamedTuple):
    """A built-in dataset: the model family that learns it, and the function that makes it."""

    family: str
    make: Callable[[], ExampleCorpus]


BUILT_IN: dict[str, Dataset] = {
    "dates": Dataset("seq2seq", make_dates),
    "multi30k-en-de": Dataset("seq2seq", multi30k_en_de),
    "scenes": Dataset("captioner", make_scenes),
    "scenes-3x3": Dataset("captioner", lambda: make_scenes(rows=3)),
}
"""All built-in datasets; `config` has the same names in `DATASETS`."""


def dataset_name(data: DataConfig) -> str | None:
    """Return the first source that is a built-in dataset, or None."""
    return next((source for source in data.sources if source in BUILT_IN), None)


def check_dataset(config: RunConfig) -> str | None:
    """Return the name of the built-in dataset among the sources, or None.

    Raises UserError for further sources and for another model family.
    """
    name = dataset_name(config.data)
    if name is None:
        return None
    family = BUILT_IN[name].family
    if len(config.data.sources) > 1:
        raise UserError(
            "{name}: a built-in dataset cannot be joined with other sources. Give it alone.", name=name
        )
    if config.model.family != family:
        raise UserError(
            "{name}: this dataset is for the family {family}, but `family` is {given}. Leave `family` out.",
            name=name,
            family=family,
            given=config.model.family,
        )
    return name


def read_dataset(config: RunConfig) -> ExampleCorpus | None:
    """Make the built-in dataset that the sources name, or return None.

    Raises UserError as `check_dataset` does, and for another image size.
    """
    name = check_dataset(config)
    if name is None:
        return None
    corpus = BUILT_IN[name].make()
    corpus = replace(corpus, notes=(*hidden_files(config.data.sources), *corpus.notes))
    if corpus.images is not None and corpus.images.shape[-1] != config.model.image_size:
        raise UserError(
            "{name}: its images are {shape} pixels wide, but `image_size` is {image_size}. Leave "
            "`image_size` out.",
            name=name,
            shape=corpus.images.shape[-1],
            image_size=config.model.image_size,
        )
    return corpus


def datasets_for(family: str) -> list[str]:
    """Return the names of the built-in datasets for a model family."""
    return [name for name, dataset in BUILT_IN.items() if dataset.family == family]
