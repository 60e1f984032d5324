"""Encoders: transformers with bidirectional attention.

`Encoder` outputs states only, as a memory for a decoder (seq2seq.py). `MaskedLM` predicts masked tokens from
them, `Classifier` the class of a text.
"""

from __future__ import annotations

from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.transformer import Transformer, embed, is_real, make_head
from glassgpt.nn import AttnMask, KVCache, Memory, init_weights


class Encoder(Transformer):
    """Embedding, bidirectional blocks, norm; no head. `wte`: a decoder's embedding, to share."""

    def __init__(self, config: ModelConfig, n_vocab: int, wte: nn.Embedding | None = None) -> None:
        super().__init__(config, n_vocab)
        if wte is None:
            self.wte = nn.Embedding(n_vocab, config.n_embd)
        init_weights(self, config)
        if wte is not None:  # initialized by its owner, so after `init_weights`
            self.wte = wte

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """tokens: (B, T), padded with PAD -> states (B, T, C)."""
        mask = AttnMask.padding(is_real(tokens), window=self.config.window)
        return self.run_blocks(embed(self.wte, tokens), mask)

    def encode(self, source: Tensor) -> Memory:
        """Encode a source (B, S), padded with PAD: states (B, S, C), padding masked."""
        return Memory(self.trunk(source), AttnMask.padding(is_real(source)))


class MaskedLM(Encoder):
    """An encoder that predicts the token at each position, masked or not."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab)
        self.lm_head = make_head(config, self.wte)

    def head(self, h: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, V)."""
        return self.lm_head(h)

    @property
    def output_head(self) -> nn.Module:
        """The language model head."""
        return self.lm_head


class Classifier(Encoder):
    """An encoder with a class head on the mean of its states."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab)
        self.class_head = nn.Linear(config.n_embd, len(config.labels))
        nn.init.zeros_(self.class_head.weight)
        nn.init.zeros_(self.class_head.bias)

    def head(self, h: Tensor) -> Tensor:
        """(B, 1, C) -> class logits (B, 1, n_class)."""
        return self.class_head(h)

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """Average the states of the real tokens: (B, T), padded -> (B, 1, C)."""
        real = is_real(tokens)[..., None]  # (B, T, 1)
        h = super().trunk(tokens).where(real, 0)  # (B, T, C)
        return h.sum(1, keepdim=True) / real.sum(1, keepdim=True)  # (B, 1, C)

    @property
    def output_head(self) -> nn.Module:
        """The class head."""
        return self.class_head

    def expected_logit_variance(self) -> float:
        """Return 0: the head starts at zero."""
        return 0.0
