"""What the heads of a trace do, in a few figures each: where they look, and how widely."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from glassgpt.lens.traces import Trace


@dataclass(frozen=True)
class HeadSummary:
    """Means over the places that look. Shares of weight are from 0 to 1."""

    attention: str
    head: int
    spread: float
    """Over how many places the weight is spread: e to the entropy, 1 for a single place."""
    strongest: float
    """The share of the place that is looked at most."""
    itself: float | None = None
    """The share of the looking place itself; None under cross-attention, as the next two."""
    previous: float | None = None
    """The share of the place before it."""
    first: float | None = None
    """The share of the first place."""


def describe_heads(trace: Trace, kind: str | None = None) -> list[HeadSummary]:
    """A summary of every head, or of those of one kind (attn, cross, encoder).

    The first place of a sequence has no other to look at under a causal mask: it counts for nothing here.
    """
    kinds = trace.kinds if kind is None else {kind: trace.kinds.get(kind, [])}
    return [
        _describe(trace, path, head)
        for paths in kinds.values()
        for path in paths
        for head in range(len(trace.tensors[f"{path}.weights"]))
    ]


def clearest_head(trace: Trace, kind: str) -> tuple[int, int]:
    """Layer and number of the head whose strongest weights are largest: the easiest one to read."""
    summaries = describe_heads(trace, kind)
    best = max(summaries, key=lambda summary: summary.strongest)
    return trace.kinds[kind].index(best.attention), best.head


def _describe(trace: Trace, path: str, head: int) -> HeadSummary:
    weights = trace.tensors[f"{path}.weights"][head].float()  # (T, S)
    is_self = not path.endswith(".cross_attn")
    w = weights[1:] if is_self and len(weights) > 1 else weights
    entropy = -torch.special.xlogy(w, w).sum(-1)
    spread, strongest = entropy.exp().mean().item(), w.amax(-1).mean().item()
    if not is_self:
        return HeadSummary(path, head, spread, strongest)
    square = weights[-len(w) :, :]
    rows = torch.arange(len(weights))[-len(w) :]
    previous = square[torch.arange(len(w)), (rows - 1).clamp(min=0)].mean().item()
    itself = square[torch.arange(len(w)), rows].mean().item()
    return HeadSummary(path, head, spread, strongest, itself, previous, w[:, 0].mean().item())
