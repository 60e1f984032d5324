"""Images with text about them: a folder with image files and one table that says what each shows.

A table is captions.csv, captions.tsv or captions.jsonl. How a file becomes pixels is pixels.py, what is
done with them is the captioner's matter; images that are composed here are scenes.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus, split_by_group
from glassgpt.data.examples.table import Report, read_rows
from glassgpt.data.files import as_channels, check_pillow, read_pixels
from glassgpt.errors import UserError

TABLES = ("captions.csv", "captions.tsv", "captions.jsonl")
IMAGE_COLUMNS = ("image", "file", "file_name", "filename")
QUESTION_COLUMNS = ("question",)
TARGET_COLUMNS = ("answer", "caption", "text")


def read_captioned(
    folder: Path,
    *,
    image_size: int,
    image_column: str | None,
    column: str | None,
    target_column: str | None,
    skip_invalid: bool,
    val_fraction: float,
) -> ExampleCorpus:
    """The images and texts of a folder. Several rows may be about one image; they share a split.

    images: (N, channels, image_size, image_size), see `read_image`; one channel where every image is
    gray, otherwise three. `column` is the question's, which a table need not have. Raises UserError,
    with file and line, for an image that is missing, outside the folder, damaged or too large, and for
    an empty text; with `skip_invalid` such rows are left out, and a note counts them.
    """
    check_pillow()  # else every row would be bad
    table = _table(folder)
    gallery = _Gallery(folder, image_size)
    report = Report(skip_invalid)
    examples: list[Example] = []
    used: dict[str, None] = {}
    for number, row in read_rows(table, report=report):
        where = f"{table}:{number}"
        try:
            names = _columns(row, (image_column, column, target_column))
            examples.append(_example(row, names, gallery, where))
            used |= dict.fromkeys(filter(None, names))
        except UserError as problem:
            report.bad(UserError(f"{where}: {problem}"))
    if len(examples) < MIN_EXAMPLES:
        few = f"{table} has {len(examples)} usable rows; at least {MIN_EXAMPLES} are needed. Add rows"
        raise UserError("\n  ".join([few, *report.notes()]))
    train, val = split_by_group(examples, lambda example: gallery.digests[example.image], val_fraction)
    notes = (f"columns used: {', '.join(used)}", *report.notes())
    return ExampleCorpus(train, val, gallery.stack(), notes)


def _table(folder: Path) -> Path:
    found = [path for name in TABLES if (path := folder / name).is_file()]
    if len(found) > 1:
        raise UserError(f"{folder} has {' and '.join(path.name for path in found)}; keep one of them")
    if not found:
        raise UserError(
            f"{folder} has none of {', '.join(TABLES)}; write one that looks like this, with or without "
            "questions:\n  image,question,answer\n  photos/tom.jpg,what is this?,a cat"
        )
    return found[0]


def _columns(row: dict[str, str], wanted: Sequence[str | None]) -> tuple[str, str, str]:
    """Names of the columns with the image, the question ("" where there is none) and the answer."""
    image, question, target = wanted
    return (
        _column(row, image, IMAGE_COLUMNS, "--image-column"),
        _column(row, question, QUESTION_COLUMNS, "--column") if question or "question" in row else "",
        _column(row, target, TARGET_COLUMNS, "--target-column"),
    )


def _column(row: dict[str, str], wanted: str | None, usual: tuple[str, ...], option: str) -> str:
    names = (wanted,) if wanted else usual
    for name in names:
        if name in row:
            return name
    raise UserError(f"no column {' or '.join(names)}; choose one with {option}: {', '.join(row)}")


def _example(row: dict[str, str], names: tuple[str, str, str], gallery: _Gallery, where: str) -> Example:
    image, question, target = names
    answer = row[target].strip()
    if not answer:
        raise UserError(f"the column {target!r} is empty; write what to answer, or remove the row")
    index = gallery.index(row[image].strip())
    return Example(answer, question=row[question].strip() if question else "", image=index, where=where)


class _Gallery:
    """The images of a folder, each read once, in the order in which they are first asked for."""

    def __init__(self, folder: Path, image_size: int) -> None:
        self.folder, self.image_size = folder.resolve(), image_size
        self.pixels: list[np.ndarray] = []
        self.digests: list[str] = []
        """SHA-256 of the files, so that copies of one image under two names share a split."""
        self._known: dict[str, int | UserError] = {}

    def index(self, name: str) -> int:
        """The number of an image; raises UserError, each time anew, for one that cannot be used."""
        if name not in self._known:
            try:
                self._known[name] = self._add(name)
            except UserError as problem:
                self._known[name] = problem
        if isinstance(known := self._known[name], UserError):
            raise known
        return known

    def _add(self, name: str) -> int:
        try:
            path = (self.folder / name).resolve()
            exists = bool(name) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # names that no file can have; links in a circle
            path, exists = self.folder, False
        if Path(name).is_absolute() or ".." in Path(name).parts or not path.is_relative_to(self.folder):
            raise UserError(f"{name!r} leads out of {self.folder}; copy the image into it")
        if not exists:
            raise UserError(f"no image {name!r} in {self.folder}; names count from that folder")
        self.pixels.append(read_pixels(path, self.image_size))
        with path.open("rb") as file:
            self.digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        return len(self.pixels) - 1

    def stack(self) -> np.ndarray:
        """(N, channels, image_size, image_size): gray only where all are."""
        channels = max(len(pixels) for pixels in self.pixels)
        return np.stack([as_channels(pixels, channels) for pixels in self.pixels])
