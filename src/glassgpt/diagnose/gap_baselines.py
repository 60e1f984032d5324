"""Baselines of a masked-token model: uniform, unigram, and bidirectional n-gram."""

import numpy as np
from numpy.typing import NDArray

from glassgpt.diagnose.bidirectional_ngram import BidirectionalNGram
from glassgpt.diagnose.interval import PartSums, n_parts
from glassgpt.diagnose.score import Kind, Score, round_parts, uniform_nats
from glassgpt.language import N_

MAX_COUNTED = 1 << 24
"""Count at most so many training tokens, from the end."""


def masked_baselines(
    train: NDArray[np.integer],
    val: NDArray[np.integer],
    masked: NDArray[np.bool_],
    n_vocab: int,
    n_chars: int,
    n_bytes: int,
    max_counted: int = MAX_COUNTED,
) -> list[Score]:
    """Score count-based predictions of the masked tokens of the validation split.

    train: (N,), val: (M,) token ids, each below `n_vocab`. masked: (M,), True for the tokens to predict,
    whose text has `n_chars` characters and `n_bytes` bytes. max_counted: training tokens to count, from the
    end; `detail` says so where some are left out.
    """
    positions, model = np.flatnonzero(masked), BidirectionalNGram(train[-max_counted:], n_vocab)
    seen = np.unique(train)
    n_unseen = int((~np.isin(val[positions], seen)).sum())
    uniform = uniform_nats(len(positions), n_unseen, len(seen), n_vocab)
    unigram = model.probabilities(val, positions, np.ones_like(masked))
    neighbors = model.probabilities(val, positions, masked)
    visible = "two on each side of a gap, less those that are hidden themselves"
    if len(train) > max_counted:
        visible += f"; counted on the last {max_counted:,} training tokens"

    def score(name: str, kind: Kind, probabilities: NDArray[np.float64], detail: str = "") -> Score:
        parts = masked_parts(-np.log(probabilities), masked, n_chars)
        return Score(name, float(parts.sum()), n_chars, n_bytes, detail, kind, round_parts(parts))

    detail = f"{len(seen):,} different tokens in training"
    return [
        Score(N_("uniform"), uniform, n_chars, n_bytes, detail, "uniform"),
        score(N_("unigram"), "ngram", unigram),
        score(N_("counted neighbors"), "bidirectional_ngram", neighbors, visible),
    ]


def masked_parts(nats: NDArray[np.float64], masked: NDArray[np.bool_], n_chars: int) -> NDArray[np.float64]:
    """Sum the losses of masked tokens by part of the split.

    nats: (P,), of the P tokens where `masked`, (M,), is True. n_chars: of all masked tokens.
    """
    sums, whole = PartSums(n_parts(n_chars), len(masked)), np.zeros(len(masked))
    whole[masked] = nats
    sums.add(whole, np.ones(len(masked), dtype=np.int64))
    return sums.nats
