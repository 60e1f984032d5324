"""Hashed n-gram embeddings: a table lookup for the last two, three, … tokens together.

Without it, the first layers of attention must learn which tokens are neighbors. All n-grams share the rows of
one table by their hash. Nothing is counted: rows start at zero and follow the gradient like any weight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig

MIX, SCATTER = 1_000_003, 2_654_435_761
"""Odd numbers whose products spread neighboring keys over all rows; int64 wraps around."""


class NgramEmbedding(nn.Module):
    """The sum of one row for each n-gram of 2 to `order` tokens.

    Each n-gram ends at the token's position. The gradient is sparse: a batch of a thousand tokens touches
    some thousand rows of the table.
    dropout: probability of dropping an n-gram at a position in training, so that no rare one is relied upon.
    Source: hashed n-gram features, as in fastText (Joulin et al. 2016), here inside a transformer.
    """

    def __init__(self, n_rows: int, order: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.order, self.dropout = order, dropout
        self.table = nn.Embedding(n_rows, width, sparse=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) ids, negative for padding -> (B, T, width), each position from its past."""
        found = self.table(self.hash_rows(tokens))  # (B, T, order − 1, width)
        if self.training and self.dropout:
            kept = F.dropout(found.new_ones(found.shape[:-1]), self.dropout)  # (B, T, order − 1)
            found = found * kept[..., None]
        return found.sum(-2)  # (B, T, width)

    def hash_rows(self, tokens: Tensor) -> Tensor:
        """Compute the table row of each n-gram: (B, T) -> (B, T, order − 1).

        The start of the text counts as a token of its own.
        """
        past, T = self.order - 1, tokens.shape[1]
        padded = F.pad(tokens, (past, 0), value=-1) + 1  # (B, past + T)
        found = list[Tensor]()
        key = padded[:, past:]  # (B, T)
        for n in range(1, self.order):
            key = key * MIX + padded[:, past - n : past - n + T]
            found.append(((key ^ (key >> 15)) * SCATTER + n) % self.table.num_embeddings)
        return torch.stack(found, dim=-1)  # (B, T, order − 1)


def make_ngrams(config: ModelConfig) -> NgramEmbedding | None:
    """Build the n-gram embeddings; None if `config.ngram_order` is 0."""
    if not config.ngram_order:
        return None
    return NgramEmbedding(config.ngram_rows, config.ngram_order, config.n_embd, config.ngram_dropout)
