"""Convert tensors and arrays of any kind to float64 arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.language import join_texts

Numbers: TypeAlias = Tensor | NDArray[np.generic] | Sequence[float] | Sequence[Sequence[float]]


def array(numbers: Numbers, dims: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """Return numbers as float64. Raises UserError if their number of dimensions is not in `dims`.

    >>> array([[1, 2]], (2,), "weights").shape
    (1, 2)
    """
    if isinstance(numbers, Tensor):
        # NumPy has no bfloat16 and takes no gradients or GPU tensors.
        numbers = numbers.detach().to("cpu", torch.float64).numpy()
    try:
        found = np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise UserError(
            "{what}: no array of numbers ({problem}). Pass rows of equal length.", what=what, problem=problem
        ) from problem
    if found.ndim not in dims or not found.size:
        wanted = join_texts(" or ", map(str, dims))
        raise UserError(
            "{what}: shape {shape}. Pass {wanted} dimensions, none empty.",
            what=what,
            shape=found.shape,
            wanted=wanted,
        )
    return found


def mask(given: Numbers | None, shape: tuple[int, ...], what: str) -> NDArray[np.bool_]:
    """Return booleans of `shape`; all False for None.

    Raises UserError if they do not broadcast to it.
    """
    if given is None:
        return np.zeros(shape, dtype=bool)
    found = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    try:
        return np.broadcast_to(found.astype(bool), shape)
    except ValueError:
        raise UserError(
            "{what}: shape {shape}, the weights have {expected}. Pass the same shape.",
            what=what,
            shape=found.shape,
            expected=shape,
        ) from None
