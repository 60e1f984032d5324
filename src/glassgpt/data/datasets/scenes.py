"""Scenes: handwritten digits in a grid, with questions in English and Chinese.

A built-in dataset for the captioner, composed of the digits in digits.py. A digit's picture occurs in one
split only. The user's own images with text are read by examples/images.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glassgpt.data.datasets.digits import CELL, draw_digits, load_digits, split_digits
from glassgpt.data.examples import Example, ExampleCorpus
from glassgpt.errors import UserError

EMPTY = -1
EMPTY_SHARE = 0.1
COPIED_SHARE = 0.5
"""Fraction of scenes with one digit (not its picture) copied to another cell, so pairs are frequent."""
CHUNK = 4096
"""Digits drawn at once: their coordinates fit into the processor's cache."""

Kind = Literal["what", "where", "count"]


@dataclass(frozen=True, slots=True)
class Wording:
    """Questions and answers in one language."""

    what: str
    where: str
    count: str
    nothing: str
    places: dict[int, tuple[str, ...]]
    """By number of rows: the names of the cells, row by row."""


ENGLISH = Wording(
    what="what is at the {}?",
    where="where is the {}?",
    count="how many {}?",
    nothing="nothing",
    places={
        2: ("top left", "top right", "bottom left", "bottom right"),
        3: (
            "top left",
            "top center",
            "top right",
            "middle left",
            "center",
            "middle right",
            "bottom left",
            "bottom center",
            "bottom right",
        ),
    },
)
CHINESE = Wording(
    what="{}是什么？",
    where="{}在哪里？",
    count="有几个{}？",
    nothing="空",
    places={
        2: ("左上角", "右上角", "左下角", "右下角"),
        3: (
            "左上角",
            "上边中间",
            "右上角",
            "左边中间",
            "正中间",
            "右边中间",
            "左下角",
            "下边中间",
            "右下角",
        ),
    },
)
LANGUAGES = (ENGLISH, CHINESE)


def kind_of(question: str) -> Kind:
    """Return the kind of a question: the digit at a place, the place of a digit, or a count.

    Raises UserError for other questions.

    >>> [kind_of(q) for q in ("what is at the top left?", "7在哪里？", "how many 7?")]
    ['what', 'where', 'count']
    """
    kinds: tuple[Kind, ...] = ("what", "where", "count")
    for kind in kinds:
        for wording in LANGUAGES:
            before, after = getattr(wording, kind).split("{}")
            if question.startswith(before) and question.endswith(after):
                return kind
    raise UserError(
        "{question!r}: this is not a question about scenes. Ask as in {what!r}.",
        question=question,
        what=ENGLISH.what.format("top left"),
    )


def cell_of(question: str, rows: int = 2) -> tuple[int, int]:
    """Return row and column of the place in a what-question.

    Raises UserError for other questions.

    >>> cell_of("what is at the bottom left?"), cell_of("右边中间是什么？", rows=3)
    ((1, 0), (1, 2))
    """
    for wording in LANGUAGES:
        for cell, place in enumerate(wording.places[rows]):
            if question == wording.what.format(place):
                return divmod(cell, rows)
    example = ENGLISH.what.format("top left")
    raise UserError(
        "{question!r}: it names no place in {rows}×{rows} cells. Ask as in {example!r}.",
        question=question,
        rows=rows,
        example=example,
    )


def make_scenes(
    seed: int = 0, rows: int = 2, n_train: int = 30_000, n_held_out: int = 1_000
) -> ExampleCorpus:
    """Make `n_train` training scenes, `n_held_out` each for val and test, and their questions.

    images: (N, 1, 12·rows, 12·rows), bright strokes on black. The questions of a scene are adjacent, one of
    each kind (see `kind_of`). Training scenes have one what-question per cell: it teaches to recognize
    digits, and finding and counting depend on that. Training digits are augmented and placed at random,
    held-out digits only placed. The same seed gives the same corpus. Raises UserError for rows other than 2
    or 3, and if scikit-learn is missing.
    """
    if rows not in ENGLISH.places:
        raise UserError("{rows} rows of cells: scenes have 2 or 3. Choose one of these.", rows=rows)
    pictures, labels = load_digits()
    images: list[np.ndarray] = []
    examples: list[list[Example]] = []
    for part, sources in enumerate(split_digits(labels, seed)):
        rng = np.random.default_rng([seed, part + 1])  # [seed, 0] would repeat the numbers of the split
        layouts = _layouts(n_held_out if part else n_train, rows * rows, rng)
        chosen = _choose_sources(layouts, sources, labels, rng)
        images.append(_paint(pictures, chosen, rows, rng, augment=part == 0))
        first = sum(map(len, images[:-1]))
        examples.append(list(_ask(layouts, rows, rng, first, every_cell=part == 0)))
    train, val, test = examples
    return ExampleCorpus(train, val, np.concatenate(images), test=test)


