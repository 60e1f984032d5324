"""First weights. A model should start out knowing nothing: its loss at birth is then about ln V."""

import math

import torch
from torch import nn

from glassgpt.config import ModelConfig


@torch.no_grad()
def init_weights(model: nn.Module, config: ModelConfig) -> None:
    """Fill all weights from the generator of torch, by the scheme that `config.init` names.

    gpt2: every matrix N(0, 0.02²); those that write to the residual stream (`proj`) smaller by √(2 n_layer),
    so that the stream's variance does not grow with depth (Radford et al. 2019).
    zero: matrices N(0, 1 / fan_in), which keep a unit-variance input at unit variance; those that write to
    the residual stream, and the head, start at zero: each block begins as the identity, each logit as 0. A
    shared embedding is small instead, or each token would begin by predicting itself.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=_embedding_std(config))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=_linear_std(name, module.in_features, config))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _embedding_std(config: ModelConfig) -> float:
    if config.init == "gpt2":
        return 0.02
    return 1 / config.n_embd if config.tie_embeddings else 1.0


def _linear_std(name: str, fan_in: int, config: ModelConfig) -> float:
    writes_to_stream = name.endswith(".proj")
    if config.init == "gpt2":
        return 0.02 / math.sqrt(2 * config.n_layer) if writes_to_stream else 0.02
    return 0.0 if writes_to_stream or name == "lm_head" else fan_in**-0.5
