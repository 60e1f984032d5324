"""Memory of a training: estimated before it starts, and named when it runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from glassgpt.checkpoint import planned_layout
from glassgpt.config import RunConfig
from glassgpt.device import memory_of
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.ram import is_out_of_memory
from glassgpt.train.learner import CHUNK_TOKENS

STATE_BYTES = 12
"""Bytes per trained number besides its weight: the gradient, and one or two of the optimizer."""
LAYER_FLOATS = 12
"""Numbers that a block keeps per token and channel for the backward pass, at least."""
REMEDY = N_("Lower `micro_batch_size`, `block_size` or `size`")


class MemoryEstimate(NamedTuple):
    """Memory that a training needs at least, in bytes."""

    state: int
    """Weights, gradients and optimizer."""
    activations: int
    """Kept for the backward pass of the tokens that are computed at once."""
    n_tokens: int
    """Tokens that are computed at once."""

    @property
    def total(self) -> int:
        """State and activations together."""
        return self.state + self.activations

    def __str__(self) -> str:
        return N_(
            "at least {total} ({state} for weights, gradients and optimizer, {activations} "
            "for a pass over {n_tokens:,} tokens)",
            total=gigabytes(self.total),
            state=gigabytes(self.state),
            activations=gigabytes(self.activations),
            n_tokens=self.n_tokens,
        )


def estimate_memory(config: RunConfig, n_vocab: int, device: torch.device) -> MemoryEstimate:
    """Estimate the memory that training this configuration needs at least."""
    model, T = config.model, config.model.block_size
    n_bytes = planned_layout(model, n_vocab).n_bytes
    state = n_bytes if model.lora_rank else n_bytes + n_bytes * STATE_BYTES // 4
    n_tokens = config.train.micro_batch_size * T
    if device.type == "cpu":  # computed in parts of whole rows
        n_tokens = min(n_tokens, max(T, CHUNK_TOKENS))
    floats_per_token = 2 * n_vocab  # logits and their gradient
    if model.family != "bigram":
        floats_per_token += LAYER_FLOATS * model.n_layer * model.n_embd
    return MemoryEstimate(state, 4 * n_tokens * floats_per_token, n_tokens)


def check_memory(config: RunConfig, n_vocab: int, device: torch.device) -> None:
    """Raise UserError for a training that cannot fit into the memory of its device."""
    estimate = estimate_memory(config, n_vocab, device)
    if estimate.total > memory_of(device):
        raise UserError(
            "training needs {estimate}, and {available}. {remedy}.",
            estimate=str(estimate),
            available=_available(device),
            remedy=REMEDY,
        )


@contextmanager
def explain_out_of_memory(config: RunConfig, n_vocab: int, device: torch.device) -> Iterator[None]:
    """Turn the errors of a full memory into a UserError that says what to make smaller."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        estimate = estimate_memory(config, n_vocab, device)
        raise UserError(
            "the memory is full: training needs {estimate}, and {available}, other programs included. "
            "{remedy}, or close other programs.",
            estimate=str(estimate),
            available=_available(device),
            remedy=REMEDY,
        ) from error


def gigabytes(n_bytes: int) -> str:
    """Return a number of bytes in GB.

    >>> gigabytes(3_210_000_000)
    '3.2 GB'
    """
    return f"{n_bytes / 1e9:,.1f} GB"


def _available(device: torch.device) -> str:
    memory = gigabytes(memory_of(device))
    if device.type == "cuda":
        return N_("the GPU has {memory}", memory=memory)
    return N_("this process may use {memory}", memory=memory)
