"""Handwritten digits for scenes.py: load, split into train, val and test, and draw into cells.

They are the 1,797 digits of 8×8 pixels in scikit-learn (UCI optdigits), split by picture. The writers are not
recorded, so digits of one writer may occur in all three splits.
"""

from __future__ import annotations

import numpy as np

from glassgpt.errors import missing_extra

SIDE = 8
"""Side of a digit's picture in pixels."""
CELL = 12
"""Side of a cell in pixels."""
HELD_OUT = (0.10, 0.15)
"""Fractions of the pictures for val and for test."""


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Load pictures (1797, 8, 8) from 0 to 1, and their digits 0..9.

    Raises UserError if scikit-learn is missing.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise missing_extra("data", "scikit-learn") from error
    values, labels = datasets.load_digits(return_X_y=True)
    pictures = np.asarray(values).reshape(-1, SIDE, SIDE)  # (1797, 64) -> (1797, 8, 8)
    return (pictures / 16).astype(np.float32), np.asarray(labels)


def split_digits(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices of train, val and test, with equal fractions of each digit, sorted by digit."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for digit in range(10):
        own = rng.permutation(np.flatnonzero(labels == digit))
        n_val, n_test = (round(len(own) * share) for share in HELD_OUT)
        shares = np.split(own, [len(own) - n_val - n_test, len(own) - n_test])
        for part, some in zip(parts, shares, strict=True):
            part.append(some)
    train, val, test = map(np.concatenate, parts)
    return train, val, test


def draw_digits(pictures: np.ndarray, rng: np.random.Generator, augment: bool) -> np.ndarray:
    """Draw pictures (n, 8, 8) of 0..1 into cells (n, 12, 12) of uint8, each at a random place.

    With `augment`, each is also rotated by up to 0.1 radians, scaled by up to 6 %, sheared by up to 8 % and
    inked by 0.85 to 1.05. Both ways move it by fractions of a pixel, so both results are equally soft.
    """
    n = len(pictures)
    wobble = rng.uniform(-1, 1, (4, n)).astype(np.float32) * augment
    angle, scale, shear, ink = wobble * np.array([[0.1], [0.06], [0.08], [0.1]], np.float32)
    room = np.maximum(
        0, (CELL - SIDE * (1 + scale)) / 2
    )  # (n,), free pixels on each side of a centered digit
    shift_y, shift_x = (rng.uniform(-1, 1, (2, n)).astype(np.float32) * room)[:, :, None, None]
    grid = np.arange(CELL, dtype=np.float32) - (CELL - 1) / 2
    y, x = grid[:, None] - shift_y, grid[None, :] - shift_x  # (n, 12, 1), (n, 1, 12), from the digit's center
    cos, sin, lean = (
        each[:, None, None] for each in (np.cos(angle) / (1 + scale), np.sin(angle) / (1 + scale), shear)
    )
    from_y = y * cos - x * sin
    from_x = y * sin + x * cos + lean * from_y
    return _interpolate(pictures * (1 + ink - 0.05 * augment)[:, None, None], from_y, from_x)


def _interpolate(pictures: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Interpolate pictures bilinearly at y, x from their center: (n, 12, 12) of uint8, black outside."""
    n, side = len(pictures), SIDE + 2  # with a margin of 1; points outside are clipped to it
    flat = np.pad(pictures, ((0, 0), (1, 1), (1, 1))).ravel()  # (n · side · side,)
    y, x = (np.clip(each + (side - 1) / 2, 0, side - 1.001) for each in (y, x))
    top, left = y.astype(np.int32), x.astype(np.int32)
    y, x = y - top, x - left
    at = (np.arange(n, dtype=np.int32) * side * side)[:, None, None] + top * side + left
    upper = flat[at] * (1 - x) + flat[at + 1] * x
    lower = flat[at + side] * (1 - x) + flat[at + side + 1] * x
    return (np.clip(upper * (1 - y) + lower * y, 0, 1) * 255).round().astype(np.uint8)
