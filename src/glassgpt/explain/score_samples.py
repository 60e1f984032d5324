"""Variance of q · k in a small sample, for the chapter `scale`: the figure of the notes and its noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Translate

IN_THE_NOTES = 14.1379
B, T = 4, 8
"""Sequences and tokens of the lecture."""
N = 500
ROUGH = 0.2
"""Relative tolerance of a standard deviation of 500 variances: five of its own standard errors."""


def sample_variances(count: int, d: int, generator: torch.Generator) -> Tensor:
    """Return the variance of the scores of `count` samples: (count,).

    A sample is B sequences of T queries and T keys of size d, N(0, 1): it has B · T² scores.
    """
    q, k = torch.randn(2, count, B, T, d, generator=generator)
    return (q @ k.mT).flatten(1).var(1)  # (count, B, T, T) -> (count,)


def sample_error(d: int) -> float:
    """Return the standard error of such a variance.

    The squares of scores have the variance 2d² + 6d. Two scores of one query, or of one key, share its
    length: their squares have the covariance 2d, and each score has 2(T − 1) such partners.

    >>> round(sample_error(16), 2)
    2.03
    """
    return math.sqrt((2 * d * d + 6 * d + 4 * d * (T - 1)) / (B * T * T))


@dataclass(frozen=True)
class NotesSample:
    """Variances of samples of the size that the notes had."""

    d: int
    variances: Tensor
    """(N,)."""

    def text(self, _: Translate) -> str:
        """Return the text about the figure of the notes."""
        error = sample_error(self.d)
        return _(
            "The notes have {found} instead of {d}. Nothing is wrong with that: it is one sample. {B} "
            "sequences of {T} tokens, as in the lecture, have only {n} scores, and they share queries and "
            "keys. The standard error of their variance is √((2d² + 6d + 4d(T − 1)) / (B T²)) = {error:.2f}, "
            "so {found} lies {z:.1f} standard errors below {d}. Of {N} such samples just now, {share:.0%} "
            "had that variance or less."
        ).format(
            found=IN_THE_NOTES,
            d=self.d,
            B=B,
            T=T,
            n=B * T * T,
            error=error,
            z=(self.d - IN_THE_NOTES) / error,
            N=N,
            share=(self.variances <= IN_THE_NOTES).double().mean().item(),
        )

    def finding(self, _: Translate) -> Finding:
        """Return the noise of the samples, with its expected value."""
        error, name = sample_error(self.d), _("noise of the variance of {n} scores").format(n=B * T * T)
        return Finding.near(name, self.variances.std().item(), error, ROUGH * error)


def notes_sample(d: int, generator: torch.Generator) -> NotesSample:
    """Draw samples of the size that the notes had, and measure their variances."""
    return NotesSample(d, sample_variances(N, d, generator))


def typical_scores(d: int, S: int, generator: torch.Generator, count: int = 201) -> Tensor:
    """Return scores (S,) of the query whose largest weight is the median of `count` queries."""
    q, k = torch.randn(count, 1, d, generator=generator), torch.randn(count, S, d, generator=generator)
    scores = (q * k).sum(-1)  # (count, S)
    return scores[scores.softmax(-1).amax(-1).argsort()[count // 2]]
