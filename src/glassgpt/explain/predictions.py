"""What a model expects to come next in held-out text; what `sampling` and `temperature` share.

Not a chapter itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.explain.context import Demo
from glassgpt.explain.influence import held_out
from glassgpt.lens import token_labels

LABEL = 16
"""Columns of a token's label in a plot, at most."""
TEXTS, LENGTH, ENDING = 8, 64, 32
"""How many held-out texts of how many tokens, and how many characters of an end are quoted."""
MOST = 4_000_000
"""Logits that are kept, at most: with a large vocabulary those of the last places only."""


@dataclass(frozen=True)
class Places:
    """What a model said at the places of some texts, the last ones apart, and what came."""

    logits: Tensor
    """(n, V), float64."""
    targets: Tensor
    """(n,)."""
    text: str
    """The end of that text after which the model is least sure of what comes."""
    next: Tensor
    """(V,), float64: its logits there."""

    def losses(self, temperatures: Tensor) -> Tensor:
        """Mean cross-entropy of what came, with the logits divided by each temperature: (N,), nats."""
        return torch.stack([F.cross_entropy(self.logits / t, self.targets) for t in temperatures.tolist()])


def entropy(p: Tensor) -> Tensor:
    """−Σ p ln p over the last dimension, in nats."""
    return torch.special.entr(p).sum(-1)


@torch.inference_mode()
def read(demo: Demo, generator: torch.Generator) -> Places:
    """Let a model read held-out text. Least sure: where the entropy of what comes next is greatest."""
    tokens = held_out(demo, TEXTS, LENGTH, generator)  # (B, T)
    logits = demo.model(tokens)  # (B, T, V)
    kept = max(1, MOST // logits[:, 0].numel()) + 1
    logits, targets = logits[:, -kept:].double(), tokens[:, -kept:]
    row = int(entropy(logits[:, -1].softmax(-1)).argmax())
    text = "".join(token_labels(demo.tokenizer, tokens[row].tolist()))[-ENDING:]
    return Places(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), text, logits[row, -1])
