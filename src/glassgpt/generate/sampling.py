"""Sampling: logits, filters, probabilities, next token.

Every filter is a pure function from logits to logits; −∞ forbids a token. No filter knows a model, a
tokenizer or a loop; engine.py has the loop.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.language import N_

TEMPERATURES = (1e-4, 1e4)
"""Lowest and highest temperature besides 0; in float32, others equal greedy or uniform sampling."""
PENALTIES = (1e-3, 1e3)
"""Lowest and highest repetition penalty; beyond them, float32 could overflow."""
MAX_BIAS = 1e38
"""Largest number to add to a logit: a sum with a logit is finite in float32."""


@dataclass(frozen=True)
class SamplingParams:
    """Sampling parameters. The defaults sample from the model's own distribution.

    Raises UserError for a value out of range.
    """

    temperature: float = 1.0
    """Divides the logits; 0 is greedy: always the most likely token."""
    top_k: int | None = None
    """Keep the k most likely tokens."""
    top_p: float | None = None
    """Keep the fewest tokens with together this probability."""
    min_p: float | None = None
    """Keep tokens with at least this share of the highest probability."""
    repetition_penalty: float = 1.0
    """Make tokens of the text so far less likely (above 1) or more likely (below 1)."""

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p", "min_p"):
            value = getattr(self, name)
            _check(value is None or isinstance(value, Real), name, repr(value), "a number")
        low, high = TEMPERATURES
        _check(
            self.temperature == 0 or low <= self.temperature <= high,
            "temperature",
            self.temperature,
            N_("0 for greedy, or between {low} and {high:g}", low=low, high=high),
        )
        _check(
            self.top_k is None or (is_whole(self.top_k) and self.top_k >= 1),
            "top_k",
            self.top_k,
            N_("a whole number from 1 up, or left out"),
        )
        _check(
            self.top_p is None or 0 < self.top_p <= 1,
            "top_p",
            self.top_p,
            N_("above 0 and at most 1, or left out"),
        )
        _check(
            self.min_p is None or 0 <= self.min_p <= 1,
            "min_p",
            self.min_p,
            N_("between 0 and 1, or left out"),
        )
        low, high = PENALTIES
        _check(
            isinstance(self.repetition_penalty, Real) and low <= self.repetition_penalty <= high,
            "repetition_penalty",
            self.repetition_penalty,
            N_("between {low} and {high:g}; 1 is no penalty", low=low, high=high),
        )


def is_whole(value: object) -> bool:
    """True for whole numbers, numpy's included; False for True and False."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Return a whole number as int. Raises UserError for other things, and out of range."""
    if not is_whole(value):
        raise UserError("`{name}` is {value!r}. It must be a whole number.", name=name, value=value)
    if least is not None and value < least:
        raise UserError(
            "`{name}` is {value}. It must be at least {least}.", name=name, value=value, least=least
        )
    if most is not None and value > most:
        raise UserError("`{name}` is {value}. It must be at most {most}.", name=name, value=value, most=most)
    return int(value)


def _check(good: bool, name: str, value: object, limit: str) -> None:
    if not good:  # NaN fails every comparison, so it is refused, too
        raise UserError("`{name}` is {value}. It must be {limit}.", name=name, value=value, limit=limit)


def repetition_penalty(logits: Tensor, past: Tensor | Sequence[int], penalty: float) -> Tensor:
    """Divide positive logits of tokens in `past` by the penalty, multiply negative ones.

    logits: (B, V), past: (B, S) ids of each row, or (S,) of all; negative ids are padding. Returns (B, V).
    Source: Keskar et al. 2019 (CTRL), section 4.1, with the usual case for negative logits.
    """
    n_vocab = logits.shape[-1]
    ids = torch.as_tensor(past, dtype=torch.int64, device=logits.device).expand(len(logits), -1)  # (B, S)
    padded = torch.zeros(len(logits), n_vocab + 1, dtype=torch.bool, device=logits.device)
    occurred = padded.scatter(1, torch.where(ids < 0, n_vocab, ids), True)[:, :n_vocab]  # (B, V)
    return torch.where(occurred, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def logit_bias(logits: Tensor, bias: Mapping[int, float] | Tensor) -> Tensor:
    """Add a number to the logits of some ids; −∞ forbids one.

    logits: (..., V), bias: id → number, or all numbers, (..., V). Raises UserError as `bias_tensor`.
    """
    numbers = bias if isinstance(bias, Tensor) else bias_tensor(bias, logits.shape[-1])
    return logits + numbers.to(logits)


def bias_tensor(bias: Mapping[int, float], n_vocab: int) -> Tensor:
    """Build the numbers to add to all logits, (V,), float64.

    Raises UserError for an id outside the vocabulary, and a value beyond ±1e38 other than −∞.
    """
    numbers = torch.zeros(n_vocab, dtype=torch.float64)
    for id, value in bias.items():
        _check(
            is_whole(id) and 0 <= id < n_vocab,
            "logit_bias",
            N_("for id {id!r}", id=id),
            N_("for ids 0 … {last}", last=n_vocab - 1),
        )
        good = isinstance(value, Real) and (abs(value) <= MAX_BIAS or value == -math.inf)
        _check(
            good,
            "logit_bias",
            N_("{value!r} for id {id}", value=value, id=id),
            N_("a number within ±{max_bias:g}, or -inf", max_bias=MAX_BIAS),
        )
        numbers[int(id)] = float(value)
    return numbers


def temperature(logits: Tensor, t: float) -> Tensor:
    """Divide by the temperature: below 1 sharpens, above 1 flattens.

    0 keeps the first maximum only.

    logits: (..., V). Returns the same shape.

    >>> temperature(torch.tensor([0.1, 0.7, 0.2]), 0.5).softmax(-1)
    tensor([0.1805, 0.5991, 0.2204])
    """
    if t > 0:
        return logits / t
    best = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, -math.inf).scatter(-1, best, 0.0)


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest logits of each row; ties go to lower ids.

    logits: (..., V). Returns the same shape. Source: Fan et al. 2018.
    """
    if k >= logits.shape[-1]:
        return logits
    last = logits.topk(k).values[..., -1:]  # (..., 1)
    above, tied = logits > last, logits == last
    n_tied = k - above.sum(-1, keepdim=True)  # (..., 1): ties to keep
    return logits.masked_fill(~(above | (tied & (tied.cumsum(-1) <= n_tied))), -math.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of tokens with total probability p or more.

    Ties go to lower ids.
    logits: (..., V). Returns the same shape. Source: Holtzman et al. 2020 (nucleus sampling).
    """
    if p >= 1:
        return logits
    ordered, ids = logits.sort(dim=-1, descending=True, stable=True)
    mass = ordered.softmax(-1).cumsum(-1)
    drop = torch.zeros_like(mass, dtype=torch.bool)
    drop[..., 1:] = mass[..., :-1] >= p  # drop a token if those before it reach p
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, ids, drop), -math.inf)