def _layouts(n: int, n_cells: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the digit of each cell, or EMPTY: (n, n_cells). At least one digit occurs exactly once."""
    found = np.empty((0, n_cells), np.int64)
    while len(found) < n:
        cells = rng.integers(10, size=(n + 64, n_cells))
        cells[rng.random(cells.shape) < EMPTY_SHARE] = EMPTY
        copied = np.flatnonzero(rng.random(len(cells)) < COPIED_SHARE)
        giver, taker = rng.permuted(np.tile(np.arange(n_cells), (len(copied), 1)), axis=1)[:, :2].T
        cells[copied, taker] = cells[copied, giver]
        found = np.concatenate([found, cells[(_counts(cells) == 1).any(1)]])
    return found[:n]


def _counts(layouts: np.ndarray) -> np.ndarray:
    """Count each digit in each scene: (n, 10)."""
    return (layouts[:, :, None] == np.arange(10)).sum(1)  # (n, n_cells, 10) -> (n, 10)


def _choose_sources(
    layouts: np.ndarray, sources: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Choose a picture for each cell among the `sources` (sorted by digit), or EMPTY: (n, n_cells)."""
    edges = np.searchsorted(labels[sources], np.arange(11))
    start, size = edges[:-1], np.diff(edges)
    nth = (rng.random(layouts.shape) * size[layouts]).astype(np.int64)
    return np.where(layouts == EMPTY, EMPTY, sources[start[layouts] + nth])


def _paint(
    pictures: np.ndarray, chosen: np.ndarray, rows: int, rng: np.random.Generator, augment: bool
) -> np.ndarray:
    """Paint the chosen pictures into their cells: (n, 1, 12·rows, 12·rows) of uint8."""
    cells = np.zeros((chosen.size, CELL, CELL), np.uint8)
    filled = np.flatnonzero(chosen.ravel() != EMPTY)
    for start in range(0, len(filled), CHUNK):
        some = filled[start : start + CHUNK]
        cells[some] = draw_digits(pictures[chosen.ravel()[some]], rng, augment)
    grid = cells.reshape(-1, rows, rows, CELL, CELL).swapaxes(2, 3)  # (n, row, y, column, x)
    return grid.reshape(-1, 1, rows * CELL, rows * CELL)  # (n, 1, 12·rows, 12·rows)


def _ask(
    layouts: np.ndarray, rows: int, rng: np.random.Generator, first: int, every_cell: bool
) -> Iterator[Example]:
    """Yield questions about each scene in random languages. first: index of the first scene."""
    counts = _counts(layouts)
    n, n_cells = layouts.shape
    cells = np.tile(np.arange(n_cells), (n, 1)) if every_cell else rng.integers(n_cells, size=(n, 1))
    single = _pick(counts == 1, rng)
    places = (layouts == single[:, None]).argmax(1)
    counted = _pick(_count_weights(counts), rng)
    amounts = np.take_along_axis(counts, counted[:, None], 1)[:, 0]
    facts: Sequence[Sequence[int]] = np.stack((single, places, counted, amounts), axis=1).tolist()
    languages = rng.integers(2, size=(n, 2 + cells.shape[1])).tolist()
    for row, (once, place, many, amount) in enumerate(facts):
        image = first + row
        where, count, *whats = (LANGUAGES[each] for each in languages[row])
        for cell, what in zip(cells[row].tolist(), whats, strict=True):
            digit = int(layouts[row, cell])
            seen = what.nothing if digit == EMPTY else str(digit)
            yield Example(seen, question=what.what.format(what.places[rows][cell]), image=image)
        yield Example(where.places[rows][place], question=where.where.format(once), image=image)
        yield Example(str(amount), question=count.count.format(many), image=image)


def _count_weights(counts: np.ndarray) -> np.ndarray:
    """Weight the digits of count-questions, so that 0, 1 and 2 are all frequent answers: (n, 10).

    Each count that occurs gets one share; the count 2 gets two, since scenes without a pair lack it. Digits
    with the same count divide its share. So a question does not reveal its answer: scenes with a pair are
    also asked about digits with a count of 0 or 1.
    """
    alike = np.stack([(counts == amount).sum(1) for amount in range(counts.max() + 1)], axis=1)
    share = np.where(counts == 2, 2.0, 1.0)
    return share / np.take_along_axis(alike, counts, 1)


def _pick(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one column per row in proportion to the weights: (n, k) -> (n,)."""
    reached = weights.cumsum(1)
    return (reached > rng.random((len(weights), 1)) * reached[:, -1:]).argmax(1)
