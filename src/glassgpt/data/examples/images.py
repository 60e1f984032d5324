"""Images with text: a folder of image files and one table with their captions or answers.

The table is captions.csv, captions.tsv or captions.jsonl. files/pixels.py decodes the images; built-in images
are in datasets/scenes.py.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from glassgpt.config import DataConfig
from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus, split_by_group, too_few
from glassgpt.data.examples.table import FLICKR_CAPTIONS, read_rows
from glassgpt.data.files import Report, as_channels, check_pillow, find_column, read_pixels
from glassgpt.errors import UserError
from glassgpt.language import N_, join_texts

CAPTION_FILES = ("captions.csv", "captions.tsv", "captions.jsonl", FLICKR_CAPTIONS)
IMAGE_FOLDERS = ("", "Images", "images")
"""Folders next to the table that may hold the images, as in Flickr8k."""
IMAGE_COLUMNS = ("image", "file", "file_name", "filename")
QUESTION_COLUMNS = ("question",)
TARGET_COLUMNS = ("answer", "caption", "text")


def read_captioned(data: DataConfig, image_size: int) -> ExampleCorpus:
    """Read the images and texts of one folder. Rows about one image share a split.

    data.sources: the folder. data.column: the column of the questions, which are optional. Images become (N,
    channels, image_size, image_size), see `read_image`: one channel if all images are gray, else three.
    Raises UserError, with file and line, for an image that is missing, outside the folder, damaged or too
    large, and for an empty text. With `skip_invalid` such rows are skipped and counted in a note.
    """
    check_pillow()  # without it every row would be invalid
    folder = Path(data.sources[0]).expanduser()
    table = captions_table(folder, data.follow_links)
    gallery = _Gallery(folder, image_size, data.follow_links)
    report = Report(data.skip_invalid)
    examples: list[Example] = []
    used: dict[str, None] = {}
    for number, row in read_rows(table, data.encoding, report):
        where = f"{table}:{number}"
        try:
            names = image_columns(row, data)
            examples.append(_example(row, names, gallery, where))
            used |= dict.fromkeys(filter(None, names))
        except UserError as problem:
            report.reject(UserError("{where}: {problem}", where=where, problem=problem))
    if len(examples) < MIN_EXAMPLES:
        raise too_few(len(examples), N_("usable rows of {table}", table=table), report.notes())
    train, val = split_by_group(examples, lambda example: gallery.digests[example.image], data.val_fraction)
    notes = (N_("columns used: {columns}", columns=", ".join(used)), *report.notes())
    return ExampleCorpus(train, val, gallery.stack(), notes)


def captions_table(folder: Path, follow_links: bool) -> Path:
    """Return the table of captions in a folder. Raises UserError for none, several, or a link out of it."""
    found = [path for name in CAPTION_FILES if (path := folder / name).is_file()]
    if len(found) > 1:
        raise UserError(
            "{folder}: it has {found}. Keep one of them.",
            folder=folder,
            found=" and ".join(path.name for path in found),
        )
    if not found:
        raise UserError(
            "{folder}: it has none of {caption_files}. Write one like this, with or without questions:\n  "
            "image,question,answer\n  photos/tom.jpg,what is this?,a cat",
            folder=folder,
            caption_files=", ".join(CAPTION_FILES),
        )
    if not (follow_links or found[0].resolve().is_relative_to(folder.resolve())):
        raise UserError(
            "{found}: this is a link out of the folder. Set `follow_links` to read it.", found=found[0]
        )
    return found[0]


def image_columns(row: dict[str, str], data: DataConfig) -> tuple[str, str, str]:
    """Choose the columns of image, question ("" if there is none) and answer.

    Raises UserError without them.
    """
    has_questions = data.column or any(find_column(row, name) for name in QUESTION_COLUMNS)
    return (
        _column(row, data.image_column, IMAGE_COLUMNS, "image_column"),
        _column(row, data.column, QUESTION_COLUMNS, "column") if has_questions else "",
        _column(row, data.target_column, TARGET_COLUMNS, "target_column"),
    )


def _column(row: dict[str, str], wanted: str | None, usual: tuple[str, ...], field: str) -> str:
    names = (wanted,) if wanted else usual
    found = (find_column(row, name) for name in names)
    if name := next(filter(None, found), None):
        return name
    raise UserError(
        "no column {names}. Set `{field}` to one of: {row}.",
        names=join_texts(" or ", names),
        field=field,
        row=", ".join(row),
    )


def _example(row: dict[str, str], names: tuple[str, str, str], gallery: _Gallery, where: str) -> Example:
    image, question, target = names
    answer = row[target].strip()
    if not answer:
        raise UserError("the column {target!r} is empty. Write the answer, or remove the row.", target=target)
    index = gallery.index(row[image].strip())
    return Example(answer, question=row[question].strip() if question else "", image=index, where=where)


class _Gallery:
    """The images of a folder, each read once, in order of first use."""

    def __init__(self, folder: Path, image_size: int, follow_links: bool = False) -> None:
        self.folder, self.image_size, self.follow_links = folder.resolve(), image_size, follow_links
        self.pixels: list[np.ndarray] = []
        self.digests: list[str] = []
        """SHA-256 of the files, so copies of one image under two names share a split."""
        self._known: dict[str, int | UserError] = {}

    def index(self, name: str) -> int:
        """Return the number of an image. Raises UserError, each time, for an unusable image."""
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
            paths = [(self.folder / folder / name).resolve() for folder in IMAGE_FOLDERS]
            path = next((each for each in paths if bool(name) and each.is_file()), paths[0])
            exists = bool(name) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # impossible names; circular links
            path, exists = self.folder, False
        named_outside = Path(name).is_absolute() or ".." in Path(name).parts
        if named_outside or not (self.follow_links or path.is_relative_to(self.folder)):
            raise UserError(
                "{name!r} is outside of {folder}. Copy the image into that folder.",
                name=name,
                folder=self.folder,
            )
        if not exists:
            raise UserError(
                "no image {name!r} in {folder}. Write names relative to that folder.",
                name=name,
                folder=self.folder,
            )
        self.pixels.append(read_pixels(path, self.image_size))
        with path.open("rb") as file:
            self.digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        return len(self.pixels) - 1

    def stack(self) -> np.ndarray:
        """Return all images: (N, channels, image_size, image_size), gray only if all are."""
        channels = max(len(pixels) for pixels in self.pixels)
        return np.stack([as_channels(pixels, channels) for pixels in self.pixels])
