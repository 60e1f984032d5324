"""The simplest model: a table predicts the next token from the last one.

No attention, no positions.
"""

from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.base import Model
from glassgpt.nn import KVCache, Memory


class Bigram(Model):
    """A trained V × V table of logits: row = this token, column = the next one."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab)
        self.table = nn.Embedding(n_vocab, n_vocab)
        nn.init.normal_(self.table.weight)  # N(0, 1): confidently wrong, so it starts above ln V

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """tokens: (B, T) -> rows of the table, (B, T, V)."""
        return self.table(tokens)

    def head(self, h: Tensor) -> Tensor:
        """Return the rows; they are the logits already."""
        return h

    @property
    def output_head(self) -> nn.Module:
        """The table itself."""
        return self.table

    def expected_logit_variance(self) -> float:
        """Return 1: the table is drawn from N(0, 1)."""
        return 1.0
