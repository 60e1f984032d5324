"""Memory for a little time: what is cheap to make is made again in the backward pass instead of being kept.

A linear layer keeps its input until its gradient is due. Where that is a norm of something that is kept
anyway, or an activation's product, making it anew costs a hundredth of the layer's own product. This is not
checkpointing of whole blocks: nothing expensive is done twice, and the result is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def remade(result: Tensor, make: Callable[[], Tensor]) -> Iterator[None]:
    """Within, whoever keeps `result` for its backward pass keeps `make`, which gives the same, instead.

    Only the innermost of several such contexts is in force. Compiled code decides by itself what to keep.
    """
    if torch.compiler.is_compiling() or not result.requires_grad:
        yield
        return
    address, n = result.untyped_storage().data_ptr(), result.numel()

    def pack(kept: Tensor) -> Any:
        is_result = kept.untyped_storage().data_ptr() == address and kept.numel() == n
        return kept.shape if is_result else kept

    def unpack(kept: Any) -> Tensor:
        return make().view(kept) if isinstance(kept, torch.Size) else kept

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield
