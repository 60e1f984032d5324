"""Predictions of a model on held-out text, for the chapters `sampling` and `temperature`."""

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
"""Number of held-out texts, tokens in each, and quoted characters of the end."""
MOST = 4_000_000
"""Number of kept logits, at most: with a large vocabulary, only the last positions are kept."""


@dataclass(frozen=True)
class Places:
    """Logits and targets at all positions of some texts, and the least certain last position."""

    logits: Tensor
    """(n, V), float64."""
    targets: Tensor
    """(n,)."""
    text: str
    """End of the text with the least certain next token."""
    next: Tensor
    """(V,), float64: the logits of that next token."""

    def losses(self, temperatures: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats at each temperature: (N,) -> (N,)."""
        return torch.stack([F.cross_entropy(self.logits / t, self.targets) for t in temperatures.tolist()])


def entropy(p: Tensor) -> Tensor:
    """Compute −Σ p ln p over the last dimension, in nats."""
    return torch.special.entr(p).sum(-1)


@torch.inference_mode()
def sample_predictions(demo: Demo, generator: torch.Generator) -> Places:
    """Run a model on held-out texts.

    The least certain text has the largest entropy of its next token.
    """
    tokens = held_out(demo, TEXTS, LENGTH, generator)  # (B, T)
    logits = demo.model(tokens)  # (B, T, V)
    kept = max(1, MOST // logits[:, 0].numel()) + 1
    logits, targets = logits[:, -kept:].double(), tokens[:, -kept:]
    row = int(entropy(logits[:, -1].softmax(-1)).argmax())
    text = "".join(token_labels(demo.tokenizer, tokens[row].tolist()))[-ENDING:]
    return Places(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), text, logits[row, -1])
