"""What comes in: tensors or arrays of any kind, as float64 arrays of a stated number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glassgpt.errors import UserError

Numbers: TypeAlias = Tensor | NDArray[np.generic] | Sequence[float] | Sequence[Sequence[float]]


def array(numbers: Numbers, dims: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """`numbers` as float64. Raises UserError unless they have one of the numbers of dimensions in
    `dims`.

    >>> array([[1, 2]], (2,), "weights").shape
    (1, 2)
    """
    if isinstance(numbers, Tensor):
        # NumPy has no bfloat16, and wants neither a gradient nor a GPU.
        numbers = numbers.detach().to("cpu", torch.float64).numpy()
    try:
        found = np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise UserError(f"{what} must be numbers in rows of equal length: {problem}") from problem
    if found.ndim not in dims or not found.size:
        wanted = " or ".join(map(str, dims))
        raise UserError(f"{what} have the shape {found.shape}: give {wanted} dimensions, none empty")
    return found


def mask(given: Numbers | None, shape: tuple[int, ...], what: str) -> NDArray[np.bool_]:
    """`given` as booleans of `shape`; all False for None. Raises UserError where it can't be spread to
    `shape`.
    """
    if given is None:
        return np.zeros(shape, dtype=bool)
    found = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    try:
        return np.broadcast_to(found.astype(bool), shape)
    except ValueError:
        raise UserError(
            f"{what} has the shape {found.shape}, the weights have {shape}: give the same"
        ) from None
