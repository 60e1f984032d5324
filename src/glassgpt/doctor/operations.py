"""The first operation of torch that gives NaN or infinity for finite inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class OperationProbe(TorchFunctionMode):
    """Finds the first operation of torch that makes infinite or undefined values of finite ones.

    −∞ alone is no fault: masks are filled with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.path = ""
        self.first, self.where = "", ""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if (
            not self.first
            and isinstance(result, Tensor)
            and result.is_floating_point()
            and _is_broken(result)
        ):
            if not any(_is_broken(each) for each in _tensors([args, kwargs])):
                self.first, self.where = getattr(func, "__name__", str(func)), self.path
        return result


def _is_broken(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool((tensor.isnan() | (tensor == math.inf)).any())


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
