"""Floating point operations of training: one count for comparisons and benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from glassgpt.train.trainer import Trainer

_aten = torch.ops.aten
CPU_ATTENTION: dict[Any, Any] = {
    _aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, q, k, v, *_, **__: sdpa_backward_flop_count(grad, q, k, v)
    ),
}
"""Attention on a CPU, which torch's counter does not know: the formulas of the same kernels on a GPU."""


def count_flops(call: Callable[[], object]) -> int:
    """Call a function once and count the operations of its matrix products, two for a multiplication and sum.

    Counts products, convolutions and attention (without regard to the causal mask), forward and backward, as
    torch runs them. Sums, norms and activations are left out, as usual: they are few. Code outside of torch
    is not seen.

    >>> count_flops(lambda: torch.ones(2, 3) @ torch.ones(3, 5))
    60
    """
    with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter:
        call()
    return counter.get_total_flops()


def step_flops(trainer: Trainer) -> int:
    """Return the operations of the gradient of a run's first step, without the optimizer's.

    The model is unchanged afterwards.
    """
    learner, batches = trainer.learner, trainer.task.step_batches(0)
    n = count_flops(lambda: learner.backward(batches))
    learner.zero_grad()
    return n
