"""Summaries of attention heads: the keys that each one attends to, and its role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from glassgpt.lens.traces import Trace

Role = Literal["itself", "previous", "next", "first", "copy", "induction", "place", "mixed"]
ROLE_SHARE = 0.4
"""Share of the attention that names a head's role; below it, the head is mixed."""
MIN_COPIES = 3
"""Queries with a copy below which the text shows nothing about copying."""


@dataclass(frozen=True)
class HeadSummary:
    """Mean attention of one head over its queries.

    Shares are from 0 to 1; None where the attention has no such key.
    """

    attention: str
    head: int
    spread: float
    """Number of positions with weight: e to the entropy; 1 for a single position."""
    strongest: float
    """Weight of the key with the largest weight."""
    place: int
    """The key with the largest mean weight."""
    place_share: float
    """Its mean weight."""
    itself: float | None = None
    """Weight of the query's own position. None for cross-attention, as the next three."""
    previous: float | None = None
    """Weight of the previous position."""
    next: float | None = None
    """Weight of the next position; None under a causal mask."""
    first: float | None = None
    """Weight of the first position."""
    copy: float | None = None
    """Weight of copies: the query's token at other positions, in cross-attention the token that it writes.

    As the next one, the mean over queries that have such keys. Neighbors do not count.
    """
    induction: float | None = None
    """Weight of the tokens after a copy (Olsson et al. 2022). None for cross-attention."""
    n_copy: int = 0
    """Number of queries that have a copy."""
    n_induction: int = 0
    """Number of queries that have a token after a copy."""

    @property
    def role(self) -> Role:
        """The largest share, if it is at least ROLE_SHARE."""
        shares: dict[Role, float | None] = {
            "itself": self.itself,
            "previous": self.previous,
            "next": self.next,
            "first": self.first,
            "copy": self.copy if self.n_copy >= MIN_COPIES else None,
            "induction": self.induction if self.n_induction >= MIN_COPIES else None,
            "place": self.place_share,
        }
        role = max(shares, key=lambda name: shares[name] or 0.0)  # of equal shares the first one
        return role if (shares[role] or 0.0) >= ROLE_SHARE else "mixed"

    def to_dict(self) -> dict[str, Any]:
        """Return all figures and the role, ready for JSON."""
        return {**vars(self), "role": self.role}


def describe_heads(trace: Trace, kind: str | None = None) -> list[HeadSummary]:
    """Summarize every head, or those of one kind (attn, cross, encoder).

    The first query is left out of self-attention: under a causal mask it can only attend to itself.
    """
    kinds = trace.kinds if kind is None else {kind: trace.kinds.get(kind, [])}
    return [each for paths in kinds.values() for path in paths for each in _describe(trace, path)]


def clearest_head(trace: Trace, kind: str) -> tuple[int, int]:
    """Return layer and number of the head with the largest weights: the easiest to read."""
    summaries = describe_heads(trace, kind)
    best = max(summaries, key=lambda summary: summary.strongest)
    return trace.kinds[kind].index(best.attention), best.head


def _describe(trace: Trace, path: str) -> list[HeadSummary]:
    weights = trace.tensors[f"{path}.weights"].float()  # (H, T, S)
    is_self = not path.endswith(".cross_attn")
    keys = _keys(trace, path, is_self)
    if is_self and weights.shape[1] > 1:
        weights, keys = weights[:, 1:], {name: mask[1:] for name, mask in keys.items()}
    mean = weights.mean(1)  # (H, S)
    found: dict[str, list[Any]] = {
        "spread": (-torch.special.xlogy(weights, weights).sum(-1)).exp().mean(-1).tolist(),
        "strongest": weights.amax(-1).mean(-1).tolist(),
        "place": mean.argmax(-1).tolist(),
        "place_share": mean.amax(-1).tolist(),
    }
    if is_self:
        found["first"] = mean[:, 0].tolist()
    n = {f"n_{name}": int(keys[name].any(-1).sum()) for name in ("copy", "induction") if name in keys}
    for name, mask in keys.items():
        is_asked = mask.any(-1) if name in ("copy", "induction") else torch.ones(len(mask), dtype=torch.bool)
        if is_asked.any():
            found[name] = (weights * mask)[:, is_asked].sum(-1).mean(-1).tolist()
    columns = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    return [HeadSummary(path, head, **figures, **n) for head, figures in enumerate(columns)]


def _keys(trace: Trace, path: str, is_self: bool) -> dict[str, Tensor]:
    """Return masks (T, S) of the keys that each share counts."""
    queries, keys = trace.labels(path)
    numbers = {label: number for number, label in enumerate(keys)}
    written = torch.tensor([numbers.get(label, -1) for label in queries])
    same = written[:, None] == torch.tensor([numbers[label] for label in keys])  # (T, S)
    if not is_self:
        return {"copy": same}
    offset = torch.arange(len(keys)) - torch.arange(len(queries))[:, None]  # (T, S)
    is_causal = path.startswith("blocks.") and trace.config.get("family") != "encoder"
    visible = offset <= 0 if is_causal else torch.ones_like(same)
    far = visible & (offset != 0) & (offset != -1) & (offset != 1)
    after = torch.zeros_like(same)
    after[:, 1:] = (same & (offset != 0))[:, :-1]
    masks = {"itself": offset == 0, "previous": offset == -1, "copy": same & far, "induction": after & far}
    return masks if is_causal else {**masks, "next": offset == 1}
