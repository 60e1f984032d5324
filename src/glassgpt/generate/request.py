"""What the engine is asked for, and what it gives: values, which know no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from glassgpt.generate.sampling import SamplingParams
from glassgpt.nn import Memory

DEFAULT = SamplingParams()


@dataclass(frozen=True)
class Request:
    """What to continue, how, and how far.

    A text longer than the model's block slides: when the block is full, its last half is read anew, so that
    the model always sees between a half and a whole block of the past. What came before does not count then.
    """

    prompt: Sequence[int]
    params: SamplingParams = DEFAULT
    max_new_tokens: int = 200
    seed: int | None = None
    """The same seed gives the same tokens; none takes one from the operating system."""
    end: int | None = None
    """The token after which there is nothing more, such as `<eos>`."""
    bias: Mapping[int, float] | None = None
    """Numbers to add to the logits of some ids."""
    memory: Memory | None = None
    """(1, S, C) to look at: an encoded source, an image."""
    logprobs: int | None = None
    """Report the log probability of each token, and so many of the likeliest beside it."""
    distribution: bool = False
    """Hand out what each token was drawn from."""


@dataclass(frozen=True)
class Token:
    """One token, and how it came about."""

    id: int
    finish: str | None = None
    """Of the last token: `end`, the request's own end token, or `length`."""
    log_p: float | None = None
    """Natural logarithm of its probability under the model itself, before any filter."""
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens with theirs, likeliest first."""
    probabilities: Tensor | None = None
    """(V,), after all filters, on the CPU."""
