"""Requests to the engine and the tokens it returns, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from glassgpt.generate.sampling import SamplingParams
from glassgpt.nn import Memory

DEFAULT = SamplingParams()


@dataclass(frozen=True)
class Request:
    """A prompt to continue, with sampling parameters and limits.

    The context slides: when it is full (`block_size` tokens), its last half is prefilled again, so the model
    sees between a half and a whole context of the past. A prompt longer than the context is cut at once,
    without an error: the model sees its last `block_size` // 2 tokens only.
    """

    prompt: Sequence[int]
    params: SamplingParams = DEFAULT
    max_new_tokens: int = 200
    seed: int | None = None
    """The same seed gives the same tokens; None takes a seed from the operating system."""
    eos_id: int | None = None
    """The id of the end token, such as `<eos>`; generation stops after it."""
    logit_bias: Mapping[int, float] | None = None
    """Numbers to add to the logits of some ids."""
    memory: Memory | None = None
    """(1, S, C) for cross-attention: an encoded source, an image."""
    logprobs: int | None = None
    """Report the log probability of each token, and of this many most likely tokens."""
    distribution: bool = False
    """Report the distribution that each token was sampled from."""


@dataclass(frozen=True)
class Token:
    """One generated token."""

    id: int
    finish_reason: str | None = None
    """On the last token: `stop`, the request's `eos_id` came, or `length`, the limit was reached."""
    logprob: float | None = None
    """Natural logarithm of its probability under the model itself, before any filter."""
    top_logprobs: tuple[tuple[int, float], ...] = ()
    """The most likely ids with their log probabilities, most likely first."""
    probabilities: Tensor | None = None
    """(V,), after all filters, on the CPU."""
