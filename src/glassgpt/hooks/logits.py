"""Logit lens: the prediction that each state of the residual stream leads to.

The last norm and the output head read each state as if it were the last one.
Source: nostalgebraist 2020, "interpreting GPT: the logit lens".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.hooks.recorder import find_hook_points

STATES = ("resid_pre", "resid_mid", "resid_cross", "resid_post")


@torch.no_grad()
def logit_lens(model: nn.Module, recording: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the logits (B, T, V) of each recorded state of the decoder's residual stream, by its name.

    The last state gives the model's own logits. Raises UserError if no state was recorded, or the model has
    no output head.
    """
    to_logits = find_hook_points(model).to_logits
    if to_logits is None:
        raise UserError("the logit lens: this model has no output head. Use a model that predicts tokens.")
    states = [n for n in recording if n.startswith("blocks.") and n.rsplit(".", 1)[1] in STATES]
    if not states:
        raise UserError(
            'the logit lens: no state of the residual stream was recorded. Record "blocks.*.resid_post" too.'
        )
    return {name: to_logits(recording[name]) for name in states}
