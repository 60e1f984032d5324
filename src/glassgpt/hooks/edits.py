"""Common edits of activations: switch heads off, patch a state, set to zero."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.hooks.recorder import Edit


def zero_heads(*heads: int) -> Edit:
    """Return an edit of `….heads`, (B, H, T, D): the output of these heads becomes zero.

    heads: numbers from 0. The edit raises UserError for a head that the layer does not have.
    """

    def change(value: Tensor) -> Tensor:
        H = value.shape[1]
        if unknown := [head for head in heads if not 0 <= head < H]:
            raise UserError(
                "head {unknown}: not in this layer. Heads are numbered from 0 to {h}.",
                unknown=unknown[0],
                h=H - 1,
            )
        edited = value.clone()
        edited[:, list(heads)] = 0
        return edited

    return change


def patch(value: Tensor, positions: Mapping[int, int] | None = None) -> Edit:
    """Return an edit that puts in a tensor of another forward pass: activation patching.

    positions: from positions of this pass to those of the other one, of a tensor (B, T, C); by default the
    whole tensor is replaced, and the shapes must be the same.
    """
    if positions is None:
        return lambda _: value

    def change(own: Tensor) -> Tensor:
        edited = own.clone()
        edited[:, list(positions)] = value[:, list(positions.values())].to(own)
        return edited

    return change


def zero(value: Tensor) -> Tensor:
    """Return zeros of the same shape: an edit that removes an activation."""
    return value.new_zeros(value.shape)


def n_heads(model: nn.Module) -> dict[str, int]:
    """Return the number of heads by activation name: {"blocks.0.attn.heads": 4, …}."""
    from glassgpt.nn import Attention

    return {f"{path}.heads": m.n_head for path, m in model.named_modules() if isinstance(m, Attention)}
