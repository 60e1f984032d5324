"""The encoder: a transformer in which each token sees all others, before it and after it.

It reads. What is made of its states is another's affair: logits of masked tokens, the class of a whole text,
or the memory that a decoder looks at (seq2seq.py).
"""

from __future__ import annotations

from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.transformer import Transformer, embed, is_real, make_head
from glassgpt.nn import AttnMask, KVCache, Memory, init_weights


class Encoder(Transformer):
    """Embedding, blocks that look both ways, norm. `wte`: an embedding to share, of a decoder."""

    def __init__(self, config: ModelConfig, n_vocab: int, wte: nn.Embedding | None = None) -> None:
        super().__init__(config, n_vocab)
        if wte is None:
            self.wte = nn.Embedding(n_vocab, config.n_embd)
        init_weights(self, config)
        if wte is not None:  # whose owner has filled it
            self.wte = wte

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """tokens: (B, T), PAD where there is none -> states (B, T, C)."""
        mask = AttnMask.padding(is_real(tokens), window=self.config.window)
        return self.run_blocks(embed(self.wte, tokens), mask)

    def encode(self, source: Tensor) -> Memory:
        """source: (B, S), PAD where there is none: its states, the real ones of which may be looked at."""
        return Memory(self.trunk(source), AttnMask.padding(is_real(source)))


class MaskedLM(Encoder):
    """An encoder that says which token stands at each place, hidden or not."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab)
        self.lm_head = make_head(config, self.wte)

    def head(self, h: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, V)."""
        return self.lm_head(h)

    @property
    def readout(self) -> nn.Module:
        return self.lm_head


class Classifier(Encoder):
    """An encoder whose states are averaged into one, from which the class of the text is read."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab)
        self.class_head = nn.Linear(config.n_embd, len(config.labels))
        nn.init.zeros_(self.class_head.weight)
        nn.init.zeros_(self.class_head.bias)

    def head(self, h: Tensor) -> Tensor:
        """(B, 1, C) -> logits of the classes (B, 1, n_class)."""
        return self.class_head(h)

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """tokens: (B, T), PAD where there is none -> the mean of the real tokens' states (B, 1, C)."""
        real = is_real(tokens)[..., None]  # (B, T, 1)
        h = super().trunk(tokens).where(real, 0)  # (B, T, C)
        return h.sum(1, keepdim=True) / real.sum(1, keepdim=True)  # (B, 1, C)

    @property
    def readout(self) -> nn.Module:
        return self.class_head

    def expected_logit_variance(self) -> float:
        """The head starts at zero."""
        return 0.0
