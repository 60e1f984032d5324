"""Baselines of a masked-token model: uniform, unigram, and bidirectional n-gram."""

import numpy as np
from numpy.typing import NDArray

from glassgpt.diagnose.bidirectional_ngram import BidirectionalNGram
from glassgpt.diagnose.score import Kind, Score, total_nats

MAX_COUNTED = 1 << 24
"""Count at most so many training tokens, from the end."""


def masked_baselines(
    train: NDArray[np.integer],
    val: NDArray[np.integer],
    masked: NDArray[np.bool_],
    n_vocab: int,
    n_chars: int,
    n_bytes: int,
) -> list[Score]:
    """Score count-based predictions of the masked tokens of the validation split.

    train: (N,), val: (M,) token ids, each below `n_vocab`. masked: (M,), True for the tokens to predict,
    whose text has `n_chars` characters and `n_bytes` bytes.
    """
    positions, model = np.flatnonzero(masked), BidirectionalNGram(train[-MAX_COUNTED:], n_vocab)
    seen = np.unique(train)
    uniform = np.where(np.isin(val[positions], seen), 1 / len(seen), 1 / n_vocab)
    unigram = model.probabilities(val, positions, np.ones_like(masked))
    neighbors = model.probabilities(val, positions, masked)
    visible = "two on each side of a gap, less those that are hidden themselves"

    def score(name: str, kind: Kind, probabilities: NDArray[np.float64], detail: str = "") -> Score:
        return Score(name, total_nats(probabilities), n_chars, n_bytes, detail, kind)

    return [
        score("uniform", "uniform", uniform, f"{len(seen):,} different tokens in training"),
        score("unigram", "ngram", unigram),
        score("counted neighbors", "bidirectional_ngram", neighbors, visible),
    ]
