"""The logit lens: what a model would say if it stopped after a layer.

Each state of the residual stream is read by the last norm and the head, as if it were the last one.
Source: nostalgebraist 2020, "interpreting GPT: the logit lens".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.record.recorder import anatomy

STATES = ("resid_pre", "resid_mid", "resid_cross", "resid_post")


@torch.no_grad()
def logit_lens(model: nn.Module, recording: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The logits (B, T, V) that each recorded state of the decoder's residual stream leads to, by its name.

    The last state gives the model's own logits. Raises UserError where no state was recorded, or the model
    has no head.
    """
    read = anatomy(model).read
    if read is None:
        raise UserError("this model has no head to read its states with: give one that predicts tokens")
    states = [n for n in recording if n.startswith("blocks.") and n.rsplit(".", 1)[1] in STATES]
    if not states:
        raise UserError('no state of the residual stream was recorded: record "blocks.*.resid_post" too')
    return {name: read(recording[name]) for name in states}
