"""First weights. A model should start out knowing nothing: its loss at birth is then about ln V."""

import math

import torch
from torch import nn

from glassgpt.config import ModelConfig


@torch.no_grad()
def init_weights(model: nn.Module, config: ModelConfig) -> None:
    """Fill all weights from the generator of torch, by the scheme that `config.init` names.

    gpt2: every matrix N(0, 0.02²), those that write to the residual stream (`proj`) smaller by √(2 n_layer), so that
    the stream's variance does not grow with depth (Radford et al. 2019).
    zero: matrices of N(0, 1 / fan_in), which keep a unit-variance input at unit variance; those that write to the
    residual stream start at zero, so that each block begins as the identity.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02 if config.init == "gpt2" else 1.0)
        elif isinstance(module, nn.Linear):
            writes_to_stream = name.endswith(".proj")
            if config.init == "gpt2":
                std = 0.02 / math.sqrt(2 * config.n_layer) if writes_to_stream else 0.02
            else:
                std = 0.0 if writes_to_stream else module.in_features**-0.5
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
