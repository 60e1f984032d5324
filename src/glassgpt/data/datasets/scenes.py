"""Scenes: real handwritten digits in a grid of cells, with questions about them in English and Chinese.

A built-in task for the captioner, composed here of the digits in digits.py: a picture of a digit that
stands in a val or test scene stands in no other part. Users' own images with text are images.py.
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
"""Scenes in which one cell takes the digit (not the picture) of another, so that twos are frequent."""
CHUNK = 4096
"""Digits drawn at once: their coordinates then stay in the processor's cache."""

Kind = Literal["what", "where", "count"]


@dataclass(frozen=True, slots=True)
class Wording:
    """How one language asks and answers."""

    what: str
    where: str
    count: str
    nothing: str
    places: dict[int, tuple[str, ...]]
    """By rows of the scene: the names of its cells, row by row."""


ENGLISH = Wording(
    what="what is at the {}?",
    where="where is the {}?",
    count="how many {}?",
    nothing="nothing",
    places={
        2: ("top left", "top right", "bottom left", "bottom right"),
        3: (
            *("top left", "top center", "top right"),
            *("middle left", "center", "middle right"),
            *("bottom left", "bottom center", "bottom right"),
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
            *("左上角", "上边中间", "右上角"),
            *("左边中间", "正中间", "右边中间"),
            *("左下角", "下边中间", "右下角"),
        ),
    },
)
LANGUAGES = (ENGLISH, CHINESE)


def kind_of(question: str) -> Kind:
    """What a question of this task asks for: a place's digit, a digit's place, or how many there are.

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
        f"{question!r} is no question about scenes; ask as in {ENGLISH.what.format('top left')!r}"
    )


def cell_of(question: str, rows: int = 2) -> tuple[int, int]:
    """Row and column of the place that a what-question asks for.

    >>> cell_of("what is at the bottom left?"), cell_of("右边中间是什么？", rows=3)
    ((1, 0), (1, 2))
    """
    for wording in LANGUAGES:
        for cell, place in enumerate(wording.places[rows]):
            if question == wording.what.format(place):
                return divmod(cell, rows)
    example = ENGLISH.what.format("top left")
    raise UserError(f"{question!r} asks for no place in {rows}×{rows} cells; ask as in {example!r}")


def make_scenes(
    seed: int = 0, rows: int = 2, n_train: int = 30_000, n_held_out: int = 1_000
) -> ExampleCorpus:
    """`n_train` scenes to learn from, `n_held_out` each in val and test, and questions about each.

    images: (N, 1, 12·rows, 12·rows), strokes bright on black. The questions of a scene lie together, one
    of each kind (see `kind_of`); in training, what is in each of its cells, because that teaches to read,
    without which neither finding nor counting can be learned. Training digits are varied and placed at
    random, held-out digits only placed. The same seed gives the same corpus. Raises UserError for other
    rows than 2 or 3, and where scikit-learn is missing.
    """
    if rows not in ENGLISH.places:
        raise UserError(f"scenes have 2 or 3 rows of cells, not {rows}; choose one of these")
    pictures, labels = load_digits()
    images: list[np.ndarray] = []
    examples: list[list[Example]] = []
    for part, sources in enumerate(split_digits(labels, seed)):
        rng = np.random.default_rng([seed, part + 1])  # [seed, 0] would repeat the split's own numbers
        layouts = _layouts(n_held_out if part else n_train, rows * rows, rng)
        chosen = _choose_sources(layouts, sources, labels, rng)
        images.append(_paint(pictures, chosen, rows, rng, augment=part == 0))
        first = sum(map(len, images[:-1]))
        examples.append(list(_ask(layouts, rows, rng, first, every_cell=part == 0)))
    train, val, test = examples
    return ExampleCorpus(train, val, np.concatenate(images), test=test)


def _layouts(n: int, n_cells: int, rng: np.random.Generator) -> np.ndarray:
    """(n, n_cells): the digit in each cell or EMPTY. Some digit stands in one only: where is asked of it."""
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
    """(n, 10): how often each digit stands in each scene."""
    return (layouts[:, :, None] == np.arange(10)).sum(1)


def _choose_sources(
    layouts: np.ndarray, sources: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(n, n_cells): for each cell one of the `sources` (sorted by digit) of its digit, or EMPTY."""
    edges = np.searchsorted(labels[sources], np.arange(11))
    start, size = edges[:-1], np.diff(edges)
    nth = (rng.random(layouts.shape) * size[layouts]).astype(np.int64)
    return np.where(layouts == EMPTY, EMPTY, sources[start[layouts] + nth])


def _paint(
    pictures: np.ndarray, chosen: np.ndarray, rows: int, rng: np.random.Generator, augment: bool
) -> np.ndarray:
    """(n, 1, 12·rows, 12·rows) of uint8: the chosen pictures, each somewhere in its cell."""
    cells = np.zeros((chosen.size, CELL, CELL), np.uint8)
    filled = np.flatnonzero(chosen.ravel() != EMPTY)
    for start in range(0, len(filled), CHUNK):
        some = filled[start : start + CHUNK]
        cells[some] = draw_digits(pictures[chosen.ravel()[some]], rng, augment)
    grid = cells.reshape(-1, rows, rows, CELL, CELL).swapaxes(2, 3)  # (n, row, y, column, x)
    return grid.reshape(-1, 1, rows * CELL, rows * CELL)


def _ask(
    layouts: np.ndarray, rows: int, rng: np.random.Generator, first: int, every_cell: bool
) -> Iterator[Example]:
    """Questions about each scene, each in some language; `first` is the first scene's index."""
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
    """(n, 10): how likely each digit is asked for, so that 0, 1 and 2 are all frequent answers.

    Each amount that occurs gets one share and 2 gets two, since scenes without a pair can't ask for it;
    digits of the same amount divide its share. The question must not give the answer away: a scene with
    a pair is also asked for what it has once or not at all.
    """
    alike = np.stack([(counts == amount).sum(1) for amount in range(counts.max() + 1)], axis=1)
    share = np.where(counts == 2, 2.0, 1.0)
    return share / np.take_along_axis(alike, counts, 1)


def _pick(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n, k) of weights to (n,): one column a row, drawn in proportion."""
    reached = weights.cumsum(1)
    return (reached > rng.random((len(weights), 1)) * reached[:, -1:]).argmax(1)
