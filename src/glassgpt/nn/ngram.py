"""Embeddings of runs of tokens: what the last two, three, … are together, looked up instead of worked out.

A first layer of attention has to learn which tokens stand side by side; a table can simply be asked. All runs
share its rows by their hash. Nothing is counted: rows begin at zero and follow the gradient like any weight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig

MIX, SCATTER = 1_000_003, 2_654_435_761
"""Odd numbers whose products spread neighboring keys over all rows; int64 wraps around."""


class NgramEmbedding(nn.Module):
    """The sum of one row for each run of 2 to `order` tokens that ends at a place.

    dropout: chance that, in training, a run is left out at a place, so that no rare run is relied upon. The
    gradient is sparse: a batch of a thousand tokens touches some thousand rows, however many there are.
    Source: hashed n-gram features, as in fastText (Joulin et al. 2016), here inside a transformer.
    """

    def __init__(self, n_rows: int, order: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.order, self.dropout = order, dropout
        self.table = nn.Embedding(n_rows, width, sparse=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) ids, below zero where there is no token -> (B, T, width), each place from its past."""
        found = self.table(self.rows(tokens))  # (B, T, order − 1, width)
        if self.training and self.dropout:
            found = found * F.dropout(found.new_ones(found.shape[:-1]), self.dropout)[..., None]
        return found.sum(-2)  # (B, T, width)

    def rows(self, tokens: Tensor) -> Tensor:
        """Which rows: (B, T) -> (B, T, order − 1). Before the first token is nothing, which counts, too."""
        past, T = self.order - 1, tokens.shape[1]
        padded, found = F.pad(tokens, (past, 0), value=-1) + 1, []
        run = padded[:, past:]
        for n in range(1, self.order):
            run = run * MIX + padded[:, past - n : past - n + T]
            found.append(((run ^ (run >> 15)) * SCATTER + n) % self.table.num_embeddings)
        return torch.stack(found, dim=-1)


def make_ngrams(config: ModelConfig) -> NgramEmbedding | None:
    """None where no runs are asked for."""
    if not config.ngram_order:
        return None
    return NgramEmbedding(config.ngram_rows, config.ngram_order, config.n_embd, config.ngram_dropout)