def min_p(logits: Tensor, share: float) -> Tensor:
    """Keep tokens with at least this share of the largest probability.

    logits: (..., V). Returns the same shape. Source: Nguyen et al. 2024.
    """
    if share <= 0:
        return logits
    # p ≥ share · max p, in logits: the common denominator of the softmax cancels out.
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) + math.log(share), -math.inf)


def probabilities(
    logits: Tensor,
    params: SamplingParams,
    *,
    past: Tensor | Sequence[int] | None = None,
    bias: Mapping[int, float] | Tensor | None = None,
) -> Tensor:
    """Compute the distribution of the next token, after every filter in `params`.

    logits: (B, V), past: ids for the repetition penalty, bias: as for `logit_bias`. Returns (B, V), float32
    or finer, rows summing to 1. The order is Hugging Face's: penalty, bias, temperature, top-k, top-p, min-p.
    Raises UserError if the logits hold NaN or +∞, or a row has no token left.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if past is not None and params.repetition_penalty != 1:
        logits = repetition_penalty(logits, past, params.repetition_penalty)
    if bias is not None:
        logits = logit_bias(logits, bias)
    largest = logits.amax(-1, keepdim=True)
    if not math.isfinite(largest.sum(dtype=torch.float64).item()):  # one check for all three cases
        raise UserError(
            "the logits hold NaN or +inf, or every token of a row is forbidden. If the model gives NaN, its "
            "training diverged: use an earlier checkpoint, or train with a lower `lr`."
        )
    # Subtract the maximum, so that a tiny temperature cannot overflow.
    logits = temperature(logits - largest, params.temperature)
    if params.top_k is not None:
        logits = top_k(logits, params.top_k)
    if params.top_p is not None:
        logits = top_p(logits, params.top_p)
    if params.min_p is not None:
        logits = min_p(logits, params.min_p)
    return logits.softmax(-1)


def sample_inverse_cdf(probabilities: Tensor, u: Tensor) -> Tensor:
    """Sample by the inverse CDF: the first id with a cumulative probability above u.

    probabilities: (R, V), rows summing to about 1; u: (R,), uniform in [0, 1). Returns (R,), int64; never an
    id of probability 0. One number per sample: a row's samples depend on its own numbers only.

    >>> p, u = torch.tensor([[0.2, 0.5, 0.3]]).expand(3, 3), torch.tensor([0.1, 0.65, 0.95])
    >>> sample_inverse_cdf(p, u).tolist()
    [0, 1, 2]
    """
    cdf = probabilities.cumsum(-1, dtype=torch.float64)  # (R, V)
    level = u.double()[:, None] * cdf[:, -1:]  # (R, 1)
    return torch.searchsorted(cdf, level, right=True)[:, 0]


def multinomial(
    probabilities: Tensor, n: int, replacement: bool = False, generator: torch.Generator | None = None
) -> Tensor:
    """Draw n ids from a vector of probabilities, or from each row of a matrix.

    probabilities: (V,) or (B, V), not negative; they are divided by their sum. Returns (n,) or (B, n).
    Sampling runs on the generator's device, so a seed gives the same ids on any device of the model.
    Raises UserError for invalid probabilities, and if too few are above 0 for n without replacement.

    >>> sorted(multinomial(torch.tensor([0.2, 0.5, 0.3]), 3).tolist())
    [0, 1, 2]
    >>> multinomial(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), 2, replacement=True)
    tensor([[1, 1],
            [0, 0]])
    """
    _check(n >= 1, "n", n, N_("at least 1"))
    probabilities = probabilities.to(torch.promote_types(probabilities.dtype, torch.float32))
    sums = probabilities.sum(-1)
    if not ((probabilities >= 0).all() and (sums > 0).all() and torch.isfinite(sums).all()):
        raise UserError("probabilities must be finite and not negative, with one above 0 in each row.")
    fewest = int((probabilities > 0).sum(-1).min())
    _check(
        replacement or n <= fewest,
        "n",
        n,
        N_("at most {fewest}, the ids above 0, unless replacement=True", fewest=fewest),
    )
    device = probabilities.device if generator is None else generator.device
    drawn = torch.multinomial(probabilities.to(device), n, replacement, generator=generator)
    return drawn.to(probabilities.device)
