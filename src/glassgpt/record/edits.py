"""Edits that are wanted most: heads switched off, and what another run computed patched in."""

from __future__ import annotations

from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.record.recorder import Edit


def zero_heads(*heads: int) -> Edit:
    """Switch these heads off: for `….heads`, (B, H, T, D), what they gathered becomes zero."""

    def change(gathered: Tensor) -> Tensor:
        H = gathered.shape[1]
        if strange := [head for head in heads if not 0 <= head < H]:
            raise UserError(f"there is no head {strange[0]}: heads are numbered from 0 to {H - 1}")
        new = gathered.clone()
        new[:, list(heads)] = 0
        return new

    return change


def patch(value: Tensor) -> Edit:
    """Let a tensor of another run take the place: activation patching."""
    return lambda _: value


def zero(value: Tensor) -> Tensor:
    """Nothing at all in its place."""
    return value.new_zeros(value.shape)


def n_heads(model: nn.Module) -> dict[str, int]:
    """The number of heads of each attention, by what `zero_heads` edits: {"blocks.0.attn.heads": 4, …}."""
    from glassgpt.nn import Attention

    return {f"{path}.heads": m.n_head for path, m in model.named_modules() if isinstance(m, Attention)}
